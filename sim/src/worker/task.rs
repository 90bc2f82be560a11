//! A claimed task of the native worker: work beside renewal, one end, after `ff-sdk/src/task.rs`.
//!
//! Nothing here looks at the lease's own expiry. A worker that was stalled past it goes on with its
//! work and learns the truth from the server's answer, or never.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ff_core::backend::{FailureClass, FailureReason, Handle, HandleKind};
use ff_core::contracts::{
    ResumeCondition, ResumePolicy, SuspendArgs, SuspendOutcome, SuspendOutcomeDetails, SuspensionReasonCode,
    SuspensionRequester, TimeoutBehavior, WaitpointBinding,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind};
use ff_core::handle_codec;
use ff_core::types::{ExecutionId, SuspensionId, TimestampMs, WaitpointId};

use super::Surroundings;
use super::application::{Application, Held, WAITPOINT_KEY};
use super::native::Permit;
use crate::world::Party;

/// A task with its lease.
pub(super) struct ClaimedTask {
    party: Party,
    backend: Arc<dyn EngineBackend>,
    lease_ttl_ms: u64,
    /// When the process began, in microseconds of the party's timer.
    began_us: u64,
    handle: Handle,
    application: Application,
    _permit: Option<Permit>,
}

impl ClaimedTask {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        party: Party,
        backend: Arc<dyn EngineBackend>,
        surroundings: Surroundings,
        began_us: u64,
        id: ExecutionId,
        handle: Handle,
        payload: &[u8],
        permit: Option<Permit>,
    ) -> Self {
        let lease_ttl_ms = surroundings.lease_ttl_ms;
        let application = Application::new(party.clone(), surroundings, id, payload);
        Self { party, backend, lease_ttl_ms, began_us, handle, application, _permit: permit }
    }

    /// Works and renews until the task has ended in one way or another.
    pub(super) async fn run(self) {
        let _running = self.application.running();
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
            if let Err(error) = self.backend.renew(&self.handle).await
                && is_final(&error)
            {
                return;
            }
        }
    }
}

impl Held for &ClaimedTask {
    fn kind(&self) -> HandleKind {
        self.handle.kind
    }

    fn attempt_index(&self) -> u32 {
        handle_codec::decode(&self.handle.opaque).map_or(0, |decoded| decoded.payload.attempt_index.0)
    }

    async fn sleep_ms(&self, timer_ms: u64) {
        self.party.sleep_ms(timer_ms).await;
    }

    async fn complete(self, payload: Option<Vec<u8>>) {
        let _ = self.backend.complete(&self.handle, payload).await;
    }

    async fn fail(self, reason: &'static str) {
        let _ = self
            .backend
            .fail(&self.handle, FailureReason::with_detail(reason, b"transient".to_vec()), FailureClass::Transient)
            .await;
    }

    async fn cancel(self, reason: &'static str) {
        let _ = self.backend.cancel(&self.handle, reason).await;
    }

    async fn delay(self, until: TimestampMs) {
        let _ = self.backend.delay(&self.handle, until).await;
    }

    async fn suspend(
        self,
        condition: ResumeCondition,
        (timeout_at, behavior): (TimestampMs, TimeoutBehavior),
    ) -> Option<SuspendOutcomeDetails> {
        let args = SuspendArgs::new(
            SuspensionId::from_uuid(self.party.uuid()),
            WaitpointBinding::Fresh {
                waitpoint_id: WaitpointId::from_uuid(self.party.uuid()),
                waitpoint_key: WAITPOINT_KEY.into(),
            },
            condition,
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            self.party.now().to_wire(),
        )
        .with_requester(SuspensionRequester::Worker)
        .with_timeout(timeout_at, behavior);
        match self.backend.suspend(&self.handle, args).await {
            Ok(SuspendOutcome::Suspended { details, .. }) => Some(details),
            _ => None,
        }
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
