//! The real server beside a world's model: call by call, or message by message.

use std::any::Any;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::Server as _;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::ExecutionId;

use super::shadow::{HeldBack, Shadow};
use super::unit::{Unit, lock};
use super::whole::Whole;
use crate::call::{Answer, Answerer, Call, Caller};
use crate::world::{Beside, Conversation, Inline, Party, Performed, Tag, WholeCall};

impl Beside for Unit {
    fn backend(&self, party: &Party, partitions: PartitionConfig) -> Arc<dyn EngineBackend> {
        let party = party.clone();
        match self {
            Self::Call(whole) => Arc::new(Caller(CallByCall { party, whole: Arc::clone(whole) })),
            Self::Message(shadow) => Arc::new(Caller(Shadowed { party, shadow: Arc::clone(shadow), partitions })),
        }
    }

    fn performed(&self, tag: &Tag, message: &Message, reply: &Reply, model: &Performed<'_>) {
        if let (Self::Message(shadow), Some(held)) = (self, tag.downcast_ref::<HeldBack>()) {
            lock(shadow).deliver(model.now, held, message, reply, model.store, model.ids, model.touched);
        }
    }

    fn attached(&self, execution: &ExecutionId, budgets: Option<&str>, quota: Option<&str>) {
        let attached = match self {
            Self::Call(whole) => lock(whole).attach(execution, budgets, quota),
            Self::Message(shadow) => lock(shadow).attach(execution, budgets, quota),
        };
        if let Err(error) = attached {
            self.record(|record| record.end(Err(error)));
        }
    }

    fn is_over(&self) -> bool {
        self.record(|record| record.is_over())
    }

    fn finish(&self, model: &Performed<'_>) {
        match self {
            Self::Call(whole) => lock(whole).finish(model.now, model.store, model.ids),
            Self::Message(shadow) => lock(shadow).finish(model.now, model.store, model.ids),
        }
    }
}

/// A party's way to both servers where whole calls are compared.
struct CallByCall {
    party: Party,
    whole: Arc<Mutex<Whole>>,
}

#[async_trait]
impl Answerer for CallByCall {
    async fn answer(&self, call: Call) -> Answer {
        let delivered = DeliveredCall { whole: Arc::clone(&self.whole), call: call.clone() };
        match self.party.whole::<Answer>(Box::new(delivered)).await {
            Some(answer) => answer,
            None => call.unanswered("valkey"),
        }
    }
}

/// A whole call on its way to both servers.
struct DeliveredCall {
    whole: Arc<Mutex<Whole>>,
    call: Call,
}

impl WholeCall for DeliveredCall {
    fn name(&self) -> &'static str {
        self.call.method()
    }

    fn perform(&self, inline: &mut Inline<'_>) -> Option<Box<dyn Any + Send>> {
        let mut whole = lock(&self.whole);
        let (server, minted) = whole.begin(inline.now(), inline.caller_now(), &self.call)?;
        inline.give_ids(minted);
        let heard = &mut |name: &str, outcome: &str| whole.message(name, outcome);
        let model = inline.run(async |backend| self.call.perform(backend).await, heard);
        let goes_on = inline.look(|performed| {
            let Performed { now, store, ids, touched } = performed;
            whole.end(*now, &self.call, &model, &server, store, ids, touched)
        });
        goes_on.then(|| Box::new(model) as Box<dyn Any + Send>)
    }
}

/// A party's way to both servers where messages are compared: each call is begun on a shipped client too.
struct Shadowed {
    party: Party,
    shadow: Arc<Mutex<Shadow>>,
    partitions: PartitionConfig,
}

#[async_trait]
impl Answerer for Shadowed {
    async fn answer(&self, call: Call) -> Answer {
        let party = &self.party;
        let (number, minted) = lock(&self.shadow).begin(party.now().to_wire(), &call);
        party.hub().give_ids(minted);
        let mortal = Arc::new(ShippedCall { shadow: Arc::clone(&self.shadow), number });
        let conversation: Arc<dyn Conversation> = Arc::clone(&mortal) as _;
        let backend = party.within(conversation).backend(self.partitions).with_scheduler();
        let answer = call.perform(&backend as &dyn EngineBackend).await;
        lock(&self.shadow).end(number, &answer);
        drop(mortal);
        answer
    }
}

/// One call of a party on its shipped client; it ends with the process that made it.
struct ShippedCall {
    shadow: Arc<Mutex<Shadow>>,
    number: u64,
}

impl Drop for ShippedCall {
    fn drop(&mut self) {
        lock(&self.shadow).forget(self.number);
    }
}

impl Conversation for ShippedCall {
    fn sent(&self, party: &Party, message: &Message) -> Option<Arc<Tag>> {
        let ids = party.ids();
        let held = lock(&self.shadow).sent(self.number, message, &ids)?;
        Some(held)
    }

    fn heard(&self, party: &Party, tag: Option<&Tag>) {
        let wall = party.now().to_wire();
        let held = tag.and_then(|tag| tag.downcast_ref::<HeldBack>());
        let minted = match held {
            Some(held) => lock(&self.shadow).answered(self.number, wall, held),
            None => lock(&self.shadow).lost(self.number, wall),
        };
        party.hub().give_ids(minted);
    }
}
