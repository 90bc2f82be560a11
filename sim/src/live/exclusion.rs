//! What is not compared, and why.

/// One row: a kind of key (see [`kind`]), a field of it or `*` for all, and the reason.
pub struct Exclusion {
    /// The kind of key; a trailing `*` takes every kind that begins so.
    pub kind: &'static str,
    /// The field of a hash, or `*`; a trailing `*` takes every field that begins so.
    pub field: &'static str,
    /// Why it is not compared.
    pub reason: &'static str,
}

const fn row(kind: &'static str, field: &'static str, reason: &'static str) -> Exclusion {
    Exclusion { kind, field, reason }
}

const STREAM: &str = "a stream of events that nothing in the protocol reads back";
const ARGUMENT: &str = "written once from the call's own arguments, read by no check";
const TEXT: &str = "a lineage text that no check reads";

/// The table of exclusions.
pub const EXCLUSIONS: &[Exclusion] = &[
    row("exec:lease:history", "*", STREAM),
    row("part:signal_delivery", "*", STREAM),
    row("part:lease_history", "*", STREAM),
    row("wp:signals", "*", STREAM),
    row("exec:policy", "*", "the policy's JSON as the client serialised it; its effects are compared"),
    row("exec:attempts", "*", "index and creation time of each attempt; the attempts themselves are compared"),
    row("attempt:usage", "*", "usage is not modelled yet"),
    row("attempt:policy", "*", ARGUMENT),
    row("attempt", "created_at", "the same call's time stands in the core"),
    row("attempt", "started_at", "the same call's time stands in the core"),
    row("attempt", "lease_id", "the lease's own record is compared"),
    row("attempt", "worker_id", "the lease's own record is compared"),
    row("attempt", "previous_attempt_index", TEXT),
    row("attempt", "replayed_from_attempt_index", TEXT),
    row("attempt", "re*_reason", TEXT),
    row("attempt", "retry_reason", TEXT),
    row("attempt", "replay_reason", TEXT),
    row("attempt", "replay_requested_by", TEXT),
    row("attempt", "reclaim_reason", TEXT),
    row("attempt", "resumed_at", TEXT),
    row("exec:lease:current", "acquired_at", "the core's own is compared"),
    row("exec:lease:current", "last_renewed_at", "the core's own is compared"),
    row("exec:lease:current", "renewal_deadline", "the core's own is compared"),
    row("exec:claim_grant", "capability_hash", ARGUMENT),
    row("exec:claim_grant", "route_snapshot_json", ARGUMENT),
    row("exec:claim_grant", "admission_summary", ARGUMENT),
    row("exec:claim_grant", "created_at", "the expiry, which follows from it, is compared"),
    row("config*", "*", "the deployment's own settings"),
    row("idx:lanes", "*", "the deployment's own lanes"),
    row("version*", "*", "the deployment's own settings"),
];

/// The row that leaves a field of a key out, if one does.
pub fn excluded(key: &str, field: &str) -> Option<&'static Exclusion> {
    let kind = kind(key);
    EXCLUSIONS.iter().find(|row| matches(row.kind, &kind) && (row.field == "*" || matches(row.field, field)))
}

/// Whether a pattern, of which a `*` takes any text, is the text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
        None => pattern == text,
    }
}

/// A key's name without what differs from one to the next: hash tags, ids and numbers.
pub fn kind(key: &str) -> String {
    let mut plain = String::with_capacity(key.len());
    let mut depth = 0_usize;
    for letter in key.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let is_id = |part: &&str| {
        part.is_empty() || part.bytes().all(|byte| byte.is_ascii_digit()) || uuid::Uuid::parse_str(part).is_ok()
    };
    let parts: Vec<&str> = plain.split(':').skip(1).filter(|part| !is_id(part)).collect();
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_key_without_ids() {
        let id = "{fp:1}:00000000-0000-4000-8000-000000000001";
        assert_eq!(kind(&format!("ff:exec:{{fp:1}}:{id}:core")), "exec:core");
        assert_eq!(kind(&format!("ff:attempt:{{fp:1}}:{id}:0:usage")), "attempt:usage");
        assert_eq!(kind("ff:idx:{fp:1}:lane:default:eligible"), "idx:lane:default:eligible");
    }

    #[test]
    fn only_what_a_row_names_is_left_out() {
        let attempt = "ff:attempt:{fp:1}:{fp:1}:00000000-0000-4000-8000-000000000001:0";
        assert!(excluded(attempt, "created_at").is_some());
        assert!(excluded(attempt, "attempt_state").is_none());
        assert!(excluded("ff:part:{fp:1}:signal_delivery", "*").is_some());
    }

    #[test]
    fn every_row_says_why() {
        assert!(EXCLUSIONS.iter().all(|row| !row.reason.is_empty()));
    }
}
