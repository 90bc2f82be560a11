//! What an application does with a claimed task: work for as long as planned, then one end.
//!
//! It is the same whoever holds the lease: a task of the native worker or one of the shipped worker.

use std::future::Future;
use std::sync::Arc;

use claimlab_model::intern::ExecutionNo;
use ff_core::backend::HandleKind;
use ff_core::contracts::{DeliverSignalArgs, ResumeCondition, SignalMatcher, SuspendOutcomeDetails, TimeoutBehavior};
use ff_core::engine_error::EngineError;
use ff_core::types::{ExecutionId, SignalId, TimestampMs};

use super::Surroundings;
use crate::plan::{Park, Task};
use crate::scenario::Ending;
use crate::world::Party;

const SIGNAL_NAME: &str = "go";
/// The key of every waitpoint.
pub(super) const WAITPOINT_KEY: &str = "wp";
/// How often a signaller tries again when it got no answer.
const SIGNAL_TRIES: u32 = 3;

/// A lease in the hands of an application. Whatever an end is answered, the task is gone: there is no
/// second try with it.
pub(super) trait Held: Send + Sized {
    /// How the lease was had.
    fn kind(&self) -> HandleKind;
    /// The attempt's number.
    fn attempt_index(&self) -> u32;
    /// Waits so many milliseconds of the party's own counting.
    fn sleep_ms(&self, timer_ms: u64) -> impl Future<Output = ()> + Send;
    /// Ends as a success.
    fn complete(self, payload: Option<Vec<u8>>) -> impl Future<Output = ()> + Send;
    /// Ends as a failure.
    fn fail(self, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Ends as cancelled.
    fn cancel(self, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Comes back later.
    fn delay(self, until: TimestampMs) -> impl Future<Output = ()> + Send;
    /// Waits for a signal; gives the waitpoint when it is suspended.
    fn suspend(
        self,
        condition: ResumeCondition,
        timeout: (TimestampMs, TimeoutBehavior),
    ) -> impl Future<Output = Option<SuspendOutcomeDetails>> + Send;
}

/// Where an application runs and what it runs.
pub(super) struct Application {
    pub(super) party: Party,
    pub(super) surroundings: Surroundings,
    pub(super) id: ExecutionId,
    pub(super) task: Task,
}

/// Notes that an execution is being run, as long as it lives.
pub(super) struct Running(Party, ExecutionNo);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.hub().run_ended(self.0.no(), self.1);
    }
}

impl Application {
    /// The application for an execution's payload.
    pub(super) fn new(party: Party, surroundings: Surroundings, id: ExecutionId, payload: &[u8]) -> Self {
        let plain = Task { run_ms: 0, park: None, ending: Ending::Complete };
        let task = serde_json::from_slice(payload).unwrap_or(plain);
        Self { party, surroundings, id, task }
    }

    /// Notes that the execution runs from now on.
    pub(super) fn running(&self) -> Running {
        let no = self.party.hub().ids().execution(&self.id);
        self.party.hub().run_started(self.party.no(), no);
        Running(self.party.clone(), no)
    }

    /// Works, then ends or parks.
    pub(super) async fn work(&self, held: impl Held) {
        let Task { run_ms, park, ending } = &self.task;
        let first_half_ms = run_ms / 2;
        match (park, held.kind()) {
            (Some(park), HandleKind::Fresh) => {
                held.sleep_ms(first_half_ms).await;
                self.park(held, park).await;
                return;
            }
            (Some(_), HandleKind::Resumed) => held.sleep_ms(run_ms - first_half_ms).await,
            _ => held.sleep_ms(*run_ms).await,
        }
        match ending {
            // A task that is dropped once is finished by whoever reclaims it.
            Ending::Drop if held.kind() != HandleKind::Reclaimed => drop(held),
            Ending::CompleteEmpty if held.attempt_index() != 0 => held.complete(None).await,
            Ending::Complete | Ending::CompleteEmpty | Ending::Drop => held.complete(Some(b"done".to_vec())).await,
            Ending::Fail => held.fail("planned failure").await,
            Ending::Cancel => held.cancel("planned cancel").await,
        }
    }

    async fn park(&self, held: impl Held, park: &Park) {
        let now = self.party.now();
        match park {
            Park::Delay { for_ms } => held.delay(now.plus_ms(*for_ms).to_wire()).await,
            Park::Suspend { timeout_ms, signal_after_ms, resume_delay_ms } => {
                let condition = ResumeCondition::Single {
                    waitpoint_key: WAITPOINT_KEY.into(),
                    matcher: SignalMatcher::ByName(SIGNAL_NAME.into()),
                };
                let timeout = (now.plus_ms(*timeout_ms).to_wire(), TimeoutBehavior::AutoResumeWithTimeoutSignal);
                let suspended = held.suspend(condition, timeout).await;
                if let (Some(details), Some(after_ms)) = (suspended, signal_after_ms) {
                    self.send_signal(details, *after_ms, *resume_delay_ms);
                }
            }
        }
    }

    /// Tells the signaller the token, and when to use it.
    fn send_signal(&self, details: SuspendOutcomeDetails, after_ms: u64, resume_delay_ms: Option<u64>) {
        let signaller = Party::new(Arc::clone(self.party.hub()), self.surroundings.positions.signaller);
        let backend = Arc::clone(&self.surroundings.signaller);
        let id = self.id.clone();
        let signal_id = SignalId::from_uuid(self.party.uuid());
        self.party.request(self.surroundings.positions.signaller, async move {
            signaller.sleep_ms(after_ms).await;
            for _ in 0..SIGNAL_TRIES {
                let args = DeliverSignalArgs {
                    execution_id: id.clone(),
                    waitpoint_id: details.waitpoint_id.clone(),
                    signal_id: signal_id.clone(),
                    signal_name: SIGNAL_NAME.into(),
                    signal_category: "planned".into(),
                    source_type: "signaller".into(),
                    source_identity: "signaller".into(),
                    payload: None,
                    payload_encoding: None,
                    correlation_id: None,
                    idempotency_key: Some(signal_id.to_string()),
                    target_scope: "waitpoint".into(),
                    created_at: None,
                    dedup_ttl_ms: None,
                    resume_delay_ms,
                    max_signals_per_execution: None,
                    signal_maxlen: None,
                    waitpoint_token: details.waitpoint_token.token().clone(),
                    now: signaller.now().to_wire(),
                };
                match backend.deliver_signal(args).await {
                    Err(EngineError::Contextual { .. } | EngineError::Transport { .. }) => {
                        signaller.sleep_ms(500).await
                    }
                    _ => return,
                }
            }
        });
    }
}
