//! Named switches that make the model differ from 0.15.0; all off unless a scenario asks.
//!
//! `fix-…` is what the protocol should do: a proposed repair whose effect can be measured. `bug-…`
//! is a planted defect: it measures the harness, which must turn red.

use serde::{Deserialize, Serialize};

macro_rules! switches {
    ($($(#[$doc:meta])* $switch:ident $name:literal,)*) => {
        /// One difference from the shipped scripts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Deviation {
            $($(#[$doc])* #[serde(rename = $name)] $switch,)*
        }

        impl Deviation {
            /// Every switch.
            pub const ALL: &'static [Self] = &[$(Self::$switch,)*];

            /// The switch's name, as scenarios and the command line spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$switch => $name,)*
                }
            }
        }
    };
}

switches! {
    /// Terminal and parking writes accept a lease that has expired (skips step 3 of lease validation).
    BugAcceptExpiredLease "bug-accept-expired-lease",
    /// Fenced writes do not compare the lease epoch and the lease id.
    BugIgnoreFence "bug-ignore-fence",
    /// Renewal revives an expired lease.
    BugRenewExpiredLease "bug-renew-expired-lease",
    /// A reclaim does not raise the lease epoch.
    BugReclaimKeepsEpoch "bug-reclaim-keeps-epoch",
    /// A claim does not compare the grant's worker id.
    BugClaimIgnoresGrantWorker "bug-claim-ignores-grant-worker",
    /// A consumed grant is not deleted.
    BugGrantSurvivesClaim "bug-grant-survives-claim",
    /// A lease can be reclaimed while it is still live.
    BugReclaimLiveLease "bug-reclaim-live-lease",
    /// Progress is noted under any lease of the execution.
    BugProgressSkipsFence "bug-progress-skips-fence",
    /// A suspend does not compare the fence.
    BugSuspendSkipsFence "bug-suspend-skips-fence",
    /// A delay does not compare the fence.
    BugDelaySkipsFence "bug-delay-skips-fence",
    /// A failure does not compare the fence.
    BugFailSkipsFence "bug-fail-skips-fence",
    /// Renewal does not compare the fence.
    BugRenewSkipsFence "bug-renew-skips-fence",
    /// Terminal and parking writes accept a revoked lease.
    BugAcceptRevokedLease "bug-accept-revoked-lease",
    /// A completion is accepted whatever the execution's phase.
    BugCompleteAnyPhase "bug-complete-any-phase",
    /// A renewal answers the new expiry and keeps the old one.
    BugRenewKeepsExpiry "bug-renew-keeps-expiry",
    /// A live lease is marked expired.
    BugMarkLiveLease "bug-mark-live-lease",
    /// An expired lease is never marked.
    BugMarkForgets "bug-mark-forgets",
    /// A revocation is answered and changes nothing.
    BugRevokeForgets "bug-revoke-forgets",
    /// A fresh claim does not raise the lease epoch.
    BugClaimKeepsEpoch "bug-claim-keeps-epoch",
    /// A fresh claim does not count its attempt.
    BugClaimForgetsAttempt "bug-claim-forgets-attempt",
    /// A retried attempt is recorded as the first.
    BugRetryIsInitial "bug-retry-is-initial",
    /// A reclaim does not end the old attempt.
    BugReclaimKeepsAttempt "bug-reclaim-keeps-attempt",
    /// A reclaim is not counted.
    BugReclaimForgetsCount "bug-reclaim-forgets-count",
    /// One reclaim more than the policy allows.
    BugReclaimCapOffByOne "bug-reclaim-cap-off-by-one",
    /// One retry more than the policy allows.
    BugRetryCapOffByOne "bug-retry-cap-off-by-one",
    /// A retry is due at once.
    BugRetryIgnoresBackoff "bug-retry-ignores-backoff",
    /// A grant is issued whatever the worker can do.
    BugGrantIgnoresCapabilities "bug-grant-ignores-capabilities",
    /// A grant is issued beside a live one.
    BugGrantBesideGrant "bug-grant-beside-grant",
    /// A grant is kept ten times as long as its caller asked.
    BugGrantOutlivesTtl "bug-grant-outlives-ttl",
    /// Delayed work is listed and promoted before it is due.
    BugPromoteEarly "bug-promote-early",
    /// A completion's result is not stored.
    BugCompleteForgetsResult "bug-complete-forgets-result",
    /// A completion is not published.
    BugCompleteUnpublished "bug-complete-unpublished",
    /// A completion is published twice.
    BugCompletePublishedTwice "bug-complete-published-twice",
    /// A failure is published as a success.
    BugFailPublishedAsSuccess "bug-fail-published-as-success",
    /// A cancel leaves `lease:current`.
    BugCancelKeepsLease "bug-cancel-keeps-lease",
    /// An index of active work is never left.
    BugKeepsActiveIndex "bug-keeps-active-index",
    /// `lease_expiry` is never left.
    BugKeepsLeaseExpiry "bug-keeps-lease-expiry",
    /// A worker's set of leases is never left.
    BugKeepsWorkerLeases "bug-keeps-worker-leases",
    /// `attempt_timeout` is never left.
    BugKeepsAttemptTimeout "bug-keeps-attempt-timeout",
    /// An eligible index is never left.
    BugKeepsEligibleIndex "bug-keeps-eligible-index",
    /// A suspended index is never left.
    BugKeepsSuspendedIndex "bug-keeps-suspended-index",
    /// A terminal index is never left.
    BugKeepsTerminalIndex "bug-keeps-terminal-index",
    /// A delayed index is never entered.
    BugForgetsDelayedIndex "bug-forgets-delayed-index",
    /// An eligible index has the same score for every priority.
    BugIgnoresPriority "bug-ignores-priority",
    /// A signal's key is remembered before its token is checked.
    BugSignalRemembersFirst "bug-signal-remembers-first",
    /// A signal that was sent before has its effect again.
    BugSignalIgnoresKey "bug-signal-ignores-key",
    /// A waitpoint whose wait is over still resumes.
    BugSignalOfClosedWait "bug-signal-of-closed-wait",
    /// A satisfied condition does not resume.
    BugSignalResumesNothing "bug-signal-resumes-nothing",
    /// An operator's resume leaves the suspension open.
    BugResumeKeepsSuspension "bug-resume-keeps-suspension",
    /// A suspension is listed and ended before its timeout.
    BugSuspensionTimeoutEarly "bug-suspension-timeout-early",
    /// A creation does not look at its idempotency key or id.
    BugCreateIgnoresKey "bug-create-ignores-key",
    /// A slot that is given back counts twice.
    BugReleaseSlotTwice "bug-release-slot-twice",
    /// One admission more than the cap.
    BugAdmitOverCap "bug-admit-over-cap",
    /// One admission more than the rate.
    BugAdmitOverRate "bug-admit-over-rate",
    /// A success of any upstream releases work that needs all.
    BugResolveAny "bug-resolve-any",
    /// A success of an upstream skips what waits for it.
    BugResolveSkipsOnSuccess "bug-resolve-skips-on-success",
    /// A reclaim gives its lease the id of the one before.
    BugReclaimKeepsLeaseId "bug-reclaim-keeps-lease-id",
    /// A reclaim does not delete its grant.
    BugReclaimKeepsGrant "bug-reclaim-keeps-grant",
    /// A revoked lease is not reclaimed.
    BugReclaimRefusesRevoked "bug-reclaim-refuses-revoked",
    /// A renewal says that the lease was acquired just now.
    BugRenewRestampsAcquisition "bug-renew-restamps-acquisition",
    /// A renewal that is refused as stale extends the lease all the same.
    BugRefusedRenewalExtends "bug-refused-renewal-extends",
    /// A lease is kept a thousand times as long as its holder asked.
    BugLeaseOutlivesTtl "bug-lease-outlives-ttl",
    /// A claim or reclaim needs no grant.
    BugClaimNeedsNoGrant "bug-claim-needs-no-grant",
    /// The attempt of a suspended execution is still called running.
    BugSuspendKeepsRunning "bug-suspend-keeps-running",
    /// What is promoted is still called delayed.
    BugPromoteKeepsPublicState "bug-promote-keeps-public-state",
    /// Due work is answered as not due.
    BugPromoteForgets "bug-promote-forgets",
    /// A creation forgets its delay.
    BugCreateIgnoresDelay "bug-create-ignores-delay",
    /// The last failure ends the execution and is answered as a refusal.
    BugFailAtCapRefuses "bug-fail-at-cap-refuses",
    /// A completion ends the first attempt, whichever is current.
    BugCompleteEndsFirstAttempt "bug-complete-ends-first-attempt",
    /// `execution_deadline` is never left.
    BugKeepsDeadline "bug-keeps-deadline",
    /// A signal that satisfies a condition is only appended.
    BugSignalSatisfiesNothing "bug-signal-satisfies-nothing",
    /// The cancel of a flow leaves out its last member.
    BugFlowCancelForgetsMember "bug-flow-cancel-forgets-member",
    /// The last success does not release what waits for it.
    BugResolveForgetsRelease "bug-resolve-forgets-release",
    /// A budget that has reached its hard limit is read and not heeded. Of the scheduler.
    BugBudgetUnheeded "bug-budget-unheeded",
    /// A worker claims although all its permits are taken. Of the native worker.
    BugWorkerClaimsSaturated "bug-worker-claims-saturated",
    /// A worker leaves out the last partition of each window. Of the native worker.
    BugWorkerSkipsPartition "bug-worker-skips-partition",
    /// Retention overlooks how long an execution's own policy keeps it.
    BugRetentionIgnoresPolicy "bug-retention-ignores-policy",
    /// The projector sums up a flow from one of its members.
    BugProjectorLooksAtOne "bug-projector-looks-at-one",
    /// `cancel` by handle checks the lease as the other fenced writes do.
    FixFenceHandleCancel "fix-fence-handle-cancel",
    /// Blocking refuses an execution that holds a live grant.
    FixBlockRespectsGrant "fix-block-respects-grant",
    /// A reclaim drops the attempt timeout of the attempt that it replaces.
    FixReclaimClearsAttemptTimeout "fix-reclaim-clears-attempt-timeout",
    /// A delayed resume records `delay_until`, so that it can be promoted.
    FixResumeDelayRecordsDue "fix-resume-delay-records-due",
    /// A creation enters the index that its state names, whatever the caller chose.
    FixCreateIndexFollowsState "fix-create-index-follows-state",
    /// A renewal is refused once the lease was marked expired, even if the server's clock stepped back since.
    FixRenewRefusesMarkedLease "fix-renew-refuses-marked-lease",
    /// `list_expired_leases` reads the scores that the server sends, instead of failing on the first entry.
    FixListExpiredLeasesReadsScores "fix-list-expired-leases-reads-scores",
    /// A worker looks into a window of partitions for each of its lanes before it moves on to the next. Of
    /// the native worker.
    FixPollEveryLaneInEachWindow "fix-poll-every-lane-in-each-window",
    /// A worker no longer calls a lease healthy whose renewal was refused for good. Of the native worker.
    FixRefusedRenewalIsUnhealthy "fix-refused-renewal-is-unhealthy",
}

const _: () = assert!(Deviation::ALL.len() <= u128::BITS as usize, "the switches of a run are a word");

impl Deviation {
    /// The switch of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|deviation| deviation.name() == name)
    }
}

/// The switches of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviations(u128);

impl Deviations {
    /// Whether a switch is on.
    pub const fn has(self, deviation: Deviation) -> bool {
        self.0 & (1 << deviation as u32) != 0
    }

    /// These switches and one more.
    #[must_use]
    pub const fn with(self, deviation: Deviation) -> Self {
        Self(self.0 | (1 << deviation as u32))
    }
}

impl FromIterator<Deviation> for Deviations {
    fn from_iter<I: IntoIterator<Item = Deviation>>(deviations: I) -> Self {
        deviations.into_iter().fold(Self::default(), Self::with)
    }
}
