//! Flows from scenario and seed: which work items belong together, who waits for whom, and who cancels them.

use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, FlowId};

use crate::plan::{EdgePlan, FlowPlan, GroupPlan, WorkItem};
use crate::scenario::Scenario;
use crate::stream::{Extra, Stream};

/// Draws the flows of a seed. Their members move to the flow's partition and are submitted when it begins.
pub(super) fn draw(scenario: &Scenario, seed: u64, work: &mut [WorkItem]) -> Vec<FlowPlan> {
    let flows = &scenario.flows;
    let mut drawn = Vec::new();
    let mut next = 0;
    while next < work.len() {
        let mut stream = Stream::of_extra(seed, Extra::Dependencies, u64::from(work[next].key));
        let begins = stream.chance(flows.begin);
        let members = stream.within_unsigned(flows.members) as usize;
        if begins && next + members <= work.len() {
            drawn.push(draw_one(scenario, &mut stream, &mut work[next..next + members]));
            next += members;
        } else {
            next += 1;
        }
    }
    drawn
}

fn draw_one(scenario: &Scenario, stream: &mut Stream, items: &mut [WorkItem]) -> FlowPlan {
    let flows = &scenario.flows;
    let config = PartitionConfig { num_flow_partitions: super::partitions(scenario), ..PartitionConfig::default() };
    let flow = FlowId::from_uuid(stream.uuid());
    let at = items[0].at;
    for item in items.iter_mut() {
        item.execution = ExecutionId::deterministic_for_flow(&flow, &config, stream.uuid()).as_str().to_owned();
        item.flow = Some(flow.to_string());
        item.at = at;
    }
    let (mut edges, mut groups) = (Vec::new(), Vec::new());
    for (position, item) in items.iter().enumerate() {
        let mut upstreams = 0;
        for earlier in &items[..position] {
            let is_edge = stream.chance(flows.edges);
            let passes_data = stream.chance(flows.pass_data);
            if is_edge {
                upstreams += 1;
                edges.push(EdgePlan { from: earlier.key, to: item.key, passes_data });
            }
        }
        let (any_of, quorum) = (stream.chance(flows.any_of), stream.chance(flows.quorum));
        let cancels_remaining = stream.chance(flows.cancel_remaining);
        let needed = 1 + stream.below(upstreams);
        if upstreams > 0 && (any_of || quorum) {
            let quorum = (!any_of).then(|| u32::try_from(needed).unwrap_or(1));
            groups.push(GroupPlan { to: item.key, quorum, cancels_remaining });
        }
    }
    let cancelled = stream.chance(flows.cancel);
    let cancel_at = at.plus_ms(stream.within_unsigned(flows.cancel_after_ms));
    FlowPlan {
        key: items[0].key,
        flow: flow.to_string(),
        at,
        members: items.iter().map(|item| item.key).collect(),
        edges,
        groups,
        cancel_at: cancelled.then_some(cancel_at),
    }
}
