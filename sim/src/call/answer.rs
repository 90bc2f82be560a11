//! Answers as text: what two backends are compared by.
//!
//! Success is its whole content, map entries in order. Of an error counts what a caller can act on:
//! the discriminant with its kind and details, and inside a transport error the script's own error;
//! the words around it differ between servers and are left out.

use std::fmt::Debug;

use ff_core::engine_error::EngineError;
use ff_script::error::ScriptError;

/// The whole answer.
pub(super) fn text<T: Debug>(result: &Result<T, EngineError>) -> String {
    match result {
        Ok(value) => format!("Ok({})", in_order(&format!("{value:?}"))),
        Err(error) => format!("Err({})", error_text(error)),
    }
}

/// The first words of the answer: variant, or kind of error.
pub(super) fn label<T: Debug>(result: &Result<T, EngineError>) -> String {
    match result {
        Ok(value) => {
            let text = format!("{value:?}");
            match until(&text, &[' ', '{', '[', '(', '"']) {
                "" if text == "[]" => "Ok(empty)".into(),
                variant if variant.starts_with(|letter: char| letter.is_ascii_alphabetic()) => variant.into(),
                _ => "Ok".into(),
            }
        }
        Err(error) => {
            let text = error_text(error);
            let kind = until(&text, &[' ', '{', '[', '"']).trim_end_matches('(');
            let open = kind.matches('(').count().saturating_sub(kind.matches(')').count());
            format!("{kind}{}", ")".repeat(open))
        }
    }
}

/// The text before the first of these letters.
fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.find(ends).map_or(text, |end| &text[..end])
}

fn error_text(error: &EngineError) -> String {
    match error {
        EngineError::Contextual { source, .. } => error_text(source),
        EngineError::Transport { source, .. } => match source.downcast_ref::<ScriptError>() {
            // Without a client there is no error of a client's.
            #[cfg(any(feature = "live", feature = "sdk"))]
            Some(ScriptError::Valkey(_)) => "Transport(Valkey)".into(),
            // A reply that does not parse is told in words of the client's own.
            Some(ScriptError::Parse { fcall, .. }) => format!("Transport(Parse {fcall})"),
            Some(script) => format!("Transport({script:?})"),
            // The model has no client: its words for a client's own error are another type.
            None => "Transport(Valkey)".into(),
        },
        other => format!("{other:?}"),
    }
}

/// A text in which the entries of every `{"key": …}` map stand in order: hash maps print in any.
fn in_order(text: &str) -> String {
    let Some(start) = text.find("{\"") else { return text.to_owned() };
    let Some(length) = closing(&text[start..]) else { return text.to_owned() };
    let inside = &text[start + 1..start + length];
    let mut entries = split_entries(inside);
    entries.sort_unstable();
    format!("{}{{{}}}{}", &text[..start], entries.join(", "), in_order(&text[start + length + 1..]))
}

/// Where the brace that opens a text is closed.
fn closing(text: &str) -> Option<usize> {
    depths(text).find(|(_, byte, depth)| *byte == b'}' && *depth == 0).map(|(at, _, _)| at)
}

fn split_entries(text: &str) -> Vec<&str> {
    let commas: Vec<usize> =
        depths(text).filter(|(_, byte, depth)| *byte == b',' && *depth == 0).map(|(at, _, _)| at).collect();
    let mut entries = Vec::with_capacity(commas.len() + 1);
    let mut from = 0;
    for comma in commas {
        entries.push(text[from..comma].trim());
        from = comma + 1;
    }
    entries.push(text[from..].trim());
    entries
}

/// Bytes outside of quotes, with the depth of brackets after them.
fn depths(text: &str) -> impl Iterator<Item = (usize, u8, usize)> + '_ {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        if quoted {
            (escaped, quoted) = (byte == b'\\' && !escaped, byte != b'"' || escaped);
            return None;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        Some((at, byte, depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_print_in_order_whatever_they_hold() {
        let text = r#"Context { payload: [1], tags: {"b": "x, \"y\"}", "a": "1"}, kind: "k" }"#;
        assert_eq!(in_order(text), r#"Context { payload: [1], tags: {"a": "1", "b": "x, \"y\"}"}, kind: "k" }"#);
    }

    #[test]
    fn a_label_is_the_variant_or_the_kind_of_error() {
        assert_eq!(label(&Ok(())), "Ok");
        assert_eq!(label(&Ok(7_u64)), "Ok");
        assert_eq!(label::<()>(&Err(EngineError::Unavailable { op: "x" })), "Unavailable");
        assert_eq!(label(&Ok(Some(3))), "Some");
        assert_eq!(label(&Ok(Vec::<u8>::new())), "Ok(empty)");
        let source = Box::new(ScriptError::ExecutionNotEligible);
        let refused = EngineError::Transport { backend: "valkey", source };
        assert_eq!(label::<()>(&Err(refused)), "Transport(ExecutionNotEligible)");
        let inactive = EngineError::Contention(ff_core::engine_error::ContentionKind::ExecutionNotActive {
            terminal_outcome: String::new(),
            lease_epoch: String::new(),
            lifecycle_phase: String::new(),
            attempt_id: String::new(),
        });
        assert_eq!(label::<()>(&Err(inactive)), "Contention(ExecutionNotActive)");
    }
}
