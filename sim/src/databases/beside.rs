//! A party's way to a database: its calls are delivered as wholes and performed there, each before a look at the
//! execution that it is about.

use std::any::Any;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use claimlab_model::message::{Message, Reply};
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, TimestampMs};

use super::host::Host;
use super::judge::{Deed, Done, Found, Judge};
use super::subject;
use crate::call::{Answer, Answerer, Call, Caller};
use crate::live::unit::lock;
use crate::matrix::databases::Error;
use crate::world::{Beside, Inline, Party, Performed, Tag, WholeCall};

/// What all parties of one world share.
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    pub(super) judge: Mutex<Judge>,
    error: Mutex<Option<Error>>,
}

impl Shared {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, judge: Mutex::default(), error: Mutex::new(None) }
    }

    /// Why the database could not be used any more, where that ended the world.
    pub(super) fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    fn kept<T>(&self, done: Result<T, Error>) -> Option<T> {
        done.map_err(|error| *lock(&self.error) = Some(error)).ok()
    }

    fn look(&self, id: Option<&ExecutionId>, now: TimestampMs) -> Option<Option<Found>> {
        id.map_or(Some(None), |id| self.kept(self.host.look(id, now)))
    }

    /// After a replay, whether the result of the life before can still be read.
    fn keeps_result(&self, answer: &Answer, id: Option<&ExecutionId>, now: TimestampMs) -> Option<Option<bool>> {
        let (Answer::ReplayExecution(Ok(_)), Some(id)) = (answer, id) else { return Some(None) };
        let read = self.kept(self.host.perform(Call::GetExecutionResult { id: id.clone() }, now))?;
        Some(Some(matches!(read, Answer::GetExecutionResult(Ok(Some(_))))))
    }

    /// Shows the judge something that was done.
    fn see(
        &self,
        inline: &Inline<'_>,
        id: Option<&ExecutionId>,
        done: &Done<'_>,
        looks: [Option<Found>; 2],
        keeps_result: Option<bool>,
    ) {
        let [before, after] = looks;
        let clock_of = |party| inline.clock_of(party).0;
        let deed = Deed {
            at_us: inline.true_time().us(),
            party: inline.party(),
            role: inline.role(),
            by: inline.name(),
            clock_of: &clock_of,
            id,
            done,
            before,
            after,
            keeps_result,
        };
        lock(&self.judge).see(&deed);
    }
}

/// The database as the world knows it.
pub(super) struct OnDatabase(pub(super) Arc<Shared>);

impl Beside for OnDatabase {
    fn backend(&self, party: &Party, _: PartitionConfig) -> Arc<dyn EngineBackend> {
        Arc::new(Caller(PartyCalls { party: party.clone(), shared: Arc::clone(&self.0) }))
    }

    fn performed(&self, _: &Tag, _: &Message, _: &Reply, _: &Performed<'_>) {}

    fn attached(&self, _: &ExecutionId, _: Option<&str>, _: Option<&str>) {}

    fn is_over(&self) -> bool {
        lock(&self.0.error).is_some()
    }

    fn finish(&self, _: &Performed<'_>) {}
}

/// A party's calls.
struct PartyCalls {
    party: Party,
    shared: Arc<Shared>,
}

#[async_trait]
impl Answerer for PartyCalls {
    async fn answer(&self, call: Call) -> Answer {
        let delivered = DeliveredCall { shared: Arc::clone(&self.shared), call: call.clone() };
        match self.party.whole::<Answer>(Box::new(delivered)).await {
            Some(answer) => answer,
            None => call.unanswered("database"),
        }
    }
}

/// A call on its way to the database.
struct DeliveredCall {
    shared: Arc<Shared>,
    call: Call,
}

impl WholeCall for DeliveredCall {
    fn name(&self) -> &'static str {
        self.call.method()
    }

    fn perform(&self, inline: &mut Inline<'_>) -> Option<Box<dyn Any + Send>> {
        let (shared, now) = (&*self.shared, inline.caller_now());
        let answer = shared.kept(shared.host.perform(self.call.clone(), now))?;
        let about = subject::of_call(&self.call).or_else(|| subject::of_answer(&answer));
        let before = about.as_ref().and_then(|id| lock(&shared.judge).last(id));
        let after = shared.look(about.as_ref(), now)?;
        let keeps_result = shared.keeps_result(&answer, about.as_ref(), now)?;
        let done = Done::Call { call: &self.call, answer: &answer };
        shared.see(inline, about.as_ref(), &done, [before, after], keeps_result);
        Some(Box::new(answer))
    }
}

/// A reconciler's pass on its way to the database.
pub(super) struct ReconcilerPass {
    pub(super) shared: Arc<Shared>,
    pub(super) reconciler: &'static str,
}

impl WholeCall for ReconcilerPass {
    fn name(&self) -> &'static str {
        self.reconciler
    }

    fn perform(&self, inline: &mut Inline<'_>) -> Option<Box<dyn Any + Send>> {
        let (shared, now) = (&*self.shared, inline.caller_now());
        let known = lock(&shared.judge).open();
        shared.kept(shared.host.pass(self.reconciler, now))?;
        for id in &known {
            let (before, after) = (lock(&shared.judge).last(id), shared.look(Some(id), now)?);
            shared.see(inline, Some(id), &Done::Pass(self.reconciler), [before, after], None);
        }
        Some(Box::new(()))
    }
}
