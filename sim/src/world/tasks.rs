//! The tasks of every party: started, polled, and what they want carried out.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::heap::Event;
use super::hub::{PartyNo, TaskFuture, TaskNo};
use super::outgoing::Outgoing;
use super::party::Party;
use super::wait::WaitNo;
use super::{Life, World};
use crate::address::{About, Address, Draw};
use crate::history::Happening;

/// How long a party waits for another's answer, in milliseconds of its own counting.
const REQUEST_PATIENCE_MS: u64 = 10_000;

/// A task of a party.
pub(super) struct Task {
    party: PartyNo,
    future: TaskFuture,
    /// Whether its messages are addressed and counted under a name of its own.
    is_named: bool,
}

/// A task on its way to another party.
pub(super) struct Request {
    pub(super) to: PartyNo,
    pub(super) future: TaskFuture,
    pub(super) scope: String,
}

impl World {
    /// Starts a party's process: its first tasks, polled at once.
    pub(super) fn start(&mut self, party: PartyNo) {
        let seat = &mut self.seats[party];
        if seat.alive || self.over {
            return;
        }
        seat.alive = true;
        let (key, life, instance) = (seat.key, seat.life, seat.instance);
        self.hub.begin_life(party, life);
        self.tell(party, |_| Happening::Started { life });
        let access = Party::new(Arc::clone(&self.hub), party);
        for future in self.cast.tasks_of(access, key, Life { number: life, instance }) {
            let task = self.spawn(party, future, None);
            self.poll(task);
        }
    }

    pub(super) fn spawn(&mut self, party: PartyNo, future: TaskFuture, scope: Option<&str>) -> TaskNo {
        let task = self.tasks.insert(Task { party, future, is_named: scope.is_some() });
        scope.into_iter().for_each(|scope| self.hub.name_task(task, scope));
        self.seats[party].tasks.push(task);
        task
    }

    /// Drops a task, and what it was called.
    pub(super) fn drop_task(&mut self, number: TaskNo) {
        self.hub.forget_task(number);
        drop(self.tasks.remove(number));
    }

    /// Polls a task and everything that it starts, until all wait.
    pub(super) fn poll(&mut self, task: TaskNo) {
        debug_assert!(self.ready.is_empty(), "one task is polled at a time");
        self.ready.push(task);
        let mut position = 0;
        while let Some(task) = self.ready.get(position).copied() {
            position += 1;
            self.poll_one(task);
        }
        self.ready.clear();
    }

    fn poll_one(&mut self, number: TaskNo) {
        let Some(mut task) = self.tasks.lend(number) else { return };
        self.hub.enter(self.now, number, task.party);
        let done = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let (party, life) = (task.party, self.seats[task.party].life);
        self.carry_out(number, party);
        // What it wanted may have been the message after which its process dies.
        if self.seats[party].life != life || done {
            if task.is_named {
                self.hub.forget_task(number);
            }
            drop(task);
            self.tasks.restore(number, None);
            let tasks = &mut self.seats[party].tasks;
            if let Some(position) = tasks.iter().position(|held| *held == number) {
                tasks.swap_remove(position);
            }
        } else {
            self.tasks.restore(number, Some(task));
        }
    }

    /// Turns what a polled task wants into events.
    fn carry_out(&mut self, task: TaskNo, party: PartyNo) {
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub.drain(&mut outbox);
        let mut call = None;
        for outgoing in outbox.drain(..) {
            // A process that died while its wishes were carried out has none left.
            if !self.seats[party].alive {
                continue;
            }
            match outgoing {
                Outgoing::Send { wait, flight } => self.send((task, party), wait, flight, call),
                Outgoing::Within(now) => call = now,
                Outgoing::Sleep { wait, timer_us } => {
                    let clock = self.hub.clock(party);
                    let until = clock.when_timer_reads(clock.timer_us(self.now).saturating_add(timer_us)).max(self.now);
                    self.schedule(until, party, Event::Elapse(party as u32, wait));
                }
                Outgoing::SleepUntil { wait, until } => {
                    self.schedule(until.max(self.now), party, Event::Elapse(party as u32, wait));
                }
                Outgoing::Spawn { task, scope } => {
                    let task = self.spawn(party, task, scope.as_deref());
                    self.ready.push(task);
                }
                Outgoing::Request { to, task: future, wait, about, name } => {
                    let address = self.hub.address(task, party, about, name);
                    // What the task sends there is addressed by the request: by who asked for what, not by how many
                    // did before.
                    let asked = self.hub.write(task, party, &address).replace(" / ", ", ");
                    let scope = format!("{} for {asked}", self.seats[to].key);
                    self.request(party, Request { to, future, scope }, wait, &address);
                }
                Outgoing::Respond { wait, to, value } => {
                    let address = self.hub.address(task, party, About::Nothing, "answer");
                    let latency_us = self.hub.latency_us(&address, Draw::LatencyBack);
                    let response = self.responses.insert((wait, value));
                    self.schedule(self.now.plus_us(latency_us), party, Event::Respond(to as u32, response));
                }
                Outgoing::MethodStarted { call, method, arguments } => {
                    self.tell(party, |_| Happening::Called { call, method: method.name(), arguments: &arguments });
                }
                Outgoing::MethodEnded { call, method, outcome, answer } => {
                    self.tell(party, |_| Happening::Returned { call, method: method.name(), outcome, answer: &answer });
                }
                Outgoing::RunStarted { execution, epoch, running } => {
                    self.tell_about(party, execution, |execution| Happening::RunStarted { execution, epoch, running });
                }
                Outgoing::RunEnded { execution, running } => {
                    self.tell_about(party, execution, |execution| Happening::RunEnded { execution, running });
                }
                Outgoing::Lost(loss) => self.see_loss(party, loss),
                Outgoing::Told(fact) => self.see_worker(party, self.seats[party].key.role(), &fact),
            }
        }
        self.outbox = outbox;
    }

    /// Sends a task to another party, unless the sender is cut off; who expects an answer gives up in time.
    fn request(&mut self, party: PartyNo, request: Request, wait: Option<WaitNo>, address: &Address) {
        let arrives = self.now.plus_us(self.hub.latency_us(address, Draw::LatencyOut));
        if let Some(wait) = wait {
            let patience_us = self.hub.clock(party).true_us_of(REQUEST_PATIENCE_MS * 1_000);
            self.schedule(self.now.plus_us(patience_us), party, Event::GiveUp(party as u32, wait));
        }
        if self.seats[party].cut_out > self.now {
            return;
        }
        let request = self.requests.insert(request);
        self.schedule(arrives, party, Event::Begin(request));
    }
}
