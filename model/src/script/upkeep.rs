//! The plain commands of the engine's housekeeping.

use super::at;
use crate::deviation::Deviation;
use crate::message::{FlowPlace, Kept, Upkeep};
use crate::store::{Execution, Flow, IndexKey, Store};

pub(super) fn perform(store: &mut Store, command: &Upkeep) -> Kept {
    match command {
        Upkeep::FlowExists(place) => Kept::Count(flow(store, place).is_some_and(|flow| flow.core.is_some()).into()),
        Upkeep::MemberCount(place) => Kept::Count(flow(store, place).map_or(0, |flow| flow.members.len() as u64)),
        Upkeep::SampleMembers(place, limit) => {
            let limit = if store.deviations().has(Deviation::BugProjectorLooksAtOne) { 1 } else { *limit };
            let members = flow(store, place).map_or(&[][..], |flow| &flow.members);
            Kept::Members(members.iter().copied().take(limit).collect())
        }
        Upkeep::PublicState(place) => {
            let state = at(store, *place).map(|found| found.core.vector.public_state.as_str());
            Kept::Text(state.map(str::to_owned))
        }
        Upkeep::WriteSummary(place, summary) => {
            store.flow_mut(place.partition, &place.flow).summary = Some((**summary).clone());
            Kept::Done("written")
        }
        Upkeep::DelistFlow(place) => {
            let index = &mut store.flow_indexes_mut(place.partition).flow_index;
            let before = index.len();
            index.retain(|listed| *listed != place.flow);
            removed(before > index.len())
        }
        Upkeep::Ended(place) => {
            let core = at(store, *place).map(|found| &found.core);
            let ended = core.and_then(|core| core.completed_at).map_or(0, |at| at.ms().unsigned_abs());
            Kept::Ended(ended, core.map_or(0, |core| core.total_attempt_count))
        }
        Upkeep::Retention(place) => {
            let ignores = store.deviations().has(Deviation::BugRetentionIgnoresPolicy);
            let own = at(store, *place).and_then(Execution::own_kept_ms).filter(|_| !ignores);
            Kept::Text(own.map(|kept_ms| kept_ms.to_string()))
        }
        Upkeep::Edges(place) => {
            Kept::Count(at(store, *place).map_or(0, |found| found.dependencies.applied.len() as u64))
        }
        Upkeep::Waitpoints(place) => {
            Kept::Waitpoints(at(store, *place).map_or_else(Vec::new, |found| found.waitpoints.clone()))
        }
        Upkeep::Signals(place) => {
            let signals = at(store, *place).map_or(&[][..], |found| &found.signals);
            Kept::Signals(signals.iter().map(|(signal, _)| signal.clone()).collect())
        }
        Upkeep::DeleteRecords { place, records, .. } => {
            store.delete_records(place.execution, records.attempts, &records.waitpoints, &records.signals);
            Kept::Done("deleted")
        }
        Upkeep::DeleteCore { place, .. } => {
            let existed = at(store, *place).is_some();
            if existed {
                store.delete_core(place.execution);
            }
            Kept::Done(if existed { "deleted" } else { "nothing" })
        }
        Upkeep::DelistEnded(place, lane) => {
            store.remove(place.execution, IndexKey::Terminal(*lane));
            Kept::Done("removed")
        }
        Upkeep::Forget(place) => removed(store.unlist(place.execution)),
    }
}

/// What an `SREM` came to.
const fn removed(was_member: bool) -> Kept {
    Kept::Done(if was_member { "removed" } else { "nothing" })
}

fn flow<'a>(store: &'a Store, place: &FlowPlace) -> Option<&'a Flow> {
    store.flow(place.partition, &place.flow)
}
