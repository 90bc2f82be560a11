//! Composite resume conditions: the keys beside `suspension:current`, and the evaluator over them.
//!
//! Follows `composite_deliver_signal` and its helpers in `ff-script/src/flowfabric.lua`, including what
//! they get wrong: a count takes every token of its kind from the whole set, whichever node it was
//! collected for, and a node below a nested `AllOf` is looked at only once that `AllOf` holds already.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::contracts::{CompositeBody, CountKind, ResumeCondition, SignalMatcher};
use ff_core::types::{SignalId, WaitpointId};

/// `suspension:current:satisfied_set` and `:member_map`; a key exists where its part is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composite {
    /// `:satisfied_set`: what has been satisfied and by whom, as tokens.
    pub satisfied: BTreeSet<String>,
    /// `:satisfied_set:signals`, in order of addition, as a small set lists them.
    pub signals: Vec<SignalId>,
    /// `:member_map`.
    pub members: BTreeMap<String, String>,
}

/// What the evaluator reads of a signal.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The signal.
    pub signal: &'a SignalId,
    /// Its name.
    pub name: &'a str,
    /// `source_type`.
    pub source_type: &'a str,
    /// `source_identity`.
    pub source_identity: &'a str,
    /// The waitpoint that it arrived on.
    pub waitpoint: &'a WaitpointId,
    /// That waitpoint's key.
    pub key: &'a str,
}

/// A leaf that a waitpoint key belongs to.
enum Leaf<'a> {
    Single(&'a SignalMatcher),
    Count(CountKind, Option<&'a SignalMatcher>),
}

impl Composite {
    /// Offers a signal to a tree; gives its effect.
    pub fn offer(&mut self, tree: &ResumeCondition, offer: Offer<'_>) -> &'static str {
        let mut leaves = Vec::new();
        collect(tree, String::new(), offer.key, &mut leaves);
        if leaves.is_empty() {
            return "signal_ignored_not_in_condition";
        }
        let (mut accepted, mut added) = (false, false);
        for (leaf, path) in leaves {
            let (matcher, token) = match leaf {
                Leaf::Single(matcher) => (Some(matcher), format!("leaf:{path}")),
                Leaf::Count(kind, matcher) => (matcher, satisfier(kind, offer)),
            };
            if !accepts(matcher, offer.name) {
                continue;
            }
            accepted = true;
            if self.satisfied.insert(token) {
                added = true;
                if !self.signals.contains(offer.signal) {
                    self.signals.push(offer.signal.clone());
                }
            }
        }
        match (accepted, added) {
            (false, _) => return "signal_ignored_matcher_failed",
            (true, false) => return "appended_to_waitpoint_duplicate",
            _ => {}
        }
        self.propagate(tree, "");
        if self.holds(tree, "") { "resume_condition_satisfied" } else { "appended_to_waitpoint" }
    }

    /// Notes which nodes each waitpoint key belongs to (`seed_composite_member_map`).
    pub fn seed<'a>(&mut self, tree: &ResumeCondition, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys {
            let mut leaves = Vec::new();
            collect(tree, String::new(), key, &mut leaves);
            for (_, path) in leaves {
                self.members.insert(format!("wp:{key}:{path}"), path);
            }
        }
    }

    fn propagate(&mut self, node: &ResumeCondition, path: &str) {
        let ResumeCondition::Composite(CompositeBody::AllOf { members }) = node else { return };
        for (index, child) in members.iter().enumerate() {
            if matches!(child, ResumeCondition::Single { .. }) {
                continue;
            }
            let child_path = below(path, index);
            if self.holds(child, &child_path) {
                self.satisfied.insert(format!("node:{child_path}"));
                self.propagate(child, &child_path);
            }
        }
    }

    fn holds(&self, node: &ResumeCondition, path: &str) -> bool {
        let has = |kind: &str, path: &str| self.satisfied.contains(&format!("{kind}:{path}"));
        match node {
            ResumeCondition::Single { .. } => has("leaf", path),
            ResumeCondition::Composite(CompositeBody::AllOf { members }) => {
                members.iter().enumerate().all(|(index, child)| {
                    let single = matches!(child, ResumeCondition::Single { .. });
                    has(if single { "leaf" } else { "node" }, &below(path, index))
                })
            }
            ResumeCondition::Composite(CompositeBody::Count { n, count_kind, .. }) => {
                let prefix = match count_kind {
                    CountKind::DistinctSignals => "sig:",
                    CountKind::DistinctSources => "src:",
                    _ => "wp:",
                };
                let found = self.satisfied.iter().filter(|token| token.starts_with(prefix)).count();
                found >= *n as usize
            }
            _ => false,
        }
    }
}

fn below(path: &str, index: usize) -> String {
    if path.is_empty() { format!("members[{index}]") } else { format!("{path}.members[{index}]") }
}

fn collect<'a>(node: &'a ResumeCondition, path: String, key: &str, leaves: &mut Vec<(Leaf<'a>, String)>) {
    match node {
        ResumeCondition::Single { waitpoint_key, matcher } if waitpoint_key == key => {
            leaves.push((Leaf::Single(matcher), path));
        }
        ResumeCondition::Composite(CompositeBody::Count { count_kind, matcher, waitpoints, .. })
            if waitpoints.iter().any(|named| named == key) =>
        {
            leaves.push((Leaf::Count(*count_kind, matcher.as_ref()), path));
        }
        ResumeCondition::Composite(CompositeBody::AllOf { members }) => {
            for (index, child) in members.iter().enumerate() {
                collect(child, below(&path, index), key, leaves);
            }
        }
        _ => {}
    }
}

fn accepts(matcher: Option<&SignalMatcher>, name: &str) -> bool {
    match matcher {
        Some(SignalMatcher::ByName(wanted)) => wanted == name,
        _ => true,
    }
}

fn satisfier(kind: CountKind, offer: Offer<'_>) -> String {
    match kind {
        CountKind::DistinctSignals => format!("sig:{}", offer.signal),
        CountKind::DistinctSources => format!("src:{}:{}", offer.source_type, offer.source_identity),
        _ => format!("wp:{}", offer.waitpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(key: &str) -> ResumeCondition {
        ResumeCondition::Single { waitpoint_key: key.into(), matcher: SignalMatcher::Wildcard }
    }

    fn count(n: u32, kind: CountKind, matcher: Option<SignalMatcher>) -> ResumeCondition {
        ResumeCondition::Composite(CompositeBody::count(n, kind, matcher, ["a".to_owned(), "b".to_owned()]))
    }

    fn all_of(members: impl IntoIterator<Item = ResumeCondition>) -> ResumeCondition {
        ResumeCondition::Composite(CompositeBody::all_of(members))
    }

    fn offer(composite: &mut Composite, tree: &ResumeCondition, key: &str, number: u128, name: &str) -> &'static str {
        let signal = SignalId::from_uuid(uuid::Uuid::from_u128(number));
        let waitpoint = WaitpointId::from_uuid(uuid::Uuid::from_u128(key.len() as u128));
        let offer = Offer { signal: &signal, name, source_type: "t", source_identity: "i", waitpoint: &waitpoint, key };
        composite.offer(tree, offer)
    }

    #[test]
    fn every_leaf_of_an_all_of_must_be_satisfied() {
        let (tree, mut composite) = (all_of([single("a"), single("b")]), Composite::default());
        assert_eq!(offer(&mut composite, &tree, "c", 1, "x"), "signal_ignored_not_in_condition");
        assert_eq!(offer(&mut composite, &tree, "a", 2, "x"), "appended_to_waitpoint");
        assert_eq!(offer(&mut composite, &tree, "a", 3, "x"), "appended_to_waitpoint_duplicate");
        assert_eq!(offer(&mut composite, &tree, "b", 4, "x"), "resume_condition_satisfied");
        assert_eq!(composite.signals.len(), 2, "the duplicate is no satisfier");
    }

    #[test]
    fn a_count_ignores_signals_that_its_matcher_refuses() {
        let tree = count(2, CountKind::DistinctSignals, Some(SignalMatcher::ByName("go".into())));
        let mut composite = Composite::default();
        assert_eq!(offer(&mut composite, &tree, "a", 1, "stop"), "signal_ignored_matcher_failed");
        assert_eq!(offer(&mut composite, &tree, "a", 2, "go"), "appended_to_waitpoint");
        assert_eq!(offer(&mut composite, &tree, "a", 3, "go"), "resume_condition_satisfied");
    }

    #[test]
    fn counts_of_one_kind_share_their_tokens() {
        let (go, stop) = (SignalMatcher::ByName("go".into()), SignalMatcher::ByName("stop".into()));
        let kind = CountKind::DistinctSignals;
        let (tree, mut composite) =
            (all_of([count(1, kind, Some(go)), count(1, kind, Some(stop))]), Composite::default());
        assert_eq!(offer(&mut composite, &tree, "a", 1, "go"), "resume_condition_satisfied");
    }

    #[test]
    fn a_count_below_a_nested_all_of_is_never_seen_to_hold() {
        let inner = all_of([count(1, CountKind::DistinctSignals, None)]);
        let (tree, mut composite) = (all_of([inner]), Composite::default());
        for number in 1..5 {
            assert_eq!(offer(&mut composite, &tree, "a", number, "x"), "appended_to_waitpoint");
        }
    }
}
