//! The signaller: delivers, with the token that a suspending application told it.

use std::sync::Arc;

use ff_core::contracts::{DeliverSignalArgs, DeliverSignalResult};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::types::{ExecutionId, SignalId, WaitpointId, WaitpointToken};

use crate::scenario::Player;
use crate::world::Party;

/// The name of every signal.
pub(super) const SIGNAL_NAME: &str = "go";
pub(super) const SIGNAL_CATEGORY: &str = "planned";
pub(super) const SOURCE: &str = "signaller";
/// How often a signaller tries again when it got no answer.
const TRIES: u32 = 3;

/// What an application asks for.
#[derive(Clone)]
pub(super) struct Signal {
    pub execution: ExecutionId,
    pub waitpoint: WaitpointId,
    pub token: WaitpointToken,
    /// The same for every try.
    pub idempotency_key: String,
    /// The shipped worker's function cannot ask for one.
    pub resume_delay_ms: Option<u64>,
}

/// Waits, then delivers until there is an answer.
pub(super) async fn send(party: Party, backend: Arc<dyn EngineBackend>, player: Player, signal: Signal, after_ms: u64) {
    party.sleep_ms(after_ms).await;
    for _ in 0..TRIES {
        let delivered = match player {
            #[cfg(feature = "sdk")]
            Player::Sdk if signal.resume_delay_ms.is_none() => {
                super::sdk::deliver_signal(&party, Arc::clone(&backend), &signal).await
            }
            _ => deliver(&party, &*backend, &signal).await.map(drop),
        };
        match delivered {
            Err(EngineError::Contextual { .. } | EngineError::Transport { .. }) => party.sleep_ms(500).await,
            _ => return,
        }
    }
}

/// What `ff-sdk/src/worker.rs` `deliver_signal` sends, with a delay where one is asked for.
async fn deliver(
    party: &Party,
    backend: &dyn EngineBackend,
    signal: &Signal,
) -> Result<DeliverSignalResult, EngineError> {
    let now = party.now().to_wire();
    let args = DeliverSignalArgs {
        execution_id: signal.execution.clone(),
        waitpoint_id: signal.waitpoint.clone(),
        signal_id: SignalId::from_uuid(party.id(&signal.execution, "signal")),
        signal_name: SIGNAL_NAME.into(),
        signal_category: SIGNAL_CATEGORY.into(),
        source_type: SOURCE.into(),
        source_identity: SOURCE.into(),
        payload: None,
        payload_encoding: Some("json".into()),
        correlation_id: None,
        idempotency_key: Some(signal.idempotency_key.clone()),
        target_scope: "waitpoint".into(),
        created_at: Some(now),
        dedup_ttl_ms: None,
        resume_delay_ms: signal.resume_delay_ms,
        max_signals_per_execution: None,
        signal_maxlen: None,
        waitpoint_token: signal.token.clone(),
        now,
    };
    backend.deliver_signal(args).await
}
