//! The server's order, performed by the model: exactly the call is advanced whose command came next.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use claimlab_model::backend::ModelBackend;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use uuid::Uuid;

use super::feed::Line;
use crate::call::{Answer, Call};
use crate::judge::BrokenByCalls;
use crate::live::coverage::Coverage;
use crate::live::wire::{self, Expected};
use crate::staging::crowd::{Port, Table};

/// A call that a real client made, with its answer and the ids that the client minted for it.
#[derive(Debug)]
pub struct Made {
    /// The call.
    pub call: Call,
    /// What the real client answered.
    pub answer: Answer,
    /// Ids in the order in which the model mints them.
    pub minted: Vec<Uuid>,
}

type Conversation = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One client's calls of a round.
struct Caller {
    backend: Arc<ModelBackend<Port>>,
    left: VecDeque<Made>,
    now: Option<(Made, Conversation)>,
    /// Commands of the message that was performed last which have not come yet.
    trailing: VecDeque<Expected>,
    /// Others' commands came between the commands of one message: its reply cannot be compared.
    torn: bool,
    /// Commands of the present call so far, and whether others' came between them.
    sent: u32,
    crossed: bool,
}

/// What a replay has counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// How the calls of each method ended.
    pub calls: Coverage,
    /// How each message ended.
    pub messages: Coverage,
    /// Calls whose answers were compared.
    pub compared: u64,
    /// Of them, those between whose commands others' came.
    pub crossed: u64,
    /// Calls that were not compared, because others' commands came between those of one message.
    pub torn: u64,
    /// Commands in the server's order.
    pub commands: u64,
    /// The promises that the calls have broken.
    pub broken: BrokenByCalls,
}

/// One round on the model.
pub struct Replay<'a> {
    table: &'a Arc<Table>,
    callers: Vec<Caller>,
    tally: &'a mut Tally,
    order: String,
}

impl<'a> Replay<'a> {
    /// A round in which each client made these calls.
    pub fn new(
        table: &'a Arc<Table>,
        backends: &[Arc<ModelBackend<Port>>],
        made: Vec<Vec<Made>>,
        tally: &'a mut Tally,
    ) -> Self {
        let caller = |(backend, made): (&Arc<ModelBackend<Port>>, Vec<Made>)| Caller {
            backend: Arc::clone(backend),
            left: made.into(),
            now: None,
            trailing: VecDeque::new(),
            torn: false,
            sent: 0,
            crossed: false,
        };
        let callers = backends.iter().zip(made).map(caller).collect();
        Self { table, callers, tally, order: String::new() }
    }

    /// Performs the commands in order, each given with its client's seat; gives the first difference.
    pub fn run(mut self, lines: &[(usize, Line)]) -> Option<String> {
        let found = self.perform(lines);
        self.tally.broken.note(self.table.take_broken());
        found
    }

    fn perform(&mut self, lines: &[(usize, Line)]) -> Option<String> {
        for seat in 0..self.callers.len() {
            if let Some(text) = self.advance(seat) {
                return Some(self.told(&text));
            }
        }
        for (seat, line) in lines {
            self.tally.commands += 1;
            if let Some(text) = self.command(*seat, line) {
                return Some(self.told(&text));
            }
        }
        for (seat, caller) in self.callers.iter().enumerate() {
            if let Some((made, _)) = &caller.now {
                let asked = self.asked(seat).iter().map(Expected::to_string).collect::<Vec<_>>().join(", then ");
                let text = format!(
                    "client {seat} sent nothing more, where the model sends {asked}\n  {:?}\n  server  {}\n",
                    made.call, made.answer
                );
                return Some(self.told(&text));
            }
        }
        None
    }

    fn asked(&self, seat: usize) -> Vec<Expected> {
        let ids = self.table.ids();
        self.table.asked(seat, |asked| asked.map_or_else(Vec::new, |message| wire::expected(message, &ids)))
    }

    fn command(&mut self, seat: usize, line: &Line) -> Option<String> {
        for (other, caller) in self.callers.iter_mut().enumerate() {
            if other != seat {
                caller.crossed |= caller.sent > 0;
                caller.torn |= !caller.trailing.is_empty();
            }
        }
        let _ = write!(self.order, "  client {seat:<3} {line}");
        let expected = match self.callers[seat].trailing.pop_front() {
            Some(expected) => {
                self.order.push('\n');
                if !expected.is(&line.words) {
                    return Some(self.unexpected(seat, line, &expected.to_string()));
                }
                return self.advance(seat);
            }
            None => self.asked(seat),
        };
        let mut expected = VecDeque::from(expected);
        let found = expected.pop_front();
        if !found.as_ref().is_some_and(|expected| expected.is(&line.words)) {
            let expected = found.map_or_else(|| "nothing".to_owned(), |expected| expected.to_string());
            return Some(self.unexpected(seat, line, &expected));
        }
        let caller = &mut self.callers[seat];
        caller.sent += 1;
        caller.trailing = expected;
        if let Some((name, label)) = self.table.perform(seat) {
            self.tally.messages.note(name, label);
            let _ = writeln!(self.order, "  -> {label}");
        }
        self.advance(seat)
    }

    fn unexpected(&self, seat: usize, line: &Line, expected: &str) -> String {
        let call = self.callers[seat]
            .now
            .as_ref()
            .map_or_else(String::new, |(made, _)| format!("  {:?}\n  server  {}\n", made.call, made.answer));
        format!("\nclient {seat} sent {line}\nwhere the model sends {expected}\n{call}")
    }

    /// Polls a client's call, and starts its next ones, until one waits for its turn. A message of several
    /// commands is over with the last of them.
    fn advance(&mut self, seat: usize) -> Option<String> {
        if !self.callers[seat].trailing.is_empty() {
            return None;
        }
        loop {
            let caller = &mut self.callers[seat];
            let (made, mut conversation) = match caller.now.take() {
                Some(present) => present,
                None => {
                    let made = caller.left.pop_front()?;
                    (caller.sent, caller.crossed) = (0, false);
                    self.table.give_ids(seat, made.minted.clone());
                    let (backend, call) = (Arc::clone(&caller.backend), made.call.clone());
                    let conversation: Conversation =
                        Box::pin(async move { call.perform(&*backend as &dyn EngineBackend).await });
                    (made, conversation)
                }
            };
            match conversation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => {
                    caller.now = Some((made, conversation));
                    return None;
                }
                Poll::Ready(model) => {
                    let torn = std::mem::take(&mut caller.torn);
                    self.tally.calls.note(made.call.method(), &model.label());
                    self.tally.compared += u64::from(!torn);
                    self.tally.torn += u64::from(torn);
                    self.tally.crossed += u64::from(caller.crossed);
                    let (model, server) = (model.text(), made.answer.text());
                    if !torn && model != server {
                        return Some(format!(
                            "client {seat}: the answers differ\n  {:?}\n    model   {model}\n    server  {server}\n",
                            made.call
                        ));
                    }
                }
            }
        }
    }

    /// The difference with the order of commands that led to it.
    fn told(&self, text: &str) -> String {
        format!("{text}\nthe server's order of commands in this round, all at {}:\n{}", self.table.now(), self.order)
    }
}

/// A model client for a seat, with a scheduler of its own.
pub fn backend(table: &Arc<Table>, seat: usize, partitions: PartitionConfig) -> Arc<ModelBackend<Port>> {
    Arc::new(ModelBackend::new(Port::new(table, seat), partitions).with_scheduler())
}
