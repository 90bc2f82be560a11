//! Waits: what a task of a party stands still for, and the leaf future that is one.
//!
//! A wait has a place in a table and a generation, since places are used again.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use claimlab_model::message::Reply;

use super::hub::{Hub, TaskNo};
use super::outgoing::Outgoing;

/// A registered wait: position and generation, since positions are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitNo {
    position: u32,
    generation: u32,
}

/// What ends a wait.
pub enum Ended {
    /// Its time came.
    Elapsed,
    /// The server answered.
    Answered(Reply),
    /// The client gave up waiting for the server.
    Unanswered,
    /// Another party answered.
    Value(Box<dyn Any + Send>),
}

enum WaitState {
    Free,
    Waiting(TaskNo),
    Ready(Ended),
}

struct Wait {
    generation: u32,
    state: WaitState,
}

/// The waits of a world.
#[derive(Default)]
pub(super) struct Waits {
    places: Vec<Wait>,
    free: Vec<u32>,
}

impl Waits {
    /// Registers a wait of a task.
    pub(super) fn add(&mut self, task: TaskNo) -> WaitNo {
        match self.free.pop() {
            Some(position) => {
                let wait = &mut self.places[position as usize];
                wait.state = WaitState::Waiting(task);
                WaitNo { position, generation: wait.generation }
            }
            None => {
                self.places.push(Wait { generation: 0, state: WaitState::Waiting(task) });
                WaitNo { position: (self.places.len() - 1) as u32, generation: 0 }
            }
        }
    }

    /// Ends a wait if it still stands; gives the task to poll.
    pub(super) fn end(&mut self, number: WaitNo, ended: Ended) -> Option<TaskNo> {
        let task = self.task(number)?;
        self.places[number.position as usize].state = WaitState::Ready(ended);
        Some(task)
    }

    /// The task of a wait that still stands.
    pub(super) fn task(&self, number: WaitNo) -> Option<TaskNo> {
        let wait = self.places.get(number.position as usize).filter(|wait| wait.generation == number.generation)?;
        match wait.state {
            WaitState::Waiting(task) => Some(task),
            _ => None,
        }
    }

    /// What has ended a wait, which is none any more then.
    pub(super) fn take(&mut self, number: WaitNo) -> Option<Ended> {
        let wait = &mut self.places[number.position as usize];
        if !matches!(wait.state, WaitState::Ready(_)) {
            return None;
        }
        let state = std::mem::replace(&mut wait.state, WaitState::Free);
        wait.generation += 1;
        self.free.push(number.position);
        match state {
            WaitState::Ready(ended) => Some(ended),
            _ => None,
        }
    }

    /// Nobody waits any more.
    pub(super) fn forget(&mut self, number: WaitNo) {
        let wait = &mut self.places[number.position as usize];
        if wait.generation == number.generation {
            wait.state = WaitState::Free;
            wait.generation += 1;
            self.free.push(number.position);
        }
    }
}

/// A leaf future: registered at its first poll, forgotten when dropped.
pub struct WaitFuture<F> {
    hub: Arc<Hub>,
    begin: Option<F>,
    wait: Option<WaitNo>,
}

impl<F: FnOnce(WaitNo) -> Outgoing + Unpin> WaitFuture<F> {
    /// A wait that starts with what `begin` puts into the outbox.
    pub fn new(hub: Arc<Hub>, begin: F) -> Self {
        Self { hub, begin: Some(begin), wait: None }
    }
}

impl<F: FnOnce(WaitNo) -> Outgoing + Unpin> Future for WaitFuture<F> {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Ended> {
        if let Some(begin) = self.begin.take() {
            let wait = self.hub.register(begin);
            self.wait = Some(wait);
            return Poll::Pending;
        }
        let Some(wait) = self.wait else { return Poll::Pending };
        match self.hub.take(wait) {
            Some(ended) => {
                self.wait = None;
                Poll::Ready(ended)
            }
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for WaitFuture<F> {
    fn drop(&mut self) {
        if let Some(wait) = self.wait {
            self.hub.forget(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_wait_is_not_ended_by_a_late_event() {
        let mut waits = Waits::default();
        let first = waits.add(7);
        waits.forget(first);
        let second = waits.add(7);
        assert_eq!(first.position, second.position, "the place is used again");
        assert_eq!(waits.end(first, Ended::Elapsed), None);
        assert_eq!(waits.end(second, Ended::Elapsed), Some(7));
    }
}
