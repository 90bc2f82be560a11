//! The engine process: the shipped scanners at their shipped intervals and batch sizes.
//!
//! `ff-engine/src/scanner/*.rs`: each loops over all partitions, reads the server's time for each,
//! ranges from the head of its index and calls the trait once for each member. A member whose call
//! fails three times in a row is left out for ten cycles, but keeps its place in the batch.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use claimlab_model::backend::{Due, ModelBackend};
use ff_core::engine_backend::{EngineBackend, ExpirePhase};
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::state::BlockingReason;
use ff_core::types::{ExecutionId, LaneId, TimestampMs};

use crate::worker::{Surroundings, namespace};
use crate::world::Party;

const FAILURES_UNTIL_SKIPPED: u32 = 3;
const CYCLES_SKIPPED: u64 = 10;
const WAITING_FOR_CAPABLE_WORKER: &str = "waiting_for_capable_worker";

/// One kind of scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LeaseExpiry,
    DelayedPromoter,
    AttemptTimeout,
    ExecutionDeadline,
    SuspensionTimeout,
    Unblock,
}

/// Kind, interval in milliseconds, batch.
const SCANNERS: [(Kind, u64, u32); 6] = [
    (Kind::LeaseExpiry, 1_500, 50),
    (Kind::DelayedPromoter, 750, 50),
    (Kind::AttemptTimeout, 2_000, 50),
    (Kind::ExecutionDeadline, 5_000, 50),
    (Kind::SuspensionTimeout, 2_000, 50),
    (Kind::Unblock, 5_000, 100),
];

/// The engine's tasks.
pub fn scanners(party: &Party, surroundings: &Surroundings) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    SCANNERS
        .into_iter()
        .map(|(kind, interval_ms, batch)| {
            let backend = Arc::new(party.backend(surroundings.partitions));
            let calls = party.trait_backend(surroundings.partitions);
            let scanner = Scanner {
                kind,
                batch,
                party: party.clone(),
                reads: backend,
                calls,
                lanes: Arc::clone(&surroundings.lanes),
                partitions: surroundings.partitions.num_flow_partitions,
                failures: BTreeMap::new(),
                cycle: 0,
            };
            let scan: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(scanner.run(interval_ms));
            scan
        })
        .collect()
}

struct Scanner {
    kind: Kind,
    batch: u32,
    party: Party,
    /// For the range reads that the shipped scanners send on their own client.
    reads: Arc<ModelBackend<Party>>,
    /// For everything that changes something.
    calls: Arc<dyn EngineBackend>,
    lanes: Arc<[LaneId]>,
    partitions: u16,
    /// Failures in a row, and the cycle until which a member is left out.
    failures: BTreeMap<String, (u32, u64)>,
    cycle: u64,
}

impl Scanner {
    async fn run(mut self, interval_ms: u64) {
        loop {
            self.cycle += 1;
            let began_us = self.party.timer_us();
            let capabilities = match self.kind {
                Kind::Unblock => self.reads.registered_capabilities(&namespace()).await.ok(),
                _ => None,
            };
            for partition in 0..self.partitions {
                // An error ends the partition's pass only.
                let _ = self.scan(partition, capabilities.as_deref()).await;
            }
            // The interval runs from the start of the pass; a pass that took longer is followed at once.
            let took_us = self.party.timer_us().saturating_sub(began_us);
            self.party.sleep_us((interval_ms * 1_000).saturating_sub(took_us)).await;
        }
    }

    fn indexes(&self) -> Vec<Due> {
        match self.kind {
            Kind::LeaseExpiry => vec![Due::Leases],
            Kind::AttemptTimeout => vec![Due::Attempts],
            Kind::ExecutionDeadline => vec![Due::Deadlines],
            Kind::SuspensionTimeout => vec![Due::Suspensions],
            Kind::DelayedPromoter => self.lanes.iter().cloned().map(Due::Delayed).collect(),
            Kind::Unblock => self.lanes.iter().cloned().map(Due::BlockedByRoute).collect(),
        }
    }

    async fn scan(&mut self, partition: u16, capabilities: Option<&[String]>) -> Result<(), EngineError> {
        let now_ms = i64::try_from(self.calls.server_time_ms().await?).unwrap_or(i64::MAX);
        for due in self.indexes() {
            let up_to_ms = due.is_timed().then_some(now_ms);
            for id in self.reads.due(partition, &due, up_to_ms, self.batch).await? {
                if self.is_skipped(&id) {
                    continue;
                }
                let acted = self.act(partition, &due, &id, TimestampMs(now_ms), capabilities).await;
                self.note(id, acted.is_err());
            }
        }
        Ok(())
    }

    async fn act(
        &self,
        index: u16,
        due: &Due,
        id: &ExecutionId,
        now: TimestampMs,
        capabilities: Option<&[String]>,
    ) -> Result<(), EngineError> {
        let partition = Partition { family: PartitionFamily::Execution, index };
        match due {
            Due::Leases => self.calls.mark_lease_expired_if_due(partition, id).await,
            Due::Attempts => self.calls.expire_execution(partition, id, ExpirePhase::AttemptTimeout, now).await,
            Due::Deadlines => self.calls.expire_execution(partition, id, ExpirePhase::ExecutionDeadline, now).await,
            Due::Suspensions => self.calls.expire_suspension(partition, id, now).await,
            Due::Delayed(lane) => self.calls.promote_delayed(partition, lane, id, now).await,
            Due::BlockedByRoute(lane) => {
                let Some((reason, required)) = self.reads.blocked(id).await? else { return Ok(()) };
                // A union that could not be read counts as everything.
                let capable = capabilities.is_none_or(|union| required.iter().all(|token| union.contains(token)));
                if reason == BlockingReason::WaitingForCapableWorker && capable {
                    self.calls.unblock_execution(partition, lane, id, WAITING_FOR_CAPABLE_WORKER, now).await?;
                }
                Ok(())
            }
        }
    }

    fn is_skipped(&self, id: &ExecutionId) -> bool {
        self.failures.get(id.as_str()).is_some_and(|(_, until)| *until > self.cycle)
    }

    fn note(&mut self, id: ExecutionId, failed: bool) {
        if !failed {
            self.failures.remove(id.as_str());
            return;
        }
        let (failures, until) = self.failures.entry(id.as_str().to_owned()).or_default();
        *failures += 1;
        if *failures >= FAILURES_UNTIL_SKIPPED {
            *failures = 0;
            *until = self.cycle + CYCLES_SKIPPED;
        }
    }
}
