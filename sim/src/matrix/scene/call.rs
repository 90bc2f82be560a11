//! What calls are made of: names and plain calls, and those whose arguments need the stage.

use std::collections::BTreeSet;

use ff_core::backend::{FailureClass, FailureReason, ResumeToken};
use ff_core::contracts::*;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::types::*;

use super::{Held, LONG_MS, Parked, Probe, Scene, Stop, W};
use crate::call::Call;

impl Scene<'_> {
    /// Arguments for a claim grant.
    pub fn grant_args(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Result<IssueClaimGrantArgs, Stop> {
        let (worker, instance) = who(worker);
        let now = self.now()?;
        Ok(IssueClaimGrantArgs::new(id.clone(), lane(), worker, instance, partition(), BTreeSet::new(), ttl_ms, now))
    }

    /// A claim with whatever grant there is.
    pub fn claim_call(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Probe {
        let (worker, instance) = who(worker);
        let args = ClaimExecutionArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            LeaseId::from_uuid(self.uuid()),
            ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            AttemptIndex::new(0),
            "{}".into(),
            None,
            None,
            self.now()?,
        );
        Ok(Call::ClaimExecution { args })
    }

    /// A claim of an interrupted attempt.
    pub fn resume_call(&mut self, id: &ExecutionId, worker: &str) -> Probe {
        let (worker_id, worker_instance_id) = who(worker);
        let args = ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id,
            worker_instance_id,
            lane_id: lane(),
            lease_id: LeaseId::from_uuid(self.uuid()),
            lease_ttl_ms: LONG_MS,
            current_attempt_index: AttemptIndex::new(0),
            remaining_attempt_timeout_ms: None,
            now: self.now()?,
        };
        Ok(Call::ClaimResumedExecution { args })
    }

    /// A reclaim grant.
    pub fn reclaim_grant_call(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Probe {
        let (worker, instance) = who(worker);
        let now = self.now()?;
        let args = IssueReclaimGrantArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            None,
            ttl_ms,
            None,
            None,
            BTreeSet::new(),
            now,
        );
        Ok(Call::IssueReclaimGrant { args })
    }

    /// A reclaim with whatever grant there is.
    pub fn reclaim_call(&mut self, old: &Held, worker: &str, cap: Option<u32>) -> Call {
        self.reclaim_call_for(old, worker, cap, LONG_MS)
    }

    pub(super) fn reclaim_call_for(&mut self, old: &Held, worker: &str, cap: Option<u32>, ttl_ms: u64) -> Call {
        let (worker, instance) = who(worker);
        let args = ReclaimExecutionArgs::new(
            old.id.clone(),
            worker,
            instance,
            lane(),
            None,
            LeaseId::from_uuid(self.uuid()),
            ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            "{}".into(),
            cap,
            who(W).1,
            old.attempt,
        );
        Call::ReclaimExecution { args }
    }

    /// A completion under a fence, or under none by a source.
    pub fn complete_call(&mut self, held: &Held, fence: Option<LeaseFence>, source: CancelSource) -> Probe {
        let args = CompleteExecutionArgs {
            execution_id: held.id.clone(),
            fence,
            attempt_index: held.attempt,
            result_payload: Some(b"out".to_vec()),
            result_encoding: None,
            source,
            now: self.now()?,
        };
        Ok(Call::CompleteExecution { args })
    }

    /// An operator's cancellation.
    pub fn cancel_call(&mut self, id: &ExecutionId) -> Probe {
        let args = CancelExecutionArgs {
            execution_id: id.clone(),
            reason: "reason".into(),
            source: CancelSource::OperatorOverride,
            lease_id: None,
            lease_epoch: None,
            attempt_id: None,
            now: self.now()?,
        };
        Ok(Call::CancelExecution { args })
    }

    /// A replay.
    pub fn replay(&mut self, id: &ExecutionId) -> Probe {
        Ok(Call::ReplayExecution { args: ReplayExecutionArgs { execution_id: id.clone(), now: self.now()? } })
    }

    /// Arguments to wait for the signal `go`.
    pub fn suspend_args(&mut self) -> Result<SuspendArgs, Stop> {
        let matcher = SignalMatcher::ByName("go".into());
        self.suspend_args_on(ResumeCondition::Single { waitpoint_key: "wp".into(), matcher })
    }

    /// Arguments to wait on a condition, with one fresh waitpoint `wp`.
    pub fn suspend_args_on(&mut self, condition: ResumeCondition) -> Result<SuspendArgs, Stop> {
        let waitpoint_id = WaitpointId::from_uuid(self.uuid());
        Ok(SuspendArgs::new(
            SuspensionId::from_uuid(self.uuid()),
            WaitpointBinding::Fresh { waitpoint_id, waitpoint_key: "wp".into() },
            condition,
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            self.now()?,
        ))
    }

    /// A signal by name with the right token.
    pub fn signal(&mut self, parked: &Parked, name: &str) -> Probe {
        Ok(Call::DeliverSignal { args: self.signal_args(parked, name)? })
    }

    /// Arguments of a signal by name with the right token.
    pub fn signal_args(&mut self, parked: &Parked, name: &str) -> Result<DeliverSignalArgs, Stop> {
        Ok(DeliverSignalArgs {
            execution_id: parked.held.id.clone(),
            waitpoint_id: parked.waitpoint.clone(),
            signal_id: SignalId::from_uuid(self.uuid()),
            signal_name: name.into(),
            signal_category: "category".into(),
            source_type: "source".into(),
            source_identity: "matrix".into(),
            payload: None,
            payload_encoding: None,
            correlation_id: None,
            idempotency_key: None,
            target_scope: "waitpoint".into(),
            created_at: None,
            dedup_ttl_ms: None,
            resume_delay_ms: None,
            max_signals_per_execution: None,
            signal_maxlen: None,
            waitpoint_token: parked.token.clone(),
            now: self.now()?,
        })
    }
}

/// The one lane.
pub fn lane() -> LaneId {
    LaneId::new("default")
}

/// The one partition.
pub fn partition() -> Partition {
    Partition { family: PartitionFamily::Execution, index: 0 }
}

/// The one partition by its key.
pub fn partition_key() -> PartitionKey {
    PartitionKey::from(&partition())
}

/// A worker and its instance.
pub fn who(worker: &str) -> (WorkerId, WorkerInstanceId) {
    (WorkerId::new(worker), WorkerInstanceId::new(format!("{worker}-1")))
}

/// A policy of so many retries after 20 ms each.
pub fn retries(max_retries: u32) -> ExecutionPolicy {
    let backoff = BackoffStrategy::Fixed { delay_ms: 20 };
    let retry_policy = Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() });
    ExecutionPolicy { retry_policy, ..ExecutionPolicy::default() }
}

/// A policy that requires a capability.
pub fn requires(capability: &str) -> ExecutionPolicy {
    let required_capabilities = BTreeSet::from([capability.to_owned()]);
    let routing = RoutingRequirements { required_capabilities, ..RoutingRequirements::default() };
    ExecutionPolicy { routing_requirements: Some(routing), ..ExecutionPolicy::default() }
}

/// A set of one capability.
pub fn able(capability: &str) -> BTreeSet<String> {
    BTreeSet::from([capability.to_owned()])
}

/// The fence of another epoch.
pub fn other_epoch(held: &Held) -> LeaseFence {
    LeaseFence { lease_epoch: LeaseEpoch::new(held.fence.lease_epoch.0 + 1), ..held.fence.clone() }
}

/// Renewal by handle.
pub fn renew(held: &Held) -> Call {
    Call::Renew { handle: held.handle.clone() }
}

/// Completion by handle.
pub fn complete(held: &Held) -> Call {
    Call::Complete { handle: held.handle.clone(), payload: Some(b"out".to_vec()) }
}

/// Failure by handle.
pub fn fail(held: &Held) -> Call {
    fail_as(held, FailureClass::Transient)
}

/// Failure by handle that no backend retries without a policy.
pub fn fail_for_good(held: &Held) -> Call {
    fail_as(held, FailureClass::Permanent)
}

fn fail_as(held: &Held, class: FailureClass) -> Call {
    Call::Fail { handle: held.handle.clone(), reason: FailureReason::new("reason"), class }
}

/// Cancellation by handle.
pub fn cancel(held: &Held) -> Call {
    Call::Cancel { handle: held.handle.clone(), reason: "reason".into() }
}

/// Progress by handle.
pub fn progress(held: &Held) -> Call {
    Call::Progress { handle: held.handle.clone(), percent: Some(50), message: None }
}

/// The mark of a lease that is past its time.
pub fn mark(id: &ExecutionId) -> Call {
    Call::MarkLeaseExpiredIfDue { partition: partition(), id: id.clone() }
}

/// Revocation of `w`'s lease.
pub fn revoke(id: &ExecutionId) -> Call {
    revoke_expecting(id, None)
}

/// Revocation of `w`'s lease if it is the expected one.
pub fn revoke_expecting(id: &ExecutionId, expected: Option<&LeaseId>) -> Call {
    let args = RevokeLeaseArgs {
        execution_id: id.clone(),
        expected_lease_id: expected.map(ToString::to_string),
        worker_instance_id: who(W).1,
        reason: "reason".into(),
    };
    Call::RevokeLease { args }
}

/// A renewal under a fence.
pub fn renew_lease(held: &Held, fence: Option<LeaseFence>) -> Call {
    let args = RenewLeaseArgs {
        execution_id: held.id.clone(),
        attempt_index: held.attempt,
        fence,
        lease_ttl_ms: LONG_MS,
        lease_history_grace_ms: 5_000,
    };
    Call::RenewLease { args }
}

/// A claim with a resume grant that was made up: its key and times are looked at by nobody.
pub fn claim_by_resume_grant(id: &ExecutionId) -> Call {
    let (worker, instance) = who(W);
    let grant = ResumeGrant::new(id.clone(), partition_key(), "grant".into(), u64::MAX, lane());
    Call::ClaimFromResumeGrant { token: ResumeToken::new(grant, worker, instance, 30_000) }
}
