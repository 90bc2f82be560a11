//! The engine's housekeeping: what a flow's members add up to, and what ended long ago and is deleted
//! (`ff-backend-valkey/src/lib.rs`, `project_flow_summary_impl` and `trim_retention_impl`).

use ff_core::backend::ScannerFilter;
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, execution_partition};
use ff_core::types::{FlowId, LaneId, TimestampMs};

use super::{ModelBackend, error};
use crate::intern::LaneNo;
use crate::message::{FlowFound, FlowPlace, FlowRead, Kept, Message, Place, Records, Reply, Upkeep};
use crate::port::Server;
use crate::store::{FlowSummary, IndexKey, SUMMARY_SAMPLE};

/// The state of a member that has no core.
const UNKNOWN: &str = "unknown";

impl<S: Server> ModelBackend<S> {
    async fn keep(&self, command: Upkeep) -> Result<Kept, EngineError> {
        match self.ask(Message::Upkeep(command)).await? {
            Reply::Kept(kept) => Ok(kept),
            other => Err(error::unexpected(&other)),
        }
    }

    /// How many; an answer of another kind is none.
    async fn counted(&self, command: Upkeep) -> Result<u64, EngineError> {
        Ok(match self.keep(command).await? {
            Kept::Count(count) => count,
            _ => 0,
        })
    }

    /// The flows that a partition's index lists, as the projector enumerates them.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn listed_flows(&self, partition: u16) -> Result<Vec<FlowId>, EngineError> {
        match self.read_flow(FlowRead::Index(partition)).await? {
            FlowFound::Flows(flows) => Ok(flows),
            _ => Ok(Vec::new()),
        }
    }

    /// Tells whether a summary was written. A flow without a core leaves the index, one without members stays as it is,
    /// and one of which every member was seen to have ended is summed up a last time.
    pub(super) async fn project_summary(
        &self,
        partition: Partition,
        flow: &FlowId,
        now: TimestampMs,
    ) -> Result<bool, EngineError> {
        let place = FlowPlace { flow: flow.clone(), partition: partition.index };
        if self.counted(Upkeep::FlowExists(place.clone())).await? == 0 {
            self.keep(Upkeep::DelistFlow(place)).await?;
            return Ok(false);
        }
        let total = self.counted(Upkeep::MemberCount(place.clone())).await?;
        if total == 0 {
            return Ok(false);
        }
        let Kept::Members(members) = self.keep(Upkeep::SampleMembers(place.clone(), SUMMARY_SAMPLE)).await? else {
            return Ok(false);
        };
        if members.is_empty() {
            return Ok(false);
        }
        let mut states = Vec::with_capacity(members.len());
        for execution in members {
            let id = self.server.ids().execution_id(execution).clone();
            let own = Place { execution, partition: execution_partition(&id, &self.partitions).index };
            states.push(match self.keep(Upkeep::PublicState(own)).await? {
                Kept::Text(Some(state)) => state,
                _ => UNKNOWN.to_owned(),
            });
        }
        let summary = FlowSummary::of(total, states.iter().map(String::as_str), now);
        let is_last = summary.all_have_ended();
        self.keep(Upkeep::WriteSummary(place.clone(), Box::new(summary))).await?;
        if is_last {
            self.keep(Upkeep::DelistFlow(place)).await?;
        }
        Ok(true)
    }

    /// How many executions were deleted, of those whose end is long enough ago. The index is asked by the caller's time
    /// to keep; an execution's own, if it is longer, keeps it. One whose deletion fails is passed over.
    pub(super) async fn trim(
        &self,
        partition: Partition,
        lane: &LaneId,
        kept_ms: u64,
        now: TimestampMs,
        limit: u32,
        filter: &ScannerFilter,
    ) -> Result<u32, EngineError> {
        let now_ms = u64::try_from(now.0).unwrap_or(0);
        let lane = self.server.ids().lane(lane);
        let key = IndexKey::Terminal(lane);
        let up_to_ms = Some(i64::try_from(now_ms.saturating_sub(kept_ms)).unwrap_or(i64::MAX));
        let range = Message::Range { partition: partition.index, key, up_to_ms, limit };
        let Reply::Members(members) = self.ask(range).await? else { return Ok(0) };
        let mut trimmed = 0;
        for (_, execution) in members {
            let id = self.server.ids().execution_id(execution).clone();
            if self.is_filtered_out(filter, &id).await {
                continue;
            }
            let place = Place { execution, partition: partition.index };
            if self.purge(place, lane, now_ms, kept_ms).await.unwrap_or(false) {
                trimmed += 1;
            }
        }
        Ok(trimmed)
    }

    /// Tells whether it is gone. Nothing is looked at again between the first read and the last deletion.
    async fn purge(&self, place: Place, lane: LaneNo, now_ms: u64, kept_ms: u64) -> Result<bool, EngineError> {
        let Kept::Ended(ended_ms, attempts) = self.keep(Upkeep::Ended(place)).await? else { return Ok(false) };
        if ended_ms == 0 {
            self.keep(Upkeep::DelistEnded(place, lane)).await?;
            return Ok(true);
        }
        // A policy that cannot be read says nothing.
        let own = match self.keep(Upkeep::Retention(place)).await {
            Ok(Kept::Text(Some(own))) => own.parse().ok(),
            _ => None,
        };
        if now_ms < ended_ms.saturating_add(own.unwrap_or(kept_ms)) {
            return Ok(false);
        }
        self.keep(Upkeep::Edges(place)).await?;
        let waitpoints = match self.keep(Upkeep::Waitpoints(place)).await? {
            Kept::Waitpoints(waitpoints) => waitpoints,
            _ => Vec::new(),
        };
        let signals = match self.keep(Upkeep::Signals(place)).await? {
            Kept::Signals(signals) => signals,
            _ => Vec::new(),
        };
        let records = Records { attempts, waitpoints, signals };
        self.keep(Upkeep::DeleteRecords { place, records, kept_ms }).await?;
        self.keep(Upkeep::DeleteCore { place, kept_ms }).await?;
        self.keep(Upkeep::DelistEnded(place, lane)).await?;
        self.keep(Upkeep::Forget(place)).await?;
        Ok(true)
    }
}
