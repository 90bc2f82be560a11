//! A model server that hands out messages one by one: each client's message waits until it is its turn.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use claimlab_model::backend::Method;
use claimlab_model::deviation::Deviations;
use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::{Broken, Judge, Server, Unanswered};
use claimlab_model::script;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::types::TimestampMs;
use uuid::Uuid;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Seat {
    asked: Option<Message>,
    reply: Option<Reply>,
    /// The ids that the real client minted for the call.
    given: VecDeque<Uuid>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    now: ServerTime,
    seats: Vec<Seat>,
    minted: u128,
    judge: Judge,
}

/// The server with a seat for each client.
#[derive(Debug)]
pub struct Table {
    inner: Mutex<Inner>,
    ids: Mutex<Interner>,
}

impl Table {
    /// A table for so many clients.
    pub fn new(store: Store, now: ServerTime, seats: usize) -> Arc<Self> {
        let seats = std::iter::repeat_with(Seat::default).take(seats).collect();
        let inner = Mutex::new(Inner { store, now, seats, minted: 0, judge: Judge::default() });
        Arc::new(Self { inner, ids: Mutex::default() })
    }

    /// The server's clock.
    pub fn now(&self) -> ServerTime {
        lock(&self.inner).now
    }

    /// Moves the server's clock.
    pub fn set_now(&self, now: ServerTime) {
        lock(&self.inner).now = now;
    }

    /// The ids of the run.
    pub fn ids(&self) -> MutexGuard<'_, Interner> {
        lock(&self.ids)
    }

    /// Looks into the store.
    pub fn look<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&lock(&self.inner).store)
    }

    /// Looks at the message that a client waits with.
    pub fn asked<T>(&self, seat: usize, look: impl FnOnce(Option<&Message>) -> T) -> T {
        look(lock(&self.inner).seats[seat].asked.as_ref())
    }

    /// Performs the message that a client waits with; gives its name and the reply's label.
    pub fn perform(&self, seat: usize) -> Option<(&'static str, &'static str)> {
        let mut inner = lock(&self.inner);
        let Inner { store, now, seats, judge, .. } = &mut *inner;
        let message = seats[seat].asked.take()?;
        let reply = script::perform(store, *now, &message);
        judge.observe(store, *now, &message, &reply);
        let performed = (message.name(), reply.label());
        seats[seat].reply = Some(reply);
        Some(performed)
    }

    /// The promises that messages have broken since last asked.
    pub fn take_broken(&self) -> Vec<Broken> {
        lock(&self.inner).judge.take()
    }

    /// The ids that the client's next call mints, in this order.
    pub fn give_ids(&self, seat: usize, ids: Vec<Uuid>) {
        lock(&self.inner).seats[seat].given = ids.into();
    }
}

/// One client's way to the table.
#[derive(Clone, Debug)]
pub struct Port {
    table: Arc<Table>,
    seat: usize,
}

impl Port {
    /// The way of a seat.
    pub fn new(table: &Arc<Table>, seat: usize) -> Self {
        Self { table: Arc::clone(table), seat }
    }
}

impl Server for Port {
    async fn call(&self, message: Message) -> Result<Reply, Unanswered> {
        lock(&self.table.inner).seats[self.seat].asked = Some(message);
        // Who performs the message polls again by itself.
        poll_fn(|_| match lock(&self.table.inner).seats[self.seat].reply.take() {
            Some(reply) => Poll::Ready(Ok(reply)),
            None => Poll::Pending,
        })
        .await
    }

    fn ids(&self) -> MutexGuard<'_, Interner> {
        self.table.ids()
    }

    fn mint(&self, _: &'static str, _: ExecutionNo) -> Uuid {
        let mut inner = lock(&self.table.inner);
        if let Some(given) = inner.seats[self.seat].given.pop_front() {
            return given;
        }
        inner.minted += 1;
        Uuid::from_u128((0xc6 << 120) | inner.minted)
    }

    fn deviations(&self) -> Deviations {
        self.table.look(Store::deviations)
    }

    fn wall_clock(&self) -> TimestampMs {
        self.table.now().to_wire()
    }

    fn method_started(&self, _: Method, _: &dyn Fn() -> String) -> u64 {
        0
    }

    fn method_ended(&self, _: u64, _: Method, _: &'static str, _: &dyn Fn() -> String) {}
}
