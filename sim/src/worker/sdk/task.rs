//! A task of the shipped worker in the hands of an application.

use std::sync::{Arc, Mutex, PoisonError};

use ff_core::backend::{HandleKind, PendingWaitpoint, WaitpointHmac};
use ff_core::contracts::{ResumeCondition, ResumePolicy, SuspensionReasonCode, TimeoutBehavior};
use ff_core::types::TimestampMs;
use ff_sdk::task::{ClaimedTask, TrySuspendOutcome};

use super::bridge::Bridge;
use super::clock::entered;
use crate::worker::application::{Application, HeldWork, Parked, WAITPOINT_KEY, Waitpoint};
use crate::worker::native::Permit;
use crate::world::Party;

/// The shipped task, where its host can look at it too; none when it is gone.
pub(super) type Kept = Arc<Mutex<Option<ClaimedTask>>>;

fn take(kept: &Kept) -> Option<ClaimedTask> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn keep(kept: &Kept, task: ClaimedTask) {
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
}

/// A task with what runs it.
pub(super) struct ShippedTask {
    held: HeldTask,
    application: Application,
    _permit: Option<Permit>,
}

impl ShippedTask {
    pub(super) fn new(
        task: ClaimedTask,
        application: Application,
        bridge: Bridge,
        kind: HandleKind,
        permit: Option<Permit>,
    ) -> Self {
        let (party, attempt_index) = (application.party.clone(), task.attempt_index().0);
        let kept = Kept::default();
        keep(&kept, task);
        Self { held: HeldTask { kept, party, bridge, kind, attempt_index }, application, _permit: permit }
    }

    /// Where the host can look at it.
    pub(super) fn kept(&self) -> &Kept {
        &self.held.kept
    }

    /// Works until the task has ended in one way or another; the shipped worker renews meanwhile.
    pub(super) async fn run(self) {
        self.application.work(self.held).await;
    }
}

struct HeldTask {
    kept: Kept,
    party: Party,
    bridge: Bridge,
    kind: HandleKind,
    attempt_index: u32,
}

impl Drop for HeldTask {
    fn drop(&mut self) {
        drop(take(&self.kept));
    }
}

impl HeldTask {
    /// The shipped task, for a call that it is not looked at during.
    fn task(&self) -> ClaimedTask {
        take(&self.kept).expect("a task is held until it has ended")
    }
}

impl HeldWork for HeldTask {
    fn kind(&self) -> HandleKind {
        self.kind
    }

    fn attempt_index(&self) -> u32 {
        self.attempt_index
    }

    async fn sleep_ms(&self, timer_ms: u64) {
        self.bridge.sleep_ms(&self.party, timer_ms).await;
    }

    async fn progress(&mut self, percent: u8, message: &'static str) {
        let task = self.task();
        let _ = task.update_progress(percent, message).await;
        keep(&self.kept, task);
    }

    async fn create_waitpoint(&mut self, expires_in_ms: u64) -> Option<Waitpoint> {
        let task = self.task();
        let created = task.create_pending_waitpoint(WAITPOINT_KEY, expires_in_ms).await;
        keep(&self.kept, task);
        created.ok().map(|(id, token)| Waitpoint { id, token })
    }

    async fn complete(self, payload: Option<Vec<u8>>) {
        let _ = self.task().complete(payload).await;
    }

    async fn fail(self, reason: &'static str) {
        let _ = self.task().fail(reason, "transient").await;
    }

    async fn cancel(self, reason: &'static str) {
        let _ = self.task().cancel(reason).await;
    }

    async fn delay(self, until: TimestampMs) {
        let _ = self.task().delay_execution(until).await;
    }

    async fn wait_children(self) {
        let _ = self.task().move_to_waiting_children().await;
    }

    async fn suspend(
        self,
        on: Option<Waitpoint>,
        condition: ResumeCondition,
        timeout: (TimestampMs, TimeoutBehavior),
    ) -> Parked<Self> {
        let (task, reason, policy) = (self.task(), SuspensionReasonCode::WaitingForSignal, ResumePolicy::normal());
        let suspended = match on {
            Some(waitpoint) => {
                let pending = PendingWaitpoint::new(waitpoint.id, WaitpointHmac::new(waitpoint.token.as_str()));
                let suspend = task.try_suspend_on_pending(&pending, reason, condition, Some(timeout), policy);
                entered(&self.party, suspend).await
            }
            None => entered(&self.party, task.try_suspend(reason, condition, Some(timeout), policy)).await,
        };
        match suspended {
            Ok(TrySuspendOutcome::Suspended(suspended)) => {
                let details = suspended.details;
                let token = details.waitpoint_token.token().clone();
                Parked::Suspended(Waitpoint { id: details.waitpoint_id, token })
            }
            Ok(TrySuspendOutcome::AlreadySatisfied { task, .. }) => {
                keep(&self.kept, task);
                Parked::Satisfied(self)
            }
            Err(_) => Parked::Refused,
        }
    }
}
