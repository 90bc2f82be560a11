//! Creating, granting and claiming.

use ff_core::backend::{Handle, HandleKind, ResumeToken};
use ff_core::contracts::{
    ClaimExecutionArgs, ClaimExecutionResult, ClaimResumedExecutionArgs, ClaimResumedExecutionResult, ClaimedExecution,
    ClaimedResumedExecution, CreateExecutionArgs, CreateExecutionResult, IssueClaimGrantArgs, IssueClaimGrantOutcome,
    IssueReclaimGrantArgs, IssueReclaimGrantOutcome, ReclaimExecutionArgs, ReclaimExecutionOutcome, ReclaimGrant,
};
use ff_core::engine_error::EngineError;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::state::AttemptType;
use ff_core::types::{AttemptIndex, ExecutionId, LeaseId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use super::finishing::lossy;
use super::handle::seal;
use crate::message::{
    Claim, ClaimResumed, Create, Done, IssueGrant, Message, NewLease, Place, Reclaim, Refusal, Reply, Script, Taker,
};
use crate::port::Server;
use crate::store::Submission;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn create(&self, args: CreateExecutionArgs) -> Result<CreateExecutionResult, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            let execution = ids.execution(&args.execution_id);
            Script::Create(Box::new(Create {
                execution,
                name: ids.execution_name(execution).clone(),
                partition: ids.partition(execution),
                submission: Submission {
                    namespace: ids.namespace(&args.namespace),
                    lane: ids.lane(&args.lane_id),
                    kind: args.execution_kind,
                    payload: lossy(args.input_payload),
                    tags: args.tags.into_iter().collect(),
                    policy: args.policy,
                    required: Vec::new(),
                    creator: args.creator_identity,
                    partition_id: args.partition_id,
                },
                priority: args.priority,
                idempotency_key: args.idempotency_key,
                delay_until: args.delay_until,
                deadline_at: args.execution_deadline_at,
            }))
        };
        let context = during("create_execution: FCALL ff_create_execution");
        match self.run_opaque(script).await.map_err(context)? {
            Done::Created(public_state) => {
                Ok(CreateExecutionResult::Created { execution_id: args.execution_id, public_state })
            }
            Done::DuplicateExecution(number) => {
                let execution_id = self.server.ids().execution_id(number).clone();
                Ok(CreateExecutionResult::Duplicate { execution_id })
            }
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn grant_claim(&self, args: IssueClaimGrantArgs) -> Result<IssueClaimGrantOutcome, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            Script::IssueClaimGrant(Box::new(IssueGrant {
                place: Place { execution: ids.execution(&args.execution_id), partition: args.partition.index },
                lane: ids.lane(&args.lane_id),
                worker: ids.worker(&args.worker_id),
                instance: ids.instance(&args.worker_instance_id),
                capabilities: args.worker_capabilities,
                ttl_ms: args.grant_ttl_ms,
            }))
        };
        self.run_typed(script).await.map_err(during("issue_claim_grant: FCALL ff_issue_claim_grant"))?;
        Ok(IssueClaimGrantOutcome::Granted { execution_id: args.execution_id })
    }

    pub(super) async fn claim_fresh(&self, args: ClaimExecutionArgs) -> Result<ClaimExecutionResult, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            Script::Claim(Box::new(Claim {
                taker: Taker {
                    execution: ids.execution(&args.execution_id),
                    worker: ids.worker(&args.worker_id),
                    instance: ids.instance(&args.worker_instance_id),
                    lane: ids.lane(&args.lane_id),
                    lease_id: args.lease_id,
                    ttl_ms: args.lease_ttl_ms,
                },
                attempt_id: args.attempt_id,
                attempt_timeout_ms: args.attempt_timeout_ms,
                deadline_at: args.execution_deadline_at.map(TimestampMs),
            }))
        };
        let done = self.run_typed(script).await.map_err(during("claim_execution: FCALL ff_claim_execution"))?;
        let lease = leased(done)?;
        let handle = seal(
            HandleKind::Fresh,
            args.execution_id.clone(),
            &lease,
            args.lease_ttl_ms,
            args.lane_id,
            args.worker_instance_id,
        );
        Ok(ClaimExecutionResult::Claimed(ClaimedExecution::new(
            args.execution_id,
            lease.fence.lease_id,
            lease.fence.lease_epoch,
            lease.attempt_index,
            lease.fence.attempt_id,
            lease.attempt_type.unwrap_or(AttemptType::Initial),
            lease.expires_at.to_wire(),
            handle,
        )))
    }

    async fn take_resumed(&self, args: &ClaimResumedExecutionArgs) -> Result<NewLease, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            Script::ClaimResumed(Box::new(ClaimResumed {
                taker: Taker {
                    execution: ids.execution(&args.execution_id),
                    worker: ids.worker(&args.worker_id),
                    instance: ids.instance(&args.worker_instance_id),
                    lane: ids.lane(&args.lane_id),
                    lease_id: args.lease_id.clone(),
                    ttl_ms: args.lease_ttl_ms,
                },
                named_attempt: args.current_attempt_index,
                remaining_ms: args.remaining_attempt_timeout_ms,
            }))
        };
        leased(self.run_typed(script).await?)
    }

    pub(super) async fn claim_resumed(
        &self,
        args: ClaimResumedExecutionArgs,
    ) -> Result<ClaimResumedExecutionResult, EngineError> {
        let context = during("claim_resumed_execution: FCALL ff_claim_resumed_execution");
        let lease = self.take_resumed(&args).await.map_err(context)?;
        let handle = seal(
            HandleKind::Resumed,
            args.execution_id.clone(),
            &lease,
            args.lease_ttl_ms,
            args.lane_id,
            args.worker_instance_id,
        );
        Ok(ClaimResumedExecutionResult::Claimed(ClaimedResumedExecution::new(
            args.execution_id,
            lease.fence.lease_id,
            lease.fence.lease_epoch,
            lease.attempt_index,
            lease.fence.attempt_id,
            lease.expires_at.to_wire(),
            handle,
        )))
    }

    /// Pre-reads the attempt index, then continues the attempt; the token's key and expiry are ignored.
    pub(super) async fn claim_by_resume_grant(&self, token: ResumeToken) -> Result<Option<Handle>, EngineError> {
        let context = during("claim_from_resume_grant: FCALL ff_claim_resumed_execution");
        let grant = token.grant;
        let view = self.core(&grant.execution_id).await.map_err(&context)?;
        let index = view.and_then(|view| view.attempt_index).unwrap_or(AttemptIndex::new(0));
        let ttl_ms = u64::from(token.lease_ttl_ms);
        let args = ClaimResumedExecutionArgs {
            execution_id: grant.execution_id.clone(),
            worker_id: token.worker_id,
            worker_instance_id: token.worker_instance_id.clone(),
            lane_id: grant.lane_id.clone(),
            lease_id: LeaseId::from_uuid(self.server.mint("lease", self.number(&grant.execution_id))),
            lease_ttl_ms: ttl_ms,
            current_attempt_index: index,
            remaining_attempt_timeout_ms: None,
            now: TimestampMs(0),
        };
        let lease = self.take_resumed(&args).await.map_err(&context)?;
        let handle =
            seal(HandleKind::Resumed, grant.execution_id, &lease, ttl_ms, grant.lane_id, token.worker_instance_id);
        Ok(Some(handle))
    }

    pub(super) async fn grant_reclaim(
        &self,
        args: IssueReclaimGrantArgs,
    ) -> Result<IssueReclaimGrantOutcome, EngineError> {
        let execution_id = args.execution_id;
        let partition = partition_of(&execution_id);
        let script = {
            let mut ids = self.server.ids();
            Script::IssueReclaimGrant(Box::new(IssueGrant {
                place: Place { execution: ids.execution(&execution_id), partition: partition.index },
                lane: ids.lane(&args.lane_id),
                worker: ids.worker(&args.worker_id),
                instance: ids.instance(&args.worker_instance_id),
                capabilities: args.worker_capabilities,
                ttl_ms: args.grant_ttl_ms,
            }))
        };
        let context = during("issue_reclaim_grant: FCALL ff_issue_reclaim_grant");
        match self.run(script).await.map_err(&context)? {
            Ok(Done::Granted(expires_at)) => {
                let grant_key = ExecKeyContext::new(&partition, &execution_id).claim_grant();
                let expires_at_ms = expires_at.ms().unsigned_abs();
                let key = PartitionKey::from(&partition);
                let grant = ReclaimGrant::new(execution_id, key, grant_key, expires_at_ms, args.lane_id);
                Ok(IssueReclaimGrantOutcome::Granted(grant))
            }
            Ok(other) => Err(error::unexpected_done(&other)),
            Err(Refusal::ExecutionNotReclaimable) => Ok(IssueReclaimGrantOutcome::NotReclaimable {
                execution_id,
                detail: "execution_not_reclaimable".into(),
            }),
            Err(Refusal::CapabilityMismatch(missing)) => Ok(IssueReclaimGrantOutcome::NotReclaimable {
                execution_id,
                detail: format!("capability_mismatch: {missing}"),
            }),
            Err(refusal) => Err(context(error::typed(refusal))),
        }
    }

    pub(super) async fn reclaim(&self, args: ReclaimExecutionArgs) -> Result<ReclaimExecutionOutcome, EngineError> {
        let execution_id = args.execution_id;
        let script = {
            let mut ids = self.server.ids();
            Script::Reclaim(Box::new(Reclaim {
                taker: Taker {
                    execution: ids.execution(&execution_id),
                    worker: ids.worker(&args.worker_id),
                    instance: ids.instance(&args.worker_instance_id),
                    lane: ids.lane(&args.lane_id),
                    lease_id: args.lease_id,
                    ttl_ms: args.lease_ttl_ms,
                },
                attempt_id: args.attempt_id,
                default_cap: args.max_reclaim_count.unwrap_or(1000),
                named_attempt: args.current_attempt_index,
            }))
        };
        let context = during("reclaim_execution: FCALL ff_reclaim_execution");
        match self.run(script).await.map_err(&context)? {
            Ok(done) => {
                let lease = leased(done)?;
                let handle = seal(
                    HandleKind::Reclaimed,
                    execution_id,
                    &lease,
                    args.lease_ttl_ms,
                    args.lane_id,
                    args.worker_instance_id,
                );
                Ok(ReclaimExecutionOutcome::Claimed(handle))
            }
            Err(Refusal::InvalidClaimGrant) => Ok(ReclaimExecutionOutcome::GrantNotFound { execution_id }),
            Err(Refusal::ExecutionNotReclaimable) => {
                Ok(ReclaimExecutionOutcome::NotReclaimable { execution_id, detail: "execution_not_reclaimable".into() })
            }
            Err(Refusal::MaxRetriesExhausted(cap)) => {
                Ok(ReclaimExecutionOutcome::ReclaimCapExceeded { execution_id, reclaim_count: cap })
            }
            Err(refusal) => Err(context(error::typed(refusal))),
        }
    }

    /// One `HGET` or `HMGET` of the core hash.
    pub(super) async fn core(&self, id: &ExecutionId) -> Result<Option<Box<crate::message::CoreView>>, EngineError> {
        match self.ask(Message::Core(self.number(id))).await? {
            Reply::Core(view) => Ok(view),
            other => Err(error::unexpected(&other)),
        }
    }
}

pub(super) fn leased(done: Done) -> Result<NewLease, EngineError> {
    match done {
        Done::Leased(lease) => Ok(*lease),
        other => Err(error::unexpected_done(&other)),
    }
}

/// The partition that an id names; configuration is not consulted.
pub(super) fn partition_of(id: &ExecutionId) -> Partition {
    Partition { family: PartitionFamily::Flow, index: id.partition() }
}
