//! The server restarts, or a replica takes over that lacks its last writes and has a clock of its own.

use claimlab_model::invariant::Checker;
use claimlab_model::message::{Message, Reply};
use claimlab_model::script;
use claimlab_model::time::ServerTime;
use ff_core::state::{LifecyclePhase, OwnershipState};

use crate::clock::TrueTime;
use crate::world::World;
use crate::world::build::empty_store;

/// A message that the server has performed.
pub(in crate::world) struct Logged {
    /// When.
    at: TrueTime,
    /// The server's time then.
    now: ServerTime,
    /// The message.
    message: Message,
    /// Whether it changed something and said so.
    is_write: bool,
}

impl World {
    /// Nobody answers for so long; then the server goes on with all that it held.
    pub(super) fn restart_server(&mut self, down_ms: u64) {
        self.down_until = self.down_until.max(self.now.plus_ms(down_ms));
        self.disturbed_until = self.disturbed_until.max(self.down_until);
    }

    /// Keeps a performed message for a replica to be made of.
    pub(in crate::world) fn log(&mut self, now: ServerTime, message: &Message, reply: &Reply) {
        let is_write = matches!(reply, Reply::Done(_)) && !self.store.changes().is_empty();
        if let Some(log) = &mut self.log {
            log.push(Logged { at: self.now, now, message: message.clone(), is_write });
        }
    }

    /// A replica takes over: it holds what the server had performed up to some time ago. What the checks expect begins
    /// there too, so that the replica is judged by what it knows.
    pub(super) fn fail_over(&mut self, lose_ms: u64, clock_ms: i64, down_ms: u64) {
        self.restart_server(down_ms);
        self.server_clock.step_ms(clock_ms);
        let Some(mut log) = self.log.take() else { return };
        let cut = TrueTime::from_us(self.now.us().saturating_sub(lose_ms.saturating_mul(1_000)));
        let kept = log.partition_point(|logged| logged.at <= cut);
        self.counts.lost_writes += log[kept..].iter().filter(|logged| logged.is_write).count() as u64;
        log.truncate(kept);
        let mut store = empty_store(&self.plan);
        let mut checker = Checker::with(self.options.checks.of_a_run());
        for Logged { now, message, .. } in &log {
            let reply = script::perform(&mut store, *now, message);
            checker.observe(&store, *now, message, &reply);
        }
        store.forget_changes();
        checker.count_on(&self.checker);
        (self.store, self.checker, self.log) = (store, checker, Some(log));
        let open = |phase| phase != LifecyclePhase::Terminal;
        let executions = || self.store.executions().map(|found| (found.number, &found.core));
        self.unfinished = executions().filter(|(_, core)| open(core.vector.lifecycle_phase)).count() as u64;
        for (number, core) in executions() {
            let is_leased = core.vector.ownership_state == OwnershipState::Leased;
            self.hub.live_lease(number, is_leased.then_some(core.current_lease_epoch), self.now);
        }
    }
}
