//! One pass of each shipped scanner over every partition (`ff-engine/src/scanner/*.rs`).
//!
//! A pass reads the server's time for each partition, ranges from the head of its index and calls the
//! trait once for each member. Most leave out a member for ten passes whose call failed three times in
//! a row; it keeps its place in the batch.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use claimlab_model::backend::{Due, ModelBackend};
use claimlab_model::port::Server;
use ff_core::backend::ScannerFilter;
use ff_core::contracts::ResetBudgetArgs;
use ff_core::engine_backend::{EngineBackend, ExpirePhase, ReconcileCounts};
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionConfig};
use ff_core::types::{ExecutionId, LaneId, TimestampMs};

use crate::scanner::ScannerKind;

const FAILURES_UNTIL_SKIPPED: u32 = 3;
const PASSES_SKIPPED: u64 = 10;
/// At most so many members of an index in one pass.
const BATCH: u32 = 50;
/// The same for pending waitpoints.
const WAITPOINT_BATCH: u32 = 100;
/// The same for budget resets, and for what retention deletes on a lane.
const RESET_BATCH: u32 = 20;
/// How long the trimmer keeps what has ended, where its own policy says nothing; no setting of the engine changes it
/// (`ff-engine/src/scanner/retention_trimmer.rs`).
pub const RETENTION_MS: u64 = 86_400_000;

/// What a pass came to, as the shipped runner counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members that were acted on.
    pub processed: u32,
    /// What failed.
    pub errors: u32,
}

impl Counts {
    pub(super) const FAILED: Self = Self { processed: 0, errors: 1 };

    pub(super) fn note<T>(&mut self, acted: &Result<T, EngineError>) {
        match acted {
            Ok(_) => self.processed += 1,
            Err(_) => self.errors += 1,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.processed += other.processed;
        self.errors += other.errors;
    }
}

/// A scanner with what it remembers from one pass to the next.
pub struct Scanner<S> {
    kind: ScannerKind,
    /// For the reads that the shipped scanners send on their own client.
    pub(super) reads: Arc<ModelBackend<S>>,
    /// For everything that changes something.
    pub(super) calls: Arc<dyn EngineBackend>,
    pub(super) lanes: Arc<[LaneId]>,
    partitions: PartitionConfig,
    /// At most so many members of anything in one pass, in place of the shipped sizes.
    batch: Option<u32>,
    /// How long the trimmer keeps what has ended.
    retention_ms: u64,
    /// Failures in a row, and the pass until which a member is left out.
    failures: BTreeMap<String, (u32, u64)>,
    passes: u64,
    /// Told of each pass and partition before the scanner looks at it.
    rounds: Option<Rounds>,
}

/// Who is told of each pass and partition.
type Rounds = Box<dyn Fn(u64, u16) + Send + Sync>;

impl<S: Server> Scanner<S> {
    /// A scanner that has not run yet.
    pub fn new(
        kind: ScannerKind,
        reads: Arc<ModelBackend<S>>,
        calls: Arc<dyn EngineBackend>,
        lanes: Arc<[LaneId]>,
        partitions: PartitionConfig,
    ) -> Self {
        Self {
            kind,
            reads,
            calls,
            lanes,
            partitions,
            batch: None,
            retention_ms: RETENTION_MS,
            failures: BTreeMap::new(),
            passes: 0,
            rounds: None,
        }
    }

    /// The same scanner with another batch size for everything; none for the shipped ones.
    #[must_use]
    pub fn with_batch(self, batch: Option<u32>) -> Self {
        Self { batch, ..self }
    }

    /// The same scanner with another time that the trimmer keeps what has ended for, in milliseconds.
    #[must_use]
    pub fn with_retention(self, retention_ms: u64) -> Self {
        Self { retention_ms, ..self }
    }

    /// A batch size, where the shipped one is this.
    pub(super) fn batch(&self, shipped: u32) -> u32 {
        self.batch.unwrap_or(shipped)
    }

    /// The same scanner, which tells somebody of each pass and partition before it looks at it.
    #[must_use]
    pub fn with_rounds(self, rounds: Box<dyn Fn(u64, u16) + Send + Sync>) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// One pass over every partition.
    pub async fn pass(&mut self) -> Counts {
        self.passes += 1;
        let mut counts = Counts::default();
        // The shipped scanner keeps the union for as long as its interval; passes are no closer.
        let mut unions = BTreeMap::new();
        for index in 0..self.kind.partitions(&self.partitions) {
            let partition = Partition { family: self.kind.family(), index };
            self.rounds.iter().for_each(|told| told(self.passes, index));
            counts += match self.kind {
                ScannerKind::PendingWaitpointExpiry => self.close_waitpoints(partition).await,
                ScannerKind::Unblock => self.unblock(partition, &mut unions).await,
                ScannerKind::DependencyReconciler => self.resolve_stale(partition).await,
                ScannerKind::CancelReconciler => self.cancel_members(partition).await,
                ScannerKind::EdgeCancelDispatcher => self.cancel_siblings(partition).await,
                ScannerKind::EdgeCancelReconciler => self.finish_drains(partition).await,
                ScannerKind::IndexReconciler => {
                    let filter = ScannerFilter::default();
                    reconciled(self.calls.reconcile_execution_index(partition, &self.lanes, &filter).await)
                }
                ScannerKind::QuotaReconciler => match self.now().await {
                    Ok(now) => reconciled(self.calls.reconcile_quota_counters(partition, now).await),
                    Err(_) => Counts::FAILED,
                },
                ScannerKind::BudgetReconciler => match self.now().await {
                    Ok(now) => reconciled(self.calls.reconcile_budget_counters(partition, now).await),
                    Err(_) => Counts::FAILED,
                },
                ScannerKind::FlowProjector => self.project(partition).await,
                ScannerKind::RetentionTrimmer => self.trim(partition).await,
                ScannerKind::BudgetReset => self.reset(partition).await.unwrap_or(Counts::FAILED),
                _ => self.act_on_due(partition).await,
            };
        }
        counts
    }

    /// The server's time.
    pub(super) async fn now(&self) -> Result<TimestampMs, EngineError> {
        Ok(TimestampMs(i64::try_from(self.calls.server_time_ms().await?).unwrap_or(i64::MAX)))
    }

    fn indexes(&self) -> Vec<Due> {
        match self.kind {
            ScannerKind::LeaseExpiry => vec![Due::Leases],
            ScannerKind::AttemptTimeout => vec![Due::Attempts],
            ScannerKind::ExecutionDeadline => vec![Due::Deadlines],
            ScannerKind::SuspensionTimeout => vec![Due::Suspensions],
            ScannerKind::DelayedPromoter => self.lanes.iter().cloned().map(Due::Delayed).collect(),
            _ => Vec::new(),
        }
    }

    /// The scanners of what is due by now; an index that cannot be read counts as one error.
    async fn act_on_due(&mut self, partition: Partition) -> Counts {
        let mut counts = Counts::default();
        let Ok(now) = self.now().await else { return Counts::FAILED };
        for due in self.indexes() {
            let Ok(members) = self.reads.due(partition.index, &due, Some(now.0), self.batch(BATCH)).await else {
                counts.errors += 1;
                continue;
            };
            for id in members {
                if self.is_skipped(id.as_str()) {
                    continue;
                }
                let acted = self.act(partition, &due, &id, now).await;
                counts.note(&acted);
                self.remember(id.as_str(), acted.is_err());
            }
        }
        counts
    }

    async fn act(
        &self,
        partition: Partition,
        due: &Due,
        id: &ExecutionId,
        now: TimestampMs,
    ) -> Result<(), EngineError> {
        match due {
            Due::Attempts => self.calls.expire_execution(partition, id, ExpirePhase::AttemptTimeout, now).await,
            Due::Deadlines => self.calls.expire_execution(partition, id, ExpirePhase::ExecutionDeadline, now).await,
            Due::Suspensions => self.calls.expire_suspension(partition, id, now).await,
            Due::Delayed(lane) => self.calls.promote_delayed(partition, lane, id, now).await,
            _ => self.calls.mark_lease_expired_if_due(partition, id).await,
        }
    }

    /// Closes waitpoints that no suspension came for; one without an owner is passed over.
    async fn close_waitpoints(&mut self, partition: Partition) -> Counts {
        let Ok(now) = self.now().await else { return Counts::FAILED };
        let Ok(members) = self.reads.lapsed_waitpoints(partition.index, now.0, self.batch(WAITPOINT_BATCH)).await
        else {
            return Counts::FAILED;
        };
        let mut counts = Counts::default();
        for waitpoint in members {
            let member = waitpoint.to_string();
            if self.is_skipped(&member) {
                continue;
            }
            let Ok(Some(owner)) = self.reads.waitpoint_owner(partition.index, &waitpoint).await else { continue };
            let closed = self.calls.close_waitpoint(partition, &owner, &member, now).await;
            counts.note(&closed);
            self.remember(&member, closed.is_err());
        }
        counts
    }

    async fn reset(&self, partition: Partition) -> Result<Counts, EngineError> {
        let now = self.now().await?;
        let mut counts = Counts::default();
        for budget_id in self.reads.resets_due(partition.index, now.0, self.batch(RESET_BATCH)).await? {
            counts.note(&self.calls.reset_budget(ResetBudgetArgs { budget_id, now }).await);
        }
        Ok(counts)
    }

    /// Sums up every flow that the index lists. One without members counts neither as acted on nor as an error.
    async fn project(&self, partition: Partition) -> Counts {
        let Ok(now) = self.now().await else { return Counts::FAILED };
        let Ok(flows) = self.reads.listed_flows(partition.index).await else { return Counts::FAILED };
        let mut counts = Counts::default();
        for flow in flows {
            match self.calls.project_flow_summary(partition, &flow, now).await {
                Ok(false) => {}
                acted => counts.note(&acted),
            }
        }
        counts
    }

    /// Deletes what has ended long enough ago, of each lane a batch.
    async fn trim(&self, partition: Partition) -> Counts {
        let Ok(now) = self.now().await else { return Counts::FAILED };
        let mut counts = Counts::default();
        let (batch, filter) = (self.batch(RESET_BATCH), ScannerFilter::default());
        for lane in self.lanes.iter() {
            match self.calls.trim_retention(partition, lane, self.retention_ms, now, batch, &filter).await {
                Ok(trimmed) => counts.processed += trimmed,
                Err(_) => counts.errors += 1,
            }
        }
        counts
    }

    fn is_skipped(&self, member: &str) -> bool {
        self.failures.get(member).is_some_and(|(_, until)| *until > self.passes)
    }

    fn remember(&mut self, member: &str, failed: bool) {
        if !failed {
            self.failures.remove(member);
            return;
        }
        let (failures, until) = self.failures.entry(member.to_owned()).or_default();
        *failures += 1;
        if *failures >= FAILURES_UNTIL_SKIPPED {
            *failures = 0;
            *until = self.passes + PASSES_SKIPPED;
        }
    }
}

fn reconciled(counts: Result<ReconcileCounts, EngineError>) -> Counts {
    counts.map_or(Counts::FAILED, |counts| Counts { processed: counts.processed, errors: counts.errors })
}
