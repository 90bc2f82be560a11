//! How moves are drawn: random steps and scenes make a state, clocks move, scanners pass and workers
//! ask the scheduler.

use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, Union};
use proptest_state_machine::ReferenceStateMachine as _;

use super::Move;
use super::scene::{End, Scene};
use crate::scanner::ScannerKind;
use crate::staging::sequence::{Progress, Sequence, Step, Who};

/// Sequences of so many moves.
pub fn moves(longest: usize) -> BoxedStrategy<Vec<Move>> {
    prop::collection::vec(one(), 1..=longest).boxed()
}

fn one() -> BoxedStrategy<Move> {
    // Steps of a sequence in which something exists and was granted: all kinds.
    let begun = [
        Step::Create { execution: 0, lane: 0, priority: 0, key: 0, delay: 0, deadline: 0, policy: 0, text: 0 },
        Step::Grant {
            execution: 0,
            lane: 0,
            who: Who { worker: 0, instance: 0 },
            capabilities: 3,
            ttl: 0,
            partition: 0,
        },
    ];
    let progress = begun.iter().fold(Progress::default(), Sequence::apply);
    let pick = || prop_oneof![3 => 0_u8..3, 1 => any::<u8>()];
    let of = || prop_oneof![3 => Just(0_u8), 1 => Just(1)];
    let execution = || 0_u8..4;
    let end = prop_oneof![
        3 => Just(End::Success),
        1 => Just(End::Failure),
        1 => Just(End::Cancelled),
        1 => Just(End::Never),
    ];
    let scenes = Union::new_weighted(vec![
        (6, (of(), 0_u8..6).prop_map(|(flow, policy)| Scene::Flow { flow, policy }).boxed()),
        (1, (of(), 0_u8..3).prop_map(|(flow, up)| Scene::Edge { flow, up }).boxed()),
        (9, (of(), 0_u8..4, end).prop_map(|(flow, member, how)| Scene::End { flow, member, how }).boxed()),
        (3, (of(), 0_u8..3).prop_map(|(flow, ended)| Scene::Enough { flow, ended }).boxed()),
        (3, (of(), pick()).prop_map(|(flow, policy)| Scene::CancelFlow { flow, policy }).boxed()),
        (
            3,
            (of(), pick(), pick())
                .prop_map(|(budget, hard, interval)| Scene::Budget { budget, hard, interval })
                .boxed(),
        ),
        (
            3,
            (of(), execution(), pick())
                .prop_map(|(budget, execution, amount)| Scene::Spend { budget, execution, amount })
                .boxed(),
        ),
        (
            3,
            (of(), pick(), pick(), pick())
                .prop_map(|(quota, window, rate, cap)| Scene::Quota { quota, window, rate, cap })
                .boxed(),
        ),
        (
            3,
            (of(), execution(), pick())
                .prop_map(|(quota, execution, dimension)| Scene::Admit { quota, execution, dimension })
                .boxed(),
        ),
        (
            4,
            (execution(), pick(), pick())
                .prop_map(|(execution, budgets, quota)| Scene::Attach { execution, budgets, quota })
                .boxed(),
        ),
    ]);
    let schedule = (any::<u8>(), pick(), pick(), pick()).prop_map(|(who, lane, capabilities, ttl)| Move::Schedule {
        who,
        lane,
        capabilities,
        ttl,
    });
    let block = (execution(), 0_u8..4).prop_map(|(execution, reason)| {
        Move::Step(Step::BlockForAdmission { execution, lane: 0, reason, text: 0, now: 0 })
    });
    let park = (execution(), prop::sample::select(vec![2_u8, 5, 6, 8]), 0_u8..5)
        .prop_map(|(execution, timeout, behavior)| Move::Park { execution, timeout, behavior });
    let pend = (execution(), prop::sample::select(vec![1_u8, 3]))
        .prop_map(|(execution, expires)| Move::Pend { execution, expires });
    // With a delay that is past already, so that the index does not follow the state, or with a deadline
    // in a second.
    let timed =
        (execution(), prop::sample::select(vec![(3_u8, 0_u8), (0, 2)])).prop_map(|(execution, (delay, deadline))| {
            Move::Step(Step::Create { execution, lane: 0, priority: 0, key: 0, delay, deadline, policy: 0, text: 0 })
        });
    let register = (any::<u8>(), pick()).prop_map(|(worker, capabilities)| {
        Move::Step(Step::Register { who: Who { worker, instance: 0 }, capabilities, ttl: 1, now: 0 })
    });
    let due = (any::<u8>(), -1_i8..=1).prop_map(|(which, offset_ms)| Move::Due { which, offset_ms });
    // What needs others to have acted first passes more often.
    let kind = prop_oneof![
        5 => prop::sample::select(ScannerKind::ALL.to_vec()),
        1 => Just(ScannerKind::DependencyReconciler),
        1 => Just(ScannerKind::EdgeCancelDispatcher),
        1 => Just(ScannerKind::EdgeCancelReconciler),
        1 => Just(ScannerKind::PendingWaitpointExpiry),
        1 => Just(ScannerKind::ExecutionDeadline),
        1 => Just(ScannerKind::QuotaReconciler),
        1 => Just(ScannerKind::BudgetReset),
        1 => Just(ScannerKind::Unblock),
        1 => Just(ScannerKind::CancelReconciler),
        1 => Just(ScannerKind::AttemptTimeout),
        1 => Just(ScannerKind::SuspensionTimeout),
    ];
    Union::new_weighted(vec![
        (24, Sequence::transitions(&progress).prop_map(Move::Step).boxed()),
        (10, scenes.prop_map(Move::Scene).boxed()),
        (14, kind.prop_map(Move::Pass).boxed()),
        (5, schedule.boxed()),
        (3, block.boxed()),
        (1, register.boxed()),
        (2, park.boxed()),
        (2, pend.boxed()),
        (3, timed.boxed()),
        (7, due.boxed()),
    ])
    .boxed()
}
