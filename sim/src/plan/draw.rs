//! From scenario and seed to plan: the only place where chance decides what happens.
//!
//! Every element draws from a stream of its own, named by its kind and number.

use claimlab_model::deviation::Deviation;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, FlowId};

use super::{
    Act, Fault, OperatorAction, Park, PartyKey, Plan, Task, VERSION, Way, What, When, WorkItem, WorkerPlan, WorldPlan,
};
use crate::clock::{Skew, TrueTime};
use crate::scenario::{Ending, Entry, Messages, Player, Scenario, Slow};
use crate::stream::{Extra, Purpose, Range, Ratio, Stream};

/// Beside polling a worker sends at most about so many messages a second; faults of later messages are
/// not drawn.
const MESSAGES_PER_SECOND: u64 = 20;
/// A reclaimer in a storm sends more.
const RECLAIMER_MESSAGES_PER_SECOND: u64 = 500;
/// A repeated request arrives again within this time.
const DUPLICATE_WITHIN_MS: u64 = 1_000;

/// Draws the plan of a seed.
pub fn draw(scenario: &Scenario, seed: u64) -> Plan {
    let workers = draw_workers(scenario, seed);
    let work = draw_work(scenario, seed);
    Plan {
        version: VERSION,
        scenario: scenario.name.clone(),
        seed,
        world: draw_world(scenario, seed),
        operators: draw_operators(scenario, seed, &work),
        faults: draw_faults(scenario, seed, &workers),
        workers,
        work,
    }
}

/// Partitions as ids name them; a scenario has been checked to have no more.
fn partitions(scenario: &Scenario) -> u16 {
    u16::try_from(scenario.world.partitions).unwrap_or(u16::MAX)
}

fn draw_world(scenario: &Scenario, seed: u64) -> WorldPlan {
    let mut stream = Stream::new(seed, Purpose::Workers, u64::from(PartyKey::SERVER.0));
    let deviations: Vec<Deviation> = scenario.deviations.clone();
    WorldPlan {
        partitions: partitions(scenario),
        lanes: scenario.world.lanes.clone(),
        for_ms: scenario.world.for_ms,
        liveness_ms: scenario.liveness.within_ms,
        lease_ttl_ms: scenario.lease.ttl_ms,
        latency_us: scenario.network.latency_us,
        request_timeout_ms: scenario.network.request_timeout_ms,
        server: Skew { offset_ms: 0, drift_ppm: stream.within(scenario.clocks.server_drift_ppm) },
        deviations,
        accept: scenario.accept.iter().map(|accept| (accept.signature.clone(), accept.reason.clone())).collect(),
    }
}

/// The element that a draw falls on, by weight.
fn weighted<'a, T>(stream: &mut Stream, choices: &'a [T], weight: impl Fn(&T) -> u32) -> Option<&'a T> {
    let total: u64 = choices.iter().map(|choice| u64::from(weight(choice))).sum();
    let mut drawn = stream.below(total);
    choices.iter().find(|choice| {
        let weight = u64::from(weight(choice));
        let falls = drawn < weight;
        drawn = drawn.wrapping_sub(weight);
        falls
    })
}

fn draw_workers(scenario: &Scenario, seed: u64) -> Vec<WorkerPlan> {
    let workers = &scenario.workers;
    let reclaimers = (0..workers.reclaimers).map(|number| {
        let key = PartyKey(PartyKey::RECLAIMERS + number);
        let everything = scenario.work.requires.iter().flat_map(|requirement| requirement.capabilities.clone());
        let mut capabilities: Vec<String> = everything.collect();
        capabilities.sort_unstable();
        capabilities.dedup();
        WorkerPlan {
            key,
            worker_id: format!("reclaimer-{number}"),
            capabilities,
            lanes: scenario.world.lanes.clone(),
            entry: None,
            concurrency: u32::MAX,
            poll_ms: 1_000,
            starts_at: TrueTime::from_ms(0),
            attempt_timeout_ms: None,
            registers: false,
            listens: false,
            clock: Skew::default(),
            player: workers.worker,
        }
    });
    let ordinary = (0..workers.count).map(|number| {
        let key = PartyKey(PartyKey::WORKERS + number);
        let mut stream = Stream::new(seed, Purpose::Workers, u64::from(key.0));
        let kind = weighted(&mut stream, &workers.kinds, |kind| kind.weight);
        let (capabilities, entry) =
            kind.map_or((Vec::new(), Entry::ClaimNext), |kind| (kind.capabilities.clone(), kind.entry));
        let pool = if workers.pools == 0 { u64::from(number) } else { stream.below(u64::from(workers.pools)) };
        let clock = Skew {
            offset_ms: stream.within(scenario.clocks.worker_offset_ms),
            drift_ppm: stream.within(scenario.clocks.worker_drift_ppm),
        };
        let starts_at = TrueTime::from_us(stream.below(workers.poll_ms.saturating_mul(1_000)));
        let sets_timeout = stream.chance(scenario.work.attempt_timeout);
        let timeout_ms = stream.within_unsigned(scenario.work.attempt_timeout_ms);
        let player = kind.and_then(|kind| kind.worker).unwrap_or(workers.worker);
        WorkerPlan {
            key,
            worker_id: format!("pool-{pool}"),
            capabilities,
            lanes: scenario.world.lanes.clone(),
            entry: Some(entry),
            concurrency: workers.concurrency,
            poll_ms: workers.poll_ms,
            starts_at,
            // The shipped worker's claims set none.
            attempt_timeout_ms: (sets_timeout && player == Player::Native).then_some(timeout_ms),
            registers: workers.register,
            listens: workers.listen,
            clock,
            player,
        }
    });
    reclaimers.chain(ordinary).collect()
}

fn draw_work(scenario: &Scenario, seed: u64) -> Vec<WorkItem> {
    let seconds = scenario.world.for_ms.div_ceil(1_000);
    let mut items = Vec::new();
    for second in 0..seconds {
        let count = if second == 0 { scenario.work.at_start } else { scenario.work.per_second };
        for _ in 0..count {
            let key = u32::try_from(items.len()).unwrap_or(u32::MAX);
            items.push(draw_item(scenario, seed, key, second));
        }
    }
    items
}

fn draw_item(scenario: &Scenario, seed: u64, key: u32, second: u64) -> WorkItem {
    let work = &scenario.work;
    let mut stream = Stream::new(seed, Purpose::Work, u64::from(key));
    let config = PartitionConfig { num_flow_partitions: partitions(scenario), ..PartitionConfig::default() };
    let flow = FlowId::from_uuid(stream.uuid());
    let execution = ExecutionId::deterministic_for_flow(&flow, &config, stream.uuid());
    let at = TrueTime::from_us(second * 1_000_000 + stream.below(1_000_000));
    let lane = stream.below(scenario.world.lanes.len() as u64) as usize;
    let requires = weighted(&mut stream, &work.requires, |requirement| requirement.weight);
    let ending = weighted(&mut stream, &work.endings.weights(), |(_, weight)| *weight).map(|(ending, _)| *ending);
    let run_ms = stream.within_unsigned(work.run_ms);
    let priority = i32::try_from(stream.within(work.priority)).unwrap_or(0);
    let suspends = stream.chance(work.suspend);
    let delays = stream.chance(work.delay);
    let suspend = Park::Suspend {
        timeout_ms: stream.within_unsigned(work.suspend_timeout_ms),
        signal_after_ms: {
            let sent = stream.chance(work.signal);
            let after = stream.within_unsigned(work.signal_after_ms);
            sent.then_some(after)
        },
        resume_delay_ms: {
            let asked = stream.chance(work.resume_delay);
            let delay = stream.within_unsigned(work.delay_ms);
            asked.then_some(delay)
        },
        on_pending: Stream::of_extra(seed, Extra::OnPending, u64::from(key)).chance(work.on_pending),
    };
    let delay = Park::Delay { for_ms: stream.within_unsigned(work.delay_ms) };
    let submitted_delayed = stream.chance(work.submit_delayed);
    let delay_ms = stream.within_unsigned(work.delay_ms);
    let has_deadline = stream.chance(work.deadline);
    let deadline_ms = stream.within_unsigned(work.deadline_ms);
    let in_flow = Stream::of_extra(seed, Extra::Flow, u64::from(key)).chance(work.flow);
    WorkItem {
        key,
        at,
        execution: execution.as_str().to_owned(),
        flow: in_flow.then(|| flow.to_string()),
        lane: scenario.world.lanes[lane].clone(),
        priority,
        requires: requires.map(|requirement| requirement.capabilities.clone()).unwrap_or_default(),
        max_retries: work.max_retries,
        max_reclaims: work.max_reclaims,
        delay_ms: submitted_delayed.then_some(delay_ms),
        deadline_ms: has_deadline.then_some(deadline_ms),
        task: Task {
            run_ms,
            reports_progress: Stream::of_extra(seed, Extra::Progress, u64::from(key)).chance(work.progress),
            park: if suspends { Some(suspend) } else { delays.then_some(delay) },
            ending: ending.unwrap_or(Ending::Complete),
        },
    }
}

/// How long an execution that waits for children is left alone at least.
const CHILDLESS_MS: u64 = 20_000;

fn draw_operators(scenario: &Scenario, seed: u64, work: &[WorkItem]) -> Vec<OperatorAction> {
    let operators = &scenario.operators;
    let mut actions = Vec::new();
    for item in work {
        let mut stream = Stream::new(seed, Purpose::Operators, u64::from(item.key));
        let mut consider = |share: Ratio, act: Act| {
            let chosen = stream.chance(share);
            let after_ms = stream.within_unsigned(operators.after_ms);
            if chosen {
                actions.push(OperatorAction { at: item.at.plus_ms(after_ms), work: item.key, act });
            }
        };
        consider(operators.cancel, Act::Cancel);
        consider(operators.revoke, Act::Revoke);
        consider(operators.reprioritise, Act::Reprioritise(5_000));
        consider(operators.replay, Act::Replay);
    }
    actions.retain(|action| action.at.ms() < scenario.world.for_ms);
    // Whoever waits for children that nobody creates is cancelled whenever that is.
    let childless = work.iter().filter(|item| item.task.ending == Ending::WaitChildren);
    actions.extend(childless.map(|item| {
        let mut stream = Stream::of_extra(seed, Extra::Childless, u64::from(item.key));
        let after_ms = CHILDLESS_MS + stream.within_unsigned(operators.after_ms);
        OperatorAction { at: item.at.plus_ms(after_ms), work: item.key, act: Act::Cancel }
    }));
    actions.sort_by_key(|action| (action.at, action.work));
    actions
}

/// Draws for one kind of fault: which workers, when, and with which parameters.
struct FaultDraw<'a> {
    seed: u64,
    for_us: u64,
    partitions: u16,
    workers: &'a [WorkerPlan],
    faults: Vec<Fault>,
    kind: u64,
}

impl FaultDraw<'_> {
    /// Starts a kind; tells whether it exists in this seed.
    fn exists(&mut self, seeds: Ratio) -> bool {
        self.kind += 1;
        Stream::new(self.seed, Purpose::Swarm, self.kind).chance(seeds)
    }

    fn stream(&self, key: PartyKey) -> Stream {
        Stream::new(self.seed, Purpose::Faults, self.kind << 40 | u64::from(key.0))
    }

    /// At one moment for a share of the workers.
    fn at_moments(&mut self, share: Ratio, what: impl Fn(&mut Stream) -> (bool, What)) {
        for worker in self.workers.iter().filter(|worker| worker.entry.is_some()) {
            let mut stream = self.stream(worker.key);
            let struck = stream.chance(share);
            let at = When::At(TrueTime::from_us(stream.below(self.for_us)));
            let message = When::Message(stream.below(self.for_us / 1_000_000 * MESSAGES_PER_SECOND + 1));
            let (at_message, what) = what(&mut stream);
            if struck {
                self.faults.push(Fault { party: worker.key, when: if at_message { message } else { at }, what });
            }
        }
    }

    /// About how many messages a worker sends in a second, at most.
    fn messages_per_second(&self, worker: &WorkerPlan) -> u64 {
        let scans = u64::from(self.partitions.min(32)) * 1_000 / worker.poll_ms.max(1);
        match worker.entry {
            Some(_) => scans + MESSAGES_PER_SECOND,
            None => RECLAIMER_MESSAGES_PER_SECOND,
        }
    }

    /// With a share of every worker's messages.
    fn on_messages(&mut self, share: Ratio, what: impl Fn(&mut Stream) -> What) {
        for worker in self.workers {
            let horizon = self.for_us / 1_000_000 * self.messages_per_second(worker);
            let mut stream = self.stream(worker.key);
            let mut number = 0;
            while let Some(gap) = stream.gap(share) {
                number += gap;
                if number > horizon {
                    break;
                }
                self.faults.push(Fault { party: worker.key, when: When::Message(number - 1), what: what(&mut stream) });
            }
        }
    }
}

fn draw_faults(scenario: &Scenario, seed: u64, workers: &[WorkerPlan]) -> Vec<Fault> {
    let faults = &scenario.faults;
    let for_us = scenario.world.for_ms.saturating_mul(1_000);
    let mut draw = FaultDraw { seed, for_us, partitions: partitions(scenario), workers, faults: Vec::new(), kind: 0 };
    let never = Messages { seeds: Ratio::NEVER, messages: Ratio::NEVER };

    let crash = faults.crash.as_ref();
    if draw.exists(crash.map_or(Ratio::NEVER, |crash| crash.seeds))
        && let Some(crash) = crash
    {
        draw.at_moments(crash.workers, |stream| {
            let at_message = stream.chance(crash.at_message);
            (at_message, What::Crash { restart_ms: stream.within_unsigned(crash.restart_ms) })
        });
    }
    let pause = faults.pause.as_ref();
    if draw.exists(pause.map_or(Ratio::NEVER, |pause| pause.seeds))
        && let Some(pause) = pause
    {
        draw.at_moments(pause.workers, |stream| (false, What::Pause { for_ms: stream.within_unsigned(pause.for_ms) }));
    }
    let lost = faults.lost_request.clone().unwrap_or_else(|| never.clone());
    if draw.exists(lost.seeds) {
        draw.on_messages(lost.messages, |_| What::LostRequest);
    }
    let lost = faults.lost_reply.clone().unwrap_or_else(|| never.clone());
    if draw.exists(lost.seeds) {
        draw.on_messages(lost.messages, |_| What::LostReply);
    }
    let never_slow = Slow { seeds: Ratio::NEVER, messages: Ratio::NEVER, by_ms: Range::just(0) };
    let slow = faults.delay.clone().unwrap_or(never_slow);
    if draw.exists(slow.seeds) {
        draw.on_messages(slow.messages, |stream| What::Delay { by_ms: stream.within_unsigned(slow.by_ms) });
    }
    let twice = faults.duplicate.clone().unwrap_or(never);
    if draw.exists(twice.seeds) {
        draw.on_messages(twice.messages, |stream| What::Duplicate { after_ms: stream.below(DUPLICATE_WITHIN_MS) });
    }
    let cut = faults.cut.as_ref();
    if draw.exists(cut.map_or(Ratio::NEVER, |cut| cut.seeds))
        && let Some(cut) = cut
    {
        draw.at_moments(cut.workers, |stream| {
            let way = [Way::Out, Way::In, Way::Both][stream.below(3) as usize];
            (false, What::Cut { for_ms: stream.within_unsigned(cut.for_ms), way })
        });
    }
    let step = faults.server_step.as_ref();
    if draw.exists(step.map_or(Ratio::NEVER, |step| step.seeds))
        && let Some(step) = step
    {
        let mut stream = draw.stream(PartyKey::SERVER);
        for _ in 0..stream.within_unsigned(step.count) {
            let at = TrueTime::from_us(stream.below(for_us));
            let what = What::ServerStep { by_ms: stream.within(step.by_ms) };
            draw.faults.push(Fault { party: PartyKey::SERVER, when: When::At(at), what });
        }
    }
    let step = faults.worker_step.as_ref();
    if draw.exists(step.map_or(Ratio::NEVER, |step| step.seeds))
        && let Some(step) = step
    {
        draw.at_moments(step.workers, |stream| (false, What::WorkerStep { by_ms: stream.within(step.by_ms) }));
    }
    draw.faults
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario;

    fn scenario(workers: u32, extra: &str) -> Scenario {
        let text = format!(
            "[world]\npartitions = 4\nfor_ms = 20000\n[workers]\ncount = {workers}\n[work]\nat_start = 5\n\
             per_second = 1\nrun_ms = [100, 900]\n{extra}"
        );
        scenario::parse(Path::new("s.toml"), &text).unwrap()
    }

    #[test]
    fn the_same_seed_draws_the_same_plan_and_another_seed_another() {
        let scenario = scenario(3, "[faults.pause]\nworkers = \"1/1\"\nfor_ms = [1, 5000]\n");
        assert_eq!(draw(&scenario, 4), draw(&scenario, 4));
        assert_ne!(draw(&scenario, 4).work, draw(&scenario, 5).work);
    }

    #[test]
    fn one_worker_more_leaves_every_other_element_as_it_was() {
        let faults = "[faults.pause]\nworkers = \"1/2\"\nfor_ms = [1, 5000]\n";
        let few = draw(&scenario(7, faults), 9);
        let mut more = draw(&scenario(8, faults), 9);
        let added = more.workers.pop().unwrap().key;
        more.faults.retain(|fault| fault.party != added);
        assert_eq!(few, more);
    }

    #[test]
    fn a_kind_of_fault_less_leaves_the_other_kinds_as_they_were() {
        let pause = "[faults.pause]\nworkers = \"1/2\"\nfor_ms = [1, 5000]\n";
        let crash = "[faults.crash]\nworkers = \"1/2\"\nrestart_ms = [1, 5000]\n";
        let both = draw(&scenario(9, &format!("{pause}{crash}")), 2).faults;
        let one = draw(&scenario(9, pause), 2).faults;
        let pauses: Vec<_> = both.into_iter().filter(|fault| fault.what.name() == "pause").collect();
        assert_eq!(pauses, one);
    }
}
