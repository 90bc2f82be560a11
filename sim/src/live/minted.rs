//! The ids that a client mints by itself: read off its answer, so that the model can use the same.

use ferriskey::ErrorKind;
use ff_core::backend::Handle;
use ff_core::contracts::DeliverSignalResult;
use ff_core::engine_error::EngineError;
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily};
use ff_script::error::ScriptError;
use uuid::Uuid;

use crate::call::{Answer, Call};

/// What a lost connection said, where the error is one.
pub(super) fn lost_connection(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Contextual { source, .. } => lost_connection(source),
        EngineError::Transport { source, .. } => match source.downcast_ref::<ScriptError>()? {
            ScriptError::Valkey(said) if is_lost(said.kind()) => Some(said.to_string()),
            // A script that failed or a reply that cannot be read is an answer.
            _ => None,
        },
        _ => None,
    }
}

/// More partitions than a comparison uses.
const TRIED_PARTITIONS: usize = 300;

fn is_lost(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::IoError
            | ErrorKind::FatalSendError
            | ErrorKind::FatalReceiveError
            | ErrorKind::BusyLoadingError
            | ErrorKind::ClusterDown
            | ErrorKind::MasterDown
            | ErrorKind::AllConnectionsUnavailable
    )
}

/// The minted ids in the order in which the model mints them.
///
/// # Errors
/// When the server cannot be asked for an id that no answer carries.
pub(super) fn ids(call: &Call, answer: &Answer, reads: &mut redis::Connection) -> redis::RedisResult<Vec<Uuid>> {
    Ok(match answer {
        Answer::ClaimFromResumeGrant(Ok(Some(handle))) => {
            opened(handle).map(|payload| payload.lease_id.0).into_iter().collect()
        }
        Answer::CreateWaitpoint(Ok(pending)) => vec![pending.waitpoint_id.0],
        Answer::DeliverApprovalSignal(Ok(DeliverSignalResult::Accepted { signal_id, .. })) => vec![signal_id.0],
        // Each partition that was tried minted a pair; only the last one was kept.
        Answer::Claim(Ok(Some(handle))) => {
            let pair = opened(handle).map(|payload| [payload.lease_id.0, payload.attempt_id.0]);
            pair.into_iter().cycle().take(TRIED_PARTITIONS).flatten().collect()
        }
        Answer::IssueGrantAndClaim(Ok(outcome)) => {
            let Call::IssueGrantAndClaim { args } = call else { return Ok(Vec::new()) };
            let id = &args.execution_id;
            let partition = Partition { family: PartitionFamily::Execution, index: id.partition() };
            let core = ExecKeyContext::new(&partition, id).core();
            let attempt: Option<String> = redis::cmd("HGET").arg(core).arg("current_attempt_id").query(reads)?;
            let attempt = attempt.and_then(|text| Uuid::parse_str(&text).ok());
            [Some(outcome.lease_id.0), attempt].into_iter().flatten().collect()
        }
        _ => Vec::new(),
    })
}

fn opened(handle: &Handle) -> Option<HandlePayload> {
    handle_codec::decode(&handle.opaque).ok().map(|decoded| decoded.payload)
}
