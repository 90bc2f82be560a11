//! Plain commands around suspensions: what observers, listings and the seeding of secrets send.

use std::collections::BTreeMap;

use ff_core::types::WaitpointId;

use crate::intern::ExecutionNo;
use crate::message::{Message, Reply, SuspensionView, WaitpointView};
use crate::store::{Execution, IndexKey, Store, Waitpoint};

pub(super) fn answer(store: &mut Store, message: &Message) -> Reply {
    match message {
        Message::Suspension(no) => Reply::Suspension(store.execution(*no).and_then(view).map(Box::new)),
        Message::TotalMatchers(no, id) => Reply::Count(total_matchers(waitpoint(store, *no, id))),
        Message::Matcher(no, id, index) => {
            let condition = waitpoint(store, *no, id).and_then(|found| found.condition.as_ref());
            let matcher = condition.and_then(|condition| condition.matchers.get(*index));
            Reply::Matched(matcher.filter(|matcher| matcher.satisfied).and_then(|matcher| matcher.signal.clone()))
        }
        Message::Signals(no, ids) => {
            let partition = store.execution(*no).map(|found| found.partition);
            let of = |id| partition.and_then(|partition| store.signal(partition, id).cloned());
            Reply::Signals(ids.iter().map(of).collect())
        }
        Message::Token { partition, waitpoint } => {
            let found = partition.and_then(|partition| store.waitpoint(partition, waitpoint));
            Reply::Text(found.map(|found| found.token.clone()))
        }
        Message::Waitpoints(no) => {
            Reply::Waitpoints(store.execution(*no).map_or_else(Vec::new, |found| found.waitpoints.clone()))
        }
        Message::WaitpointHeads(no, ids) => {
            Reply::WaitpointHeads(ids.iter().map(|id| waitpoint(store, *no, id).map(head)).collect())
        }
        Message::MatcherNames(no, ids) => Reply::Names(ids.iter().map(|id| names(waitpoint(store, *no, id))).collect()),
        Message::SuspendedLanes(partition) => {
            let mut lanes: Vec<_> = suspended(store, *partition).keys().map(|(lane, _)| *lane).collect();
            lanes.dedup();
            Reply::Lanes(lanes)
        }
        Message::SuspendedMembers(partition, lanes) => {
            let members = suspended(store, Some(*partition)).into_iter();
            Reply::Members(
                members.filter(|((lane, _), _)| lanes.contains(lane)).map(|((_, no), score)| (score, no)).collect(),
            )
        }
        Message::SuspensionReasons(executions) => {
            let of = |no: &ExecutionNo| Some(store.execution(*no)?.suspension.as_ref()?.reason);
            Reply::Reasons(executions.iter().map(of).collect())
        }
        Message::PendingWaitpoints { partition, up_to_ms, limit } => {
            let due = store.pending_waitpoints(*partition).take_while(|(score, _)| score.is_due(*up_to_ms));
            Reply::Waitpoints(due.take(*limit as usize).map(|(_, id)| id).collect())
        }
        Message::WaitpointOwner(partition, id) => {
            Reply::Owner(store.waitpoint(*partition, id).map(|found| found.execution))
        }
        Message::CurrentKid(partition) => Reply::Text(store.secrets(*partition).current.clone()),
        Message::KidSecret(partition, kid) => Reply::Text(store.secrets(*partition).secret(kid).map(str::to_owned)),
        Message::WriteSecret { partition, kid, secret_hex, current } => {
            let secrets = store.secrets_mut(*partition);
            if *current {
                secrets.install(kid.clone(), secret_hex.clone());
            } else {
                secrets.write_secret(kid.clone(), secret_hex.clone());
            }
            Reply::Written
        }
        _ => unreachable!("the other reads are answered elsewhere"),
    }
}

fn waitpoint<'a>(store: &'a Store, no: ExecutionNo, id: &WaitpointId) -> Option<&'a Waitpoint> {
    store.waitpoint(store.execution(no)?.partition, id)
}

fn view(found: &Execution) -> Option<SuspensionView> {
    let suspension = found.suspension.as_ref()?;
    Some(SuspensionView {
        attempt_index: suspension.attempt_index,
        close_reason: suspension.close_reason,
        waitpoint: suspension.waitpoint.clone(),
        satisfiers: suspension.satisfiers.clone().unwrap_or_default(),
    })
}

fn total_matchers(found: Option<&Waitpoint>) -> usize {
    found.and_then(|found| found.condition.as_ref()).map_or(0, |condition| condition.total)
}

fn head(found: &Waitpoint) -> WaitpointView {
    WaitpointView {
        state: found.state,
        key: found.key.clone(),
        token: found.token.clone(),
        created_at: found.created_at,
        activated_at: found.activated_at,
        expires_at: found.expires_at,
        total_matchers: total_matchers(Some(found)),
    }
}

fn names(found: Option<&Waitpoint>) -> Vec<String> {
    let condition = found.and_then(|found| found.condition.as_ref());
    condition.map_or_else(Vec::new, |condition| {
        condition.matchers.iter().take(condition.total).map(|matcher| matcher.name.clone()).collect()
    })
}

/// Every lane's suspended members of a partition. No tree is kept for them, as only listings ask.
fn suspended(
    store: &Store,
    partition: Option<u16>,
) -> BTreeMap<(crate::intern::LaneNo, ExecutionNo), crate::number::Score> {
    let of_partition = store.executions().filter(|found| Some(found.partition) == partition);
    let members = of_partition.flat_map(|found| found.members.iter().map(move |(key, score)| (found.no, *key, *score)));
    members
        .filter_map(|(no, key, score)| match key {
            IndexKey::Suspended(lane) => Some(((lane, no), score)),
            _ => None,
        })
        .collect()
}
