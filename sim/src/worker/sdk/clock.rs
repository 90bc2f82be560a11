//! The wall clock of a shipped worker: its party's own.
//!
//! The worker reads the process's clock, which is one for all parties of a run and stands still. It does
//! so when one of its functions is entered, and sends what it read as `now` (`ff-sdk/src/worker.rs`,
//! `claim_next_via_backend` and `claim_from_grant`; `ff-sdk/src/task.rs`, `suspend`). So who enters a
//! function notes what the party's clock shows then, and that takes the place of every such `now` on its
//! way out. Of what comes in, the worker compares only a reclaim grant's expiry with its clock; that
//! is moved by as much as the two clocks differ.

use std::cell::Cell;
use std::future::Future;

use ff_core::types::TimestampMs;

use crate::call::Call;
use crate::world::Party;

tokio::task_local! {
    static ENTERED: Cell<TimestampMs>;
}

/// Runs a function of the shipped worker.
pub(super) async fn entered<T>(party: &Party, function: impl Future<Output = T>) -> T {
    ENTERED.scope(Cell::new(party.now().to_wire()), function).await
}

/// The shipped worker has entered the next of its functions by itself: `claim_via_server`, when the
/// scheduler has answered, enters `claim_from_grant`.
pub(super) fn entered_next(party: &Party) {
    // Outside of any function there is nothing to note.
    let _ = ENTERED.try_with(|entered| entered.set(party.now().to_wire()));
}

/// A time that the worker will compare with the process's clock, moved so that it compares as with the
/// party's.
pub(super) fn as_of_process(party: &Party, time_ms: u64) -> u64 {
    // What the shipped function will read: a run's process has one clock, which stands still.
    #[allow(clippy::disallowed_methods)]
    let by = i128::from(TimestampMs::now().0) - i128::from(party.now().ms());
    u64::try_from((i128::from(time_ms) + by).max(0)).unwrap_or(u64::MAX)
}

/// Replaces what the worker has read off the process's clock. What the application calls by itself has
/// the party's own time already.
pub(super) fn set_now(call: &mut Call) {
    let Ok(now) = ENTERED.try_with(Cell::get) else { return };
    match call {
        Call::IssueClaimGrant { args } => args.now = now,
        Call::BlockRoute { args } => args.now = now,
        Call::ClaimExecution { args } => args.now = now,
        Call::ClaimResumedExecution { args } => args.now = now,
        Call::Suspend { args, .. } => args.now = now,
        Call::IssueReclaimGrant { args } => args.now = now,
        Call::DeliverSignal { args } => {
            args.now = now;
            args.created_at = args.created_at.map(|_| now);
        }
        _ => {}
    }
}
