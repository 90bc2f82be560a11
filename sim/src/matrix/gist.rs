//! The gist of an answer: what any two backends can agree on.
//!
//! Of a success it is the variant with counters, epochs, indexes and states; ids, times, tokens and the
//! backend's own words are left out. Of an error it is the discriminant with its kind.

use std::fmt::Debug;

use ff_core::backend::Handle;
use ff_core::contracts::{ClaimExecutionResult, ClaimResumedExecutionResult, ReclaimExecutionOutcome, SuspendOutcome};
use ff_core::engine_error::EngineError;
use ff_core::handle_codec;
use ff_script::error::ScriptError;

use crate::call::Answer;

/// Fields that are a backend's own: words, keys and tokens of its making, where it keeps things, and
/// what it measures.
const OWN: &[&str] = &[
    "backend",
    "blocking_detail",
    "detail",
    "grant_key",
    "hmac_token",
    "last_mutation_at",
    "message",
    "opaque",
    "partition",
    "partition_key",
    "retry_after_ms",
    "token_fingerprint",
    "waitpoint_token",
];
/// From here on a number is a time in milliseconds since the epoch.
const TIMES_BEGIN: u64 = 100_000_000_000;

/// The gist of an answer.
pub fn gist(answer: &Answer) -> String {
    if let Some(error) = answer.error() {
        return of_error(error);
    }
    if let Answer::ReadWaitpointToken(Ok(Some(_))) = answer {
        return "a token".into();
    }
    let text = answer.text();
    let inside = text.strip_prefix("Ok(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(&text);
    let mut gist = match read(&mut inside.chars().peekable()).plain() {
        Some(value) => value.to_string(),
        // A lone id or time: that there is one is the gist.
        None => "one".into(),
    };
    if gist == "()" {
        gist = "Ok".into();
    }
    match handle(answer).map(|handle| handle_codec::decode(&handle.opaque)) {
        Some(Ok(opened)) => {
            let (epoch, index) = (opened.payload.lease_epoch.0, opened.payload.attempt_index.0);
            format!("{gist} epoch {epoch}, attempt {index}")
        }
        Some(Err(_)) => format!("{gist} with a handle that cannot be opened"),
        None => gist,
    }
}

/// Two gists without what they have in common, where both are of one structure.
pub fn apart(one: &str, other: &str) -> (String, String) {
    let whole = |text: &str| {
        let mut letters = text.chars().peekable();
        let value = read(&mut letters);
        // What is no value to its end is compared as it is.
        letters.next().is_none().then_some(value)
    };
    match (whole(one), whole(other)) {
        (Some(mut a @ Value::Whole(_, '{', _)), Some(mut b @ Value::Whole(_, '{', _))) if a.name() == b.name() => {
            drop_common(&mut a, &mut b);
            (a.to_string(), b.to_string())
        }
        _ => (one.to_owned(), other.to_owned()),
    }
}

/// Drops from two structures of one name the fields that are equal in both.
fn drop_common(one: &mut Value, other: &mut Value) {
    let (Value::Whole(name, _, fields), Value::Whole(other_name, _, other_fields)) = (one, other) else { return };
    let is_named = |fields: &[(Option<String>, Value)]| fields.iter().all(|(name, _)| name.is_some());
    if name != other_name || name.is_empty() || !is_named(fields) || !is_named(other_fields) {
        return;
    }
    let common: Vec<_> =
        fields.iter().filter(|field| other_fields.contains(field)).map(|(name, _)| name.clone()).collect();
    fields.retain(|(name, _)| !common.contains(name));
    other_fields.retain(|(name, _)| !common.contains(name));
    for (name, field) in fields {
        if let Some((_, other)) = other_fields.iter_mut().find(|(other, _)| other == name) {
            drop_common(field, other);
        }
    }
}

/// The discriminant and its kind.
fn of_error(error: &EngineError) -> String {
    let kind = |name: &str, kind: &dyn Debug| format!("{name}({})", first_word(&format!("{kind:?}")));
    match error {
        EngineError::Contextual { source, .. } => of_error(source),
        EngineError::NotFound { entity } => format!("NotFound({entity})"),
        EngineError::Validation { kind: of, .. } => kind("Validation", of),
        EngineError::Contention(of) => kind("Contention", of),
        EngineError::Conflict(of) => kind("Conflict", of),
        EngineError::State(of) => kind("State", of),
        EngineError::Bug(of) => kind("Bug", of),
        EngineError::Transport { source, .. } => match source.downcast_ref::<ScriptError>() {
            // A client's or a database's own error, of which every one has its own kinds.
            Some(ScriptError::Valkey(_)) | None => "Transport".into(),
            Some(script) => kind("Transport", script),
        },
        EngineError::Unavailable { .. } => "Unavailable".into(),
        other => first_word(&format!("{other:?}")),
    }
}

fn first_word(text: &str) -> String {
    text.split([' ', '(', '{']).next().unwrap_or(text).to_owned()
}

/// The handle in an answer that carries its lease's counters nowhere else.
fn handle(answer: &Answer) -> Option<&Handle> {
    match answer {
        Answer::Claim(Ok(Some(handle)))
        | Answer::ClaimFromResumeGrant(Ok(Some(handle)))
        | Answer::ReclaimExecution(Ok(ReclaimExecutionOutcome::Claimed(handle)))
        | Answer::Suspend(Ok(SuspendOutcome::Suspended { handle, .. }))
        | Answer::SuspendByTriple(Ok(SuspendOutcome::Suspended { handle, .. })) => Some(handle),
        Answer::ClaimExecution(Ok(ClaimExecutionResult::Claimed(claimed))) => Some(&claimed.handle),
        Answer::ClaimResumedExecution(Ok(ClaimResumedExecutionResult::Claimed(claimed))) => Some(&claimed.handle),
        _ => None,
    }
}

/// A value as `{:?}` prints it.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Word(String),
    /// A name, the opening bracket, and the parts with their names.
    Whole(String, char, Vec<(Option<String>, Self)>),
}

type Text<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn read(text: &mut Text<'_>) -> Value {
    let word = read_word(text);
    let Some(open) = text.next_if(|letter| matches!(letter, '{' | '(' | '[')) else { return Value::Word(word) };
    let mut parts = Vec::new();
    loop {
        while text.next_if(|letter| *letter == ',' || letter.is_whitespace()).is_some() {}
        if text.next_if(|letter| matches!(letter, '}' | ')' | ']')).is_some() || text.peek().is_none() {
            return Value::Whole(word, open, parts);
        }
        let value = read(text);
        match (value, text.next_if_eq(&':')) {
            (Value::Word(name), Some(_)) => parts.push((Some(name), read(text))),
            (value, _) => parts.push((None, value)),
        }
    }
}

/// Up to the next bracket, comma or colon outside of quotes.
fn read_word(text: &mut Text<'_>) -> String {
    let mut word = String::new();
    let mut quoted = false;
    while let Some(letter) =
        text.next_if(|letter| quoted || !matches!(letter, '{' | '}' | '(' | ')' | '[' | ']' | ',' | ':'))
    {
        word.push(letter);
        match letter {
            '\\' if quoted => word.extend(text.next()),
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    word.trim().to_owned()
}

impl Value {
    fn name(&self) -> &str {
        match self {
            Self::Word(name) | Self::Whole(name, ..) => name,
        }
    }

    /// Without ids, times and what is a backend's own; nothing when nothing else is in it.
    fn plain(self) -> Option<Self> {
        match self {
            Self::Word(word) => (!is_id(&word) && !is_time(&word)).then_some(Self::Word(word)),
            Self::Whole(name, open, parts) => {
                let had = parts.len();
                let kept = |(name, value): (Option<String>, Self)| {
                    let own = name.as_deref().is_some_and(|name| OWN.contains(&name));
                    value.plain().filter(|_| !own).map(|value| (name, value))
                };
                let mut parts: Vec<_> = parts.into_iter().filter_map(kept).collect();
                match (open, had) {
                    // A type around one value says nothing; a variant around a structure replaces its name.
                    ('(', 1) => match (name.as_str(), parts.pop()) {
                        ("Some", Some((_, value))) => Some(value),
                        ("Some", None) => Some(Self::Word("one".into())),
                        (_, Some((_, Self::Whole(_, open, parts)))) => Some(Self::Whole(name, open, parts)),
                        (_, Some((_, word))) => Some(word),
                        (_, None) => None,
                    },
                    // How many there are counts, though they are ids.
                    ('[', had) if parts.is_empty() && had > 0 => Some(Self::Word(format!("[{had}]"))),
                    _ => Some(Self::Whole(name, open, parts)),
                }
            }
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Whole(name, open, parts) if parts.is_empty() => match (name.as_str(), open) {
                ("", '[') => f.write_str("empty"),
                ("", '(') => f.write_str("()"),
                ("", _) => f.write_str("{}"),
                _ => f.write_str(name),
            },
            Self::Whole(name, _, parts) => {
                let part = |(name, value): &(Option<String>, Self)| match name {
                    Some(name) => format!("{name}: {value}"),
                    None => value.to_string(),
                };
                let space = if name.is_empty() { "" } else { " " };
                let parts: Vec<String> = parts.iter().map(part).collect();
                write!(f, "{name}{space}{{{}}}", parts.join(", "))
            }
        }
    }
}

/// A UUID, alone or as a part between colons.
fn is_id(word: &str) -> bool {
    word.trim_matches('"').split(':').any(|part| uuid::Uuid::parse_str(part).is_ok())
}

fn is_time(word: &str) -> bool {
    word.trim_matches('"').parse::<u64>().is_ok_and(|number| number >= TIMES_BEGIN)
}

#[cfg(test)]
mod tests {
    use ff_core::engine_error::{ContentionKind, StateKind, ValidationKind};

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn plain(text: &str) -> String {
        read(&mut text.chars().peekable()).plain().map_or("one".into(), |value| value.to_string())
    }

    #[test]
    fn ids_times_and_own_words_are_left_out() {
        let text = format!(
            r#"Claimed(Inner {{ execution_id: ExecutionId("{{fp:0}}:{ID}"), lease_id: LeaseId({ID}), lease_epoch: LeaseEpoch(2), expires_at: TimestampMs(1700000000000), detail: "x, {{y", kind: Retry }})"#
        );
        assert_eq!(plain(&text), "Claimed {lease_epoch: 2, kind: Retry}");
    }

    #[test]
    fn that_something_is_there_counts() {
        assert_eq!(plain(&format!("Some(FlowId({ID}))")), "one");
        assert_eq!(plain("X { at: Some(TimestampMs(1700000000000)), other: None }"), "X {at: one, other: None}");
        assert_eq!(plain(&format!("[ExecutionId({ID}), ExecutionId({ID})]")), "[2]");
        assert_eq!(plain("[]"), "empty");
    }

    #[test]
    fn what_two_gists_share_is_left_out() {
        let (one, other) = apart("Info {a: 1, b: State {c: X, d: Y}, e: {}}", "Info {a: 1, b: State {c: Z, d: Y}}");
        assert_eq!((one.as_str(), other.as_str()), ("Info {b: State {c: X}, e: {}}", "Info {b: State {c: Z}}"));
        let both = ("Contention(LeaseConflict)".to_owned(), "Ok".to_owned());
        assert_eq!(apart(&both.0, &both.1), both);
        let both = ("Contention(LeaseConflict)".to_owned(), "Contention(NoActiveLease)".to_owned());
        assert_eq!(apart(&both.0, &both.1), both);
        let both = ("Handle {kind: Fresh} epoch 1".to_owned(), "Handle {kind: Fresh} epoch 2".to_owned());
        assert_eq!(apart(&both.0, &both.1), both);
    }

    #[test]
    fn small_numbers_and_texts_stay() {
        assert_eq!(
            plain(r#"Page { tags: {"a": "b"}, next: None, count: 7 }"#),
            r#"Page {tags: {"a": "b"}, next: None, count: 7}"#
        );
    }

    #[test]
    fn an_error_is_its_discriminant_and_kind() {
        let inactive = ContentionKind::ExecutionNotActive {
            terminal_outcome: "success".into(),
            lease_epoch: "1".into(),
            lifecycle_phase: "terminal".into(),
            attempt_id: ID.into(),
        };
        assert_eq!(of_error(&EngineError::Contention(inactive)), "Contention(ExecutionNotActive)");
        assert_eq!(of_error(&EngineError::State(StateKind::StaleLease)), "State(StaleLease)");
        let invalid = EngineError::Validation { kind: ValidationKind::InvalidInput, detail: "fence_required".into() };
        assert_eq!(of_error(&invalid), "Validation(InvalidInput)");
    }
}
