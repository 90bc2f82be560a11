//! What callers are told: the rightful is not refused, an answer is the effect, and an error says what to do.

use ff_core::error::ErrorClass;
use ff_core::state::{EligibilityState, LifecyclePhase, OwnershipState, TerminalOutcome};

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use super::promised::Promised;
use crate::intern::ExecutionNo;
use crate::message::{Done, GrantKind, Refusal, Reply, Script, Taker};
use crate::spelling::word;
use crate::store::{Change, Core, Execution, IndexKey};
use crate::time::ServerTime;

/// So often may a caller be told to try again in vain, once in [`APART_MS`] at most.
const REPEATS: u32 = 64;
/// Answers closer together than this count once: many callers can ask at the same time.
const APART_MS: u64 = 1_000;

/// The checks of answers.
#[derive(Default)]
pub(super) struct OfAnswers {
    /// The last refusal of each execution that told its caller to try again, while nothing changed.
    repeated: Vec<Option<Repeated>>,
}

/// One answer again and again.
struct Repeated {
    script: &'static str,
    code: &'static str,
    times: u32,
    last: ServerTime,
}

impl Check for OfAnswers {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S46, Invariant::S48, Invariant::S51]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::Step(step, promised) = seen else { return };
        match step.reply {
            Reply::Done(done) => {
                check_effect(notes, step, done);
                check_accepted(notes, step, promised);
                if !step.store.changes().is_empty() {
                    self.forget(step.execution);
                }
            }
            Reply::Refused(refusal) => {
                check_rightful(notes, step, promised, refusal);
                check_refused_effect(notes, step, refusal);
                self.check_class(notes, step, refusal);
            }
            _ => {}
        }
    }
}

/// Who holds the current lease, bears a live grant or overrides as an operator is not refused.
fn check_rightful(notes: &mut Notes<'_>, step: &Step<'_>, promised: &Promised, refusal: &Refusal) {
    let Some(found) = step.found else { return };
    let facts = step.script.facts();
    let case = if let Some(fence) = facts.under.and_then(|under| under.fence) {
        let is_held = promised.live_holder(step.now).is_some_and(|holder| holder.fence == *fence);
        (is_held && is_about_the_lease(refusal)).then(|| family(step.script))
    } else if let Some((taker, kind)) = facts.takes.and_then(|takes| Some((takes.taker, takes.consumes?))) {
        let before = step.cores.map_or(&found.core, |(before, _)| before);
        let is_refused = is_granted(promised, step, taker, kind)
            && is_claimable(found, before, taker, kind)
            && !is_redirection(refusal);
        is_refused.then_some(if kind == GrantKind::Claim { "claim" } else { "reclaim" })
    } else if let Script::Complete { overriding: true, .. } | Script::Fail { overriding: true, .. } = step.script {
        let is_active = found.core.vector.lifecycle_phase == LifecyclePhase::Active;
        (is_active && is_about_the_lease(refusal)).then_some("override")
    } else if let Script::Signal(args) = step.script {
        let is_on = found.core.vector.lifecycle_phase == LifecyclePhase::Suspended
            && found
                .suspension
                .as_ref()
                .is_some_and(|open| open.closed_at.is_none() && open.waitpoint == args.waitpoint);
        let is_closed =
            matches!(refusal, Refusal::TargetNotSignalable | Refusal::WaitpointClosed | Refusal::WaitpointNotFound);
        (is_on && is_closed).then_some("signal")
    } else {
        None
    };
    notes.look(Invariant::S46, case.map_or(Look::Vacuous, Look::Broken), || {
        let phase = word(found.core.vector.lifecycle_phase);
        format!("{} is answered {} while the execution is {phase}", step.script.name(), refusal.code())
    });
}

/// Whoever was rightful and was not refused counts.
fn check_accepted(notes: &mut Notes<'_>, step: &Step<'_>, promised: &Promised) {
    let facts = step.script.facts();
    let fence = facts.under.and_then(|under| under.fence);
    let holds = promised.live_holder(step.now).is_some_and(|holder| fence == Some(&holder.fence));
    let takes = facts.takes.is_some_and(|takes| takes.consumes.is_some());
    let look = if holds || takes { Look::Holds } else { Look::Vacuous };
    notes.look(Invariant::S46, look, String::new);
}

/// The family of a fenced write, as a case of S46.
fn family(script: &Script) -> &'static str {
    match script {
        Script::Renew { .. } => "renewal",
        Script::Complete { .. } => "completion",
        Script::Fail { .. } => "failure",
        Script::Delay { .. } => "delay",
        Script::Suspend(_) => "suspension",
        Script::Progress { .. } => "progress",
        Script::WaitChildren(_) => "waiting",
        _ => "cancel",
    }
}

/// Whether a refusal is about the lease or the state that it gives, and not about the caller's arguments.
const fn is_about_the_lease(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::StaleLease
            | Refusal::LeaseExpired
            | Refusal::LeaseRevoked
            | Refusal::LeaseConflict
            | Refusal::NoActiveLease
            | Refusal::FenceRequired
            | Refusal::ExecutionNotActive { .. }
            | Refusal::ExecutionNotFound
            | Refusal::InvalidLeaseForSuspend
            | Refusal::AlreadySuspended
    )
}

/// The claiming functions tell a caller that it has to use the other one.
const fn is_redirection(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::UseClaimResumedExecution | Refusal::NotAResumedExecution)
}

fn is_granted(promised: &Promised, step: &Step<'_>, taker: &Taker, kind: GrantKind) -> bool {
    promised.grant.as_ref().is_some_and(|grant| {
        grant.kind == kind
            && (grant.worker, grant.instance, grant.lane) == (taker.worker, taker.instance, taker.lane)
            && grant.uses == 0
            && grant.stored
            && grant.expires_at > step.now
    })
}

fn is_claimable(found: &Execution, before: &Core, taker: &Taker, kind: GrantKind) -> bool {
    let vector = &before.vector;
    match kind {
        GrantKind::Claim => {
            vector.lifecycle_phase == LifecyclePhase::Runnable
                && vector.eligibility_state == EligibilityState::EligibleNow
                && found.score_in(IndexKey::Eligible(taker.lane)).is_some()
        }
        GrantKind::Reclaim => {
            let cap = found.submission.policy.as_ref().map(|policy| policy.max_reclaim_count);
            let owned = [OwnershipState::LeaseExpiredReclaimable, OwnershipState::LeaseRevoked];
            vector.lifecycle_phase == LifecyclePhase::Active
                && owned.contains(&vector.ownership_state)
                && cap.is_some_and(|cap| before.lease_reclaim_count < cap)
        }
    }
}

/// Who is told that something was done finds it done.
fn check_effect(notes: &mut Notes<'_>, step: &Step<'_>, done: &Done) {
    let Some(found) = step.found else { return };
    let core = &found.core;
    let phase = core.vector.lifecycle_phase;
    let runnable = phase == LifecyclePhase::Runnable;
    let ended = |as_told| phase == LifecyclePhase::Terminal && core.vector.terminal_outcome == as_told;
    let holds = match (step.script, done) {
        (_, Done::Created(told)) => core.vector.public_state == *told,
        (Script::IssueClaimGrant(args) | Script::IssueReclaimGrant(args), Done::Granted(until)) => {
            let as_told = |grant: &crate::store::Grant| grant.expires_at == *until && grant.worker == args.worker;
            args.ttl_ms == 0 || found.grant.as_ref().is_some_and(as_told)
        }
        (_, Done::Leased(lease)) => {
            core.vector.ownership_state == OwnershipState::Leased
                && core.is_held_by(&lease.fence)
                && core.lease_expires_at == Some(lease.expires_at)
        }
        (_, Done::Renewed(until)) => core.lease_expires_at == Some(*until),
        (_, Done::Revoked(..)) => core.vector.ownership_state == OwnershipState::LeaseRevoked,
        (_, Done::RetryScheduled(due)) => {
            let listed = found.members.iter().any(|(key, score)| matches!(key, IndexKey::Delayed(_)) && score == due);
            runnable && listed && core.delay_until == Some(due.rounded_as_text())
        }
        (_, Done::Suspended(done)) if done.already_satisfied => phase == LifecyclePhase::Active,
        (_, Done::Suspended(done)) => {
            phase == LifecyclePhase::Suspended && core.current_suspension_id.as_ref() == Some(&done.suspension)
        }
        (_, Done::SignalAccepted("resume_condition_satisfied")) => {
            let was = step.cores.map(|(before, _)| before.vector.lifecycle_phase);
            runnable && was == Some(LifecyclePhase::Suspended)
        }
        (Script::Complete { .. }, _) => ended(TerminalOutcome::Success),
        (Script::Fail { .. }, _) => ended(TerminalOutcome::Failed),
        (Script::Cancel(_), _) => ended(TerminalOutcome::Cancelled),
        (Script::Delay { .. }, _) => {
            runnable && core.vector.eligibility_state == EligibilityState::NotEligibleUntilTime
        }
        (Script::Resume { .. } | Script::Replay { .. }, _) => runnable,
        (Script::Promote { .. }, Done::Ok("promoted")) | (Script::Unblock { .. }, Done::Ok("unblocked")) => {
            runnable && core.vector.eligibility_state == EligibilityState::EligibleNow
        }
        _ => return,
    };
    notes.look(Invariant::S48, Look::at(holds, told(step.script)), || {
        let eligibility = word(core.vector.eligibility_state);
        format!("{} answers {}, and it is {} and {eligibility}", step.script.name(), done.label(), word(phase))
    });
}

/// What a caller was told, as a case of S48.
fn told(script: &Script) -> &'static str {
    match script {
        Script::Create(_) => "created",
        Script::IssueClaimGrant(_) | Script::IssueReclaimGrant(_) => "granted",
        Script::Renew { .. } => "renewed",
        Script::Revoke { .. } => "revoked",
        Script::Fail { .. } => "failed",
        Script::Suspend(_) => "suspended",
        Script::Signal(_) => "signalled",
        Script::Complete { .. } => "completed",
        Script::Cancel(_) => "cancelled",
        Script::Delay { .. } => "delayed",
        Script::Resume { .. } => "resumed",
        Script::Replay { .. } => "replayed",
        Script::Promote { .. } | Script::Unblock { .. } => "eligible",
        _ => "claimed",
    }
}

/// Who is refused finds nothing changed but stamps, and a lease marked that had expired.
fn check_refused_effect(notes: &mut Notes<'_>, step: &Step<'_>, refusal: &Refusal) {
    // A call that broke off in the middle says that its effect is unknown.
    if matches!(refusal, Refusal::RuntimeError(_)) || step.store.changes().is_empty() {
        return;
    }
    let holds = is_stamped_only(step);
    notes.look(Invariant::S48, Look::at(holds, "refused"), || {
        format!("{} is answered {} and has changed the execution", step.script.name(), refusal.code())
    });
}

/// Whether a script wrote stamps, dropped what had lapsed and marked what had expired, and nothing else.
fn is_stamped_only(step: &Step<'_>) -> bool {
    let small = |change: &Change| matches!(change, Change::Core(_) | Change::GrantLapsed(_) | Change::Note);
    if !step.changes().all(small) {
        return false;
    }
    let Some((before, after)) = step.cores else { return true };
    let marked = after.vector.ownership_state == OwnershipState::LeaseExpiredReclaimable;
    let stamps = Core {
        last_transition_at: after.last_transition_at,
        last_mutation_at: after.last_mutation_at,
        last_capability_mismatch_at: after.last_capability_mismatch_at,
        last_hmac_validation_failed_at: after.last_hmac_validation_failed_at,
        ..before.clone()
    };
    let expected = match marked {
        true => Core {
            vector: after.vector.clone(),
            detail: after.detail,
            lease_expired_at: after.lease_expired_at,
            ..stamps
        },
        false => stamps,
    };
    expected == *after
}

impl OfAnswers {
    fn forget(&mut self, execution: ExecutionNo) {
        if let Some(repeated) = self.repeated.get_mut(execution.index()) {
            *repeated = None;
        }
    }

    /// An error that says "try again" is not the answer for ever, and one that says "give up" has done nothing.
    fn check_class(&mut self, notes: &mut Notes<'_>, step: &Step<'_>, refusal: &Refusal) {
        let class = refusal.class();
        if class == ErrorClass::Terminal {
            let ends =
                step.cores.is_some_and(|(before, after)| before.vector.lifecycle_phase != after.vector.lifecycle_phase);
            notes.look(Invariant::S51, Look::at(!ends, "hidden-effect"), || {
                format!("{} is answered {} and has ended the execution", step.script.name(), refusal.code())
            });
        }
        if class != ErrorClass::Retryable {
            return;
        }
        if self.repeated.len() <= step.execution.index() {
            self.repeated.resize_with(step.execution.index() + 1, || None);
        }
        let kept = &mut self.repeated[step.execution.index()];
        let (script, code) = (step.script.name(), refusal.code());
        let now = step.now;
        let repeated = match kept {
            Some(same) if (same.script, same.code) == (script, code) => same,
            _ => kept.insert(Repeated { script, code, times: 0, last: now }),
        };
        if repeated.times == 0 || now >= repeated.last.plus_ms(APART_MS) {
            repeated.times += 1;
            repeated.last = now;
        }
        let look = Look::at(repeated.times != REPEATS, "for-ever");
        let times = repeated.times;
        notes.look(Invariant::S51, look, || {
            format!("{script} was answered {code} {times} times while nothing changed, and each says to try again")
        });
    }
}
