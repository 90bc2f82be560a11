//! Faults from scenario and seed: those of parties with their moments, those of messages as rates.
//!
//! Each kind exists in a share of the seeds; a kind more or less leaves the draws of the others as they were.

use crate::clock::TrueTime;
use crate::plan::{Fault, MessageFault, MessageRate, PartyKey, Strikes, Way, What, WorkItem, WorkerPlan, WorldPlan};
use crate::scenario::{Messages, Others, Scenario};
use crate::stream::{Purpose, Range, Ratio, Stream};

/// A repeated request arrives again within this time.
const DUPLICATE_WITHIN_MS: i64 = 999;
/// A crash that waits for a message lets at most so many others by first, so that it meets each part of a claim.
const SKIPPED_AT_MOST: u64 = 4;

/// The kinds of faults, with the numbers of their streams.
#[derive(Clone, Copy)]
enum FaultKind {
    Crash = 1,
    Pause = 2,
    LostRequest = 3,
    LostReply = 4,
    Delay = 5,
    Duplicate = 6,
    Cut = 7,
    ServerStep = 8,
    WorkerStep = 9,
    Starve = 10,
    ServerRestart = 11,
    FailOver = 12,
}

struct FaultDraw<'a> {
    seed: u64,
    for_us: u64,
    world: &'a WorldPlan,
    workers: &'a [WorkerPlan],
    work: &'a [WorkItem],
    faults: Vec<Fault>,
    rates: Vec<MessageRate>,
}

/// The shares of parties that a kind of fault strikes.
#[derive(Clone, Copy)]
struct Shares<'a> {
    workers: Ratio,
    others: &'a Others,
    holders: Ratio,
}

/// What befalls a party, and whether only when it sends something: of these names, or anything where there are none.
struct Blow {
    what: What,
    when_sending: Option<Option<String>>,
}

impl From<What> for Blow {
    fn from(what: What) -> Self {
        Self { what, when_sending: None }
    }
}

/// The numbers of the streams of holders begin here, beyond every party's.
const HOLDERS: u64 = 1 << 36;

impl FaultDraw<'_> {
    /// Whether a kind exists in this seed.
    fn exists(&self, kind: FaultKind, seeds: Ratio) -> bool {
        Stream::new(self.seed, Purpose::Swarm, kind as u64).chance(seeds)
    }

    fn stream(&self, kind: FaultKind, key: u64) -> Stream {
        Stream::new(self.seed, Purpose::Faults, (kind as u64) << 40 | key)
    }

    /// Everybody with a process, with their share.
    fn parties(&self, shares: Shares<'_>) -> Vec<(PartyKey, Ratio)> {
        let Others { engine, scheduler, submitter, operator, signaller, reclaimer } = *shares.others;
        let of_role = |party: PartyKey| match party.role() {
            "engine" => engine,
            "scheduler" => scheduler,
            "submitter" => submitter,
            "operator" => operator,
            _ => signaller,
        };
        let others = self.world.others().filter(|party| *party != PartyKey::SERVER);
        let others = others.map(|party| (party, of_role(party)));
        let workers = self
            .workers
            .iter()
            .map(|worker| (worker.key, if worker.entry.is_some() { shares.workers } else { reclaimer }));
        others.chain(workers).collect()
    }

    /// At one moment for a share of the parties, and for a share of the holders of work.
    fn at_moments(&mut self, kind: FaultKind, shares: Shares<'_>, blow: impl Fn(&mut Stream) -> Blow) {
        // What never strikes is not drawn: every party and every item has a stream of its own.
        let parties = self.parties(shares).into_iter().filter(|(_, share)| *share != Ratio::NEVER);
        for (party, share) in parties.collect::<Vec<_>>() {
            let mut stream = self.stream(kind, u64::from(party.0));
            let struck = stream.chance(share);
            let at_us = TrueTime::from_us(stream.below(self.for_us));
            let skip = u32::try_from(stream.below(SKIPPED_AT_MOST)).unwrap_or_default();
            let Blow { what, when_sending } = blow(&mut stream);
            if struck {
                let strikes = match when_sending {
                    Some(message) => Strikes::Sending { party, from_us: at_us, skip, message },
                    None => Strikes::At { party, at_us },
                };
                self.faults.push(Fault { key: format!("{} {party}", what.name()), strikes, what });
            }
        }
        let held = if shares.holders == Ratio::NEVER { &[] } else { self.work };
        for item in held {
            let mut stream = self.stream(kind, HOLDERS | u64::from(item.key));
            let struck = stream.chance(shares.holders);
            let from_us = item.at.plus_us(stream.below(self.for_us.saturating_sub(item.at.us()).max(1)));
            let what = blow(&mut stream).what;
            if struck {
                let key = format!("{} holder of work-{}", what.name(), item.key);
                self.faults.push(Fault { key, strikes: Strikes::Holder { work: item.key, from_us }, what });
            }
        }
    }

    /// So many times, the server; a blow may be followed by another one so much later.
    fn at_server(&mut self, kind: FaultKind, count: Range, blow: impl Fn(&mut Stream) -> (What, Option<(u64, What)>)) {
        let mut stream = self.stream(kind, u64::from(PartyKey::SERVER.0));
        let strikes = |at_us| Strikes::At { party: PartyKey::SERVER, at_us };
        for number in 0..stream.within_unsigned(count) {
            let at_us = TrueTime::from_us(stream.below(self.for_us));
            let (what, after) = blow(&mut stream);
            self.faults.push(Fault { key: format!("{} {number}", what.name()), strikes: strikes(at_us), what });
            if let Some((after_ms, what)) = after {
                let key = format!("{} {number} back", what.name());
                self.faults.push(Fault { key, strikes: strikes(at_us.plus_ms(after_ms)), what });
            }
        }
    }
}

/// Draws every fault of a seed.
pub(super) fn draw(
    scenario: &Scenario,
    seed: u64,
    (world, workers, work): (&WorldPlan, &[WorkerPlan], &[WorkItem]),
) -> (Vec<Fault>, Vec<MessageRate>) {
    let faults = &scenario.faults;
    let for_us = scenario.world.for_ms.saturating_mul(1_000);
    let mut draw = FaultDraw { seed, for_us, world, workers, work, faults: Vec::new(), rates: Vec::new() };
    if let Some(crash) = faults.crash.as_ref().filter(|crash| draw.exists(FaultKind::Crash, crash.seeds)) {
        let shares = Shares { workers: crash.workers, others: &crash.others, holders: crash.holders };
        draw.at_moments(FaultKind::Crash, shares, |stream| {
            let when_sending = stream.chance(crash.at_message);
            let restart_ms = stream.within_unsigned(crash.restart_ms);
            let message = match crash.messages.len() {
                0 => None,
                count => crash.messages.get(stream.below(count as u64) as usize).cloned(),
            };
            let same_instance = stream.chance(crash.same_instance);
            Blow { what: What::Crash { restart_ms, same_instance }, when_sending: when_sending.then_some(message) }
        });
    }
    let stalls =
        [(FaultKind::Pause, &faults.pause), (FaultKind::Cut, &faults.cut), (FaultKind::Starve, &faults.starve)];
    for (kind, stall) in stalls {
        let Some(stall) = stall.as_ref().filter(|stall| draw.exists(kind, stall.seeds)) else { continue };
        let shares = Shares { workers: stall.workers, others: &stall.others, holders: stall.holders };
        draw.at_moments(kind, shares, |stream| match kind {
            FaultKind::Cut => {
                let way = [Way::Out, Way::In, Way::Both][stream.below(3) as usize];
                What::Cut { for_ms: stream.within_unsigned(stall.for_ms), way }.into()
            }
            FaultKind::Starve => What::Starve { for_ms: stream.within_unsigned(stall.for_ms) }.into(),
            _ => What::Pause { for_ms: stream.within_unsigned(stall.for_ms) }.into(),
        });
    }
    draw_rates(&mut draw, scenario);
    draw_server(&mut draw, scenario);
    if let Some(step) = faults.worker_step.as_ref().filter(|step| draw.exists(FaultKind::WorkerStep, step.seeds)) {
        let shares = Shares { workers: step.workers, others: &step.others, holders: Ratio::NEVER };
        draw.at_moments(FaultKind::WorkerStep, shares, |stream| {
            What::WorkerStep { by_ms: stream.within(step.by_ms) }.into()
        });
    }
    (draw.faults, draw.rates)
}

fn draw_rates(draw: &mut FaultDraw<'_>, scenario: &Scenario) {
    let faults = &scenario.faults;
    let (plain, again) = (Range::just(0), Range { low: 0, high: DUPLICATE_WITHIN_MS });
    let messages = |found: &Option<Messages>, by_ms| {
        found.as_ref().map(|found| (found.seeds, found.messages, by_ms, found.everyone))
    };
    let slow = faults.delay.as_ref().map(|slow| (slow.seeds, slow.messages, slow.by_ms, slow.everyone));
    let rates = [
        (FaultKind::LostRequest, MessageFault::LostRequest, messages(&faults.lost_request, plain)),
        (FaultKind::LostReply, MessageFault::LostReply, messages(&faults.lost_reply, plain)),
        (FaultKind::Delay, MessageFault::Delay, slow),
        (FaultKind::Duplicate, MessageFault::Duplicate, messages(&faults.duplicate, again)),
    ];
    for (fault, kind, found) in rates {
        if let Some((seeds, messages, by_ms, everyone)) = found
            && draw.exists(fault, seeds)
        {
            draw.rates.push(MessageRate { kind, messages, by_ms, everyone });
        }
    }
}

fn draw_server(draw: &mut FaultDraw<'_>, scenario: &Scenario) {
    let faults = &scenario.faults;
    if let Some(step) = faults.server_step.as_ref().filter(|step| draw.exists(FaultKind::ServerStep, step.seeds)) {
        draw.at_server(FaultKind::ServerStep, step.count, |stream| {
            let by_ms = stream.within(step.by_ms);
            let back = step
                .back_after_ms
                .map(|after| (stream.within_unsigned(after), What::ServerStep { by_ms: by_ms.saturating_neg() }));
            (What::ServerStep { by_ms }, back)
        });
    }
    let restart = faults.server_restart.as_ref();
    if let Some(restart) = restart.filter(|restart| draw.exists(FaultKind::ServerRestart, restart.seeds)) {
        draw.at_server(FaultKind::ServerRestart, restart.count, |stream| {
            (What::ServerRestart { down_ms: stream.within_unsigned(restart.down_ms) }, None)
        });
    }
    if let Some(over) = faults.fail_over.as_ref().filter(|over| draw.exists(FaultKind::FailOver, over.seeds)) {
        draw.at_server(FaultKind::FailOver, over.count, |stream| {
            let lose_ms = stream.within_unsigned(over.lose_ms);
            let clock_ms = stream.within(over.clock_ms);
            (What::FailOver { lose_ms, clock_ms, down_ms: stream.within_unsigned(over.down_ms) }, None)
        });
    }
}
