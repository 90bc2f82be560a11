//! The passes of scanners that look at more than a due time: blocked executions, dependencies that
//! nobody resolved, and cancels that flows and groups still owe.

use std::collections::BTreeMap;

use claimlab_model::backend::{Due, OwedGroup};
use claimlab_model::port::Server;
use ff_core::contracts::{CancelExecutionArgs, ResolveDependencyArgs};
use ff_core::engine_backend::SiblingCancelReconcileAction;
use ff_core::engine_error::{ContentionKind, EngineError};
use ff_core::partition::Partition;
use ff_core::state::BlockingReason;
use ff_core::types::{CancelSource, ExecutionId, FlowId, LaneId, Namespace, TimestampMs};

use super::pass::{Counts, Scanner};

/// At most so many blocked executions of one kind in one pass.
const UNBLOCK_BATCH: u32 = 100;
/// At most so many executions or flows in one pass.
const BATCH: u32 = 50;
/// At most so many edges of one execution in one pass.
const MAX_EDGES: usize = 20;
/// At most so many members of one flow in one pass.
const MAX_MEMBERS: usize = 500;
/// At most so many siblings of one group.
const MAX_SIBLINGS: usize = 1_024;

/// Capabilities of all registered workers of each namespace.
type Unions = BTreeMap<String, Vec<String>>;

/// What becomes of a cancel that is owed.
enum Owed {
    /// There is nothing to cancel any more.
    Settled,
    /// It can never be done; only some of those who owe it strike it off.
    Refused,
    /// It can be tried again.
    Open,
}

impl<S: Server> Scanner<S> {
    /// Budget, quota and route of every lane, in this order. Nothing that fails is left out later.
    pub(super) async fn unblock(&self, partition: Partition, unions: &mut Unions) -> Counts {
        let mut counts = Counts::default();
        let mut budgets = BTreeMap::new();
        for lane in self.lanes.iter() {
            let kinds = [
                (Due::BlockedByBudget(lane.clone()), BlockingReason::WaitingForBudget, "waiting_for_budget"),
                (Due::BlockedByQuota(lane.clone()), BlockingReason::WaitingForQuota, "waiting_for_quota"),
                (
                    Due::BlockedByRoute(lane.clone()),
                    BlockingReason::WaitingForCapableWorker,
                    "waiting_for_capable_worker",
                ),
            ];
            for (due, expected, reason) in kinds {
                let Ok(members) = self.reads.due(partition.index, &due, None, self.batch(UNBLOCK_BATCH)).await else {
                    counts.errors += 1;
                    continue;
                };
                for id in members {
                    let (found, namespace) = match self.reads.blocked(&id).await {
                        Ok(Some(blocked)) => blocked,
                        // A missing core has no namespace, which is an error of its own.
                        Ok(None) | Err(_) => {
                            counts.errors += 1;
                            continue;
                        }
                    };
                    if found != expected {
                        continue;
                    }
                    let cleared = match &due {
                        Due::BlockedByBudget(_) => self.reads.budget_cleared(partition, &id, &mut budgets).await,
                        Due::BlockedByQuota(_) => self.reads.quota_cleared(partition, &id).await.unwrap_or(false),
                        _ => self.is_capable(&id, namespace, unions).await,
                    };
                    if cleared {
                        counts.note(&self.unblock_one(partition, lane, &id, reason).await);
                    }
                }
            }
        }
        counts
    }

    async fn unblock_one(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        reason: &str,
    ) -> Result<(), EngineError> {
        let now = self.now().await?;
        self.calls.unblock_execution(partition, lane, id, reason, now).await
    }

    /// Whether the registered workers of its namespace together can do what an execution needs.
    async fn is_capable(&self, id: &ExecutionId, namespace: Namespace, unions: &mut Unions) -> bool {
        // What it needs counts as nothing where it cannot be read, and a union likewise as everything.
        let required = self.reads.required(id).await.unwrap_or_default();
        if required.is_empty() {
            return true;
        }
        if !unions.contains_key(namespace.as_str()) {
            let Ok(union) = self.reads.registered_capabilities(&namespace).await else { return true };
            unions.insert(namespace.as_str().to_owned(), union);
        }
        let union = unions.get(namespace.as_str()).map_or(&[][..], Vec::as_slice);
        required.iter().all(|token| union.contains(token))
    }

    /// Resolves the edges of blocked executions whose upstream has ended.
    pub(super) async fn resolve_stale(&self, partition: Partition) -> Counts {
        let mut counts = Counts::default();
        let mut ends = BTreeMap::new();
        for lane in self.lanes.iter() {
            let due = Due::BlockedByDependencies(lane.clone());
            let Ok(members) = self.reads.due(partition.index, &due, None, self.batch(BATCH)).await else {
                counts.errors += 1;
                continue;
            };
            for id in members {
                match self.resolve_stale_edges(partition, lane, &id, &mut ends).await {
                    Ok(resolved) => counts.processed += resolved,
                    Err(_) => counts.errors += 1,
                }
            }
        }
        counts
    }

    /// How many were resolved; a call that fails only leaves its edge out.
    async fn resolve_stale_edges(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        ends: &mut BTreeMap<String, Option<&'static str>>,
    ) -> Result<u32, EngineError> {
        let mut resolved = 0;
        for edge in self.reads.unresolved(partition, id).await.into_iter().take(MAX_EDGES) {
            let Some(upstream) = self.reads.upstream(partition, id, &edge).await? else { continue };
            if !ends.contains_key(upstream.as_str()) {
                ends.insert(upstream.as_str().to_owned(), self.reads.ended(&upstream).await);
            }
            let Some(Some(outcome)) = ends.get(upstream.as_str()) else { continue };
            let Ok(now) = self.now().await else { continue };
            let (attempt, flow) = self.reads.attempt_and_flow(id).await?;
            let Some(flow) = flow else { continue };
            let (lane, outcome) = (lane.clone(), (*outcome).to_owned());
            let args =
                ResolveDependencyArgs::new(partition, flow, id.clone(), upstream, edge, lane, attempt, outcome, now);
            if self.calls.resolve_dependency(args).await.is_ok() {
                resolved += 1;
            }
        }
        Ok(resolved)
    }

    /// Cancels the members of cancelled flows that nobody has cancelled within the grace.
    ///
    /// A flow without a core, or without owed members, which the shipped scanner strikes off, is never on
    /// the list here: the scripts keep the two together.
    pub(super) async fn cancel_members(&self, partition: Partition) -> Counts {
        let mut counts = Counts::default();
        let Ok(now) = self.now().await else { return Counts::FAILED };
        let Ok(flows) = self.reads.cancels_due(partition.index, now.0, self.batch(BATCH)).await else {
            return Counts::FAILED;
        };
        for flow in flows {
            let Ok((members, reason)) = self.reads.owed_cancels(partition.index, &flow).await else {
                counts.errors += 1;
                continue;
            };
            let reason = reason.unwrap_or_else(|| "flow_cancelled".to_owned());
            for id in members.into_iter().take(MAX_MEMBERS) {
                counts.note(&self.cancel_member(&flow, &id, &reason).await);
            }
        }
        counts
    }

    async fn cancel_member(&self, flow: &FlowId, id: &ExecutionId, reason: &str) -> Result<(), EngineError> {
        match self.cancel(id, reason).await {
            Owed::Settled | Owed::Refused => self.calls.ack_cancel_member(flow, id).await,
            Owed::Open => Err(EngineError::Unavailable { op: "cancel_execution" }),
        }
    }

    /// Cancels the siblings of groups that are decided, and strikes the groups off.
    pub(super) async fn cancel_siblings(&self, partition: Partition) -> Counts {
        let mut counts = Counts::default();
        let Ok(groups) = self.reads.owed_groups(partition.index).await else { return Counts::FAILED };
        for owed in groups.into_iter().take(BATCH as usize) {
            if self.cancel_group(partition, &owed).await {
                counts.processed += 1;
            }
        }
        counts
    }

    /// Tells whether the group was struck off; what cannot be done now is no error.
    async fn cancel_group(&self, partition: Partition, owed: &OwedGroup) -> bool {
        let Ok(found) = self.reads.owed_siblings(partition.index, owed).await else { return false };
        let (siblings, reason) = found.unwrap_or_default();
        for id in siblings.into_iter().take(MAX_SIBLINGS) {
            match self.cancel(&id, reason.unwrap_or("sibling_quorum_satisfied")).await {
                Owed::Settled => {}
                Owed::Refused | Owed::Open => return false,
            }
        }
        self.calls.drain_sibling_cancel_group(partition, &owed.flow, &owed.downstream).await.is_ok()
    }

    /// Finishes the drains that were left half done.
    pub(super) async fn finish_drains(&self, partition: Partition) -> Counts {
        let mut counts = Counts::default();
        let Ok(groups) = self.reads.owed_groups(partition.index).await else { return Counts::FAILED };
        for owed in groups.into_iter().take(BATCH as usize) {
            match self.calls.reconcile_sibling_cancel_group(partition, &owed.flow, &owed.downstream).await {
                Ok(SiblingCancelReconcileAction::NoOp) => {}
                acted => counts.note(&acted),
            }
        }
        counts
    }

    /// The time goes nowhere: the shipped backend sends none to the script.
    async fn cancel(&self, id: &ExecutionId, reason: &str) -> Owed {
        let args = CancelExecutionArgs {
            execution_id: id.clone(),
            reason: reason.to_owned(),
            source: CancelSource::OperatorOverride,
            lease_id: None,
            lease_epoch: None,
            attempt_id: None,
            now: TimestampMs(0),
        };
        match self.calls.cancel_execution(args).await {
            Ok(_) | Err(EngineError::Contention(ContentionKind::ExecutionNotActive { .. })) => Owed::Settled,
            Err(EngineError::NotFound { .. }) => Owed::Settled,
            Err(EngineError::Validation { .. } | EngineError::Bug(_)) => Owed::Refused,
            Err(_) => Owed::Open,
        }
    }
}
