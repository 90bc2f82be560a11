//! A party as the world sees it: its counters, its faults to come, what is wrong with it now.

use super::heap::Event;
use super::hub::TaskNo;
use crate::clock::TrueTime;
use crate::plan::PartyKey;

/// One party's place in the world.
pub struct Seat {
    /// Its key.
    pub key: PartyKey,
    /// Events it has caused.
    pub events: u32,
    /// Messages it has sent, over all lives.
    pub messages: u64,
    /// How often it was started again.
    pub life: u32,
    /// The life whose instance id its process has: another one's where it came back as the same instance.
    pub instance: u32,
    /// Whether its process runs.
    pub alive: bool,
    /// Until when its machine stalls.
    pub stalled_until: Option<TrueTime>,
    /// Until when its requests are lost.
    pub cut_out: TrueTime,
    /// Until when replies to it are lost.
    pub cut_in: TrueTime,
    /// Until when something kept it from acting or from hearing.
    pub disturbed_until: TrueTime,
    /// Until when its renewals stay in its process.
    pub starved_until: TrueTime,
    /// What happened to it while it stalled.
    pub deferred: Vec<Event>,
    /// Its tasks.
    pub tasks: Vec<TaskNo>,
    /// Crashes that wait for it to send something, as positions in the plan, each with how many messages it lets by.
    pub crashes_when_sending: Vec<(u32, u32)>,
}

impl Seat {
    /// The seat of a party.
    pub fn new(key: PartyKey) -> Self {
        Self {
            key,
            events: 0,
            messages: 0,
            life: 0,
            instance: 0,
            alive: false,
            stalled_until: None,
            cut_out: TrueTime::default(),
            cut_in: TrueTime::default(),
            disturbed_until: TrueTime::default(),
            starved_until: TrueTime::default(),
            deferred: Vec::new(),
            tasks: Vec::new(),
            crashes_when_sending: Vec::new(),
        }
    }

    /// Whether its machine stalls.
    pub fn stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    /// Nothing is planned any more, and nothing is wrong any more.
    pub fn heal(&mut self) {
        self.crashes_when_sending.clear();
        self.cut_in = TrueTime::default();
        self.cut_out = TrueTime::default();
        self.starved_until = TrueTime::default();
    }
}
