//! A party as the world sees it: its streams and counters, its faults to come, what is wrong with it now.

use super::heap::Event;
use super::hub::TaskNo;
use crate::clock::TrueTime;
use crate::plan::{PartyKey, What};
use crate::stream::{Purpose, Stream};

/// One party's place in the world.
pub struct Seat {
    /// Its key.
    pub key: PartyKey,
    /// Its latencies.
    pub latency: Stream,
    /// Events it has caused.
    pub events: u32,
    /// Messages it has sent, over all lives.
    pub messages: u64,
    /// Requests to other parties it has sent.
    pub requests: u64,
    /// How often it was started again.
    pub life: u32,
    /// Whether its process runs.
    pub alive: bool,
    /// Until when its machine stalls.
    pub stalled_until: Option<TrueTime>,
    /// Until when its requests are lost.
    pub cut_out: TrueTime,
    /// Until when replies to it are lost.
    pub cut_in: TrueTime,
    /// What happened to it while it stalled.
    pub deferred: Vec<Event>,
    /// Its tasks.
    pub tasks: Vec<TaskNo>,
    /// Faults of single messages to come, last first.
    message_faults: Vec<(u64, What)>,
}

impl Seat {
    /// The seat of a party.
    pub fn new(seed: u64, key: PartyKey) -> Self {
        Self {
            key,
            latency: Stream::new(seed, Purpose::Latency, u64::from(key.0)),
            events: 0,
            messages: 0,
            requests: 0,
            life: 0,
            alive: false,
            stalled_until: None,
            cut_out: TrueTime::default(),
            cut_in: TrueTime::default(),
            deferred: Vec::new(),
            tasks: Vec::new(),
            message_faults: Vec::new(),
        }
    }

    /// Whether its machine stalls.
    pub fn stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    /// Plans faults of single messages, in any order.
    pub fn plan_message_faults(&mut self, faults: Vec<(u64, What)>) {
        self.message_faults = faults;
        self.message_faults.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    }

    /// The faults planned for a message; a number passed is never asked for again.
    pub fn faults_of(&mut self, message: u64) -> impl Iterator<Item = What> + '_ {
        while self.message_faults.last().is_some_and(|(number, _)| *number < message) {
            self.message_faults.pop();
        }
        std::iter::from_fn(move || {
            let (number, what) = *self.message_faults.last()?;
            if number != message {
                return None;
            }
            self.message_faults.pop();
            Some(what)
        })
    }

    /// Nothing is planned any more, and nothing is wrong any more.
    pub fn heal(&mut self) {
        self.message_faults.clear();
        self.cut_in = TrueTime::default();
        self.cut_out = TrueTime::default();
    }
}
