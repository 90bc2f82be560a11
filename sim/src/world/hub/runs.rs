//! Runs at the meeting place: what parties say of the executions that they run, and what the server's state says of the
//! leases under them.

use claimlab_model::intern::ExecutionNo;
use ff_core::types::LeaseEpoch;

use super::{Hub, PartyNo, lock};
use crate::clock::TrueTime;
use crate::outcome::Runs;
use crate::world::outgoing::Outgoing;
use crate::world::run::RunNo;

impl Hub {
    /// Notes that a party started to run an execution under a lease.
    pub fn run_started(&self, party: PartyNo, execution: ExecutionNo, epoch: LeaseEpoch) -> RunNo {
        let mut inner = lock(&self.inner);
        inner.parties[party].running += 1;
        if self.recording {
            let running = inner.parties[party].running;
            inner.out.push(Outgoing::RunStarted { execution, epoch: epoch.0, running });
        }
        let now = inner.now;
        inner.runs.start(execution, epoch, now)
    }

    /// An execution has met the cap on its reclaims.
    pub(in crate::world) fn met_cap(&self, execution: ExecutionNo) {
        lock(&self.inner).runs.met_cap(execution);
    }

    /// Notes that somebody means an execution to run so many milliseconds from now, by true time.
    pub fn means_to_run(&self, execution: ExecutionNo, in_ms: u64) {
        let mut inner = lock(&self.inner);
        let at = inner.now.plus_ms(in_ms);
        inner.runs.means(execution, at);
    }

    /// Notes whether a party gives up the lease of its run by itself.
    pub fn run_ending(&self, run: RunNo, ending: bool) {
        lock(&self.inner).runs.ending(run, ending);
    }

    /// Whether a party gives up the lease of its run by itself.
    pub fn is_run_ending(&self, run: RunNo) -> bool {
        lock(&self.inner).runs.is_ending(run)
    }

    /// Notes whether a party calls the lease of its run healthy.
    pub fn run_doubted(&self, run: RunNo, doubts: bool) {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        inner.runs.doubts(run, doubts, now);
    }

    /// Notes that a party stopped running an execution.
    pub fn run_ended(&self, party: PartyNo, run: RunNo) {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        inner.parties[party].running -= 1;
        // A run that ends with its process ends outside of its party's turn; the crash is told instead.
        if self.recording && inner.party == party {
            let running = inner.parties[party].running;
            inner.out.push(Outgoing::RunEnded { execution: run.execution(), running });
        }
        let loss = inner.runs.end(run, now);
        if let Some(loss) = loss.filter(|_| inner.party == party) {
            inner.out.push(Outgoing::Lost(loss));
        }
    }

    /// Whether anybody has run an execution since a time.
    pub(in crate::world) fn is_run_since(&self, execution: ExecutionNo, since: TrueTime) -> bool {
        lock(&self.inner).runs.is_run_since(execution, since)
    }

    /// Tells which lease of an execution is live by the server's state.
    pub(in crate::world) fn live_lease(&self, execution: ExecutionNo, epoch: Option<LeaseEpoch>, now: TrueTime) {
        lock(&self.inner).runs.live_lease(execution, epoch, now);
    }

    /// Executions that anybody runs now, zombies included.
    pub fn runs_under_way(&self) -> u64 {
        lock(&self.inner).runs.under_way()
    }

    /// Executions that a party runs now.
    pub fn running(&self, party: PartyNo) -> u32 {
        lock(&self.inner).parties[party].running
    }

    /// How executions were run.
    pub fn run_counts(&self) -> Runs {
        lock(&self.inner).runs.counts()
    }
}
