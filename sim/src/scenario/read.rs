//! Reading and checking a scenario's file.

use std::collections::BTreeSet;
use std::path::Path;

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::Invariant;

use super::Scenario;
use crate::input::{InputError, accepted_is, line_of, read_text};
use crate::scanner::ScannerKind;
use crate::stream::Range;

/// Reads and checks a scenario's file.
///
/// # Errors
/// Whatever keeps the file from being a scenario, with its place.
pub fn read(file: &Path) -> Result<Scenario, InputError> {
    let text = read_text(file, "scenario", "a TOML file with [world], [workers] and [work]")?;
    parse(file, &text)
}

/// Checks a scenario's text; `file` is for messages and for the name.
///
/// # Errors
/// Whatever keeps the text from being a scenario, with its place.
pub fn parse(file: &Path, text: &str) -> Result<Scenario, InputError> {
    let malformed = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let why = explain(text, offset, error.message());
        InputError::Malformed { file: file.to_owned(), line: line_of(text, offset), why }
    };
    let mut scenario: Scenario = toml::from_str(text).map_err(malformed)?;
    if scenario.name.is_empty() {
        scenario.name = file.file_stem().map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy().into_owned());
    }
    check(&scenario).map_err(|problem| InputError::Impossible {
        file: file.to_owned(),
        line: line_of(text, offset_of(text, &problem.key)),
        key: problem.key,
        found: problem.found,
        accepted: problem.accepted.into(),
    })?;
    Ok(scenario)
}

/// A scenario from a table that a program has made, with the key that keeps it from being one.
///
/// # Errors
/// What the table has that no scenario can have.
pub fn from_table(name: &str, table: toml::Table) -> Result<Scenario, String> {
    let mut scenario: Scenario = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    name.clone_into(&mut scenario.name);
    check(&scenario)
        .map_err(|problem| format!("{}: found {}, accepted is {}", problem.key, problem.found, problem.accepted))?;
    Ok(scenario)
}

/// The parser's message with the key in front, and with "accepted is" where it says "expected".
fn explain(text: &str, offset: usize, message: &str) -> String {
    let message = accepted_is(message);
    let key = key_at(text, offset).or_else(|| {
        // Where the text is no TOML at all, the key is what the line starts with.
        let line = text[..offset].rfind('\n').map_or(0, |end| end + 1);
        let key = text[line..].split(['=', '\n']).next()?.trim();
        (!key.is_empty()).then(|| key.to_owned())
    });
    key.map_or_else(|| message.clone(), |key| format!("{key}: {message}"))
}

/// The dotted key whose value stands at an offset.
fn key_at(text: &str, offset: usize) -> Option<String> {
    let document = toml_edit::Document::parse(text).ok()?;
    let mut keys: Vec<String> = Vec::new();
    let mut table: &dyn toml_edit::TableLike = document.as_table();
    'deeper: loop {
        for (key, item) in table.iter() {
            let holds = item.span().is_some_and(|span| span.contains(&offset));
            match item.as_table_like() {
                // A table's own span ends with its heading, so its members are asked too.
                Some(inner) if holds || covers(inner, offset) => {
                    keys.push(key.to_owned());
                    table = inner;
                    continue 'deeper;
                }
                None if holds => {
                    keys.push(key.to_owned());
                    return Some(keys.join("."));
                }
                _ => {}
            }
        }
        return (!keys.is_empty()).then(|| keys.join("."));
    }
}

fn covers(table: &dyn toml_edit::TableLike, offset: usize) -> bool {
    table.iter().any(|(_, item)| match item.as_table_like() {
        Some(inner) => item.span().is_some_and(|span| span.contains(&offset)) || covers(inner, offset),
        None => item.span().is_some_and(|span| span.contains(&offset)),
    })
}

/// Where a dotted key stands in the text, or its nearest table that does.
fn offset_of(text: &str, key: &str) -> usize {
    let Ok(document) = toml_edit::Document::parse(text) else { return 0 };
    let mut item = document.as_item();
    let mut offset = 0;
    for part in key.split('.') {
        let (name, position) = match part.split_once('[') {
            Some((name, position)) => (name, position.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some(next) = item.get(name) else { break };
        item = position.and_then(|position| next.get(position)).unwrap_or(next);
        if let Some(span) = item.span() {
            offset = span.start;
        }
    }
    offset
}

/// A value that cannot be, before its place is known.
struct Problem {
    key: String,
    found: String,
    accepted: &'static str,
}

fn require(holds: bool, key: impl Into<String>, found: impl ToString, accepted: &'static str) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem { key: key.into(), found: found.to_string(), accepted }) }
}

const DAY_MS: u64 = 86_400_000;

fn check(scenario: &Scenario) -> Result<(), Problem> {
    let Scenario { world, lease, workers, work, network, .. } = scenario;
    let name_is_plain = scenario.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let name_is_plain = name_is_plain && !scenario.name.starts_with('.');
    require(name_is_plain, "name", format!("{:?}", scenario.name), "letters, digits, dots, dashes and underscores")?;
    require((1..=65_535).contains(&world.partitions), "world.partitions", world.partitions, "1 to 65535")?;
    require((1..=DAY_MS).contains(&world.for_ms), "world.for_ms", world.for_ms, "1 to 86400000")?;
    require(!world.lanes.is_empty(), "world.lanes", "no lanes", "at least one lane")?;
    let mut seen = BTreeSet::new();
    for (position, lane) in world.lanes.iter().enumerate() {
        let key = format!("world.lanes[{position}]");
        let valid = ff_core::types::LaneId::try_new(lane.as_str()).is_ok();
        require(valid, &key, format!("{lane:?}"), "1 to 64 printable ASCII characters")?;
        require(seen.insert(lane), &key, format!("{lane:?} again"), "each lane once")?;
    }
    require((3..=DAY_MS).contains(&lease.ttl_ms), "lease.ttl_ms", lease.ttl_ms, "3 to 86400000")?;
    require((1..=200_000).contains(&workers.count), "workers.count", workers.count, "1 to 200000")?;
    require((1..=10_000).contains(&workers.concurrency), "workers.concurrency", workers.concurrency, "1 to 10000")?;
    require((1..=DAY_MS).contains(&workers.poll_ms), "workers.poll_ms", workers.poll_ms, "1 to 86400000")?;
    require(workers.reclaimers <= 1_000, "workers.reclaimers", workers.reclaimers, "0 to 1000")?;
    require(work.at_start <= 5_000_000, "work.at_start", work.at_start, "0 to 5000000")?;
    require(work.per_second <= 100_000, "work.per_second", work.per_second, "0 to 100000")?;
    let Range { low, high } = scenario.flows.members;
    require(low >= 2 && high <= 200, "flows.members", show(scenario.flows.members), "2 to 200")?;
    let Range { low, high } = work.suspend_times;
    require(low >= 1 && high <= 100, "work.suspend_times", show(work.suspend_times), "1 to 100")?;
    check_engine(scenario)?;
    check_admission(&scenario.admission)?;
    check_weights("workers.kinds", workers.kinds.iter().map(|kind| kind.weight))?;
    for (position, kind) in workers.kinds.iter().enumerate() {
        check_capabilities(&format!("workers.kinds[{position}].capabilities"), &kind.capabilities)?;
    }
    check_weights("work.requires", work.requires.iter().map(|requirement| requirement.weight))?;
    for (position, requirement) in work.requires.iter().enumerate() {
        check_capabilities(&format!("work.requires[{position}].capabilities"), &requirement.capabilities)?;
    }
    let weights = work.endings.weights().iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>();
    require(weights > 0, "work.endings", "no weight", "at least one weight over 0")?;
    require(
        (0..=9_000).contains(&work.priority.low) && work.priority.high <= 9_000,
        "work.priority",
        show(work.priority),
        "0 to 9000",
    )?;
    for (key, range) in [
        ("work.run_ms", work.run_ms),
        ("work.suspend_timeout_ms", work.suspend_timeout_ms),
        ("work.signal_after_ms", work.signal_after_ms),
        ("work.delay_ms", work.delay_ms),
        ("work.deadline_ms", work.deadline_ms),
        ("work.attempt_timeout_ms", work.attempt_timeout_ms),
        ("work.keep_ms", work.keep_ms),
        ("operators.after_ms", scenario.operators.after_ms),
        ("flows.cancel_after_ms", scenario.flows.cancel_after_ms),
    ] {
        check_duration(key, range)?;
    }
    let most = super::MOST_OF_A_ROLE;
    require((1..=most).contains(&world.engines), "world.engines", world.engines, "1 to 9")?;
    require((1..=most).contains(&world.schedulers), "world.schedulers", world.schedulers, "1 to 9")?;
    let service = network.service_us;
    let possible = service.low >= 0 && service.high <= 60_000_000;
    require(possible, "network.service_us", show(service), "0 to 60000000")?;
    let Range { low, high } = network.latency_us;
    require(low >= 1 && high <= 60_000_000, "network.latency_us", show(network.latency_us), "1 to 60000000")?;
    let timeout = network.request_timeout_ms;
    require((1..=DAY_MS).contains(&timeout), "network.request_timeout_ms", timeout, "1 to 86400000")?;
    check_clocks(scenario)?;
    check_faults(scenario)?;
    require(scenario.liveness.within_ms <= DAY_MS, "liveness.within_ms", scenario.liveness.within_ms, "0 to 86400000")?;
    let names: BTreeSet<Deviation> = scenario.deviations.iter().copied().collect();
    require(names.len() == scenario.deviations.len(), "deviations", "one twice", "each switch once")?;
    let mut accepted = BTreeSet::new();
    for (position, id) in scenario.accept.iter().enumerate() {
        let key = format!("accept[{position}]");
        require(accepted.insert(id), key, format!("{id:?} again"), "each finding once")?;
    }
    for (position, id) in scenario.must_exercise.iter().enumerate() {
        let key = format!("must_exercise[{position}]");
        let accepted = "an invariant's id, as `claimlab invariants` lists them";
        require(Invariant::parse(id).is_some(), key, format!("{id:?}"), accepted)?;
    }
    Ok(())
}

fn check_engine(scenario: &Scenario) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (position, name) in scenario.engine.scanners.iter().enumerate() {
        let key = format!("engine.scanners[{position}]");
        let known = ScannerKind::parse(name).is_some();
        let accepted = "a scanner such as \"lease_expiry\", \"dependency_reconciler\" or \"edge_cancel_dispatcher\"";
        require(known && seen.insert(name), key, format!("{name:?}"), accepted)?;
    }
    for (position, lane) in scenario.engine.lanes.iter().enumerate() {
        let known = scenario.world.lanes.contains(lane);
        require(known, format!("engine.lanes[{position}]"), format!("{lane:?}"), "one of world.lanes")?;
    }
    let retention_ms = scenario.engine.retention_ms.unwrap_or(1);
    require(retention_ms <= DAY_MS, "engine.retention_ms", retention_ms, "0 to 86400000")?;
    let batch = scenario.engine.batch.unwrap_or(1);
    require((1..=10_000).contains(&batch), "engine.batch", batch, "1 to 10000")
}

fn check_admission(admission: &super::Admission) -> Result<(), Problem> {
    require(admission.quotas <= 1_000, "admission.quotas", admission.quotas, "0 to 1000")?;
    require(admission.budgets <= 1_000, "admission.budgets", admission.budgets, "0 to 1000")?;
    let possible = admission.spend.low >= 0 && admission.spend.high <= 1_000_000_000;
    require(possible, "admission.spend", show(admission.spend), "0 to 1000000000")?;
    require(admission.reset_ms <= DAY_MS, "admission.reset_ms", admission.reset_ms, "0 to 86400000")
}

fn show(range: Range) -> String {
    format!("[{}, {}]", range.low, range.high)
}

fn check_duration(key: &str, range: Range) -> Result<(), Problem> {
    let possible = range.low >= 0 && range.high <= DAY_MS as i64;
    require(possible, key, show(range), "0 to 86400000")
}

fn check_weights(key: &str, weights: impl Iterator<Item = u32>) -> Result<(), Problem> {
    for (position, weight) in weights.enumerate() {
        require((1..=1_000_000).contains(&weight), format!("{key}[{position}].weight"), weight, "1 to 1000000")?;
    }
    Ok(())
}

fn check_capabilities(key: &str, capabilities: &[String]) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for token in capabilities {
        let plain = !token.is_empty() && !token.bytes().any(|byte| byte <= 0x20 || byte == 0x7f || byte == b',');
        require(
            plain && seen.insert(token),
            key,
            format!("{token:?}"),
            "distinct tokens without commas, spaces or control characters",
        )?;
    }
    Ok(())
}

fn check_clocks(scenario: &Scenario) -> Result<(), Problem> {
    for (key, range) in [
        ("clocks.worker_drift_ppm", scenario.clocks.worker_drift_ppm),
        ("clocks.server_drift_ppm", scenario.clocks.server_drift_ppm),
        ("clocks.others_drift_ppm", scenario.clocks.others_drift_ppm),
    ] {
        let possible = range.low >= -500_000 && range.high <= 500_000;
        require(possible, key, show(range), "-500000 to 500000")?;
    }
    check_step("clocks.worker_offset_ms", scenario.clocks.worker_offset_ms)?;
    check_step("clocks.others_offset_ms", scenario.clocks.others_offset_ms)
}

fn check_step(key: &str, range: Range) -> Result<(), Problem> {
    let possible = range.low >= -(DAY_MS as i64) && range.high <= DAY_MS as i64;
    require(possible, key, show(range), "-86400000 to 86400000")
}

fn check_count(key: &str, count: Range) -> Result<(), Problem> {
    require(count.low >= 0 && count.high <= 1_000, key, show(count), "0 to 1000")
}

fn check_faults(scenario: &Scenario) -> Result<(), Problem> {
    let faults = &scenario.faults;
    if let Some(crash) = &faults.crash {
        check_duration("faults.crash.restart_ms", crash.restart_ms)?;
    }
    if let Some(pause) = &faults.pause {
        check_duration("faults.pause.for_ms", pause.for_ms)?;
    }
    if let Some(cut) = &faults.cut {
        check_duration("faults.cut.for_ms", cut.for_ms)?;
    }
    if let Some(delay) = &faults.delay {
        check_duration("faults.delay.by_ms", delay.by_ms)?;
    }
    if let Some(step) = &faults.server_step {
        check_count("faults.server_step.count", step.count)?;
        check_step("faults.server_step.by_ms", step.by_ms)?;
        step.back_after_ms.map_or(Ok(()), |after| check_duration("faults.server_step.back_after_ms", after))?;
    }
    if let Some(starve) = &faults.starve {
        check_duration("faults.starve.for_ms", starve.for_ms)?;
    }
    if let Some(restart) = &faults.server_restart {
        check_count("faults.server_restart.count", restart.count)?;
        check_duration("faults.server_restart.down_ms", restart.down_ms)?;
    }
    if let Some(over) = &faults.fail_over {
        check_count("faults.fail_over.count", over.count)?;
        check_duration("faults.fail_over.lose_ms", over.lose_ms)?;
        check_duration("faults.fail_over.down_ms", over.down_ms)?;
        check_step("faults.fail_over.clock_ms", over.clock_ms)?;
    }
    if let Some(step) = &faults.worker_step {
        check_step("faults.worker_step.by_ms", step.by_ms)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "[world]\npartitions = 4\nfor_ms = 1000\n\n[workers]\ncount = 2\n\n[work]\nrun_ms = [1, 2]\n";

    #[track_caller]
    fn assert_refused(text: &str, expected: &str) {
        let error = parse(Path::new("s.toml"), text).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_minimal_scenario_takes_its_name_from_its_file() {
        assert_eq!(parse(Path::new("dir/small.toml"), MINIMAL).unwrap().name, "small");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        assert_refused(
            &MINIMAL.replace("count = 2", "count = 2\ncuont = 3"),
            "s.toml:7: cuont: unknown field `cuont`, accepted is one of",
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        assert_refused(
            &MINIMAL.replace("count = 2", "count = \"two\""),
            "s.toml:6: workers.count: invalid type: string \"two\", accepted is u32",
        );
    }

    #[test]
    fn impossible_values_name_key_found_and_accepted() {
        let with_lease = |ttl: &str| format!("{MINIMAL}\n[lease]\nttl_ms = {ttl}\n");
        assert_refused(&with_lease("0"), "s.toml:12: lease.ttl_ms: found 0, accepted is 3 to 86400000");
        assert_refused(&with_lease("2"), "lease.ttl_ms: found 2");
        assert_refused(&MINIMAL.replace("partitions = 4", "partitions = 0"), "s.toml:2: world.partitions: found 0");
        assert_refused(&MINIMAL.replace("for_ms", "lanes = []\nfor_ms"), "world.lanes: found no lanes");
        assert_refused(
            &MINIMAL.replace("for_ms", "lanes = [\"a\", \"a\"]\nfor_ms"),
            "world.lanes[1]: found \"a\" again, accepted is each lane once",
        );
    }

    #[test]
    fn more_partitions_than_an_id_can_name_are_refused() {
        assert_refused(
            &MINIMAL.replace("partitions = 4", "partitions = 70000"),
            "s.toml:2: world.partitions: found 70000, accepted is 1 to 65535",
        );
    }

    #[test]
    fn a_probability_over_one_is_refused() {
        assert_refused(
            &format!("{MINIMAL}suspend = \"3/2\"\n"),
            "s.toml:10: work.suspend: found \"3/2\", accepted is a ratio",
        );
    }
}
