//! What the clients of a round do: right and wrong calls on the same few executions.

use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, Union, ValueTree as _};
use proptest::test_runner::TestRunner;
use proptest_state_machine::ReferenceStateMachine as _;

use crate::call::Call;
use crate::staging::scanning;
use crate::staging::sequence::{Goal, Memory, ParkingStep, Pick, Progress, Sequence, Step, Who};
use claimlab_model::time::ServerTime;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// A call of a sequence.
    Step(Step),
    /// A worker asks the scheduler.
    Schedule {
        /// Which instance.
        who: Pick,
        /// What it can do.
        capabilities: Pick,
    },
}

impl Deed {
    /// The call.
    pub fn call(&self, memory: &mut Memory, now: ServerTime) -> Option<Call> {
        match self {
            Self::Step(step) => memory.call(step, now),
            Self::Schedule { who, capabilities } => Some(scanning::schedule(*who, 0, *capabilities, 1)),
        }
    }
}

/// Whether a step is one call that clients make here. Steps of the clock and ways to a state are for
/// between the rounds; flows, admission and the deployment's secrets are read in ways of their own, which
/// the comparison does not know.
fn is_one_call(step: &Step) -> bool {
    match step {
        Step::Approach { .. } | Step::Link { .. } | Step::Wait { .. } | Step::Back { .. } | Step::ToBoundary { .. } => {
            false
        }
        Step::Flow(_) | Step::Admission(_) => false,
        Step::Parking(step) => {
            !matches!(step, ParkingStep::Rotate { .. } | ParkingStep::Seed { .. } | ParkingStep::Read { .. })
        }
        _ => true,
    }
}

/// What is drawn from.
pub struct Storm {
    deeds: BoxedStrategy<Deed>,
    goals: BoxedStrategy<Goal>,
}

impl Default for Storm {
    fn default() -> Self {
        let begun =
            Step::Create { execution: 0, lane: 0, priority: 0, key: 0, delay: 0, deadline: 0, policy: 0, text: 0 };
        let me = Who { worker: 0, instance: 0 };
        let granted = Step::Grant { execution: 0, lane: 0, who: me, capabilities: 3, ttl: 0, partition: 0 };
        let progress = [begun, granted].iter().fold(Progress::default(), Sequence::apply);
        let right_or_wrong = Sequence::transitions(&progress).prop_filter("no single call here", is_one_call);
        let execution = || 0_u8..4;
        let handle = || 0_u8..4;
        let right = prop_oneof![
            3 => execution().prop_map(move |execution| Step::Grant {
                execution, lane: 0, who: me, capabilities: 3, ttl: 0, partition: 0
            }),
            3 => execution().prop_map(move |execution| Step::Claim {
                execution, lane: 0, who: me, ttl: 1, timeout: 0, deadline: 0
            }),
            2 => execution().prop_map(move |execution| Step::ClaimResumed {
                execution, lane: 0, who: me, ttl: 1, attempt: 0, remaining: 0
            }),
            2 => execution().prop_map(move |execution| Step::GrantReclaim {
                execution, lane: 0, who: me, capabilities: 3, ttl: 0
            }),
            2 => execution().prop_map(move |execution| Step::Reclaim {
                execution, lane: 0, who: me, ttl: 1, cap: 0, old: me, attempt: 0
            }),
            3 => handle().prop_map(|handle| Step::Renew { handle }),
            1 => handle().prop_map(|handle| {
                Step::Parking(ParkingStep::CreateWaitpoint { handle, key: 0, expires: 3 })
            }),
            1 => (handle(), 0_u8..2).prop_map(|(handle, waitpoint)| {
                Step::Parking(ParkingStep::UsePending { handle, waitpoint, condition: 0, key: 0 })
            }),
            2 => handle().prop_map(|handle| Step::Complete { handle, payload: 1 }),
            1 => handle().prop_map(|handle| Step::Fail { handle, text: 0, class: 0 }),
            1 => handle().prop_map(|handle| Step::Cancel { handle, text: 0 }),
            2 => handle().prop_map(|handle| Step::Suspend {
                handle, condition: 0, reason: 0, timeout: 0, behavior: 0, key: 0
            }),
            2 => (0_u8..3).prop_map(|waitpoint| Step::Signal {
                waitpoint, execution: 0, name: 0, token: 0, key: 0, delay: 0, cap: 0
            }),
            2 => execution().prop_map(|execution| Step::Mark { execution, partition: 0 }),
            1 => execution().prop_map(|execution| Step::ExpireSuspension { execution, partition: 0 }),
            1 => execution().prop_map(|execution| Step::CancelById {
                execution, source: 0, handle: 0, fence: 0, text: 0
            }),
            2 => execution().prop_map(|execution| Step::Replay { execution }),
            2 => (execution(), any::<u8>()).prop_map(|(execution, what)| Step::Read { execution, what }),
        ];
        let schedule = (any::<u8>(), 0_u8..5).prop_map(|(who, capabilities)| Deed::Schedule { who, capabilities });
        let deeds = Union::new_weighted(vec![
            (6, right.prop_map(Deed::Step).boxed()),
            (4, right_or_wrong.prop_map(Deed::Step).boxed()),
            (1, schedule.boxed()),
        ]);
        let goals = prop_oneof![
            2 => Just(Goal::Granted),
            4 => Just(Goal::Running),
            3 => Just(Goal::Suspended),
            2 => Just(Goal::Interrupted),
            2 => Just(Goal::Expired),
            1 => Just(Goal::Retried),
        ];
        Self { deeds: deeds.boxed(), goals: goals.boxed() }
    }
}

impl Storm {
    /// The deeds of one client in one round.
    pub fn deeds(&self, runner: &mut TestRunner, count: usize) -> Vec<Deed> {
        (0..count).filter_map(|_| self.deeds.new_tree(runner).ok()).map(|tree| tree.current()).collect()
    }

    /// The state that an execution is taken to before a round.
    pub fn goal(&self, runner: &mut TestRunner) -> Option<Goal> {
        self.goals.new_tree(runner).ok().map(|tree| tree.current())
    }
}
