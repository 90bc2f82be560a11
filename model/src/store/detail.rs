//! `blocking_detail`: why an execution waits, in the sentence that the scripts write.

use ff_core::contracts::SuspensionReasonCode;
use ff_core::types::TimestampMs;
use uuid::Uuid;

use crate::number::Score;
use crate::store::execution::Execution;

/// The core hash's `blocking_detail`, rendered only when somebody reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Empty.
    #[default]
    None,
    /// `delayed until …`.
    Delayed(Score),
    /// `retry backoff until …`.
    Backoff(Score),
    /// `lease expired, awaiting reclaim`.
    LeaseExpired,
    /// `lease revoked: …`.
    LeaseRevoked,
    /// `suspended: waitpoint … awaiting …`.
    Suspended(SuspensionReasonCode),
    /// `resume delay …ms after signal …`, whose name is kept in [`Reasons`](crate::store::Reasons).
    ResumeDelay(u64),
    /// `suspension escalated: timeout at …`.
    Escalated(TimestampMs),
    /// The caller's own text, kept in [`Reasons`](crate::store::Reasons).
    Caller,
    /// `… dep(s) unresolved incl …`.
    Dependencies {
        /// How many, as counted when the last one was applied.
        unresolved: i64,
        /// That one's edge.
        edge: Uuid,
    },
    /// `… dep(s) unsatisfied after replay`.
    DependenciesAfterReplay(u64),
    /// `waiting for child executions to complete`.
    Children,
    /// `resume delay …ms`, without a signal.
    OperatorResumeDelay(u64),
}

impl Execution {
    /// `blocking_detail` of the core hash, as the scripts spell it.
    pub fn blocking_detail(&self) -> String {
        let Self { core, reasons, suspension, .. } = self;
        match core.detail {
            Detail::None => String::new(),
            Detail::Delayed(until) => format!("delayed until {}", until.to_lua_string()),
            Detail::Backoff(until) => {
                let attempt = core.pending_previous_attempt_index.map_or(0, |index| index.0);
                let reason = reasons.failure.as_deref().unwrap_or_default();
                format!("retry backoff until {} (attempt {attempt} failed: {reason})", until.to_lua_string())
            }
            Detail::LeaseExpired => "lease expired, awaiting reclaim".into(),
            Detail::LeaseRevoked => {
                format!("lease revoked: {}", reasons.revoke.as_deref().unwrap_or("operator"))
            }
            Detail::Suspended(reason) => {
                let waitpoint = suspension.as_ref().map(|open| open.waitpoint.to_string()).unwrap_or_default();
                format!("suspended: waitpoint {waitpoint} awaiting {}", reason.as_wire_str())
            }
            Detail::ResumeDelay(delay_ms) => {
                let signal = reasons.resume_signal.as_deref().unwrap_or_default();
                format!("resume delay {}ms after signal {signal}", Score::count(delay_ms).to_lua_string())
            }
            Detail::Escalated(at) => format!("suspension escalated: timeout at {}", Score::at_ms(at.0).to_lua_string()),
            Detail::Caller => reasons.blocking_detail.clone().unwrap_or_default(),
            Detail::OperatorResumeDelay(delay_ms) => {
                format!("resume delay {}ms", Score::count(delay_ms).to_lua_string())
            }
            Detail::Dependencies { unresolved, edge } => format!("{unresolved} dep(s) unresolved incl {edge}"),
            Detail::DependenciesAfterReplay(unsatisfied) => format!("{unsatisfied} dep(s) unsatisfied after replay"),
            Detail::Children => "waiting for child executions to complete".into(),
        }
    }
}
