//! Admission: caps, rates, budgets, and slots that are given back once.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::state::{LifecyclePhase, OwnershipState};
use ff_core::types::BudgetId;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use crate::intern::ExecutionNo;
use crate::message::{CheckAdmission, Command, Done, Reply, Script};
use crate::store::{BudgetPlace, Execution, QuotaPlace, Store};
use crate::time::ServerTime;

/// The checks of admission.
#[derive(Default)]
pub(super) struct OfAdmission {
    quotas: BTreeMap<QuotaPlace, Slots>,
    /// Budgets of which somebody has read that a hard limit is reached.
    breached: BTreeSet<BudgetPlace>,
}

/// What was promised of one quota policy.
#[derive(Default)]
struct Slots {
    /// The cap that the last admission named; zero is none.
    cap: u64,
    /// Admitted and not given back.
    held: BTreeSet<ExecutionNo>,
    /// Admitted and not seen to have ended, given back or not.
    admitted: BTreeSet<ExecutionNo>,
    /// Admitted at any time.
    ever: BTreeSet<ExecutionNo>,
    /// The counter, as it was seen last.
    counter: i64,
    /// Times of the last admission of each execution by the callers' clocks, for each dimension. An admission that was
    /// given back and taken again is one.
    times: BTreeMap<String, BTreeMap<ExecutionNo, i64>>,
}

impl Check for OfAdmission {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S41, Invariant::S42, Invariant::S43, Invariant::S44]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        match seen {
            Seen::Step(step, _) => match (step.script, step.reply) {
                (Script::CheckAdmission(args), Reply::Done(Done::Ok("admitted"))) => self.admit(notes, step, args),
                (Script::ReleaseAdmission { place, execution }, Reply::Done(_)) => {
                    self.release(notes, step, *place, *execution);
                }
                (Script::IssueClaimGrant(_), Reply::Done(Done::Granted(_))) => {
                    self.check_budgets(notes, step);
                    self.check_cap(notes, step);
                }
                (_, Reply::Done(Done::Leased(_))) => self.check_cap(notes, step),
                _ => {}
            },
            Seen::Command { store, command: Command::BudgetUsage(place) | Command::BudgetUsed(place, _), .. } => {
                self.read_budget(store, *place);
            }
            Seen::Command { store, command: Command::SetConcurrency(place, _), .. } => {
                self.quotas.entry(*place).or_default().counter = counter(store, *place);
            }
            _ => {}
        }
    }
}

fn counter(store: &Store, place: QuotaPlace) -> i64 {
    store.quotas().get(place).and_then(|quota| quota.concurrency).unwrap_or(0)
}

/// Whether a claim grant or a lease on it is live.
fn runs(found: &Execution, now: ServerTime) -> bool {
    let core = &found.core;
    let is_leased = core.vector.ownership_state == OwnershipState::Leased
        && core.lease_expires_at.is_some_and(|expires| expires > now);
    is_leased || found.grant.as_ref().is_some_and(|grant| grant.expires_at >= now)
}

impl OfAdmission {
    fn admit(&mut self, notes: &mut Notes<'_>, step: &Step<'_>, args: &CheckAdmission) {
        let slots = self.quotas.entry(args.place).or_default();
        slots.cap = args.concurrency_cap;
        slots.held.insert(step.execution);
        slots.admitted.insert(step.execution);
        slots.ever.insert(step.execution);
        slots.counter = counter(step.store, args.place);
        // What the quota itself has counted is enough to refuse, however far that is from the truth.
        let (taken, cap) = (slots.counter, args.concurrency_cap);
        let is_over = cap > 0 && taken > i64::try_from(cap).unwrap_or(i64::MAX);
        notes.look(Invariant::S41, if cap > 0 { Look::at(!is_over, "counted") } else { Look::Vacuous }, || {
            format!("admitted as number {taken} by the quota's own counter, and {cap} are allowed")
        });
        if args.rate_limit == 0 {
            return;
        }
        let quota = step.store.quotas().get(args.place);
        let inside = quota.and_then(|quota| quota.windows.get(&args.dimension)).map_or(0, |inside| inside.len() as u64);
        notes.look(Invariant::S42, Look::at(inside <= args.rate_limit, "counted"), || {
            format!("admitted as number {inside} of the quota's own window, and {} are allowed", args.rate_limit)
        });
        let length = i64::try_from(args.window_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let at = args.now.0;
        let times = slots.times.entry(args.dimension.clone()).or_default();
        times.retain(|_, earlier| at.saturating_sub(*earlier) < length.saturating_mul(2));
        times.insert(step.execution, at);
        let in_window = |end: i64| {
            let inside = |time: &&i64| **time <= end && end.saturating_sub(**time) < length;
            times.values().filter(inside).count() as u64
        };
        let ends = times.values().filter(|end| **end >= at && end.saturating_sub(at) < length);
        let most = ends.map(|end| in_window(*end)).max().unwrap_or(0);
        notes.look(Invariant::S42, Look::at(most <= args.rate_limit, "exceeded"), || {
            format!("{most} admissions within {} s, and {} are allowed", args.window_seconds, args.rate_limit)
        });
    }

    /// A slot that is given back was taken, and is given back once.
    fn release(&mut self, notes: &mut Notes<'_>, step: &Step<'_>, place: QuotaPlace, execution: ExecutionNo) {
        let slots = self.quotas.entry(place).or_default();
        let left = counter(step.store, place);
        let was_held = slots.held.remove(&execution);
        let (before, is_effective) = (slots.counter, left < slots.counter);
        slots.counter = left;
        let look = match (was_held, is_effective) {
            (true, _) => Look::at(left >= before - 1, "again"),
            (false, true) => Look::Broken(if slots.ever.contains(&execution) { "again" } else { "never-admitted" }),
            (false, false) => Look::Vacuous,
        };
        notes.look(Invariant::S44, look, || {
            format!("the counter went from {before} to {left} for an execution that held no slot")
        });
    }

    fn check_cap(&mut self, notes: &mut Notes<'_>, step: &Step<'_>) {
        for slots in self.quotas.values_mut().filter(|slots| slots.cap > 0) {
            if !slots.admitted.contains(&step.execution) {
                continue;
            }
            let open = |number: &ExecutionNo| {
                let found = step.store.execution(*number);
                found.is_some_and(|found| found.core.vector.lifecycle_phase != LifecyclePhase::Terminal)
            };
            slots.admitted.retain(open);
            let running =
                |number: &&ExecutionNo| step.store.execution(**number).is_some_and(|found| runs(found, step.now));
            let running = slots.admitted.iter().filter(running).count() as u64;
            let cap = slots.cap;
            notes.look(Invariant::S41, Look::at(running <= cap, "exceeded"), || {
                format!("{running} admitted executions have a live grant or lease, and {cap} are allowed")
            });
        }
    }

    fn read_budget(&mut self, store: &Store, place: BudgetPlace) {
        let Some(budget) = store.budgets().get(place) else { return };
        if budget.is_spent() {
            self.breached.insert(place);
        } else {
            self.breached.remove(&place);
        }
    }

    fn check_budgets(&mut self, notes: &mut Notes<'_>, step: &Step<'_>) {
        let Some(attached) = step.found.and_then(|found| found.attached.budget_ids.as_deref()) else { return };
        let ids = attached.split(',').map(str::trim).filter_map(|id| BudgetId::parse(id).ok());
        let is_read = |id: &BudgetId| self.breached.iter().any(|place| place.budget == id.0);
        let breached = ids.into_iter().find(is_read);
        notes.look(Invariant::S43, Look::at(breached.is_none(), "breached"), || {
            let id = breached.as_ref().map_or_else(String::new, ToString::to_string);
            format!("granted although budget {id} was read to have reached its hard limit")
        });
    }
}
