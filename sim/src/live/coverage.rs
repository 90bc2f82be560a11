//! Which answers were seen: how often each method, and each script, ended how.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Counts by name and outcome.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<String, BTreeMap<String, u64>>);

impl Coverage {
    /// Counts one outcome.
    pub fn note(&mut self, name: &str, outcome: &str) {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), BTreeMap::new());
        }
        if let Some(outcomes) = self.0.get_mut(name) {
            match outcomes.get_mut(outcome) {
                Some(count) => *count += 1,
                None => drop(outcomes.insert(outcome.to_owned(), 1)),
            }
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (name, outcomes) in &other.0 {
            let of_name = self.0.entry(name.clone()).or_default();
            for (outcome, count) in outcomes {
                *of_name.entry(outcome.clone()).or_default() += count;
            }
        }
    }

    /// Whether an outcome was seen.
    pub fn has(&self, name: &str, outcome: &str) -> bool {
        self.0.get(name).is_some_and(|outcomes| outcomes.contains_key(outcome))
    }

    /// How many different pairs were seen.
    pub fn pairs(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// One line for each name, outcomes by number.
    pub fn table(&self) -> String {
        let width = self.0.keys().map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (name, outcomes) in &self.0 {
            let mut outcomes: Vec<_> = outcomes.iter().collect();
            outcomes.sort_by_key(|(outcome, count)| (std::cmp::Reverse(**count), (*outcome).clone()));
            let list: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
            let _ = writeln!(text, "  {name:width$}  {}", list.join(", "));
        }
        text
    }
}
