//! What a world offers to somebody who lays another server beside the model: to see every call or message of every
//! party, and to be told when the server performs it.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use claimlab_model::backend::ModelBackend;
use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::message::{Message, Reply};
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, TimestampMs};
use uuid::Uuid;

use super::World;
use super::hub::{PartyNo, TaskNo};
use super::outgoing::{Load, Outgoing};
use super::party::Party;
use super::wait::Ended;
use crate::clock::TrueTime;

/// What a message carries for the other server; the world hands it on unopened.
pub type Tag = dyn Any + Send + Sync;

/// Another server laid beside the model of one world.
pub trait Beside: Send + Sync {
    /// What a party calls in place of the model's own backend.
    fn backend(&self, party: &Party, partitions: PartitionConfig) -> Arc<dyn EngineBackend>;

    /// The server has performed a tagged message on the model.
    fn performed(&self, tag: &Tag, message: &Message, reply: &Reply, model: &Performed<'_>);

    /// The model has written the admission fields of an execution, which no call of the trait does.
    fn attached(&self, execution: &ExecutionId, budgets: Option<&str>, quota: Option<&str>);

    /// Whether the comparison has come to its end, and the world with it.
    fn is_over(&self) -> bool;

    /// The world has ended.
    fn finish(&self, model: &Performed<'_>);
}

/// The model when the server has performed something.
pub struct Performed<'a> {
    /// The server's time.
    pub now: ServerTime,
    /// What it holds.
    pub store: &'a Store,
    /// The ids of this world.
    pub ids: &'a Interner,
    /// The executions that were changed or looked at.
    pub touched: &'a BTreeSet<ExecutionNo>,
}

/// One message of a party's call, on its way to the server and back.
pub trait Conversation: Send + Sync {
    /// The party sends a message; what the message carries for the other server.
    fn sent(&self, party: &Party, message: &Message) -> Option<Arc<Tag>>;

    /// The reply reached the party, or it has given up.
    fn heard(&self, party: &Party, tag: Option<&Tag>);
}

/// A call of the trait that is delivered in one piece.
pub trait WholeCall: Send {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// Performs the call; the answer is what the caller gets. None ends the world.
    fn perform(&self, inline: &mut Inline<'_>) -> Option<Box<dyn Any + Send>>;
}

/// The model's server while it performs a whole call.
pub struct Inline<'w> {
    world: &'w mut World,
    party: PartyNo,
    number: u64,
    touched: BTreeSet<ExecutionNo>,
}

/// A task that is not on the list: the server's own.
const SERVERS_OWN: TaskNo = TaskNo::MAX;

impl Inline<'_> {
    /// The server's time.
    pub fn now(&self) -> ServerTime {
        self.world.server_clock.at(self.world.now)
    }

    /// What the caller's clock shows.
    pub fn caller_now(&self) -> TimestampMs {
        self.clock_of(self.party)
    }

    /// True time.
    pub fn true_time(&self) -> TrueTime {
        self.world.now
    }

    /// The caller.
    pub fn party(&self) -> PartyNo {
        self.party
    }

    /// The kind of party that calls.
    pub fn role(&self) -> &'static str {
        self.world.seats[self.party].key.role()
    }

    /// The caller's name.
    pub fn name(&self) -> String {
        self.world.seats[self.party].key.to_string()
    }

    /// What the clock of any party shows.
    pub fn clock_of(&self, party: PartyNo) -> TimestampMs {
        self.world.hub.clock(party).at(self.world.now).to_wire()
    }

    /// The next ids that the model's client mints: those that another client minted.
    pub fn give_ids(&self, ids: impl IntoIterator<Item = Uuid>) {
        self.world.hub.give_ids(ids);
    }

    /// Has a call's conversation run on the model's server, each message answered at once; `heard` is told the name
    /// and the label of each.
    pub fn run<T>(&mut self, call: impl AsyncFnOnce(&dyn EngineBackend) -> T, heard: &mut dyn FnMut(&str, &str)) -> T {
        let backend = self.backend();
        let mut future = Box::pin(call(&*backend as &dyn EngineBackend));
        let mut outbox = Vec::new();
        loop {
            self.world.hub.enter(self.world.now, SERVERS_OWN, self.party);
            if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return answer;
            }
            self.world.hub.drain(&mut outbox);
            for outgoing in outbox.drain(..) {
                let Outgoing::Send { wait, flight } = outgoing else { continue };
                if let Load::Message(message) = flight.load {
                    let reply = self.world.perform(self.party, self.number, &message);
                    heard(message.name(), reply.label());
                    let changed = self.world.store.changes().executions();
                    self.touched.extend(message.execution().into_iter().chain(changed));
                    self.world.hub.end(wait, Ended::Answered(reply));
                }
            }
        }
    }

    /// The model after the call; keys past their expiry that the call touched are dropped, as a look at them does.
    pub fn look<T>(&mut self, look: impl FnOnce(&Performed<'_>) -> T) -> T {
        let now = self.now();
        for execution in &self.touched {
            self.world.store.lapse(*execution, now);
        }
        let ids = self.world.hub.ids();
        look(&Performed { now, store: &self.world.store, ids: &ids, touched: &self.touched })
    }

    /// The model's backend of the caller; the scheduler's is kept, because its rotation goes on.
    fn backend(&mut self) -> Arc<ModelBackend<Party>> {
        let world = &mut *self.world;
        let partitions =
            PartitionConfig { num_flow_partitions: world.plan.world.partitions, ..PartitionConfig::default() };
        let (hub, party) = (Arc::clone(&world.hub), self.party);
        let fresh = move || Party::new(hub, party).backend(partitions);
        if world.seats[party].key.role() == "scheduler" {
            let kept = world.inline_schedulers.entry(party).or_insert_with(|| Arc::new(fresh().with_scheduler()));
            return Arc::clone(kept);
        }
        Arc::new(fresh())
    }
}

impl World {
    /// Performs a whole call.
    pub(super) fn perform_whole(&mut self, party: PartyNo, number: u64, call: &dyn WholeCall) -> Ended {
        let answer = call.perform(&mut Inline { world: self, party, number, touched: BTreeSet::new() });
        self.over |= answer.is_none();
        answer.map_or(Ended::Unanswered, Ended::Value)
    }

    /// The other server performs what the model just has.
    pub(super) fn perform_beside(&mut self, tag: &Tag, message: &Message, reply: &Reply) {
        let Some(beside) = self.options.beside.clone() else { return };
        let now = self.server_clock.at(self.now);
        // What only reads changes nothing that could differ.
        let about = message.execution().filter(|_| matches!(message, Message::Script(_)));
        let touched: BTreeSet<_> = about.into_iter().chain(self.store.changes().executions()).collect();
        for execution in &touched {
            self.store.lapse(*execution, now);
        }
        let ids = self.hub.ids();
        beside.performed(tag, message, reply, &Performed { now, store: &self.store, ids: &ids, touched: &touched });
    }

    /// Whether a comparison has ended the world.
    pub(super) fn is_told_apart(&self) -> bool {
        self.options.beside.as_ref().is_some_and(|beside| beside.is_over())
    }

    /// Compares everything at the end of the world.
    pub(super) fn finish_comparison(&mut self) {
        let Some(beside) = self.options.beside.clone() else { return };
        let (now, touched) = (self.server_clock.at(self.now), BTreeSet::new());
        let ids = self.hub.ids();
        beside.finish(&Performed { now, store: &self.store, ids: &ids, touched: &touched });
    }
}
