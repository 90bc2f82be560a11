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

const _: () = assert!(Deviation::ALL.len() <= u64::BITS as usize, "the switches of a run are a word");

impl Deviation {
    /// The switch of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|deviation| deviation.name() == name)
    }
}

/// The switches of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviations(u64);

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
