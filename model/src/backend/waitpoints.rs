//! Creating, closing and listing waitpoints, and listing suspended executions.

use std::time::Duration;

use ff_core::backend::{Handle, PendingWaitpoint, WaitpointHmac};
use ff_core::contracts::{
    ListPendingWaitpointsArgs, ListPendingWaitpointsResult, ListSuspendedPage, PendingWaitpointInfo,
    SuspendedExecutionEntry,
};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::{ExecutionId, TimestampMs, WaitpointId};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{CreateWaitpoint, Done, Message, Reply, Script, WaitpointView};
use crate::port::Server;
use crate::store::WaitpointState;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

impl<S: Server> ModelBackend<S> {
    /// The waitpoint's id is minted here, and its expiry counts from the client's own clock.
    pub(super) async fn create_pending(
        &self,
        handle: &Handle,
        key: &str,
        expires_in: Duration,
    ) -> Result<PendingWaitpoint, EngineError> {
        let held = self.open(handle)?.held;
        let waitpoint = WaitpointId::from_uuid(self.server.mint("waitpoint", held.execution));
        let expires_in_ms = i64::try_from(expires_in.as_millis()).unwrap_or(i64::MAX);
        let expires_at = TimestampMs(self.server.wall_clock().0.saturating_add(expires_in_ms));
        let script = Script::CreateWaitpoint(Box::new(CreateWaitpoint {
            execution: held.execution,
            attempt_index: held.attempt_index,
            waitpoint: waitpoint.clone(),
            key: key.to_owned(),
            expires_at,
        }));
        let context = during("create_waitpoint: FCALL ff_create_pending_waitpoint");
        match self.run_typed(script).await.map_err(context)? {
            Done::WaitpointCreated(token) => Ok(PendingWaitpoint::new(waitpoint, WaitpointHmac::new(token))),
            other => Err(error::unexpected_done(&other)),
        }
    }

    /// Only text that is exactly a waitpoint's id names that waitpoint's key.
    pub(super) async fn close(
        &self,
        partition: Partition,
        id: &ExecutionId,
        waitpoint: &str,
    ) -> Result<(), EngineError> {
        let place = self.place(partition, id);
        let waitpoint = WaitpointId::parse(waitpoint).ok().filter(|parsed| parsed.to_string() == waitpoint);
        self.run_discarding(Script::CloseWaitpoint { place, waitpoint }).await
    }

    pub(super) async fn token(
        &self,
        partition: PartitionKey,
        waitpoint: &WaitpointId,
    ) -> Result<Option<String>, EngineError> {
        let context = during("read_waitpoint_token: HGET ff:wp:<tag>:<wp_id> waitpoint_token");
        self.stored_token(exact(&partition), waitpoint.clone()).await.map_err(context)
    }

    pub(super) async fn stored_token(
        &self,
        partition: Option<u16>,
        waitpoint: WaitpointId,
    ) -> Result<Option<String>, EngineError> {
        match self.ask(Message::Token { partition, waitpoint }).await? {
            Reply::Text(token) => Ok(token.filter(|token| !token.is_empty())),
            other => Err(error::unexpected(&other)),
        }
    }

    /// Open waitpoints of suspensions, by id. Pages are cut before closed ones are left out, so that a page
    /// can be short, and one without any open waitpoint ends the listing.
    pub(super) async fn pending_waitpoints(
        &self,
        args: ListPendingWaitpointsArgs,
    ) -> Result<ListPendingWaitpointsResult, EngineError> {
        let id = args.execution_id;
        let limit = args.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) as usize;
        let view = self.core(&id).await.map_err(during("list_pending_waitpoints: EXISTS exec_core"))?;
        if view.is_none() {
            return Err(EngineError::NotFound { entity: "execution" });
        }
        let number = self.number(&id);
        let context = during("list_pending_waitpoints: SSCAN waitpoints");
        let mut ids = match self.ask(Message::Waitpoints(number)).await.map_err(context)? {
            Reply::Waitpoints(ids) => ids,
            other => return Err(error::unexpected(&other)),
        };
        ids.sort_unstable_by_key(|waitpoint| waitpoint.0);
        if let Some(after) = &args.after {
            ids.retain(|waitpoint| waitpoint.0 > after.0);
        }
        if ids.is_empty() {
            return Ok(ListPendingWaitpointsResult::new(Vec::new()));
        }
        let has_more = ids.len() > limit;
        ids.truncate(limit + 1);
        let context = during("list_pending_waitpoints: pipeline HMGET waitpoints + HGET total_matchers");
        let heads = match self.ask(Message::WaitpointHeads(number, ids.clone())).await.map_err(context)? {
            Reply::WaitpointHeads(heads) => heads,
            other => return Err(error::unexpected(&other)),
        };
        let open = |(waitpoint, head): (WaitpointId, Option<WaitpointView>)| {
            let head = head.filter(|head| head.state != WaitpointState::Closed && !head.token.is_empty())?;
            Some((waitpoint, head))
        };
        let kept: Vec<_> = ids.into_iter().zip(heads).filter_map(open).collect();
        if kept.is_empty() {
            return Ok(ListPendingWaitpointsResult::new(Vec::new()));
        }
        let named: Vec<_> =
            kept.iter().filter(|(_, head)| head.total_matchers > 0).map(|(waitpoint, _)| waitpoint.clone()).collect();
        let mut names = Vec::new();
        if !named.is_empty() {
            let context = during("list_pending_waitpoints: pipeline HMGET wp_condition matchers");
            names = match self.ask(Message::MatcherNames(number, named)).await.map_err(context)? {
                Reply::Names(names) => names,
                other => return Err(error::unexpected(&other)),
            };
        }
        let mut names = names.into_iter();
        let entries: Vec<_> = kept
            .into_iter()
            .take(limit)
            .map(|(waitpoint, head)| {
                let names = if head.total_matchers > 0 { names.next().unwrap_or_default() } else { Vec::new() };
                info(&id, waitpoint, head, names)
            })
            .collect();
        let cursor = entries.last().filter(|_| has_more).map(|entry| entry.waitpoint_id.clone());
        let result = ListPendingWaitpointsResult::new(entries);
        Ok(match cursor {
            Some(cursor) => result.with_next_cursor(cursor),
            None => result,
        })
    }

    /// Suspended executions of a partition over all lanes, by timeout, then by id.
    pub(super) async fn suspended(
        &self,
        partition: PartitionKey,
        cursor: Option<ExecutionId>,
        limit: usize,
    ) -> Result<ListSuspendedPage, EngineError> {
        if limit == 0 {
            return Ok(ListSuspendedPage::new(Vec::new(), None));
        }
        let parsed = partition.parse().map_err(|refused| EngineError::Validation {
            kind: ValidationKind::InvalidInput,
            detail: format!("list_suspended: partition: {refused}"),
        })?;
        let context = during("list_suspended: SCAN lane:*:suspended + ZRANGE + HMGET reason");
        let index = parsed.index;
        let lanes = match self.ask(Message::SuspendedLanes(of_executions(parsed))).await.map_err(&context)? {
            Reply::Lanes(lanes) => lanes,
            other => return Err(error::unexpected(&other)),
        };
        if lanes.is_empty() {
            return Ok(ListSuspendedPage::new(Vec::new(), None));
        }
        let members = match self.ask(Message::SuspendedMembers(index, lanes)).await.map_err(&context)? {
            Reply::Members(members) => members,
            other => return Err(error::unexpected(&other)),
        };
        let mut merged: Vec<_> = {
            let ids = self.server.ids();
            let entry = |(score, number): (crate::number::Score, _)| {
                (score.whole(), ids.execution_name(number).clone(), number)
            };
            members.into_iter().map(entry).collect()
        };
        merged.sort_unstable();
        let start = match &cursor {
            None => 0,
            Some(cursor) => {
                let held = merged.iter().position(|(_, name, _)| **name == *cursor.as_str());
                // A cursor that is gone is looked for by id alone, in a list that is ordered by timeout.
                let later = || merged.iter().position(|(_, name, _)| **name > *cursor.as_str());
                held.map(|position| position + 1).or_else(later).unwrap_or(merged.len())
            }
        };
        let end = start.saturating_add(limit).min(merged.len());
        let page = &merged[start..end];
        let last = page.last().map(|(_, _, number)| self.server.ids().execution_id(*number).clone());
        let next_cursor = last.filter(|_| end < merged.len());
        if page.is_empty() {
            return Ok(ListSuspendedPage::new(Vec::new(), next_cursor));
        }
        let executions = page.iter().map(|(_, _, number)| *number).collect();
        let reasons = match self.ask(Message::SuspensionReasons(executions)).await.map_err(&context)? {
            Reply::Reasons(reasons) => reasons,
            other => return Err(error::unexpected(&other)),
        };
        let ids = self.server.ids();
        let entries = page.iter().zip(reasons).map(|((score, _, number), reason)| {
            let reason = reason.map_or_else(String::new, |reason| reason.as_wire_str().to_owned());
            SuspendedExecutionEntry::new(ids.execution_id(*number).clone(), *score, reason)
        });
        Ok(ListSuspendedPage::new(entries.collect(), next_cursor))
    }

    /// The first pending waitpoints of a partition that have lapsed, as the engine's scanner reads them.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn lapsed_waitpoints(
        &self,
        partition: u16,
        up_to_ms: i64,
        limit: u32,
    ) -> Result<Vec<WaitpointId>, EngineError> {
        match self.ask(Message::PendingWaitpoints { partition, up_to_ms, limit }).await? {
            Reply::Waitpoints(ids) => Ok(ids),
            other => Err(error::unexpected(&other)),
        }
    }

    /// The execution that a waitpoint was created for, as the engine's scanner reads it.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn waitpoint_owner(
        &self,
        partition: u16,
        waitpoint: &WaitpointId,
    ) -> Result<Option<ExecutionId>, EngineError> {
        match self.ask(Message::WaitpointOwner(partition, waitpoint.clone())).await? {
            Reply::Owner(owner) => Ok(owner.map(|number| self.server.ids().execution_id(number).clone())),
            other => Err(error::unexpected(&other)),
        }
    }
}

fn info(id: &ExecutionId, waitpoint: WaitpointId, head: WaitpointView, names: Vec<String>) -> PendingWaitpointInfo {
    // Of a key id with a colon in it only the first part is taken for the key id.
    let (kid, digest) = head.token.split_once(':').unwrap_or_default();
    let fingerprint = digest.get(..16).unwrap_or(digest);
    let mut info = PendingWaitpointInfo::new(
        waitpoint,
        head.key,
        head.state.as_str().to_owned(),
        head.created_at.to_wire(),
        id.clone(),
        kid.to_owned(),
        fingerprint.to_owned(),
    );
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if !names.is_empty() {
        info = info.with_required_signal_names(names);
    }
    if let Some(at) = head.activated_at {
        info = info.with_activated_at(at.to_wire());
    }
    if let Some(at) = head.expires_at {
        info = info.with_expires_at(at);
    }
    info
}

/// The partition of a key's text, where that text is exactly how keys spell it.
fn exact(key: &PartitionKey) -> Option<u16> {
    let parsed = key.parse().ok()?;
    of_executions(parsed).filter(|_| parsed.hash_tag() == key.as_str())
}

/// A partition's index, where executions can be in it.
fn of_executions(partition: Partition) -> Option<u16> {
    matches!(partition.family, PartitionFamily::Flow | PartitionFamily::Execution).then_some(partition.index)
}
