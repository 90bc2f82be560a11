//! How many messages each trait call sends, in which order: every read and every script is one.

mod common;

use common::model as open;
use common::{Lab, partition};
use ff_core::backend::{FailureClass, FailureReason};
use ff_core::contracts::ScanEligibleArgs;
use ff_core::engine_backend::ExpirePhase;
use ff_core::types::LaneId;
use pollster::FutureExt as _;

#[track_caller]
fn assert_sends(lab: &Lab, expected: &[&str], call: impl FnOnce()) {
    let (messages, methods) = (lab.server.messages().len(), lab.server.methods().len());
    call();
    let sent: Vec<&str> = lab.server.messages()[messages..].iter().map(|(name, _)| *name).collect();
    assert_eq!(sent, *expected);
    assert_eq!(lab.server.methods().len(), methods + 1, "one trait call");
}

#[test]
fn each_call_of_the_claim_path_is_one_message() {
    let lab = Lab::new();
    let mut id = None;
    assert_sends(&lab, &["create_execution"], || id = Some(lab.create()));
    let id = id.unwrap();
    let scan = ScanEligibleArgs::new(LaneId::new("default"), partition(&id), 1);
    assert_sends(&lab, &["ZRANGEBYSCORE"], || {
        assert_eq!(lab.backend.scan_eligible_executions(scan).block_on().unwrap(), std::slice::from_ref(&id));
    });
    assert_sends(&lab, &["issue_claim_grant"], || assert!(lab.grant(&id, "w", 5_000).is_ok()));
    assert_sends(&lab, &["HMGET core"], || {
        assert_eq!(lab.backend.read_total_attempt_count(&id).block_on().unwrap().0, 0);
    });
    let mut handle = None;
    assert_sends(&lab, &["claim_execution"], || {
        handle = Some(lab.try_claim(lab.claim_args(&id, "w", 30_000)).unwrap().handle);
    });
    let handle = handle.unwrap();
    assert_sends(&lab, &["GET context"], || drop(lab.backend.read_execution_context(&id).block_on().unwrap()));
    assert_sends(&lab, &["renew_lease"], || {
        assert_eq!(lab.backend.renew(&handle).block_on().unwrap().lease_epoch, 1);
    });
    assert_sends(&lab, &["complete_execution"], || lab.backend.complete(&handle, None).block_on().unwrap());
}

#[test]
fn preludes_are_messages_of_their_own() {
    let lab = Lab::new();
    lab.breaks("S47 reason replay_execution=replayed");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    let details = lab.suspend(&handle, lab.suspend_args("go"));
    assert_sends(&lab, &["HMGET core", "deliver_signal"], || {
        lab.backend.deliver_signal(lab.signal_args(&id, &details, "go")).block_on().unwrap();
    });
    lab.grant(&id, "w", 5_000).unwrap();
    let handle = lab.resume_claim(&id, "w", 30_000).unwrap();
    assert_sends(&lab, &["GET policy", "fail_execution"], || {
        lab.backend.fail(&handle, FailureReason::new("boom"), FailureClass::Transient).block_on().unwrap();
    });
    assert_sends(&lab, &["HMGET core", "replay_execution"], || assert!(lab.replay(&id).is_ok()));
    assert_sends(&lab, &["HMGET core", "cancel_execution"], || assert!(lab.cancel_by_operator(&id).is_ok()));
    assert_sends(&lab, &["HMGET core", "expire_execution"], || {
        lab.backend.expire_execution(partition(&id), &id, ExpirePhase::AttemptTimeout, lab.now()).block_on().unwrap();
    });
    assert_sends(&lab, &["HMGET core", "HMGET core", "HMGET core", "expire_suspension"], || {
        lab.backend.expire_suspension(partition(&id), &id, lab.now()).block_on().unwrap();
    });
}
