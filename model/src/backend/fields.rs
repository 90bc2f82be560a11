//! The fields of a core hash as their exact texts (`ff-script/src/flowfabric.lua`, every `HSET` on
//! `exec_core`). An empty text is a field that is present and cleared; none is one that was never written.

use std::fmt::{Debug, Display};

use super::wire::blocking_reason_text;
use crate::intern::Interner;
use crate::message::CoreHash;

/// The text of one field.
pub(super) fn text(ids: &Interner, hash: &CoreHash, field: &str) -> Option<String> {
    let CoreHash { name, submission, core, reasons, attached, blocking_detail } = hash;
    let vector = &core.vector;
    Some(match field {
        "execution_id" => name.to_string(),
        "namespace" => ids.namespace_id(submission.namespace).to_string(),
        "lane_id" => ids.lane_id(submission.lane).to_string(),
        "execution_kind" => submission.kind.clone(),
        "partition_id" => submission.partition_id.to_string(),
        "priority" => core.priority.to_string(),
        "creator_identity" => submission.creator.clone(),
        "lifecycle_phase" => snake(vector.lifecycle_phase),
        "ownership_state" => snake(vector.ownership_state),
        "eligibility_state" => snake(vector.eligibility_state),
        "blocking_reason" => blocking_reason_text(vector.blocking_reason).to_owned(),
        "blocking_detail" => blocking_detail.clone(),
        "terminal_outcome" => snake(vector.terminal_outcome),
        "attempt_state" => snake(vector.attempt_state),
        "public_state" => snake(vector.public_state),
        "total_attempt_count" => core.total_attempt_count.to_string(),
        "current_attempt_index" => or_empty(core.current_attempt_index),
        "current_attempt_id" => or_empty(core.current_attempt_id.as_ref()),
        "current_lease_id" => or_empty(core.current_lease_id.as_ref()),
        "current_lease_epoch" => core.current_lease_epoch.to_string(),
        "current_worker_id" => or_empty(core.current_worker.map(|no| ids.worker_id(no))),
        "current_worker_instance_id" => or_empty(core.current_instance.map(|no| ids.instance_id(no))),
        "current_lane" => ids.lane_id(core.current_lane).to_string(),
        "retry_count" => core.retry_count.to_string(),
        "replay_count" => core.replay_count.to_string(),
        "lease_reclaim_count" => core.lease_reclaim_count.to_string(),
        "created_at" => core.created_at.to_string(),
        "started_at" => or_empty(core.started_at),
        "completed_at" => or_empty(core.completed_at),
        "last_transition_at" => core.last_transition_at.to_string(),
        "last_mutation_at" => core.last_mutation_at.to_string(),
        "lease_acquired_at" => or_empty(core.lease_acquired_at),
        "lease_expires_at" => or_empty(core.lease_expires_at),
        "lease_last_renewed_at" => or_empty(core.lease_last_renewed_at),
        "lease_renewal_deadline" => or_empty(core.lease_renewal_deadline),
        "lease_expired_at" => or_empty(core.lease_expired_at),
        "lease_revoked_at" => or_empty(core.lease_revoked_at),
        // Whatever clears the mark clears its reason.
        "lease_revoke_reason" => or_empty(core.lease_revoked_at.and(reasons.revoke.as_ref())),
        "delay_until" => or_empty(core.delay_until.map(|due| due.to_lua_string())),
        "current_suspension_id" => or_empty(core.current_suspension_id.as_ref()),
        "current_waitpoint_id" => or_empty(core.current_waitpoint_id.as_ref()),
        "pending_retry_reason" => or_empty(reasons.pending_retry.as_ref()),
        // Nothing ever fills these two, nor joins an execution to a flow here.
        "pending_replay_reason" | "pending_replay_requested_by" | "flow_id" => String::new(),
        "pending_previous_attempt_index" => or_empty(core.pending_previous_attempt_index),
        "pending_replay_attempt" => return (core.replay_count > 0).then(|| "1".into()),
        "progress_pct" => or_empty(core.progress_pct),
        "progress_message" => or_empty(reasons.progress.as_ref()),
        "progress_updated_at" => or_empty(core.progress_updated_at),
        "required_capabilities" if submission.required.is_empty() => return None,
        "required_capabilities" => submission.required.join(","),
        "failure_reason" => return reasons.failure.clone(),
        "cancellation_reason" => return reasons.cancellation.clone(),
        "cancelled_by" => return reasons.cancelled_by.clone(),
        "last_capability_mismatch_at" => return core.last_capability_mismatch_at.map(|at| at.to_string()),
        "last_hmac_validation_failed_at" => return core.last_hmac_validation_failed_at.map(|at| at.to_string()),
        "budget_ids" => return attached.budget_ids.clone(),
        "quota_policy_id" => return attached.quota_policy_id.clone(),
        _ => return None,
    })
}

fn or_empty(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// An enum variant as its wire text: the snake case of its name.
fn snake(variant: impl Debug) -> String {
    let name = format!("{variant:?}");
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
