//! One test for each invariant about what is around the lease: delays, signals, flows, admission, answers and ends.

use std::sync::Arc;

use ff_core::contracts::{
    ResumeCondition, ResumePolicy, SignalMatcher, SuspensionReasonCode, SuspensionRequester, TimeoutBehavior,
};
use ff_core::types::{BudgetId, EdgeId, FlowId, SignalId, SuspensionId, TimestampMs, WaitpointId};

use super::*;
use crate::message::{
    ApplyDependency, CheckAdmission, ClaimResumed, Command, CreateBudget, Expiry, FlowPlace, FlowScript, Refusal,
    ResolveDependency, Signal, Spend, Suspend,
};
use crate::store::{BudgetPlace, QuotaPlace, Terms};

/// A suspension that a worker was told, with what a sender needs.
struct Wait {
    waitpoint: WaitpointId,
    token: String,
}

impl World {
    fn suspending(&self, held: &HandleFields, key: &str) -> Box<Suspend> {
        let terms = Terms {
            condition: ResumeCondition::Single {
                waitpoint_key: key.into(),
                matcher: SignalMatcher::ByName("go".into()),
            },
            policy: ResumePolicy::normal(),
            timeout_behavior: TimeoutBehavior::Fail,
        };
        Box::new(Suspend {
            held: held.clone(),
            suspension: SuspensionId::from_uuid(self.uuid()),
            waitpoint: WaitpointId::from_uuid(self.uuid()),
            key: Some(key.into()),
            extras: Vec::new(),
            terms: Arc::new(terms),
            reason: SuspensionReasonCode::WaitingForSignal,
            requested_by: SuspensionRequester::Worker,
            timeout_at: None,
            continuation: None,
            idempotency_key: None,
            dedup_ttl_ms: 0,
        })
    }

    /// Claims and suspends; gives where the execution waits.
    fn park(&mut self) -> Wait {
        let held = self.claim();
        self.park_as(self.suspending(&held, "key"))
    }

    fn park_as(&mut self, args: Box<Suspend>) -> Wait {
        let waitpoint = args.waitpoint.clone();
        self.fine(Script::Suspend(args));
        let found = self.store.waitpoint(PARTITION, &waitpoint).expect("suspended");
        Wait { token: found.token.clone(), waitpoint }
    }

    fn signalling(&self, wait: &Wait, edit: impl FnOnce(&mut Signal)) -> Script {
        let mut args = Signal {
            execution: self.work,
            lane: self.lane,
            waitpoint: wait.waitpoint.clone(),
            signal: SignalId::from_uuid(self.uuid()),
            name: "go".into(),
            category: String::new(),
            source_type: String::new(),
            source_identity: String::new(),
            payload: Vec::new(),
            payload_encoding: "json".into(),
            correlation_id: String::new(),
            scope: String::new(),
            created_at: None,
            token: wait.token.clone(),
            idempotency_key: Some("once".into()),
            dedup_ttl_ms: 60_000,
            resume_delay_ms: 0,
            max_signals: 10,
            stream_maxlen: 100,
        };
        edit(&mut args);
        Script::Signal(Box::new(args))
    }

    fn resuming(&self, wait: &Wait, delay_ms: u64) -> Script {
        Script::Resume { execution: self.work, lane: self.lane, waitpoint: wait.waitpoint.clone(), delay_ms }
    }

    /// Makes a flow of two and lets the second wait for the first by this policy; gives first, second, edge and flow.
    pub(super) fn chain(&mut self) -> (ExecutionNo, ExecutionNo, EdgeId, FlowPlace) {
        let flow = FlowPlace { flow: FlowId::from_uuid(self.uuid()), partition: PARTITION };
        let create = FlowScript::Create { place: flow.clone(), kind: "kind".into(), namespace: Namespace::new("ns") };
        self.fine(Script::Flow(Box::new(create)));
        let first = self.work;
        self.create(|_| ());
        let second = self.work;
        for execution in [first, second] {
            let add = FlowScript::AddExecution { place: flow.clone(), execution };
            self.fine(Script::Flow(Box::new(add)));
        }
        let edge = EdgeId::from_uuid(self.uuid());
        self.fine(Script::Flow(Box::new(FlowScript::Apply(ApplyDependency {
            downstream: second,
            flow: flow.clone(),
            edge: edge.clone(),
            upstream: first,
            graph_revision: 1,
            kind: "success_only".into(),
            data_passing_ref: String::new(),
            lane: self.lane,
            now: self.now.to_wire(),
        }))));
        (first, second, edge, flow)
    }

    fn resolving(&self, chain: &(ExecutionNo, ExecutionNo, EdgeId, FlowPlace), outcome: &str) -> Script {
        let (first, second, edge, flow) = chain;
        Script::Flow(Box::new(FlowScript::Resolve(ResolveDependency {
            child: Place { execution: *second, partition: PARTITION },
            flow: flow.clone(),
            edge: edge.clone(),
            upstream: *first,
            outcome: outcome.into(),
            lane: self.lane,
            attempt_index: AttemptIndex::new(0),
            now: self.now.to_wire(),
        })))
    }

    fn cancelling_flow(&self, flow: &FlowPlace) -> Script {
        let (place, reason) = (flow.clone(), "test".into());
        Script::Flow(Box::new(FlowScript::Cancel { place, reason, policy: "cancel_all".into() }))
    }

    fn admitting(&self, quota: QuotaPlace, rate_limit: u64, concurrency_cap: u64) -> Script {
        Script::CheckAdmission(Box::new(CheckAdmission {
            place: quota,
            dimension: "default".into(),
            execution: self.work,
            now: self.now.to_wire(),
            window_seconds: 60,
            rate_limit,
            concurrency_cap,
            jitter_ms: 0,
        }))
    }

    fn quota(&self) -> QuotaPlace {
        QuotaPlace { partition: 0, policy: self.uuid() }
    }

    /// A budget that has reached its hard limit, attached to the execution.
    fn spent_budget(&mut self) -> BudgetPlace {
        let place = BudgetPlace { partition: 0, budget: self.uuid() };
        self.fine(Script::CreateBudget(Box::new(CreateBudget {
            place,
            scope_type: "lane".into(),
            scope_id: "default".into(),
            enforcement_mode: "strict".into(),
            on_hard_limit: "fail".into(),
            on_soft_limit: "warn".into(),
            reset_interval_ms: 0,
            dimensions: vec![("tokens".into(), 10, 0)],
            now: self.now.to_wire(),
        })));
        self.fine(Script::ReportUsage(Box::new(Spend {
            place,
            deltas: vec![("tokens".into(), 10)],
            now: self.now.to_wire(),
            dedup: None,
            execution: None,
        })));
        let name = BudgetId(place.budget).to_string();
        self.store.attach(self.work, |attached| attached.budget_ids = Some(name));
        place
    }
}

#[test]
fn s32_is_red_when_a_promoter_whose_clock_is_ahead_makes_delayed_work_claimable() {
    let mut world = World::shipped();
    let until = TimestampMs(START_MS + 60_000);
    world.create(|args| args.delay_until = Some(until));
    world.fine(Script::Promote { place: world.place(), lane: world.lane, now: until });
    assert_red(Invariant::S32, world.step(world.granting(|_| ())));
}

#[test]
fn s32_is_red_when_a_creation_forgets_its_delay() {
    assert_red_with(Deviation::BugCreateIgnoresDelay, Invariant::S32, |world| {
        let until = TimestampMs(START_MS + 60_000);
        world.create(|args| args.delay_until = Some(until));
        world.step(world.granting(|_| ()))
    });
}

#[test]
fn s33_is_red_when_the_end_of_an_upstream_is_told_that_has_not_ended() {
    let mut world = World::shipped();
    let chain = world.chain();
    assert_red(Invariant::S33, world.step(world.resolving(&chain, "success")));
}

#[test]
fn s34_is_red_when_a_waitpoint_is_closed_under_an_open_suspension() {
    let mut world = World::shipped();
    let wait = world.park();
    let close = Script::CloseWaitpoint { place: world.place(), waitpoint: Some(wait.waitpoint) };
    assert_red(Invariant::S34, world.step(close));
}

#[test]
fn s35_is_red_when_the_token_of_an_earlier_wait_ends_a_later_one() {
    let mut world = World::shipped();
    let earlier = world.park();
    // An operator's resume leaves the condition of the first waitpoint open.
    world.fine(world.resuming(&earlier, 0));
    world.fine(world.granting(|_| ()));
    let claim = ClaimResumed { taker: world.taker(), named_attempt: AttemptIndex::new(0), remaining_ms: None };
    world.fine(Script::ClaimResumed(Box::new(claim)));
    world.park_as(world.suspending(&world.held(), "later"));
    assert_red(Invariant::S35, world.step(world.signalling(&earlier, |_| ())));
}

#[test]
fn s36_is_red_when_a_repeated_signal_is_refused_because_the_first_has_ended_the_wait() {
    let mut world = World::shipped();
    let wait = world.park();
    world.fine(world.signalling(&wait, |_| ()));
    assert_red(Invariant::S36, world.step(world.signalling(&wait, |_| ())));
}

#[test]
fn s38_is_red_when_a_cascade_cancels_a_member_and_publishes_nothing() {
    let mut world = World::shipped();
    let (first, _, _, flow) = world.chain();
    world.fine(world.cancelling_flow(&flow));
    world.work = first;
    let Script::Cancel(mut args) = world.cancelling(None) else { unreachable!("a cancel") };
    args.source = "flow_cascade".into();
    assert_red(Invariant::S38, world.step(Script::Cancel(args)));
}

#[test]
fn s41_is_red_when_a_slot_is_given_back_while_its_execution_runs() {
    let mut world = World::shipped();
    let quota = world.quota();
    world.fine(world.admitting(quota, 0, 1));
    world.claim();
    world.fine(Script::ReleaseAdmission { place: quota, execution: world.work });
    world.create(|_| ());
    world.fine(world.admitting(quota, 0, 1));
    assert_red(Invariant::S41, world.step(world.granting(|_| ())));
}

#[test]
fn s41_is_red_when_the_quota_admits_beyond_what_it_has_counted_itself() {
    assert_red_with(Deviation::BugAdmitOverCap, Invariant::S41, |world| {
        let quota = world.quota();
        world.fine(world.admitting(quota, 0, 1));
        world.create(|_| ());
        world.step(world.admitting(quota, 0, 1))
    });
}

#[test]
fn s42_is_red_when_the_quota_admits_beyond_what_its_own_window_holds() {
    assert_red_with(Deviation::BugAdmitOverRate, Invariant::S42, |world| {
        let quota = world.quota();
        world.fine(world.admitting(quota, 1, 0));
        world.create(|_| ());
        world.step(world.admitting(quota, 1, 0))
    });
}

#[test]
fn s42_is_red_when_a_scheduler_whose_clock_is_ahead_empties_the_window() {
    let mut world = World::shipped();
    let quota = world.quota();
    world.fine(world.admitting(quota, 1, 0));
    let Script::CheckAdmission(mut ahead) = world.admitting(quota, 1, 0) else { unreachable!("an admission") };
    world.create(|_| ());
    (ahead.execution, ahead.now) = (world.work, TimestampMs(START_MS + 60_000));
    world.fine(Script::CheckAdmission(ahead));
    world.create(|_| ());
    let admitted = Done::Ok("admitted");
    assert_red(Invariant::S42, world.forged(world.admitting(quota, 1, 0), admitted));
}

#[test]
fn s43_is_red_when_work_is_granted_whose_budget_was_read_as_spent() {
    // An operator reads all of it, a scheduler each limited dimension.
    let reads: [fn(BudgetPlace) -> Command; 2] =
        [Command::BudgetUsage, |place| Command::BudgetUsed(place, "tokens".into())];
    for read in reads {
        let mut world = World::shipped();
        let place = world.spent_budget();
        world.perform(&Message::Command(read(place)), |_, _| (), None);
        assert_red(Invariant::S43, world.step(world.granting(|_| ())));
    }
}

#[test]
fn s44_is_red_when_a_slot_is_given_back_twice() {
    let mut world = World::shipped();
    let quota = world.quota();
    let first = world.work;
    world.fine(world.admitting(quota, 0, 2));
    world.create(|_| ());
    world.fine(world.admitting(quota, 0, 2));
    let release = || Script::ReleaseAdmission { place: quota, execution: first };
    world.fine(release());
    assert_red(Invariant::S44, world.step(release()));
}

#[test]
fn s45_is_red_when_the_timeout_of_an_earlier_attempt_ends_a_later_one() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    world.fine(world.claiming(|args| args.attempt_timeout_ms = Some(2 * LEASE_MS)));
    world.expire();
    world.reclaim();
    world.wait(LEASE_MS);
    assert_red(Invariant::S45, world.step(expiring(&world, Expiry::AttemptTimeout)));
}

#[test]
fn s45_is_red_when_an_engine_whose_clock_is_ahead_ends_work_before_its_deadline() {
    let mut world = World::shipped();
    world.create(|args| args.deadline_at = Some(TimestampMs(START_MS + 60_000)));
    assert_red(Invariant::S45, world.step(expiring(&world, Expiry::ExecutionDeadline)));
}

fn expiring(world: &World, expiry: Expiry) -> Script {
    let attempt_index = world.found().core.current_attempt_index;
    Script::ExpireExecution { place: world.place(), lane: world.lane, attempt_index, expiry }
}

#[test]
fn s46_is_red_when_the_bearer_of_a_live_grant_is_refused() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let message = Message::Script(world.claiming(|_| ()));
    let refused = Reply::Refused(Refusal::InvalidClaimGrant);
    let found = world.checker.observe(&world.store, world.now, &message, &refused);
    assert_red(Invariant::S46, invariants(found));
}

#[test]
fn s47_is_red_when_a_replay_keeps_the_count_of_retries() {
    let mut world = World::shipped();
    let held = world.claim();
    world.step(failing(&held, 1));
    world.wait(1_000);
    world.fine(Script::Promote { place: world.place(), lane: world.lane, now: world.now.to_wire() });
    let held = world.claim();
    world.step(failing(&held, 1));
    assert_red(Invariant::S47, world.step(world.replaying()));
}

#[test]
fn s48_is_red_when_a_repeated_suspend_is_told_that_it_suspends_after_the_wait_has_ended() {
    let mut world = World::shipped();
    let held = world.claim();
    let keyed = |world: &World| {
        let mut args = world.suspending(&held, "key");
        (args.idempotency_key, args.dedup_ttl_ms) = (Some("once".into()), 60_000);
        args
    };
    let wait = world.park_as(keyed(&world));
    world.fine(world.signalling(&wait, |_| ()));
    assert_red(Invariant::S48, world.step(Script::Suspend(keyed(&world))));
}

#[test]
fn s49_is_red_when_a_key_is_sent_with_an_id_of_another_partition() {
    let mut world = World::shipped();
    world.create(|args| args.idempotency_key = Some("once".into()));
    let id = ExecutionId::parse(&format!("{{fp:{}}}:{}", PARTITION + 1, world.uuid())).expect("an execution id");
    let execution = world.ids.execution(&id);
    let again = Create {
        execution,
        name: world.ids.execution_name(execution).clone(),
        partition: PARTITION + 1,
        submission: world.found().submission.clone(),
        priority: 0,
        idempotency_key: Some("once".into()),
        delay_until: None,
        deadline_at: None,
    };
    assert_red(Invariant::S49, world.step(Script::Create(Box::new(again))));
}

#[test]
fn s50_is_red_when_a_failure_is_retried_that_the_policy_does_not_list() {
    let backoff = BackoffStrategy::Fixed { delay_ms: 1_000 };
    let retry = RetryPolicy { max_retries: 1, backoff, retryable_categories: vec!["network".into()] };
    let policy = ExecutionPolicy { retry_policy: Some(retry.clone()), ..ExecutionPolicy::default() };
    let mut world = World::shipped();
    world.create(|args| args.submission.policy = Some(policy));
    let held = world.claim();
    let (reason, category) = ("test".into(), "bad_input".into());
    let fail = Script::Fail { held, reason, category, retry: Some(retry), overriding: false };
    assert_red(Invariant::S50, world.step(fail));
}

#[test]
fn s51_is_red_when_an_answer_says_to_try_again_for_ever() {
    let mut world = World::shipped();
    world.create(|args| args.submission.required = Vec::new());
    let mut broken = Vec::new();
    for _ in 0..100 {
        world.wait(2_000);
        broken.extend(world.step(world.claiming(|_| ())));
    }
    assert_red(Invariant::S51, broken);
}

#[test]
fn s51_is_red_when_an_answer_says_to_give_up_and_has_ended_the_execution() {
    let mut world = World::shipped();
    world.create(|args| {
        args.submission.policy = Some(ExecutionPolicy { max_reclaim_count: 0, ..ExecutionPolicy::default() });
    });
    world.claim();
    world.expire();
    assert_red(Invariant::S51, world.reclaim());
}

#[test]
fn s52_is_red_when_a_member_is_claimed_that_the_cancel_of_its_flow_left_out() {
    let mut world = World::with(Deviations::default().with(Deviation::BugFlowCancelForgetsMember));
    let (.., flow) = world.chain();
    world.create(|_| ());
    let last = FlowScript::AddExecution { place: flow.clone(), execution: world.work };
    world.fine(Script::Flow(Box::new(last)));
    world.fine(world.cancelling_flow(&flow));
    world.fine(world.granting(|_| ()));
    assert_red(Invariant::S52, world.step(world.claiming(|_| ())));
}

#[test]
fn s52_is_red_when_a_member_is_claimed_after_the_cancel_of_its_flow() {
    let mut world = World::shipped();
    let (first, _, _, flow) = world.chain();
    world.fine(world.cancelling_flow(&flow));
    world.work = first;
    world.fine(world.granting(|_| ()));
    assert_red(Invariant::S52, world.step(world.claiming(|_| ())));
}

#[test]
fn l13_is_red_when_a_signal_satisfies_the_wait_and_the_wait_goes_on() {
    let mut world = World::shipped();
    let wait = world.park();
    let before = world.found().core.clone();
    let broken = world.tampered(world.signalling(&wait, |_| ()), |store, number| {
        store.write_suspension(number, |suspension| {
            suspension.as_mut().expect("suspended").closed_at = None;
        });
        store.edit(number, |core| *core = before);
    });
    assert_red(Invariant::L13, broken);
}

#[test]
fn l01_is_red_when_polls_find_nothing_while_work_is_eligible() {
    let mut world = World::shipped();
    assert!(world.unfinished(63, 0).is_empty());
    assert_eq!(world.unfinished(64, 0), [Invariant::L01]);
}

#[test]
fn l06_is_red_when_blocked_work_whose_cause_has_gone_is_passed_over() {
    let mut world = World::shipped();
    world.step(world.blocking("waiting_for_capable_worker"));
    assert_red(Invariant::L06, world.passed_over(3));
}

#[test]
fn l07_is_red_when_work_is_passed_over_whose_upstreams_have_all_ended() {
    let mut world = World::shipped();
    let (first, ..) = world.chain();
    world.work = first;
    let held = world.claim();
    world.fine(completing(&held, b"out"));
    assert_red(Invariant::L07, world.passed_over(3));
}

#[test]
fn l08_is_red_when_a_suspension_that_has_timed_out_is_passed_over() {
    let mut world = World::shipped();
    let held = world.claim();
    let mut args = world.suspending(&held, "key");
    args.timeout_at = Some(TimestampMs(START_MS + 1_000));
    world.park_as(args);
    world.wait(1_000);
    assert_red(Invariant::L08, world.passed_over(3));
}

#[test]
fn l11_is_red_when_a_holder_runs_on_too_long_after_its_lease_was_lost() {
    let mut world = World::shipped();
    let fact = WorkerFact::LeaseLost { execution: world.work, for_ms: 20_001, bound_ms: 20_000 };
    assert_red(Invariant::L11, world.worker(fact));
}

#[test]
fn l12_is_red_when_a_repeated_completion_is_refused_although_the_first_was_done() {
    let mut world = World::shipped();
    let held = world.claim();
    world.fine(completing(&held, b"out"));
    let fact = WorkerFact::Repeated {
        execution: world.work,
        epoch: fence_of(&held).lease_epoch,
        outcome: TerminalOutcome::Success,
        method: "complete",
        is_done: false,
    };
    assert_red(Invariant::L12, world.worker(fact));
}

#[test]
fn l14_is_red_when_a_lease_that_nobody_runs_under_is_kept_alive() {
    let mut world = World::shipped();
    let held = world.claim();
    for _ in 0..10 {
        world.wait(10_000);
        world.fine(renewing(&held));
    }
    assert_red(Invariant::L14, world.unfinished(0, 0));
}

#[test]
fn a_lease_that_was_just_given_is_no_orphan() {
    let mut world = World::shipped();
    world.claim();
    assert!(!world.unfinished(0, 0).contains(&Invariant::L14));
}
