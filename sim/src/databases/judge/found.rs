//! How a backend describes an execution.

use ff_core::contracts::ExecutionInfo;
use ff_core::state::{LifecyclePhase, OwnershipState, PublicState};

/// How a backend describes an execution (`read_execution_info`); what changes with every call, such as stamps, is left
/// out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub(super) state: PublicState,
    pub(super) phase: LifecyclePhase,
    pub(super) ownership: OwnershipState,
    pub(super) attempt: u32,
}

impl Found {
    /// What a description says.
    pub fn of(info: &ExecutionInfo) -> Self {
        Self {
            state: info.public_state,
            phase: info.state_vector.lifecycle_phase,
            ownership: info.state_vector.ownership_state,
            attempt: info.current_attempt_index,
        }
    }

    pub(super) const fn is_terminal(&self) -> bool {
        matches!(self.phase, LifecyclePhase::Terminal)
    }

    pub(super) fn in_words(&self) -> String {
        let Self { state, phase, ownership, attempt } = self;
        format!("{phase:?} {ownership:?} in attempt {attempt}, {state:?}")
    }
}
