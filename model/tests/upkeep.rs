//! The engine's housekeeping through the trait: summaries of flows, and the deletion of what ended long ago.

mod common;

use common::model as open;
use common::{Lab, partition};
use ff_core::backend::ScannerFilter;
use ff_core::contracts::CreateExecutionResult;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{ExecutionPolicy, StreamPolicy};
use ff_core::types::{ExecutionId, FlowId, LaneId};
use pollster::FutureExt as _;

/// How long the caller keeps what has ended.
const KEPT_MS: u64 = 1_000;

fn trim(lab: &Lab, id: &ExecutionId) -> u32 {
    let (lane, filter) = (LaneId::new("default"), ScannerFilter::default());
    lab.backend.trim_retention(partition(id), &lane, KEPT_MS, lab.now(), 20, &filter).block_on().unwrap()
}

fn complete(lab: &Lab, id: &ExecutionId) {
    let handle = lab.claim(id, 30_000);
    lab.backend.complete(&handle, Some(b"out".to_vec())).block_on().unwrap();
}

fn kept_by_its_policy(lab: &Lab, kept_ms: u64) -> ExecutionId {
    let streams =
        StreamPolicy { durability_mode: "buffered".into(), retention_maxlen: 1, retention_ttl_ms: Some(kept_ms) };
    lab.create_with_policy(ExecutionPolicy { stream_policy: Some(streams), ..ExecutionPolicy::default() })
}

#[test]
fn what_ended_long_enough_ago_is_gone_for_every_reader() {
    let lab = Lab::new();
    let id = lab.create();
    complete(&lab, &id);
    lab.wait(KEPT_MS - 1);
    assert_eq!(trim(&lab, &id), 0, "it is kept for its time");
    lab.wait(1);
    assert_eq!(trim(&lab, &id), 1);
    assert!(lab.backend.read_execution_info(&id).block_on().unwrap().is_none());
    assert_eq!(lab.backend.get_execution_result(&id).block_on().unwrap(), None);
    let key = PartitionKey::from(&partition(&id));
    assert_eq!(lab.backend.list_executions(key, None, 10).block_on().unwrap().executions, []);
    assert_eq!(trim(&lab, &id), 0, "there is nothing left to delete");
}

#[test]
fn a_policy_keeps_an_execution_longer_and_never_shorter() {
    let lab = Lab::new();
    let (longer, shorter) = (kept_by_its_policy(&lab, 2 * KEPT_MS), kept_by_its_policy(&lab, 1));
    complete(&lab, &longer);
    complete(&lab, &shorter);
    lab.wait(KEPT_MS - 1);
    assert_eq!((trim(&lab, &longer), trim(&lab, &shorter)), (0, 0));
    lab.wait(1);
    assert_eq!(trim(&lab, &shorter), 1);
    assert_eq!(trim(&lab, &longer), 0);
    lab.wait(KEPT_MS);
    assert_eq!(trim(&lab, &longer), 1);
}

#[test]
fn the_key_of_a_deleted_execution_still_names_it() {
    let lab = Lab::new();
    let mut args = lab.create_args();
    args.idempotency_key = Some("key".into());
    let id = lab.create_with(args.clone());
    complete(&lab, &id);
    lab.wait(KEPT_MS);
    assert_eq!(trim(&lab, &id), 1);
    let again = lab.backend.create_execution(args).block_on().unwrap();
    assert_eq!(again, CreateExecutionResult::Duplicate { execution_id: id.clone() });
    assert!(lab.backend.read_execution_info(&id).block_on().unwrap().is_none(), "and it is not made again");
}

/// The only member of a flow, the flow, and the partition that both are in.
fn flow_of_one(lab: &Lab) -> (ExecutionId, FlowId, Partition) {
    let id = lab.member("team");
    let flow = lab.look(&id, |found| found.core.flow.clone()).unwrap();
    let place = Partition { family: PartitionFamily::Flow, ..partition(&id) };
    (id, flow, place)
}

#[test]
fn a_flow_leaves_the_listing_once_all_its_members_were_seen_to_have_ended() {
    let lab = Lab::new();
    let (id, flow, place) = flow_of_one(&lab);
    let project = || lab.backend.project_flow_summary(place, &flow, lab.now()).block_on().unwrap();
    let listed = || lab.backend.list_flows(PartitionKey::from(&place), None, 10).block_on().unwrap().flows.len();
    assert!(project());
    assert_eq!(listed(), 1);
    complete(&lab, &id);
    assert!(project());
    assert_eq!(listed(), 0);
}

#[test]
fn a_replayed_member_does_not_bring_its_flow_back_into_the_listing() {
    let lab = Lab::new();
    let (id, flow, place) = flow_of_one(&lab);
    complete(&lab, &id);
    assert!(lab.backend.project_flow_summary(place, &flow, lab.now()).block_on().unwrap());
    lab.replay(&id).unwrap();
    lab.breaks("S47 result replay_execution=replayed");
    let page = lab.backend.list_flows(PartitionKey::from(&place), None, 10).block_on().unwrap();
    assert_eq!(page.flows.len(), 0);
}

#[test]
fn a_flow_without_members_has_no_summary() {
    let lab = Lab::new();
    let (_, _, place) = flow_of_one(&lab);
    let other = FlowId::from_uuid(lab.uuid());
    assert!(!lab.backend.project_flow_summary(place, &other, lab.now()).block_on().unwrap());
}
