//! The swarm: of everything that a base scenario can have, what one seed's world has at all, and how strongly.
//!
//! In goes a scenario's table and a seed, out comes another scenario's table. What a world must have is always there,
//! at a size that the seed draws, small ones most often. What takes work away or stops it (faults, operators, ways to
//! end other than success) is off in half of the worlds, each by itself, because one of them can hide what another
//! would show; what merely adds behaviour is on in a third, so that a small world is not spread over everything.

use toml::{Table, Value};

use crate::stream::{Purpose, Stream};

/// How large a world is: at most so many workers and items, and how long faults last.
struct Class {
    /// So many of sixteen worlds are of this size.
    weight: u64,
    workers: &'static [i64],
    items: &'static [i64],
    for_ms: &'static [i64],
}

const CLASSES: [Class; 3] = [
    Class { weight: 10, workers: &[1, 2, 2, 3, 3, 4], items: &[1, 2, 3, 4, 6], for_ms: &[4_000, 8_000] },
    Class { weight: 5, workers: &[4, 6, 8], items: &[6, 10, 16], for_ms: &[8_000, 12_000] },
    Class { weight: 1, workers: &[16], items: &[24, 40], for_ms: &[20_000] },
];
/// The first worlds of a hunt are all of the smallest size.
const SMALL_AT_FIRST: u64 = 2_000;

/// What a world must have, with the values that are drawn for it.
const SIZES: [(&str, &[i64]); 8] = [
    ("workers.poll_ms", &[100, 250, 250, 1_000]),
    ("world.partitions", &[1, 1, 2, 4]),
    ("lease.ttl_ms", &[600, 1_000, 2_000, 4_000, 10_000]),
    ("workers.concurrency", &[1, 1, 2, 4]),
    ("workers.pools", &[1, 2, 4]),
    ("workers.reclaimers", &[1, 1, 2]),
    ("work.max_retries", &[0, 1, 2, 5]),
    ("work.max_reclaims", &[0, 1, 2, 20]),
];
/// Tables of which each is one thing that can be off.
const WHOLE: [&str; 12] = [
    "faults.crash",
    "faults.pause",
    "faults.cut",
    "faults.starve",
    "faults.lost_reply",
    "faults.lost_request",
    "faults.duplicate",
    "faults.delay",
    "faults.server_restart",
    "faults.fail_over",
    "faults.server_step",
    "faults.worker_step",
];
/// Tables that add behaviour as a whole.
const OPTIONAL: [&str; 3] = ["flows", "admission", "work.later_endings"];
/// What a seed says that a swarm draws instead.
const DROPPED: [&str; 3] = ["accept", "must_exercise", "bounds"];
/// Scanners that have nothing to do where none of these places is there; idle passes are most of what a small world does.
const FOR_NOTHING: [(&str, &[&str]); 12] = [
    ("quota_reconciler", &["admission"]),
    ("budget_reconciler", &["admission"]),
    ("budget_reset", &["admission"]),
    ("dependency_reconciler", &["flows"]),
    ("cancel_reconciler", &["flows"]),
    ("edge_cancel_dispatcher", &["flows"]),
    ("edge_cancel_reconciler", &["flows"]),
    ("flow_projector", &["flows"]),
    ("pending_wp_expiry", &["work.on_pending"]),
    ("retention_trimmer", &["engine.retention_ms"]),
    ("suspension_timeout", &["work.suspend"]),
    ("execution_deadline", &["work.deadline"]),
];
/// How often something befalls a message.
const OF_MESSAGES: [&str; 4] = ["1/200", "1/60", "1/20", "1/8"];
/// How often a worker has a habit: one that always leaves its grants alone lets nothing happen.
const OF_HABITS: [&str; 4] = ["1/40", "1/20", "1/8", "1/4"];
/// How often anything else happens.
const OF_OTHERS: [&str; 5] = ["1/10", "1/4", "1/2", "3/4", "1/1"];

/// Draws the world of a seed, a table that [`crate::scenario::from_table`] reads.
pub fn draw(base: &Table, seed: u64) -> Table {
    let mut stream = Stream::new(seed, Purpose::Swarm, 0);
    let mut table = base.clone();
    DROPPED.iter().for_each(|name| drop(table.remove(*name)));
    vary(&mut table, "", &mut stream);
    lanes(&mut table, &mut stream);
    sizes(&mut table, seed, &mut stream);
    tidy(&mut table);
    table
}

/// Two worlds of three have one lane: a worker that polls several may never look at some of them, and its world then shows
/// little else.
fn lanes(table: &mut Table, stream: &mut Stream) {
    let has_several = is_optional_there(stream);
    if let Some(Value::Array(lanes)) =
        table.get_mut("world").and_then(|world| world.get_mut("lanes")).filter(|_| !has_several)
    {
        lanes.truncate(1);
    }
}

/// What has no use without something else goes with it.
fn tidy(table: &mut Table) {
    let has = |place: &str| {
        let mut parts = place.split('.');
        let first = parts.next().and_then(|name| table.get(name));
        parts.try_fold(first, |value, name| value?.get(name).map(Some)).flatten().is_some()
    };
    let idle: Vec<&str> = FOR_NOTHING
        .iter()
        .filter(|(_, places)| !places.iter().any(|place| has(place)))
        .map(|(name, _)| *name)
        .collect();
    // Nobody can run what requires a capability that no kind of worker has.
    let is_for_nobody = has("work.requires") && !has("workers.kinds");
    if let Some(Value::Table(work)) = table.get_mut("work").filter(|_| is_for_nobody) {
        work.remove("requires");
    }
    if let Some(Value::Array(scanners)) = table.get_mut("engine").and_then(|engine| engine.get_mut("scanners")) {
        scanners.retain(|scanner| !scanner.as_str().is_some_and(|name| idle.contains(&name)));
    }
}

fn pick<T: Copy>(stream: &mut Stream, choices: &[T]) -> T {
    choices[stream.below(choices.len() as u64) as usize]
}

/// Whether what merely adds behaviour is there.
fn is_optional_there(stream: &mut Stream) -> bool {
    stream.below(3) == 0
}

/// Whether what takes work away or stops it is there.
fn is_suppressor_there(stream: &mut Stream) -> bool {
    stream.below(2) == 0
}

fn vary(table: &mut Table, path: &str, stream: &mut Stream) {
    let names: Vec<String> = table.keys().cloned().collect();
    for name in names {
        let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_there = match place.as_str() {
            whole if WHOLE.contains(&whole) => is_suppressor_there(stream),
            whole if OPTIONAL.contains(&whole) => is_optional_there(stream),
            switch if is_switch(switch, &table[&name]) && is_of_people(switch) => is_suppressor_there(stream),
            switch if is_switch(switch, &table[&name]) => is_optional_there(stream),
            _ => true,
        };
        if !is_there {
            table.remove(&name);
            continue;
        }
        match &mut table[&name] {
            Value::Table(inner) => vary(inner, &place, stream),
            Value::String(text) if is_ratio(text) => {
                let chances: &[&str] = match place.as_str() {
                    messages if messages.ends_with(".messages") => &OF_MESSAGES,
                    habit if habit.starts_with("workers.habits.") => &OF_HABITS,
                    _ => &OF_OTHERS,
                };
                pick(stream, chances).clone_into(text);
            }
            Value::Array(ends) if ends.len() == 2 && ends.iter().all(Value::is_integer) => narrow(ends, stream),
            _ => {}
        }
    }
}

/// What an operator does, or how a run ends.
fn is_of_people(place: &str) -> bool {
    place.starts_with("operators.") || place.starts_with("work.endings.")
}

/// Whether a place can be left out by itself: a chance, a weight of an ending, a clock's error, a second process.
fn is_switch(place: &str, value: &Value) -> bool {
    let is_chance = value.as_str().is_some_and(is_ratio) && !place.starts_with("faults.");
    let is_other_ending = place.starts_with("work.endings.") && place != "work.endings.complete";
    let is_clock = place.starts_with("clocks.");
    let is_other_party = place.starts_with("faults.") && place.contains(".others.") || place.ends_with(".holders");
    let is_more = matches!(place, "world.engines" | "world.schedulers" | "workers.register" | "workers.kinds");
    let is_network = matches!(place, "network.service_us" | "engine.retention_ms" | "work.requires");
    is_chance || is_other_ending || is_clock || is_other_party || is_more || is_network
}

fn is_ratio(text: &str) -> bool {
    text.split_once('/').is_some_and(|(times, of)| times.parse::<u64>().is_ok() && of.parse::<u64>().is_ok())
}

/// Half of the ranges shrink to a part of themselves: worlds differ in what is short and what is long.
fn narrow(ends: &mut [Value], stream: &mut Stream) {
    let (Some(low), Some(high)) = (ends[0].as_integer(), ends[1].as_integer()) else { return };
    if stream.below(2) == 0 {
        return;
    }
    let range = crate::stream::Range { low, high };
    let (one, other) = (stream.within(range), stream.within(range));
    ends[0] = Value::Integer(one.min(other));
    ends[1] = Value::Integer(one.max(other));
}

fn sizes(table: &mut Table, seed: u64, stream: &mut Stream) {
    let total: u64 = CLASSES.iter().map(|class| class.weight).sum();
    let mut drawn = if seed < SMALL_AT_FIRST { 0 } else { stream.below(total) };
    let class = CLASSES.iter().find(|class| {
        let is_this = drawn < class.weight;
        drawn = drawn.saturating_sub(class.weight);
        is_this
    });
    let class = class.unwrap_or(&CLASSES[0]);
    let mut set = |place: &str, number: i64| {
        let (parent, name) = place.split_once('.').unwrap_or(("", place));
        let inner = table.entry(parent).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(inner) = inner {
            inner.insert(name.to_owned(), Value::Integer(number));
        }
    };
    for (place, choices) in SIZES {
        set(place, pick(stream, choices));
    }
    set("workers.count", pick(stream, class.workers));
    set("work.at_start", pick(stream, class.items));
    set("work.per_second", i64::from(stream.below(4) == 0));
    set("world.for_ms", pick(stream, class.for_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::everything;
    use crate::scenario;

    #[test]
    fn every_drawn_table_is_a_scenario() {
        let base = everything();
        for seed in 0..2_000 {
            let table = draw(&base, seed);
            let read = scenario::from_table("swarm", table.clone());
            assert!(read.is_ok(), "seed {seed}: {read:?}\n{table}");
        }
    }

    #[test]
    fn each_fault_and_each_operator_is_off_in_about_half_of_the_worlds() {
        let base = everything();
        let worlds: Vec<Table> = (0..1_000).map(|seed| draw(&base, seed)).collect();
        let count = |parent: &str, name: &str| {
            worlds.iter().filter(|world| world.get(parent).and_then(|inner| inner.get(name)).is_some()).count()
        };
        let switches =
            [("faults", "crash"), ("faults", "lost_reply"), ("operators", "cancel"), ("operators", "revoke")];
        for (parent, name) in switches {
            assert!((400..600).contains(&count(parent, name)), "{parent}.{name}: {}", count(parent, name));
        }
    }

    #[test]
    fn what_a_base_does_not_have_no_world_has() {
        let base: Table =
            "[world]\npartitions = 2\nfor_ms = 1000\n[workers]\ncount = 2\n[work]\nrun_ms = [1, 9]\n".parse().unwrap();
        assert!((0..200).all(|seed| draw(&base, seed).get("faults").is_none()));
    }
}
