//! Handles: opaque tokens that carry every key part and the fence.

use ff_core::backend::{BackendTag, Handle, HandleKind};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::types::{ExecutionId, LaneId, LeaseFence, WorkerInstanceId};

use super::ModelBackend;
use crate::message::{HandleFields, NewLease};
use crate::port::Server;

/// A decoded handle: dense ids, and the lease length that renewals repeat.
pub(super) struct Opened {
    pub held: HandleFields,
    pub lease_ttl_ms: u64,
    pub payload: HandlePayload,
}

impl<S: Server> ModelBackend<S> {
    /// Decodes a handle before anything is sent; a foreign or damaged one is refused here.
    pub(super) fn open(&self, handle: &Handle) -> Result<Opened, EngineError> {
        let foreign = |detail: String| EngineError::Validation { kind: ValidationKind::HandleFromOtherBackend, detail };
        if handle.backend != BackendTag::Valkey {
            return Err(foreign(format!("handle backend {:?} presented to valkey", handle.backend)));
        }
        let decoded = handle_codec::decode(&handle.opaque)?;
        if decoded.tag != BackendTag::Valkey {
            return Err(foreign(format!("handle tag {:?} presented to valkey", decoded.tag)));
        }
        let payload = decoded.payload;
        let mut ids = self.server.ids();
        let held = HandleFields {
            execution: ids.execution(&payload.execution_id),
            attempt_index: payload.attempt_index,
            fence: Some(LeaseFence {
                lease_id: payload.lease_id.clone(),
                lease_epoch: payload.lease_epoch,
                attempt_id: payload.attempt_id.clone(),
            }),
            lane: ids.lane(&payload.lane_id),
            instance: ids.instance(&payload.worker_instance_id),
        };
        Ok(Opened { held, lease_ttl_ms: payload.lease_ttl_ms, payload })
    }
}

/// The handle of a new lease.
pub(super) fn seal(
    kind: HandleKind,
    execution_id: ExecutionId,
    lease: &NewLease,
    lease_ttl_ms: u64,
    lane_id: LaneId,
    instance: WorkerInstanceId,
) -> Handle {
    let payload = HandlePayload::new(
        execution_id,
        lease.attempt_index,
        lease.fence.attempt_id.clone(),
        lease.fence.lease_id.clone(),
        lease.fence.lease_epoch,
        lease_ttl_ms,
        lane_id,
        instance,
    );
    seal_payload(kind, &payload)
}

/// A handle of known contents.
pub(super) fn seal_payload(kind: HandleKind, payload: &HandlePayload) -> Handle {
    Handle::new(BackendTag::Valkey, kind, handle_codec::encode(BackendTag::Valkey, payload))
}
