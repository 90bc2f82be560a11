//! Arguments of the functions around suspensions, waitpoints, signals and secrets, and what their reads give.

use std::sync::Arc;

use ff_core::contracts::{SuspensionReasonCode, SuspensionRequester};
use ff_core::types::{AttemptIndex, SignalId, SuspensionId, TimestampMs, WaitpointId};

use super::HandleFields;
use crate::intern::{ExecutionNo, LaneNo};
use crate::store::{Terms, WaitpointState};
use crate::time::ServerTime;

/// `ff_suspend_execution`.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// What the handle says.
    pub held: HandleFields,
    /// New suspension id, minted by the caller.
    pub suspension: SuspensionId,
    /// The first waitpoint: new, or pending where [`Self::key`] is none.
    pub waitpoint: WaitpointId,
    /// The new waitpoint's key; none uses a pending waitpoint with the key that it has.
    pub key: Option<String>,
    /// The other waitpoints, all new, with their keys.
    pub extras: Vec<(WaitpointId, String)>,
    /// What it waits for, and what its timeout does.
    pub terms: Arc<Terms>,
    /// Why.
    pub reason: SuspensionReasonCode,
    /// Who asked.
    pub requested_by: SuspensionRequester,
    /// Absolute timeout by the caller's clock.
    pub timeout_at: Option<TimestampMs>,
    /// `continuation_metadata_pointer`.
    pub continuation: Option<String>,
    /// Deduplication key.
    pub idempotency_key: Option<String>,
    /// How long the outcome is remembered.
    pub dedup_ttl_ms: u64,
}

/// `ff_deliver_signal`.
#[derive(Clone, Debug)]
pub struct Signal {
    /// The execution.
    pub execution: ExecutionNo,
    /// Lane from the pre-read.
    pub lane: LaneNo,
    /// Target.
    pub waitpoint: WaitpointId,
    /// New signal id, minted by the caller.
    pub signal: SignalId,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// What kind of source sent it.
    pub source_type: String,
    /// Which source sent it.
    pub source_identity: String,
    /// Its payload; empty writes none.
    pub payload: Vec<u8>,
    /// How the payload is encoded.
    pub payload_encoding: String,
    /// Correlation id; empty for none.
    pub correlation_id: String,
    /// Target scope; stored only.
    pub scope: String,
    /// When the caller created it, by the caller's clock.
    pub created_at: Option<TimestampMs>,
    /// Proof.
    pub token: String,
    /// Deduplication key.
    pub idempotency_key: Option<String>,
    /// How long the key is remembered.
    pub dedup_ttl_ms: u64,
    /// Delay between satisfaction and eligibility.
    pub resume_delay_ms: u64,
    /// Cap on signals of the execution.
    pub max_signals: u64,
    /// About how many entries the waitpoint's stream keeps.
    pub stream_maxlen: u64,
}

/// `ff_create_pending_waitpoint`.
#[derive(Clone, Debug)]
pub struct CreateWaitpoint {
    /// The execution.
    pub execution: ExecutionNo,
    /// The attempt that the handle names.
    pub attempt_index: AttemptIndex,
    /// New waitpoint id, minted by the client library.
    pub waitpoint: WaitpointId,
    /// Its key.
    pub key: String,
    /// When it lapses, by the client's clock.
    pub expires_at: TimestampMs,
}

/// `ff_rotate_waitpoint_hmac_secret`.
#[derive(Clone, Debug)]
pub struct RotateSecret {
    /// The partition whose secrets change.
    pub partition: u16,
    /// The key id that mints from now on.
    pub kid: String,
    /// Its secret, hex.
    pub secret_hex: String,
    /// How long tokens of the key id before it still validate.
    pub grace_ms: u64,
}

/// What `HGETALL suspension:current` gives an observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspensionView {
    /// `attempt_index`.
    pub attempt_index: AttemptIndex,
    /// `close_reason`.
    pub close_reason: &'static str,
    /// `waitpoint_id`.
    pub waitpoint: WaitpointId,
    /// `all_satisfier_signals`.
    pub satisfiers: Vec<SignalId>,
}

/// What a list of waitpoints reads of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitpointView {
    /// `state`.
    pub state: WaitpointState,
    /// `waitpoint_key`.
    pub key: String,
    /// `waitpoint_token`.
    pub token: String,
    /// `created_at`.
    pub created_at: ServerTime,
    /// `activated_at`.
    pub activated_at: Option<ServerTime>,
    /// `expires_at`.
    pub expires_at: Option<TimestampMs>,
    /// `total_matchers` of its condition.
    pub total_matchers: usize,
}
