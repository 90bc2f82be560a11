//! What retention may delete, when it deletes: looked at with the states, of which one row belongs to the same promise.

use super::catalogue::Invariant;
use super::check::Notes;
use super::look::Look;
use crate::message::Upkeep;
use crate::store::{Change, Deleted, Store};
use crate::time::ServerTime;

/// Looks at a command that deletes, after it was performed.
pub(super) fn look_at_deletion(store: &Store, now: ServerTime, command: &Upkeep, notes: &mut Notes<'_>) {
    if let Upkeep::Forget(place) = command
        && !store.changes().is_empty()
    {
        let left = store.left_of(place.execution).map(|left| left.members.as_slice()).unwrap_or_default();
        notes.look(Invariant::S53, Look::at(left.is_empty(), "left-listed"), || {
            let names: Vec<_> = left.iter().map(|(key, _)| key.name()).collect();
            format!("the execution was deleted and is still listed in {}", names.join(", "))
        });
    }
    let (Upkeep::DeleteRecords { kept_ms, .. } | Upkeep::DeleteCore { kept_ms, .. }) = command else { return };
    for (_, change) in &store.changes().items {
        let Change::Deleted(deleted) = change else { continue };
        notes.look(Invariant::S53, may_go(deleted, now, *kept_ms), || in_words(deleted, now, *kept_ms));
    }
}

/// Its own policy's time goes before the caller's. A time that is shorter may still be kept longer.
fn kept_until(deleted: &Deleted, kept_ms: u64) -> Option<ServerTime> {
    Some(deleted.completed_at?.plus_ms(deleted.own_kept_ms.unwrap_or(kept_ms)))
}

fn may_go(deleted: &Deleted, now: ServerTime, kept_ms: u64) -> Look {
    match kept_until(deleted, kept_ms) {
        _ if !deleted.is_terminal => Look::Broken("live"),
        Some(until) if now < until => {
            // Where the caller's own time is not over either, what it read was true of an end before this one.
            let by_caller = deleted.completed_at.is_some_and(|ended| ended.plus_ms(kept_ms) <= now);
            Look::Broken(if by_caller { "early" } else { "again" })
        }
        _ => Look::Holds,
    }
}

fn in_words(deleted: &Deleted, now: ServerTime, kept_ms: u64) -> String {
    let what = if deleted.with_core { "the core was deleted" } else { "the records were deleted" };
    match kept_until(deleted, kept_ms) {
        _ if !deleted.is_terminal => format!("{what} of an execution that has not ended"),
        Some(until) => format!("{what} at {now} of an execution that is kept until {until}"),
        None => format!("{what} of an execution without an end"),
    }
}
