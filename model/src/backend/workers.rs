//! The worker registry beyond registration and heartbeat: marking dead and listing.

use std::collections::BTreeSet;

use ff_core::contracts::{
    ListWorkersArgs, ListWorkersResult, MARK_WORKER_DEAD_REASON_MAX_BYTES, MarkWorkerDeadArgs, MarkWorkerDeadOutcome,
    WorkerInfo,
};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::types::{LaneId, Namespace, TimestampMs, WorkerInstanceId};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Answered, Command};
use crate::number::Double;
use crate::port::Server;
use crate::store::Registration;

/// How many workers a page holds.
const DEFAULT_LIMIT: u32 = 1_000;

impl<S: Server> ModelBackend<S> {
    /// Deletes the alive key, the capability hash and the index entry, one after the other. No lease ends.
    pub(super) async fn mark_dead(&self, args: MarkWorkerDeadArgs) -> Result<MarkWorkerDeadOutcome, EngineError> {
        let invalid = |detail: String| EngineError::Validation { kind: ValidationKind::InvalidInput, detail };
        if args.reason.len() > MARK_WORKER_DEAD_REASON_MAX_BYTES {
            let got = args.reason.len();
            return Err(invalid(format!("reason: exceeds {MARK_WORKER_DEAD_REASON_MAX_BYTES} bytes (got {got})")));
        }
        if args.reason.chars().any(char::is_control) {
            return Err(invalid("reason: must not contain control characters".into()));
        }
        let (namespace, instance) = {
            let mut ids = self.server.ids();
            (ids.namespace(&args.namespace), ids.instance(&args.worker_instance_id))
        };
        let context = during("mark_worker_dead: DEL alive");
        let alive = self.count(Command::DeleteAlive(namespace, instance)).await.map_err(context)?;
        let context = during("mark_worker_dead: DEL caps");
        let capabilities = self.count(Command::DeleteCapabilities(namespace, instance)).await.map_err(context)?;
        let context = during("mark_worker_dead: SREM index");
        self.count(Command::ForgetWorker(namespace, instance)).await.map_err(context)?;
        if alive == 0 && capabilities == 0 {
            return Ok(MarkWorkerDeadOutcome::NotRegistered);
        }
        Ok(MarkWorkerDeadOutcome::Marked)
    }

    /// Instances of the index in their order, less those whose capability hash is gone. The alive key is
    /// not consulted. A full page of none but such ends the listing, as it has no last entry to go on from.
    pub(super) async fn list_registered(&self, args: ListWorkersArgs) -> Result<ListWorkersResult, EngineError> {
        let Some(namespace) = args.namespace else {
            return Err(EngineError::Unavailable {
                op: "list_workers (cross-namespace on Valkey — Phase 3 follow-up)",
            });
        };
        let number = self.server.ids().namespace(&namespace);
        let context = during("list_workers: SSCAN index");
        let mut instances: Vec<WorkerInstanceId> =
            match self.command(Command::Workers(number)).await.map_err(context)? {
                Answered::Instances(instances) => {
                    let ids = self.server.ids();
                    instances.into_iter().map(|instance| ids.instance_id(instance).clone()).collect()
                }
                other => return Err(error::unanswerable(&other)),
            };
        instances.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        if let Some(after) = &args.after {
            instances.retain(|instance| instance.as_str() > after.as_str());
        }
        let limit = args.limit.unwrap_or(DEFAULT_LIMIT) as usize;
        let page_full = instances.len() > limit;
        instances.truncate(limit);
        let mut entries = Vec::with_capacity(instances.len());
        for instance in instances {
            let command = Command::Worker(number, self.server.ids().instance(&instance));
            match self.command(command).await.map_err(during("list_workers: HGETALL caps"))? {
                Answered::Worker(Some(held)) => entries.push(self.worker_info(&namespace, instance, *held)),
                Answered::Worker(None) => {}
                other => return Err(error::unanswerable(&other)),
            }
        }
        let cursor = entries.last().filter(|_| page_full).map(|last| last.worker_instance_id.clone());
        Ok(ListWorkersResult::new(entries, cursor))
    }

    fn worker_info(&self, namespace: &Namespace, instance: WorkerInstanceId, held: Registration) -> WorkerInfo {
        let listed =
            |csv: &str| csv.split(',').filter(|token| !token.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let lanes: BTreeSet<LaneId> = listed(&held.lanes).into_iter().map(LaneId::new).collect();
        let capabilities: BTreeSet<String> = listed(&held.capabilities.join(",")).into_iter().collect();
        // A time that the script printed in scientific notation is read as the default.
        let stored = |time: TimestampMs| Double::from_integer(time.0).to_lua_string().parse().ok().map(TimestampMs);
        let registered_at = stored(held.registered_at).unwrap_or(TimestampMs(0));
        WorkerInfo::new(
            self.server.ids().worker_id(held.worker).clone(),
            instance,
            namespace.clone(),
            lanes,
            capabilities,
            stored(held.last_heartbeat).unwrap_or(registered_at),
            held.ttl_ms,
            registered_at,
        )
    }

    pub(super) async fn count(&self, command: Command) -> Result<i64, EngineError> {
        match self.command(command).await? {
            Answered::Count(count) => Ok(count),
            other => Err(error::unanswerable(&other)),
        }
    }
}
