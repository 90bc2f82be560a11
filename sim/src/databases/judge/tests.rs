//! Each promise can be seen broken in calls and answers, and a normal life breaks none.

use ff_core::backend::{BackendTag, Handle, HandleKind, LeaseRenewal};
use ff_core::contracts::{
    CancelExecutionResult, CreateExecutionArgs, CreateExecutionResult, ReplayExecutionArgs, ReplayExecutionResult,
    RevokeLeaseArgs,
};
use ff_core::engine_error::{ContentionKind, EngineError};
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::state::{LifecyclePhase, OwnershipState, PublicState};
use ff_core::types::{
    AttemptId, AttemptIndex, CancelSource, ExecutionId, LaneId, LeaseEpoch, LeaseId, Namespace, TimestampMs,
    WorkerInstanceId,
};
use uuid::Uuid;

use super::*;

const TTL_MS: u64 = 1_000;

fn execution(number: u128) -> ExecutionId {
    ExecutionId::parse(&format!("{{fp:0}}:{}", Uuid::from_u128(number))).unwrap()
}

fn handle(epoch: u64) -> Handle {
    let payload = HandlePayload::new(
        execution(1),
        AttemptIndex::new(0),
        AttemptId::from_uuid(Uuid::from_u128(7)),
        LeaseId::from_uuid(Uuid::from_u128(u128::from(epoch))),
        LeaseEpoch(epoch),
        TTL_MS,
        LaneId::new("default"),
        WorkerInstanceId::new("w-1"),
    );
    Handle::new(BackendTag::Sqlite, HandleKind::Fresh, handle_codec::encode(BackendTag::Sqlite, &payload))
}

fn found(phase: LifecyclePhase, ownership: OwnershipState, state: PublicState) -> Option<Found> {
    Some(Found { state, phase, ownership, attempt: 0 })
}

fn active() -> Option<Found> {
    found(LifecyclePhase::Active, OwnershipState::Leased, PublicState::Active)
}

fn ended(state: PublicState) -> Option<Found> {
    found(LifecyclePhase::Terminal, OwnershipState::Unowned, state)
}

/// A judge with the clock of everybody.
#[derive(Default)]
struct Scene {
    judge: Judge,
    now_ms: i64,
    keeps_result: Option<bool>,
}

impl Scene {
    fn see(&mut self, done: &Done<'_>, [before, after]: [Option<Found>; 2]) -> Vec<String> {
        let now_ms = self.now_ms;
        let clock_of = move |_: PartyNo| now_ms;
        let id = execution(1);
        let seen = self.judge.violations.len();
        let by = "worker-1".to_owned();
        let (role, id, clock_of) = ("worker", Some(&id), &clock_of);
        let keeps_result = self.keeps_result;
        self.judge.see(&Deed { at_us: 0, party: 1, role, by, clock_of, id, done, before, after, keeps_result });
        let broken = self.judge.violations[seen..].iter();
        broken.map(|(violation, _)| format!("{} {}", violation.invariant.id(), violation.case)).collect()
    }

    fn call(&mut self, call: &Call, answer: &Answer, looks: [Option<Found>; 2]) -> Vec<String> {
        self.see(&Done::Call { call, answer }, looks)
    }

    fn claim(&mut self, epoch: u64) -> Vec<String> {
        let call = Call::Claim {
            lane: LaneId::new("default"),
            capabilities: ff_core::backend::CapabilitySet::default(),
            policy: ff_core::backend::ClaimPolicy::new("w".into(), WorkerInstanceId::new("w-1"), 1_000, None),
        };
        self.call(&call, &Answer::Claim(Ok(Some(handle(epoch)))), [None, active()])
    }

    fn complete(&mut self, epoch: u64, before: Option<Found>) -> Vec<String> {
        let call = Call::Complete { handle: handle(epoch), payload: None };
        self.call(&call, &Answer::Complete(Ok(())), [before, ended(PublicState::Completed)])
    }

    fn revoke(&mut self) -> Vec<String> {
        let args = RevokeLeaseArgs {
            execution_id: execution(1),
            expected_lease_id: None,
            worker_instance_id: WorkerInstanceId::new("w-1"),
            reason: "r".into(),
        };
        let revoked = RevokeLeaseResult::Revoked { lease_id: String::new(), lease_epoch: "1".into() };
        let after = found(LifecyclePhase::Active, OwnershipState::LeaseRevoked, PublicState::Active);
        self.call(&Call::RevokeLease { args }, &Answer::RevokeLease(Ok(revoked)), [active(), after])
    }

    fn create(&mut self, made: u128) -> Vec<String> {
        let args = CreateExecutionArgs {
            execution_id: execution(made),
            namespace: Namespace::new("ns"),
            lane_id: LaneId::new("default"),
            execution_kind: "task".into(),
            input_payload: Vec::new(),
            payload_encoding: None,
            priority: 0,
            creator_identity: "c".into(),
            idempotency_key: Some("once".into()),
            tags: Default::default(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            partition_id: 0,
            now: TimestampMs(0),
        };
        let created =
            CreateExecutionResult::Created { execution_id: execution(made), public_state: PublicState::Waiting };
        let after = found(LifecyclePhase::Runnable, OwnershipState::Unowned, PublicState::Waiting);
        self.call(&Call::CreateExecution { args }, &Answer::CreateExecution(Ok(created)), [None, after])
    }
}

#[test]
fn a_normal_life_breaks_nothing_and_is_looked_at() {
    let mut scene = Scene::default();
    assert!(scene.create(1).is_empty());
    assert!(scene.claim(1).is_empty());
    let renewed = Answer::Renew(Ok(LeaseRenewal::new(1_500, 1)));
    scene.now_ms = 500;
    assert!(scene.call(&Call::Renew { handle: handle(1) }, &renewed, [active(), active()]).is_empty());
    scene.now_ms = 1_400;
    assert!(scene.complete(1, active()).is_empty());
    for looked_at in ["S01", "S03", "S04", "S45", "S46", "S48", "S49"] {
        assert!(scene.judge.looks.contains_key(looked_at), "{looked_at}: {:?}", scene.judge.looks);
    }
}

#[test]
fn s01_is_red_when_a_lease_is_given_beside_a_live_one_and_not_after_it() {
    let mut scene = Scene::default();
    scene.claim(1);
    assert_eq!(scene.claim(2), ["S01 live"]);
    scene.now_ms = 1_001;
    assert!(scene.claim(3).is_empty());
}

#[test]
fn s03_is_red_when_a_lease_id_comes_again() {
    let mut scene = Scene::default();
    scene.claim(1);
    scene.now_ms = 2_000;
    assert_eq!(scene.claim(1), ["S03 again"]);
}

#[test]
fn s04_and_s45_are_red_when_a_replaced_lease_completes() {
    let mut scene = Scene::default();
    scene.claim(1);
    scene.now_ms = 2_000;
    scene.claim(2);
    assert_eq!(scene.complete(1, active()), ["S04 replaced", "S45 not-holder"]);
}

#[test]
fn s04_is_red_when_a_lease_past_its_time_renews() {
    let mut scene = Scene::default();
    scene.claim(1);
    scene.now_ms = 1_000;
    let renewed = Answer::Renew(Ok(LeaseRenewal::new(2_000, 1)));
    assert_eq!(scene.call(&Call::Renew { handle: handle(1) }, &renewed, [active(), active()]), ["S04 expired"]);
}

#[test]
fn s08_is_red_when_a_revoked_lease_completes() {
    let mut scene = Scene::default();
    scene.claim(1);
    assert!(scene.revoke().is_empty());
    assert_eq!(scene.complete(1, active()), ["S04 revoked", "S08 revoked", "S45 not-holder"]);
}

#[test]
fn s37_is_red_when_what_has_ended_ends_otherwise() {
    let mut scene = Scene::default();
    scene.claim(1);
    scene.complete(1, active());
    let args = ff_core::contracts::CancelExecutionArgs {
        execution_id: execution(1),
        reason: "r".into(),
        source: CancelSource::OperatorOverride,
        lease_id: None,
        lease_epoch: None,
        attempt_id: None,
        now: TimestampMs(0),
    };
    let cancelled =
        CancelExecutionResult::Cancelled { execution_id: execution(1), public_state: PublicState::Cancelled };
    let looks = [ended(PublicState::Completed), ended(PublicState::Cancelled)];
    let broken = scene.call(&Call::CancelExecution { args }, &Answer::CancelExecution(Ok(cancelled)), looks);
    assert_eq!(broken, ["S37 changed"]);
}

#[test]
fn s45_is_red_when_a_reconciler_ends_what_its_holder_still_holds() {
    let mut scene = Scene::default();
    scene.claim(1);
    let looks = || [active(), ended(PublicState::Failed)];
    assert_eq!(scene.see(&Done::Pass("attempt_timeout"), looks()), ["S45 timeout-not-due"]);
    scene.now_ms = 1_000;
    assert!(scene.see(&Done::Pass("attempt_timeout"), looks()).is_empty());
}

#[test]
fn s46_is_red_when_the_holder_of_a_live_lease_is_refused() {
    let mut scene = Scene::default();
    scene.claim(1);
    let refused = Answer::Renew(Err(EngineError::Contention(ContentionKind::LeaseConflict)));
    let renew = Call::Renew { handle: handle(1) };
    assert_eq!(scene.call(&renew, &refused, [active(), active()]), ["S46 renewal"]);
    let lacking = Answer::Renew(Err(EngineError::Unavailable { op: "renew" }));
    assert!(scene.call(&renew, &lacking, [active(), active()]).is_empty(), "what a backend lacks breaks nothing");
}

#[test]
fn s47_is_red_when_a_replayed_execution_keeps_its_result() {
    let mut scene = Scene::default();
    scene.claim(1);
    scene.complete(1, active());
    let args = ReplayExecutionArgs { execution_id: execution(1), now: TimestampMs(0) };
    let replayed =
        || Answer::ReplayExecution(Ok(ReplayExecutionResult::Replayed { public_state: PublicState::Waiting }));
    let waiting = || found(LifecyclePhase::Runnable, OwnershipState::Unowned, PublicState::Waiting);
    let call = Call::ReplayExecution { args };
    scene.keeps_result = Some(false);
    assert!(scene.call(&call, &replayed(), [ended(PublicState::Completed), waiting()]).is_empty());
    scene.keeps_result = Some(true);
    let broken = scene.call(&call, &replayed(), [ended(PublicState::Completed), waiting()]);
    assert_eq!(broken, ["S47 result"]);
}

#[test]
fn s48_is_red_when_an_answer_is_not_the_effect_or_a_refusal_has_one() {
    let mut scene = Scene::default();
    scene.claim(1);
    let complete = Call::Complete { handle: handle(1), payload: None };
    let broken = scene.call(&complete, &Answer::Complete(Ok(())), [active(), ended(PublicState::Active)]);
    assert_eq!(broken, ["S48 completed"]);
    let refused = Answer::Complete(Err(EngineError::NotFound { entity: "attempt" }));
    assert_eq!(scene.call(&complete, &refused, [active(), ended(PublicState::Active)]), ["S48 refused"]);
}

#[test]
fn s49_is_red_when_one_key_makes_two_executions() {
    let mut scene = Scene::default();
    assert!(scene.create(1).is_empty());
    assert_eq!(scene.create(2), ["S49 again"]);
}
