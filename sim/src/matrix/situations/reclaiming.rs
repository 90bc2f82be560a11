//! Situations of reclaiming: a worker takes an execution over from one that is gone.

use super::super::scene::{LONG_MS, SHORT_MS, V, W};
use super::{Family, at, of};

pub(super) const FAMILIES: &[Family] = &[
    of(
        "issue_reclaim_grant",
        &[
            at("lease marked expired", |s| {
                let held = s.expired()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("lease expired by one ms, not marked", |s| {
                let held = s.lapsed()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("live lease", |s| {
                let held = s.claimed()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("repeated", |s| {
                let held = s.reclaim_granted()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("granted to another worker", |s| {
                let held = s.reclaim_granted()?;
                s.reclaim_grant_call(&held.id, W, LONG_MS)
            }),
            at("never claimed", |s| {
                let id = s.created()?;
                s.reclaim_grant_call(&id, V, LONG_MS)
            }),
            at("suspended", |s| {
                let parked = s.suspended()?;
                s.reclaim_grant_call(&parked.held.id, V, LONG_MS)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                s.reclaim_grant_call(&held.id, V, LONG_MS)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                s.reclaim_grant_call(&id, V, LONG_MS)
            }),
        ],
    ),
    of(
        "reclaim_execution",
        &[
            at("own grant, lease lapsed", |s| {
                let held = s.reclaim_granted()?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("own grant, lease revoked", |s| {
                let held = s.revoked()?;
                s.grant_reclaim(&held.id, LONG_MS)?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("no grant", |s| {
                let held = s.reclaimable()?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("grant of another worker", |s| {
                let held = s.reclaim_granted()?;
                Ok(s.reclaim_call(&held, "u", None))
            }),
            at("grant expired", |s| {
                let held = s.reclaimable()?;
                s.grant_reclaim(&held.id, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("own grant, cap of none", |s| {
                let held = s.reclaim_granted()?;
                Ok(s.reclaim_call(&held, V, Some(0)))
            }),
            at("no grant, cap of none", |s| {
                let held = s.reclaimable()?;
                Ok(s.reclaim_call(&held, V, Some(0)))
            }),
            at("own grant, second time under a cap of one", |s| {
                let (_, held) = s.reclaimed_for(SHORT_MS)?;
                s.lost_again(&held)?;
                s.grant_reclaim(&held.id, LONG_MS)?;
                Ok(s.reclaim_call(&held, V, Some(1)))
            }),
            at("repeated", |s| {
                let (old, _) = s.reclaimed()?;
                Ok(s.reclaim_call(&old, V, None))
            }),
            at("live lease", |s| {
                let held = s.claimed()?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("cancelled under its grant", |s| {
                let held = s.reclaim_granted()?;
                let call = s.cancel_call(&held.id)?;
                s.right(call)?;
                Ok(s.reclaim_call(&held, V, None))
            }),
            at("no such execution", |s| {
                let mut held = s.claimed()?;
                held.id = s.nobody();
                Ok(s.reclaim_call(&held, V, None))
            }),
        ],
    ),
];
