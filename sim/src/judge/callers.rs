//! What random calls break: by cause, and what is known of it.
//!
//! Whoever calls at random is of no role and may lie: says that an upstream has ended which has not, or names another
//! lane. What only such callers break stands in one list (`misuse.toml` beside the findings), with its reason.

use std::collections::BTreeMap;
use std::path::Path;

use claimlab_model::invariant::Invariant;
use claimlab_model::port::Broken;
use serde::Deserialize;

use super::finding::{Findings, read_folder};
use crate::input::{InputError, parse_toml, read_text};

/// The list's name in the folder of findings.
pub(super) const MISUSE: &str = "misuse.toml";

/// The way in which a call broke a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallCause {
    /// The promise.
    pub invariant: Invariant,
    /// One of its cases.
    pub case: &'static str,
    /// The script.
    pub script: &'static str,
    /// Its answer.
    pub result: &'static str,
}

impl std::fmt::Display for CallCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}={}", self.invariant.id(), self.case, self.script, self.result)
    }
}

/// Broken promises by cause, each with how often and what was seen first.
#[derive(Clone, Debug, Default)]
pub struct BrokenByCalls(BTreeMap<CallCause, (u64, String)>);

impl BrokenByCalls {
    /// Adds what calls have broken.
    pub fn note(&mut self, broken: impl IntoIterator<Item = Broken>) {
        for Broken { script, result, violation } in broken {
            let cause = CallCause { invariant: violation.invariant, case: violation.case, script, result };
            self.0.entry(cause).or_insert((0, violation.detail)).0 += 1;
        }
    }

    /// Every cause with how often it came and what was seen first.
    pub fn causes(&self) -> impl Iterator<Item = (&CallCause, u64, &str)> {
        self.0.iter().map(|(cause, (count, seen))| (cause, *count, seen.as_str()))
    }
}

/// What only a caller breaks who does what it must not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Misuse {
    invariant: String,
    case: String,
    /// By whose call it shows, whatever the call's result; empty for any.
    script: Vec<String>,
    /// Printed nowhere; who reads the list reads it.
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    cause: Vec<Misuse>,
}

/// Everything that is known of what calls break.
#[derive(Debug, Default)]
pub struct KnownOfCalls {
    findings: Findings,
    misuse: Vec<Misuse>,
}

impl KnownOfCalls {
    /// What a folder of findings knows.
    ///
    /// # Errors
    /// What keeps a file from being a finding or the list, with its place.
    pub fn read(folder: &Path) -> Result<Self, InputError> {
        let file = folder.join(MISUSE);
        let text = read_text(&file, "list of misuse", "a TOML file with [[cause]] tables")?;
        let list: List = parse_toml(&file, &text)?;
        Ok(Self { findings: read_folder(folder)?, misuse: list.cause })
    }

    /// Whether a cause is known, whoever's call it was.
    pub fn knows(&self, cause: &CallCause) -> bool {
        let is_this = |invariant: &str, case: &str, scripts: &[String], script: &str| {
            let is_by_it = scripts.is_empty() || scripts.iter().any(|known| known == script);
            invariant == cause.invariant.id() && case == cause.case && is_by_it
        };
        let deed = format!("{}={}", cause.script, cause.result);
        let mut findings = self.findings.values();
        findings.any(|finding| is_this(&finding.invariant, &finding.case, &finding.script, &deed))
            || self.misuse.iter().any(|known| is_this(&known.invariant, &known.case, &known.script, cause.script))
    }
}
