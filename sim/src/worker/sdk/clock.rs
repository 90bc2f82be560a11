//! The wall clock of a shipped worker: its party's own.
//!
//! The worker reads the process's clock, which is one for all parties of a run and stands still. It does
//! so when one of its functions is entered, and sends what it read as `now` (`ff-sdk/src/worker.rs`,
//! `claim_next_via_backend` and `claim_from_grant`; `ff-sdk/src/task.rs`, `suspend`). So who enters a
//! function notes what the party's clock shows then, and that takes the place of every such `now` on its
//! way out. Of what comes in, the worker compares only a reclaim grant's expiry with its clock.

use std::future::Future;

use ff_core::types::TimestampMs;

use crate::call::Call;
use crate::world::Party;

tokio::task_local! {
    static ENTERED: TimestampMs;
}

/// Runs a function of the shipped worker.
pub(super) async fn entered<T>(party: &Party, function: impl Future<Output = T>) -> T {
    ENTERED.scope(party.now().to_wire(), function).await
}

/// Replaces what the worker has read off the process's clock.
pub(super) fn set_now(call: &mut Call, party: &Party) {
    let now = ENTERED.try_with(|now| *now).unwrap_or_else(|_| party.now().to_wire());
    match call {
        Call::IssueClaimGrant { args } => args.now = now,
        Call::BlockRoute { args } => args.now = now,
        Call::ClaimExecution { args } => args.now = now,
        Call::ClaimResumedExecution { args } => args.now = now,
        Call::Suspend { args, .. } => args.now = now,
        Call::DeliverSignal { args } => {
            args.now = now;
            args.created_at = args.created_at.map(|_| now);
        }
        _ => {}
    }
}
