//! Suspensions, waitpoints, signals and secrets through the trait, where 0.15.0 does what one might not expect.

mod common;

use std::time::Duration;

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use common::model as open;
use common::{Lab, START_MS, partition};
use ff_core::backend::Handle;
use ff_core::contracts::*;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind, ValidationKind};
use ff_core::partition::{PartitionConfig, PartitionKey};
use ff_core::state::{LifecyclePhase, PublicState};
use ff_core::types::*;
use pollster::FutureExt as _;

const SECRET: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn fresh(lab: &Lab, key: &str) -> WaitpointBinding {
    WaitpointBinding::Fresh { waitpoint_id: WaitpointId::from_uuid(lab.uuid()), waitpoint_key: key.into() }
}

fn args(lab: &Lab, keys: &[&str], condition: ResumeCondition) -> SuspendArgs {
    SuspendArgs::new(
        SuspensionId::from_uuid(lab.uuid()),
        fresh(lab, "unused"),
        condition,
        ResumePolicy::normal(),
        SuspensionReasonCode::WaitingForSignal,
        lab.now(),
    )
    .with_waitpoints(keys.iter().map(|key| fresh(lab, key)).collect())
}

fn refusal(lab: &Lab, handle: &Handle, args: SuspendArgs) -> EngineError {
    lab.backend.suspend(handle, args).block_on().unwrap_err()
}

fn all_of(keys: &[&str]) -> ResumeCondition {
    ResumeCondition::all_of_waitpoints(keys.iter().copied())
}

fn deliver(lab: &Lab, args: DeliverSignalArgs) -> String {
    match lab.backend.deliver_signal(args).block_on().unwrap() {
        DeliverSignalResult::Accepted { effect, .. } => effect,
        duplicate => format!("{duplicate:?}"),
    }
}

/// A signal to the waitpoint at a position of a suspension.
fn signal_to(lab: &Lab, id: &ExecutionId, details: &SuspendOutcomeDetails, position: usize) -> DeliverSignalArgs {
    let mut args = lab.signal_args(id, details, "go");
    if position > 0 {
        let extra = &details.additional_waitpoints[position - 1];
        args.waitpoint_id = extra.waitpoint_id.clone();
        args.waitpoint_token = extra.waitpoint_token.token().clone();
    }
    args
}

fn open_waitpoints(lab: &Lab, id: &ExecutionId) -> Vec<PendingWaitpointInfo> {
    lab.backend.list_pending_waitpoints(ListPendingWaitpointsArgs::new(id.clone())).block_on().unwrap().entries
}

#[test]
fn the_first_waitpoint_stays_open_when_anothers_signal_completes_the_condition() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, args(&lab, &["a", "b"], all_of(&["a", "b"])));
    assert_eq!(deliver(&lab, signal_to(&lab, &id, &details, 0)), "appended_to_waitpoint");
    assert_eq!(deliver(&lab, signal_to(&lab, &id, &details, 1)), "resume_condition_satisfied");
    assert_eq!(lab.core(&id).vector.public_state, PublicState::Waiting);
    let open = open_waitpoints(&lab, &id);
    assert_eq!(open.iter().map(|open| open.waitpoint_key.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn composite_structure_is_refused_before_anything_is_sent() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let sent = lab.server.messages().len();
    let count = |n, keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned());
        ResumeCondition::Composite(CompositeBody::count(n, CountKind::DistinctWaitpoints, None, keys))
    };
    let nested = |condition| ResumeCondition::Composite(CompositeBody::all_of([condition]));
    let deep = nested(nested(nested(nested(count(1, &["a"])))));
    for (condition, detail) in [
        (ResumeCondition::Composite(CompositeBody::all_of([])), "allof_empty_members at path <root>"),
        (nested(count(0, &["a"])), "count_n_zero at path members[0]"),
        (count(1, &[]), "count_waitpoints_empty at path <root>"),
        (count(2, &["a"]), "count_exceeds_waitpoint_set: n=2 > waitpoints.len()=1 at path <root>"),
        (deep, "depth 5 exceeds cap 4 at path members[0].members[0].members[0].members[0]"),
    ] {
        let EngineError::Validation { kind: ValidationKind::InvalidInput, detail: said } =
            refusal(&lab, &handle, args(&lab, &["a"], condition))
        else {
            panic!("{detail}");
        };
        assert_eq!(said, detail);
    }
    assert_eq!(lab.server.messages().len(), sent);
}

#[test]
fn several_bindings_must_be_exactly_the_ones_that_the_condition_names() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    for (keys, condition, detail) in [
        (["a", ""], all_of(&["a"]), "additional_waitpoint_binding_empty_key at waitpoints[1]"),
        (["a", "b"], all_of(&["a", "c"]), "referenced_waitpoint_key_missing_binding: c"),
        (["a", "b"], all_of(&["a"]), "extra_binding_not_referenced_by_condition: b"),
    ] {
        let EngineError::Validation { detail: said, .. } = refusal(&lab, &handle, args(&lab, &keys, condition)) else {
            panic!("{detail}");
        };
        assert_eq!(said, detail);
    }
}

#[test]
fn a_pending_waitpoint_takes_no_signal_and_keeps_its_token_when_a_suspension_uses_it() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let pending = lab.backend.create_waitpoint(&handle, "key", Duration::from_secs(5)).block_on().unwrap();
    let token = pending.hmac_token.token().clone();
    let early = DeliverSignalArgs {
        waitpoint_token: token.clone(),
        ..lab.signal_args(
            &id,
            &SuspendOutcomeDetails::new(
                SuspensionId::from_uuid(lab.uuid()),
                pending.waitpoint_id.clone(),
                "key".into(),
                pending.hmac_token.clone(),
            ),
            "go",
        )
    };
    let refused = lab.backend.deliver_signal(early.clone()).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::Contention(ContentionKind::WaitpointPendingUseBufferScript)));
    let wanted = lab.suspend_args("go").with_waitpoints(vec![WaitpointBinding::use_pending(&pending)]);
    let details = lab.suspend(&handle, wanted);
    assert_eq!((details.waitpoint_key.as_str(), details.waitpoint_token.token()), ("key", &token));
    assert_eq!(deliver(&lab, early), "resume_condition_satisfied");
}

#[test]
fn a_pending_waitpoint_lapses_by_the_clients_clock_against_the_servers() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    lab.server.set_caller_now(TimestampMs(START_MS - 10_000));
    let pending = lab.backend.create_waitpoint(&handle, "key", Duration::from_secs(5)).block_on().unwrap();
    let due = lab.server.look(|store| store.pending_waitpoints(1).map(|(score, _)| score.whole()).collect::<Vec<_>>());
    assert_eq!(due, [START_MS - 5_000]);
    let late = lab.suspend_args("go").with_waitpoints(vec![WaitpointBinding::use_pending(&pending)]);
    assert!(matches!(refusal(&lab, &handle, late), EngineError::State(StateKind::PendingWaitpointExpired)));
}

#[test]
fn a_pending_waitpoint_beside_new_ones_is_spent_by_the_refused_suspend() {
    let lab = Lab::new();
    lab.breaks("S48 refused suspend_execution=use_pending_with_extras_unsupported");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let pending = lab.backend.create_waitpoint(&handle, "key", Duration::from_secs(5)).block_on().unwrap();
    let bindings = || vec![WaitpointBinding::use_pending(&pending), fresh(&lab, "b")];
    let both = || args(&lab, &[], all_of(&["b"])).with_waitpoints(bindings());
    let refused = refusal(&lab, &handle, both());
    assert!(format!("{refused:?}").contains("unknown error code: use_pending_with_extras_unsupported"), "{refused:?}");
    assert_eq!(lab.core(&id).vector.lifecycle_phase, LifecyclePhase::Active);
    assert!(matches!(refusal(&lab, &handle, both()), EngineError::State(StateKind::WaitpointNotPending)));
}

#[test]
fn a_remembered_outcome_is_answered_with_every_waitpoint_after_the_suspension_is_over() {
    let lab = Lab::new();
    lab.breaks("S48 suspended suspend_execution=suspended");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let wanted = args(&lab, &["a", "b"], all_of(&["a", "b"])).with_idempotency_key(IdempotencyKey::new("once"));
    let first = lab.suspend(&handle, wanted.clone());
    lab.cancel_by_operator(&id).unwrap();
    let again = lab.suspend(&handle, wanted);
    assert_eq!(first, again);
    assert_eq!(again.additional_waitpoints.len(), 1);
    assert!(lab.is_terminal(&id));
}

#[test]
fn the_signals_that_resumed_an_attempt_are_observed_with_their_payloads() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, args(&lab, &["a", "b"], all_of(&["a", "b"])));
    let first = DeliverSignalArgs { payload: Some(b"one".to_vec()), ..signal_to(&lab, &id, &details, 1) };
    let second = signal_to(&lab, &id, &details, 0);
    deliver(&lab, first.clone());
    assert!(lab.backend.observe_signals(&handle).block_on().unwrap().is_empty());
    deliver(&lab, second.clone());
    let seen = lab.backend.observe_signals(&handle).block_on().unwrap();
    assert_eq!(
        seen.into_iter().map(|seen| (seen.signal_id, seen.payload)).collect::<Vec<_>>(),
        [(first.signal_id, Some(b"one".to_vec())), (second.signal_id, None)]
    );
}

#[test]
fn an_operators_resume_needs_a_waitpoint_and_leaves_no_signal_to_observe() {
    let lab = Lab::new();
    let id = lab.create();
    let resume = |delay_ms| {
        let args = ResumeExecutionArgs {
            execution_id: id.clone(),
            trigger_type: "operator".into(),
            resume_delay_ms: delay_ms,
        };
        lab.backend.resume_execution(args).block_on()
    };
    assert!(matches!(resume(0), Err(EngineError::State(StateKind::ExecutionNotSuspended))));
    assert_eq!(lab.server.messages().last().map(|(name, _)| *name), Some("HMGET core"));
    let handle = lab.claim(&id, 30_000);
    lab.suspend(&handle, lab.suspend_args("go"));
    assert_eq!(resume(70).unwrap(), ResumeExecutionResult::Resumed { public_state: PublicState::Delayed });
    assert!(lab.backend.observe_signals(&handle).block_on().unwrap().is_empty());
    let described = lab.backend.describe_execution(&id).block_on().unwrap().unwrap();
    assert_eq!(described.blocking_detail.as_deref(), Some("resume delay 70ms"));
    assert!(open_waitpoints(&lab, &id).is_empty());
}

#[test]
fn a_closed_waitpoint_still_resumes_its_suspension() {
    let lab = Lab::new();
    lab.breaks("S34 waitpoint-not-active close_waitpoint=closed");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, lab.suspend_args("go"));
    let waitpoint = details.waitpoint_id.to_string();
    lab.backend.close_waitpoint(partition(&id), &id, &waitpoint, lab.now()).block_on().unwrap();
    assert!(open_waitpoints(&lab, &id).is_empty());
    assert_eq!(deliver(&lab, lab.signal_args(&id, &details, "go")), "resume_condition_satisfied");
}

#[test]
fn a_waitpoint_id_used_again_is_still_decided_by_its_old_tree() {
    let lab = Lab::new();
    lab.breaks("L13 unheeded suspend_execution=suspended");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let wanted = args(&lab, &["a"], all_of(&["a"]));
    let details = lab.suspend(&handle, wanted.clone());
    deliver(&lab, lab.signal_args(&id, &details, "go"));
    lab.grant(&id, "w", 5_000).unwrap();
    let handle = lab.resume_claim(&id, "w", 30_000).unwrap();
    let again = WaitpointBinding::Fresh { waitpoint_id: details.waitpoint_id, waitpoint_key: "wp".into() };
    let details = lab.suspend(&handle, lab.suspend_args("go").with_waitpoints(vec![again]));
    assert_eq!(deliver(&lab, lab.signal_args(&id, &details, "go")), "signal_ignored_not_in_condition");
}

#[test]
fn tokens_of_an_earlier_suspension_stay_satisfied_after_a_deadline_and_a_replay() {
    let lab = Lab::new();
    lab.breaks("S45 deadline-not-due expire_execution=expired");
    lab.breaks("S47 reason replay_execution=replayed");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, args(&lab, &["a", "b"], all_of(&["a", "b"])));
    deliver(&lab, signal_to(&lab, &id, &details, 0));
    let phase = ff_core::engine_backend::ExpirePhase::ExecutionDeadline;
    lab.backend.expire_execution(partition(&id), &id, phase, lab.now()).block_on().unwrap();
    lab.replay(&id).unwrap();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, args(&lab, &["a", "b"], all_of(&["a", "b"])));
    assert_eq!(deliver(&lab, signal_to(&lab, &id, &details, 1)), "resume_condition_satisfied");
}

#[test]
fn an_approval_finds_its_token_and_insists_on_the_lane() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, lab.suspend_args("approved"));
    let approve = |lane: &str, waitpoint: &WaitpointId| {
        let lane = LaneId::new(lane);
        let args = DeliverApprovalSignalArgs::new(
            id.clone(),
            lane,
            waitpoint.clone(),
            "approved",
            "suffix",
            1_000,
            None,
            None,
        );
        lab.backend.deliver_approval_signal(args).block_on()
    };
    let nowhere = WaitpointId::from_uuid(lab.uuid());
    assert!(matches!(approve("default", &nowhere), Err(EngineError::NotFound { entity: "waitpoint" })));
    let Err(EngineError::Validation { detail, .. }) = approve("other", &details.waitpoint_id) else { panic!() };
    assert_eq!(detail, "lane_mismatch: args.lane_id=other exec_core.lane_id=default");
    assert!(matches!(
        approve("default", &details.waitpoint_id),
        Ok(DeliverSignalResult::Accepted { effect, .. }) if effect == "resume_condition_satisfied"
    ));
}

#[test]
fn suspended_executions_are_listed_by_timeout() {
    let lab = Lab::new();
    let mut ids = Vec::new();
    for timeout_ms in [None, Some(90_000), Some(60_000)] {
        let id = lab.create();
        let handle = lab.claim(&id, 30_000);
        let mut wanted = lab.suspend_args("go");
        if let Some(timeout_ms) = timeout_ms {
            wanted = wanted.with_timeout(TimestampMs(START_MS + timeout_ms), TimeoutBehavior::Fail);
        }
        lab.suspend(&handle, wanted);
        ids.push(id);
    }
    let list = |cursor: Option<&ExecutionId>| {
        let key = PartitionKey::from(partition(&ids[0]));
        lab.backend.list_suspended(key, cursor.cloned(), 2).block_on().unwrap()
    };
    let page = list(None);
    let listed: Vec<_> = page.entries.iter().map(|entry| &entry.execution_id).collect();
    assert_eq!(listed, [&ids[2], &ids[1]]);
    assert_eq!(page.entries[0].reason, "waiting_for_signal");
    let rest = list(page.next_cursor.as_ref());
    assert_eq!((rest.entries[0].suspended_at_ms, rest.next_cursor), (9_999_999_999_999, None));
}

#[test]
fn a_stale_triple_does_not_suspend() {
    let lab = Lab::new();
    let id = lab.create();
    let args = lab.claim_args(&id, "w", 30_000);
    lab.grant(&id, "w", 5_000).unwrap();
    let claimed = lab.try_claim(args).unwrap();
    let suspend = |epoch| {
        let fence = LeaseFence {
            lease_id: claimed.lease_id.clone(),
            lease_epoch: LeaseEpoch::new(epoch),
            attempt_id: claimed.attempt_id.clone(),
        };
        lab.backend.suspend_by_triple(id.clone(), fence, lab.suspend_args("go")).block_on()
    };
    assert!(matches!(suspend(2), Err(EngineError::State(StateKind::StaleLease))));
    assert!(matches!(suspend(1), Ok(SuspendOutcome::Suspended { .. })));
    assert_eq!(lab.indexes(&id), ["suspended"]);
}

#[test]
fn a_server_without_secrets_suspends_nothing_until_it_is_seeded() {
    let server =
        std::sync::Arc::new(Immediate::new(Store::unseeded(Deviations::default()), ServerTime::from_ms(START_MS)));
    let partitions = PartitionConfig { num_flow_partitions: 2, ..PartitionConfig::default() };
    let backend = ModelBackend::new(server, partitions);
    let seed = |kid: &str, secret: &str| {
        backend.seed_waitpoint_hmac_secret(SeedWaitpointHmacSecretArgs::new(kid, secret)).block_on()
    };
    assert!(matches!(seed("k1", "07"), Err(EngineError::Validation { .. })));
    assert_eq!(seed("k1", SECRET).unwrap(), SeedOutcome::Seeded { kid: "k1".into() });
    assert_eq!(seed("k1", SECRET).unwrap(), SeedOutcome::AlreadySeeded { kid: "k1".into(), same_secret: true });
    let other = SECRET.replace('7', "8");
    assert_eq!(seed("k1", &other).unwrap(), SeedOutcome::AlreadySeeded { kid: "k1".into(), same_secret: false });
    let Err(EngineError::Validation { detail, .. }) = seed("k2", SECRET) else { panic!() };
    assert_eq!(
        detail,
        "seed_waitpoint_hmac_secret: stored current_kid \"k1\" differs from supplied kid \"k2\"; use \
         rotate_waitpoint_hmac_secret_all to change kid"
    );
}

#[test]
fn a_token_outlives_a_rotation_by_its_grace_and_its_refusal_is_stamped() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, lab.suspend_args("go"));
    let rotation = RotateWaitpointHmacSecretAllArgs::new("k2", "0A", 500);
    let rotated = lab.backend.rotate_waitpoint_hmac_secret_all(rotation).block_on().unwrap();
    assert_eq!(rotated.entries.len(), 4);
    assert!(matches!(&rotated.entries[1].result, Ok(RotateWaitpointHmacSecretOutcome::Rotated { gc_count: 0, .. })));
    lab.wait(501);
    let refused = lab.backend.deliver_signal(lab.signal_args(&id, &details, "go")).block_on().unwrap_err();
    assert!(format!("{refused:?}").contains("unknown error code: token_expired"), "{refused:?}");
    assert_eq!(lab.core(&id).last_hmac_validation_failed_at, Some(lab.server.now()));
    lab.server.set_now(ServerTime::from_ms(START_MS + 500));
    assert_eq!(deliver(&lab, lab.signal_args(&id, &details, "go")), "resume_condition_satisfied");
}
