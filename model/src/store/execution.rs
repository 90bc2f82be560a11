//! What the server keeps for one execution: its core hash and the records beside it.
//!
//! Field for field the keys of `ff-script/src/flowfabric.lua`; an empty string there is `None` here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ff_core::policy::ExecutionPolicy;
use ff_core::state::{AttemptLifecycle, AttemptType, StateVector};
use ff_core::types::{
    AttemptId, AttemptIndex, FlowId, LeaseEpoch, LeaseFence, LeaseId, SignalId, SuspensionId, TimestampMs, WaitpointId,
};

use crate::intern::{ExecutionNo, InstanceNo, LaneNo, NamespaceNo, WorkerNo};
use crate::number::Score;
use crate::store::admission::Attached;
use crate::store::composite::Composite;
use crate::store::dependency::Dependencies;
use crate::store::detail::Detail;
use crate::store::index::IndexKey;
use crate::store::suspension::{Stamp, Suspension};
use crate::time::ServerTime;

/// What `create_execution` stores; afterwards tags are added, and a flow may pass another payload on.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Namespace.
    pub namespace: NamespaceNo,
    /// The lane that the execution was created on; it never changes.
    pub lane: LaneNo,
    /// Application-defined kind.
    pub kind: String,
    /// Input bytes; empty means that no payload key exists.
    pub payload: Vec<u8>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Policy, when one was given.
    pub policy: Option<ExecutionPolicy>,
    /// Sorted required capabilities; empty matches every worker.
    pub required: Vec<String>,
    /// `creator_identity`.
    pub creator: String,
    /// `partition_id`, as the caller sent it; nothing reads it to decide.
    pub partition_id: u16,
}

/// The scalar fields of the core hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The seven stored dimensions.
    pub vector: StateVector,
    /// `blocking_detail`.
    pub detail: Detail,
    /// `priority`, clamped to 0..=9000.
    pub priority: i32,
    /// `created_at`; part of the eligible score for ever.
    pub created_at: ServerTime,
    /// `total_attempt_count`: attempts ever created, and the next fresh attempt's index.
    pub total_attempt_count: u32,
    /// `current_attempt_index`.
    pub current_attempt_index: Option<AttemptIndex>,
    /// `current_attempt_id`.
    pub current_attempt_id: Option<AttemptId>,
    /// `current_lease_id`.
    pub current_lease_id: Option<LeaseId>,
    /// `current_lease_epoch`.
    pub current_lease_epoch: LeaseEpoch,
    /// `current_worker_id`.
    pub current_worker: Option<WorkerNo>,
    /// `current_worker_instance_id`.
    pub current_instance: Option<InstanceNo>,
    /// `current_lane`: as the last claimer named it.
    pub current_lane: LaneNo,
    /// `retry_count`.
    pub retry_count: u32,
    /// `replay_count`.
    pub replay_count: u32,
    /// `lease_reclaim_count`.
    pub lease_reclaim_count: u32,
    /// `lease_acquired_at`.
    pub lease_acquired_at: Option<ServerTime>,
    /// `lease_expires_at`.
    pub lease_expires_at: Option<ServerTime>,
    /// `lease_last_renewed_at`.
    pub lease_last_renewed_at: Option<ServerTime>,
    /// `lease_renewal_deadline`.
    pub lease_renewal_deadline: Option<ServerTime>,
    /// `lease_expired_at`.
    pub lease_expired_at: Option<ServerTime>,
    /// `lease_revoked_at`.
    pub lease_revoked_at: Option<ServerTime>,
    /// `delay_until`, as its text reads back.
    pub delay_until: Option<Score>,
    /// `current_suspension_id`.
    pub current_suspension_id: Option<SuspensionId>,
    /// `current_waitpoint_id`.
    pub current_waitpoint_id: Option<WaitpointId>,
    /// `pending_previous_attempt_index`.
    pub pending_previous_attempt_index: Option<AttemptIndex>,
    /// `started_at`.
    pub started_at: Option<ServerTime>,
    /// `completed_at`.
    pub completed_at: Option<ServerTime>,
    /// `last_transition_at`: the server's clock, or the caller's where a script trusts it.
    pub last_transition_at: TimestampMs,
    /// `last_mutation_at`, likewise.
    pub last_mutation_at: TimestampMs,
    /// `last_capability_mismatch_at`: stamped even though that call fails.
    pub last_capability_mismatch_at: Option<ServerTime>,
    /// `last_hmac_validation_failed_at`: stamped even though that call fails.
    pub last_hmac_validation_failed_at: Option<ServerTime>,
    /// `progress_pct`.
    pub progress_pct: Option<u8>,
    /// `progress_updated_at`.
    pub progress_updated_at: Option<ServerTime>,
    /// `flow_id`.
    pub flow: Option<FlowId>,
}

impl Core {
    /// The score of this execution in an eligible index.
    pub fn eligible_score(&self) -> Score {
        Score::eligible(self.priority, self.created_at.ms())
    }

    /// Whether the fence triple names the current lease, in all three parts.
    pub fn is_held_by(&self, fence: &LeaseFence) -> bool {
        self.current_lease_id.as_ref() == Some(&fence.lease_id)
            && self.current_lease_epoch == fence.lease_epoch
            && self.current_attempt_id.as_ref() == Some(&fence.attempt_id)
    }

    /// Clears the lease's owner and its expiry and renewal times, as most releasing paths do.
    ///
    /// `lease_acquired_at`, the epoch and the attempt stay.
    pub fn clear_lease(&mut self) {
        self.clear_owner();
        self.lease_expires_at = None;
        self.lease_last_renewed_at = None;
        self.lease_renewal_deadline = None;
    }

    /// Clears lease id, worker id and instance id only.
    pub fn clear_owner(&mut self) {
        self.current_lease_id = None;
        self.current_worker = None;
        self.current_instance = None;
    }

    /// Clears the marks that expiry and revocation leave.
    pub fn clear_marks(&mut self) {
        self.lease_expired_at = None;
        self.lease_revoked_at = None;
    }

    /// Stamps a transition at the server's time.
    pub fn stamp(&mut self, now: ServerTime) {
        self.last_transition_at = now.to_wire();
        self.last_mutation_at = now.to_wire();
    }
}

/// `ff:attempt:…:<index>`. A script that names a wrong index writes a record without identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Index in the key's name.
    pub index: AttemptIndex,
    /// `attempt_id`; none in a record that only a wrongly addressed write created.
    pub id: Option<AttemptId>,
    /// `attempt_type`.
    pub kind: Option<AttemptType>,
    /// `attempt_state`.
    pub state: AttemptLifecycle,
    /// `lease_epoch` of the lease that last drove it.
    pub lease_epoch: Option<LeaseEpoch>,
    /// `worker_instance_id` likewise.
    pub instance: Option<InstanceNo>,
    /// `previous_attempt_index` or `replayed_from_attempt_index`.
    pub previous: Option<AttemptIndex>,
    /// `ended_at`: the server's clock, or the caller's where a dependency could not be met.
    pub ended_at: Option<ServerTime>,
    /// `suspended_at`.
    pub suspended_at: Stamp,
    /// `suspension_id`: a suspension's id or the word of whoever else parked it; none where nobody wrote it.
    pub suspension_id: Option<String>,
    /// `failure_reason`; none where nobody wrote it.
    pub failure_reason: Option<String>,
    /// `failure_category`.
    pub failure_category: Option<String>,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Lease id, epoch and attempt id.
    pub fence: LeaseFence,
    /// `worker_id`.
    pub worker: WorkerNo,
    /// `worker_instance_id`.
    pub instance: InstanceNo,
}

/// `lease:current`. Nothing reads it to decide; the core hash is the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; none in a record that a renewal wrote after the key had expired.
    pub holder: Option<Holder>,
    /// `expires_at`.
    pub expires_at: ServerTime,
    /// When the key itself expires; none until the first renewal.
    pub key_expires_at: Option<ServerTime>,
}

/// `claim_grant`: one key for claims and reclaims alike, without a mark of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `worker_id`, the only identity that is compared when it is consumed.
    pub worker: WorkerNo,
    /// `worker_instance_id`.
    pub instance: InstanceNo,
    /// `lane_id`.
    pub lane: LaneNo,
    /// `grant_expires_at`, and the key's own expiry; the last millisecond still counts.
    pub expires_at: ServerTime,
}

/// Free texts of the core hash that no check reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// `failure_reason`.
    pub failure: Option<String>,
    /// `cancellation_reason`.
    pub cancellation: Option<String>,
    /// `cancelled_by`.
    pub cancelled_by: Option<String>,
    /// `blocking_detail` where the caller wrote it, or the signal that a resume delay followed.
    pub blocking_detail: Option<String>,
    /// `lease_revoke_reason`.
    pub revoke: Option<String>,
    /// `progress_message`.
    pub progress: Option<String>,
    /// `pending_retry_reason`: from a scheduled retry to the claim that starts it.
    pub pending_retry: Option<String>,
    /// The signal that `blocking_detail` names after a delayed resume.
    pub resume_signal: Option<String>,
}

/// One execution with all its records.
#[derive(Debug)]
pub struct Execution {
    /// Its number.
    pub number: ExecutionNo,
    /// Its exact id.
    pub name: Arc<str>,
    /// The partition that the id names.
    pub partition: u16,
    /// What was submitted.
    pub submission: Submission,
    /// The core hash.
    pub core: Core,
    /// Attempt records by index.
    pub attempts: Vec<Attempt>,
    /// `lease:current`.
    pub lease: Option<Lease>,
    /// `claim_grant`; may be past its expiry until the next visit.
    pub grant: Option<Grant>,
    /// `suspension:current`.
    pub suspension: Option<Suspension>,
    /// Suspend outcomes by idempotency key, with the key's expiry.
    pub suspend_done: Vec<(String, ServerTime, crate::store::SuspendDone)>,
    /// Every index that holds this execution, with its score.
    pub members: Vec<(IndexKey, Score)>,
    /// `signals`: every signal ever accepted, with its score.
    pub signals: Vec<(SignalId, Score)>,
    /// `waitpoints`: every waitpoint that a suspension used, in order of addition.
    pub waitpoints: Vec<WaitpointId>,
    /// Every waitpoint that was ever written for it; no key of its own.
    pub own_waitpoints: Vec<WaitpointId>,
    /// The keys of a composite condition; none where there are none.
    pub composite: Option<Composite>,
    /// The `result` key: the last payload that a completion carried; replay keeps it.
    pub result: Option<Vec<u8>>,
    /// Texts.
    pub reasons: Reasons,
    /// `budget_ids` and `quota_policy_id`.
    pub attached: Attached,
    /// Dependency keys.
    pub dependencies: Dependencies,
    /// Whether `all_executions` has it.
    pub listed: bool,
    /// Whether retention has deleted the keys beside its core; no key of its own.
    pub purged: bool,
}

impl Execution {
    /// The score under which an index holds this execution.
    pub fn score_in(&self, key: IndexKey) -> Option<Score> {
        self.members.iter().find(|(held, _)| *held == key).map(|(_, score)| *score)
    }

    /// The attempt record of an index.
    pub fn attempt(&self, index: AttemptIndex) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.index == index)
    }
}
