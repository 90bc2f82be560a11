//! What a run counted: bounded, whatever its length.

use std::collections::BTreeMap;

use crate::history::Finding;

/// One script's outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScriptCount {
    script: &'static str,
    outcome: &'static str,
    count: u64,
}

/// Counts of one run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events delivered.
    pub events: u64,
    /// Messages performed.
    pub messages: u64,
    /// Scripts performed.
    pub scripts: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    script_counts: Vec<ScriptCount>,
    /// Violations by signature: how many, and the first.
    pub findings: BTreeMap<String, (u64, Finding)>,
}

impl Tally {
    /// Counts a performed script.
    pub fn script(&mut self, script: &'static str, outcome: &'static str) {
        self.scripts += 1;
        let known = self
            .script_counts
            .iter_mut()
            .find(|known| std::ptr::eq(known.script, script) && std::ptr::eq(known.outcome, outcome));
        match known {
            Some(known) => known.count += 1,
            None => self.script_counts.push(ScriptCount { script, outcome, count: 1 }),
        }
    }

    /// Scripts by name and outcome, in order of names.
    pub fn script_counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for known in &self.script_counts {
            *counts.entry((known.script, known.outcome)).or_insert(0) += known.count;
        }
        counts
    }

    /// Counts a fault that struck.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_insert(0) += 1;
    }

    /// Counts a violation.
    pub fn find(&mut self, finding: Finding) {
        match self.findings.get_mut(&finding.signature) {
            Some((count, _)) => *count += 1,
            None => {
                self.findings.insert(finding.signature.clone(), (1, finding));
            }
        }
    }
}
