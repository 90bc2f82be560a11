//! From plan to world: everybody is seated, every start and every planned fault is put on the heap.

use claimlab_model::invariant::Checker;
use std::sync::Arc;

use claimlab_model::deviation::Deviations;
use claimlab_model::store::Store;
use claimlab_model::token::Secret;

use super::heap::{Event, Heap, Slab};
use super::hub::{Ears, Hub, PartyNo};
use super::seat::Seat;
use super::{Cast, Options, World, liveness};
use crate::address::AddressKey;
use crate::clock::{PartyClock, ServerClock, TrueTime};
use crate::outcome::Counts;
use crate::plan::{FIRST_KID, PartyKey, Plan, Strikes, What, secret_of};

/// A deployment's server before anybody has used it.
pub(super) fn empty_store(plan: &Plan) -> Store {
    let deviations: Deviations = plan.world.deviations.iter().copied().collect();
    let mut store = Store::new(Secret::new(FIRST_KID, secret_of(plan.seed).to_vec()), deviations);
    store.seed_lanes(plan.world.lanes.iter().cloned());
    store
}

impl World {
    /// The world of a plan, in which nothing has happened yet. The cast is given the meeting place of its parties.
    pub fn new(plan: &Arc<Plan>, options: Options, cast: impl FnOnce(&Arc<Hub>) -> Box<dyn Cast>) -> Self {
        let ears = Ears {
            recording: !options.observers.is_empty(),
            beside: options.beside.clone(),
            overhears: options.overhears.clone(),
        };
        let hub = Hub::new(plan, ears);
        let checker = Checker::with(options.checks.of_a_run());
        // A server that is laid beside the model cannot be made to forget: there a fail-over loses nothing.
        let has_fail_over = plan.faults.iter().any(|fault| matches!(fault.what, What::FailOver { .. }));
        let mut world = Self {
            cast: cast(&hub),
            plan: Arc::clone(plan),
            now: TrueTime::default(),
            heap: Heap::default(),
            hub,
            seats: Vec::new(),
            positions: std::collections::BTreeMap::new(),
            tasks: Slab::default(),
            flights: Slab::default(),
            held_back: Slab::default(),
            requests: Slab::default(),
            responses: Slab::default(),
            news: Slab::default(),
            server_clock: ServerClock::new(plan.world.server),
            store: empty_store(plan),
            checker,
            last_writes: Vec::new(),
            log: (has_fail_over && options.beside.is_none()).then(Vec::new),
            options,
            disturbed_until: TrueTime::default(),
            down_until: TrueTime::default(),
            free_at: TrueTime::default(),
            awaiting_holder: Vec::new(),
            of_messages: hashbrown::HashMap::default(),
            has_struck: vec![false; plan.faults.len()],
            struck: Vec::new(),
            reached: super::reach::Reached::default(),
            violations: Vec::new(),
            unfinished: 0,
            counts: Counts::default(),
            healed: false,
            over: false,
            undecided: Vec::new(),
            overdue: liveness::Overdue::default(),
            awaited: std::collections::BTreeMap::new(),
            outbox: Vec::new(),
            ready: Vec::new(),
            inline_schedulers: std::collections::BTreeMap::new(),
        };
        world.take_seats();
        world.plan_faults();
        if let Some(later) = plan.later {
            world.schedule(later.from_us, 0, Event::Later);
        }
        world.schedule(TrueTime::from_ms(plan.world.for_ms), 0, Event::Heal);
        world
    }

    fn take_seats(&mut self) {
        let plan = Arc::clone(&self.plan);
        for key in plan.world.others() {
            let clock = plan.world.clocks.iter().find(|other| other.party == key).map(|other| other.clock);
            let number = self.seat(key, PartyClock::new(clock.unwrap_or_default()), None);
            self.schedule(TrueTime::default(), number, Event::Start(number as u32));
        }
        for worker in &plan.workers {
            let capacity = worker.entry.map(|_| worker.concurrency);
            let number = self.seat(worker.key, PartyClock::new(worker.clock), capacity);
            self.schedule(worker.starts_at, number, Event::Start(number as u32));
        }
    }

    fn seat(&mut self, key: PartyKey, clock: PartyClock, capacity: Option<u32>) -> PartyNo {
        let number = self.seats.len();
        self.positions.insert(key, number);
        self.seats.push(Seat::new(key));
        self.hub.add_party(key, clock, capacity)
    }

    fn plan_faults(&mut self) {
        let plan = Arc::clone(&self.plan);
        for (position, fault) in (0..).zip(&plan.faults) {
            match &fault.strikes {
                Strikes::At { party, at_us } => {
                    if let Some(number) = self.positions.get(party).copied() {
                        self.schedule(*at_us, number, Event::Fault(position));
                    }
                }
                Strikes::Sending { party, from_us, .. } => {
                    if let Some(number) = self.positions.get(party).copied() {
                        self.schedule(*from_us, number, Event::Fault(position));
                    }
                }
                Strikes::Holder { from_us, .. } => self.schedule(*from_us, 0, Event::Fault(position)),
                Strikes::Message(address) => {
                    // A plan is checked when it is read; an address that is none meets nothing.
                    if let Ok(key) = AddressKey::parse(address) {
                        self.of_messages.entry(key).or_default().push(position);
                    }
                }
            }
        }
    }

    pub(super) fn schedule(&mut self, at: TrueTime, party: PartyNo, event: Event) {
        let seat = &mut self.seats[party];
        seat.events += 1;
        self.heap.push(at, seat.key, seat.events, event);
    }
}
