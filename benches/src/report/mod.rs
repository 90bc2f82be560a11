//! One self-contained page from a folder of results: tables, and plots that a person can read.

mod page;
mod plot;

use std::fmt::Write as _;

use crate::history::{self, FEWEST_RUNS};
use crate::load::knee;
use crate::results::{Comparison, Kind, Load, Measurement, Peer, Results, Verdict};
use page::{Cell, Page, micros, table};
use plot::{Line, Plot};

/// The page about all results: of each kind the newest, and the history of all.
pub fn page(all: &[Results]) -> String {
    let mut page = Page::default();
    let last = |has: fn(&Results) -> bool| all.iter().rev().find(|results| has(results));
    if let Some(results) = last(|results| !results.measurements.is_empty()) {
        measurements(&mut page, results);
    }
    if let Some(results) = last(|results| results.loads.len() > 1) {
        sweep(&mut page, results);
    }
    if let Some(results) = last(|results| results.loads.len() == 1) {
        results.loads.iter().for_each(|of| load(&mut page, results, of));
    }
    if let Some(results) = last(|results| !results.peers.is_empty()) {
        peers(&mut page, results);
    }
    if let Some(results) = last(|results| !results.comparisons.is_empty()) {
        compared(&mut page, results);
    }
    if let Some(results) = last(|results| !results.instructions.is_empty()) {
        let rows =
            results.instructions.iter().map(|(name, count)| vec![Cell::text(name), Cell::number(*count as f64, 0)]);
        page.section("Instructions for each round", "As callgrind counts them.");
        about(&mut page, results);
        page.add(&table(&["work", "instructions"], rows));
    }
    let runs: Vec<Results> = all.iter().filter(|results| !results.measurements.is_empty()).cloned().collect();
    if runs.len() >= FEWEST_RUNS {
        changes(&mut page, &runs);
    }
    page.finish()
}

/// When and where: the documents of a folder need not be of one day, one machine or one revision.
fn about(page: &mut Page, results: &Results) {
    let (machine, server) = (&results.machine, &results.server);
    let settings = server.settings.iter().filter(|(_, value)| !value.is_empty());
    let settings: Vec<String> = settings.map(|(name, value)| format!("{name} {value}")).collect();
    let mut text = format!(
        "{}; {} processors, {}, {} MiB, Linux {}; Valkey {} with library {} ({})",
        results.date,
        machine.cpus,
        machine.cpu_model,
        machine.memory_mib,
        machine.kernel,
        server.valkey,
        server.library,
        settings.join(", ")
    );
    if let Some(revision) = &results.revision {
        let _ = write!(text, "; revision {revision}");
    }
    page.small(&text);
}

fn measurements(page: &mut Page, results: &Results) {
    page.section(
        "The floor",
        "A round trip for nothing, through the harness and in a bare loop by turns: time divided by round trips, of which many are on their way at once.",
    );
    about(page, results);
    let rows = results.overheads.iter().map(|one| {
        vec![
            Cell::text(&one.name),
            Cell::number(one.concurrency as f64, 0),
            Cell::number(one.harness_ns as f64 / 1e3, 1),
            Cell::number(one.bare_ns as f64 / 1e3, 1),
            Cell::number(one.ratio, 3),
            Cell::text(&format!("{:.3} to {:.3}", one.low, one.high)),
        ]
    });
    page.add(&table(&["", "at once", "harness, µs each", "bare, µs each", "harness / bare", "interval"], rows));
    if let Some(nanos) = results.valkey_benchmark_ns {
        page.paragraph(&format!("valkey-benchmark -c 1, PING: {}", micros(nanos)));
    }
    page.section(
        "Operations and paths",
        "Commands are the server's own count; medians and tails are of a closed loop. Floors: the median as a multiple of that of a PING at the same concurrency, right before and after.",
    );
    for concurrency in crate::suite::CONCURRENCIES {
        let chosen = results.measurements.iter().filter(|one| one.concurrency == *concurrency as u64);
        let table = measured(chosen);
        // One caller is what most look for.
        page.folded(&format!("{concurrency} at once"), &table, *concurrency == 1);
    }
    claim_next_by_workers(page, results);
}

fn measured<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> String {
    let rows = measurements.map(|one| {
        vec![
            Cell::text(&one.name),
            if one.kind == Kind::Path { Cell::number(f64::from(one.partitions), 0) } else { Cell::text("") },
            Cell::number(one.commands.client, 1),
            Cell::number(one.commands.script, 1),
            Cell::number(one.floors, 2),
            Cell::number(one.latency.p50_ns as f64 / 1e3, 1),
            Cell::number(one.latency.p99_ns as f64 / 1e3, 1),
            Cell::number(one.per_second, 0),
        ]
    });
    let heads = ["", "partitions", "commands", "in functions", "floors", "p50, µs", "p99, µs", "per second"];
    table(&heads, rows)
}

fn claim_next_by_workers(page: &mut Page, results: &Results) {
    let of = |name: &str, partitions: u16| -> Vec<(f64, f64)> {
        let chosen = |one: &&Measurement| one.name == name && one.partitions == partitions;
        results.measurements.iter().filter(chosen).map(|one| (one.concurrency as f64, one.per_second)).collect()
    };
    let lines = crate::suite::PARTITIONS.iter().map(|partitions| Line {
        name: format!("{partitions} partitions"),
        points: of(crate::path::Path::ClaimNext.name(), *partitions),
    });
    let lines: Vec<Line> = lines.filter(|line| !line.points.is_empty()).collect();
    if !lines.is_empty() {
        let plot = Plot::new("claim_next + complete: done in each second, by workers", "workers", "per second");
        page.add(&plot.log_x().lines(&lines));
    }
}

fn sweep(page: &mut Page, results: &Results) {
    let loads = &results.loads;
    let knee = knee(loads).map_or_else(
        || "Not even the lowest rate was sustained.".to_owned(),
        |rate| format!("Sustained up to {rate} in each second."),
    );
    page.section(
        "Rate by rate",
        &format!("An open loop: latencies from when an execution was due until it was completed. {knee}"),
    );
    about(page, results);
    page.add(&table(&LOAD_HEADS, loads.iter().map(load_row)));
    let line = |name: &str, of: fn(&Load) -> u64| Line {
        name: name.to_owned(),
        points: loads.iter().map(|load| (load.rate as f64, of(load) as f64 / 1e6)).collect(),
    };
    let lines = [
        line("p50", |load| load.complete.p50_ns),
        line("p99", |load| load.complete.p99_ns),
        line("most", |load| load.complete.max_ns),
    ];
    let plot = Plot::new("Latency by rate", "arrivals in each second", "ms, from due to completed");
    page.add(&plot.log_x().log_y().lines(&lines));
    page.add(&percentiles(loads));
}

const LOAD_HEADS: [&str; 10] =
    ["rate", "due", "done", "in time", "p50, ms", "p99, ms", "p99.9, ms", "renewals missed", "fairness", ""];

fn load_row(load: &Load) -> Vec<Cell> {
    vec![
        Cell::number(load.rate as f64, 0),
        Cell::number(load.due as f64, 0),
        Cell::number(load.completed as f64, 0),
        Cell::number(load.completed_in_time as f64, 0),
        Cell::number(load.complete.p50_ns as f64 / 1e6, 2),
        Cell::number(load.complete.p99_ns as f64 / 1e6, 2),
        Cell::number(load.complete.p999_ns as f64 / 1e6, 2),
        Cell::text(&format!("{} of {}", load.renewals_missed, load.renewals_due)),
        Cell::number(load.fairness, 3),
        Cell::text(if load.sustained { "" } else { "not sustained" }),
    ]
}

fn percentiles(loads: &[Load]) -> String {
    let lines: Vec<Line> = loads
        .iter()
        .map(|load| Line {
            name: format!("{}/s", load.rate),
            // One in so many is slower; the last step has nobody beyond it.
            points: load
                .percentiles
                .iter()
                .filter(|(ppm, _)| *ppm < 1_000_000)
                .map(|(ppm, nanos)| (1e6 / (1_000_000 - ppm) as f64, *nanos as f64 / 1e6))
                .collect(),
        })
        .collect();
    Plot::new("Percentiles", "one in so many is slower", "ms, from due to completed").log_x().log_y().lines(&lines)
}

fn load(page: &mut Page, results: &Results, load: &Load) {
    let text = format!("An open loop of {} workers on {} partitions.", load.workers, load.partitions);
    page.section(&format!("{} arrivals in each second", load.rate), &text);
    about(page, results);
    if let Some(first) = &load.first_failure {
        page.paragraph(&format!(
            "{} could not be created, {} calls of workers failed; the first: {first}",
            load.failed_creates, load.failed_calls_of_workers
        ));
    }
    page.add(&table(&LOAD_HEADS, [load_row(load)]));
    let ways = load.ways().map(|(name, latency)| {
        let ms = |nanos: u64| Cell::number(nanos as f64 / 1e6, 2);
        vec![Cell::text(name), ms(latency.p50_ns), ms(latency.p99_ns), ms(latency.max_ns)]
    });
    page.add(&table(&["", "p50, ms", "p99, ms", "most, ms"], ways));
    let line = |name: &str, of: fn(&crate::results::Latency) -> u64| Line {
        name: name.to_owned(),
        points: load.seconds.iter().map(|second| (second.second as f64, of(&second.complete) as f64 / 1e6)).collect(),
    };
    let lines = [line("p50", |of| of.p50_ns), line("p99", |of| of.p99_ns), line("most", |of| of.max_ns)];
    page.add(
        &Plot::new("Latency over time", "second in which it was due", "ms, from due to completed")
            .log_y()
            .lines(&lines),
    );
    page.add(&percentiles(std::slice::from_ref(load)));
}

fn peers(page: &mut Page, results: &Results) {
    let peers = &results.peers;
    page.section(
        "Other queues, the same work",
        "Put in, taken by one of many workers, done. What each promises stands below.",
    );
    about(page, results);
    let rows = peers.iter().map(|peer| {
        let commands = peer.commands.as_ref();
        vec![
            Cell::text(&peer.name),
            Cell::number(peer.workers as f64, 0),
            Cell::number(peer.enqueue_ns as f64 / 1e3, 1),
            Cell::number(peer.per_second, 0),
            Cell::number(peer.alone.p50_ns as f64 / 1e3, 1),
            commands.map_or_else(|| Cell::text("-"), |commands| Cell::number(commands.client, 1)),
            commands.map_or_else(|| Cell::text("-"), |commands| Cell::number(commands.script, 1)),
        ]
    });
    let heads = ["", "workers", "put in, µs", "done per second", "alone p50, µs", "commands", "in scripts"];
    page.add(&table(&heads, rows));
    let mut first: Vec<&Peer> = Vec::new();
    for peer in peers {
        if first.iter().all(|known| known.name != peer.name) {
            first.push(peer);
        }
    }
    let questions: Vec<&str> =
        first.first().map(|peer| peer.guarantees.keys().map(String::as_str).collect()).unwrap_or_default();
    let heads: Vec<&str> = std::iter::once("").chain(questions.iter().copied()).collect();
    let rows = first.iter().map(|peer| {
        let answers =
            questions.iter().map(|question| Cell::text(peer.guarantees.get(*question).map_or("", String::as_str)));
        std::iter::once(Cell::text(&peer.name)).chain(answers).collect()
    });
    page.add(&table(&heads, rows));
}

fn compared(page: &mut Page, results: &Results) {
    page.section("Two revisions", "By turns on the same server; the interval is one by bootstrap.");
    about(page, results);
    results.comparisons.iter().for_each(|comparison| one_comparison(page, comparison));
}

fn one_comparison(page: &mut Page, comparison: &Comparison) {
    page.paragraph(&format!(
        "{} beside {}; accepted is a ratio below 1 + {} ppm.",
        comparison.head, comparison.base, comparison.threshold_ppm
    ));
    let rows = comparison.operations.iter().map(|one| {
        vec![
            Cell::text(&one.name),
            Cell::number(one.pairs as f64, 0),
            Cell::number(one.ratio, 3),
            Cell::text(&format!("{:.3} to {:.3}", one.low, one.high)),
            Cell::text(&format!("{:.1} > {:.1}", one.commands.0, one.commands.1)),
            Cell::text(match one.verdict {
                Verdict::Held => "held",
                Verdict::Regressed => "regressed",
                Verdict::Undecided => "undecided",
            }),
        ]
    });
    page.add(&table(&["", "pairs", "ratio", "interval", "commands", ""], rows));
}

fn changes(page: &mut Page, runs: &[Results]) {
    let text = format!(
        "{} runs, the oldest on the left; medians of one caller as multiples of the floor. A line marks where something changed for good. What is in fewer than {FEWEST_RUNS} runs is left out.",
        runs.len()
    );
    page.section("History", &text);
    for series in history::of(runs) {
        let points = series.values.iter().map(|(run, floors)| (*run as f64, *floors)).collect();
        let marks: Vec<f64> = series.changes.iter().map(|run| *run as f64).collect();
        let plot = Plot::new(&series.name, "run", "floors");
        page.add(&plot.marked(&marks).lines(&[Line { name: String::new(), points }]));
    }
}
