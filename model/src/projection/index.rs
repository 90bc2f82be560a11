//! Indexes: which of them hold an execution, and under which score.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::types::LaneId;

use super::{Key, Keys, Place, Value, index_names};
use crate::intern::{ExecutionNo, Interner};
use crate::store::{Execution, IndexKey, Store};

/// The name of an index's key.
pub(super) fn name(ids: &Interner, partition: u16, key: IndexKey) -> String {
    let names = index_names(partition);
    match key {
        IndexKey::Eligible(lane) => names.lane_eligible(ids.lane_id(lane)),
        IndexKey::Delayed(lane) => names.lane_delayed(ids.lane_id(lane)),
        IndexKey::BlockedDependencies(lane) => names.lane_blocked_dependencies(ids.lane_id(lane)),
        IndexKey::BlockedBudget(lane) => names.lane_blocked_budget(ids.lane_id(lane)),
        IndexKey::BlockedQuota(lane) => names.lane_blocked_quota(ids.lane_id(lane)),
        IndexKey::BlockedRoute(lane) => names.lane_blocked_route(ids.lane_id(lane)),
        IndexKey::BlockedOperator(lane) => names.lane_blocked_operator(ids.lane_id(lane)),
        IndexKey::Active(lane) => names.lane_active(ids.lane_id(lane)),
        IndexKey::Suspended(lane) => names.lane_suspended(ids.lane_id(lane)),
        IndexKey::Terminal(lane) => names.lane_terminal(ids.lane_id(lane)),
        IndexKey::LeaseExpiry => names.lease_expiry(),
        IndexKey::AttemptTimeout => names.attempt_timeout(),
        IndexKey::ExecutionDeadline => names.execution_deadline(),
        IndexKey::SuspensionTimeout => names.suspension_timeout(),
        IndexKey::WorkerLeases(instance) => names.worker_leases(ids.instance_id(instance)),
    }
}

/// Every sorted index of a lane, and every one of the partition itself.
fn sorted_names(partition: u16, lanes: &[LaneId]) -> Vec<String> {
    let names = index_names(partition);
    let of_lane = |lane: &LaneId| {
        [
            names.lane_eligible(lane),
            names.lane_delayed(lane),
            names.lane_blocked_dependencies(lane),
            names.lane_blocked_budget(lane),
            names.lane_blocked_quota(lane),
            names.lane_blocked_route(lane),
            names.lane_blocked_operator(lane),
            names.lane_active(lane),
            names.lane_suspended(lane),
            names.lane_terminal(lane),
        ]
    };
    let own = [names.lease_expiry(), names.attempt_timeout(), names.execution_deadline(), names.suspension_timeout()];
    lanes.iter().flat_map(of_lane).chain(own).collect()
}

/// The place of an execution in every index that could hold it: those of its own and its current lane,
/// those that do, and the lease sets of its current and its attempts' instances.
pub(super) fn places(store: &Store, ids: &Interner, number: ExecutionNo) -> BTreeMap<String, Place> {
    let partition = ids.partition(number);
    let mut places = BTreeMap::new();
    let Some(found) = store.execution(number) else { return places };
    let mut lanes = vec![ids.lane_id(found.submission.lane).clone()];
    if found.core.current_lane != found.submission.lane {
        lanes.push(ids.lane_id(found.core.current_lane).clone());
    }
    places.extend(sorted_names(partition, &lanes).into_iter().map(|name| (name, Place::Sorted(None))));
    places.insert(index_names(partition).all_executions(), Place::Set(found.listed));
    let instances: BTreeSet<_> =
        found.attempts.iter().filter_map(|attempt| attempt.instance).chain(found.core.current_instance).collect();
    for instance in instances {
        places.insert(index_names(partition).worker_leases(ids.instance_id(instance)), Place::Set(false));
    }
    for (key, score) in &found.members {
        let place = match key {
            IndexKey::WorkerLeases(_) => Place::Set(true),
            _ => Place::Sorted(Some(*score)),
        };
        places.insert(name(ids, partition, *key), place);
    }
    places
}

/// Adds an execution to the index keys that hold it.
pub(super) fn render(ids: &Interner, found: &Execution, keys: &mut Keys) {
    let member = found.name.to_string();
    let mut set = |name: String| match keys.entry(name).or_insert_with(|| empty(Value::Set(BTreeSet::new()))) {
        Key { value: Value::Set(members), .. } => drop(members.insert(member.clone())),
        other => unreachable!("an index is of one type: {other:?}"),
    };
    if found.listed {
        set(index_names(found.partition).all_executions());
    }
    for (key, _) in &found.members {
        if matches!(key, IndexKey::WorkerLeases(_)) {
            set(name(ids, found.partition, *key));
        }
    }
    for (key, score) in &found.members {
        if matches!(key, IndexKey::WorkerLeases(_)) {
            continue;
        }
        let name = name(ids, found.partition, *key);
        match keys.entry(name).or_insert_with(|| empty(Value::Sorted(BTreeMap::new()))) {
            Key { value: Value::Sorted(members), .. } => drop(members.insert(member.clone(), *score)),
            other => unreachable!("an index is of one type: {other:?}"),
        }
    }
}

fn empty(value: Value) -> Key {
    Key { value, expires_at: None }
}
