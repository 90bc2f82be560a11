//! A summary that fits one screen, and the stories of what was not expected.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};
use claimlab_model::invariant::Invariant;

use crate::campaign::{Group, Summary};
use crate::check::{Judgement, Verdict};
use crate::world::{Completions, Span};

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
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `numerator` for each whole second of a duration.
fn per_second(numerator: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    numerator.saturating_mul(1_000) / millis
}

/// The summary as text with terminal styles.
pub fn text(summary: &Summary, verdict: &Verdict, accepted: &[(String, String)], elapsed: Duration) -> String {
    let mut out = String::new();
    let style = style_of(verdict.judgement);
    let _ = writeln!(
        out,
        "{style}{}{style:#}  {}  {} seeds, {} with violations",
        verdict.judgement.name().to_uppercase(),
        summary.scenario,
        grouped(summary.seeds),
        grouped(summary.seeds_with_violations),
    );
    if let Some(why) = &verdict.undecided {
        let _ = writeln!(out, "  undecided: {why}");
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
    if summary.completions.published > 0 {
        let Completions { published, heard } = summary.completions;
        let (published, heard) = (grouped(published), grouped(heard));
        let _ = writeln!(out, "  completions {published} sent to listeners, {heard} heard");
    }
    wrap(&mut out, "faults", summary.faults.iter().map(|(kind, count)| format!("{kind} {}", grouped(*count))));
    wrap(&mut out, "checked", summary.checked.iter().map(|(id, count)| format!("{id} {}", short(*count))));
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

fn write_findings(out: &mut String, summary: &Summary, verdict: &Verdict, accepted: &[(String, String)]) {
    let is_unexpected = |signature: &str| verdict.unexpected.iter().any(|other| other == signature);
    for invariant in Invariant::ALL {
        let of_it = |accepting: bool| {
            summary.findings.iter().filter(move |(signature, group)| {
                group.first.invariant == *invariant && is_unexpected(signature) != accepting
            })
        };
        let unexpected: Vec<_> = of_it(false).collect();
        let known: Vec<_> = of_it(true).collect();
        if unexpected.is_empty() && known.is_empty() {
            continue;
        }
        let _ = writeln!(out, "  {invariant_id} {}", invariant.statement(), invariant_id = invariant.id());
        for (signature, group) in unexpected.iter().take(6) {
            let _ = writeln!(out, "    {RED}violated{RED:#}  {}  {signature}", counted(group));
        }
        if unexpected.len() > 6 {
            let _ = writeln!(out, "    {RED}violated{RED:#}  and {} more signatures", unexpected.len() - 6);
        }
        if !known.is_empty() {
            let violations = known.iter().map(|(_, group)| group.count).sum();
            let smallest = known.iter().map(|(_, group)| group.smallest_seed).min().unwrap_or(0);
            let _ = writeln!(
                out,
                "    {DIM}accepted{DIM:#}  {} violations under {} signatures, smallest seed {smallest}",
                grouped(violations),
                known.len()
            );
        }
    }
    for signature in &verdict.unseen {
        let reason = accepted.iter().find(|(known, _)| known == signature).map_or("", |(_, reason)| reason.as_str());
        let _ = writeln!(out, "  {DIM}accepted but not seen: {signature} ({reason}){DIM:#}");
    }
}

fn counted(group: &Group) -> String {
    format!("{} times in {} seeds, smallest seed {}", grouped(group.count), group.seeds, group.smallest_seed)
}

/// One unexpected signature told as a story.
pub fn story(group: &Group, lines: &[String], command: &str) -> String {
    let invariant = group.first.invariant;
    let mut out = String::new();
    let _ = writeln!(out, "{RED}{}{RED:#} {}", invariant.id(), invariant.statement());
    let _ = writeln!(out, "  execution {}", group.first.execution);
    let _ = writeln!(out, "  seen      {}", group.first.detail);
    let _ = writeln!(out, "  signature {}", group.first.signature);
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(out, "  replay    {command}");
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
