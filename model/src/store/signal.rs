//! Signals: what `ff:signal:…` keys and the waitpoints' streams hold.

use ff_core::types::{SignalId, TimestampMs, WaitpointId};

use crate::intern::ExecutionNo;
use crate::time::ServerTime;

/// `ff:signal:<tag>:<id>` with its payload key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRecord {
    /// `target_execution_id`.
    pub execution: ExecutionNo,
    /// `target_waitpoint_id` and `matched_waitpoint_id`.
    pub waitpoint: WaitpointId,
    /// `target_scope`.
    pub scope: String,
    /// `signal_name`.
    pub name: String,
    /// `signal_category`.
    pub category: String,
    /// `source_type`.
    pub source_type: String,
    /// `source_identity`.
    pub source_identity: String,
    /// `correlation_id`.
    pub correlation_id: String,
    /// `idempotency_key`.
    pub idempotency_key: String,
    /// `created_at`: the caller's, or the server's where the caller gave none.
    pub created_at: TimestampMs,
    /// `accepted_at`.
    pub accepted_at: ServerTime,
    /// `payload_encoding`.
    pub payload_encoding: String,
    /// `observed_effect`; absent only where the script failed after recording the signal.
    pub effect: Option<&'static str>,
    /// `:payload`; an empty one is not written, and does not replace an earlier one of the same id.
    pub payload: Option<Vec<u8>>,
}

/// One entry of `ff:wp:<tag>:<id>:signals`; its `matched` field is always 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `signal_id`.
    pub signal: SignalId,
    /// `signal_name`.
    pub name: String,
    /// `signal_category`.
    pub category: String,
    /// `source_type`.
    pub source_type: String,
    /// `source_identity`.
    pub source_identity: String,
    /// `accepted_at`.
    pub accepted_at: ServerTime,
}
