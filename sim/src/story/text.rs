//! Telling: what repeats is folded, times are true seconds from the first event, clocks are told as their difference
//! from true time, and no line is longer than 110 columns.

use super::{Moment, Story, Told};
use crate::clock::EPOCH_MS;
use crate::plan::PartyKey;

/// Lines at most, the heading and the note of what was left out included.
const LINES: usize = 30;
/// Columns at most.
const COLUMNS: usize = 110;

/// One line before it is written.
#[derive(Clone, Debug)]
struct Line {
    moment: Moment,
    /// How often it happened, and when last.
    times: u32,
    last_us: u64,
    text: String,
    /// What goes first when there is no room.
    weight: u8,
}

/// Writes a story.
pub(super) fn tell(moments: Vec<Moment>, events: usize) -> Story {
    let Some(first) = moments.first() else { return Story::default() };
    let zero_us = first.at.us();
    let sentences = super::sentences::sentences(&moments);
    let mut lines: Vec<Line> = Vec::new();
    for moment in moments {
        let (text, weight) = words(&moment, zero_us);
        // A renewal or a refusal that repeats is told once, with the times of the first and the last.
        let same = lines.iter_mut().rev().take(6).find(|line| {
            line.moment.party == moment.party && line.weight <= 2 && fold_key(&line.moment) == fold_key(&moment)
        });
        match same {
            Some(line) if fold_key(&moment).is_some() => {
                line.times += 1;
                line.last_us = moment.at.us();
            }
            _ => lines.push(Line { last_us: moment.at.us(), times: 1, text, weight, moment }),
        }
    }
    let mut left_out = 0;
    while lines.iter().map(|line| written(line, zero_us).len()).sum::<usize>() + 1 + usize::from(left_out > 0) > LINES {
        // Of the least telling the one that is furthest from the end goes first, but never the first line.
        let lightest = lines.iter().enumerate().skip(1).min_by_key(|(_, line)| line.weight).map(|(at, _)| at);
        lines.remove(lightest.unwrap_or(1));
        left_out += 1;
    }
    let heading = format!("{:>10}  {:>9}  {:<13} {:>10}  what", "true time", "server", "party", "its clock");
    let mut told = vec![heading];
    for line in &lines {
        told.extend(written(line, zero_us));
    }
    if left_out > 0 {
        told.push(format!("{:>10}  {left_out} more events are in the history", "…"));
    }
    Story { lines: told, zero_us, sentences, events }
}

/// What has to be the same for two moments to be told as one.
pub(super) fn fold_key(moment: &Moment) -> Option<(&'static str, &'static str, Option<u64>)> {
    match &moment.what {
        Told::Performed { name, outcome, became, epoch, .. } if became.is_empty() => Some((name, outcome, *epoch)),
        _ => None,
    }
}

/// What a moment says, and how much it tells.
fn words(moment: &Moment, zero_us: u64) -> (String, u8) {
    match &moment.what {
        Told::Performed { name, outcome, became, epoch, until_ms, is_write, .. } => {
            let mut text = format!("{name}: {}", outcome.replace('_', " "));
            if let Some(epoch) = epoch {
                text.push_str(&format!(", epoch {epoch}"));
            }
            if let Some(until_ms) = until_ms {
                text.push_str(&format!(", until {}", server_time(*until_ms, moment.server_ms, zero_us)));
            }
            if !became.is_empty() {
                text.push_str(&format!(", now {became}"));
            }
            let weight = match (is_write, became.is_empty()) {
                (true, false) => 5,
                (true, true) => 2,
                (false, _) => 1,
            };
            (text, weight)
        }
        Told::Late { name, us, again, .. } => {
            let again = if *again { " again" } else { "" };
            (format!("{name}: arrives{again} {} after it was sent", seconds(*us)), 4)
        }
        Told::Befell { text, .. } => (format!("fault: {text}"), 4),
        Told::Ran { starts: true } => ("begins to run the execution".to_owned(), 3),
        Told::Ran { starts: false } => ("no longer runs the execution".to_owned(), 3),
        Told::GoesOn { text } => (text.clone(), 3),
        Told::Unheard { name, lost: Some(why), .. } => (format!("{name}: lost, {why}"), 3),
        Told::Unheard { name, lost: None, .. } => (format!("{name}: the client stops waiting for an answer"), 3),
        Told::Broken { text } => (format!("BROKEN: {}", plain(text, moment.server_ms, zero_us)), 9),
    }
}

/// A line, and those that go on below it where it is too long.
fn written(line: &Line, zero_us: u64) -> Vec<String> {
    let Moment { at, server_ms, party, party_ms, .. } = &line.moment;
    let at = format!("+{}", seconds(at.us() - zero_us));
    let party_clock = match *party {
        PartyKey::SERVER => String::new(),
        _ => difference(*party_ms),
    };
    let mut text = line.text.clone();
    if line.times > 1 {
        text.push_str(&format!(", {} times, last at +{}", line.times, seconds(line.last_us - zero_us)));
    }
    let margin = format!("{at:>10}  {:>9}  {party:<13} {party_clock:>10}  ", difference(*server_ms));
    let room = COLUMNS - margin.chars().count();
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= room => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.chars().take(room).collect()),
        }
    }
    let indent = " ".repeat(margin.chars().count());
    lines.iter().enumerate().map(|(nth, text)| format!("{}{text}", if nth == 0 { &margin } else { &indent })).collect()
}

/// `61.204 s` from microseconds.
pub fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1_000 % 1_000)
}

fn difference(ms: i64) -> String {
    format!("{ms:+} ms")
}

/// A time of the server's clock as true seconds from the first event, by how the clock stands now.
fn server_time(at_ms: i64, server_ms: i64, zero_us: u64) -> String {
    let true_us = i128::from(at_ms - server_ms - EPOCH_MS) * 1_000 - i128::from(zero_us);
    let sign = if true_us < 0 { '-' } else { '+' };
    format!("{sign}{}", seconds(u64::try_from(true_us.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// A sentence in which times of the server's clock are told from the first event.
pub fn plain(text: &str, server_ms: i64, zero_us: u64) -> String {
    const DIGITS: usize = 13;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let length = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let number = &rest[start..start + length];
        out.push_str(&rest[..start]);
        match number.parse::<i64>() {
            Ok(at_ms) if length == DIGITS => out.push_str(&server_time(at_ms, server_ms, zero_us)),
            _ => out.push_str(number),
        }
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TrueTime;

    fn at(ms: u64, what: Told) -> Moment {
        Moment { at: TrueTime::from_ms(ms), server_ms: 5, party: PartyKey(PartyKey::WORKERS), party_ms: -40, what }
    }

    fn renewal(epoch: u64) -> Told {
        Told::Performed {
            message: 0,
            name: "renew_lease",
            outcome: "renewed",
            became: String::new(),
            epoch: Some(epoch),
            until_ms: None,
            is_write: true,
        }
    }

    #[test]
    fn renewals_are_folded_and_clocks_are_differences() {
        let mut moments: Vec<_> = (0..14).map(|number| at(1_000 + number * 1_000, renewal(1))).collect();
        moments.push(at(20_000, Told::Broken { text: format!("accepted at {}", EPOCH_MS + 20_005) }));
        let story = tell(moments, 15);
        assert_eq!(story.lines.len(), 3, "{story:?}");
        assert!(story.lines[1].ends_with("renew_lease: renewed, epoch 1, 14 times, last at +13.000 s"), "{story:?}");
        assert!(story.lines[1].contains("+5 ms  worker-0") && story.lines[1].contains("-40 ms"), "{story:?}");
        assert!(story.lines[2].ends_with("BROKEN: accepted at +19.000 s"), "{story:?}");
    }

    #[test]
    fn a_story_has_at_most_thirty_lines_of_110_columns_and_keeps_its_end() {
        let mut moments: Vec<_> = (0..90).map(|epoch| at(epoch * 1_000, renewal(epoch))).collect();
        moments.push(at(200_000, Told::Broken { text: "one and another ".repeat(12) }));
        let story = tell(moments, 91);
        assert!((28..=30).contains(&story.lines.len()), "{story:?}");
        assert!(story.lines.iter().all(|line| line.chars().count() <= 110));
        assert!(story.lines.iter().any(|line| line.contains("BROKEN")), "{story:?}");
        assert!(story.lines[story.lines.len() - 1].contains("more events are in the history"), "{story:?}");
    }
}
