//! The shipped engine's scanners by kind: names, intervals, and the partitions that each loops over.

use ff_core::partition::{PartitionConfig, PartitionFamily};

/// One kind of scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum ScannerKind {
    LeaseExpiry,
    DelayedPromoter,
    AttemptTimeout,
    ExecutionDeadline,
    SuspensionTimeout,
    PendingWaitpointExpiry,
    Unblock,
    IndexReconciler,
    QuotaReconciler,
    BudgetReconciler,
    BudgetReset,
    DependencyReconciler,
    CancelReconciler,
    EdgeCancelDispatcher,
    EdgeCancelReconciler,
    FlowProjector,
    RetentionTrimmer,
}

impl ScannerKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::LeaseExpiry,
        Self::DelayedPromoter,
        Self::AttemptTimeout,
        Self::ExecutionDeadline,
        Self::SuspensionTimeout,
        Self::PendingWaitpointExpiry,
        Self::Unblock,
        Self::IndexReconciler,
        Self::QuotaReconciler,
        Self::BudgetReconciler,
        Self::BudgetReset,
        Self::DependencyReconciler,
        Self::CancelReconciler,
        Self::EdgeCancelDispatcher,
        Self::EdgeCancelReconciler,
        Self::FlowProjector,
        Self::RetentionTrimmer,
    ];

    /// The shipped scanner's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeaseExpiry => "lease_expiry",
            Self::DelayedPromoter => "delayed_promoter",
            Self::AttemptTimeout => "attempt_timeout",
            Self::ExecutionDeadline => "execution_deadline",
            Self::SuspensionTimeout => "suspension_timeout",
            Self::PendingWaitpointExpiry => "pending_wp_expiry",
            Self::Unblock => "unblock",
            Self::IndexReconciler => "index_reconciler",
            Self::QuotaReconciler => "quota_reconciler",
            Self::BudgetReconciler => "budget_reconciler",
            Self::BudgetReset => "budget_reset",
            Self::DependencyReconciler => "dependency_reconciler",
            Self::CancelReconciler => "cancel_reconciler",
            Self::EdgeCancelDispatcher => "edge_cancel_dispatcher",
            Self::EdgeCancelReconciler => "edge_cancel_reconciler",
            Self::FlowProjector => "flow_projector",
            Self::RetentionTrimmer => "retention_trimmer",
        }
    }

    /// The scanner of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// From the start of one pass to the start of the next, as shipped (`ff-engine/src/lib.rs`, `EngineConfig`).
    pub const fn interval_ms(self) -> u64 {
        match self {
            Self::LeaseExpiry => 1_500,
            Self::DelayedPromoter => 750,
            Self::EdgeCancelDispatcher => 1_000,
            Self::AttemptTimeout | Self::SuspensionTimeout => 2_000,
            Self::ExecutionDeadline | Self::PendingWaitpointExpiry | Self::Unblock => 5_000,
            Self::EdgeCancelReconciler => 10_000,
            Self::BudgetReset | Self::DependencyReconciler | Self::CancelReconciler | Self::FlowProjector => 15_000,
            Self::QuotaReconciler | Self::BudgetReconciler => 30_000,
            Self::IndexReconciler => 45_000,
            Self::RetentionTrimmer => 60_000,
        }
    }

    /// Whose partitions it loops over.
    pub const fn family(self) -> PartitionFamily {
        match self {
            Self::QuotaReconciler => PartitionFamily::Quota,
            Self::BudgetReconciler | Self::BudgetReset => PartitionFamily::Budget,
            Self::CancelReconciler | Self::EdgeCancelDispatcher | Self::EdgeCancelReconciler | Self::FlowProjector => {
                PartitionFamily::Flow
            }
            _ => PartitionFamily::Execution,
        }
    }

    /// How many partitions that are.
    pub const fn partitions(self, of: &PartitionConfig) -> u16 {
        match self.family() {
            PartitionFamily::Quota => of.num_quota_partitions,
            PartitionFamily::Budget => of.num_budget_partitions,
            _ => of.num_flow_partitions,
        }
    }
}
