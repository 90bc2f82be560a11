//! The times ahead at which some scanner's index has something due.

use std::collections::BTreeSet;

use claimlab_model::store::{IndexKey, Store};
use claimlab_model::time::ServerTime;

use crate::staging::sequence::{PARTITIONS, Pick};

/// Times further away are for no scanner here.
const FAR_MS: i64 = 100_000_000;
/// What has ended is kept for so long by the trimmer that ships.
const RETENTION_MS: i64 = 86_400_000;

/// One of them, in milliseconds of server time; none where nothing is ahead.
pub fn ahead(store: &Store, now: ServerTime, which: Pick) -> Option<i64> {
    let mut times = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let timed =
            [IndexKey::LeaseExpiry, IndexKey::AttemptTimeout, IndexKey::ExecutionDeadline, IndexKey::SuspensionTimeout];
        for key in timed {
            times.extend(store.range(partition, key).map(|(score, _)| score.whole()));
        }
        let owed = store.flow_indexes(partition).map_or(&[][..], |indexes| &indexes.cancel_backlog);
        times.extend(owed.iter().map(|(_, score)| score.whole()));
        times.extend(store.pending_waitpoints(partition).map(|(score, _)| score.whole()));
    }
    times.extend(store.executions().filter_map(|found| found.core.delay_until).map(|due| due.whole()));
    times.extend(store.executions().filter_map(|found| found.core.completed_at).map(|at| at.ms() + RETENTION_MS));
    times.extend(store.budgets().resets().values().map(|score| score.whole()));
    for (_, quota) in store.quotas().iter() {
        times.extend(quota.guards.values().map(|until| until.ms()));
    }
    let ahead: Vec<i64> = times.into_iter().filter(|at| *at > now.ms() && *at < now.ms() + FAR_MS).collect();
    ahead.get(usize::from(which).checked_rem(ahead.len())?).copied()
}
