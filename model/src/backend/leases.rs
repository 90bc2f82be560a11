//! Keeping, taking and listing leases.

use ff_core::backend::{Handle, LeaseRenewal};
use ff_core::contracts::{
    ExpiredLeaseInfo, ExpiredLeasesCursor, HeartbeatWorkerArgs, HeartbeatWorkerOutcome, ListExpiredLeasesArgs,
    ListExpiredLeasesResult, RegisterWorkerArgs, RegisterWorkerOutcome, RevokeLeaseArgs, RevokeLeaseResult,
};
use ff_core::engine_error::EngineError;
use ff_core::types::{AttemptIndex, LaneId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{Done, Message, Reply, Script};
use crate::number::Score;
use crate::port::Server;
use crate::store::IndexKey;

/// How long `lease:current` outlives a lease renewed by handle.
const HANDLE_GRACE_MS: u64 = 5_000;
const EXPIRED_DEFAULT_LIMIT: u32 = 1_000;
const EXPIRED_MAX_LIMIT: u32 = 10_000;
const EXPIRED_MAX_PARTITIONS: u32 = 32;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn renew_handle(&self, handle: &Handle) -> Result<LeaseRenewal, EngineError> {
        let opened = self.open(handle)?;
        let epoch = opened.payload.lease_epoch.0;
        let script = Script::Renew { held: opened.held, ttl_ms: opened.lease_ttl_ms, grace_ms: HANDLE_GRACE_MS };
        match self.run_typed(script).await.map_err(during("renew: FCALL ff_renew_lease"))? {
            Done::Renewed(expires_at) => Ok(LeaseRenewal::new(expires_at.ms().max(0).unsigned_abs(), epoch)),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn note_progress(
        &self,
        handle: &Handle,
        percent: Option<u8>,
        message: Option<String>,
    ) -> Result<(), EngineError> {
        let held = self.open(handle)?.held;
        // The client sends 0 for no percentage, which overwrites the last one.
        let percent = Some(percent.unwrap_or(0));
        let script = Script::Progress { held, percent, message };
        self.run_typed(script).await.map_err(during("progress: FCALL ff_update_progress")).map(|_| ())
    }

    /// Without an instance id the current holder's is read first; none there ends the call at once.
    pub(super) async fn revoke(&self, args: RevokeLeaseArgs) -> Result<RevokeLeaseResult, EngineError> {
        let execution = self.number(&args.execution_id);
        let instance = if args.worker_instance_id.as_str().is_empty() {
            let context = during("revoke_lease: HGET current_worker_instance_id");
            let view = self.core(&args.execution_id).await.map_err(context)?;
            match view.and_then(|view| view.instance) {
                Some(instance) => instance,
                None => {
                    return Ok(RevokeLeaseResult::AlreadySatisfied { reason: "no_active_lease".into() });
                }
            }
        } else {
            self.server.ids().instance(&args.worker_instance_id)
        };
        let script = Script::Revoke { execution, instance, expected: args.expected_lease_id, reason: args.reason };
        match self.run_opaque(script).await.map_err(during("revoke_lease: FCALL ff_revoke_lease"))? {
            Done::Revoked(lease_id, epoch) => Ok(RevokeLeaseResult::Revoked {
                lease_id: lease_id.map(|id| id.to_string()).unwrap_or_default(),
                lease_epoch: epoch.to_string(),
            }),
            Done::AlreadySatisfied(reason) => Ok(RevokeLeaseResult::AlreadySatisfied { reason: reason.into() }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn register(&self, args: RegisterWorkerArgs) -> Result<RegisterWorkerOutcome, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            Script::Register {
                namespace: ids.namespace(&args.namespace),
                worker: ids.worker(&args.worker_id),
                instance: ids.instance(&args.worker_instance_id),
                lanes: args.lanes.iter().map(LaneId::as_str).collect::<Vec<_>>().join(","),
                capabilities: args.capabilities,
                ttl_ms: args.liveness_ttl_ms,
                now: args.now,
            }
        };
        match self.run_opaque(script).await.map_err(during("register_worker: FCALL ff_register_worker"))? {
            Done::Ok("registered") => Ok(RegisterWorkerOutcome::Registered),
            Done::Ok(_) => Ok(RegisterWorkerOutcome::Refreshed),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn heartbeat(&self, args: HeartbeatWorkerArgs) -> Result<HeartbeatWorkerOutcome, EngineError> {
        let script = {
            let mut ids = self.server.ids();
            Script::Heartbeat {
                namespace: ids.namespace(&args.namespace),
                instance: ids.instance(&args.worker_instance_id),
                now: args.now,
            }
        };
        match self.run_opaque(script).await.map_err(during("heartbeat_worker: FCALL ff_heartbeat_worker"))? {
            Done::Alive(ttl_ms) => {
                let next = args.now.0.saturating_add_unsigned(ttl_ms);
                Ok(HeartbeatWorkerOutcome::Refreshed { next_expiry_ms: TimestampMs(next) })
            }
            _ => Ok(HeartbeatWorkerOutcome::NotRegistered),
        }
    }

    /// Expired leases by (expiry, id), at most so many partitions from the cursor's on.
    ///
    /// The shipped client asks for texts where its protocol version sends pairs of a member and a
    /// double, so that every list with an entry is a type error (`ff-backend-valkey/src/lib.rs`,
    /// `list_expired_leases`): who relies on it finds no expired lease at all.
    ///
    /// One range read for each partition, then one read of the core for each entry. The real client
    /// sends these concurrently; here they follow each other.
    pub(super) async fn expired_leases(
        &self,
        args: ListExpiredLeasesArgs,
    ) -> Result<ListExpiredLeasesResult, EngineError> {
        let limit = args.limit.unwrap_or(EXPIRED_DEFAULT_LIMIT).min(EXPIRED_MAX_LIMIT);
        let partitions = self.partitions.num_flow_partitions;
        if partitions == 0 {
            return Ok(ListExpiredLeasesResult::new(Vec::new(), None));
        }
        let start = args.after.as_ref().map_or(0, |cursor| cursor.execution_id.partition());
        let max_partitions = args.max_partitions_per_call.unwrap_or(EXPIRED_MAX_PARTITIONS);
        let fan = max_partitions.min(u32::from(partitions)) as u16;
        let mut merged = Vec::new();
        for offset in 0..fan {
            let partition = ((u32::from(start) + u32::from(offset)) % u32::from(partitions)) as u16;
            let up_to_ms = Some(args.as_of.0);
            let message = Message::Range { partition, key: IndexKey::LeaseExpiry, up_to_ms, limit };
            let context = during("list_expired_leases: ZRANGEBYSCORE lease_expiry");
            match self.ask(message).await.map_err(context)? {
                Reply::Members(members) => merged.extend(members),
                other => return Err(error::unexpected(&other)),
            }
        }
        let reads_scores = self.server.deviations().has(Deviation::FixListExpiredLeasesReadsScores);
        if !merged.is_empty() && !reads_scores {
            return Err(error::unreadable("list_expired_leases: ZRANGEBYSCORE lease_expiry"));
        }
        let page_full = self.order_page(&mut merged, args.after.as_ref(), limit as usize);
        let mut entries = Vec::with_capacity(merged.len());
        for (score, number) in merged {
            let context = during("list_expired_leases: HMGET exec_core");
            let view = match self.ask(Message::Core(number)).await.map_err(context)? {
                Reply::Core(view) => view,
                other => return Err(error::unexpected(&other)),
            };
            let Some(view) = view else { continue };
            let (Some(lease_id), Some(instance)) = (view.lease_id, view.instance) else {
                continue;
            };
            let ids = self.server.ids();
            entries.push(ExpiredLeaseInfo::new(
                ids.execution_id(number).clone(),
                lease_id,
                view.lease_epoch,
                ids.instance_id(instance).clone(),
                TimestampMs(score.whole()),
                view.attempt_index.unwrap_or(AttemptIndex::new(0)),
            ));
        }
        let last = entries.last().filter(|_| page_full);
        let cursor = last.map(|entry| ExpiredLeasesCursor::new(entry.expires_at_ms, entry.execution_id.clone()));
        Ok(ListExpiredLeasesResult::new(entries, cursor))
    }

    /// Sorts by (expiry, id), drops what the cursor has passed, cuts; tells whether more was there.
    fn order_page(
        &self,
        merged: &mut Vec<(Score, ExecutionNo)>,
        after: Option<&ExpiredLeasesCursor>,
        limit: usize,
    ) -> bool {
        let ids = self.server.ids();
        let key = |(score, number): &(Score, ExecutionNo)| (score.whole(), ids.execution_name(*number).clone());
        merged.sort_by_cached_key(key);
        if let Some(cursor) = after {
            merged.retain(|entry| {
                let (expiry, name) = key(entry);
                (expiry, &*name) > (cursor.expires_at_ms.0, cursor.execution_id.as_str())
            });
        }
        let page_full = merged.len() > limit;
        merged.truncate(limit);
        page_full
    }
}
