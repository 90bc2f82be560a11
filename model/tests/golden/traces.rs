//! The golden traces: call sequences whose answers and final states were read off a real Valkey
//! server running the shipped library, replayed here through the trait.

use crate::common::{Lab, partition};
use ff_core::backend::{FailOutcome, FailureClass, FailureReason};
use ff_core::contracts::*;
use ff_core::engine_backend::ExpirePhase;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind, ValidationKind};
use ff_core::handle_codec;
use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy};
use ff_core::state::{AttemptLifecycle, AttemptState, AttemptType, OwnershipState, PublicState, TerminalOutcome};
use ff_core::types::*;
use pollster::FutureExt as _;

#[track_caller]
fn assert_not_active<T: std::fmt::Debug>(result: Result<T, EngineError>, outcome: &str) {
    match result.unwrap_err() {
        EngineError::Contention(ContentionKind::ExecutionNotActive {
            terminal_outcome,
            lease_epoch,
            lifecycle_phase,
            attempt_id,
        }) => assert_eq!(
            [terminal_outcome.as_str(), &lease_epoch, &lifecycle_phase, &attempt_id],
            [outcome, "", "", ""],
            "only the first of the four details survives the client"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn g01_a_repeated_complete_is_not_recognised_as_the_same() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    lab.backend.complete(&handle, None).block_on().unwrap();
    assert_not_active(lab.backend.complete(&handle, None).block_on(), "success");
    let payload = handle_codec::decode(&handle.opaque).unwrap().payload;
    let again = CompleteExecutionArgs {
        execution_id: id.clone(),
        fence: Some(LeaseFence {
            lease_id: payload.lease_id,
            lease_epoch: payload.lease_epoch,
            attempt_id: payload.attempt_id,
        }),
        attempt_index: payload.attempt_index,
        result_payload: None,
        result_encoding: None,
        source: CancelSource::LeaseHolder,
        now: lab.now(),
    };
    let refused = lab.backend.complete_execution(again).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::Validation { kind: ValidationKind::InvalidLeaseForSuspend, .. }));
    assert_not_active(lab.backend.renew(&handle).block_on(), "success");
    let core = lab.core(&id);
    assert_eq!(core.vector.terminal_outcome, TerminalOutcome::Success);
    assert_eq!(core.vector.attempt_state, AttemptState::AttemptTerminal);
    assert_eq!(core.vector.public_state, PublicState::Completed);
    assert_eq!(lab.counters(&id), "e=1 i=0 t=1 r=0");
    assert_eq!(lab.indexes(&id), ["terminal"]);
}

#[test]
fn g02_a_repeated_cancel_is_not_recognised_as_the_same() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    lab.backend.cancel(&handle, "stop").block_on().unwrap();
    assert_not_active(lab.backend.cancel(&handle, "stop").block_on(), "cancelled");
    assert_eq!(lab.core(&id).vector.terminal_outcome, TerminalOutcome::Cancelled);
}

#[test]
fn g03_a_failure_without_policy_is_final() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let fail = || lab.backend.fail(&handle, FailureReason::new("boom"), FailureClass::Transient).block_on();
    assert_eq!(fail().unwrap(), FailOutcome::TerminalFailed);
    assert_not_active(fail(), "failed");
    assert_eq!(lab.indexes(&id), ["terminal"]);
}

#[test]
fn g04_expiry_takes_an_execution_that_was_never_claimed() {
    let lab = Lab::new();
    lab.breaks("S45 timeout-not-due expire_execution=expired");
    let id = lab.create();
    lab.backend.expire_execution(partition(&id), &id, ExpirePhase::AttemptTimeout, lab.now()).block_on().unwrap();
    let core = lab.core(&id);
    assert_eq!(core.vector.public_state, PublicState::Expired);
    assert_eq!(core.vector.attempt_state, AttemptState::PendingFirstAttempt);
    assert_eq!(lab.counters(&id), "e=0 i=- t=0 r=0");
}

#[test]
fn g05_a_reclaim_keeps_the_attempt_timeout_of_the_attempt_it_replaces() {
    let lab = Lab::new();
    lab.breaks("S30 earlier-attempt reclaim_execution=leased");
    let id = lab.create();
    lab.grant(&id, "w", 5_000).unwrap();
    let mut args = lab.claim_args(&id, "w", 200);
    args.attempt_timeout_ms = Some(2_000);
    lab.try_claim(args).unwrap();
    let score_of_timeout = || {
        lab.look(&id, |found| {
            found.members.iter().find(|(key, _)| key.name() == "attempt_timeout").map(|(_, score)| *score)
        })
    };
    let before = score_of_timeout();
    lab.wait(250);
    lab.mark_expired(&id);
    assert!(matches!(lab.grant_reclaim(&id, "w2"), IssueReclaimGrantOutcome::Granted(_)));
    let ReclaimExecutionOutcome::Claimed(handle) = lab.reclaim(&id, "w2", None) else { panic!("not reclaimed") };
    assert_eq!(handle.kind, ff_core::backend::HandleKind::Reclaimed);
    assert_eq!(lab.counters(&id), "e=2 i=1 t=2 r=1");
    assert_eq!(lab.core(&id).vector.ownership_state, OwnershipState::Leased);
    assert_eq!(lab.indexes(&id), ["active", "attempt_timeout", "lease_expiry", "worker_leases"]);
    assert!(before.is_some());
    assert_eq!(before, score_of_timeout());
    lab.look(&id, |found| {
        let attempts: Vec<_> = found.attempts.iter().map(|attempt| (attempt.kind, attempt.state)).collect();
        assert_eq!(
            attempts,
            [
                (Some(AttemptType::Initial), AttemptLifecycle::InterruptedReclaimed),
                (Some(AttemptType::Reclaim), AttemptLifecycle::Started),
            ]
        );
    });
}

#[test]
fn g06_a_revocation_mark_outlives_cancel_and_replay_and_refuses_the_next_renewal() {
    let lab = Lab::new();
    lab.breaks("S46 renewal renew_lease=lease_revoked");
    lab.breaks("S47 reason replay_execution=replayed");
    let id = lab.create();
    let old = lab.claim(&id, 30_000);
    match lab.revoke(&id) {
        RevokeLeaseResult::Revoked { lease_epoch, .. } => assert_eq!(lease_epoch, "1"),
        other => panic!("{other:?}"),
    }
    let refused = lab.backend.complete(&old, None).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::State(StateKind::LeaseRevoked)));
    lab.cancel_by_operator(&id).unwrap();
    assert_eq!(lab.replay(&id).unwrap(), ReplayExecutionResult::Replayed { public_state: PublicState::Waiting });
    let new = lab.claim(&id, 30_000);
    let refused = lab.backend.renew(&new).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::State(StateKind::LeaseRevoked)));
    lab.backend.complete(&new, None).block_on().unwrap();
    assert_eq!(lab.counters(&id), "e=2 i=1 t=2 r=0");
    assert_eq!(lab.core(&id).vector.terminal_outcome, TerminalOutcome::Success);
}

#[test]
fn g07_a_grant_excludes_others_until_it_lapses() {
    let lab = Lab::new();
    let id = lab.create();
    lab.grant(&id, "w", 300).unwrap();
    let refused = lab.grant(&id, "w2", 300).unwrap_err();
    assert!(matches!(refused, EngineError::State(StateKind::GrantAlreadyExists)));
    let refused = lab.try_claim(lab.claim_args(&id, "w2", 30_000)).unwrap_err();
    assert!(matches!(refused, EngineError::Contention(ContentionKind::InvalidClaimGrant)));
    lab.wait(350);
    let refused = lab.try_claim(lab.claim_args(&id, "w", 30_000)).unwrap_err();
    assert!(matches!(refused, EngineError::Contention(ContentionKind::InvalidClaimGrant)));
    lab.grant(&id, "w2", 300).unwrap();
    assert_eq!(lab.indexes(&id), ["eligible"], "a grant does not move the execution");
}

#[test]
fn g08_a_fractional_backoff_is_stored_and_reported_as_zero() {
    let lab = Lab::new();
    let backoff =
        BackoffStrategy::Exponential { initial_delay_ms: 333, max_delay_ms: 60_000, multiplier: 1.5, jitter: false };
    let retry_policy = Some(RetryPolicy { max_retries: 5, backoff, retryable_categories: Vec::new() });
    let id = lab.create_with_policy(ExecutionPolicy { retry_policy, ..ExecutionPolicy::default() });
    let handle = lab.claim(&id, 30_000);
    let due = TimestampMs(lab.now().0 + 333);
    let fail = |handle| lab.backend.fail(handle, FailureReason::new("boom"), FailureClass::Permanent).block_on();
    assert_eq!(fail(&handle).unwrap(), FailOutcome::RetryScheduled { delay_until: due });
    lab.wait(333);
    lab.backend.promote_delayed(partition(&id), &LaneId::new("default"), &id, lab.now()).block_on().unwrap();
    let handle = lab.claim(&id, 30_000);
    assert_eq!(fail(&handle).unwrap(), FailOutcome::RetryScheduled { delay_until: TimestampMs(0) });
    let core = lab.core(&id);
    let text = core.delay_until.unwrap().to_lua_string();
    assert!(text.ends_with(".5"), "{text}");
    assert_eq!(core.vector.attempt_state, AttemptState::PendingRetryAttempt);
    assert_eq!(lab.counters(&id), "e=2 i=1 t=2 r=0");
}

#[test]
fn g09_a_late_renewal_marks_the_lease_expired_and_the_dead_handle_still_cancels() {
    let lab = Lab::new();
    lab.breaks("S04 marked cancel_execution=cancelled");
    lab.breaks("S45 not-holder cancel_execution=cancelled");
    let id = lab.create();
    let handle = lab.claim(&id, 100);
    lab.wait(130);
    let refused = lab.backend.renew(&handle).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::State(StateKind::LeaseExpired)));
    let core = lab.core(&id);
    assert_eq!(core.vector.ownership_state, OwnershipState::LeaseExpiredReclaimable);
    assert_eq!(core.vector.attempt_state, AttemptState::AttemptInterrupted);
    assert_eq!(lab.indexes(&id), ["active", "lease_expiry", "worker_leases"]);
    assert!(lab.look(&id, |found| found.lease.is_some()), "lease:current stays");
    lab.backend.cancel(&handle, "late").block_on().unwrap();
    assert_eq!(lab.core(&id).vector.terminal_outcome, TerminalOutcome::Cancelled);
}

#[test]
fn g10_an_idempotency_key_holds_within_one_partition_only() {
    let lab = Lab::new();
    lab.breaks("S49 other-partition create_execution=created");
    let keyed = |partition: u16| CreateExecutionArgs {
        execution_id: ExecutionId::parse(&format!("{{fp:{partition}}}:{}", lab.uuid())).unwrap(),
        idempotency_key: Some("K".into()),
        ..lab.create_args()
    };
    let first = lab.create_with(keyed(1));
    let again = lab.backend.create_execution(keyed(1)).block_on().unwrap();
    assert_eq!(again, CreateExecutionResult::Duplicate { execution_id: first });
    let elsewhere = lab.backend.create_execution(keyed(2)).block_on().unwrap();
    assert!(matches!(elsewhere, CreateExecutionResult::Created { .. }));
    assert_eq!(lab.server.look(|store| store.execution_count()), 2);
}

#[test]
fn g11_replay_does_not_restore_the_deadline() {
    let lab = Lab::new();
    lab.breaks("S47 reason replay_execution=replayed");
    let created_at = lab.now().0;
    let id = lab.create_with(CreateExecutionArgs {
        priority: 99_999,
        execution_deadline_at: Some(TimestampMs(created_at - 1)),
        ..lab.create_args()
    });
    assert_eq!(lab.indexes(&id), ["eligible", "execution_deadline"]);
    lab.backend.expire_execution(partition(&id), &id, ExpirePhase::ExecutionDeadline, lab.now()).block_on().unwrap();
    lab.replay(&id).unwrap();
    assert_eq!(lab.core(&id).priority, 9_000);
    assert_eq!(lab.core(&id).eligible_score().whole(), created_at - 9_000_000_000_000_000);
    assert_eq!(lab.indexes(&id), ["eligible"]);
}
