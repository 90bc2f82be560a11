//! What the replies so far have promised about one execution; bounded, whatever happens to it.

use ff_core::types::{AttemptIndex, LeaseFence, LeaseId};

use super::catalogue::Set;
use crate::intern::{InstanceNo, LaneNo, WorkerNo};
use crate::message::GrantKind;
use crate::time::ServerTime;

/// The last grant that was issued.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub kind: GrantKind,
    pub worker: WorkerNo,
    pub instance: InstanceNo,
    pub lane: LaneNo,
    pub expires_at: ServerTime,
    pub uses: u32,
    /// A grant told to expire at once is answered but never stored.
    pub stored: bool,
}

/// The last lease that somebody was given.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub fence: LeaseFence,
    pub expires_at: ServerTime,
    /// Why nobody holds it any more, as a case of S04.
    pub ended: Option<&'static str>,
}

/// One execution's promises.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub holder: Option<Holder>,
    pub revoked: Option<LeaseId>,
    pub grant: Option<Issued>,
    pub retries: u32,
    /// The attempt that was current when the timeout entry was written.
    pub timeout_attempt: Option<AttemptIndex>,
    /// A digest of the last successful completion's payload; none when it gave none.
    pub success: Option<u64>,
    /// State violations already reported and still standing.
    pub standing: Set,
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
