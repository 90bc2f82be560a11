//! A summary that fits one screen, and the stories of what was not expected.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};
use claimlab_model::number::by_thousands;
use serde::Serialize;

use crate::campaign::{Group, Summary};
use crate::hunt::Progress;
use crate::judge::{Finding, Judgement, Verdict};
use crate::outcome::{Cause, Completions, Span, Violation, Wanted};
use crate::scenario::Bounds;
use crate::shrink::{Over, Shrunk, Size};
use crate::story::Story;

/// Reasons, causes and panics that are shown; the rest is counted.
const SHOWN: usize = 6;

const GREEN: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green))).bold();
const RED: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red))).bold();
const YELLOW: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow))).bold();
const DIM: Style = Style::new().dimmed();

fn style_of(judgement: Judgement) -> Style {
    match judgement {
        Judgement::Held => GREEN,
        Judgement::Violated => RED,
        Judgement::Undecided => YELLOW,
    }
}

/// A number with thin groups: `12 345 678`.
pub fn grouped(number: u64) -> String {
    by_thousands(number)
}

/// `numerator` for each whole second of a duration.
fn per_second(numerator: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    numerator.saturating_mul(1_000) / millis
}

/// The first line: the judgement, and in words what it says.
fn headline(summary: &Summary, verdict: &Verdict) -> String {
    let style = style_of(verdict.judgement);
    let known = verdict.known.len();
    let but = match (verdict.judgement, known) {
        (Judgement::Held, 0) => String::new(),
        (Judgement::Held, 1) => " but for 1 known finding".to_owned(),
        (Judgement::Held, _) => format!(" but for {known} known findings"),
        (Judgement::Violated, _) if !verdict.unexpected.is_empty() => {
            let causes = verdict.unexpected.len();
            format!(" by {causes} {} that nobody knows yet", if causes == 1 { "cause" } else { "causes" })
        }
        (Judgement::Violated, _) if !verdict.exceeded.is_empty() => {
            let ids: Vec<&str> = verdict.exceeded.iter().map(|measure| measure.id).collect();
            format!(" by measures over their bounds: {}", ids.join(", "))
        }
        (Judgement::Violated, _) => " by known findings".to_owned(),
        (Judgement::Undecided, _) => String::new(),
    };
    format!(
        "{style}{}{style:#}{but}  {}  {} seeds",
        verdict.judgement.name().to_uppercase(),
        summary.scenario,
        grouped(summary.seeds)
    )
}

/// The summary as text with terminal styles.
pub fn text(summary: &Summary, verdict: &Verdict, accepted: &[Finding], bounds: &Bounds, elapsed: Duration) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", headline(summary, verdict));
    for why in verdict.undecided.iter().take(SHOWN) {
        let _ = writeln!(out, "  {YELLOW}undecided{YELLOW:#}   {why}");
    }
    if verdict.undecided.len() > SHOWN {
        let _ = writeln!(out, "  {YELLOW}undecided{YELLOW:#}   and {} more reasons", verdict.undecided.len() - SHOWN);
    }
    for (seed, message) in summary.panicked.iter().take(SHOWN) {
        let first = message.lines().next().unwrap_or_default();
        let _ = writeln!(out, "  {RED}panicked{RED:#}    seed {seed}: {first}");
    }
    let wall_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let tenths = summary.simulated_ms.saturating_mul(10) / wall_ms;
    let _ = writeln!(
        out,
        "  time        {} s real, {} s simulated ({}.{} times real time)",
        grouped(wall_ms / 1_000),
        grouped(summary.simulated_ms / 1_000),
        tenths / 10,
        tenths % 10,
    );
    let _ = writeln!(
        out,
        "  calls       {} ({}/s), and {} scans that found nothing",
        grouped(summary.calls),
        grouped(per_second(summary.calls, elapsed)),
        grouped(summary.empty_scans),
    );
    let _ = writeln!(
        out,
        "  server      {} messages, {} of them scripts",
        grouped(summary.messages),
        grouped(summary.scripts)
    );
    let _ = writeln!(
        out,
        "  executions  {} created, {} not ended",
        grouped(summary.executions),
        grouped(summary.unfinished)
    );
    let runs = &summary.runs;
    let ppm = runs.overlapped.saturating_mul(1_000_000) / runs.started.max(1);
    let _ = writeln!(
        out,
        "  runs        {} by workers, {} overlapped another run of the same execution ({ppm} ppm)",
        grouped(runs.started),
        grouped(runs.overlapped)
    );
    let _ = writeln!(
        out,
        "  lost        {} leases under a run; {} holders doubted it, after {}",
        grouped(runs.lost),
        grouped(runs.doubted),
        spans(runs.doubted_after_ms, runs.doubted),
    );
    let _ = writeln!(out, "              these runs went on for {}", spans(runs.ran_on_ms, runs.lost));
    for measure in summary.measures(bounds).iter().skip(1).filter(|measure| measure.value > 0 || measure.is_exceeded())
    {
        let bound = measure.at_most.map_or_else(String::new, |most| format!(", at most {}", grouped(most)));
        let (mark, end) = if measure.is_exceeded() { (RED, RED) } else { (DIM, DIM) };
        let (value, unit) = (grouped(measure.value), measure.unit);
        let _ = writeln!(out, "  {mark}{}{end:#}         {value} {unit}{bound}: {}", measure.id, measure.what);
    }
    if summary.completions.published > 0 {
        let Completions { published, heard } = summary.completions;
        let (published, heard) = (grouped(published), grouped(heard));
        let _ = writeln!(out, "  completions {published} sent to listeners, {heard} heard");
    }
    wrap(&mut out, "faults", summary.faults.iter().map(|(kind, count)| format!("{kind} {}", grouped(*count))));
    let looked = summary.checked.iter().filter(|(_, count)| **count > 0);
    wrap(&mut out, "checked", looked.map(|(id, count)| format!("{id} {}", short(*count))));
    let never = summary.checked.iter().filter(|(_, count)| **count == 0);
    wrap(&mut out, "never", never.map(|(id, _)| id.clone()));
    write_findings(&mut out, summary, verdict, accepted);
    out
}

/// The mean and the longest of so many durations.
fn spans(span: Span, count: u64) -> String {
    if count == 0 {
        return "-".to_owned();
    }
    format!("{} ms on average, {} ms at most", grouped(span.sum / count), grouped(span.longest))
}

/// `1234567` as `1.2M`.
fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

fn wrap(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut line = format!("  {title:<12}");
    let mut any = false;
    for item in items {
        if any && line.len() + item.len() + 2 > 110 {
            let _ = writeln!(out, "{}", line.trim_end().trim_end_matches(','));
            line = " ".repeat(14);
        }
        any = true;
        line.push_str(&item);
        line.push_str(", ");
    }
    if !any {
        line.push_str("none");
    }
    let _ = writeln!(out, "{}", line.trim_end().trim_end_matches(','));
}

fn write_findings(out: &mut String, summary: &Summary, verdict: &Verdict, accepted: &[Finding]) {
    for cause in verdict.unexpected.iter().take(SHOWN) {
        let Some(group) = summary.causes.get(cause) else { continue };
        let _ = writeln!(out, "  {RED}{}{RED:#} {}", cause.invariant.id(), cause.invariant.statement());
        let _ = writeln!(out, "    {RED}violated{RED:#}  {}  {cause}", counted(group));
    }
    if verdict.unexpected.len() > SHOWN {
        let _ = writeln!(out, "  {RED}violated{RED:#}    and {} more causes", verdict.unexpected.len() - SHOWN);
    }
    let of_id = |id: &str| accepted.iter().find(|finding| finding.id == id);
    for known in &verdict.known {
        let Some(finding) = of_id(&known.id) else { continue };
        let style = if known.is_too_often { RED } else { DIM };
        let word = if known.is_too_often { "too often" } else { "known" };
        let most = format!("at most {}/{}", finding.at_most.times, finding.at_most.of);
        let rate = format!("{} of {} ({most})", grouped(known.count), grouped(known.of));
        let line = format!("{} {} {}: {rate}: {}", finding.id, finding.invariant, finding.case, finding.title);
        let _ = writeln!(out, "  {style}{word:<11}{style:#} {}", fitting(&line));
    }
    for finding in verdict.unseen.iter().filter_map(|id| of_id(id)) {
        let line = format!("{} {} {}: {}", finding.id, finding.invariant, finding.case, finding.title);
        let _ = writeln!(out, "  {DIM}not seen{DIM:#}    {}", fitting(&line));
    }
}

/// What has room beside the margin; a finding's file has the whole of it.
fn fitting(text: &str) -> String {
    const ROOM: usize = 96;
    match text.chars().count() {
        0..=ROOM => text.to_owned(),
        _ => text.chars().take(ROOM - 1).chain(['…']).collect(),
    }
}

fn counted(group: &Group) -> String {
    format!("{} times in {} seeds, smallest seed {}", grouped(group.count), group.seeds, group.smallest_seed)
}

/// One violation told as a story.
pub fn story(violation: &Violation, story: &Story, command: &str) -> String {
    let invariant = violation.invariant;
    let mut out = String::new();
    let _ = writeln!(out, "{RED}{}{RED:#} {}", invariant.id(), invariant.statement());
    let _ = writeln!(out, "  cause     {}", violation.cause());
    if !violation.execution.is_empty() {
        let _ = writeln!(out, "  execution {}", violation.execution);
    }
    for line in &story.lines {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "  replay    {command}");
    out
}

/// What a shrink came to: sizes, what it took, and the story of the smallest plan. The commands replay the plan before
/// and after.
pub fn shrunk(shrunk: &Shrunk, elapsed: Duration, story: &Story, (from, to): (&str, &str)) -> String {
    let Shrunk { violation, before, after, runs, shown, over, replays, met, .. } = shrunk;
    let mut out = String::new();
    let _ = writeln!(out, "{RED}SHRUNK{RED:#}  {}  {from}", violation.breach());
    let _ = writeln!(out, "  before      {before}");
    let _ = writeln!(out, "  after       {after}");
    let rate = shown * 100 / (*runs).max(1);
    let _ = writeln!(
        out,
        "  runs        {}, of which {} still showed it ({rate} %), in {:.1} s",
        grouped(*runs),
        grouped(*shown),
        elapsed.as_secs_f64()
    );
    let (style, minimal) = match over {
        None => (GREEN, "yes: no element can be left out, no value be plainer"),
        Some(Over::Time) => (YELLOW, "not known: the time was up"),
        Some(Over::Stopped) => (YELLOW, "not known: interrupted"),
    };
    let _ = writeln!(out, "  minimal     {style}{minimal}{style:#}");
    let twice =
        if *replays { "two runs of it give the same bytes" } else { "two runs of it DIFFER: a defect of claimlab" };
    let _ = writeln!(out, "  replays     {twice}");
    if !met.is_empty() {
        let also: Vec<String> = met.keys().map(Wanted::to_string).collect();
        wrap(&mut out, "met too", also.into_iter());
    }
    out.push('\n');
    out.push_str(&self::story(violation, story, to));
    out
}

/// Milliseconds as seconds: `12.3 s`.
pub fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

/// One find of a hunt.
#[derive(Clone, Debug, Serialize)]
pub struct FindLine {
    /// Its cause.
    pub cause: Cause,
    /// The finding that knows what the smallest plan shows.
    pub known_as: Option<String>,
    /// Whether it is told as news.
    pub is_news: bool,
    /// The seed that showed it first.
    pub seed: u64,
    /// After how many worlds.
    pub worlds: u64,
    /// After how much real time, in milliseconds.
    pub ms: u64,
    /// The size of the smallest plan, where it was shrunk.
    pub size: Option<Size>,
    /// Candidates that shrinking it ran.
    pub runs: u64,
    /// Where it was written.
    pub folder: String,
}

/// What a hunt came to.
pub fn hunted(progress: &Progress, finds: &[FindLine], (registered, silent): (usize, &[String])) -> String {
    let mut out = String::new();
    let news = match finds.iter().filter(|find| find.is_news).count() {
        0 => format!("{GREEN}NOTHING NEW{GREEN:#}"),
        1 => format!("{RED}1 FIND{RED:#}"),
        count => format!("{RED}{count} FINDS{RED:#}"),
    };
    let _ = writeln!(out, "{news}  in {} worlds; it ended because {}", grouped(progress.worlds), progress.ended);
    let over_time =
        progress.over_time.iter().map(|(ms, reached)| format!("{} after {} s", grouped(*reached), ms / 1_000));
    wrap(&mut out, "reached", over_time.chain([format!("{} at the end", grouped(progress.reached))]));
    let _ = writeln!(out, "  messages    {}", grouped(progress.messages));
    let _ = writeln!(out, "  red worlds  {}, of {} causes", grouped(progress.red), progress.causes.len());
    wrap(&mut out, "never", progress.never_checked().into_iter().map(str::to_owned));
    for (why, count) in progress.undecided.iter().take(SHOWN) {
        let _ = writeln!(out, "  {YELLOW}undecided{YELLOW:#}   {} worlds: {why}", grouped(*count));
    }
    for (seed, message) in progress.panicked.iter().take(SHOWN) {
        let _ = writeln!(out, "  {RED}panicked{RED:#}    seed {seed}: {}", fitting(message));
    }
    if registered > 0 {
        let _ =
            writeln!(out, "  register    {registered} plans run first, {} of them show nothing any more", silent.len());
    }
    if !silent.is_empty() {
        wrap(&mut out, "silent", silent.iter().cloned());
    }
    let known = finds.iter().filter(|find| !find.is_news);
    let known: Vec<String> = known
        .filter_map(|find| {
            Some(format!("{} {} is {}", find.cause.invariant.id(), find.cause.case, find.known_as.as_ref()?))
        })
        .collect();
    if !known.is_empty() {
        wrap(&mut out, "known", known.into_iter());
    }
    for find in finds.iter().filter(|find| find.is_news) {
        let after = format!("{}, {} worlds", seconds(find.ms), grouped(find.worlds));
        let size =
            find.size.map_or_else(|| "not shrunk".to_owned(), |size| format!("{size} ({} runs)", grouped(find.runs)));
        let known = find.known_as.as_ref().map_or_else(String::new, |id| format!("  ({id})"));
        let _ = writeln!(out, "  {RED}found{RED:#}       {}{known}", find.cause);
        let _ = writeln!(out, "              after {after}, seed {}: {size}", find.seed);
        let _ = writeln!(out, "              {DIM}{}{DIM:#}", find.folder);
    }
    let mut runs: Vec<u64> = finds.iter().filter(|find| find.size.is_some()).map(|find| find.runs).collect();
    runs.sort_unstable();
    if let Some(median) = runs.get(runs.len() / 2) {
        let _ = writeln!(out, "  shrinks     {}, of {} runs in the median", runs.len(), grouped(*median));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234), "1 234");
        assert_eq!(grouped(12_345_678), "12 345 678");
    }
}
