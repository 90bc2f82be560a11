//! The world's half of the comparison message by message: a call of a party begins, goes on and ends on
//! a shipped client too, and what the server performs on the model it performs for real.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::Server as _;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;

use super::World;
use super::party::Party;
use crate::call::{Answer, Answerer, Call, Caller};
use crate::live::shadow::{Held, Shadow};
use crate::live::unit::{Unit, lock};

/// One call of a party with its shipped client.
#[derive(Clone)]
pub struct Conversation {
    shadow: Arc<Mutex<Shadow>>,
    number: u64,
    party: Party,
}

impl Conversation {
    /// The model's client sends a message.
    pub(super) fn sent(&self, message: &Message) -> Option<Arc<Held>> {
        let ids = self.party.ids();
        lock(&self.shadow).sent(self.number, message, &ids)
    }

    /// A reply reaches the client, or it gives up.
    pub(super) fn heard(&self, held: Option<Arc<Held>>) {
        let wall = self.party.now().to_wire();
        let minted = match held {
            Some(held) => lock(&self.shadow).answered(self.number, wall, &held),
            None => lock(&self.shadow).lost(self.number, wall),
        };
        self.party.hub().give_ids(minted);
    }
}

/// Ends a shipped client's call with the process that made it.
struct Mortal(Conversation);

impl Drop for Mortal {
    fn drop(&mut self) {
        lock(&self.0.shadow).forget(self.0.number);
    }
}

struct Shadowed {
    party: Party,
    shadow: Arc<Mutex<Shadow>>,
    partitions: PartitionConfig,
}

/// The trait over a party's way to the server, each call begun on a shipped client too.
pub(super) fn backend(
    party: &Party,
    shadow: &Arc<Mutex<Shadow>>,
    partitions: PartitionConfig,
) -> Arc<dyn EngineBackend> {
    let (party, shadow) = (party.clone(), Arc::clone(shadow));
    Arc::new(Caller(Shadowed { party, shadow, partitions }))
}

#[async_trait]
impl Answerer for Shadowed {
    async fn answer(&self, call: Call) -> Answer {
        let party = &self.party;
        let (number, minted) = lock(&self.shadow).begin(party.now().to_wire(), &call);
        party.hub().give_ids(minted);
        let conversation = Conversation { shadow: Arc::clone(&self.shadow), number, party: party.clone() };
        let mortal = Mortal(conversation.clone());
        let backend = party.shadowed(conversation).backend(self.partitions).with_scheduler();
        let answer = call.perform(&backend as &dyn EngineBackend).await;
        lock(&self.shadow).end(number, &answer);
        drop(mortal);
        answer
    }
}

impl World {
    /// The server performs for real what the model just has.
    pub(super) fn deliver_shadow(&mut self, held: &Held, message: &Message, reply: &Reply) {
        let Some(Unit::Message(shadow)) = &self.watch.unit else { return };
        let shadow = Arc::clone(shadow);
        let now = self.server_clock.at(self.now);
        // What only reads changes nothing that could differ.
        let about = message.execution().filter(|_| matches!(message, Message::Script(_)));
        let touched: BTreeSet<_> = about.into_iter().chain(self.store.changes().executions()).collect();
        for no in &touched {
            self.store.lapse(*no, now);
        }
        let ids = self.hub.ids();
        lock(&shadow).deliver(now, held, message, reply.label(), &self.store, &ids, &touched);
    }

    /// Whether the comparison has ended the world.
    pub(super) fn told_apart(&self) -> bool {
        self.watch.unit.as_ref().is_some_and(|unit| unit.record(|record| record.is_over()))
    }

    /// Compares all keys at the end of the world.
    pub(super) fn finish_comparison(&mut self) {
        let Some(unit) = self.watch.unit.clone() else { return };
        let now = self.server_clock.at(self.now);
        let ids = self.hub.ids();
        match unit {
            Unit::Call(whole) => lock(&whole).finish(now, &self.store, &ids),
            Unit::Message(shadow) => lock(&shadow).finish(now, &self.store, &ids),
        }
    }
}
