//! Claiming without a scheduler, and the typed counterparts of the handle's calls.

use std::collections::BTreeSet;

use ff_core::backend::{CapabilitySet, ClaimPolicy, Handle, HandleKind};
use ff_core::contracts::{
    ClaimGrantOutcome, FailExecutionArgs, FailExecutionResult, IssueGrantAndClaimArgs, RenewLeaseArgs, RenewLeaseResult,
};
use ff_core::engine_backend::validate_tag_key;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::error::ErrorClass;
use ff_core::policy::{BackoffStrategy, RetryPolicy};
use ff_core::types::{
    AttemptId, AttemptIndex, CancelSource, ExecutionId, LaneId, LeaseId, TimestampMs, WorkerId, WorkerInstanceId,
};
use serde_json::Value;

use super::ModelBackend;
use super::claiming::leased;
use super::error::{self, during};
use super::handle::seal;
use crate::message::{
    Claim, Done, HandleFields, IssueGrant, IssueGrantAndClaim, Message, Place, Refusal, Reply, Script, Taker,
};
use crate::port::Server;
use crate::store::IndexKey;

/// How long the grant of a claim may be consumed.
const CLAIM_GRANT_TTL_MS: u64 = 5_000;
/// Who an operator's claim is made for.
const OPERATOR: &str = "operator";

impl<S: Server> ModelBackend<S> {
    /// Grants and claims the best eligible execution of the first partition where that works.
    ///
    /// Partitions follow in order from 0, all of them; the policy's longest wait is ignored. A refusal that
    /// could pass by itself moves on to the next partition, and leaves the grant behind where only the claim
    /// was refused. Any other refusal ends the call.
    pub(super) async fn claim_best(
        &self,
        lane: &LaneId,
        capabilities: &CapabilitySet,
        policy: &ClaimPolicy,
    ) -> Result<Option<Handle>, EngineError> {
        let tokens: BTreeSet<String> = capabilities.tokens.iter().cloned().collect();
        for partition in 0..self.partitions.num_flow_partitions {
            if let Some(handle) = self.claim_in(partition, lane, &tokens, policy).await? {
                return Ok(Some(handle));
            }
        }
        Ok(None)
    }

    async fn claim_in(
        &self,
        partition: u16,
        lane: &LaneId,
        capabilities: &BTreeSet<String>,
        policy: &ClaimPolicy,
    ) -> Result<Option<Handle>, EngineError> {
        let (lane_no, worker, instance) = {
            let mut ids = self.server.ids();
            (ids.lane(lane), ids.worker(&policy.worker_id), ids.instance(&policy.worker_instance_id))
        };
        let best = Message::Range { partition, key: IndexKey::Eligible(lane_no), up_to_ms: None, limit: 1 };
        let execution = match self.ask(best).await? {
            Reply::Members(members) => match members.first() {
                Some((_, execution)) => *execution,
                None => return Ok(None),
            },
            other => return Err(error::unexpected(&other)),
        };
        match self.ask(Message::Required(execution)).await? {
            Reply::Required(required) if required.iter().all(|token| capabilities.contains(token)) => {}
            Reply::Required(_) => return Ok(None),
            other => return Err(error::unexpected(&other)),
        }
        let grant = Script::IssueClaimGrant(Box::new(IssueGrant {
            place: Place { execution, partition },
            lane: lane_no,
            worker,
            instance,
            capabilities: capabilities.clone(),
            ttl_ms: CLAIM_GRANT_TTL_MS,
        }));
        if let Err(refusal) = self.run(grant).await? {
            return pass(without_detail(refusal));
        }
        // Only names keys that the script does not use.
        self.ask(Message::Core(execution)).await?;
        let ttl_ms = u64::from(policy.lease_ttl_ms);
        let lease_id = LeaseId::from_uuid(self.server.mint("lease", execution));
        let attempt_id = AttemptId::from_uuid(self.server.mint("attempt", execution));
        let claim = Script::Claim(Box::new(Claim {
            taker: Taker { execution, worker, instance, lane: lane_no, lease_id, ttl_ms },
            attempt_id,
            attempt_timeout_ms: None,
            deadline_at: None,
        }));
        let lease = match self.run(claim).await? {
            Ok(done) => leased(done)?,
            Err(refusal) => return pass(refusal),
        };
        let id = self.server.ids().execution_id(execution).clone();
        let instance = policy.worker_instance_id.clone();
        Ok(Some(seal(HandleKind::Fresh, id, &lease, ttl_ms, lane.clone(), instance)))
    }

    pub(super) async fn grant_and_claim(&self, args: IssueGrantAndClaimArgs) -> Result<ClaimGrantOutcome, EngineError> {
        let execution = self.number(&args.execution_id);
        let lease_id = LeaseId::from_uuid(self.server.mint("lease", execution));
        let attempt_id = AttemptId::from_uuid(self.server.mint("attempt", execution));
        let taker = {
            let mut ids = self.server.ids();
            Taker {
                execution: ids.execution(&args.execution_id),
                worker: ids.worker(&WorkerId::new(OPERATOR)),
                instance: ids.instance(&WorkerInstanceId::new(OPERATOR)),
                lane: ids.lane(&args.lane_id),
                lease_id,
                ttl_ms: args.lease_duration_ms,
            }
        };
        let script = Script::IssueGrantAndClaim(Box::new(IssueGrantAndClaim { taker, attempt_id }));
        let context = during("issue_grant_and_claim: FCALL ff_issue_grant_and_claim");
        let lease = leased(self.run_typed(script).await.map_err(context)?)?;
        Ok(ClaimGrantOutcome::new(lease.fence.lease_id, lease.fence.lease_epoch, lease.attempt_index))
    }

    /// Lane and instance are read first, as for a completion; the retry policy is the caller's.
    pub(super) async fn fail_by_fence(&self, args: FailExecutionArgs) -> Result<FailExecutionResult, EngineError> {
        let id = args.execution_id;
        let view = self.core(&id).await.map_err(during("fail_execution: HMGET exec_core"))?;
        let refused = |kind: ValidationKind, what: &str| EngineError::Validation {
            kind,
            detail: format!("fail_execution: exec_core[{id}].{what}"),
        };
        let Some(view) = view else {
            return Err(refused(ValidationKind::Corruption, "lane_id missing or empty"));
        };
        let Some(instance) = view.instance else {
            let what = "current_worker_instance_id missing — no active lease";
            return Err(refused(ValidationKind::InvalidLeaseForSuspend, what));
        };
        let held = HandleFields {
            execution: self.number(&id),
            attempt_index: args.attempt_index,
            fence: args.fence,
            lane: view.lane,
            instance,
        };
        let script = Script::Fail {
            held,
            reason: args.failure_reason,
            category: args.failure_category,
            retry: retry_policy(&args.retry_policy_json)?,
            overriding: args.source.as_str() == CancelSource::OperatorOverride.as_str(),
        };
        let context = during("fail_execution: FCALL ff_fail_execution");
        match self.run_opaque(script).await.map_err(&context)? {
            Done::RetryScheduled(due) => {
                // The retry is scheduled even where its time has a fraction, which is no integer here.
                let delay_until: i64 = due.to_lua_string().parse().map_err(|unreadable| {
                    context(error::parse("ff_fail_execution", None, format!("bad delay_until: {unreadable}")))
                })?;
                let (delay_until, next_attempt_index) = (TimestampMs(delay_until), AttemptIndex::new(0));
                Ok(FailExecutionResult::RetryScheduled { delay_until, next_attempt_index })
            }
            _ => Ok(FailExecutionResult::TerminalFailed),
        }
    }

    pub(super) async fn renew_by_fence(&self, args: RenewLeaseArgs) -> Result<RenewLeaseResult, EngineError> {
        let held = HandleFields {
            execution: self.number(&args.execution_id),
            attempt_index: args.attempt_index,
            fence: args.fence,
            // A renewal touches no key of a lane or an instance.
            lane: self.default_lane(),
            instance: self.server.ids().instance(&WorkerInstanceId::new("")),
        };
        let script = Script::Renew { held, ttl_ms: args.lease_ttl_ms, grace_ms: args.lease_history_grace_ms };
        match self.run_opaque(script).await.map_err(during("renew_lease: FCALL ff_renew_lease"))? {
            Done::Renewed(expires_at) => Ok(RenewLeaseResult::Renewed { expires_at: expires_at.to_wire() }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn set_tag(&self, id: &ExecutionId, key: &str, value: &str) -> Result<(), EngineError> {
        validate_tag_key(key)?;
        let script = Script::SetTags { execution: self.number(id), tags: vec![(key.to_owned(), value.to_owned())] };
        self.run_typed(script).await.map_err(during("set_execution_tag: FCALL ff_set_execution_tags")).map(|_| ())
    }
}

/// A refusal that a claim passes over, or the call's error.
fn pass(refusal: Refusal) -> Result<Option<Handle>, EngineError> {
    let refused = error::typed(refusal);
    match error::class(&refused) {
        ErrorClass::Retryable | ErrorClass::Informational => Ok(None),
        _ => Err(refused),
    }
}

/// A claim looks at the code of a refused grant only.
fn without_detail(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::CapabilityMismatch(_) => Refusal::CapabilityMismatch(String::new()),
        Refusal::InvalidCapabilities(_) => Refusal::InvalidCapabilities(""),
        other => other,
    }
}

/// What the script makes of a retry policy's text: no policy of anything that is not a table, and
/// defaults for what a table lacks.
fn retry_policy(json: &str) -> Result<Option<RetryPolicy>, EngineError> {
    const IRREGULAR: EngineError = EngineError::Unavailable { op: "fail_execution: a number that is no count" };
    let Ok(Value::Object(policy)) = serde_json::from_str(json) else {
        return Ok(None);
    };
    let max_retries = match policy.get("max_retries") {
        None | Some(Value::Bool(false)) => 0,
        Some(value) => count(value).ok_or(IRREGULAR)?,
    };
    let default = BackoffStrategy::Fixed { delay_ms: 1000 };
    let backoff = match policy.get("backoff") {
        None | Some(Value::Bool(false) | Value::Array(_) | Value::String(_)) => default,
        Some(Value::Object(backoff)) => {
            let or = |field: &str, default: u64| match backoff.get(field) {
                None | Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Ok(default),
                Some(value) => count(value).ok_or(IRREGULAR),
            };
            match backoff.get("type").and_then(Value::as_str) {
                Some("fixed") => BackoffStrategy::Fixed { delay_ms: or("delay_ms", 1000)? },
                Some("exponential") => BackoffStrategy::Exponential {
                    initial_delay_ms: or("initial_delay_ms", 1000)?,
                    max_delay_ms: or("max_delay_ms", 60_000)?,
                    multiplier: match backoff.get("multiplier") {
                        Some(Value::Number(number)) => number.as_f64().ok_or(IRREGULAR)?,
                        Some(Value::String(text)) => text.trim().parse().unwrap_or(2.0),
                        _ => 2.0,
                    },
                    jitter: false,
                },
                _ => default,
            }
        }
        Some(_) => return Err(IRREGULAR),
    };
    let max_retries = u32::try_from(max_retries).unwrap_or(u32::MAX);
    Ok(Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() }))
}

fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
