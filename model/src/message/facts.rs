//! What a function call says of itself, in one place: whose lease it writes under, whose grant it takes, whether it
//! asks for a new lease.
//!
//! The one match has no wildcard, so that a new function cannot be added without saying what it is.

use ff_core::types::{AttemptIndex, LeaseEpoch, LeaseFence};

use super::{HandleFields, Script, Taker};
use crate::intern::ExecutionNo;

/// Which call issued a grant; the server itself does not keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// `ff_issue_claim_grant`.
    Claim,
    /// `ff_issue_reclaim_grant`.
    Reclaim,
}

impl GrantKind {
    /// The kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Reclaim => "reclaim",
        }
    }
}

/// The lease that a function call is made under, as its caller names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderLease<'a> {
    /// The attempt that the lease drives.
    pub attempt: AttemptIndex,
    /// The lease's epoch.
    pub epoch: LeaseEpoch,
    /// The whole fence, where the call is a write that the lease has to allow.
    pub fence: Option<&'a LeaseFence>,
}

/// A lease that a function call asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewLeaseFor<'a> {
    /// Who asks, and under which names.
    pub taker: &'a Taker,
    /// The kind of grant that has to be there and is used up; none where the call brings its own.
    pub consumes: Option<GrantKind>,
    /// Whether an attempt begins with the lease; a resumed claim continues one.
    pub begins_attempt: bool,
}

/// What a function call says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The execution that it is about.
    pub execution: Option<ExecutionNo>,
    /// The lease that it is made under.
    pub under: Option<UnderLease<'a>>,
    /// The lease that it asks for.
    pub takes: Option<NewLeaseFor<'a>>,
}

impl<'a> Facts<'a> {
    const fn about(execution: ExecutionNo) -> Self {
        Self { execution: Some(execution), under: None, takes: None }
    }

    /// A write that the holder of a lease makes.
    fn held(held: &'a HandleFields) -> Self {
        let under = held.fence.as_ref().map(|fence| UnderLease {
            attempt: held.attempt_index,
            epoch: fence.lease_epoch,
            fence: Some(fence),
        });
        Self { execution: Some(held.execution), under, takes: None }
    }

    const fn taken(taker: &'a Taker, consumes: Option<GrantKind>, begins_attempt: bool) -> Self {
        let takes = NewLeaseFor { taker, consumes, begins_attempt };
        Self { execution: Some(taker.execution), under: None, takes: Some(takes) }
    }
}

impl Script {
    /// What the call says of itself.
    pub fn facts(&self) -> Facts<'_> {
        match self {
            Self::Create(args) => Facts::about(args.execution),
            Self::IssueClaimGrant(args) | Self::IssueReclaimGrant(args) => Facts::about(args.place.execution),
            Self::Claim(args) => Facts::taken(&args.taker, Some(GrantKind::Claim), true),
            Self::ClaimResumed(args) => Facts::taken(&args.taker, Some(GrantKind::Claim), false),
            Self::Reclaim(args) => Facts::taken(&args.taker, Some(GrantKind::Reclaim), true),
            Self::IssueGrantAndClaim(args) => Facts::taken(&args.taker, None, true),
            Self::Renew { held, .. }
            | Self::Complete { held, .. }
            | Self::Fail { held, .. }
            | Self::Delay { held, .. }
            | Self::Progress { held, .. }
            | Self::WaitChildren(held) => Facts::held(held),
            Self::Suspend(args) => Facts::held(&args.held),
            Self::Cancel(args) => {
                let under = args.lease_epoch.filter(|_| args.lease_id.is_some()).map(|epoch| UnderLease {
                    attempt: args.attempt_index,
                    epoch,
                    fence: args.fence.as_ref(),
                });
                Facts { execution: Some(args.execution), under, takes: None }
            }
            Self::Signal(args) => Facts::about(args.execution),
            Self::MarkExpired(place)
            | Self::Promote { place, .. }
            | Self::ExpireExecution { place, .. }
            | Self::ExpireSuspension { place, .. }
            | Self::Block { place, .. }
            | Self::Unblock { place, .. }
            | Self::CloseWaitpoint { place, .. } => Facts::about(place.execution),
            Self::Revoke { execution, .. }
            | Self::ChangePriority { execution, .. }
            | Self::Replay { execution, .. }
            | Self::ReleaseBudget { execution, .. }
            | Self::ReleaseAdmission { execution, .. }
            | Self::SetTags { execution, .. }
            | Self::Resume { execution, .. } => Facts::about(*execution),
            Self::CheckAdmission(args) => Facts::about(args.execution),
            // Creating a waitpoint compares no lease, as shipped.
            Self::CreateWaitpoint(args) => Facts::about(args.execution),
            Self::RecordSpend(args) => Facts { execution: args.execution, ..Facts::default() },
            Self::Flow(script) => Facts { execution: script.execution(), ..Facts::default() },
            Self::Register { .. }
            | Self::Heartbeat { .. }
            | Self::CreateBudget(_)
            | Self::ReportUsage(_)
            | Self::ResetBudget { .. }
            | Self::CreateQuotaPolicy(_)
            | Self::RotateSecret(_) => Facts::default(),
        }
    }

    /// The execution that the call is about.
    pub fn execution(&self) -> Option<ExecutionNo> {
        self.facts().execution
    }
}
