//! States that random steps rarely reach and scanners exist for: executions that wait for others of
//! their flow, flows and groups that owe cancels, budgets and quotas that limit.

use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::contracts::*;
use ff_core::partition::{Partition, PartitionConfig, PartitionFamily};
use ff_core::types::*;
use uuid::Uuid;

use crate::call::Call;
use crate::staging::ids::OF_SCENES;
use crate::staging::sequence::{PARTITIONS, Pick, one};

/// The member that waits for the others of its flow.
const DOWNSTREAM: Pick = 3;
/// Members of a flow.
const MEMBERS: Pick = 4;
const DIMENSION: &str = "tokens";

/// How a member of a flow that runs ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum End {
    Success,
    Failure,
    Cancelled,
    /// It runs on, past its attempt's timeout.
    Never,
}

/// One scene: a few right calls.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Scene {
    /// A flow of four, the last of which waits for the others.
    Flow { flow: Pick, policy: Pick },
    /// One more edge of a flow.
    Edge { flow: Pick, up: Pick },
    /// A member runs.
    End { flow: Pick, member: Pick, how: End },
    /// The edge from a member that succeeded is resolved.
    Resolve { flow: Pick, up: Pick },
    /// One member's success is enough, and of the others, whose cancels are owed then, so many end by
    /// themselves.
    Enough { flow: Pick, ended: Pick },
    /// A flow is cancelled; its members are left to the engine.
    CancelFlow { flow: Pick, policy: Pick },
    /// A budget is defined.
    Budget { budget: Pick, hard: Pick, interval: Pick },
    /// An execution spends.
    Spend { budget: Pick, execution: Pick, amount: Pick },
    /// A quota policy is defined.
    Quota { quota: Pick, window: Pick, rate: Pick, cap: Pick },
    /// An execution is admitted or not.
    Admit { quota: Pick, execution: Pick, dimension: Pick },
    /// Budgets and a quota are written into an execution's core, which no production code does.
    Attach { execution: Pick, budgets: Pick, quota: Pick },
}

/// The flow of a pick, on the partition of the same number.
fn flow(pick: Pick, partitions: &PartitionConfig) -> (FlowId, u16) {
    let index = u16::from(pick % 2);
    (OF_SCENES.flow(index, 0, partitions), index)
}

/// A member of a flow.
fn member(pick: Pick, member: Pick) -> ExecutionId {
    OF_SCENES.execution(u16::from(pick % 2), u128::from(pick % 2) << 8 | u128::from(member % MEMBERS))
}

/// The edge from a member to the one that waits.
fn edge(pick: Pick, up: Pick) -> EdgeId {
    OF_SCENES.edge(u128::from(pick % 2) << 8 | u128::from(up))
}

/// Whether nobody has made a flow yet.
fn is_missing(store: &Store, of: Pick, partitions: &PartitionConfig) -> bool {
    let (id, partition) = flow(of, partitions);
    store.flow(partition, &id).is_none_or(|flow| flow.core.is_none())
}

/// What is attached to an execution's core: `budget_ids` and `quota_policy_id`.
pub fn attachment(budgets: Pick, with: Pick) -> (Option<String>, Option<String>) {
    let (first, second) = (OF_SCENES.budget(0).to_string(), OF_SCENES.budget(1).to_string());
    let budgets = match budgets % 5 {
        0 => None,
        1 => Some(first),
        2 => Some(format!("{first}, {second}")),
        3 => Some("no id".into()),
        _ => Some(String::new()),
    };
    let quota = match with % 4 {
        0 => None,
        1 | 2 => Some(OF_SCENES.quota(with).to_string()),
        _ => Some("no id".into()),
    };
    (budgets, quota)
}

impl Scene {
    /// The smaller scenes that this one is made of: a flow comes with its edges, and before anything in it.
    pub fn parts(&self, store: &Store, partitions: &PartitionConfig) -> Vec<Self> {
        match *self {
            Self::Edge { flow: of, .. } | Self::End { flow: of, .. } | Self::CancelFlow { flow: of, .. }
                if is_missing(store, of, partitions) =>
            {
                // Any one, or two, that succeed cancel the rest.
                let policy = [2, 4][usize::from(of % 2)];
                let mut parts = Self::Flow { flow: of, policy }.parts(store, partitions);
                parts.push(self.clone());
                parts
            }
            Self::Enough { flow, ended } => {
                let mut parts = match is_missing(store, flow, partitions) {
                    true => Self::Flow { flow, policy: 2 }.parts(store, partitions),
                    false => Vec::new(),
                };
                parts.extend([Self::End { flow, member: 0, how: End::Success }, Self::Resolve { flow, up: 0 }]);
                let others = (1..DOWNSTREAM).take(usize::from(ended % DOWNSTREAM));
                parts.extend(others.map(|member| Self::End { flow, member, how: End::Cancelled }));
                parts
            }
            Self::Flow { flow, .. } => {
                let edges = (0..DOWNSTREAM).map(|up| Self::Edge { flow, up });
                std::iter::once(self.clone()).chain(edges).collect()
            }
            // Defining a policy again changes nothing.
            Self::Admit { quota, dimension, .. } => {
                vec![Self::Quota { quota, window: dimension / 2, rate: 2, cap: 2 }, self.clone()]
            }
            _ => vec![self.clone()],
        }
    }

    /// The calls of a part, with what the store knows when it begins; `execution` names a sequence's
    /// own, and `mint` makes fresh ids.
    pub fn calls(
        &self,
        store: &Store,
        partitions: &PartitionConfig,
        now: ServerTime,
        execution: impl Fn(Pick) -> ExecutionId,
        mut mint: impl FnMut() -> Uuid,
    ) -> Vec<Call> {
        let at = now.to_wire();
        match *self {
            Self::Flow { flow: of, policy } => {
                let (id, _) = flow(of, partitions);
                let args = CreateFlowArgs {
                    flow_id: id.clone(),
                    flow_kind: "kind".into(),
                    namespace: Namespace::new("ns"),
                    now: at,
                };
                let mut calls = vec![Call::CreateFlow { args }];
                for number in 0..MEMBERS {
                    let execution_id = member(of, number);
                    calls.push(create(execution_id.clone(), at));
                    calls.push(Call::AddExecutionToFlow {
                        args: AddExecutionToFlowArgs { flow_id: id.clone(), execution_id, now: at },
                    });
                }
                let policy = match policy % 6 {
                    0 | 1 => EdgeDependencyPolicy::all_of(),
                    2 => EdgeDependencyPolicy::any_of(OnSatisfied::cancel_remaining()),
                    3 => EdgeDependencyPolicy::any_of(OnSatisfied::let_run()),
                    4 => EdgeDependencyPolicy::quorum(2, OnSatisfied::cancel_remaining()),
                    _ => EdgeDependencyPolicy::quorum(3, OnSatisfied::cancel_remaining()),
                };
                calls.push(Call::SetEdgeGroupPolicy { flow: id, downstream: member(of, DOWNSTREAM), policy });
                calls
            }
            Self::Edge { flow: of, up } => {
                let (id, partition) = flow(of, partitions);
                let core = store.flow(partition, &id).and_then(|flow| flow.core.as_ref());
                let revision = core.map_or(0, |core| core.graph_revision);
                let edge = edge(of, up);
                let stage = StageDependencyEdgeArgs {
                    flow_id: id.clone(),
                    edge_id: edge.clone(),
                    upstream_execution_id: member(of, up),
                    downstream_execution_id: member(of, DOWNSTREAM),
                    dependency_kind: "success_only".into(),
                    data_passing_ref: (up == 0).then(|| "result".into()),
                    expected_graph_revision: revision,
                    now: at,
                };
                let apply = ApplyDependencyToChildArgs {
                    flow_id: id,
                    edge_id: edge,
                    downstream_execution_id: member(of, DOWNSTREAM),
                    upstream_execution_id: member(of, up),
                    graph_revision: revision + 1,
                    dependency_kind: "success_only".into(),
                    data_passing_ref: (up == 0).then(|| "result".into()),
                    now: at,
                };
                vec![Call::StageDependencyEdge { args: stage }, Call::ApplyDependencyToChild { args: apply }]
            }
            Self::End { flow: of, member: number, how } => {
                let id = member(of, number);
                let timeout_ms = (how == End::Never).then_some(2_000);
                let mut calls = run(&id, at, timeout_ms, &mut mint);
                calls.push(match how {
                    End::Never => return calls,
                    End::Success => Call::CompleteExecution {
                        args: CompleteExecutionArgs {
                            execution_id: id,
                            fence: None,
                            attempt_index: AttemptIndex::new(0),
                            result_payload: Some(b"result".to_vec()),
                            result_encoding: None,
                            source: CancelSource::OperatorOverride,
                            now: at,
                        },
                    },
                    End::Failure => Call::FailExecution {
                        args: FailExecutionArgs {
                            execution_id: id,
                            fence: None,
                            attempt_index: AttemptIndex::new(0),
                            failure_reason: "reason".into(),
                            failure_category: "category".into(),
                            retry_policy_json: String::new(),
                            next_attempt_policy_json: String::new(),
                            source: CancelSource::OperatorOverride,
                        },
                    },
                    End::Cancelled => Call::CancelExecution {
                        args: CancelExecutionArgs {
                            execution_id: id,
                            reason: "reason".into(),
                            source: CancelSource::OperatorOverride,
                            lease_id: None,
                            lease_epoch: None,
                            attempt_id: None,
                            now: at,
                        },
                    },
                });
                calls
            }
            Self::Resolve { flow: of, up } => {
                let (id, index) = flow(of, partitions);
                vec![Call::ResolveDependency {
                    args: ResolveDependencyArgs::new(
                        Partition { family: PartitionFamily::Flow, index },
                        id,
                        member(of, DOWNSTREAM),
                        member(of, up),
                        edge(of, up),
                        LaneId::new("default"),
                        AttemptIndex::new(0),
                        "success".into(),
                        at,
                    ),
                }]
            }
            Self::CancelFlow { flow: of, policy } => {
                let (flow_id, _) = flow(of, partitions);
                let args = CancelFlowArgs {
                    flow_id,
                    reason: "reason".into(),
                    cancellation_policy: one(&["cancel_all", "cancel_all", "flow_only"], policy).into(),
                    now: at,
                };
                vec![Call::CancelFlowHeader { args }]
            }
            Self::Budget { budget: of, hard, interval } => vec![Call::CreateBudget {
                args: CreateBudgetArgs {
                    budget_id: OF_SCENES.budget(of),
                    scope_type: "lane".into(),
                    scope_id: "default".into(),
                    enforcement_mode: "strict".into(),
                    on_hard_limit: "fail".into(),
                    on_soft_limit: "warn".into(),
                    reset_interval_ms: one(&[0, 1_000, 10_000], interval),
                    dimensions: if hard % 4 == 3 { Vec::new() } else { vec![DIMENSION.into()] },
                    hard_limits: if hard % 4 == 3 { Vec::new() } else { vec![one(&[2, 10, 0], hard)] },
                    soft_limits: if hard % 4 == 3 { Vec::new() } else { vec![1] },
                    now: at,
                },
            }],
            Self::Spend { budget: of, execution: who, amount } => {
                let deltas = [(DIMENSION.to_owned(), one(&[1, 2, 20], amount))].into();
                let args = RecordSpendArgs::new(OF_SCENES.budget(of), execution(who), deltas, mint().to_string());
                vec![Call::RecordSpend { args }]
            }
            Self::Quota { quota: of, window, rate, cap } => vec![Call::CreateQuotaPolicy {
                args: CreateQuotaPolicyArgs {
                    quota_policy_id: OF_SCENES.quota(of),
                    window_seconds: one(&[1, 60, 0], window),
                    max_requests_per_window: one(&[1, 0, 3], rate),
                    max_concurrent: one(&[0, 1, 2], cap),
                    now: at,
                },
            }],
            Self::Admit { quota: of, execution: who, dimension } => vec![Call::CheckAdmission {
                quota: OF_SCENES.quota(of),
                dimension: one(&["requests_per_window", "default"], dimension).into(),
                args: CheckAdmissionArgs {
                    execution_id: execution(who),
                    now: at,
                    window_seconds: one(&[1, 60], dimension / 2),
                    rate_limit: 3,
                    concurrency_cap: 2,
                    jitter_ms: None,
                },
            }],
            Self::Enough { .. } | Self::Attach { .. } => Vec::new(),
        }
    }
}

fn create(execution_id: ExecutionId, now: TimestampMs) -> Call {
    Call::CreateExecution {
        args: CreateExecutionArgs {
            partition_id: execution_id.partition(),
            execution_id,
            namespace: Namespace::new("ns"),
            lane_id: LaneId::new("default"),
            execution_kind: "kind".into(),
            input_payload: b"payload".to_vec(),
            payload_encoding: None,
            priority: 0,
            creator_identity: "creator".into(),
            idempotency_key: None,
            tags: [].into(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            now,
        },
    }
}

/// An execution is granted and claimed, whether or not it can be.
fn run(id: &ExecutionId, now: TimestampMs, timeout_ms: Option<u64>, mint: &mut impl FnMut() -> Uuid) -> Vec<Call> {
    let (worker, instance) = (WorkerId::new("w9"), WorkerInstanceId::new("w9-0"));
    let place = Partition { family: PartitionFamily::Execution, index: id.partition() % PARTITIONS };
    let lane = || LaneId::new("default");
    let grant =
        IssueClaimGrantArgs::new(id.clone(), lane(), worker.clone(), instance.clone(), place, [].into(), 30_000, now);
    let claim = ClaimExecutionArgs::new(
        id.clone(),
        worker,
        instance,
        lane(),
        LeaseId::from_uuid(mint()),
        30_000,
        AttemptId::from_uuid(mint()),
        AttemptIndex::new(0),
        "{}".into(),
        timeout_ms,
        None,
        now,
    );
    vec![Call::IssueClaimGrant { args: grant }, Call::ClaimExecution { args: claim }]
}
