//! The world's events in order: by true time, then by the party's key, then by the party's own count.
//!
//! No tie is broken by when an event was added, so a party more or less leaves all others in order.

use std::cmp::{Ordering, Reverse};

use dary_heap::QuaternaryHeap;

use super::wait::WaitNo;
use crate::clock::TrueTime;
use crate::plan::PartyKey;

/// A party's position, small: the heap is moved about all the time.
pub type SeatNo = u32;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A party's timer ends.
    Elapse(SeatNo, WaitNo),
    /// A message leaves a process that was starved.
    Send(u32),
    /// A message reaches the server.
    Deliver(u32),
    /// The server has come to a message that waited for it.
    Perform(u32),
    /// A reply reaches its sender.
    Reply(u32),
    /// A party's client gives up waiting.
    GiveUp(SeatNo, WaitNo),
    /// A task reaches the party that runs it.
    Begin(u32),
    /// An answer reaches the party that asked.
    Respond(SeatNo, u32),
    /// News of a published completion reaches a subscriber.
    Hear(SeatNo, u32),
    /// A planned fault strikes.
    Fault(u32),
    /// A party starts, or starts again.
    Start(SeatNo),
    /// A stalled party goes on.
    Resume(SeatNo),
    /// A party that was cut off may be heard again.
    Reconnect(SeatNo),
    /// Another seed decides from now on.
    Later,
    /// The faults stop.
    Heal,
    /// The liveness phase looks around.
    Look,
}

/// An event with its place in the order: time, party and count as one number, which is compared at once.
struct Scheduled {
    order: u128,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

/// The events to come.
#[derive(Default)]
pub struct Heap(QuaternaryHeap<Reverse<Scheduled>>);

impl Heap {
    /// Adds an event of a party under the party's own count.
    pub fn push(&mut self, at: TrueTime, party: PartyKey, count: u32, event: Event) {
        let order = u128::from(at.us()) << 64 | u128::from(party.0) << 32 | u128::from(count);
        self.0.push(Reverse(Scheduled { order, event }));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(TrueTime, Event)> {
        self.0.pop().map(|Reverse(Scheduled { order, event })| (TrueTime::from_us((order >> 64) as u64), event))
    }
}

/// A table whose positions are used again.
pub struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts something in and gives its position.
    pub fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(position) => {
                self.slots[position as usize] = Some(value);
                position
            }
            None => {
                self.slots.push(Some(value));
                (self.slots.len() - 1) as u32
            }
        }
    }

    /// Takes something out for good.
    pub fn remove(&mut self, position: u32) -> Option<T> {
        let value = self.slots.get_mut(position as usize)?.take();
        if value.is_some() {
            self.free.push(position);
        }
        value
    }

    /// Looks at something.
    pub fn get_mut(&mut self, position: u32) -> Option<&mut T> {
        self.slots.get_mut(position as usize)?.as_mut()
    }

    /// Borrows something out for a while; [`Self::restore`] puts it back.
    pub fn lend(&mut self, position: u32) -> Option<T> {
        self.slots.get_mut(position as usize)?.take()
    }

    /// Puts back what was lent, or frees its position.
    pub fn restore(&mut self, position: u32, value: Option<T>) {
        match value {
            Some(value) => self.slots[position as usize] = Some(value),
            None => self.free.push(position),
        }
    }
}
