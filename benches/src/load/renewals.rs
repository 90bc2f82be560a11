//! Which renewals were due, and which were not made.
//!
//! The shipped worker renews at every third of a lease's time; a run that is longer than that owes a
//! renewal for each third that it lasted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use claimlab::call::{Answer, Answerer, Call, Caller};
use ff_core::engine_backend::EngineBackend;
use ff_core::handle_codec;
use ff_core::types::LeaseId;
use uuid::Uuid;

/// Renewals of one load.
#[derive(Debug)]
pub(super) struct Renewals {
    lease_ttl_ms: u64,
    /// Whether any can become due; where none can, the backend is left as it is, and a run that lasted longer than it
    /// should owes nothing that nobody would have seen.
    counts: bool,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// Successful ones of leases that stand.
    made: BTreeMap<Uuid, u64>,
    due: u64,
    missed: u64,
}

impl Renewals {
    /// Those of runs that are to take so long.
    pub(super) fn new(lease_ttl_ms: u64, run: Duration) -> Self {
        Self { lease_ttl_ms, counts: due(run, lease_ttl_ms) > 0, counted: Mutex::default() }
    }

    fn made(&self, lease: &LeaseId) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner).made.entry(lease.0).or_default() += 1;
    }

    /// Notes that a run has ended which took so long.
    pub(super) fn ended(&self, lease: &LeaseId, took: Duration) {
        if !self.counts {
            return;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let made = counted.made.remove(&lease.0).unwrap_or_default();
        let due = due(took, self.lease_ttl_ms);
        counted.due += due;
        counted.missed += due.saturating_sub(made);
    }

    pub(super) fn due_and_missed(&self) -> (u64, u64) {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        (counted.due, counted.missed)
    }
}

/// One for each third that was over a while before the run was.
fn due(took: Duration, lease_ttl_ms: u64) -> u64 {
    let third_ms = u128::from((lease_ttl_ms / 3).max(1));
    // What was asked for at the very end may still be on its way.
    let grace_ms = third_ms / 10;
    u64::try_from(took.as_millis().saturating_sub(grace_ms) / third_ms).unwrap_or(u64::MAX)
}

/// The backend whose renewals are counted; where none can become due, the backend as it is.
pub(super) fn counting(backend: &Arc<dyn EngineBackend>, renewals: &Arc<Renewals>) -> Arc<dyn EngineBackend> {
    if !renewals.counts {
        return Arc::clone(backend);
    }
    Arc::new(Caller(Counting { backend: Arc::clone(backend), renewals: Arc::clone(renewals) }))
}

struct Counting {
    backend: Arc<dyn EngineBackend>,
    renewals: Arc<Renewals>,
}

#[async_trait]
impl Answerer for Counting {
    async fn answer(&self, call: Call) -> Answer {
        let lease = match &call {
            Call::Renew { handle } => handle_codec::decode(&handle.opaque).ok().map(|decoded| decoded.payload.lease_id),
            _ => None,
        };
        let answer = call.perform(&*self.backend).await;
        if let (Some(lease), Answer::Renew(Ok(_))) = (lease, &answer) {
            self.renewals.made(&lease);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_owes_a_renewal_for_each_third_of_the_lease_that_it_lasted() {
        let due = |took_ms| due(Duration::from_millis(took_ms), 3_000);
        assert_eq!([due(0), due(1_000), due(1_100), due(2_500), due(9_100)], [0, 0, 1, 2, 9]);
    }

    #[test]
    fn what_was_not_renewed_is_missed() {
        let renewals = Renewals::new(3_000, Duration::from_secs(2));
        let (one, other) = (LeaseId::from_uuid(Uuid::from_u128(1)), LeaseId::from_uuid(Uuid::from_u128(2)));
        renewals.made(&one);
        renewals.ended(&one, Duration::from_millis(2_500));
        renewals.ended(&other, Duration::from_millis(500));
        assert_eq!(renewals.due_and_missed(), (2, 1));
    }

    #[test]
    fn a_short_run_that_lasted_long_owes_nothing_that_nobody_counted() {
        let renewals = Renewals::new(3_000, Duration::ZERO);
        renewals.ended(&LeaseId::from_uuid(Uuid::from_u128(1)), Duration::from_secs(2));
        assert_eq!(renewals.due_and_missed(), (0, 0));
    }
}
