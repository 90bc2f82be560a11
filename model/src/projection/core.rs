//! The core hash: every field as its exact text (`ff-script/src/flowfabric.lua`, every `HSET` on
//! `exec_core`). An empty text is a field that is present and cleared; a missing one was never written.

use std::collections::BTreeMap;

use super::text::Fields;
use crate::intern::Interner;
use crate::spelling::word;
use crate::store::{Attached, Core, Reasons, Submission};

/// What the core hash is made of.
#[derive(Clone, Copy, Debug)]
pub struct CoreParts<'a> {
    /// The execution's exact id.
    pub name: &'a str,
    /// What was submitted.
    pub submission: &'a Submission,
    /// The scalar fields.
    pub core: &'a Core,
    /// Texts.
    pub reasons: &'a Reasons,
    /// Admission's fields.
    pub attached: &'a Attached,
    /// `blocking_detail`, rendered.
    pub blocking_detail: &'a str,
}

/// The hash.
pub fn core_fields(ids: &Interner, parts: &CoreParts<'_>) -> BTreeMap<String, String> {
    let CoreParts { name, submission, core, reasons, attached, blocking_detail } = *parts;
    let vector = &core.vector;
    let mut fields = Fields::default();
    fields
        .set("execution_id", name)
        .set("namespace", ids.namespace_id(submission.namespace))
        .set("lane_id", ids.lane_id(submission.lane))
        .set("execution_kind", &submission.kind)
        .set("partition_id", submission.partition_id)
        .set("priority", core.priority)
        .set("creator_identity", &submission.creator)
        .set("lifecycle_phase", word(vector.lifecycle_phase))
        .set("ownership_state", word(vector.ownership_state))
        .set("eligibility_state", word(vector.eligibility_state))
        .set("blocking_reason", word(vector.blocking_reason))
        .set("blocking_detail", blocking_detail)
        .set("terminal_outcome", word(vector.terminal_outcome))
        .set("attempt_state", word(vector.attempt_state))
        .set("public_state", vector.public_state)
        .set("total_attempt_count", core.total_attempt_count)
        .or_empty("current_attempt_index", core.current_attempt_index)
        .or_empty("current_attempt_id", core.current_attempt_id.as_ref())
        .or_empty("current_lease_id", core.current_lease_id.as_ref())
        .set("current_lease_epoch", core.current_lease_epoch)
        .or_empty("current_worker_id", core.current_worker.map(|number| ids.worker_id(number)))
        .or_empty("current_worker_instance_id", core.current_instance.map(|number| ids.instance_id(number)))
        .set("current_lane", ids.lane_id(core.current_lane))
        .set("retry_count", core.retry_count)
        .set("replay_count", core.replay_count)
        .set("lease_reclaim_count", core.lease_reclaim_count)
        .set("created_at", core.created_at)
        .or_empty("started_at", core.started_at)
        .or_empty("completed_at", core.completed_at)
        .set("last_transition_at", core.last_transition_at)
        .set("last_mutation_at", core.last_mutation_at)
        .or_empty("lease_acquired_at", core.lease_acquired_at)
        .or_empty("lease_expires_at", core.lease_expires_at)
        .or_empty("lease_last_renewed_at", core.lease_last_renewed_at)
        .or_empty("lease_renewal_deadline", core.lease_renewal_deadline)
        .or_empty("lease_expired_at", core.lease_expired_at)
        .or_empty("lease_revoked_at", core.lease_revoked_at)
        // Whatever clears the mark clears its reason.
        .or_empty("lease_revoke_reason", core.lease_revoked_at.and(reasons.revoke.as_ref()))
        .or_empty("delay_until", core.delay_until.map(|due| due.to_lua_string()))
        .or_empty("current_suspension_id", core.current_suspension_id.as_ref())
        .or_empty("current_waitpoint_id", core.current_waitpoint_id.as_ref())
        .or_empty("pending_retry_reason", reasons.pending_retry.as_ref())
        // Nothing ever fills these two.
        .set("pending_replay_reason", "")
        .set("pending_replay_requested_by", "")
        .or_empty("flow_id", core.flow.as_ref())
        .or_empty("pending_previous_attempt_index", core.pending_previous_attempt_index)
        .if_some("pending_replay_attempt", (core.replay_count > 0).then_some(1))
        .or_empty("progress_pct", core.progress_pct)
        .or_empty("progress_message", reasons.progress.as_ref())
        .or_empty("progress_updated_at", core.progress_updated_at)
        .if_some("last_capability_mismatch_at", core.last_capability_mismatch_at)
        .if_some("last_hmac_validation_failed_at", core.last_hmac_validation_failed_at)
        .if_some("failure_reason", reasons.failure.as_ref())
        .if_some("cancellation_reason", reasons.cancellation.as_ref())
        .if_some("cancelled_by", reasons.cancelled_by.as_ref())
        .if_some("budget_ids", attached.budget_ids.as_ref())
        .if_some("quota_policy_id", attached.quota_policy_id.as_ref())
        .if_some("required_capabilities", Some(submission.required.join(",")).filter(|required| !required.is_empty()));
    fields.done()
}
