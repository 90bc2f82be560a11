//! Situations of leases: one is renewed, runs out, is marked expired, or is revoked.

use ff_core::backend::{BackendTag, Handle, HandleKind};
use ff_core::contracts::ListExpiredLeasesArgs;
use ff_core::handle_codec;
use ff_core::types::{AttemptId, LeaseFence, LeaseId};
use uuid::Uuid;

use super::super::scene::{
    Held, LONG_MS, SHORT_MS, Scene, Stop, W, complete, mark, progress, renew, renew_lease, revoke, revoke_expecting,
};
use super::{Family, at, of};
use crate::call::Call;

/// The handle as another backend would have made it.
fn foreign(held: Held) -> Held {
    let other = if held.handle.backend == BackendTag::Sqlite { BackendTag::Postgres } else { BackendTag::Sqlite };
    let payload = handle_codec::decode(&held.handle.opaque).expect("it was opened before").payload;
    let handle = Handle::new(other, HandleKind::Fresh, handle_codec::encode(other, &payload));
    Held { handle, ..held }
}

/// The handle of an execution that nothing was created under.
fn of_nobody(s: &mut Scene<'_>) -> Result<Held, Stop> {
    let held = s.claimed()?;
    let mut payload = handle_codec::decode(&held.handle.opaque).expect("it was opened before").payload;
    payload.execution_id = s.nobody();
    let id = payload.execution_id.clone();
    let opaque = handle_codec::encode(held.handle.backend, &payload);
    Ok(Held { handle: Handle::new(held.handle.backend, HandleKind::Fresh, opaque), id, ..held })
}

fn expired_by(as_of: ff_core::types::TimestampMs) -> Call {
    Call::ListExpiredLeases { args: ListExpiredLeasesArgs::new(as_of) }
}

fn other_lease(held: &Held) -> LeaseFence {
    LeaseFence { lease_id: LeaseId::from_uuid(Uuid::from_u128(9)), ..held.fence.clone() }
}

fn other_attempt(held: &Held) -> LeaseFence {
    LeaseFence { attempt_id: AttemptId::from_uuid(Uuid::from_u128(9)), ..held.fence.clone() }
}

fn other_epoch(held: &Held) -> LeaseFence {
    super::super::scene::other_epoch(held)
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "renew",
        &[
            at("live lease", |s| Ok(renew(&s.claimed()?))),
            at("repeated", |s| {
                let held = s.claimed()?;
                s.right(renew(&held))?;
                Ok(renew(&held))
            }),
            at("lease expires this millisecond", |s| {
                let id = s.created()?;
                let held = s.claim(&id, SHORT_MS)?;
                s.pass(SHORT_MS)?;
                Ok(renew(&held))
            }),
            at("lease expired by one ms", |s| Ok(renew(&s.lapsed()?))),
            at("lease marked expired", |s| Ok(renew(&s.expired()?))),
            at("lease revoked", |s| Ok(renew(&s.revoked()?))),
            at("reclaimed by another worker", |s| Ok(renew(&s.reclaimed()?.0))),
            at("by the reclaimer", |s| Ok(renew(&s.reclaimed()?.1))),
            at("by the reclaimer, after the old holder tried", |s| {
                let (old, new) = s.reclaimed()?;
                s.tried(&renew(&old))?;
                Ok(renew(&new))
            }),
            at("by the reclaimer, after a scanner looked at the old lease", |s| {
                let (_, new) = s.reclaimed()?;
                s.tried(&mark(&new.id))?;
                Ok(renew(&new))
            }),
            at("completed", |s| Ok(renew(&s.completed()?))),
            at("cancelled", |s| Ok(renew(&s.cancelled()?))),
            at("waiting for a retry", |s| Ok(renew(&s.retrying()?))),
            at("suspended", |s| Ok(renew(&s.suspended()?.held))),
            at("claimed again after a revocation and a replay", |s| {
                let held = s.revoked()?;
                let call = s.cancel_call(&held.id)?;
                s.right(call)?;
                let call = s.replay(&held.id)?;
                s.right(call)?;
                Ok(renew(&s.claim(&held.id, LONG_MS)?))
            }),
            at("no such execution", |s| Ok(renew(&of_nobody(s)?))),
            at("handle of another backend", |s| Ok(renew(&foreign(s.claimed()?)))),
        ],
    ),
    of(
        "renew_lease",
        &[
            at("live lease", |s| {
                let held = s.claimed()?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
            at("no fence", |s| Ok(renew_lease(&s.claimed()?, None))),
            at("other lease id", |s| {
                let held = s.claimed()?;
                Ok(renew_lease(&held, Some(other_lease(&held))))
            }),
            at("other epoch", |s| {
                let held = s.claimed()?;
                Ok(renew_lease(&held, Some(other_epoch(&held))))
            }),
            at("other attempt id", |s| {
                let held = s.claimed()?;
                Ok(renew_lease(&held, Some(other_attempt(&held))))
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
            at("reclaimed by another worker", |s| {
                let (held, _) = s.reclaimed()?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
            at("completed", |s| {
                let held = s.completed()?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
            at("no such execution", |s| {
                let held = of_nobody(s)?;
                Ok(renew_lease(&held, Some(held.fence.clone())))
            }),
        ],
    ),
    of(
        "progress",
        &[
            at("live lease", |s| Ok(progress(&s.claimed()?))),
            at("255 percent", |s| {
                Ok(Call::Progress { handle: s.claimed()?.handle, percent: Some(255), message: None })
            }),
            at("lease expired by one ms", |s| Ok(progress(&s.lapsed()?))),
            at("lease revoked", |s| Ok(progress(&s.revoked()?))),
            at("reclaimed by another worker", |s| Ok(progress(&s.reclaimed()?.0))),
            at("completed", |s| Ok(progress(&s.completed()?))),
            at("suspended", |s| Ok(progress(&s.suspended()?.held))),
            at("handle of another backend", |s| Ok(progress(&foreign(s.claimed()?)))),
        ],
    ),
    of(
        "mark_lease_expired_if_due",
        &[
            at("lease expired by one ms", |s| Ok(mark(&s.lapsed()?.id))),
            at("live lease", |s| Ok(mark(&s.claimed()?.id))),
            at("repeated", |s| Ok(mark(&s.expired()?.id))),
            at("no such execution", |s| Ok(mark(&s.nobody()))),
        ],
    ),
    of(
        "revoke_lease",
        &[
            at("live lease", |s| Ok(revoke(&s.claimed()?.id))),
            at("repeated", |s| Ok(revoke(&s.revoked()?.id))),
            at("expected lease id right", |s| {
                let held = s.claimed()?;
                Ok(revoke_expecting(&held.id, Some(&held.fence.lease_id)))
            }),
            at("expected lease id wrong", |s| {
                let held = s.claimed()?;
                Ok(revoke_expecting(&held.id, Some(&LeaseId::from_uuid(Uuid::from_u128(9)))))
            }),
            at("lease expired by one ms", |s| Ok(revoke(&s.lapsed()?.id))),
            at("lease marked expired", |s| Ok(revoke(&s.expired()?.id))),
            at("never claimed", |s| Ok(revoke(&s.created()?))),
            at("completed", |s| Ok(revoke(&s.completed()?.id))),
            at("suspended", |s| Ok(revoke(&s.suspended()?.held.id))),
            at("no such execution", |s| Ok(revoke(&s.nobody()))),
        ],
    ),
    of(
        "list_expired_leases",
        &[
            at("none is there", |s| Ok(expired_by(s.now()?))),
            at("live lease", |s| {
                s.claimed()?;
                Ok(expired_by(s.now()?))
            }),
            at("live lease, later time asked for", |s| {
                s.claimed()?;
                Ok(expired_by(s.in_ms(60_000)?))
            }),
            at("lease expired by one ms", |s| {
                s.lapsed()?;
                Ok(expired_by(s.now()?))
            }),
            at("lease marked expired", |s| {
                s.expired()?;
                Ok(expired_by(s.now()?))
            }),
            at("reclaimed, and the old lease is past its time", |s| {
                s.reclaimed()?;
                Ok(expired_by(s.now()?))
            }),
            at("lease revoked", |s| {
                s.revoked()?;
                Ok(expired_by(s.in_ms(60_000)?))
            }),
            at("lapsed, renewed in vain", |s| {
                let held = s.lapsed()?;
                // Its refusal may mark the lease.
                s.perform(&renew(&held))?;
                Ok(expired_by(s.now()?))
            }),
            at("completed", |s| {
                let id = s.created()?;
                let held = s.claim(&id, LONG_MS)?;
                s.right(complete(&held))?;
                Ok(expired_by(s.in_ms(60_000)?))
            }),
            at("granted, never claimed", |s| {
                let id = s.created()?;
                s.grant(&id, W, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                Ok(expired_by(s.now()?))
            }),
        ],
    ),
];
