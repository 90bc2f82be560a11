//! Delivering signals, and looking at those that resumed an execution.

use ff_core::backend::{Handle, ResumeSignal};
use ff_core::contracts::{DeliverApprovalSignalArgs, DeliverSignalArgs, DeliverSignalResult};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::types::{SignalId, WaitpointToken};

use super::ModelBackend;
use super::error::{self, during};
use super::finishing::lossy;
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::{Done, Message, Reply, Script, Signal};
use crate::port::Server;

const SIGNAL_DEDUP_TTL_MS: u64 = 86_400_000;
const MAX_SIGNALS: u64 = 10_000;
const STREAM_MAXLEN: u64 = 1_000;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn signal(&self, args: DeliverSignalArgs) -> Result<DeliverSignalResult, EngineError> {
        let context = during("deliver_signal: FCALL ff_deliver_signal");
        let lane = self.lane_of(&args.execution_id).await.map_err(&context)?;
        self.send_signal(lane, args).await.map_err(&context)
    }

    /// The token is read on the caller's behalf, then the lane, which must be the one that the caller names.
    pub(super) async fn approve(&self, args: DeliverApprovalSignalArgs) -> Result<DeliverSignalResult, EngineError> {
        let context = during("deliver_approval_signal: HGET ff:wp:<tag>:<wp_id> + FCALL ff_deliver_signal");
        let partition = Some(args.execution_id.partition());
        let token = self.stored_token(partition, args.waitpoint_id.clone()).await.map_err(&context)?;
        let token = token.ok_or(EngineError::NotFound { entity: "waitpoint" })?;
        let lane = self.lane_of(&args.execution_id).await.map_err(&context)?;
        let stored = self.server.ids().lane_id(lane).clone();
        if stored != args.lane_id {
            return Err(EngineError::Validation {
                kind: ValidationKind::InvalidInput,
                detail: format!(
                    "lane_mismatch: args.lane_id={} exec_core.lane_id={}",
                    args.lane_id.as_str(),
                    stored.as_str()
                ),
            });
        }
        let now = self.server.wall_clock();
        let idempotency_key = format!("approval:{}:{}", args.signal_name, args.idempotency_suffix);
        let execution = self.number(&args.execution_id);
        let signal = DeliverSignalArgs {
            execution_id: args.execution_id,
            waitpoint_id: args.waitpoint_id,
            signal_id: SignalId::from_uuid(self.server.mint("signal", execution)),
            signal_name: args.signal_name,
            signal_category: "approval".into(),
            source_type: "operator".into(),
            source_identity: String::new(),
            payload: None,
            payload_encoding: None,
            correlation_id: None,
            idempotency_key: Some(idempotency_key),
            target_scope: "execution".into(),
            created_at: Some(now),
            dedup_ttl_ms: Some(args.signal_dedup_ttl_ms),
            resume_delay_ms: None,
            max_signals_per_execution: args.max_signals_per_execution,
            signal_maxlen: args.maxlen,
            waitpoint_token: WaitpointToken::new(token),
            now,
        };
        self.send_signal(lane, signal).await.map_err(&context)
    }

    async fn send_signal(&self, lane: LaneNo, args: DeliverSignalArgs) -> Result<DeliverSignalResult, EngineError> {
        let script = Script::Signal(Box::new(Signal {
            execution: self.number(&args.execution_id),
            lane,
            waitpoint: args.waitpoint_id,
            signal: args.signal_id.clone(),
            name: args.signal_name,
            category: args.signal_category,
            source_type: args.source_type,
            source_identity: args.source_identity,
            payload: lossy(args.payload.unwrap_or_default()),
            payload_encoding: args.payload_encoding.unwrap_or_else(|| "json".into()),
            correlation_id: args.correlation_id.unwrap_or_default(),
            scope: args.target_scope,
            created_at: args.created_at,
            token: args.waitpoint_token.as_str().to_owned(),
            idempotency_key: args.idempotency_key,
            dedup_ttl_ms: args.dedup_ttl_ms.unwrap_or(SIGNAL_DEDUP_TTL_MS),
            resume_delay_ms: args.resume_delay_ms.unwrap_or(0),
            max_signals: args.max_signals_per_execution.unwrap_or(MAX_SIGNALS),
            stream_maxlen: args.signal_maxlen.unwrap_or(STREAM_MAXLEN),
        }));
        match self.run_typed(script).await? {
            Done::SignalAccepted(effect) => {
                Ok(DeliverSignalResult::Accepted { signal_id: args.signal_id, effect: effect.into() })
            }
            Done::DuplicateSignal(existing_signal_id) => Ok(DeliverSignalResult::Duplicate { existing_signal_id }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    /// The signals that resumed the handle's attempt; none unless its last suspension ended so.
    pub(super) async fn observe(&self, handle: &Handle) -> Result<Vec<ResumeSignal>, EngineError> {
        let held = self.open(handle)?.held;
        let context = during("observe_signals: HGETALL suspension + HMGET matcher slots");
        let number = held.execution;
        let view = match self.ask(Message::Suspension(number)).await.map_err(&context)? {
            Reply::Suspension(view) => view,
            other => return Err(error::unexpected(&other)),
        };
        let resumed = view.filter(|view| view.attempt_index == held.attempt_index && view.close_reason == "resumed");
        let Some(view) = resumed else { return Ok(Vec::new()) };
        let mut ids = view.satisfiers;
        if ids.is_empty() {
            let total =
                match self.ask(Message::TotalMatchers(number, view.waitpoint.clone())).await.map_err(&context)? {
                    Reply::Count(total) => total,
                    other => return Err(error::unexpected(&other)),
                };
            for position in 0..total {
                let message = Message::Matcher(number, view.waitpoint.clone(), position);
                match self.ask(message).await.map_err(&context)? {
                    Reply::Matched(signal) => ids.extend(signal),
                    other => return Err(error::unexpected(&other)),
                }
            }
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.recorded(number, ids).await.map_err(&context)
    }

    async fn recorded(&self, number: ExecutionNo, ids: Vec<SignalId>) -> Result<Vec<ResumeSignal>, EngineError> {
        let records = match self.ask(Message::Signals(number, ids.clone())).await? {
            Reply::Signals(records) => records,
            other => return Err(error::unexpected(&other)),
        };
        let found = ids.into_iter().zip(records).filter_map(|(signal_id, record)| {
            let record = record?;
            Some(ResumeSignal {
                signal_id,
                signal_name: record.name,
                signal_category: record.category,
                source_type: record.source_type,
                source_identity: record.source_identity,
                correlation_id: record.correlation_id,
                accepted_at: record.accepted_at.to_wire(),
                payload: record.payload,
            })
        });
        Ok(found.collect())
    }
}
