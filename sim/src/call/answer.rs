//! Answers as text: what two backends are compared by.
//!
//! Success is its whole content, map entries in order. Of an error counts what a caller can act on:
//! the discriminant with its kind and details, and inside a transport error the script's own error;
//! the words around it differ between servers and are left out.

use std::fmt::Debug;

use ff_core::engine_error::EngineError;
use ff_script::error::ScriptError;

use crate::printed;

/// The whole answer.
pub(super) fn text<T: Debug>(result: &Result<T, EngineError>) -> String {
    match result {
        Ok(value) => format!("Ok({})", printed::in_order(&format!("{value:?}"))),
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

#[cfg(test)]
mod tests {
    use super::*;

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
