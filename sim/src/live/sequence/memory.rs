//! What a sequence has learnt so far, and how a step becomes a call with it.
//!
//! Ids are made from counters, handles and tokens come from earlier answers, times from the state: the
//! same steps always give the same calls. Right and wrong arguments are both within reach of every
//! pick, wrong ones near the right ones.

use std::collections::BTreeSet;

use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::backend::*;
use ff_core::contracts::*;
use ff_core::engine_backend::ExpirePhase;
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::types::*;
use uuid::Uuid;

use super::step::{Pick, Step, Who};
use crate::call::{Answer, Call};

/// Executions that a sequence knows.
const EXECUTIONS: u8 = 4;
/// Partitions that they live on; one more is never used by them.
pub const PARTITIONS: u16 = 3;
const LANES: [&str; 2] = ["default", "other"];
pub(super) const TTLS_MS: [u64; 6] = [1_000, 30_000, 100, 1, 5_000, 0];
/// Times relative to now; none is no time at all.
const OFFSETS_MS: [Option<i64>; 9] =
    [None, None, Some(1_000), Some(-1), Some(0), Some(1), Some(60_000), Some(-700_000), Some(50)];
const TEXTS: [&str; 6] = ["reason", "", "日本", "two\nlines\tand \"quotes\"", "operator_override", "a,b"];
const SIGNALS: [&str; 3] = ["go", "stop", ""];
const REASONS: [&str; 7] = [
    "waiting_for_capable_worker",
    "waiting_for_budget",
    "waiting_for_quota",
    "paused_by_operator",
    "paused_by_policy",
    "waiting_for_locality_match",
    "",
];

/// What earlier answers taught.
#[derive(Debug, Default)]
pub struct Memory {
    minted: u128,
    handles: Vec<Handle>,
    waitpoints: Vec<(ExecutionId, WaitpointId, WaitpointToken)>,
}

fn wrap<T>(list: &[T], pick: Pick) -> Option<&T> {
    list.get(usize::from(pick).checked_rem(list.len())?)
}

pub(super) fn one<T: Copy>(list: &[T], pick: Pick) -> T {
    list[usize::from(pick) % list.len()]
}

pub(super) fn text(pick: Pick) -> String {
    match pick % 8 {
        6 => "x".repeat(5_000),
        7 => "reason".into(),
        pick => one(&TEXTS, pick).into(),
    }
}

pub(super) fn lane(pick: Pick) -> LaneId {
    // The first lane is the one that executions are mostly on.
    LaneId::new(LANES[usize::from(pick % 5 == 4)])
}

/// The execution of a pick; its partition follows from it.
pub fn execution(pick: Pick) -> ExecutionId {
    let number = u128::from(pick % EXECUTIONS);
    let id = Uuid::from_u128((0xe << 124) | number);
    let text = format!("{{fp:{}}}:{id}", number % u128::from(PARTITIONS - 1));
    ExecutionId::parse(&text).expect("a partition and a UUID")
}

pub(super) fn partition_of(id: &ExecutionId, pick: Pick) -> Partition {
    // Now and then the partition that the caller names is not the execution's.
    let index = if pick % 8 == 7 { (id.partition() + 1) % PARTITIONS } else { id.partition() };
    Partition { family: PartitionFamily::Execution, index }
}

pub(super) fn worker(who: Who) -> WorkerId {
    WorkerId::new(format!("w{}", who.worker % 2))
}

pub(super) fn instance(who: Who) -> WorkerInstanceId {
    WorkerInstanceId::new(format!("w{}-{}", who.worker % 2, who.instance % 2))
}

pub(super) fn capabilities(pick: Pick) -> BTreeSet<String> {
    // More than any list may have.
    if pick == u8::MAX {
        return (0..300).map(|number| format!("c{number}")).collect();
    }
    let list: &[&str] = match pick % 6 {
        0 | 1 => &[],
        2 => &["gpu"],
        3 => &["cuda", "gpu"],
        4 => &["cpu"],
        _ => &["gpu", "日本-gpu"],
    };
    list.iter().map(|token| (*token).to_owned()).collect()
}

fn policy(pick: Pick) -> Option<ExecutionPolicy> {
    let retry = |max_retries, backoff| {
        Some(ExecutionPolicy {
            retry_policy: Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() }),
            ..ExecutionPolicy::default()
        })
    };
    let requires = |tokens: &[&str]| {
        let required_capabilities = tokens.iter().map(|token| (*token).to_owned()).collect();
        let routing_requirements =
            Some(RoutingRequirements { required_capabilities, ..RoutingRequirements::default() });
        Some(ExecutionPolicy { routing_requirements, ..ExecutionPolicy::default() })
    };
    match pick % 12 {
        0..=3 => None,
        4 => retry(1, BackoffStrategy::Fixed { delay_ms: 100 }),
        5 => retry(3, BackoffStrategy::Fixed { delay_ms: 0 }),
        6 => retry(
            5,
            BackoffStrategy::Exponential { initial_delay_ms: 333, max_delay_ms: 1_000, multiplier: 1.5, jitter: true },
        ),
        7 => requires(&["gpu"]),
        8 => requires(&["a b"]),
        9 => Some(ExecutionPolicy { max_reclaim_count: 1, max_replay_count: 1, ..ExecutionPolicy::default() }),
        10 => Some(ExecutionPolicy { max_reclaim_count: 0, max_replay_count: 0, ..ExecutionPolicy::default() }),
        _ => requires(&[]),
    }
}

pub(super) fn near(now: ServerTime, pick: Pick) -> Option<TimestampMs> {
    one(&OFFSETS_MS, pick).map(|offset| TimestampMs(now.ms() + offset))
}

pub(super) fn caller_now(now: ServerTime, pick: Pick) -> TimestampMs {
    // Mostly the server's own time.
    match pick % 16 {
        15 => TimestampMs(now.ms() + 100_000_000),
        pick if pick % 4 == 3 => near(now, pick).unwrap_or(now.to_wire()),
        _ => now.to_wire(),
    }
}

pub(super) fn source(pick: Pick) -> CancelSource {
    match pick % 4 {
        0 => CancelSource::OperatorOverride,
        1 => CancelSource::LeaseHolder,
        2 => CancelSource::SystemTimeout,
        _ => CancelSource::Custom("custom".into()),
    }
}

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
    pub(super) fn uuid(&mut self) -> Uuid {
        self.minted += 1;
        Uuid::from_u128((0xf << 124) | self.minted)
    }

    /// A handle: the latest for small picks, any for others, a made-up one where there is none.
    pub(super) fn handle(&self, pick: Pick) -> Handle {
        let from_the_end = usize::from(pick % 16);
        if let Some(handle) = self.handles.iter().rev().nth(from_the_end) {
            return handle.clone();
        }
        let payload = HandlePayload::new(
            execution(pick),
            AttemptIndex::new(0),
            AttemptId::from_uuid(Uuid::from_u128(1)),
            LeaseId::from_uuid(Uuid::from_u128(2)),
            LeaseEpoch::new(1),
            1_000,
            lane(0),
            WorkerInstanceId::new("w0-0"),
        );
        let opaque = handle_codec::encode(BackendTag::Valkey, &payload);
        Handle::new(BackendTag::Valkey, HandleKind::Fresh, opaque)
    }

    /// A waitpoint: the latest for 0, an unknown one where there is none.
    pub(super) fn waitpoint(&self, pick: Pick) -> WaitpointId {
        self.owned_waitpoint(pick, 0).1
    }

    /// A waitpoint with the execution that it was made for, or now and then another one.
    pub(super) fn owned_waitpoint(&self, pick: Pick, of: Pick) -> (ExecutionId, WaitpointId) {
        let known = self.waitpoints.iter().rev().nth(usize::from(pick % 4)).or_else(|| wrap(&self.waitpoints, pick));
        let unknown = (execution(of), WaitpointId::from_uuid(Uuid::from_u128(7)));
        let (owner, waitpoint) = known.map_or(unknown, |(owner, id, _)| (owner.clone(), id.clone()));
        (if of % 8 == 7 { execution(of) } else { owner }, waitpoint)
    }

    pub(super) fn fence(&self, handle: Pick, pick: Pick) -> (HandlePayload, Option<LeaseFence>) {
        let payload = handle_codec::decode(&self.handle(handle).opaque).expect("made by the codec").payload;
        let fence = LeaseFence {
            lease_id: payload.lease_id.clone(),
            lease_epoch: payload.lease_epoch,
            attempt_id: payload.attempt_id.clone(),
        };
        let fence = match pick % 6 {
            0..=2 => Some(fence),
            3 => None,
            4 => Some(LeaseFence { lease_epoch: LeaseEpoch::new(fence.lease_epoch.0 + 1), ..fence }),
            _ => Some(LeaseFence { attempt_id: AttemptId::from_uuid(Uuid::from_u128(9)), ..fence }),
        };
        (payload, fence)
    }

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
        let known =
            self.waitpoints.iter().rev().nth(usize::from(waitpoint % 4)).or_else(|| wrap(&self.waitpoints, waitpoint));
        let unknown = || (execution(of), WaitpointId::from_uuid(Uuid::from_u128(7)), WaitpointToken::new("k1:00"));
        let (owner, waitpoint_id, own_token) = known.cloned().unwrap_or_else(unknown);
        let other_token = self.waitpoints.first().map(|(_, _, token)| token.clone());
        DeliverSignalArgs {
            execution_id: if of % 8 == 7 { execution(of) } else { owner },
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

    /// Learns from an answer: handles, waitpoints and their tokens.
    pub fn learn(&mut self, call: &Call, answer: &Answer) {
        match answer {
            Answer::ClaimExecution(Ok(ClaimExecutionResult::Claimed(claimed))) => {
                self.handles.push(claimed.handle.clone())
            }
            Answer::ClaimResumedExecution(Ok(ClaimResumedExecutionResult::Claimed(claimed))) => {
                self.handles.push(claimed.handle.clone());
            }
            Answer::Claim(Ok(Some(handle)))
            | Answer::ClaimFromResumeGrant(Ok(Some(handle)))
            | Answer::ReclaimExecution(Ok(ReclaimExecutionOutcome::Claimed(handle))) => {
                self.handles.push(handle.clone())
            }
            Answer::Suspend(Ok(outcome)) => {
                let Call::Suspend { handle, .. } = call else { return };
                let owner = handle_codec::decode(&handle.opaque).map(|decoded| decoded.payload.execution_id);
                if let Ok(owner) = owner {
                    self.learn_suspension(owner, outcome);
                }
            }
            Answer::SuspendByTriple(Ok(outcome)) => {
                if let Call::SuspendByTriple { execution, .. } = call {
                    self.learn_suspension(execution.clone(), outcome);
                }
            }
            Answer::CreateWaitpoint(Ok(pending)) => {
                let Call::CreateWaitpoint { handle, .. } = call else { return };
                let owner = handle_codec::decode(&handle.opaque).map(|decoded| decoded.payload.execution_id);
                if let Ok(owner) = owner {
                    let token = pending.hmac_token.token().clone();
                    self.waitpoints.push((owner, pending.waitpoint_id.clone(), token));
                }
            }
            _ => {}
        }
    }

    fn learn_suspension(&mut self, owner: ExecutionId, outcome: &SuspendOutcome) {
        let details = match outcome {
            SuspendOutcome::Suspended { details, handle } => {
                self.handles.push(handle.clone());
                details
            }
            SuspendOutcome::AlreadySatisfied { details } => details,
            _ => return,
        };
        for extra in &details.additional_waitpoints {
            let token = extra.waitpoint_token.token().clone();
            self.waitpoints.push((owner.clone(), extra.waitpoint_id.clone(), token));
        }
        let token = details.waitpoint_token.token().clone();
        self.waitpoints.push((owner, details.waitpoint_id.clone(), token));
    }
}

fn single(key: &str, matcher: SignalMatcher) -> ResumeCondition {
    ResumeCondition::Single { waitpoint_key: key.into(), matcher }
}
