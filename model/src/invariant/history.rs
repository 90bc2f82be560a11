//! The history invariants: what callers were told, against what they were told before.

use ff_core::state::{LifecyclePhase, OwnershipState};
use ff_core::types::LeaseFence;

use super::shadow::{GrantKind, Holder, Issued, Shadow, digest};
use super::{Checker, Invariant, Step};
use crate::intern::ExecutionNo;
use crate::message::{Done, NewLease, Reply, Script, Taker};
use crate::number::Score;
use crate::script::Refusal;
use crate::store::{Change, IndexKey, Store};

/// Checks every history invariant that the step concerns, against the shadow before it.
pub(super) fn check(checker: &mut Checker, shadow: &mut Shadow, step: &Step<'_>) {
    match (step.script, step.reply) {
        (Script::IssueClaimGrant(_) | Script::IssueReclaimGrant(_), reply) => check_issue(checker, shadow, step, reply),
        (_, Reply::Done(Done::Leased(lease))) => {
            check_new_lease(checker, shadow, step, lease);
            if let Some((kind, taker)) = consumer(step.script) {
                check_consumption(checker, shadow, step, kind, taker);
            }
        }
        (Script::Fail { retry, .. }, Reply::Done(Done::RetryScheduled(_))) => {
            shadow.retries += 1;
            let (retries, max) = (shadow.retries, retry.as_ref().map_or(0, |policy| policy.max_retries));
            checker.require(Invariant::S21, step.execution, retries <= max, || {
                format!("retry {retries} of at most {max}")
            });
        }
        _ => {}
    }
    check_eligible_scores(checker, step);
    if let (Some(fence), Reply::Done(_)) = (fenced(step.script), step.reply)
        && !step.store.changes().is_empty()
    {
        check_fenced(checker, shadow, step, fence);
    }
}

/// Carries the shadow over the step.
pub(super) fn follow(shadow: &mut Shadow, step: &Step<'_>) {
    let mut renewed = false;
    match (step.script, step.reply) {
        (Script::IssueClaimGrant(args), Reply::Done(Done::Granted(expires_at))) => {
            shadow.grant = Some(issued(GrantKind::Claim, args, *expires_at));
        }
        (Script::IssueReclaimGrant(args), Reply::Done(Done::Granted(expires_at))) => {
            shadow.grant = Some(issued(GrantKind::Reclaim, args, *expires_at));
        }
        (_, Reply::Done(Done::Leased(lease))) => {
            shadow.holder = Some(Holder { fence: lease.fence.clone(), expires_at: lease.expires_at, ended: false });
            if let Some(grant) = &mut shadow.grant {
                grant.uses += 1;
            }
        }
        (Script::Renew { .. }, Reply::Done(Done::Renewed(expires_at))) => {
            if let Some(holder) = &mut shadow.holder {
                holder.expires_at = *expires_at;
                // Whoever was told that its lease is renewed holds it, marked or not.
                renewed = true;
            }
        }
        (Script::Revoke { .. }, Reply::Done(Done::Revoked(lease_id, _))) => shadow.revoked = lease_id.clone(),
        (Script::Complete { payload, .. }, Reply::Done(_)) => shadow.success = digest(payload),
        _ => {}
    }
    forget_deleted_grant(shadow, step);
    let Some(found) = step.store.execution(step.execution) else { return };
    let vector = &found.core.vector;
    let held = vector.lifecycle_phase == LifecyclePhase::Active && vector.ownership_state == OwnershipState::Leased;
    if let Some(holder) = &mut shadow.holder {
        holder.ended = (holder.ended || !held) && !renewed;
    }
    let entered = step.store.changes().items.iter().any(|(no, change)| {
        *no == step.execution && matches!(change, Change::Member { key: IndexKey::AttemptTimeout, after: Some(_), .. })
    });
    if entered {
        shadow.timeout_attempt = found.core.current_attempt_index;
    }
}

/// A grant that was dropped at its expiry stays gone when the server's clock steps back.
fn forget_deleted_grant(shadow: &mut Shadow, step: &Step<'_>) {
    let lapsed = step
        .store
        .changes()
        .items
        .iter()
        .any(|(no, change)| *no == step.execution && matches!(change, Change::GrantLapsed(_)));
    let issued_now = matches!(step.reply, Reply::Done(Done::Granted(_)));
    if lapsed && !issued_now {
        shadow.grant = None;
    }
}

fn issued(kind: GrantKind, args: &crate::message::IssueGrant, expires_at: crate::time::ServerTime) -> Issued {
    Issued {
        kind,
        worker: args.worker,
        instance: args.instance,
        lane: args.lane,
        expires_at,
        uses: 0,
        stored: args.ttl_ms > 0,
    }
}

fn consumer(script: &Script) -> Option<(GrantKind, &Taker)> {
    Some(match script {
        Script::Claim(args) => (GrantKind::Claim, &args.taker),
        Script::ClaimResumed(args) => (GrantKind::Claim, &args.taker),
        Script::Reclaim(args) => (GrantKind::Reclaim, &args.taker),
        _ => return None,
    })
}

/// The fence of a fenced write.
fn fenced(script: &Script) -> Option<&LeaseFence> {
    match script {
        Script::Renew { held, .. }
        | Script::Complete { held, .. }
        | Script::Fail { held, .. }
        | Script::Delay { held, .. }
        | Script::Progress { held, .. } => held.fence.as_ref(),
        Script::Suspend(args) => args.held.fence.as_ref(),
        Script::Cancel(args) => args.fence.as_ref(),
        _ => None,
    }
}

fn check_issue(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, reply: &Reply) {
    let live =
        shadow.grant.as_ref().filter(|issued| issued.uses == 0 && issued.stored && issued.expires_at >= step.now);
    match reply {
        Reply::Done(Done::Granted(_)) => {
            checker.require(Invariant::S09, step.execution, live.is_none(), || {
                format!(
                    "granted at {} beside a grant that lives until {:?}",
                    step.now,
                    live.map(|issued| issued.expires_at)
                )
            });
        }
        Reply::Refused(Refusal::GrantAlreadyExists) => {
            let holds = shadow.grant.as_ref().is_none_or(|issued| issued.uses == 0 && issued.expires_at >= step.now);
            checker.require(Invariant::L02, step.execution, holds, || {
                format!("a grant still excludes others at {}", step.now)
            });
        }
        _ => {}
    }
}

fn check_new_lease(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, lease: &NewLease) {
    let live = shadow.holder.as_ref().filter(|holder| !holder.ended && holder.expires_at > step.now);
    checker.require(Invariant::S01, step.execution, live.is_none(), || {
        format!(
            "a lease was installed at {} while lease {:?} lives until {:?}",
            step.now,
            live.map(|holder| holder.fence.lease_id.to_string()),
            live.map(|holder| holder.expires_at.ms())
        )
    });
    let unused = checker.lease_ids.insert(lease.fence.lease_id.clone());
    checker.require(Invariant::S03, step.execution, unused, || format!("lease id {} again", lease.fence.lease_id));
}

fn check_consumption(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, kind: GrantKind, taker: &Taker) {
    let Some(issued) = &shadow.grant else {
        checker.require(Invariant::S10, step.execution, false, || "a lease without any grant".into());
        return;
    };
    checker.require(Invariant::S10, step.execution, issued.uses == 0, || {
        format!("consumed for the {}th time", issued.uses + 1)
    });
    checker.require(Invariant::S11, step.execution, step.now <= issued.expires_at, || {
        format!("consumed at {}, expired at {}", step.now, issued.expires_at)
    });
    let own = issued.worker == taker.worker && issued.instance == taker.instance && issued.lane == taker.lane;
    checker.require(Invariant::S12, step.execution, own, || {
        let part = |same: bool| if same { "same" } else { "other" };
        format!(
            "{} worker, {} instance, {} lane",
            part(issued.worker == taker.worker),
            part(issued.instance == taker.instance),
            part(issued.lane == taker.lane)
        )
    });
    checker.require(Invariant::S16, step.execution, issued.kind == kind, || {
        format!("a {:?} grant was consumed by a {:?}", issued.kind, kind)
    });
}

fn check_fenced(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, fence: &LeaseFence) {
    let holder = shadow.holder.as_ref();
    let current = holder.filter(|holder| holder.fence == *fence);
    let holds = current.is_some_and(|holder| !holder.ended && holder.expires_at > step.now);
    checker.require(Invariant::S04, step.execution, holds, || {
        let why = match (holder, current) {
            (None, _) => "nobody holds a lease",
            (Some(_), None) => "the lease was replaced",
            (_, Some(holder)) if holder.ended => "the lease had ended",
            _ => "the lease had expired",
        };
        format!("{} was accepted at {} with epoch {}: {why}", step.script.name(), step.now, fence.lease_epoch)
    });
    let revoked = shadow.revoked.as_ref() == Some(&fence.lease_id);
    checker.require(Invariant::S08, step.execution, !revoked, || {
        format!("{} was accepted with a revoked lease", step.script.name())
    });
}

/// An eligible entry stands where its execution's priority and age put it; a listing of the first few
/// members can only be right if every entry is.
fn check_eligible_scores(checker: &mut Checker, step: &Step<'_>) {
    let Some(found) = step.store.execution(step.execution) else { return };
    for (key, score) in found.members.iter().filter(|(key, _)| matches!(key, IndexKey::Eligible(_))) {
        checker.require(Invariant::S31, step.execution, *score == found.core.eligible_score(), || {
            format!("{} holds it at {}", key.name(), score.to_lua_string())
        });
    }
}

/// Order of an eligible listing: strictly ascending, and never behind a better member left out.
pub(super) fn check_scan_order(
    checker: &mut Checker,
    store: &Store,
    partition: u16,
    key: IndexKey,
    members: &[(Score, ExecutionNo)],
) {
    if !matches!(key, IndexKey::Eligible(_)) {
        return;
    }
    let Some((_, first)) = members.first() else { return };
    let rank = |no: ExecutionNo| {
        store
            .execution(no)
            .map(|found| (std::cmp::Reverse(found.core.priority), found.core.created_at, found.name.clone()))
    };
    let listed = members.windows(2).all(|pair| rank(pair[0].1) < rank(pair[1].1));
    let next = store.range(partition, key).nth(members.len()).map(|(_, no)| no);
    let last = members.last().map(|(_, no)| *no);
    let complete = next.is_none_or(|next| last.is_none_or(|last| rank(last) < rank(next)));
    checker.require(Invariant::S31, *first, listed && complete, || "an eligible listing is out of order".into());
}
