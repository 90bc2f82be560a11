//! Named switches that make the model differ from 0.15.0; all off unless a scenario asks.
//!
//! `fix-…` is what the protocol should do: a proposed repair whose effect can be measured. `bug-…`
//! is a planted defect: it measures the harness, which must turn red.

use serde::{Deserialize, Serialize};

/// One difference from the shipped scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Terminal and parking writes accept a lease that has expired (skips step 3 of lease validation).
    BugAcceptExpiredLease,
    /// Fenced writes do not compare the lease epoch and the lease id.
    BugIgnoreFence,
    /// Renewal revives an expired lease.
    BugRenewExpiredLease,
    /// A reclaim does not raise the lease epoch.
    BugReclaimKeepsEpoch,
    /// A claim does not compare the grant's worker id.
    BugClaimIgnoresGrantWorker,
    /// A consumed grant is not deleted.
    BugGrantSurvivesClaim,
    /// A lease can be reclaimed while it is still live.
    BugReclaimLiveLease,
    /// `cancel` by handle checks the lease as the other fenced writes do.
    FixFenceHandleCancel,
    /// Blocking refuses an execution that holds a live grant.
    FixBlockRespectsGrant,
    /// A reclaim drops the attempt timeout of the attempt that it replaces.
    FixReclaimClearsAttemptTimeout,
    /// A delayed resume records `delay_until`, so that it can be promoted.
    FixResumeDelayRecordsDue,
    /// A creation enters the index that its state names, whatever the caller chose.
    FixCreateIndexFollowsState,
    /// A renewal is refused once the lease was marked expired, even if the server's clock stepped back since.
    FixRenewRefusesMarkedLease,
    /// `list_expired_leases` reads the scores that the server sends, instead of failing on the first entry.
    FixListExpiredLeasesReadsScores,
    /// A worker looks into a window of partitions for each of its lanes before it moves on to the next. Of
    /// the native worker.
    FixPollEveryLaneInEachWindow,
    /// A worker no longer calls a lease healthy whose renewal was refused for good. Of the native worker.
    FixRefusedRenewalIsUnhealthy,
}

impl Deviation {
    /// Every switch, in the order of the catalogue.
    pub const ALL: [Self; 16] = [
        Self::BugAcceptExpiredLease,
        Self::BugIgnoreFence,
        Self::BugRenewExpiredLease,
        Self::BugReclaimKeepsEpoch,
        Self::BugClaimIgnoresGrantWorker,
        Self::BugGrantSurvivesClaim,
        Self::BugReclaimLiveLease,
        Self::FixFenceHandleCancel,
        Self::FixBlockRespectsGrant,
        Self::FixReclaimClearsAttemptTimeout,
        Self::FixResumeDelayRecordsDue,
        Self::FixCreateIndexFollowsState,
        Self::FixRenewRefusesMarkedLease,
        Self::FixListExpiredLeasesReadsScores,
        Self::FixPollEveryLaneInEachWindow,
        Self::FixRefusedRenewalIsUnhealthy,
    ];

    /// The switch's name, as a scenario and the command line spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BugAcceptExpiredLease => "bug-accept-expired-lease",
            Self::BugIgnoreFence => "bug-ignore-fence",
            Self::BugRenewExpiredLease => "bug-renew-expired-lease",
            Self::BugReclaimKeepsEpoch => "bug-reclaim-keeps-epoch",
            Self::BugClaimIgnoresGrantWorker => "bug-claim-ignores-grant-worker",
            Self::BugGrantSurvivesClaim => "bug-grant-survives-claim",
            Self::BugReclaimLiveLease => "bug-reclaim-live-lease",
            Self::FixFenceHandleCancel => "fix-fence-handle-cancel",
            Self::FixBlockRespectsGrant => "fix-block-respects-grant",
            Self::FixReclaimClearsAttemptTimeout => "fix-reclaim-clears-attempt-timeout",
            Self::FixResumeDelayRecordsDue => "fix-resume-delay-records-due",
            Self::FixCreateIndexFollowsState => "fix-create-index-follows-state",
            Self::FixRenewRefusesMarkedLease => "fix-renew-refuses-marked-lease",
            Self::FixListExpiredLeasesReadsScores => "fix-list-expired-leases-reads-scores",
            Self::FixPollEveryLaneInEachWindow => "fix-poll-every-lane-in-each-window",
            Self::FixRefusedRenewalIsUnhealthy => "fix-refused-renewal-is-unhealthy",
        }
    }

    /// The switch of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deviation| deviation.name() == name)
    }
}

/// The switches of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviations(u32);

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
