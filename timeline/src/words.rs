//! Numbers and sentences as a person reads them.
//!
//! Times, clock differences and texts go in; short strings come out, and texts
//! are broken into lines that fit a given width in pixels.

use std::fmt::Write as _;

/// A time in seconds to the millisecond: `12.345`.
pub fn seconds(at_us: u64) -> String {
    format!("{}.{:03}", at_us / 1_000_000, at_us % 1_000_000 / 1_000)
}

/// What a clock shows at a true time, in seconds to the microsecond. A clock
/// that is behind shows less than zero when the world begins.
pub fn reading(at_us: u64, difference_ms: i64) -> String {
    let shown = i128::from(at_us) + i128::from(difference_ms) * 1_000;
    let sign = if shown < 0 { "−" } else { "" };
    let shown = shown.unsigned_abs();
    format!("{sign}{}.{:06}", shown / 1_000_000, shown % 1_000_000)
}

/// A length of time, as coarse as still tells something: `12.3 s`, `340 ms`.
pub fn duration(length_us: u64) -> String {
    match length_us {
        0..1_000 => format!("{length_us} µs"),
        1_000..1_000_000 => format!("{} ms", (length_us + 500) / 1_000),
        _ => {
            let tenths = length_us.saturating_add(50_000) / 100_000;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
    }
}

/// A clock difference: `+4 000 ms`, `−250 ms`, or `exact`.
pub fn difference(difference_ms: i64) -> String {
    if difference_ms == 0 {
        return "exact".to_owned();
    }
    let sign = if difference_ms < 0 { '−' } else { '+' };
    // The no-break space keeps the unit on the line of its number.
    format!("{sign}{}\u{a0}ms", grouped(difference_ms.unsigned_abs()))
}

/// A share in per cent, from parts per million.
pub fn percent(parts_per_million: u32) -> String {
    if parts_per_million.is_multiple_of(10_000) {
        format!("{} %", parts_per_million / 10_000)
    } else if parts_per_million >= 10_000 {
        format!("{}.{} %", parts_per_million / 10_000, parts_per_million % 10_000 / 1_000)
    } else {
        let decimals = format!("{parts_per_million:04}");
        format!("0.{} %", decimals.trim_end_matches('0'))
    }
}

/// Digits in groups of three, held together by a narrow no-break space.
fn grouped(number: u64) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    let mut text = grouped(number / 1_000);
    // Writing into a string cannot fail.
    let _ = write!(text, "\u{202f}{:03}", number % 1_000);
    text
}

/// How wide a text will be, in tenths of a pixel at twelve pixels. The page uses
/// whatever sans-serif font the reader has, so these widths lean to the wide side.
fn width(text: &str) -> u32 {
    text.chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 38,
            ' ' | '\u{a0}' | '\u{202f}' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' => 47,
            'm' | 'M' | 'W' | '@' | '%' | '—' | '…' | '→' => 116,
            'w' | 'A'..='Z' => 92,
            _ if character.is_ascii() => 71,
            // An unknown script may be as wide as it is high.
            _ => 120,
        })
        .sum()
}

/// Breaks a text into at most `most` lines of at most `pixels` each. What does
/// not fit is replaced by an ellipsis; the whole text stays in the details.
pub fn wrap(text: &str, pixels: u32, most: usize) -> Vec<String> {
    let room = pixels * 10;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        for piece in pieces(word, room) {
            let line = lines.last().map_or("", String::as_str);
            let longer = if line.is_empty() { piece.clone() } else { format!("{line} {piece}") };
            if width(&longer) <= room || line.is_empty() {
                lines.pop();
                lines.push(longer);
            } else {
                lines.push(piece);
            }
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            while width(last) + 116 > room && last.pop().is_some() {}
            last.push('…');
        }
    }
    lines
}

/// Cuts a word that is wider than a whole line.
fn pieces(word: &str, room: u32) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in word.chars() {
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
            if width(piece) > room && piece.chars().count() > 1 {
                piece.pop();
                pieces.push(character.to_string());
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{difference, duration, reading, seconds, wrap};

    #[test]
    fn times_are_written_as_a_person_reads_them() {
        assert_eq!(seconds(12_345_678), "12.345");
        assert_eq!(reading(1_000_000, -4_000), "−3.000000");
        assert_eq!(duration(12_345_678), "12.3 s");
        assert_eq!(duration(4_400), "4 ms");
        assert_eq!(difference(4_000), "+4\u{202f}000\u{a0}ms");
        assert_eq!(difference(0), "exact");
    }

    #[test]
    fn a_long_text_is_wrapped_and_what_is_left_out_is_shown_as_left_out() {
        let lines = wrap("the lease was marked expired by the engine", 100, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'));
    }

    #[test]
    fn a_word_wider_than_the_lane_is_cut_and_nothing_of_it_is_lost() {
        let word = "a_call_with_a_very_long_name_indeed";
        assert_eq!(wrap(word, 60, 99).concat(), word);
    }
}
