//! What the replies so far have promised about one execution; bounded, whatever happens to it.

use ff_core::state::{LifecyclePhase, OwnershipState};
use ff_core::types::{AttemptIndex, LeaseFence, LeaseId};

use super::check::Step;
use crate::intern::{InstanceNo, LaneNo, WorkerNo};
use crate::message::{Done, GrantKind, IssueGrant, Reply, Script};
use crate::number::Score;
use crate::store::{Change, IndexKey};
use crate::time::ServerTime;

/// The last grant that was issued.
#[derive(Clone, Debug)]
pub struct PromisedGrant {
    /// Whether it is for a claim or for a reclaim.
    pub kind: GrantKind,
    /// The worker that it was issued for.
    pub worker: WorkerNo,
    /// That worker's instance.
    pub instance: InstanceNo,
    /// The lane that it was issued for.
    pub lane: LaneNo,
    /// Until when it may be used, by the server's clock.
    pub expires_at: ServerTime,
    /// How many leases it was used for.
    pub uses: u32,
    /// A grant told to expire at once is answered but never stored.
    pub stored: bool,
}

/// The last lease that somebody was given.
#[derive(Clone, Debug)]
pub struct PromisedLease {
    /// Its id, epoch and attempt.
    pub fence: LeaseFence,
    /// Until when it holds, by the server's clock, as its holder was told.
    pub expires_at: ServerTime,
    /// Why nobody holds it any more, as a case of S04.
    pub ended: Option<&'static str>,
}

/// One execution's promises.
#[derive(Debug, Default)]
pub struct Promised {
    /// The last lease.
    pub holder: Option<PromisedLease>,
    /// The last lease that was revoked.
    pub revoked: Option<LeaseId>,
    /// The last grant, unless the server dropped it at its expiry.
    pub grant: Option<PromisedGrant>,
    /// Retries scheduled so far.
    pub retries: u32,
    /// The attempt that was current when the timeout entry was written.
    pub timeout_attempt: Option<AttemptIndex>,
    /// A digest of the last successful completion's payload; none when it gave none.
    pub success: Option<u64>,
    /// Before which time it was promised not to run, and by what, as a case of S32.
    pub not_before: Option<(Score, &'static str)>,
}

impl Promised {
    /// The last lease, if somebody holds it at a time of the server.
    pub fn live_holder(&self, now: ServerTime) -> Option<&PromisedLease> {
        self.holder.as_ref().filter(|holder| holder.ended.is_none() && holder.expires_at > now)
    }

    /// Adds what a step promised.
    pub(super) fn follow(&mut self, step: &Step<'_>) {
        let mut renewed = false;
        match (step.script, step.reply) {
            (Script::IssueClaimGrant(args), Reply::Done(Done::Granted(expires_at))) => {
                self.grant = Some(issued(GrantKind::Claim, args, *expires_at));
            }
            (Script::IssueReclaimGrant(args), Reply::Done(Done::Granted(expires_at))) => {
                self.grant = Some(issued(GrantKind::Reclaim, args, *expires_at));
            }
            (_, Reply::Done(Done::Leased(lease))) => {
                self.holder =
                    Some(PromisedLease { fence: lease.fence.clone(), expires_at: lease.expires_at, ended: None });
                if let Some(grant) = &mut self.grant {
                    grant.uses += 1;
                }
            }
            (Script::Renew { held, .. }, Reply::Done(Done::Renewed(expires_at))) => {
                // A successful renewal makes its caller the holder, even if the lease had been marked expired.
                if let Some(holder) = &mut self.holder
                    && held.fence.as_ref() == Some(&holder.fence)
                {
                    holder.expires_at = *expires_at;
                    renewed = true;
                }
            }
            (Script::Fail { .. }, Reply::Done(Done::RetryScheduled(_))) => self.retries += 1,
            (Script::Revoke { .. }, Reply::Done(Done::Revoked(lease_id, _))) => self.revoked = lease_id.clone(),
            (Script::Complete { payload, .. }, Reply::Done(_)) => self.success = digest(payload),
            _ => {}
        }
        self.follow_delay(step);
        self.forget_deleted_grant(step);
        let Some(found) = step.found else { return };
        let vector = &found.core.vector;
        let ended = match (vector.lifecycle_phase, vector.ownership_state) {
            (LifecyclePhase::Active, OwnershipState::Leased) => None,
            (LifecyclePhase::Active, OwnershipState::LeaseExpiredReclaimable) => Some("marked"),
            (LifecyclePhase::Active, OwnershipState::LeaseRevoked) => Some("revoked"),
            _ => Some("ended"),
        };
        if let Some(holder) = &mut self.holder {
            // Whoever holds a live lease holds it, whatever somebody marks.
            let ended = ended.filter(|ended| *ended != "marked" || holder.expires_at <= step.now);
            holder.ended = if renewed { None } else { holder.ended.or(ended) };
        }
        let entered = step
            .changes()
            .any(|change| matches!(change, Change::Member { key: IndexKey::AttemptTimeout, after: Some(_), .. }));
        if entered {
            self.timeout_attempt = found.core.current_attempt_index;
        }
    }

    /// A delay holds until somebody runs the execution, or it ends.
    fn follow_delay(&mut self, step: &Step<'_>) {
        let Reply::Done(done) = step.reply else { return };
        let resumes = |delay_ms: u64| (delay_ms > 0).then(|| (Score::after(step.now.ms(), delay_ms), "resumed"));
        match (step.script, done) {
            (Script::Create(args), Done::Created(_)) => {
                let until = args.delay_until.map(|until| Score::at_ms(until.0));
                self.not_before = until.filter(|until| !until.is_due(step.now.ms())).map(|until| (until, "created"));
            }
            (Script::Delay { until, .. }, _) => self.not_before = Some((Score::at_ms(until.0), "delayed")),
            (_, Done::RetryScheduled(due)) => self.not_before = Some((*due, "retry")),
            (Script::Signal(args), Done::SignalAccepted("resume_condition_satisfied")) => {
                self.not_before = resumes(args.resume_delay_ms);
            }
            (Script::Resume { delay_ms, .. }, _) => self.not_before = resumes(*delay_ms),
            (_, Done::Leased(_)) | (Script::Replay { .. }, _) => self.not_before = None,
            _ => {}
        }
    }

    /// A grant that was dropped at its expiry stays gone when the server's clock steps back.
    fn forget_deleted_grant(&mut self, step: &Step<'_>) {
        let lapsed = step.changes().any(|change| matches!(change, Change::GrantLapsed(_)));
        let issued_now = matches!(step.reply, Reply::Done(Done::Granted(_)));
        if lapsed && !issued_now {
            self.grant = None;
        }
    }
}

fn issued(kind: GrantKind, args: &IssueGrant, expires_at: ServerTime) -> PromisedGrant {
    PromisedGrant {
        kind,
        worker: args.worker,
        instance: args.instance,
        lane: args.lane,
        expires_at,
        uses: 0,
        stored: args.ttl_ms > 0,
    }
}

/// A digest for comparing payloads.
pub(super) fn digest(payload: &[u8]) -> Option<u64> {
    use std::hash::Hasher as _;
    if payload.is_empty() {
        return None;
    }
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(payload);
    hasher.write_usize(payload.len());
    Some(hasher.finish())
}
