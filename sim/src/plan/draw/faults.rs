//! Faults from scenario and seed: those of parties with their moments, those of messages as rates.
//!
//! Each kind exists in a share of the seeds; a kind more or less leaves the draws of the others as they were.

use crate::clock::TrueTime;
use crate::plan::{Fault, MessageFault, MessageRate, PartyKey, Strikes, Way, What, WorkerPlan};
use crate::scenario::{Messages, Scenario};
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
}

struct FaultDraw<'a> {
    seed: u64,
    for_us: u64,
    workers: &'a [WorkerPlan],
    faults: Vec<Fault>,
    rates: Vec<MessageRate>,
}

impl FaultDraw<'_> {
    /// Whether a kind exists in this seed.
    fn exists(&self, kind: FaultKind, seeds: Ratio) -> bool {
        Stream::new(self.seed, Purpose::Swarm, kind as u64).chance(seeds)
    }

    fn stream(&self, kind: FaultKind, key: PartyKey) -> Stream {
        Stream::new(self.seed, Purpose::Faults, (kind as u64) << 40 | u64::from(key.0))
    }

    /// At one moment for a share of the workers: at a time, or when they send something from then on.
    fn at_moments(&mut self, kind: FaultKind, share: Ratio, what: impl Fn(&mut Stream) -> (bool, What)) {
        for worker in self.workers.iter().filter(|worker| worker.entry.is_some()) {
            let mut stream = self.stream(kind, worker.key);
            let struck = stream.chance(share);
            let at_us = TrueTime::from_us(stream.below(self.for_us));
            let skip = u32::try_from(stream.below(SKIPPED_AT_MOST)).unwrap_or_default();
            let (when_sending, what) = what(&mut stream);
            if struck {
                let party = worker.key;
                let strikes = match when_sending {
                    true => Strikes::Sending { party, from_us: at_us, skip },
                    false => Strikes::At { party, at_us },
                };
                self.faults.push(Fault { key: format!("{} {party}", what.name()), strikes, what });
            }
        }
    }

    fn of_messages(&mut self, kind: FaultKind, fault: MessageFault, messages: Option<(Ratio, Ratio, Range)>) {
        if let Some((seeds, messages, by_ms)) = messages
            && self.exists(kind, seeds)
        {
            self.rates.push(MessageRate { kind: fault, messages, by_ms });
        }
    }
}

/// Draws every fault of a seed.
pub(super) fn draw(scenario: &Scenario, seed: u64, workers: &[WorkerPlan]) -> (Vec<Fault>, Vec<MessageRate>) {
    let faults = &scenario.faults;
    let for_us = scenario.world.for_ms.saturating_mul(1_000);
    let mut draw = FaultDraw { seed, for_us, workers, faults: Vec::new(), rates: Vec::new() };
    if let Some(crash) = faults.crash.as_ref().filter(|crash| draw.exists(FaultKind::Crash, crash.seeds)) {
        draw.at_moments(FaultKind::Crash, crash.workers, |stream| {
            let when_sending = stream.chance(crash.at_message);
            (when_sending, What::Crash { restart_ms: stream.within_unsigned(crash.restart_ms) })
        });
    }
    if let Some(pause) = faults.pause.as_ref().filter(|pause| draw.exists(FaultKind::Pause, pause.seeds)) {
        draw.at_moments(FaultKind::Pause, pause.workers, |stream| {
            (false, What::Pause { for_ms: stream.within_unsigned(pause.for_ms) })
        });
    }
    let of = |messages: &Messages, by_ms| (messages.seeds, messages.messages, by_ms);
    let plain = Range::just(0);
    let lost = faults.lost_request.as_ref().map(|lost| of(lost, plain));
    draw.of_messages(FaultKind::LostRequest, MessageFault::LostRequest, lost);
    let lost = faults.lost_reply.as_ref().map(|lost| of(lost, plain));
    draw.of_messages(FaultKind::LostReply, MessageFault::LostReply, lost);
    let slow = faults.delay.as_ref().map(|slow| (slow.seeds, slow.messages, slow.by_ms));
    draw.of_messages(FaultKind::Delay, MessageFault::Delay, slow);
    let twice = faults.duplicate.as_ref().map(|twice| of(twice, Range { low: 0, high: DUPLICATE_WITHIN_MS }));
    draw.of_messages(FaultKind::Duplicate, MessageFault::Duplicate, twice);
    if let Some(cut) = faults.cut.as_ref().filter(|cut| draw.exists(FaultKind::Cut, cut.seeds)) {
        draw.at_moments(FaultKind::Cut, cut.workers, |stream| {
            let way = [Way::Out, Way::In, Way::Both][stream.below(3) as usize];
            (false, What::Cut { for_ms: stream.within_unsigned(cut.for_ms), way })
        });
    }
    if let Some(step) = faults.server_step.as_ref().filter(|step| draw.exists(FaultKind::ServerStep, step.seeds)) {
        let mut stream = draw.stream(FaultKind::ServerStep, PartyKey::SERVER);
        for number in 0..stream.within_unsigned(step.count) {
            let strikes = Strikes::At { party: PartyKey::SERVER, at_us: TrueTime::from_us(stream.below(for_us)) };
            let what = What::ServerStep { by_ms: stream.within(step.by_ms) };
            draw.faults.push(Fault { key: format!("server_step {number}"), strikes, what });
        }
    }
    if let Some(step) = faults.worker_step.as_ref().filter(|step| draw.exists(FaultKind::WorkerStep, step.seeds)) {
        draw.at_moments(FaultKind::WorkerStep, step.workers, |stream| {
            (false, What::WorkerStep { by_ms: stream.within(step.by_ms) })
        });
    }
    (draw.faults, draw.rates)
}
