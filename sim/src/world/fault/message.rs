//! Faults of single messages: lost, late, applied twice, or the last thing that its sender did. A message meets what the
//! plan has for its address, then a crash that waits for its sender to send, then the plan's rates.

use std::sync::Arc;

use crate::address::{Address, Draw};
use crate::history::Happening;
use crate::plan::{MessageFault, PartyKey, Strikes, Struck, What};
use crate::stream::Range;
use crate::world::World;
use crate::world::hub::{PartyNo, TaskNo};
use crate::world::outgoing::Load;

/// What befalls one message.
#[derive(Default)]
pub(in crate::world) struct Fate {
    pub(in crate::world) lose_request: bool,
    pub(in crate::world) lose_reply: bool,
    pub(in crate::world) late_us: u64,
    pub(in crate::world) again_us: Option<u64>,
    /// How long the process stays down, and whether it comes back as the same instance.
    pub(in crate::world) crash: Option<(u64, bool)>,
}

impl World {
    /// Gathers what the plan has for a message: faults that name it, then a crash that waits for it, then the rates.
    pub(in crate::world) fn befall(
        &mut self,
        (task, party): (TaskNo, PartyNo),
        number: u64,
        address: &Address,
        load: &Load,
        fate: &mut Fate,
    ) {
        let text = |world: &Self| world.hub.write(task, party, address);
        let plan = Arc::clone(&self.plan);
        let mut is_spared = false;
        let named = if self.of_messages.is_empty() { None } else { self.of_messages.get(&address.key) };
        if let Some(named) = named.cloned() {
            for position in named {
                let fault = &plan.faults[position as usize];
                self.has_struck[position as usize] = true;
                is_spared |= fault.what == What::Spare;
                let address = text(self);
                self.strike_message(party, number, (&fault.key, fault.what), address, load, fate);
            }
        }
        if !load.is_look() && !self.seats[party].crashes_when_sending.is_empty() {
            let mut due = None;
            for (position, left) in &mut self.seats[party].crashes_when_sending {
                let counts = match &plan.faults[*position as usize].strikes {
                    Strikes::Sending { message: Some(name), .. } => name == load.name(),
                    _ => true,
                };
                if !counts {
                    continue;
                }
                if *left == 0 {
                    due.get_or_insert(*position);
                } else {
                    *left -= 1;
                }
            }
            if let Some(position) = due {
                self.seats[party].crashes_when_sending.retain(|(other, _)| *other != position);
                let fault = &plan.faults[position as usize];
                self.has_struck[position as usize] = true;
                let address = text(self);
                self.strike_message(party, number, (&fault.key, fault.what), address, load, fate);
            }
        }
        if is_spared || plan.rates.is_empty() {
            return;
        }
        let is_other = self.seats[party].key.0 < PartyKey::RECLAIMERS;
        let draws = self.hub.draws();
        for rate in plan.rates.iter().filter(|rate| rate.everyone || !is_other) {
            let (happens, extent) = match rate.kind {
                MessageFault::LostRequest => (Draw::LosesRequest, None),
                MessageFault::LostReply => (Draw::LosesReply, None),
                MessageFault::Delay => (Draw::IsLate, Some(Draw::LateBy)),
                MessageFault::Duplicate => (Draw::ArrivesTwice, Some(Draw::TwiceAfter)),
            };
            if draws.happens(address.key, happens, rate.messages) {
                let of = |extent, range: Range| draws.within(address.key, extent, range);
                let what = rate.kind.what(extent.map_or(0, |extent| of(extent, rate.by_ms)));
                let is_named = self.is_watched() || self.options.keep_struck;
                let address = if is_named { text(self) } else { String::new() };
                let key = if is_named { format!("{} {address}", what.name()) } else { String::new() };
                self.strike_message(party, number, (&key, what), address, load, fate);
            }
        }
    }

    fn strike_message(
        &mut self,
        party: PartyNo,
        number: u64,
        (key, what): (&str, What),
        address: String,
        load: &Load,
        fate: &mut Fate,
    ) {
        match what {
            What::LostRequest => fate.lose_request = true,
            What::LostReply => fate.lose_reply = true,
            What::Delay { by_ms } => fate.late_us += by_ms.saturating_mul(1_000),
            What::Duplicate { after_ms } => fate.again_us = Some(after_ms.saturating_mul(1_000)),
            What::Crash { restart_ms, same_instance } => fate.crash = Some((restart_ms, same_instance)),
            What::Spare => {}
            What::Pause { .. }
            | What::Cut { .. }
            | What::ServerStep { .. }
            | What::WorkerStep { .. }
            | What::Starve { .. }
            | What::ServerRestart { .. }
            | What::FailOver { .. } => return,
        }
        self.counts.fault(what.name());
        if self.options.keep_struck {
            self.struck.push(Struck { key: key.to_owned(), address: Some(address), what });
        }
        let name = load.name();
        self.tell(party, |_| Happening::Struck { key, what, message: Some((number, name)) });
    }
}
