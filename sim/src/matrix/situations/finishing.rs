//! Situations of a holder that lets go: it completes, fails, cancels, delays, or waits for children.

use ff_core::contracts::FailExecutionArgs;
use ff_core::engine_backend::ExpirePhase;
use ff_core::types::{CancelSource, LeaseFence};

use super::super::scene::{
    Held, LONG_MS, Scene, Stop, W, cancel, complete, fail, fail_for_good, other_epoch, partition, renew, retries,
};
use super::{Family, at, of};
use crate::call::Call;

const RETRY_ONCE: &str = r#"{"max_retries":1,"backoff":{"type":"fixed","delay_ms":20}}"#;

fn fail_by_fence(held: &Held, fence: Option<LeaseFence>, retry_policy_json: &str) -> Call {
    let args = FailExecutionArgs {
        execution_id: held.id.clone(),
        fence,
        attempt_index: held.attempt,
        failure_reason: "reason".into(),
        failure_category: "transient".into(),
        retry_policy_json: retry_policy_json.into(),
        next_attempt_policy_json: String::new(),
        source: CancelSource::LeaseHolder,
    };
    Call::FailExecution { args }
}

fn delay(s: &mut Scene<'_>, held: &Held, ms: i64) -> Result<Call, Stop> {
    Ok(Call::Delay { handle: held.handle.clone(), until: s.in_ms(ms)? })
}

fn wait_children(held: Held) -> Call {
    Call::WaitChildren { handle: held.handle }
}

fn expire(s: &mut Scene<'_>, id: ff_core::types::ExecutionId, phase: ExpirePhase) -> Result<Call, Stop> {
    Ok(Call::ExpireExecution { partition: partition(), id, phase, now: s.now()? })
}

/// Failed once, due again, promoted and claimed a second time.
fn second_attempt(s: &mut Scene<'_>, max_retries: u32) -> Result<Held, Stop> {
    let held = s.retrying_under(retries(max_retries))?;
    s.due_again(&held.id)?;
    s.claim(&held.id, LONG_MS)
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "complete",
        &[
            at("live lease", |s| Ok(complete(&s.claimed()?))),
            at("repeated", |s| Ok(complete(&s.completed()?))),
            at("lease expired by one ms", |s| Ok(complete(&s.lapsed()?))),
            at("lease marked expired", |s| Ok(complete(&s.expired()?))),
            at("lease revoked", |s| Ok(complete(&s.revoked()?))),
            at("reclaimed by another worker", |s| Ok(complete(&s.reclaimed()?.0))),
            at("by the reclaimer", |s| Ok(complete(&s.reclaimed()?.1))),
            at("by the reclaimer, after the old holder tried", |s| {
                let (old, new) = s.reclaimed()?;
                s.tried(&complete(&old))?;
                Ok(complete(&new))
            }),
            at("by the reclaimer, after the old holder tried to fail", |s| {
                let (old, new) = s.reclaimed()?;
                s.tried(&fail_for_good(&old))?;
                Ok(complete(&new))
            }),
            at("failed", |s| Ok(complete(&s.failed()?))),
            at("cancelled", |s| Ok(complete(&s.cancelled()?))),
            at("waiting for a retry", |s| Ok(complete(&s.retrying()?))),
            at("suspended", |s| Ok(complete(&s.suspended()?.held))),
            at("second attempt", |s| Ok(complete(&second_attempt(s, 2)?))),
            at("handle of the first attempt in the second", |s| {
                let held = s.retrying()?;
                s.due_again(&held.id)?;
                s.claim(&held.id, LONG_MS)?;
                Ok(complete(&held))
            }),
        ],
    ),
    of(
        "complete_execution",
        &[
            at("live lease", |s| {
                let held = s.claimed()?;
                s.complete_call(&held, Some(held.fence.clone()), CancelSource::LeaseHolder)
            }),
            at("repeated", |s| {
                let held = s.completed()?;
                s.complete_call(&held, Some(held.fence.clone()), CancelSource::LeaseHolder)
            }),
            at("no fence, by the holder", |s| {
                let held = s.claimed()?;
                s.complete_call(&held, None, CancelSource::LeaseHolder)
            }),
            at("no fence, by an operator", |s| {
                let held = s.claimed()?;
                s.complete_call(&held, None, CancelSource::OperatorOverride)
            }),
            at("other epoch", |s| {
                let held = s.claimed()?;
                s.complete_call(&held, Some(other_epoch(&held)), CancelSource::LeaseHolder)
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                s.complete_call(&held, Some(held.fence.clone()), CancelSource::LeaseHolder)
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                s.complete_call(&held, Some(held.fence.clone()), CancelSource::LeaseHolder)
            }),
            at("never claimed, by an operator", |s| {
                let mut held = s.claimed()?;
                held.id = s.created()?;
                s.complete_call(&held, None, CancelSource::OperatorOverride)
            }),
            at("no such execution", |s| {
                let mut held = s.claimed()?;
                held.id = s.nobody();
                s.complete_call(&held, Some(held.fence.clone()), CancelSource::LeaseHolder)
            }),
        ],
    ),
    of(
        "fail",
        &[
            at("no retry policy", |s| Ok(fail(&s.claimed()?))),
            at("retries left", |s| Ok(fail(&s.claimed_under(retries(2))?))),
            at("retries left, permanent failure", |s| {
                let held = s.claimed_under(retries(2))?;
                Ok(fail_for_good(&held))
            }),
            at("no retry policy, permanent failure", |s| Ok(fail_for_good(&s.claimed()?))),
            at("last retry used up", |s| Ok(fail(&second_attempt(s, 1)?))),
            at("repeated for good", |s| Ok(fail(&s.failed()?))),
            at("repeated while a retry is to come", |s| Ok(fail(&s.retrying()?))),
            at("completed", |s| Ok(fail(&s.completed()?))),
            at("lease expired by one ms", |s| Ok(fail(&s.lapsed()?))),
            at("lease revoked", |s| Ok(fail(&s.revoked()?))),
            at("reclaimed by another worker", |s| Ok(fail(&s.reclaimed()?.0))),
            at("suspended", |s| Ok(fail(&s.suspended()?.held))),
        ],
    ),
    of(
        "fail_execution",
        &[
            at("no retry policy", |s| {
                let held = s.claimed()?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), ""))
            }),
            at("retries left", |s| {
                let held = s.claimed()?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), RETRY_ONCE))
            }),
            at("retry policy that is no JSON", |s| {
                let held = s.claimed()?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), "{"))
            }),
            at("repeated", |s| {
                let held = s.claimed()?;
                s.right(fail_by_fence(&held, Some(held.fence.clone()), ""))?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), ""))
            }),
            at("no fence", |s| Ok(fail_by_fence(&s.claimed()?, None, ""))),
            at("other epoch", |s| {
                let held = s.claimed()?;
                Ok(fail_by_fence(&held, Some(other_epoch(&held)), ""))
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), ""))
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                Ok(fail_by_fence(&held, Some(held.fence.clone()), ""))
            }),
            at("no such execution", |s| {
                let mut held = s.claimed()?;
                held.id = s.nobody();
                Ok(fail_by_fence(&held, Some(held.fence.clone()), ""))
            }),
        ],
    ),
    of(
        "cancel",
        &[
            at("live lease", |s| Ok(cancel(&s.claimed()?))),
            at("repeated", |s| {
                let held = s.claimed()?;
                s.right(cancel(&held))?;
                Ok(cancel(&held))
            }),
            at("lease expired by one ms", |s| Ok(cancel(&s.lapsed()?))),
            at("lease revoked", |s| Ok(cancel(&s.revoked()?))),
            at("reclaimed by another worker", |s| Ok(cancel(&s.reclaimed()?.0))),
            at("suspended, by the handle from before", |s| Ok(cancel(&s.suspended()?.held))),
            at("waiting for a retry", |s| Ok(cancel(&s.retrying()?))),
            at("completed", |s| Ok(cancel(&s.completed()?))),
        ],
    ),
    of(
        "delay",
        &[
            at("a minute", |s| {
                let held = s.claimed()?;
                delay(s, &held, 60_000)
            }),
            at("until a time that is past", |s| {
                let held = s.claimed()?;
                delay(s, &held, -1_000)
            }),
            at("repeated", |s| {
                let held = s.claimed()?;
                let call = delay(s, &held, 60_000)?;
                s.right(call)?;
                delay(s, &held, 60_000)
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                delay(s, &held, 60_000)
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                delay(s, &held, 60_000)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                delay(s, &held, 60_000)
            }),
        ],
    ),
    of(
        "wait_children",
        &[
            at("live lease", |s| s.claimed().map(wait_children)),
            at("repeated", |s| {
                let held = s.claimed()?;
                s.right(wait_children(held.clone()))?;
                Ok(wait_children(held))
            }),
            at("lease expired by one ms", |s| s.lapsed().map(wait_children)),
            at("completed", |s| s.completed().map(wait_children)),
        ],
    ),
    of(
        "expire_execution",
        &[
            at("claimed, attempt's time is over", |s| {
                let id = s.claimed()?.id;
                expire(s, id, ExpirePhase::AttemptTimeout)
            }),
            at("never claimed, deadline", |s| {
                let id = s.created()?;
                expire(s, id, ExpirePhase::ExecutionDeadline)
            }),
            at("completed", |s| {
                let id = s.completed()?.id;
                expire(s, id, ExpirePhase::ExecutionDeadline)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                expire(s, id, ExpirePhase::ExecutionDeadline)
            }),
        ],
    ),
    of(
        "read_execution_info",
        &[
            at("never claimed", |s| Ok(Call::ReadExecutionInfo { id: s.created()? })),
            at("claimed", |s| Ok(Call::ReadExecutionInfo { id: s.claimed()?.id })),
            at("lease marked expired", |s| Ok(Call::ReadExecutionInfo { id: s.expired()?.id })),
            at("lease revoked", |s| Ok(Call::ReadExecutionInfo { id: s.revoked()?.id })),
            at("lapsed, renewed in vain", |s| {
                let held = s.lapsed()?;
                s.perform(&renew(&held))?;
                Ok(Call::ReadExecutionInfo { id: held.id })
            }),
            at("reclaimed", |s| Ok(Call::ReadExecutionInfo { id: s.reclaimed()?.1.id })),
            at("completed", |s| Ok(Call::ReadExecutionInfo { id: s.completed()?.id })),
            at("waiting for a retry", |s| Ok(Call::ReadExecutionInfo { id: s.retrying()?.id })),
            at("second attempt", |s| Ok(Call::ReadExecutionInfo { id: second_attempt(s, 2)?.id })),
            at("failed", |s| Ok(Call::ReadExecutionInfo { id: s.failed()?.id })),
            at("cancelled", |s| Ok(Call::ReadExecutionInfo { id: s.cancelled()?.id })),
            at("suspended", |s| Ok(Call::ReadExecutionInfo { id: s.suspended()?.held.id })),
            at("woken by its signal", |s| Ok(Call::ReadExecutionInfo { id: s.woken()?.id })),
            at("delayed by its worker", |s| {
                let held = s.claimed()?;
                let call = delay(s, &held, 60_000)?;
                s.right(call)?;
                Ok(Call::ReadExecutionInfo { id: held.id })
            }),
            at("claimed, expired by its attempt's time", |s| {
                let id = s.claimed()?.id;
                let call = expire(s, id.clone(), ExpirePhase::AttemptTimeout)?;
                s.right(call)?;
                Ok(Call::ReadExecutionInfo { id })
            }),
            at("never claimed, expired by its deadline", |s| {
                let id = s.created()?;
                let call = expire(s, id.clone(), ExpirePhase::ExecutionDeadline)?;
                s.right(call)?;
                Ok(Call::ReadExecutionInfo { id })
            }),
            at("granted", |s| {
                let id = s.created()?;
                s.grant(&id, W, LONG_MS)?;
                Ok(Call::ReadExecutionInfo { id })
            }),
            at("no such execution", |s| Ok(Call::ReadExecutionInfo { id: s.nobody() })),
        ],
    ),
];
