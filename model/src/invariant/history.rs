//! The history invariants: what callers were told, against what they were told before.

use ff_core::types::{LeaseFence, LeaseId};
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use super::promised::Promised;
use crate::intern::ExecutionNo;
use crate::message::{Done, GrantKind, Reply, Script, Taker};
use crate::number::{Score, by_thousands};
use crate::script::Refusal;
use crate::store::{Change, IndexKey, Store};

/// The checks of histories.
#[derive(Default)]
pub(super) struct OfHistories {
    lease_ids: HashSet<LeaseId, FxBuildHasher>,
}

impl Check for OfHistories {
    fn invariants(&self) -> Vec<Invariant> {
        vec![
            Invariant::S01,
            Invariant::S03,
            Invariant::S04,
            Invariant::S08,
            Invariant::S09,
            Invariant::S10,
            Invariant::S11,
            Invariant::S12,
            Invariant::S16,
            Invariant::S21,
            Invariant::S31,
            Invariant::L02,
        ]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        match seen {
            Seen::Step(step, promised) => self.look_at(step, promised, notes),
            Seen::Listing { store, partition, key, members } => {
                check_scan_order(notes, store, *partition, *key, members);
            }
            _ => {}
        }
    }
}

impl OfHistories {
    fn look_at(&mut self, step: &Step<'_>, promised: &Promised, notes: &mut Notes<'_>) {
        match (step.script, step.reply) {
            (Script::IssueClaimGrant(_) | Script::IssueReclaimGrant(_), reply) => {
                check_issue(notes, promised, step, reply)
            }
            (_, Reply::Done(Done::Leased(lease))) => {
                check_new_lease(notes, promised, step);
                let unused = self.lease_ids.insert(lease.fence.lease_id.clone());
                let detail = || format!("lease id {} again", lease.fence.lease_id);
                notes.look(Invariant::S03, Look::at(unused, "again"), detail);
                if let Some(takes) = step.script.facts().takes
                    && let Some(kind) = takes.consumes
                {
                    check_consumption(notes, promised, step, kind, takes.taker);
                }
            }
            (Script::Fail { retry, .. }, Reply::Done(Done::RetryScheduled(_))) => {
                let (retries, max) = (promised.retries + 1, retry.as_ref().map_or(0, |policy| policy.max_retries));
                notes.look(Invariant::S21, Look::at(retries <= max, "too-many"), || {
                    format!("retry {retries} of at most {max}")
                });
            }
            _ => {}
        }
        check_eligible_scores(notes, step);
        if let (Some(fence), Reply::Done(_)) = (step.script.facts().under.and_then(|under| under.fence), step.reply)
            && !step.store.changes().is_empty()
        {
            check_fenced(notes, promised, step, fence);
        }
    }
}

fn check_issue(notes: &mut Notes<'_>, promised: &Promised, step: &Step<'_>, reply: &Reply) {
    let live =
        promised.grant.as_ref().filter(|issued| issued.uses == 0 && issued.stored && issued.expires_at >= step.now);
    match reply {
        Reply::Done(Done::Granted(_)) => {
            notes.look(Invariant::S09, Look::at(live.is_none(), "beside-live"), || {
                let until = live.map_or_else(String::new, |issued| issued.expires_at.to_string());
                format!("granted at {} beside a grant that lives until {until}", step.now)
            });
        }
        Reply::Refused(Refusal::GrantAlreadyExists) => {
            let holds = promised.grant.as_ref().is_none_or(|issued| issued.uses == 0 && issued.expires_at >= step.now);
            notes.look(Invariant::L02, Look::at(holds, "outlives"), || {
                format!("a grant still excludes others at {}", step.now)
            });
        }
        _ => {}
    }
}

fn check_new_lease(notes: &mut Notes<'_>, promised: &Promised, step: &Step<'_>) {
    let live = promised.live_holder(step.now);
    notes.look(Invariant::S01, Look::at(live.is_none(), "live"), || {
        let other = live.map_or_else(String::new, |holder| {
            format!("epoch {} lives until {}", holder.fence.lease_epoch, holder.expires_at)
        });
        format!("a lease was installed at {} while the one of {other}", step.now)
    });
}

fn check_consumption(notes: &mut Notes<'_>, promised: &Promised, step: &Step<'_>, kind: GrantKind, taker: &Taker) {
    let Some(issued) = &promised.grant else {
        let look = Look::Broken("without-grant");
        notes.look(Invariant::S10, look, || "a lease without any grant".into());
        return;
    };
    notes.look(Invariant::S10, Look::at(issued.uses == 0, "again"), || {
        format!("consumed for the {}th time", issued.uses + 1)
    });
    notes.look(Invariant::S11, Look::at(step.now <= issued.expires_at, "expired"), || {
        format!("consumed at {}, expired at {}", step.now, issued.expires_at)
    });
    let look = match () {
        () if issued.worker != taker.worker => Look::Broken("other-worker"),
        () if issued.instance != taker.instance => Look::Broken("other-instance"),
        () => Look::at(issued.lane == taker.lane, "other-lane"),
    };
    notes.look(Invariant::S12, look, || "consumed by somebody it was not issued for".into());
    notes.look(Invariant::S16, Look::at(issued.kind == kind, "other-kind"), || {
        format!("a {} grant was consumed by a {}", issued.kind.name(), kind.name())
    });
}

fn check_fenced(notes: &mut Notes<'_>, promised: &Promised, step: &Step<'_>, fence: &LeaseFence) {
    let case = match &promised.holder {
        None => Some("never-held"),
        Some(holder) if holder.fence != *fence => Some("replaced"),
        Some(holder) if holder.ended.is_some() => holder.ended,
        Some(holder) if holder.expires_at <= step.now => Some("expired"),
        Some(_) => None,
    };
    let look = case.map_or(Look::Holds, Look::Broken);
    notes.look(Invariant::S04, look, || {
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
    if let Some(revoked) = &promised.revoked {
        notes.look(Invariant::S08, Look::at(*revoked != fence.lease_id, "revoked"), || {
            format!("{} was accepted with a revoked lease", step.script.name())
        });
    }
}

/// An eligible entry stands where its execution's priority and age put it; a listing of the first few
/// members can only be right if every entry is.
fn check_eligible_scores(notes: &mut Notes<'_>, step: &Step<'_>) {
    let is_touched = |change: &Change| {
        matches!(change, Change::Core(_) | Change::Member { key: IndexKey::Eligible(_), after: Some(_), .. })
    };
    let Some(found) = step.found.filter(|_| step.changes().any(is_touched)) else { return };
    for (key, score) in found.members.iter().filter(|(key, _)| matches!(key, IndexKey::Eligible(_))) {
        let own = found.core.eligible_score();
        notes.look(Invariant::S31, Look::at(*score == own, "misplaced"), || {
            let (held, own) = (by_thousands(score.whole()), by_thousands(own.whole()));
            format!("{} holds it under the score {held}, and its priority and age make {own}", key.name())
        });
    }
}

/// Order of an eligible listing: strictly ascending, and never behind a better member left out. What is left of a deleted
/// execution has no rank.
pub(super) fn check_scan_order(
    notes: &mut Notes<'_>,
    store: &Store,
    partition: u16,
    key: IndexKey,
    members: &[(Score, ExecutionNo)],
) {
    if !matches!(key, IndexKey::Eligible(_)) {
        return;
    }
    if members.is_empty() {
        return;
    }
    let rank = |number: ExecutionNo| {
        store
            .execution(number)
            .map(|found| (std::cmp::Reverse(found.core.priority), found.core.created_at, found.name.clone()))
    };
    let ranks: Vec<_> = members.iter().filter_map(|(_, number)| rank(*number)).collect();
    let listed = ranks.is_sorted_by(|one, next| one < next);
    let next = store.range(partition, key).skip(members.len()).find_map(|(_, number)| rank(number));
    let complete = next.is_none_or(|next| ranks.last().is_none_or(|last| *last < next));
    let look = Look::at(listed && complete, "out-of-order");
    notes.look(Invariant::S31, look, || "an eligible listing is out of order".into());
}
