//! The ids that a shipped worker mints: its party's own.
//!
//! The worker draws them from the process's entropy, one sequence for all parties of a run. On their way out they are
//! replaced by the ids that the native worker would mint, which depend on what they are for and on nothing else.

use ff_core::contracts::WaitpointBinding;
use ff_core::handle_codec;
use ff_core::types::{AttemptId, LeaseId, SignalId, SuspensionId, WaitpointId};

use crate::call::Call;
use crate::world::Party;

/// Replaces the ids that the worker has minted for a call.
pub(super) fn set(party: &Party, call: &mut Call) {
    match call {
        Call::ClaimExecution { args } => {
            args.lease_id = LeaseId::from_uuid(party.id(&args.execution_id, "claimed lease"));
            args.attempt_id = AttemptId::from_uuid(party.id(&args.execution_id, "attempt"));
        }
        Call::ClaimResumedExecution { args } => {
            args.lease_id = LeaseId::from_uuid(party.id(&args.execution_id, "resumed lease"));
        }
        Call::Suspend { handle, args } => {
            let Ok(decoded) = handle_codec::decode(&handle.opaque) else { return };
            let execution = decoded.payload.execution_id;
            args.suspension_id = SuspensionId::from_uuid(party.id(&execution, "suspension"));
            if let WaitpointBinding::Fresh { waitpoint_id, .. } = &mut args.waitpoints.as_mut_slice()[0] {
                *waitpoint_id = WaitpointId::from_uuid(party.id(&execution, "waitpoint"));
            }
        }
        Call::DeliverSignal { args } => {
            args.signal_id = SignalId::from_uuid(party.id(&args.execution_id, "signal"));
        }
        _ => {}
    }
}
