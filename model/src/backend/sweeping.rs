//! The reads that the engine's sweeping scanners send themselves: what blocked executions wait for
//! (`ff-engine/src/scanner/unblock.rs`), dependencies whose upstream has ended, budgets that are due
//! for a reset, and cancels that flows owe.

use std::collections::BTreeMap;

use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, execution_partition};
use ff_core::state::{LifecyclePhase, TerminalOutcome};
use ff_core::types::{AttemptIndex, BudgetId, EdgeId, ExecutionId, FlowId, QuotaPolicyId};

use super::ModelBackend;
use super::error;
use crate::message::{Answered, Command, FlowFound, FlowPlace, FlowRead};
use crate::port::Server;
use crate::spelling::word;

/// A group of edges whose remaining siblings are to be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedGroup {
    /// The flow.
    pub flow: FlowId,
    /// Whose inbound edges.
    pub downstream: ExecutionId,
}

impl<S: Server> ModelBackend<S> {
    /// Whether no attached budget keeps an execution blocked; `known` says which budgets
    /// are breached.
    ///
    /// The shipped scanner asks for the limits as a list, which its library refuses to make of a map with
    /// anything in it, and takes what it cannot read for breached: a budget with limits never clears.
    pub async fn budget_cleared(
        &self,
        partition: Partition,
        id: &ExecutionId,
        known: &mut BTreeMap<String, bool>,
    ) -> bool {
        // A field that cannot be read counts as none.
        let attached = self.text(Command::BudgetIds(self.place(partition, id))).await.ok().flatten();
        for name in attached.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !known.contains_key(name) {
                let cleared = match BudgetId::parse(name) {
                    Ok(budget) => {
                        let limits = self.hash(Command::BudgetLimits(self.budget_place(&budget))).await;
                        limits.is_ok_and(|limits| limits.is_empty())
                    }
                    Err(_) => true,
                };
                known.insert(name.to_owned(), !cleared);
            }
            if known.get(name) == Some(&true) {
                return false;
            }
        }
        true
    }

    /// Whether an attached quota policy has room again; what cannot be read has none.
    ///
    /// The window that is trimmed and counted is not the one that the scheduler's admissions are in.
    pub async fn quota_cleared(&self, partition: Partition, id: &ExecutionId) -> Result<bool, EngineError> {
        let attached = self.text(Command::QuotaPolicyId(self.place(partition, id))).await?.unwrap_or_default();
        let Ok(policy) = QuotaPolicyId::parse(&attached) else { return Ok(true) };
        let place = self.quota_place(&policy);
        let Some(defined) = self.quota_definition(place).await? else { return Ok(true) };
        if defined.max_requests_per_window > 0 {
            let now_ms = self.time().await?;
            let up_to_ms = now_ms.saturating_sub(defined.window_seconds.wrapping_mul(1000));
            let _ = self.command(Command::TrimWindow { place, up_to_ms }).await;
            let count = match self.command(Command::WindowCount(place)).await {
                Ok(Answered::Count(count)) => count.cast_unsigned(),
                _ => 0,
            };
            if count >= defined.max_requests_per_window {
                return Ok(false);
            }
        }
        if defined.max_concurrent > 0 {
            // A counter that does not exist is no number to the client, and counts as 0.
            let active = self.text(Command::Concurrency(place)).await.ok().flatten();
            let active: i64 = active.and_then(|text| text.parse().ok()).unwrap_or(0);
            if active.cast_unsigned() >= defined.max_concurrent {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The edges that an execution still waits for; none where they cannot be read.
    pub async fn unresolved(&self, partition: Partition, id: &ExecutionId) -> Vec<EdgeId> {
        self.edge_ids(FlowRead::Unresolved(self.place(partition, id))).await.unwrap_or_default()
    }

    /// Whose end an edge waits for.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn upstream(
        &self,
        partition: Partition,
        id: &ExecutionId,
        edge: &EdgeId,
    ) -> Result<Option<ExecutionId>, EngineError> {
        let found = self.read_flow(FlowRead::Upstream(self.place(partition, id), edge.clone())).await?;
        Ok(self.first(found))
    }

    /// How an execution ended; none while it has not, and where it cannot be read.
    pub async fn ended(&self, id: &ExecutionId) -> Option<&'static str> {
        let partition = execution_partition(id, &self.partitions);
        let hash = self.core_hash(self.place(partition, id)).await.ok()??;
        let vector = &hash.core.vector;
        let ended =
            vector.lifecycle_phase == LifecyclePhase::Terminal && vector.terminal_outcome != TerminalOutcome::None;
        ended.then(|| word(vector.terminal_outcome))
    }

    /// An execution's current attempt, 0 for none, and its flow: two reads.
    ///
    /// # Errors
    /// A transport fault when the server did not answer the first.
    pub async fn attempt_and_flow(&self, id: &ExecutionId) -> Result<(AttemptIndex, Option<FlowId>), EngineError> {
        let attempt = self.core(id).await?.and_then(|view| view.attempt_index).unwrap_or(AttemptIndex::new(0));
        let flow = self.core(id).await.ok().flatten().and_then(|view| view.flow);
        Ok((attempt, flow))
    }

    /// The first budgets of a partition that are due for a reset.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn resets_due(&self, partition: u16, up_to_ms: i64, limit: u32) -> Result<Vec<BudgetId>, EngineError> {
        match self.command(Command::BudgetResets { partition, up_to_ms, limit }).await? {
            Answered::Ids(budgets) => Ok(budgets.into_iter().map(BudgetId::from_uuid).collect()),
            other => Err(error::unanswerable(&other)),
        }
    }

    /// The first flows of a partition whose members are still owed a cancel after the grace.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn cancels_due(&self, partition: u16, up_to_ms: i64, limit: u32) -> Result<Vec<FlowId>, EngineError> {
        match self.read_flow(FlowRead::CancelBacklog { partition, up_to_ms, limit }).await? {
            FlowFound::Flows(flows) => Ok(flows),
            _ => Ok(Vec::new()),
        }
    }

    /// The members that a flow owes a cancel, and why it was cancelled.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn owed_cancels(
        &self,
        partition: u16,
        flow: &FlowId,
    ) -> Result<(Vec<ExecutionId>, Option<String>), EngineError> {
        let place = FlowPlace { flow: flow.clone(), partition };
        let members = match self.read_flow(FlowRead::PendingCancels(place)).await? {
            FlowFound::Executions(members) => members,
            _ => Vec::new(),
        };
        let reason = match self.read_flow(FlowRead::Cores(partition, vec![flow.clone()])).await? {
            FlowFound::Cores(mut cores) => cores.pop().flatten().and_then(|core| core.cancelled),
            _ => None,
        };
        let ids = self.server.ids();
        let members = members.into_iter().map(|number| ids.execution_id(number).clone()).collect();
        Ok((members, reason.map(|cancelled| cancelled.reason)))
    }

    /// The groups of a partition whose remaining siblings somebody must cancel.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn owed_groups(&self, partition: u16) -> Result<Vec<OwedGroup>, EngineError> {
        let found = self.read_flow(FlowRead::PendingGroups(partition)).await?;
        let FlowFound::Groups(groups) = found else { return Ok(Vec::new()) };
        let ids = self.server.ids();
        let owed = |(flow, number)| OwedGroup { flow, downstream: ids.execution_id(number).clone() };
        Ok(groups.into_iter().map(owed).collect())
    }

    /// The siblings that a group's cancels are for and the reason that goes with them; none where the
    /// group has no mark of any.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn owed_siblings(
        &self,
        partition: u16,
        owed: &OwedGroup,
    ) -> Result<Option<(Vec<ExecutionId>, Option<&'static str>)>, EngineError> {
        let place = FlowPlace { flow: owed.flow.clone(), partition };
        let found = self.read_flow(FlowRead::Group(place, self.number(&owed.downstream))).await?;
        let FlowFound::Group(Some(group)) = found else { return Ok(None) };
        let Some(siblings) = group.cancel_pending else { return Ok(None) };
        let ids = self.server.ids();
        let siblings = siblings.into_iter().map(|number| ids.execution_id(number).clone()).collect();
        Ok(Some((siblings, group.cancel_reason)))
    }

    fn first(&self, found: FlowFound) -> Option<ExecutionId> {
        let FlowFound::Executions(found) = found else { return None };
        let ids = self.server.ids();
        found.first().map(|number| ids.execution_id(*number).clone())
    }
}
