//! Whole calls: a call and everything that it asks of the server, delivered in one piece, to the model
//! and to a real server alike.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use claimlab_model::backend::ModelBackend;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;

use super::World;
use super::hub::{PartyNo, TaskNo};
use super::outgoing::{Load, Outgoing};
use super::party::Party;
use super::wait::Ended;
use crate::call::{Answer, Call};
use crate::live::unit::{Unit, lock};
use crate::plan::PartyKey;

/// A task that is not on the list: the server's own.
const SERVERS_OWN: TaskNo = TaskNo::MAX;

impl World {
    /// Performs a call on the real server, then on the model, and compares.
    pub(super) fn perform_whole(&mut self, party: PartyNo, number: u64, call: &Call) -> Ended {
        let Some(Unit::Call(whole)) = self.watch.unit.clone() else { return Ended::Unanswered };
        let mut whole = lock(&whole);
        let now = self.server_clock.at(self.now);
        let caller_now = self.hub.clock(party).at(self.now).to_wire();
        let Some((server, minted)) = whole.begin(now, caller_now, call) else {
            self.over = true;
            return Ended::Unanswered;
        };
        self.hub.give_ids(minted);
        let mut touched = BTreeSet::new();
        let model =
            self.run_inline(party, number, call, &mut touched, &mut |name, outcome| whole.message(name, outcome));
        for no in &touched {
            self.store.lapse(*no, now);
        }
        let ids = self.hub.ids();
        let goes_on = whole.end(now, call, &model, &server, &self.store, &ids, &touched);
        drop(ids);
        self.over |= !goes_on;
        Ended::Value(Box::new(model))
    }

    /// Runs a call's conversation with the model's server, each message answered at once.
    fn run_inline(
        &mut self,
        party: PartyNo,
        number: u64,
        call: &Call,
        touched: &mut BTreeSet<claimlab_model::intern::ExecutionNo>,
        heard: &mut dyn FnMut(&str, &str),
    ) -> Answer {
        let backend = self.inline_backend(party);
        let mut future = Box::pin(call.perform(&*backend as &dyn EngineBackend));
        let mut outbox = Vec::new();
        loop {
            self.hub.enter(self.now, SERVERS_OWN);
            if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return answer;
            }
            self.hub.drain(&mut outbox);
            for outgoing in outbox.drain(..) {
                if let Outgoing::Send { wait, load: Load::Message(message), .. } = outgoing {
                    let reply = self.perform(party, number, &message);
                    heard(message.name(), reply.label());
                    touched.extend(message.execution().into_iter().chain(self.store.changes().executions()));
                    self.hub.end(wait, Ended::Answered(reply));
                }
            }
        }
    }

    /// The model's backend of a party; the scheduler's is kept, because its rotation goes on.
    fn inline_backend(&mut self, party: PartyNo) -> Arc<ModelBackend<Party>> {
        let partitions =
            PartitionConfig { num_flow_partitions: self.plan.world.partitions, ..PartitionConfig::default() };
        let fresh = || Party::new(Arc::clone(&self.hub), party).backend(partitions);
        if self.seats[party].key == PartyKey::SCHEDULER {
            let kept = self.inline_scheduler.get_or_insert_with(|| Arc::new(fresh().with_scheduler()));
            return Arc::clone(kept);
        }
        Arc::new(fresh())
    }
}
