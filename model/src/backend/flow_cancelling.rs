//! Cancelling flows, and settling what their members are still owed.

use ff_core::backend::{CancelFlowPolicy, CancelFlowWait};
use ff_core::contracts::{CancelFlowArgs, CancelFlowHeader, CancelFlowResult};
use ff_core::engine_backend::{EngineBackend, SiblingCancelReconcileAction, cancel_flow_wait_deadline};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::Partition;
use ff_core::types::{ExecutionId, FlowId};

use super::ModelBackend;
use super::error::{self, during};
use super::flows::flow_script;
use crate::intern::ExecutionNo;
use crate::message::{Done, FlowPlace, FlowScript, Refusal};
use crate::port::Server;

impl<S: Server> ModelBackend<S> {
    /// Ends the flow alone. To wait means to describe it once: it is cancelled when the script answered.
    pub(super) async fn end_flow(
        &self,
        flow: &FlowId,
        policy: CancelFlowPolicy,
        wait: CancelFlowWait,
    ) -> Result<CancelFlowResult, EngineError> {
        // The policy has no text of its own in `ff-core`; the shipped backend spells it by hand as well.
        let policy = match policy {
            CancelFlowPolicy::CancelAll => "cancel_all",
            CancelFlowPolicy::CancelPending => "cancel_pending",
            _ => "flow_only",
        };
        let place = self.flow_place(flow);
        let script = FlowScript::Cancel { place, reason: String::new(), policy: policy.to_owned() };
        let done = self.run_typed(flow_script(script)).await;
        let Done::Cancelled(members) = done.map_err(during("cancel_flow: FCALL ff_cancel_flow"))? else {
            return Err(error::unexpected_done(&Done::Ok("cancel_flow")));
        };
        if cancel_flow_wait_deadline(wait).is_some() {
            self.describe_flow(flow).await?;
        }
        Ok(CancelFlowResult::Cancelled {
            cancellation_policy: policy.to_owned(),
            member_execution_ids: self.names(&members),
        })
    }

    /// For a flow that has ended before, its core and its members are read instead.
    pub(super) async fn end_flow_header(&self, args: CancelFlowArgs) -> Result<CancelFlowHeader, EngineError> {
        let place = self.flow_place(&args.flow_id);
        let policy = args.cancellation_policy;
        let script = FlowScript::Cancel { place: place.clone(), reason: args.reason, policy: policy.clone() };
        let answer = self.run(flow_script(script)).await;
        match answer.map_err(during("cancel_flow_header: FCALL ff_cancel_flow"))? {
            Ok(Done::Cancelled(members)) => Ok(CancelFlowHeader::Cancelled {
                cancellation_policy: policy,
                member_execution_ids: self.names(&members),
            }),
            Ok(other) => Err(error::unexpected_done(&other)),
            Err(Refusal::FlowAlreadyTerminal) => {
                let context =
                    during("cancel_flow_header (AlreadyTerminal): HMGET flow_core cancellation_policy,cancel_reason");
                let cancelled = self.flow_core(&place).await.map_err(context)?.and_then(|core| core.cancelled);
                let context = during("cancel_flow_header (AlreadyTerminal): SMEMBERS flow members");
                let members = self.flow_members(&place).await.map_err(context)?;
                let (policy, reason) = cancelled.map(|cancelled| (cancelled.policy, cancelled.reason)).unzip();
                Ok(CancelFlowHeader::AlreadyTerminal {
                    stored_cancellation_policy: policy.filter(|text| !text.is_empty()),
                    stored_cancel_reason: reason.filter(|text| !text.is_empty()),
                    member_execution_ids: self.names(&members),
                })
            }
            Err(refusal) => Err(EngineError::Validation {
                kind: ValidationKind::InvalidInput,
                detail: format!("ff_cancel_flow failed: {}", refusal.code()),
            }),
        }
    }

    pub(super) async fn acknowledge_cancel(&self, flow: &FlowId, id: &ExecutionId) -> Result<(), EngineError> {
        let script = FlowScript::AckCancel { place: self.flow_place(flow), execution: self.number(id) };
        let context = during("ack_cancel_member: FCALL ff_ack_cancel_member");
        self.run_discarding(flow_script(script)).await.map_err(context)
    }

    pub(super) async fn drain_siblings(
        &self,
        partition: Partition,
        flow: &FlowId,
        downstream: &ExecutionId,
    ) -> Result<(), EngineError> {
        let place = FlowPlace { flow: flow.clone(), partition: partition.index };
        let script = FlowScript::DrainSiblings { place, downstream: self.number(downstream) };
        let context = during("drain_sibling_cancel_group: FCALL ff_drain_sibling_cancel_group");
        self.run_discarding(flow_script(script)).await.map_err(context)
    }

    pub(super) async fn reconcile_siblings(
        &self,
        partition: Partition,
        flow: &FlowId,
        downstream: &ExecutionId,
    ) -> Result<SiblingCancelReconcileAction, EngineError> {
        let place = FlowPlace { flow: flow.clone(), partition: partition.index };
        let script = FlowScript::ReconcileSiblings { place, downstream: self.number(downstream) };
        let context = during("reconcile_sibling_cancel_group: FCALL ff_reconcile_sibling_cancel_group");
        match self.run_typed(flow_script(script)).await.map_err(context)? {
            Done::Ok("sremmed_stale") => Ok(SiblingCancelReconcileAction::SremmedStale),
            Done::Ok("completed_drain") => Ok(SiblingCancelReconcileAction::CompletedDrain),
            Done::Ok(_) => Ok(SiblingCancelReconcileAction::NoOp),
            other => Err(error::unexpected_done(&other)),
        }
    }

    fn names(&self, members: &[ExecutionNo]) -> Vec<String> {
        let ids = self.server.ids();
        members.iter().map(|number| ids.execution_id(*number).to_string()).collect()
    }
}
