//! How a step becomes a call, with what the sequence has learnt.
//!
//! Times come from the state: the same steps always give the same calls. Right and wrong arguments are
//! both within reach of every pick, wrong ones near the right ones.

use std::collections::BTreeSet;

use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::backend::*;
use ff_core::contracts::*;
use ff_core::engine_backend::ExpirePhase;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::*;

use super::memory::Memory;
use super::step::{Pick, Step};
use super::value::*;
use crate::call::Call;

/// The times at which something changes by itself.
pub fn boundaries(store: &Store) -> Vec<i64> {
    let mut times = BTreeSet::new();
    for found in store.executions() {
        let core = &found.core;
        times.extend(core.lease_expires_at.map(ServerTime::ms));
        times.extend(core.delay_until.map(|due| due.whole()));
        times.extend(found.grant.as_ref().map(|grant| grant.expires_at.ms()));
        times.extend(found.lease.as_ref().and_then(|lease| lease.key_expires_at).map(ServerTime::ms));
        times.extend(found.suspension.as_ref().and_then(|open| open.timeout_at).map(|at| at.0));
        times.extend(found.suspend_done.iter().map(|(_, until, _)| until.ms()));
    }
    times.into_iter().collect()
}

impl Memory {
    /// The call of a step; none for a step of the clock.
    pub fn call(&mut self, step: &Step, now: ServerTime) -> Option<Call> {
        Some(match *step {
            Step::Wait { .. }
            | Step::ToBoundary { .. }
            | Step::Back { .. }
            | Step::Approach { .. }
            | Step::Link { .. } => return None,
            Step::Create { execution: of, lane: on, priority, key, delay, deadline, policy: under, text: with } => {
                let id = execution(of);
                Call::CreateExecution {
                    args: CreateExecutionArgs {
                        partition_id: id.partition(),
                        execution_id: id,
                        namespace: Namespace::new(if key % 7 == 6 { "ns2" } else { "ns" }),
                        lane_id: lane(on),
                        execution_kind: "kind".into(),
                        input_payload: if with % 3 == 0 { Vec::new() } else { text(with).into_bytes() },
                        payload_encoding: None,
                        priority,
                        creator_identity: "creator".into(),
                        idempotency_key: [None, None, Some(""), Some("k1"), Some("k2")][usize::from(key % 5)]
                            .map(str::to_owned),
                        tags: match with % 3 {
                            0 => [].into(),
                            1 => [("a.b".to_owned(), text(with))].into(),
                            _ => [("a.b".to_owned(), "1".to_owned()), ("c.d".to_owned(), "日本".to_owned())].into(),
                        },
                        policy: policy(under),
                        delay_until: near(now, delay),
                        execution_deadline_at: near(now, deadline),
                        now: now.to_wire(),
                    },
                }
            }
            Step::Scan { lane: on, partition, limit } => Call::ScanEligibleExecutions {
                args: ScanEligibleArgs::new(
                    lane(on),
                    Partition { family: PartitionFamily::Execution, index: u16::from(partition) % PARTITIONS },
                    u32::from(limit % 4),
                ),
            },
            Step::Grant { execution: of, lane: on, who, capabilities: with, ttl, partition } => {
                let id = execution(of);
                let place = partition_of(&id, partition);
                let ttl_ms = one(&TTLS_MS, ttl);
                Call::IssueClaimGrant {
                    args: IssueClaimGrantArgs::new(
                        id,
                        lane(on),
                        worker(who),
                        instance(who),
                        place,
                        capabilities(with),
                        ttl_ms,
                        now.to_wire(),
                    ),
                }
            }
            Step::Claim { execution: of, lane: on, who, ttl, timeout, deadline } => Call::ClaimExecution {
                args: ClaimExecutionArgs::new(
                    execution(of),
                    worker(who),
                    instance(who),
                    lane(on),
                    LeaseId::from_uuid(self.uuid()),
                    one(&TTLS_MS, ttl),
                    AttemptId::from_uuid(self.uuid()),
                    AttemptIndex::new(0),
                    "{}".into(),
                    one(&[None, None, Some(2_000), Some(0)], timeout),
                    near(now, deadline).map(|at| at.0),
                    now.to_wire(),
                ),
            },
            Step::ClaimResumed { execution: of, lane: on, who, ttl, attempt, remaining } => {
                Call::ClaimResumedExecution {
                    args: ClaimResumedExecutionArgs {
                        execution_id: execution(of),
                        worker_id: worker(who),
                        worker_instance_id: instance(who),
                        lane_id: lane(on),
                        lease_id: LeaseId::from_uuid(self.uuid()),
                        lease_ttl_ms: one(&TTLS_MS, ttl),
                        current_attempt_index: AttemptIndex::new(u32::from(attempt % 4)),
                        remaining_attempt_timeout_ms: one(&[None, Some(2_000), Some(0)], remaining),
                        now: now.to_wire(),
                    },
                }
            }
            Step::ClaimFromResumeGrant { execution: of, lane: on, who, ttl } => {
                let id = execution(of);
                let grant = ResumeGrant::new(
                    id.clone(),
                    PartitionKey::from(&partition_of(&id, 0)),
                    "ignored".into(),
                    0,
                    lane(on),
                );
                let lease_ttl_ms = u32::try_from(one(&TTLS_MS, ttl)).unwrap_or(u32::MAX);
                let token = ResumeToken::new(grant, worker(who), instance(who), lease_ttl_ms);
                Call::ClaimFromResumeGrant { token }
            }
            Step::GrantReclaim { execution: of, lane: on, who, capabilities: with, ttl } => Call::IssueReclaimGrant {
                args: IssueReclaimGrantArgs::new(
                    execution(of),
                    worker(who),
                    instance(who),
                    lane(on),
                    None,
                    one(&TTLS_MS, ttl),
                    None,
                    None,
                    capabilities(with),
                    now.to_wire(),
                ),
            },
            Step::Reclaim { execution: of, lane: on, who, ttl, cap, old, attempt } => Call::ReclaimExecution {
                args: ReclaimExecutionArgs::new(
                    execution(of),
                    worker(who),
                    instance(who),
                    lane(on),
                    None,
                    LeaseId::from_uuid(self.uuid()),
                    one(&TTLS_MS, ttl),
                    AttemptId::from_uuid(self.uuid()),
                    "{}".into(),
                    one(&[None, None, Some(1), Some(0), Some(2)], cap),
                    instance(old),
                    AttemptIndex::new(u32::from(attempt % 4)),
                ),
            },
            Step::Renew { handle } => Call::Renew { handle: self.handle(handle) },
            Step::Progress { handle, percent, text: with } => Call::Progress {
                handle: self.handle(handle),
                percent: one(&[None, Some(0), Some(50), Some(100), Some(255)], percent),
                message: (with % 3 > 0).then(|| text(with)),
            },
            Step::Complete { handle, payload } => Call::Complete {
                handle: self.handle(handle),
                payload: (payload % 3 > 0).then(|| text(payload).into_bytes()),
            },
            Step::Fail { handle, text: with, class } => Call::Fail {
                handle: self.handle(handle),
                reason: FailureReason::new(text(with)),
                class: match class % 5 {
                    0 => FailureClass::Transient,
                    1 => FailureClass::Permanent,
                    2 => FailureClass::InfraCrash,
                    3 => FailureClass::Timeout,
                    _ => FailureClass::Cancelled,
                },
            },
            Step::Cancel { handle, text: with } => Call::Cancel { handle: self.handle(handle), reason: text(with) },
            Step::Delay { handle, until } => Call::Delay {
                handle: self.handle(handle),
                until: near(now, until).unwrap_or(TimestampMs(now.ms() + 500)),
            },
            Step::Suspend { handle, condition, reason, timeout, behavior, key } => {
                let args = self.suspend_args(now, condition, reason, timeout, behavior, key);
                Call::Suspend { handle: self.handle(handle), args }
            }
            Step::Signal { waitpoint, execution: of, name, token, key, delay, cap } => {
                Call::DeliverSignal { args: self.signal_args(now, [waitpoint, of, name, token, key, delay, cap]) }
            }
            Step::CompleteByFence { handle, fence, source: from, payload } => {
                let (held, fence) = self.fence(handle, fence);
                Call::CompleteExecution {
                    args: CompleteExecutionArgs {
                        execution_id: held.execution_id,
                        fence,
                        attempt_index: held.attempt_index,
                        result_payload: (payload % 3 > 0).then(|| text(payload).into_bytes()),
                        result_encoding: None,
                        source: source(from),
                        now: now.to_wire(),
                    },
                }
            }
            Step::CancelById { execution: of, source: from, handle, fence, text: with } => {
                let (_, fence) = self.fence(handle, fence);
                Call::CancelExecution {
                    args: CancelExecutionArgs {
                        execution_id: execution(of),
                        reason: text(with),
                        source: source(from),
                        lease_id: fence.as_ref().map(|fence| fence.lease_id.clone()),
                        lease_epoch: fence.as_ref().map(|fence| fence.lease_epoch),
                        attempt_id: fence.map(|fence| fence.attempt_id),
                        now: now.to_wire(),
                    },
                }
            }
            Step::Revoke { execution: of, who, handle, expected, text: with } => {
                let (held, _) = self.fence(handle, 0);
                Call::RevokeLease {
                    args: RevokeLeaseArgs {
                        execution_id: execution(of),
                        expected_lease_id: match expected % 4 {
                            0 | 1 => None,
                            2 => Some(held.lease_id.to_string()),
                            _ => Some(String::new()),
                        },
                        worker_instance_id: if who.worker % 3 == 2 { WorkerInstanceId::new("") } else { instance(who) },
                        reason: text(with),
                    },
                }
            }
            Step::Mark { execution: of, partition } => {
                let id = execution(of);
                Call::MarkLeaseExpiredIfDue { partition: partition_of(&id, partition), id }
            }
            Step::Promote { execution: of, lane: on, now: by, partition } => {
                let id = execution(of);
                Call::PromoteDelayed {
                    partition: partition_of(&id, partition),
                    lane: lane(on),
                    id,
                    now: caller_now(now, by),
                }
            }
            Step::Expire { execution: of, deadline, partition } => {
                let id = execution(of);
                let phase = if deadline { ExpirePhase::ExecutionDeadline } else { ExpirePhase::AttemptTimeout };
                Call::ExpireExecution { partition: partition_of(&id, partition), id, phase, now: now.to_wire() }
            }
            Step::ExpireSuspension { execution: of, partition } => {
                let id = execution(of);
                Call::ExpireSuspension { partition: partition_of(&id, partition), id, now: now.to_wire() }
            }
            Step::BlockRoute { execution: of, lane: on, reason, text: with, now: by } => {
                let id = execution(of);
                let place = partition_of(&id, 0);
                let reason = one(&REASONS, reason).to_owned();
                Call::BlockRoute {
                    args: BlockRouteArgs::new(id, lane(on), place, reason, text(with), caller_now(now, by)),
                }
            }
            Step::BlockForAdmission { execution: of, lane: on, reason, text: with, now: by } => {
                let id = execution(of);
                let place = partition_of(&id, 0);
                let reason = one(
                    &[
                        BlockingReason::WaitingForBudget,
                        BlockingReason::WaitingForQuota,
                        BlockingReason::WaitingForCapableWorker,
                    ],
                    reason,
                );
                let detail = (with % 3 > 0).then(|| text(with));
                let args =
                    BlockExecutionForAdmissionArgs::new(id, lane(on), place, reason, detail, caller_now(now, by));
                Call::BlockExecutionForAdmission { args }
            }
            Step::Unblock { execution: of, lane: on, reason, now: by } => {
                let id = execution(of);
                Call::UnblockExecution {
                    partition: partition_of(&id, 0),
                    lane: lane(on),
                    id,
                    reason: one(&REASONS, reason).to_owned(),
                    now: caller_now(now, by),
                }
            }
            Step::ChangePriority { execution: of, lane: on, priority } => Call::ChangePriority {
                args: ChangePriorityArgs {
                    execution_id: execution(of),
                    new_priority: priority,
                    lane_id: lane(on),
                    now: now.to_wire(),
                },
            },
            Step::Replay { execution: of } => {
                Call::ReplayExecution { args: ReplayExecutionArgs { execution_id: execution(of), now: now.to_wire() } }
            }
            Step::Register { who, capabilities: with, ttl, now: by } => Call::RegisterWorker {
                args: RegisterWorkerArgs::new(
                    worker(who),
                    instance(who),
                    [lane(0), lane(4)].into(),
                    capabilities(with),
                    one(&[1_000, 30_000, 1], ttl),
                    Namespace::new("ns"),
                    caller_now(now, by),
                ),
            },
            Step::Heartbeat { who, now: by } => Call::HeartbeatWorker {
                args: HeartbeatWorkerArgs::new(instance(who), Namespace::new("ns"), caller_now(now, by)),
            },
            Step::ListExpired { as_of, limit } => {
                let mut args = ListExpiredLeasesArgs::new(caller_now(now, as_of));
                args.limit = one(&[None, Some(1), Some(0), Some(100)], limit);
                Call::ListExpiredLeases { args }
            }
            Step::Flow(ref step) => self.flow_call(step, now),
            Step::Admission(ref step) => self.admission_call(step, now),
            Step::Parking(ref step) => self.parking_call(step, now),
            Step::Read { execution: of, what } => {
                let id = execution(of);
                match what % 6 {
                    0 => Call::DescribeExecution { id },
                    1 => Call::ReadExecutionContext { id },
                    2 => Call::ReadCurrentAttemptIndex { id },
                    3 => Call::ReadTotalAttemptCount { id },
                    4 => Call::ReadExecutionState { id },
                    _ => Call::GetExecutionResult { id },
                }
            }
        })
    }

    fn suspend_args(
        &mut self,
        now: ServerTime,
        condition: Pick,
        reason: Pick,
        timeout: Pick,
        behavior: Pick,
        key: Pick,
    ) -> SuspendArgs {
        let bound = "wp";
        let condition = match condition % 6 {
            0 | 1 => single(bound, SignalMatcher::ByName("go".into())),
            2 => single(bound, SignalMatcher::Wildcard),
            3 => ResumeCondition::OperatorOnly,
            4 => ResumeCondition::TimeoutOnly,
            _ => single("another", SignalMatcher::ByName(String::new())),
        };
        let reason = one(
            &[
                SuspensionReasonCode::WaitingForSignal,
                SuspensionReasonCode::WaitingForApproval,
                SuspensionReasonCode::WaitingForCallback,
                SuspensionReasonCode::WaitingForToolResult,
                SuspensionReasonCode::WaitingForOperatorReview,
                SuspensionReasonCode::PausedByPolicy,
                SuspensionReasonCode::PausedByBudget,
                SuspensionReasonCode::StepBoundary,
                SuspensionReasonCode::ManualPause,
            ],
            reason,
        );
        let waitpoint =
            WaitpointBinding::Fresh { waitpoint_id: WaitpointId::from_uuid(self.uuid()), waitpoint_key: bound.into() };
        let id = SuspensionId::from_uuid(self.uuid());
        let mut args = SuspendArgs::new(id, waitpoint, condition, ResumePolicy::normal(), reason, now.to_wire());
        if let Some(at) = near(now, timeout) {
            let behavior = one(
                &[
                    TimeoutBehavior::Fail,
                    TimeoutBehavior::Cancel,
                    TimeoutBehavior::Expire,
                    TimeoutBehavior::AutoResumeWithTimeoutSignal,
                    TimeoutBehavior::Escalate,
                ],
                behavior,
            );
            args = args.with_timeout(at, behavior);
        }
        match key % 4 {
            2 => args.with_idempotency_key(IdempotencyKey::new("k1")),
            3 => args.with_idempotency_key(IdempotencyKey::new("k2")),
            _ => args,
        }
    }

    fn signal_args(&mut self, now: ServerTime, picks: [Pick; 7]) -> DeliverSignalArgs {
        let [waitpoint, of, name, token, key, delay, cap] = picks;
        let own_token = self.known_waitpoint(waitpoint).map(|(_, _, token)| token.clone());
        let own_token = own_token.unwrap_or_else(|| WaitpointToken::new("k1:00"));
        let other_token = self.first_token();
        let (execution_id, waitpoint_id) = self.owned_waitpoint(waitpoint, of);
        DeliverSignalArgs {
            execution_id,
            waitpoint_id,
            signal_id: SignalId::from_uuid(self.uuid()),
            signal_name: one(&SIGNALS, name).into(),
            signal_category: "category".into(),
            source_type: "source".into(),
            source_identity: "me".into(),
            payload: None,
            payload_encoding: None,
            correlation_id: None,
            idempotency_key: one(&[None, None, Some(""), Some("k1"), Some("k2")], key).map(str::to_owned),
            target_scope: "waitpoint".into(),
            created_at: None,
            dedup_ttl_ms: one(&[None, Some(1_000), Some(0)], key),
            resume_delay_ms: one(&[None, None, Some(0), Some(500)], delay),
            max_signals_per_execution: one(&[None, None, Some(1), Some(0), Some(2)], cap),
            signal_maxlen: None,
            waitpoint_token: match token % 8 {
                5 => WaitpointToken::new(""),
                6 => WaitpointToken::new("k1:0123"),
                7 => other_token.unwrap_or(own_token),
                _ => own_token,
            },
            now: now.to_wire(),
        }
    }
}

fn single(key: &str, matcher: SignalMatcher) -> ResumeCondition {
    ResumeCondition::Single { waitpoint_key: key.into(), matcher }
}
