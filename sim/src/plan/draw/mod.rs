//! From scenario and seed to plan: what there is, who does it and what goes wrong.
//!
//! Every element draws from a stream of its own, named by its kind and number.

mod faults;
mod flows;

use claimlab_model::deviation::Deviation;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, FlowId};

use super::{
    Act, AdmissionPlan, EnginePlan, HabitPlan, OperatorAction, OthersClock, Park, PartyKey, Plan, Strays, TaskPlan,
    VERSION, WorkItem, WorkerPlan, WorldPlan,
};
use crate::clock::{Skew, TrueTime};
use crate::scenario::{Ending, Engine, Entry, Player, Scenario};
use crate::stream::{Extra, Purpose, Ratio, Stream};

/// Draws the plan of a seed.
pub fn draw(scenario: &Scenario, seed: u64) -> Plan {
    let workers = draw_workers(scenario, seed);
    let world = draw_world(scenario, seed);
    let mut work = draw_work(scenario, seed, &world.admission.clone().unwrap_or_default());
    let flows = flows::draw(scenario, seed, &mut work);
    let (faults, rates) = faults::draw(scenario, seed, (&world, &workers, &work));
    Plan {
        version: VERSION,
        scenario: scenario.name.clone(),
        seed,
        later: None,
        world,
        operators: draw_operators(scenario, seed, &work),
        flows,
        faults,
        rates,
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
    let mut world = WorldPlan {
        partitions: partitions(scenario),
        lanes: scenario.world.lanes.clone(),
        for_ms: scenario.world.for_ms,
        liveness_ms: scenario.liveness.within_ms,
        lease_ttl_ms: scenario.lease.ttl_ms,
        latency_us: scenario.network.latency_us,
        request_timeout_ms: scenario.network.request_timeout_ms,
        service_us: scenario.network.service_us,
        server: Skew { offset_ms: 0, drift_ppm: stream.within(scenario.clocks.server_drift_ppm) },
        clocks: Vec::new(),
        engine: draw_engine(scenario),
        admission: draw_admission(scenario, seed),
        engines: scenario.world.engines,
        schedulers: scenario.world.schedulers,
        deviations,
    };
    let others = world.others().filter(|party| *party != PartyKey::SERVER);
    let clocks = others.map(|party| OthersClock { party, clock: others_clock(scenario, seed, party) });
    world.clocks = clocks.filter(|other| other.clock != Skew::default()).collect();
    world
}

/// What the engine runs, where a scenario asks for something else than usual.
fn draw_engine(scenario: &Scenario) -> Option<EnginePlan> {
    let Engine { scanners, lanes, batch, retention_ms, cascades } = &scenario.engine;
    let lanes = if lanes.is_empty() { &scenario.world.lanes } else { lanes };
    let plan = EnginePlan {
        scanners: scanners.clone(),
        lanes: lanes.clone(),
        batch: *batch,
        retention_ms: *retention_ms,
        cascades: *cascades,
    };
    (scenario.engine != Engine::default()).then_some(plan)
}

fn draw_admission(scenario: &Scenario, seed: u64) -> Option<AdmissionPlan> {
    let admission = &scenario.admission;
    let mut stream = Stream::of_extra(seed, Extra::Admission, (1 << 40) - 1);
    let mut ids = |count: u32| (0..count).map(|_| stream.uuid().to_string()).collect();
    let plan = AdmissionPlan {
        quotas: ids(admission.quotas),
        max_concurrent: admission.max_concurrent,
        window_seconds: admission.window_seconds,
        max_per_window: admission.max_per_window,
        budgets: ids(admission.budgets),
        hard_limit: admission.hard_limit,
        spend: admission.spend,
        reset_ms: admission.reset_ms,
    };
    (admission.quotas > 0 || admission.budgets > 0).then_some(plan)
}

/// The clock of a party that is no worker.
fn others_clock(scenario: &Scenario, seed: u64, party: PartyKey) -> Skew {
    let mut stream = Stream::of_extra(seed, Extra::Clock, u64::from(party.0));
    Skew {
        offset_ms: stream.within(scenario.clocks.others_offset_ms),
        drift_ppm: stream.within(scenario.clocks.others_drift_ppm),
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
            clock: others_clock(scenario, seed, key),
            player: workers.worker,
            habits: HabitPlan::default(),
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
            habits: draw_habits(scenario, seed, number, player),
        }
    });
    reclaimers.chain(ordinary).collect()
}

/// Of the shipped worker, those of the application around it: an end that it has sent it never sends again, as sending
/// takes its task, and what a resumed claim names it reads by itself.
fn draw_habits(scenario: &Scenario, seed: u64, number: u32, player: Player) -> HabitPlan {
    let habits = &scenario.workers.habits;
    let mut stream = Stream::of_extra(seed, Extra::Habits, u64::from(number));
    let (repeats, is_twin) = (stream.chance(habits.repeat), stream.chance(habits.twin));
    let is_native = player == Player::Native;
    HabitPlan {
        repeats: repeats && is_native,
        hands_over: habits.hand_over,
        hands_astray: habits.hand_astray,
        dawdles: habits.dawdle,
        leaves: habits.leave,
        wrong_lane: habits.wrong_lane,
        stale_read: if is_native { habits.stale_read } else { Ratio::NEVER },
        twin_of: number.checked_sub(1).filter(|_| is_twin).map(|before| PartyKey(PartyKey::WORKERS + before)),
    }
}

fn draw_work(scenario: &Scenario, seed: u64, admission: &AdmissionPlan) -> Vec<WorkItem> {
    let seconds = scenario.world.for_ms.div_ceil(1_000);
    let mut items = Vec::new();
    for second in 0..seconds {
        let count = if second == 0 { scenario.work.at_start } else { scenario.work.per_second };
        for _ in 0..count {
            let key = u32::try_from(items.len()).unwrap_or(u32::MAX);
            items.push(draw_item(scenario, seed, (key, second), admission));
        }
    }
    items
}

fn draw_item(scenario: &Scenario, seed: u64, (key, second): (u32, u64), admission: &AdmissionPlan) -> WorkItem {
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
    let mut signals = Stream::of_extra(seed, Extra::Signals, u64::from(key));
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
        times: u32::try_from(signals.within(work.suspend_times)).unwrap_or(1),
        composite: signals.chance(work.composite),
        strays: Strays {
            again: signals.chance(work.signal_again),
            wrong: signals.chance(work.signal_wrong),
            old: signals.chance(work.signal_old),
        },
        timeout_does: work.suspend_timeout_does,
    };
    let delay = Park::Delay { for_ms: stream.within_unsigned(work.delay_ms) };
    let submitted_delayed = stream.chance(work.submit_delayed);
    let delay_ms = stream.within_unsigned(work.delay_ms);
    let has_deadline = stream.chance(work.deadline);
    let deadline_ms = stream.within_unsigned(work.deadline_ms);
    let mut later = Stream::of_extra(seed, Extra::Later, u64::from(key));
    let later_ending = work
        .later_endings
        .as_ref()
        .and_then(|endings| weighted(&mut later, &endings.weights(), |(_, weight)| *weight).map(|(ending, _)| *ending));
    let has_policy_timeout = later.chance(work.policy_timeout);
    let mut admitted = Stream::of_extra(seed, Extra::Admission, u64::from(key));
    let mut attached = |share: Ratio, ids: &[String]| {
        let is_attached = admitted.chance(share);
        let position = admitted.below(ids.len() as u64) as usize;
        ids.get(position).filter(|_| is_attached).cloned()
    };
    let quota = attached(scenario.admission.quota, &admission.quotas);
    let budget = attached(scenario.admission.budget, &admission.budgets);
    let spends = budget.clone().map(|budget| (budget, admitted.within_unsigned(admission.spend)));
    let mut kept = Stream::of_extra(seed, Extra::Kept, u64::from(key));
    let names_time = kept.chance(work.keep);
    let mut again = Stream::of_extra(seed, Extra::Again, u64::from(key));
    let is_sent_again = again.chance(work.submit_again);
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
        policy_timeout_ms: has_policy_timeout.then(|| later.within_unsigned(work.attempt_timeout_ms)),
        retryable: work.retryable.clone(),
        quota,
        budget,
        keep_ms: names_time.then(|| kept.within_unsigned(work.keep_ms)),
        again: is_sent_again
            .then(|| ExecutionId::deterministic_for_flow(&flow, &config, again.uuid()).as_str().to_owned()),
        task: TaskPlan {
            run_ms,
            reports_progress: Stream::of_extra(seed, Extra::Progress, u64::from(key)).chance(work.progress),
            park: if suspends { Some(suspend) } else { delays.then_some(delay) },
            ending: ending.unwrap_or(Ending::Complete),
            later: later_ending,
            spends,
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
            if !chosen {
                return stream.skip();
            }
            let at = item.at.plus_ms(stream.within_unsigned(operators.after_ms));
            actions.push(OperatorAction { key: act.key(item.key), at, work: item.key, act });
        };
        consider(operators.cancel, Act::Cancel);
        consider(operators.revoke, Act::Revoke);
        consider(operators.reprioritise, Act::Reprioritise(5_000));
        consider(operators.replay, Act::Replay);
        consider(operators.resume, Act::Resume);
        consider(operators.close, Act::CloseWaitpoint);
    }
    actions.retain(|action| action.at.ms() < scenario.world.for_ms);
    // Whoever waits for children that nobody creates is cancelled whenever that is.
    let childless = work.iter().filter(|item| item.task.ending == Ending::WaitChildren);
    actions.extend(childless.map(|item| {
        let mut stream = Stream::of_extra(seed, Extra::Childless, u64::from(item.key));
        let after_ms = CHILDLESS_MS + stream.within_unsigned(operators.after_ms);
        let key = format!("cancel childless work-{}", item.key);
        OperatorAction { key, at: item.at.plus_ms(after_ms), work: item.key, act: Act::Cancel }
    }));
    actions.sort_by_key(|action| (action.at, action.work));
    actions
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
        more.faults.retain(|fault| fault.strikes.party() != Some(added));
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
