//! What the shipped library can refuse: every function with every error code that its text names, its
//! helpers' included. What a comparison has not reached is measured against it.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage::Coverage;

/// A refusal that no caller of the trait can bring about, or none here: function or `*`, code, reason.
pub const UNREACHABLE: &[(&str, &str, &str)] = &[
    ("*", "invalid_input", "numbers are sent by a typed client"),
    ("*", "partial_fence_triple", "the trait's fence is whole or none"),
    ("*", "claim_grant_expired", "the key expires by the same clock that the function reads: no grant is found"),
    ("*", "lease_conflict", "a runnable execution is never owned"),
    ("*", "active_attempt_exists", "a runnable execution never has a running attempt"),
    ("*", "invalid_policy_json", "policies are sent by a typed client"),
    ("*", "hmac_secret_not_initialized", "a deployment is initialised with a secret"),
    ("*", "invalid_keys_missing_hmac", "the shipped client sends every key"),
    ("*", "invalid_args", "the shipped client sends every argument"),
    ("*", "use_pending_with_extras_unsupported", "the client refuses it first"),
    ("*", "additional_waitpoint_binding_malformed", "bindings are sent by a typed client"),
    ("*", "invalid_grace_ms", "grace periods are sent by a typed client"),
    ("*", "invalid_tag_key", "the client refuses it first"),
    ("*", "invalid_secret", "a secret that is no hex is refused when it is installed"),
    ("delay_execution", "fence_required", "a handle carries its fence"),
    ("move_to_waiting_children", "fence_required", "a handle carries its fence"),
    ("suspend_execution", "fence_required", "a handle and a triple carry their fence"),
    ("suspend_execution", "invalid_lease_for_suspend", "the attempt's id, compared before, names one index only"),
    ("suspend_execution", "waitpoint_not_token_bound", "a pending waitpoint is made with its token"),
    ("create_pending_waitpoint", "waitpoint_already_exists", "the client mints a fresh id for each"),
    ("close_waitpoint", "waitpoint_not_open", "a waitpoint is pending, active or closed"),
    ("revoke_lease", "no_active_lease", "an active execution is leased, expired or revoked"),
    ("resume_execution", "execution_not_found", "the client's own read refuses it first, but for a race"),
    ("append_frame", "*", "streams are not modelled"),
    ("read_attempt_stream", "*", "streams are not modelled"),
    ("read_summary", "*", "streams are not modelled"),
    ("buffer_signal_for_pending_waitpoint", "*", "no method of the trait calls it"),
    ("list_waitpoint_hmac_kids", "*", "no method of the trait calls it"),
    ("promote_blocked_to_eligible", "*", "no method of the trait calls it"),
    ("version", "*", "it refuses nothing"),
];

/// Function, code.
pub type Refusals = BTreeMap<String, BTreeSet<String>>;

/// Every function of a library with the codes that it can answer, without the `ff_` prefix.
pub fn refusals(source: &str) -> Refusals {
    let chunks = chunks(source);
    let helpers: BTreeMap<&str, &str> =
        chunks.iter().filter(|chunk| !chunk.registered).map(|chunk| (chunk.name, chunk.text)).collect();
    let registered = chunks.iter().filter(|chunk| chunk.registered);
    registered
        .map(|chunk| {
            let mut found = BTreeSet::new();
            collect(chunk.text, &helpers, &mut BTreeSet::new(), &mut found);
            (chunk.name.trim_start_matches("ff_").to_owned(), found)
        })
        .collect()
}

/// What a comparison has not seen and no row explains.
pub fn unreached(source: &str, seen: &Coverage) -> Vec<(String, String)> {
    let explained = |function: &str, code: &str| {
        UNREACHABLE.iter().any(|(of, what, _)| (*of == "*" || *of == function) && (*what == "*" || *what == code))
    };
    let all = refusals(source).into_iter();
    all.flat_map(|(function, codes)| codes.into_iter().map(move |code| (function.clone(), code)))
        .filter(|(function, code)| !seen.has(function, code) && !explained(function, code))
        .collect()
}

struct Chunk<'a> {
    name: &'a str,
    text: &'a str,
    registered: bool,
}

/// The library's top-level functions: each begins at a line's start and ends with an `end` there.
fn chunks(source: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut open: Option<(&str, bool, usize)> = None;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let begins = [("redis.register_function('", '\'', true), ("local function ", '(', false)];
        for (opening, closing, registered) in begins {
            if let Some((name, _)) = line.strip_prefix(opening).and_then(|rest| rest.split_once(closing)) {
                open = Some((name, registered, at));
            }
        }
        at += line.len();
        if let (true, Some((name, registered, from))) = (line.starts_with("end"), open) {
            chunks.push(Chunk { name, text: &source[from..at], registered });
            open = None;
        }
    }
    chunks
}

/// The codes of a text and of every helper that it calls.
fn collect<'a>(
    text: &'a str,
    helpers: &BTreeMap<&'a str, &'a str>,
    visited: &mut BTreeSet<&'a str>,
    found: &mut BTreeSet<String>,
) {
    // An error is answered, or handed up by a helper beside a missing value.
    for opening in ["err(\"", "nil, \""] {
        for (code, _) in text.split(opening).skip(1).filter_map(|rest| rest.split_once('"')) {
            found.insert(code.to_owned());
        }
    }
    // Words that are called: what stands before an opening parenthesis.
    for before in text.split('(') {
        let word = before.rsplit(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).next();
        let Some((name, body)) = word.and_then(|word| helpers.get_key_value(word)) else { continue };
        if visited.insert(name) {
            collect(body, helpers, visited, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_can_answer_its_own_codes_and_its_helpers() {
        let all = refusals(ff_script::LIBRARY_SOURCE);
        assert_eq!(all.len(), 59);
        assert!(all["claim_execution"].contains("use_claim_resumed_execution"));
        assert!(all["complete_execution"].contains("stale_lease"), "answered by the lease validation");
        assert!(all["version"].is_empty());
    }

    #[test]
    fn every_row_explains_a_code_that_some_function_has() {
        let all = refusals(ff_script::LIBRARY_SOURCE);
        for (function, code, reason) in UNREACHABLE {
            let functions = all.iter().filter(|(name, _)| *function == "*" || name.as_str() == *function);
            let some = functions.into_iter().any(|(_, codes)| *code == "*" || codes.contains(*code));
            assert!(some, "{function} {code}");
            assert!(!reason.is_empty());
        }
    }
}
