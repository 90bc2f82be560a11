//! A claimed task: work beside renewal, one end, after `ff-sdk/src/task.rs`.
//!
//! Nothing here looks at the lease's own expiry. A worker that was stalled past it goes on with its
//! work and learns the truth from the server's answer, or never.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use claimlab_model::intern::ExecutionNo;
use ff_core::backend::{FailureClass, FailureReason, Handle, HandleKind};
use ff_core::contracts::{
    DeliverSignalArgs, ResumeCondition, ResumePolicy, SignalMatcher, SuspendArgs, SuspendOutcome,
    SuspendOutcomeDetails, SuspensionReasonCode, TimeoutBehavior, WaitpointBinding,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind};
use ff_core::handle_codec;
use ff_core::types::{ExecutionId, SignalId, SuspensionId, WaitpointId};

use super::Surroundings;
use super::native::Permit;
use crate::plan::{Park, Task};
use crate::scenario::Ending;
use crate::world::Party;

const SIGNAL_NAME: &str = "go";
const WAITPOINT_KEY: &str = "wp";
/// How often a signaller tries again when it got no answer.
const SIGNAL_TRIES: u32 = 3;

/// A task with its lease.
pub(super) struct ClaimedTask {
    party: Party,
    backend: Arc<dyn EngineBackend>,
    surroundings: Surroundings,
    id: ExecutionId,
    handle: Handle,
    task: Task,
    _permit: Option<Permit>,
}

/// Notes that an execution is being run, as long as it lives.
struct Running(Party, ExecutionNo);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.hub().run_ended(self.0.no(), self.1);
    }
}

impl ClaimedTask {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        party: Party,
        backend: Arc<dyn EngineBackend>,
        surroundings: Surroundings,
        id: ExecutionId,
        handle: Handle,
        payload: &[u8],
        permit: Option<Permit>,
    ) -> Self {
        let plain = Task { run_ms: 0, park: None, ending: Ending::Complete };
        let task = serde_json::from_slice(payload).unwrap_or(plain);
        Self { party, backend, surroundings, id, handle, task, _permit: permit }
    }

    /// Works and renews until the task has ended in one way or another.
    pub(super) async fn run(self) {
        let no = self.party.hub().ids().execution(&self.id);
        self.party.hub().run_started(self.party.no(), no);
        let _running = Running(self.party.clone(), no);
        Race { work: Box::pin(self.work()), renewal: Some(Box::pin(self.renew())) }.await;
    }

    /// Renews at a third of the lease until a renewal is refused for good; failures are retried at the next tick.
    async fn renew(&self) {
        let period_us = (self.surroundings.lease_ttl_ms / 3).max(1) * 1_000;
        let mut due_us = self.party.timer_us() + period_us;
        loop {
            let now_us = self.party.timer_us();
            if due_us > now_us {
                self.party.sleep_us(due_us - now_us).await;
            }
            // The next tick is set when this one fires; ticks missed until then are skipped.
            let late_us = self.party.timer_us().saturating_sub(due_us);
            due_us += (late_us / period_us + 1) * period_us;
            if let Err(error) = self.backend.renew(&self.handle).await
                && is_final(&error)
            {
                return;
            }
        }
    }

    async fn work(&self) {
        let Task { run_ms, park, ending } = &self.task;
        let first_half_ms = run_ms / 2;
        match (park, self.handle.kind) {
            (Some(park), HandleKind::Fresh) => {
                self.party.sleep_ms(first_half_ms).await;
                self.park(park).await;
                return;
            }
            (Some(_), HandleKind::Resumed) => self.party.sleep_ms(run_ms - first_half_ms).await,
            _ => self.party.sleep_ms(*run_ms).await,
        }
        // A task that is dropped once is finished by whoever reclaims it.
        let ending = match ending {
            Ending::Drop if self.handle.kind == HandleKind::Reclaimed => &Ending::Complete,
            Ending::CompleteEmpty if self.is_first_attempt() => &Ending::Complete,
            ending => ending,
        };
        // Whatever the answer, the task is gone: there is no second try with it.
        let _ = match ending {
            Ending::Complete => self.backend.complete(&self.handle, Some(b"done".to_vec())).await,
            Ending::CompleteEmpty => self.backend.complete(&self.handle, None).await,
            Ending::Fail => {
                let reason = FailureReason::new("planned failure");
                self.backend.fail(&self.handle, reason, FailureClass::Transient).await.map(|_| ())
            }
            Ending::Cancel => self.backend.cancel(&self.handle, "planned cancel").await,
            Ending::Drop => Ok(()),
        };
    }

    fn is_first_attempt(&self) -> bool {
        handle_codec::decode(&self.handle.opaque).is_ok_and(|decoded| decoded.payload.attempt_index.0 == 0)
    }

    async fn park(&self, park: &Park) {
        let now = self.party.now();
        match park {
            Park::Delay { for_ms } => {
                let _ = self.backend.delay(&self.handle, now.plus_ms(*for_ms).to_wire()).await;
            }
            Park::Suspend { timeout_ms, signal_after_ms, resume_delay_ms } => {
                let args = SuspendArgs::new(
                    SuspensionId::from_uuid(self.party.uuid()),
                    WaitpointBinding::Fresh {
                        waitpoint_id: WaitpointId::from_uuid(self.party.uuid()),
                        waitpoint_key: WAITPOINT_KEY.into(),
                    },
                    ResumeCondition::Single {
                        waitpoint_key: WAITPOINT_KEY.into(),
                        matcher: SignalMatcher::ByName(SIGNAL_NAME.into()),
                    },
                    ResumePolicy::normal(),
                    SuspensionReasonCode::WaitingForSignal,
                    now.to_wire(),
                )
                .with_timeout(now.plus_ms(*timeout_ms).to_wire(), TimeoutBehavior::AutoResumeWithTimeoutSignal);
                let suspended = self.backend.suspend(&self.handle, args).await;
                if let (Ok(SuspendOutcome::Suspended { details, .. }), Some(after_ms)) = (suspended, signal_after_ms) {
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

/// A refusal after which the renewal loop ends silently.
fn is_final(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::State(StateKind::StaleLease | StateKind::LeaseExpired | StateKind::LeaseRevoked)
            | EngineError::Contention(ContentionKind::ExecutionNotActive { .. })
            | EngineError::NotFound { entity: "execution" }
    )
}

type Branch<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Work and renewal side by side; the end of the work ends both.
struct Race<'a> {
    work: Branch<'a>,
    renewal: Option<Branch<'a>>,
}

impl Future for Race<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.work.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if let Some(renewal) = &mut self.renewal
            && renewal.as_mut().poll(context).is_ready()
        {
            self.renewal = None;
        }
        Poll::Pending
    }
}
