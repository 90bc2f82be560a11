//! A claimed task of the native worker: work beside renewal, one end, after `ff-sdk/src/task.rs`.
//!
//! Nothing here looks at the lease's own expiry. A worker that was stalled past it goes on with its
//! work and learns the truth from the server's answer, or never.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use claimlab_model::backend::class;
use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::WorkerFact;
use claimlab_model::port::Server as _;
use ff_core::backend::{FailureClass, FailureReason, Handle, HandleKind};
use ff_core::contracts::{
    ResumeCondition, ResumePolicy, SuspendArgs, SuspendOutcome, SuspensionReasonCode, SuspensionRequester,
    TimeoutBehavior, WaitpointBinding,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind};
use ff_core::error::ErrorClass;
use ff_core::handle_codec;
use ff_core::state::TerminalOutcome;
use ff_core::types::{ExecutionId, LeaseEpoch, SuspensionId, TimestampMs, WaitpointId};

use super::Surroundings;
use super::application::{Application, HeldWork, Parked, WAITPOINT_KEY, Waitpoint};
use super::native::Permit;
use crate::scenario::Player;
use crate::world::{Party, RunNo};

/// So many renewals must fail in a row before a lease is called unhealthy.
const DOUBTFUL_FAILURES: u32 = 3;

/// So often is a call made again whose answer never came.
const TRIES: u32 = 5;
/// How long between two tries.
const BETWEEN_TRIES_MS: u64 = 200;

/// A task with its lease.
pub(super) struct ClaimedTask {
    party: Party,
    backend: Arc<dyn EngineBackend>,
    lease_ttl_ms: u64,
    /// When the process began, in microseconds of the party's timer.
    began_us: u64,
    handle: Handle,
    attempt_index: u32,
    renewal_failures: AtomicU32,
    /// Whether its holder is asked what it thinks of its lease: nobody asks a reclaimer.
    is_asked: bool,
    /// Whether an end is sent again when its answer never came.
    repeats: bool,
    application: Application,
    _permit: Option<Permit>,
}

impl ClaimedTask {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        party: Party,
        backend: Arc<dyn EngineBackend>,
        surroundings: Surroundings,
        player: Player,
        began_us: u64,
        id: ExecutionId,
        handle: Handle,
        payload: &[u8],
        permit: Option<Permit>,
    ) -> Self {
        let lease_ttl_ms = surroundings.lease_ttl_ms;
        let decoded = handle_codec::decode(&handle.opaque);
        let (epoch, attempt_index) = decoded
            .map_or((LeaseEpoch(0), 0), |decoded| (decoded.payload.lease_epoch, decoded.payload.attempt_index.0));
        let application = Application::start(party.clone(), surroundings, player, id, (epoch, attempt_index), payload);
        let (renewal_failures, is_asked) = (AtomicU32::new(0), permit.is_some());
        Self {
            party,
            backend,
            lease_ttl_ms,
            began_us,
            handle,
            attempt_index,
            renewal_failures,
            is_asked,
            repeats: false,
            application,
            _permit: permit,
        }
    }

    /// The same task, whose ends are sent again when their answers never came.
    #[must_use]
    pub(super) fn repeating(self, repeats: bool) -> Self {
        Self { repeats, ..self }
    }

    /// Makes a call that ends the execution; again while its class says so, where the holder does that.
    async fn end<T, F: Future<Output = Result<T, EngineError>> + Send>(
        &self,
        (method, outcome): (&'static str, TerminalOutcome),
        call: impl Fn() -> F + Send + Sync,
    ) where
        T: Send,
    {
        let mut answer = call().await.map(drop);
        let was_lost = answer.as_ref().is_err_and(|error| class(error) == ErrorClass::Retryable);
        if !was_lost || !self.repeats {
            return;
        }
        for _ in 0..TRIES {
            self.party.sleep_ms(BETWEEN_TRIES_MS).await;
            answer = call().await.map(drop);
            if !answer.as_ref().is_err_and(|error| class(error) == ErrorClass::Retryable) {
                break;
            }
        }
        let epoch = handle_codec::decode(&self.handle.opaque).map_or(LeaseEpoch(0), |found| found.payload.lease_epoch);
        let (execution, is_done) = (self.application.run().execution(), answer.is_ok());
        self.party.hub().told(WorkerFact::Repeated { execution, epoch, outcome, method, is_done });
    }

    /// Works and renews until the task has ended in one way or another.
    pub(super) async fn run(self) {
        Race { work: Box::pin(self.application.work(&self)), renewal: Some(Box::pin(self.renew())) }.await;
    }

    /// Renews at a third of the lease until a renewal is refused for good; failures are retried at the next tick.
    async fn renew(&self) {
        let period_us = (self.lease_ttl_ms / 3).max(1) * 1_000;
        let mut due_us = self.party.timer_us() + period_us;
        loop {
            let now_us = self.party.timer_us();
            // Tokio's timers fire at whole milliseconds of the process.
            let fires_us = self.began_us + due_us.saturating_sub(self.began_us).div_ceil(1_000) * 1_000;
            if fires_us > now_us {
                self.party.sleep_us(fires_us - now_us).await;
            }
            // The next tick is set when this one fires; ticks missed until then are skipped.
            let late_us = self.party.timer_us().saturating_sub(due_us);
            due_us += (late_us / period_us + 1) * period_us;
            let renewed = self.backend.renew(&self.handle).await;
            let failures = match &renewed {
                Ok(_) => 0,
                Err(_) => self.renewal_failures.load(Ordering::Relaxed) + 1,
            };
            self.renewal_failures.store(failures, Ordering::Relaxed);
            let is_refused = renewed.is_err_and(|error| is_final(&error));
            let takes_it = is_refused && self.party.deviations().has(Deviation::FixRefusedRenewalIsUnhealthy);
            let is_healthy = failures < DOUBTFUL_FAILURES && !takes_it;
            if self.is_asked {
                note_health(&self.party, self.application.run(), is_refused, is_healthy);
            }
            if is_refused {
                return;
            }
        }
    }
}

/// Notes what a holder thinks of its lease when a renewal has been answered.
pub(super) fn note_health(party: &Party, run: RunNo, is_refused: bool, is_healthy: bool) {
    party.hub().run_doubted(run, !is_healthy);
    // Beside its own end a renewal is refused as it should be.
    if is_refused && !party.hub().is_run_ending(run) {
        party.hub().told(WorkerFact::RenewalRefused { execution: run.execution(), is_healthy });
    }
}

impl HeldWork for &ClaimedTask {
    fn kind(&self) -> HandleKind {
        self.handle.kind
    }

    fn attempt_index(&self) -> u32 {
        self.attempt_index
    }

    async fn sleep_ms(&self, timer_ms: u64) {
        self.party.sleep_ms(timer_ms).await;
    }

    async fn progress(&mut self, percent: u8, message: &'static str) {
        let _ = self.backend.progress(&self.handle, Some(percent), Some(message.to_owned())).await;
    }

    async fn create_waitpoint(&mut self, expires_in_ms: u64) -> Option<Waitpoint> {
        let expires_in = Duration::from_millis(expires_in_ms);
        let created = self.backend.create_waitpoint(&self.handle, WAITPOINT_KEY, expires_in).await.ok()?;
        Some(Waitpoint { id: created.waitpoint_id, token: created.hmac_token.token().clone() })
    }

    async fn complete(self, payload: Option<Vec<u8>>) {
        let of = ("complete", TerminalOutcome::Success);
        self.end(of, || self.backend.complete(&self.handle, payload.clone())).await;
    }

    async fn fail(self, reason: &'static str) {
        let detail = || FailureReason::with_detail(reason, b"transient".to_vec());
        let of = ("fail", TerminalOutcome::Failed);
        self.end(of, || self.backend.fail(&self.handle, detail(), FailureClass::Transient)).await;
    }

    async fn cancel(self, reason: &'static str) {
        self.end(("cancel", TerminalOutcome::Cancelled), || self.backend.cancel(&self.handle, reason)).await;
    }

    async fn delay(self, until: TimestampMs) {
        let _ = self.backend.delay(&self.handle, until).await;
    }

    async fn wait_children(self) {
        let _ = self.backend.wait_children(&self.handle).await;
    }

    async fn suspend(
        self,
        on: Option<Waitpoint>,
        condition: ResumeCondition,
        (timeout_at, behavior): (TimestampMs, TimeoutBehavior),
    ) -> Parked<Self> {
        let binding = match on {
            Some(waitpoint) => WaitpointBinding::UsePending { waitpoint_id: waitpoint.id },
            None => WaitpointBinding::Fresh {
                waitpoint_id: WaitpointId::from_uuid(self.application.new_id("waitpoint")),
                waitpoint_key: WAITPOINT_KEY.into(),
            },
        };
        let args = SuspendArgs::new(
            SuspensionId::from_uuid(self.application.new_id("suspension")),
            binding,
            condition,
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            self.party.now().to_wire(),
        )
        .with_requester(SuspensionRequester::Worker)
        .with_timeout(timeout_at, behavior);
        match self.backend.suspend(&self.handle, args).await {
            Ok(SuspendOutcome::Suspended { details, .. }) => {
                let token = details.waitpoint_token.token().clone();
                Parked::Suspended(Waitpoint { id: details.waitpoint_id, token })
            }
            Ok(SuspendOutcome::AlreadySatisfied { .. }) => Parked::Satisfied(self),
            _ => Parked::Refused,
        }
    }
}

/// A refusal after which the renewal loop ends silently.
pub(super) fn is_final(error: &EngineError) -> bool {
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
