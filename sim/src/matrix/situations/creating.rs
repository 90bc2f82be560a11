//! Situations of creation: an execution is submitted, and lies eligible, delayed or blocked until it can be claimed.

use ff_core::contracts::{CreateExecutionArgs, ScanEligibleArgs};
use ff_core::types::TimestampMs;

use super::super::scene::{LONG_MS, Scene, Stop, fail, lane, partition, requires, retries};
use super::{Family, at, of};
use crate::call::Call;

fn scan() -> Call {
    Call::ScanEligibleExecutions { args: ScanEligibleArgs::new(lane(), partition(), 10) }
}

/// Creates an execution under an idempotency key and gives the creation of another under the same.
fn twice_under(s: &mut Scene<'_>, key: &str) -> Result<Call, Stop> {
    let under = |args| CreateExecutionArgs { idempotency_key: Some(key.into()), ..args };
    let first = under(s.plain()?);
    s.created_with(first)?;
    Ok(Call::CreateExecution { args: under(s.plain()?) })
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "create_execution",
        &[
            at("nothing special", |s| Ok(Call::CreateExecution { args: s.plain()? })),
            at("same id", |s| {
                let args = s.plain()?;
                s.created_with(args.clone())?;
                Ok(Call::CreateExecution { args })
            }),
            at("same id after its end", |s| {
                let args = CreateExecutionArgs { execution_id: s.completed()?.id, ..s.plain()? };
                Ok(Call::CreateExecution { args })
            }),
            at("same idempotency key, other id", |s| twice_under(s, "key")),
            at("empty idempotency key twice", |s| twice_under(s, "")),
            at("due time ahead", |s| {
                let args = CreateExecutionArgs { delay_until: Some(s.in_ms(60_000)?), ..s.plain()? };
                Ok(Call::CreateExecution { args })
            }),
            at("due time past", |s| {
                let args = CreateExecutionArgs { delay_until: Some(s.in_ms(-1_000)?), ..s.plain()? };
                Ok(Call::CreateExecution { args })
            }),
            at("deadline past", |s| {
                let args = CreateExecutionArgs { execution_deadline_at: Some(s.in_ms(-1_000)?), ..s.plain()? };
                Ok(Call::CreateExecution { args })
            }),
            at("priority out of range", |s| {
                Ok(Call::CreateExecution { args: CreateExecutionArgs { priority: 99_999, ..s.plain()? } })
            }),
            at("required capability with a space", |s| {
                let args = CreateExecutionArgs { policy: Some(requires("a b")), ..s.plain()? };
                Ok(Call::CreateExecution { args })
            }),
        ],
    ),
    of(
        "scan_eligible_executions",
        &[
            at("one is claimable", |s| s.created().map(|_| scan())),
            at("none is there", |_| Ok(scan())),
            at("one is granted", |s| s.granted().map(|_| scan())),
            at("one is claimed", |s| s.claimed().map(|_| scan())),
            at("one is delayed", |s| s.delayed().map(|_| scan())),
        ],
    ),
    of(
        "promote_delayed",
        &[
            at("due", |s| {
                let (id, now) = (s.delayed()?, s.in_ms(120_000)?);
                Ok(Call::PromoteDelayed { partition: partition(), lane: lane(), id, now })
            }),
            at("not due", |s| {
                let (id, now) = (s.delayed()?, s.now()?);
                Ok(Call::PromoteDelayed { partition: partition(), lane: lane(), id, now })
            }),
            at("no such execution", |s| {
                let (id, now) = (s.nobody(), s.now()?);
                Ok(Call::PromoteDelayed { partition: partition(), lane: lane(), id, now })
            }),
        ],
    ),
    of(
        "read_execution_state",
        &[
            at("created", |s| Ok(Call::ReadExecutionState { id: s.created()? })),
            at("created with a due time ahead", |s| Ok(Call::ReadExecutionState { id: s.delayed()? })),
            at("created with a due time past", |s| {
                let args = CreateExecutionArgs { delay_until: Some(TimestampMs(s.now()?.0 - 1_000)), ..s.plain()? };
                Ok(Call::ReadExecutionState { id: s.created_with(args)? })
            }),
            at("delayed, promoted before it is due", |s| {
                let (id, now) = (s.delayed()?, s.now()?);
                s.right(Call::PromoteDelayed { partition: partition(), lane: lane(), id: id.clone(), now })?;
                Ok(Call::ReadExecutionState { id })
            }),
            at("delayed, promoted when it is due", |s| {
                let (id, now) = (s.delayed()?, s.in_ms(120_000)?);
                s.right(Call::PromoteDelayed { partition: partition(), lane: lane(), id: id.clone(), now })?;
                Ok(Call::ReadExecutionState { id })
            }),
            at("claimed", |s| Ok(Call::ReadExecutionState { id: s.claimed()?.id })),
            at("lease marked expired", |s| Ok(Call::ReadExecutionState { id: s.expired()?.id })),
            at("lease revoked", |s| Ok(Call::ReadExecutionState { id: s.revoked()?.id })),
            at("reclaimed", |s| Ok(Call::ReadExecutionState { id: s.reclaimed()?.1.id })),
            at("completed", |s| Ok(Call::ReadExecutionState { id: s.completed()?.id })),
            at("failed", |s| Ok(Call::ReadExecutionState { id: s.failed()?.id })),
            at("waiting for a retry", |s| Ok(Call::ReadExecutionState { id: s.retrying()?.id })),
            at("retries used up", |s| {
                let held = s.retrying_under(retries(1))?;
                s.due_again(&held.id)?;
                let held = s.claim(&held.id, LONG_MS)?;
                s.right(fail(&held))?;
                Ok(Call::ReadExecutionState { id: held.id })
            }),
            at("cancelled", |s| Ok(Call::ReadExecutionState { id: s.cancelled()?.id })),
            at("suspended", |s| Ok(Call::ReadExecutionState { id: s.suspended()?.held.id })),
            at("woken by its signal", |s| Ok(Call::ReadExecutionState { id: s.woken()?.id })),
            at("no such execution", |s| Ok(Call::ReadExecutionState { id: s.nobody() })),
        ],
    ),
];
