//! The history invariants: what callers were told, against what they were told before.

use ff_core::state::{LifecyclePhase, OwnershipState};
use ff_core::types::LeaseFence;

use super::look::Look;
use super::shadow::{Holder, Issued, Shadow, digest};
use super::{Checker, Invariant, Step};
use crate::intern::ExecutionNo;
use crate::message::{Done, GrantKind, NewLease, Reply, Script, Taker};
use crate::number::Score;
use crate::script::Refusal;
use crate::store::{Change, IndexKey, Store};

/// Checks every history invariant that the step concerns, against the shadow before it.
pub(super) fn check(checker: &mut Checker, shadow: &mut Shadow, step: &Step<'_>) {
    match (step.script, step.reply) {
        (Script::IssueClaimGrant(_) | Script::IssueReclaimGrant(_), reply) => check_issue(checker, shadow, step, reply),
        (_, Reply::Done(Done::Leased(lease))) => {
            check_new_lease(checker, shadow, step, lease);
            if let Some(takes) = step.script.facts().takes
                && let Some(kind) = takes.consumes
            {
                check_consumption(checker, shadow, step, kind, takes.taker);
            }
        }
        (Script::Fail { retry, .. }, Reply::Done(Done::RetryScheduled(_))) => {
            shadow.retries += 1;
            let (retries, max) = (shadow.retries, retry.as_ref().map_or(0, |policy| policy.max_retries));
            checker.note(Invariant::S21, step.execution, Look::at(retries <= max, "too-many"), || {
                format!("retry {retries} of at most {max}")
            });
        }
        _ => {}
    }
    check_eligible_scores(checker, step);
    if let (Some(fence), Reply::Done(_)) = (step.script.facts().under.and_then(|under| under.fence), step.reply)
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
            shadow.holder = Some(Holder { fence: lease.fence.clone(), expires_at: lease.expires_at, ended: None });
            if let Some(grant) = &mut shadow.grant {
                grant.uses += 1;
            }
        }
        (Script::Renew { held, .. }, Reply::Done(Done::Renewed(expires_at))) => {
            // A successful renewal makes its caller the holder, even if the lease had been marked expired.
            if let Some(holder) = &mut shadow.holder
                && held.fence.as_ref() == Some(&holder.fence)
            {
                holder.expires_at = *expires_at;
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
    let ended = match (vector.lifecycle_phase, vector.ownership_state) {
        (LifecyclePhase::Active, OwnershipState::Leased) => None,
        (LifecyclePhase::Active, OwnershipState::LeaseExpiredReclaimable) => Some("marked"),
        (LifecyclePhase::Active, OwnershipState::LeaseRevoked) => Some("revoked"),
        _ => Some("ended"),
    };
    if let Some(holder) = &mut shadow.holder {
        holder.ended = if renewed { None } else { holder.ended.or(ended) };
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

fn check_issue(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, reply: &Reply) {
    let live =
        shadow.grant.as_ref().filter(|issued| issued.uses == 0 && issued.stored && issued.expires_at >= step.now);
    match reply {
        Reply::Done(Done::Granted(_)) => {
            checker.note(Invariant::S09, step.execution, Look::at(live.is_none(), "beside-live"), || {
                let until = live.map_or_else(String::new, |issued| issued.expires_at.to_string());
                format!("granted at {} beside a grant that lives until {until}", step.now)
            });
        }
        Reply::Refused(Refusal::GrantAlreadyExists) => {
            let holds = shadow.grant.as_ref().is_none_or(|issued| issued.uses == 0 && issued.expires_at >= step.now);
            checker.note(Invariant::L02, step.execution, Look::at(holds, "outlives"), || {
                format!("a grant still excludes others at {}", step.now)
            });
        }
        _ => {}
    }
}

fn check_new_lease(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, lease: &NewLease) {
    let live = shadow.holder.as_ref().filter(|holder| holder.ended.is_none() && holder.expires_at > step.now);
    checker.note(Invariant::S01, step.execution, Look::at(live.is_none(), "live"), || {
        let other = live.map_or_else(String::new, |holder| {
            format!("epoch {} lives until {}", holder.fence.lease_epoch, holder.expires_at)
        });
        format!("a lease was installed at {} while the one of {other}", step.now)
    });
    let unused = checker.lease_ids.insert(lease.fence.lease_id.clone());
    let look = Look::at(unused, "again");
    checker.note(Invariant::S03, step.execution, look, || format!("lease id {} again", lease.fence.lease_id));
}

fn check_consumption(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, kind: GrantKind, taker: &Taker) {
    let Some(issued) = &shadow.grant else {
        let look = Look::Broken("without-grant");
        checker.note(Invariant::S10, step.execution, look, || "a lease without any grant".into());
        return;
    };
    checker.note(Invariant::S10, step.execution, Look::at(issued.uses == 0, "again"), || {
        format!("consumed for the {}th time", issued.uses + 1)
    });
    checker.note(Invariant::S11, step.execution, Look::at(step.now <= issued.expires_at, "expired"), || {
        format!("consumed at {}, expired at {}", step.now, issued.expires_at)
    });
    let look = match () {
        () if issued.worker != taker.worker => Look::Broken("other-worker"),
        () if issued.instance != taker.instance => Look::Broken("other-instance"),
        () => Look::at(issued.lane == taker.lane, "other-lane"),
    };
    checker.note(Invariant::S12, step.execution, look, || "consumed by somebody it was not issued for".into());
    checker.note(Invariant::S16, step.execution, Look::at(issued.kind == kind, "other-kind"), || {
        format!("a {} grant was consumed by a {}", issued.kind.name(), kind.name())
    });
}

fn check_fenced(checker: &mut Checker, shadow: &Shadow, step: &Step<'_>, fence: &LeaseFence) {
    let case = match &shadow.holder {
        None => Some("never-held"),
        Some(holder) if holder.fence != *fence => Some("replaced"),
        Some(holder) if holder.ended.is_some() => holder.ended,
        Some(holder) if holder.expires_at <= step.now => Some("expired"),
        Some(_) => None,
    };
    let look = case.map_or(Look::Holds, Look::Broken);
    checker.note(Invariant::S04, step.execution, look, || {
        let why = match case.unwrap_or_default() {
            "never-held" => "nobody was ever given a lease",
            "replaced" => "another lease had taken its place",
            "revoked" => "the lease had been revoked",
            "marked" => "the lease had been marked expired",
            "expired" => "the lease had expired",
            _ => "the lease had ended",
        };
        format!("{} was accepted at {} with epoch {}: {why}", step.script.name(), step.now, fence.lease_epoch)
    });
    if let Some(revoked) = &shadow.revoked {
        checker.note(Invariant::S08, step.execution, Look::at(*revoked != fence.lease_id, "revoked"), || {
            format!("{} was accepted with a revoked lease", step.script.name())
        });
    }
}

/// An eligible entry stands where its execution's priority and age put it; a listing of the first few
/// members can only be right if every entry is.
fn check_eligible_scores(checker: &mut Checker, step: &Step<'_>) {
    let Some(found) = step.store.execution(step.execution) else { return };
    for (key, score) in found.members.iter().filter(|(key, _)| matches!(key, IndexKey::Eligible(_))) {
        let look = Look::at(*score == found.core.eligible_score(), "misplaced");
        checker.note(Invariant::S31, step.execution, look, || {
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
    let look = Look::at(listed && complete, "out-of-order");
    checker.note(Invariant::S31, *first, look, || "an eligible listing is out of order".into());
}
