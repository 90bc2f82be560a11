//! Reads for operators and engine, the index reconciler, what the backend says of itself, and the one
//! write that only tests of the real system make.

use ff_core::backend::ScannerFilter;
use ff_core::capability::{BackendIdentity, Capabilities, Supports, Version};
use ff_core::contracts::{ExecutionInfo, ListExecutionsPage, ListLanesPage};
use ff_core::engine_backend::{EngineBackend, ReconcileCounts, validate_tag_key};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::state::{EligibilityState, LifecyclePhase, OwnershipState};
use ff_core::types::{ExecutionId, LaneId};

use super::claiming::partition_of;
use super::error::{self, during};
use super::{ModelBackend, fields};
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::{Answered, Command, CoreHash, Place};
use crate::port::Server;
use crate::store::{Core, IndexKey};

/// How many executions a page holds at most.
const MAX_EXECUTIONS: usize = 1_000;

impl<S: Server> ModelBackend<S> {
    /// Writes `budget_ids` (comma separated) and `quota_policy_id` into an execution's core hash, for the
    /// scheduler to read. No production code of 0.15.0 does; tests of the real system use a raw `HSET`.
    /// None leaves a field as it is, and an execution that does not exist stays so.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn attach_admission(
        &self,
        id: &ExecutionId,
        budget_ids: Option<&str>,
        quota_policy_id: Option<&str>,
    ) -> Result<(), EngineError> {
        let command = Command::Attach {
            execution: self.number(id),
            budget_ids: budget_ids.map(str::to_owned),
            quota_policy_id: quota_policy_id.map(str::to_owned),
        };
        self.command(command).await.map(|_| ())
    }

    /// The whole core hash where a client looks for it.
    pub(super) async fn core_hash(&self, place: Place) -> Result<Option<Box<CoreHash>>, EngineError> {
        match self.command(Command::CoreHash(place)).await? {
            Answered::Core(hash) => Ok(hash),
            other => Err(error::unanswerable(&other)),
        }
    }

    /// One text, if there is one.
    pub(crate) async fn text(&self, command: Command) -> Result<Option<String>, EngineError> {
        match self.command(command).await? {
            Answered::Text(text) => Ok(text),
            other => Err(error::unanswerable(&other)),
        }
    }

    async fn field(&self, id: &ExecutionId, field: &str) -> Result<Option<String>, EngineError> {
        let hash = self.core_hash(self.place(partition_of(id), id)).await?;
        Ok(hash.and_then(|hash| fields::text(&self.server.ids(), &hash, field)))
    }

    pub(super) async fn info(&self, id: &ExecutionId) -> Result<Option<ExecutionInfo>, EngineError> {
        let context = during("read_execution_info: HGETALL exec_core");
        let Some(hash) = self.core_hash(self.place(partition_of(id), id)).await.map_err(context)? else {
            return Ok(None);
        };
        let ids = self.server.ids();
        let text = |field: &str| fields::text(&ids, &hash, field).unwrap_or_default();
        let filled = |field: &str| Some(text(field)).filter(|text| !text.is_empty());
        Ok(Some(ExecutionInfo {
            execution_id: id.clone(),
            namespace: text("namespace"),
            lane_id: text("lane_id"),
            priority: hash.core.priority,
            execution_kind: text("execution_kind"),
            state_vector: hash.core.vector.clone(),
            public_state: hash.core.vector.public_state,
            created_at: text("created_at"),
            started_at: filled("started_at"),
            completed_at: filled("completed_at"),
            current_attempt_index: hash.core.current_attempt_index.map_or(0, |index| index.0),
            flow_id: filled("flow_id"),
            blocking_detail: hash.blocking_detail.clone(),
        }))
    }

    /// Named fields as texts; the partition is the caller's word. Every name is answered, and a missing
    /// execution is not told from one without those fields.
    #[allow(clippy::disallowed_types)]
    pub(super) async fn core_fields(
        &self,
        partition: Partition,
        id: &ExecutionId,
        names: &[&str],
    ) -> Result<std::collections::HashMap<String, Option<String>>, EngineError> {
        if names.is_empty() {
            return Ok(std::collections::HashMap::new());
        }
        let hash = self.core_hash(self.place(partition, id)).await?;
        let ids = self.server.ids();
        let text = |name: &str| hash.as_deref().and_then(|hash| fields::text(&ids, hash, name));
        Ok(names.iter().map(|name| ((*name).to_owned(), text(name))).collect())
    }

    pub(super) async fn tag(&self, id: &ExecutionId, key: &str) -> Result<Option<String>, EngineError> {
        validate_tag_key(key)?;
        let command = Command::Tag(self.number(id), key.to_owned());
        self.text(command).await.map_err(during("get_execution_tag: HGET :tags"))
    }

    pub(crate) async fn namespace(&self, id: &ExecutionId) -> Result<Option<String>, EngineError> {
        self.field(id, "namespace").await.map_err(during("get_execution_namespace: HGET :core namespace"))
    }

    /// Lanes that the deployment was seeded with; no function adds one.
    pub(super) async fn lanes(&self, cursor: Option<LaneId>, limit: usize) -> Result<ListLanesPage, EngineError> {
        if limit == 0 {
            return Ok(ListLanesPage::new(Vec::new(), None));
        }
        let context = during("list_lanes: SMEMBERS ff:idx:lanes");
        let names = match self.command(Command::Lanes).await.map_err(context)? {
            Answered::Texts(names) => names,
            other => return Err(error::unanswerable(&other)),
        };
        let mut lanes = Vec::with_capacity(names.len());
        for name in names {
            let lane = LaneId::try_new(name.clone()).map_err(|refused| {
                corrupt(format!(
                    "list_lanes: ff:idx:lanes: member '{name}' is not a valid LaneId (key corruption?): {refused:?}"
                ))
            })?;
            lanes.push(lane);
        }
        lanes.sort();
        let start = cursor.map_or(0, |cursor| lanes.partition_point(|lane| *lane <= cursor));
        let end = start.saturating_add(limit).min(lanes.len());
        let page = lanes[start..end].to_vec();
        let next = page.last().filter(|_| end < lanes.len()).cloned();
        Ok(ListLanesPage::new(page, next))
    }

    pub(super) async fn executions_of(
        &self,
        key: &PartitionKey,
        cursor: Option<&ExecutionId>,
        limit: usize,
    ) -> Result<ListExecutionsPage, EngineError> {
        if limit == 0 {
            return Ok(ListExecutionsPage::new(Vec::new(), None));
        }
        let partition = key.parse().map_err(|refused| EngineError::Validation {
            kind: ValidationKind::InvalidInput,
            detail: format!("list_executions: partition: '{key}' is not a valid PartitionKey: {refused}"),
        })?;
        let context = during("list_executions: SMEMBERS all_executions + sort/filter");
        let members = self.all_executions(partition).await.map_err(context)?;
        let mut ids: Vec<ExecutionId> = {
            let interner = self.server.ids();
            members.into_iter().map(|number| interner.execution_id(number).clone()).collect()
        };
        ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        if let Some(cursor) = cursor {
            ids.retain(|id| id.as_str() > cursor.as_str());
        }
        let limit = limit.min(MAX_EXECUTIONS);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).cloned();
        Ok(ListExecutionsPage::new(ids, next))
    }

    async fn all_executions(&self, partition: Partition) -> Result<Vec<ExecutionNo>, EngineError> {
        // Budgets and quotas have a tag of their own, under which no execution is listed.
        if matches!(partition.family, PartitionFamily::Budget | PartitionFamily::Quota) {
            return Ok(Vec::new());
        }
        match self.command(Command::AllExecutions(partition.index)).await? {
            Answered::Executions(members) => Ok(members),
            other => Err(error::unanswerable(&other)),
        }
    }

    /// Counts executions that are missing from the index that their state names; repairs nothing.
    ///
    /// The lanes are the caller's and unused: each execution's own lane decides.
    pub(super) async fn reconcile_executions(
        &self,
        partition: Partition,
        filter: &ScannerFilter,
    ) -> Result<ReconcileCounts, EngineError> {
        let mut counts = ReconcileCounts::default();
        let Ok(members) = self.all_executions(partition).await else {
            return Ok(ReconcileCounts { processed: 0, errors: 1 });
        };
        for execution in members {
            let id = self.server.ids().execution_id(execution).clone();
            if self.is_filtered_out(filter, &id).await {
                continue;
            }
            match self.is_indexed(Place { execution, partition: partition.index }).await {
                Ok(true) => {}
                Ok(false) => counts.processed += 1,
                Err(_) => counts.errors += 1,
            }
        }
        Ok(counts)
    }

    /// `scanner_skip_candidate`: what cannot be read does not pass.
    pub(super) async fn is_filtered_out(&self, filter: &ScannerFilter, id: &ExecutionId) -> bool {
        if let Some(wanted) = &filter.namespace {
            match self.get_execution_namespace(id).await {
                Ok(Some(namespace)) if namespace == wanted.as_str() => {}
                _ => return true,
            }
        }
        if let Some((key, wanted)) = &filter.instance_tag {
            match self.get_execution_tag(id, key).await {
                Ok(Some(value)) if value == *wanted => {}
                _ => return true,
            }
        }
        false
    }

    async fn is_indexed(&self, place: Place) -> Result<bool, EngineError> {
        let Some(hash) = self.core_hash(place).await? else { return Ok(false) };
        let Some(key) = expected_index(&hash.core, hash.submission.lane) else { return Ok(true) };
        Ok(self.text(Command::Score { place, key }).await?.is_some())
    }

    /// What the shipped backend claims to support; the scheduler's call only where one is installed.
    pub(super) fn supported(&self) -> Capabilities {
        let mut supports = Supports::none();
        supports.cancel_execution = true;
        supports.change_priority = true;
        supports.replay_execution = true;
        supports.revoke_lease = true;
        supports.read_execution_state = true;
        supports.read_execution_info = true;
        supports.get_execution_result = true;
        supports.budget_admin = true;
        supports.quota_admin = true;
        supports.rotate_waitpoint_hmac_secret_all = true;
        supports.seed_waitpoint_hmac_secret = true;
        supports.list_pending_waitpoints = true;
        supports.cancel_flow_header = true;
        supports.cancel_flow_wait_timeout = true;
        supports.cancel_flow_wait_indefinite = true;
        supports.ack_cancel_member = true;
        supports.claim_for_worker = self.scheduler.is_some();
        supports.issue_reclaim_grant = true;
        supports.register_worker = true;
        supports.heartbeat_worker = true;
        supports.mark_worker_dead = true;
        supports.list_expired_leases = true;
        supports.list_workers = true;
        supports.release_admission = true;
        supports.read_quota_policy_limits = true;
        supports.block_execution_for_admission = true;
        supports.read_budget_usage_and_limits = true;
        supports.prepare = true;
        supports.subscribe_lease_history = true;
        supports.subscribe_completion = true;
        supports.subscribe_signal_delivery = true;
        supports.stream_durable_summary = true;
        supports.stream_best_effort_live = true;
        Capabilities::new(BackendIdentity::new("valkey", Version::new(0, 11, 0), "E-shipped"), supports)
    }
}

fn corrupt(detail: String) -> EngineError {
    EngineError::Validation { kind: ValidationKind::Corruption, detail }
}

/// `check_execution_index`: none where the state names no index, which counts as indexed.
fn expected_index(core: &Core, lane: LaneNo) -> Option<IndexKey> {
    let vector = &core.vector;
    match vector.lifecycle_phase {
        LifecyclePhase::Active => (vector.ownership_state == OwnershipState::Leased).then_some(IndexKey::Active(lane)),
        LifecyclePhase::Runnable => match vector.eligibility_state {
            EligibilityState::EligibleNow => Some(IndexKey::Eligible(lane)),
            EligibilityState::NotEligibleUntilTime => Some(IndexKey::Delayed(lane)),
            blocked => IndexKey::blocked_by(blocked, lane),
        },
        LifecyclePhase::Suspended => Some(IndexKey::Suspended(lane)),
        LifecyclePhase::Terminal => Some(IndexKey::Terminal(lane)),
        LifecyclePhase::Submitted => None,
    }
}
