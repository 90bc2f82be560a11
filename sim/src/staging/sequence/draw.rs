//! How sequences are drawn: a state machine whose transitions are steps.
//!
//! The abstract state is how far a sequence has come (does anything exist, was anything claimed), so
//! that claims follow grants often enough; everything else is left to chance on purpose.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest_state_machine::ReferenceStateMachine;

use super::admission::AdmissionStep;
use super::flow::FlowStep;
use super::parking::ParkingStep;
use super::step::{Goal, Pick, Step, Who};

/// Small picks most of the time: they name what is right.
fn pick() -> impl Strategy<Value = Pick> + Clone {
    prop_oneof![6 => 0_u8..3, 3 => 0_u8..16, 1 => any::<u8>()]
}

/// An execution: two of four most of the time, so that things happen to the same one.
fn target() -> impl Strategy<Value = Pick> + Clone {
    prop_oneof![5 => Just(0_u8), 2 => Just(1), 1 => 0_u8..4]
}

fn who() -> impl Strategy<Value = Who> + Clone {
    prop_oneof![
        6 => Just(Who { worker: 0, instance: 0 }),
        1 => (0_u8..3, 0_u8..2).prop_map(|(worker, instance)| Who { worker, instance }),
    ]
}

/// Capabilities: too many of them now and then.
fn tokens() -> impl Strategy<Value = Pick> + Clone {
    prop_oneof![30 => pick(), 1 => Just(u8::MAX)]
}

/// A partition argument: the right one but for every eighth.
fn place() -> impl Strategy<Value = Pick> + Clone {
    prop_oneof![9 => Just(0_u8), 1 => Just(7)]
}

fn lane() -> impl Strategy<Value = Pick> + Clone {
    prop_oneof![9 => Just(0_u8), 1 => Just(4)]
}

fn priority() -> impl Strategy<Value = i32> + Clone {
    prop_oneof![4 => Just(0), 1 => Just(10), 1 => Just(-5), 1 => Just(9_000), 1 => Just(9_001), 1 => Just(i32::MAX)]
}

macro_rules! step {
    ($variant:ident { $($field:ident: $from:expr),* }) => {
        ($($from),*,).prop_map(|($($field),*,)| Step::$variant { $($field),* }).boxed()
    };
}

macro_rules! part {
    ($part:ident, $kind:ident, $variant:ident { $($field:ident: $from:expr),* }) => {
        ($($from),*,).prop_map(|($($field),*,)| Step::$part($kind::$variant { $($field),* })).boxed()
    };
}

/// Steps on flows.
fn flow_steps() -> BoxedStrategy<Step> {
    macro_rules! flow {
        ($($step:tt)*) => { part!(Flow, FlowStep, $($step)*) };
    }
    let of = || prop_oneof![9 => Just(0_u8), 1 => Just(2), 1 => 0_u8..4, 1 => Just(7)];
    let edge = || prop_oneof![6 => Just(0_u8), 1 => 0_u8..3];
    let at = || prop_oneof![4 => Just(0_u8), 1 => pick()];
    let node = || prop_oneof![3 => Just(0_u8), 3 => Just(2), 1 => 0_u8..4];
    proptest::strategy::Union::new_weighted(vec![
        (4, flow!(Create { flow: of(), text: pick() })),
        (8, flow!(Add { flow: of(), execution: node() })),
        (
            8,
            flow!(Stage {
                flow: of(),
                edge: edge(),
                up: node(),
                down: node(),
                revision: 0_u8..6,
                data: pick(),
                now: at()
            }),
        ),
        (3, flow!(SetPolicy { flow: of(), down: node(), policy: 0_u8..6 })),
        (
            8,
            flow!(Apply {
                flow: of(),
                edge: edge(),
                up: node(),
                down: node(),
                revision: 0_u8..6,
                data: pick(),
                now: at()
            }),
        ),
        (
            8,
            flow!(Resolve {
                flow: of(),
                edge: edge(),
                up: node(),
                down: node(),
                outcome: pick(),
                lane: lane(),
                attempt: pick(),
                now: at()
            }),
        ),
        (2, flow!(Evaluate { execution: node() })),
        (5, flow!(Cascade { flow: of(), execution: node(), outcome: pick() })),
        (3, flow!(WaitChildren { handle: pick() })),
        (1, flow!(Cancel { flow: of(), policy: pick(), header: any::<bool>(), now: at() })),
        (1, flow!(Acknowledge { flow: of(), execution: node() })),
        (2, flow!(Siblings { flow: of(), down: node(), reconcile: any::<bool>() })),
        (1, flow!(Tag { flow: of(), text: pick() })),
        (4, flow!(Read { flow: of(), edge: edge(), execution: node(), what: any::<u8>() })),
    ])
    .boxed()
}

/// Steps on admission, the operator's calls and the scheduler.
fn admission_steps() -> BoxedStrategy<Step> {
    macro_rules! admission {
        ($($step:tt)*) => { part!(Admission, AdmissionStep, $($step)*) };
    }
    let of = || prop_oneof![4 => Just(0_u8), 1 => Just(1)];
    let at = || prop_oneof![4 => Just(0_u8), 1 => pick()];
    proptest::strategy::Union::new_weighted(vec![
        (2, admission!(CreateQuota { quota: of(), window: pick(), rate: pick(), cap: pick(), now: at() })),
        (
            5,
            admission!(Admit {
                quota: of(),
                execution: 0_u8..4,
                dimension: pick(),
                window: pick(),
                rate: pick(),
                cap: pick(),
                now: at()
            }),
        ),
        (3, admission!(Release { quota: of(), execution: 0_u8..4 })),
        (1, admission!(ReadQuota { quota: of() })),
        (2, admission!(ReconcileQuotas { partition: pick(), now: at() })),
        (
            3,
            admission!(CreateBudget {
                budget: of(),
                dimensions: pick(),
                hard: pick(),
                soft: pick(),
                interval: pick(),
                now: at()
            }),
        ),
        (3, admission!(Report { budget: of(), handle: pick(), tokens: pick(), key: pick() })),
        (3, admission!(ReportAsAdmin { budget: of(), dimensions: pick(), delta: pick(), key: pick(), now: at() })),
        (4, admission!(Spend { budget: of(), execution: 0_u8..4, delta: pick(), key: pick() })),
        (2, admission!(ReleaseBudget { budget: of(), execution: 0_u8..4 })),
        (1, admission!(ResetBudget { budget: of(), now: at() })),
        (2, admission!(ReadBudget { budget: of(), status: any::<bool>() })),
        (1, admission!(ReconcileBudgets { partition: pick(), now: at() })),
        (5, admission!(Schedule { lane: lane(), who: who(), capabilities: pick(), ttl: pick() })),
        (5, admission!(ClaimBest { lane: lane(), who: who(), capabilities: pick(), ttl: pick() })),
        (5, admission!(GrantAndClaim { execution: target(), lane: lane(), ttl: pick() })),
        (4, admission!(FailByFence { handle: pick(), fence: pick(), source: pick(), retry: pick(), text: pick() })),
        (3, admission!(RenewByFence { handle: pick(), fence: pick(), ttl: pick(), grace: pick() })),
        (1, admission!(MarkDead { who: who(), text: pick() })),
        (1, admission!(ListWorkers { namespace: pick(), limit: pick(), after: pick() })),
        (2, admission!(SetTag { execution: target(), key: pick(), text: pick() })),
        (3, admission!(Read { execution: target(), what: any::<u8>(), limit: pick() })),
    ])
    .boxed()
}

/// Steps on waitpoints and their secrets.
fn parking_steps() -> BoxedStrategy<Step> {
    macro_rules! parking {
        ($($step:tt)*) => { part!(Parking, ParkingStep, $($step)*) };
    }
    let rarely = || prop_oneof![8 => Just(0_u8), 1 => pick()];
    proptest::strategy::Union::new_weighted(vec![
        (
            8,
            parking!(Suspend {
                handle: rarely(),
                waitpoints: pick(),
                condition: 0_u8..10,
                timeout: pick(),
                behavior: 0_u8..5,
                key: pick()
            }),
        ),
        (
            3,
            parking!(ByTriple {
                handle: rarely(),
                fence: pick(),
                execution: rarely(),
                condition: pick(),
                timeout: pick()
            }),
        ),
        (6, parking!(CreateWaitpoint { handle: rarely(), key: rarely(), expires: pick() })),
        (6, parking!(UsePending { handle: rarely(), waitpoint: rarely(), condition: 0_u8..8, key: pick() })),
        (2, parking!(CloseWaitpoint { execution: target(), waitpoint: pick(), partition: place() })),
        (3, parking!(Resume { execution: target(), delay: pick() })),
        (3, parking!(Approve { waitpoint: pick(), execution: rarely(), name: pick(), suffix: pick(), cap: pick() })),
        (3, parking!(Observe { handle: pick() })),
        (1, parking!(Rotate { kid: pick(), secret: pick(), grace: pick() })),
        (1, parking!(Seed { kid: pick(), secret: pick() })),
        (4, parking!(Read { execution: target(), waitpoint: pick(), what: any::<u8>(), limit: pick() })),
    ])
    .boxed()
}

/// How far a sequence has come.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    created: u32,
    granted: u32,
}

/// The steps of a sequence.
#[derive(Debug)]
pub struct Sequence;

impl ReferenceStateMachine for Sequence {
    type State = Progress;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Progress> {
        Just(Progress::default()).boxed()
    }

    fn transitions(state: &Progress) -> BoxedStrategy<Step> {
        let create = step!(Create {
            execution: target(),
            lane: lane(),
            priority: priority(),
            key: pick(),
            delay: pick(),
            deadline: pick(),
            policy: 0_u8..12,
            text: pick()
        });
        if state.created == 0 {
            return create;
        }
        let grant = step!(Grant {
            execution: target(),
            lane: lane(),
            who: who(),
            capabilities: tokens(),
            ttl: pick(),
            partition: place()
        });
        let claim = step!(Claim {
            execution: target(),
            lane: lane(),
            who: who(),
            ttl: pick(),
            timeout: pick(),
            deadline: pick()
        });
        let resumed = step!(ClaimResumed {
            execution: target(),
            lane: lane(),
            who: who(),
            ttl: pick(),
            attempt: pick(),
            remaining: pick()
        });
        let boundary = step!(ToBoundary { which: any::<u8>(), offset_ms: -1_i8..=1 });
        let wait = prop_oneof![
            3 => (0_u32..5).prop_map(|ms| Step::Wait { ms }),
            1 => (0_u32..40_000).prop_map(|ms| Step::Wait { ms }),
            1 => (1_u16..6_000).prop_map(|ms| Step::Back { ms }),
        ]
        .boxed();
        let block_route =
            step!(BlockRoute { execution: target(), lane: lane(), reason: pick(), text: pick(), now: pick() });
        let block =
            step!(BlockForAdmission { execution: target(), lane: lane(), reason: 0_u8..4, text: pick(), now: pick() });
        let unblock = step!(Unblock { execution: target(), lane: lane(), reason: pick(), now: pick() });
        let goal = prop_oneof![
            2 => Just(Goal::Granted),
            5 => Just(Goal::Running),
            4 => Just(Goal::Suspended),
            3 => Just(Goal::Timed),
            2 => Just(Goal::Interrupted),
            3 => Just(Goal::Expired),
            1 => Just(Goal::Retried),
            1 => Just(Goal::Terminal),
        ];
        let before = vec![
            (12, flow_steps()),
            (14, parking_steps()),
            (
                6,
                step!(Link {
                    flow: Just(0_u8),
                    up: prop_oneof![Just(0_u8), Just(2)],
                    down: prop_oneof![Just(2_u8), Just(0)]
                }),
            ),
            (14, admission_steps()),
            (14, step!(Approach { execution: target(), goal: goal })),
            (6, create),
            (8, grant),
            (6, claim),
            (3, resumed),
            (1, step!(ClaimFromResumeGrant { execution: target(), lane: lane(), who: who(), ttl: pick() })),
            (2, step!(Scan { lane: lane(), partition: 0_u8..3, limit: any::<u8>() })),
            (7, boundary),
            (4, wait),
            (2, block_route),
            (1, block),
            (2, unblock),
            (2, step!(Promote { execution: target(), lane: lane(), now: pick(), partition: place() })),
            (1, step!(Expire { execution: target(), deadline: any::<bool>(), partition: place() })),
            (1, step!(ChangePriority { execution: target(), lane: lane(), priority: priority() })),
            (2, step!(Replay { execution: target() })),
            (1, step!(Register { who: who(), capabilities: pick(), ttl: pick(), now: pick() })),
            (1, step!(Heartbeat { who: who(), now: pick() })),
            (1, step!(ListExpired { as_of: pick(), limit: pick() })),
            (3, step!(Read { execution: target(), what: any::<u8>() })),
            (1, step!(CancelById { execution: target(), source: pick(), handle: pick(), fence: pick(), text: pick() })),
        ];
        let held = vec![
            (
                3,
                step!(GrantReclaim {
                    execution: target(),
                    lane: lane(),
                    who: who(),
                    capabilities: tokens(),
                    ttl: pick()
                }),
            ),
            (
                3,
                step!(Reclaim {
                    execution: target(),
                    lane: lane(),
                    who: who(),
                    ttl: pick(),
                    cap: pick(),
                    old: who(),
                    attempt: pick()
                }),
            ),
            (4, step!(Renew { handle: pick() })),
            (1, step!(Progress { handle: pick(), percent: pick(), text: pick() })),
            (2, step!(Complete { handle: pick(), payload: pick() })),
            (3, step!(Fail { handle: pick(), text: pick(), class: pick() })),
            (1, step!(Cancel { handle: pick(), text: pick() })),
            (2, step!(Delay { handle: pick(), until: pick() })),
            (
                4,
                step!(Suspend {
                    handle: pick(),
                    condition: pick(),
                    reason: 0_u8..9,
                    timeout: pick(),
                    behavior: 0_u8..5,
                    key: pick()
                }),
            ),
            (
                4,
                step!(Signal {
                    waitpoint: pick(),
                    execution: pick(),
                    name: pick(),
                    token: pick(),
                    key: pick(),
                    delay: pick(),
                    cap: pick()
                }),
            ),
            (1, step!(CompleteByFence { handle: pick(), fence: pick(), source: pick(), payload: pick() })),
            (1, step!(Revoke { execution: target(), who: who(), handle: pick(), expected: pick(), text: pick() })),
            (3, step!(Mark { execution: target(), partition: place() })),
            (2, step!(ExpireSuspension { execution: target(), partition: place() })),
        ];
        let steps = if state.granted == 0 { before } else { before.into_iter().chain(held).collect() };
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn apply(mut state: Progress, step: &Step) -> Progress {
        match step {
            Step::Create { .. } => state.created += 1,
            Step::Grant { .. } | Step::Approach { .. } => state.granted += 1,
            _ => {}
        }
        state
    }
}

/// Sequences of so many steps.
pub fn sequences(steps: usize) -> BoxedStrategy<Vec<Step>> {
    Sequence::sequential_strategy(1..=steps).prop_map(|(_, steps, _)| steps).boxed()
}
