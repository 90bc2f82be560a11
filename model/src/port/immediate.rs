//! The simplest server: a store behind a lock, which answers in the call itself. It serves tests and
//! comparisons of the model with something else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ff_core::backend::CompletionPayload;
use ff_core::types::TimestampMs;
use uuid::Uuid;

use super::{Broken, Judge, Publishes, Server, SubscriptionNo, Unanswered, payload};
use crate::deviation::Deviations;
use crate::intern::{ExecutionNo, Interner};
use crate::message::{Message, Reply};
use crate::method::Method;
use crate::script;
use crate::store::Store;
use crate::time::ServerTime;

/// A server that answers at once, at the time that its owner sets.
#[derive(Debug)]
pub struct Immediate {
    inner: Mutex<Inner>,
    ids: Mutex<Interner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    now: ServerTime,
    caller_now: Option<TimestampMs>,
    minted: u128,
    given: VecDeque<Uuid>,
    touched: BTreeSet<ExecutionNo>,
    messages: Vec<(&'static str, &'static str)>,
    methods: Vec<Method>,
    subscriptions: BTreeMap<SubscriptionNo, Subscription>,
    subscribed: SubscriptionNo,
    judge: Option<Judge>,
}

/// What a subscriber has not looked at yet, and whom to wake.
#[derive(Debug, Default)]
struct Subscription {
    heard: VecDeque<CompletionPayload>,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Immediate {
    /// A server over a store, its clock at `now`.
    pub fn new(store: Store, now: ServerTime) -> Self {
        Self {
            inner: Mutex::new(Inner {
                store,
                now,
                caller_now: None,
                minted: 0,
                given: VecDeque::new(),
                touched: BTreeSet::new(),
                messages: Vec::new(),
                methods: Vec::new(),
                subscriptions: BTreeMap::new(),
                subscribed: 0,
                judge: None,
            }),
            ids: Mutex::default(),
        }
    }

    /// The same server with every check of the catalogue looking on.
    #[must_use]
    pub fn judged(self) -> Self {
        lock(&self.inner).judge = Some(Judge::default());
        self
    }

    /// The promises that messages have broken since last asked.
    pub fn take_broken(&self) -> Vec<Broken> {
        lock(&self.inner).judge.as_mut().map(Judge::take).unwrap_or_default()
    }

    /// What messages have ever broken: invariant, case, and the script with its result; nothing without a judge.
    pub fn ever_broken(&self) -> BTreeSet<String> {
        lock(&self.inner).judge.as_ref().map(|judge| judge.ever().clone()).unwrap_or_default()
    }

    /// Moves the server's clock, backwards too.
    pub fn set_now(&self, now: ServerTime) {
        lock(&self.inner).now = now;
    }

    /// Lets the client's clock show this from now on; until then it shows what the server's does.
    pub fn set_caller_now(&self, now: TimestampMs) {
        lock(&self.inner).caller_now = Some(now);
    }

    /// The server's clock.
    pub fn now(&self) -> ServerTime {
        lock(&self.inner).now
    }

    /// Looks into the store.
    pub fn look<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&lock(&self.inner).store)
    }

    /// Drops keys past their expiry, as a look at them does: those of these executions, or all.
    pub fn lapse(&self, executions: Option<&BTreeSet<ExecutionNo>>) {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        match executions {
            Some(executions) => executions.iter().for_each(|number| inner.store.lapse(*number, now)),
            None => inner.store.lapse_all(now),
        }
    }

    /// The messages so far: name and the answer's label.
    pub fn messages(&self) -> Vec<(&'static str, &'static str)> {
        lock(&self.inner).messages.clone()
    }

    /// The next ids to mint, in this order, before fresh ones: those that another client minted.
    pub fn give_ids(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut inner = lock(&self.inner);
        inner.given.clear();
        inner.given.extend(ids);
    }

    /// The executions that messages were about or changed, and those messages, since last asked.
    pub fn take_traffic(&self) -> (BTreeSet<ExecutionNo>, Vec<(&'static str, &'static str)>) {
        let mut inner = lock(&self.inner);
        (std::mem::take(&mut inner.touched), std::mem::take(&mut inner.messages))
    }

    /// The trait methods so far.
    pub fn methods(&self) -> Vec<Method> {
        lock(&self.inner).methods.clone()
    }
}

impl Server for std::sync::Arc<Immediate> {
    async fn call(&self, message: Message) -> Result<Reply, Unanswered> {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        let reply = script::perform(&mut inner.store, now, &message);
        inner.messages.push((message.name(), reply.label()));
        let Inner { store, touched, subscriptions, judge, .. } = &mut *inner;
        judge.iter_mut().for_each(|judge| judge.observe(store, now, &message, &reply));
        touched.extend(message.execution().into_iter().chain(store.changes().executions()));
        for (number, flow, outcome) in store.changes().published() {
            let heard = payload(lock(&self.ids).execution_id(number).clone(), flow, outcome);
            for subscription in subscriptions.values_mut() {
                subscription.heard.push_back(heard.clone());
                subscription.waker.take().into_iter().for_each(Waker::wake);
            }
        }
        Ok(reply)
    }

    fn ids(&self) -> MutexGuard<'_, Interner> {
        lock(&self.ids)
    }

    fn mint(&self, _: &'static str, _: ExecutionNo) -> Uuid {
        let mut inner = lock(&self.inner);
        if let Some(given) = inner.given.pop_front() {
            return given;
        }
        inner.minted += 1;
        Uuid::from_u128(inner.minted | (0xc1a1_u128 << 96))
    }

    fn deviations(&self) -> Deviations {
        lock(&self.inner).store.deviations()
    }

    fn wall_clock(&self) -> TimestampMs {
        let inner = lock(&self.inner);
        inner.caller_now.unwrap_or(inner.now.to_wire())
    }

    fn method_started(&self, method: Method, _: &dyn Fn() -> String) -> u64 {
        let mut inner = lock(&self.inner);
        inner.methods.push(method);
        inner.methods.len() as u64
    }

    fn method_ended(&self, _: u64, _: Method, _: &'static str, _: &dyn Fn() -> String) {}
}

impl Publishes for std::sync::Arc<Immediate> {
    fn subscribe(&self) -> SubscriptionNo {
        let mut inner = lock(&self.inner);
        inner.subscribed += 1;
        let number = inner.subscribed;
        inner.subscriptions.insert(number, Subscription::default());
        number
    }

    fn poll_heard(&self, subscription: SubscriptionNo, context: &mut Context<'_>) -> Poll<CompletionPayload> {
        let mut inner = lock(&self.inner);
        let Some(subscription) = inner.subscriptions.get_mut(&subscription) else { return Poll::Pending };
        match subscription.heard.pop_front() {
            Some(heard) => Poll::Ready(heard),
            None => {
                subscription.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn unsubscribe(&self, subscription: SubscriptionNo) {
        lock(&self.inner).subscriptions.remove(&subscription);
    }
}
