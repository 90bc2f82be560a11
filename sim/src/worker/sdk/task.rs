//! A task of the shipped worker in the hands of an application.

use ff_core::backend::HandleKind;
use ff_core::contracts::{ResumeCondition, ResumePolicy, SuspendOutcomeDetails, SuspensionReasonCode, TimeoutBehavior};
use ff_core::types::TimestampMs;
use ff_sdk::task::ClaimedTask;

use super::bridge::Bridge;
use super::clock::entered;
use crate::worker::application::{Application, Held};
use crate::worker::native::Permit;
use crate::world::Party;

/// A task with what runs it.
pub(super) struct Task {
    held: HeldTask,
    application: Application,
    _permit: Option<Permit>,
}

impl Task {
    pub(super) fn new(
        task: ClaimedTask,
        application: Application,
        bridge: Bridge,
        kind: HandleKind,
        permit: Option<Permit>,
    ) -> Self {
        let party = application.party.clone();
        Self { held: HeldTask { task, party, bridge, kind }, application, _permit: permit }
    }

    /// Works until the task has ended in one way or another; the shipped worker renews meanwhile.
    pub(super) async fn run(self) {
        let _running = self.application.running();
        self.application.work(self.held).await;
    }
}

struct HeldTask {
    task: ClaimedTask,
    party: Party,
    bridge: Bridge,
    kind: HandleKind,
}

impl Held for HeldTask {
    fn kind(&self) -> HandleKind {
        self.kind
    }

    fn attempt_index(&self) -> u32 {
        self.task.attempt_index().0
    }

    async fn sleep_ms(&self, timer_ms: u64) {
        self.bridge.sleep_ms(&self.party, timer_ms).await;
    }

    async fn complete(self, payload: Option<Vec<u8>>) {
        let _ = self.task.complete(payload).await;
    }

    async fn fail(self, reason: &'static str) {
        let _ = self.task.fail(reason, "transient").await;
    }

    async fn cancel(self, reason: &'static str) {
        let _ = self.task.cancel(reason).await;
    }

    async fn delay(self, until: TimestampMs) {
        let _ = self.task.delay_execution(until).await;
    }

    async fn suspend(
        self,
        condition: ResumeCondition,
        timeout: (TimestampMs, TimeoutBehavior),
    ) -> Option<SuspendOutcomeDetails> {
        let reason = SuspensionReasonCode::WaitingForSignal;
        let suspend = self.task.suspend(reason, condition, Some(timeout), ResumePolicy::normal());
        entered(&self.party, suspend).await.ok().map(|suspended| suspended.details)
    }
}
