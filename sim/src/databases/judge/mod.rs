//! The promises that calls and answers alone can break: S01, S03, S04, S08, S37 and S45 to S49, without a look
//! into tables.
//!
//! In goes what was done, one thing after the other, with how its execution stood before and after by the backend's own
//! description; out come violations. Times of a lease are by the clock of the process that was given it: there is no
//! other in these backends.

mod found;
mod look;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use claimlab_model::invariant::Invariant;
use ff_core::contracts::{
    CreateExecutionArgs, CreateExecutionResult, IssueReclaimGrantOutcome, RevokeLeaseResult, SuspendOutcome,
};
use ff_core::types::{ExecutionId, LeaseId};

use super::subject::{handle_of, lease_of};
use crate::call::{Answer, Call};
use crate::outcome::Violation;
use crate::world::PartyNo;
pub use found::Found;
use look::{Look, at, error_in_short, is_unavailable, look_at_call, look_at_pass};

/// So many lines are kept of each execution's history.
const LINES: usize = 24;

/// What was done.
pub enum Done<'a> {
    /// A call was answered.
    Call {
        /// The call.
        call: &'a Call,
        /// Its answer.
        answer: &'a Answer,
    },
    /// A reconciler has passed.
    Pass(&'static str),
}

impl Done<'_> {
    /// Method or reconciler, and in a word what came of it.
    fn deed(&self) -> (&'static str, &'static str) {
        match self {
            Self::Call { call, answer } => {
                let result = match answer.error() {
                    None => "done",
                    Some(error) if is_unavailable(error) => "unavailable",
                    Some(_) => "refused",
                };
                (call.method(), result)
            }
            Self::Pass(reconciler) => (reconciler, "passed"),
        }
    }
}

/// Something that was done, and around it.
pub struct Deed<'a> {
    /// True time.
    pub at_us: u64,
    /// Who did it.
    pub party: PartyNo,
    /// The kind of party.
    pub role: &'static str,
    /// Its name.
    pub by: String,
    /// What the clock of any party shows.
    pub clock_of: &'a dyn Fn(PartyNo) -> i64,
    /// The execution that it is about.
    pub id: Option<&'a ExecutionId>,
    /// What it was.
    pub done: &'a Done<'a>,
    /// The execution before.
    pub before: Option<Found>,
    /// The execution after.
    pub after: Option<Found>,
    /// After a replay, whether the result of the life before can still be read.
    pub keeps_result: Option<bool>,
}

/// The last lease that somebody was given.
#[derive(Clone, Debug)]
struct Held {
    party: PartyNo,
    epoch: u64,
    id: LeaseId,
    /// By the holder's clock.
    expires_at_ms: i64,
    ttl_ms: i64,
    /// Why nobody holds it any more, as a case of S04.
    ended: Option<&'static str>,
}

/// What calls have promised of one execution.
#[derive(Default)]
struct Promised {
    held: Option<Held>,
    /// The last lease that was revoked.
    revoked: Option<LeaseId>,
    /// Until when a reclaim grant may be used, by the clock of the process that asked for it.
    grant: Option<(PartyNo, i64)>,
    /// How it stood after the last thing that was done about it.
    found: Option<Found>,
    lines: Vec<String>,
}

/// Calls by what came of them.
pub type Calls = BTreeMap<(&'static str, &'static str), u64>;

/// The judge of one world.
#[derive(Default)]
pub struct Judge {
    /// By execution.
    promised: BTreeMap<String, Promised>,
    ended: BTreeSet<String>,
    lease_ids: BTreeSet<String>,
    keys: BTreeMap<(String, String), ExecutionId>,
    /// What was broken, in the order in which it was seen, each with the history of its execution so far.
    pub violations: Vec<(Violation, Vec<String>)>,
    /// How often each invariant was looked at where there was something to look at.
    pub looks: BTreeMap<&'static str, u64>,
    /// How often each call and pass came to what.
    pub calls: Calls,
    /// Executions that were created.
    pub created: u64,
}

impl Judge {
    /// The executions that have not ended, as far as calls tell.
    pub fn open(&self) -> Vec<ExecutionId> {
        let open = self.promised.keys().filter(|id| !self.ended.contains(*id));
        open.filter_map(|id| ExecutionId::parse(id).ok()).collect()
    }

    /// How an execution stood when it was looked at last; nothing changes it but what is done about it.
    pub fn last(&self, id: &ExecutionId) -> Option<Found> {
        self.promised.get(id.as_str()).and_then(|promised| promised.found.clone())
    }

    /// Looks at something that was done.
    pub fn see(&mut self, deed: &Deed<'_>) {
        let (script, result) = deed.done.deed();
        let is_noted = matches!(deed.done, Done::Call { .. }) || deed.before != deed.after;
        if is_noted {
            *self.calls.entry((script, result)).or_default() += 1;
        }
        let Some(id) = deed.id else { return };
        if let (Done::Call { answer, .. }, true) = (deed.done, is_noted) {
            self.note(deed, id, answer);
        } else if is_noted {
            self.write(
                deed,
                id,
                format!("{script}: now {}", deed.after.as_ref().map_or_else(String::new, Found::in_words)),
            );
        }
        let promised = self.promised.entry(id.to_string()).or_default();
        let mut looks = match deed.done {
            Done::Call { call, answer } => look_at_call(deed, call, answer, promised, &mut self.lease_ids),
            Done::Pass(_) => look_at_pass(deed, promised),
        };
        if let Done::Call { call: Call::CreateExecution { args }, answer: Answer::CreateExecution(Ok(created)) } =
            deed.done
        {
            looks.extend(self.look_at_key(args, created));
        }
        self.follow(deed, id);
        for Look { invariant, case, detail } in looks {
            *self.looks.entry(invariant.id()).or_default() += 1;
            let Some(case) = case else { continue };
            let lines = self.promised.get(id.as_str()).map_or_else(Vec::new, |promised| promised.lines.clone());
            let (role, execution, at_us) = (deed.role, id.to_string(), deed.at_us);
            self.violations
                .push((Violation { invariant, case, role, script, result, execution, detail, at_us }, lines));
        }
    }

    fn write(&mut self, deed: &Deed<'_>, id: &ExecutionId, what: String) {
        let lines = &mut self.promised.entry(id.to_string()).or_default().lines;
        let ms = deed.at_us / 1_000;
        let clock = (deed.clock_of)(deed.party);
        lines.push(format!("{:>4}.{:03} s  {:<12} at {clock} of its clock  {what}", ms / 1_000, ms % 1_000, deed.by));
        if lines.len() > LINES {
            lines.remove(0);
        }
    }

    fn note(&mut self, deed: &Deed<'_>, id: &ExecutionId, answer: &Answer) {
        let (method, result) = deed.done.deed();
        let epoch = match deed.done {
            Done::Call { call, .. } => handle_of(call).or_else(|| lease_of(answer)).map(|lease| lease.lease_epoch.0),
            Done::Pass(_) => None,
        };
        let epoch = epoch.map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
        let why = answer.error().map_or_else(String::new, |error| format!(" ({})", error_in_short(error)));
        let after = deed.after.as_ref().map_or_else(String::new, |after| format!(", now {}", after.in_words()));
        self.write(deed, id, format!("{method}: {result}{why}{epoch}{after}"));
    }

    /// One key makes one execution in its namespace; none of these worlds outlives a key.
    fn look_at_key(&mut self, args: &CreateExecutionArgs, created: &CreateExecutionResult) -> Option<Look> {
        let key = args.idempotency_key.clone().filter(|key| !key.is_empty())?;
        let place = (args.namespace.to_string(), key.clone());
        let known = self.keys.get(&place).cloned();
        Some(match (created, known) {
            (CreateExecutionResult::Created { execution_id, .. }, None) => {
                self.created += 1;
                self.keys.insert(place, execution_id.clone());
                at(Invariant::S49, true, "again", String::new)
            }
            (CreateExecutionResult::Created { execution_id, .. }, Some(known)) => {
                self.created += 1;
                at(Invariant::S49, false, "again", || {
                    format!("key {key:?}, which made {known}, has made {execution_id} too")
                })
            }
            (CreateExecutionResult::Duplicate { execution_id }, known) => {
                let as_known = known.as_ref().is_none_or(|known| known == execution_id);
                at(Invariant::S49, as_known, "other-execution", || {
                    format!("key {key:?} is answered with {execution_id}, which it did not make")
                })
            }
        })
    }

    /// What is promised from now on.
    fn follow(&mut self, deed: &Deed<'_>, id: &ExecutionId) {
        if deed.after.as_ref().is_some_and(Found::is_terminal) {
            self.ended.insert(id.to_string());
        } else {
            self.ended.remove(id.as_str());
        }
        let Some(promised) = self.promised.get_mut(id.as_str()) else { return };
        promised.found.clone_from(&deed.after);
        let Done::Call { call, answer } = deed.done else { return };
        let now = (deed.clock_of)(deed.party);
        if let Some(lease) = lease_of(answer) {
            let ttl_ms = i64::try_from(lease.lease_ttl_ms).unwrap_or(i64::MAX);
            promised.held = Some(Held {
                party: deed.party,
                epoch: lease.lease_epoch.0,
                id: lease.lease_id,
                expires_at_ms: now.saturating_add(ttl_ms),
                ttl_ms,
                ended: None,
            });
            promised.grant = None;
        }
        let is_holders = handle_of(call).is_some_and(|lease| {
            promised.held.as_ref().is_some_and(|held| held.epoch == lease.lease_epoch.0 && held.id == lease.lease_id)
        });
        let end = |promised: &mut Promised, case| {
            if let Some(held) = &mut promised.held {
                held.ended = held.ended.or(Some(case));
            }
        };
        match answer {
            Answer::Renew(Ok(renewed)) if is_holders => {
                if let Some(held) = &mut promised.held {
                    let told = i64::try_from(renewed.expires_at_ms).unwrap_or(i64::MAX);
                    held.expires_at_ms = told.min(now.saturating_add(held.ttl_ms));
                }
            }
            Answer::Complete(Ok(())) | Answer::Fail(Ok(_)) | Answer::Delay(Ok(())) | Answer::WaitChildren(Ok(())) => {
                end(promised, "ended");
            }
            Answer::Cancel(Ok(())) | Answer::CancelExecution(Ok(_)) => end(promised, "ended"),
            Answer::Suspend(Ok(SuspendOutcome::Suspended { .. })) => end(promised, "ended"),
            Answer::RevokeLease(Ok(RevokeLeaseResult::Revoked { .. })) => {
                promised.revoked = promised.held.as_ref().map(|held| held.id.clone());
                end(promised, "revoked");
            }
            Answer::IssueReclaimGrant(Ok(IssueReclaimGrantOutcome::Granted(grant))) => {
                promised.grant = Some((deed.party, i64::try_from(grant.expires_at_ms).unwrap_or(i64::MAX)));
            }
            Answer::ReplayExecution(Ok(_)) => promised.held = None,
            _ => {}
        }
    }
}
