//! What came out of one run: facts and counts. What they mean is decided elsewhere ([`crate::judge`]).

use std::collections::BTreeMap;

use claimlab_model::invariant::{Invariant, Scope};
use serde::Serialize;

use crate::clock::TrueTime;
use crate::plan::Struck;

/// One run's outcome.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How the run ended.
    pub end: End,
    /// Every broken promise, in the order in which it was seen.
    pub violations: Vec<Violation>,
    /// Faults that struck; those of messages by their address. Empty unless [`crate::world::Options::keep_struck`].
    pub struck: Vec<Struck>,
    /// Keys of planned faults that struck nobody.
    pub unstruck: Vec<String>,
    /// What was counted.
    pub counts: Counts,
    /// What was reached, a number for each; empty unless [`crate::world::Options::keep_reached`].
    pub reached: Vec<u64>,
    /// True time at the end.
    pub ended_at: TrueTime,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was left to do, and nothing was broken that a check looks for.
    Held,
    /// At least one promise was broken.
    Violated,
    /// No answer, for these reasons. There may be violations all the same.
    Undecided(Vec<String>),
    /// The run panicked: a defect of claimlab or of what it runs, with the message.
    Panicked(String),
}

/// A broken promise with the script that broke it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which promise.
    #[serde(serialize_with = "as_id")]
    pub invariant: Invariant,
    /// In which way, in one word.
    pub case: &'static str,
    /// The kind of party whose script broke it; where no script did, of the execution's last writer.
    pub role: &'static str,
    /// That script.
    pub script: &'static str,
    /// What the script answered.
    pub result: &'static str,
    /// The execution; empty where it is about none.
    pub execution: String,
    /// What was seen, in one sentence.
    pub detail: String,
    /// When, in microseconds of true time.
    pub at_us: u64,
}

impl Violation {
    /// The way in which the promise was broken.
    pub fn breach(&self) -> Breach {
        Breach { invariant: self.invariant, case: self.case }
    }

    /// What two violations of one cause have in common.
    pub fn cause(&self) -> Cause {
        let Self { invariant, case, role, script, result, .. } = *self;
        Cause { invariant, case, role, script, result }
    }
}

/// A way in which a promise is broken, whoever breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    /// Which promise.
    pub invariant: Invariant,
    /// In which way, in one word.
    pub case: &'static str,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.invariant.id(), self.case)
    }
}

/// Which violations somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The way in which a promise is broken.
    pub breach: Breach,
    /// The script that breaks it and what it answers, `name=answer`; any where there is none.
    pub deed: Option<String>,
}

impl Wanted {
    /// Violations of one cause, whoever's call it is. Where no script breaks the promise by itself, whichever wrote last
    /// decides nothing.
    pub fn of(cause: &Cause) -> Self {
        let is_of_script = !matches!(cause.invariant.scope(), Scope::Liveness | Scope::Worker);
        let deed = is_of_script.then(|| format!("{}={}", cause.script, cause.result));
        Self { breach: cause.breach(), deed }
    }

    /// Reads `S04 expired` or `S04 expired cancel_execution=cancelled`.
    ///
    /// # Errors
    /// What is accepted, where the text names no promise or no case of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let id = words.next().unwrap_or_default();
        let invariant = Invariant::parse(id)
            .ok_or_else(|| "an invariant's id and one of its cases, such as \"S04 expired\"".to_owned())?;
        let case = words.next().unwrap_or_default();
        let known = invariant.cases().iter().find(|known| **known == case);
        let case = known.ok_or_else(|| format!("{id} and one of its cases: {}", invariant.cases().join(", ")))?;
        // A plain command has the name of its key behind it: `DEL records=deleted`.
        let rest = words.collect::<Vec<_>>().join(" ");
        let (deed, answer) = rest.split_once('=').unwrap_or_default();
        match !rest.is_empty() && (deed.is_empty() || answer.is_empty() || answer.contains([' ', '='])) {
            true => Err(format!("{id} {case}, and after it at most a script and its answer: name=answer")),
            false => Ok(Self { breach: Breach { invariant, case }, deed: (!rest.is_empty()).then_some(rest) }),
        }
    }

    /// Whether this is one of them.
    pub fn is(&self, violation: &Violation) -> bool {
        let is_deed = |deed: &String| deed.split_once('=') == Some((violation.script, violation.result));
        violation.breach() == self.breach && self.deed.as_ref().is_none_or(is_deed)
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.breach)?;
        self.deed.as_ref().map_or(Ok(()), |deed| write!(f, " {deed}"))
    }
}

/// The cause of violations: a promise, the way in which it was broken, and the script that did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Which promise.
    pub invariant: Invariant,
    /// In which way, in one word.
    pub case: &'static str,
    /// The kind of party.
    pub role: &'static str,
    /// Its script.
    pub script: &'static str,
    /// What the script answered.
    pub result: &'static str,
}

impl Cause {
    /// The way in which the promise was broken.
    pub const fn breach(&self) -> Breach {
        Breach { invariant: self.invariant, case: self.case }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { invariant, case, role, script, result } = self;
        write!(f, "{} {case} {role}:{script}={result}", invariant.id())
    }
}

impl Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn as_id<S: serde::Serializer>(invariant: &Invariant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(invariant.id())
}

/// Counts of one run.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events delivered.
    pub events: u64,
    /// Messages performed.
    pub messages: u64,
    /// Scripts performed.
    pub scripts: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    script_counts: Vec<ScriptCount>,
    /// Trait calls by method and outcome, in the order of `claimlab_model::backend::Method::ALL`.
    pub methods: MethodCounts,
    /// How often each invariant was looked at where there was something to look at.
    pub checked: Vec<(Invariant, u64)>,
    /// Runs and overlaps.
    pub runs: Runs,
    /// Completions that somebody listened to.
    pub completions: Completions,
    /// Writes that were acknowledged and that a replica lacked.
    pub lost_writes: u64,
    /// Executions created.
    pub created: u64,
    /// Executions not terminal at the end.
    pub unfinished: u64,
    /// Workers whose process holds at least one lease at the end.
    pub holders: u64,
}

/// How often each method ended how.
pub type MethodCounts = Vec<Vec<(&'static str, u64)>>;

/// One script's outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScriptCount {
    script: &'static str,
    result: &'static str,
    count: u64,
}

impl Counts {
    /// Counts a performed script.
    pub fn script(&mut self, script: &'static str, result: &'static str) {
        self.scripts += 1;
        self.answer(script, result);
    }

    /// Counts an answer to what has changed something, script or not: findings count what could have broken a promise.
    pub fn answer(&mut self, script: &'static str, result: &'static str) {
        // Addresses of names decide speed only: equal names at two addresses are added up when they are read.
        let known = self
            .script_counts
            .iter_mut()
            .find(|known| std::ptr::eq(known.script, script) && std::ptr::eq(known.result, result));
        match known {
            Some(known) => known.count += 1,
            None => self.script_counts.push(ScriptCount { script, result, count: 1 }),
        }
    }

    /// Scripts by name and result, in order of names.
    pub fn scripts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for known in &self.script_counts {
            *counts.entry((known.script, known.result)).or_insert(0) += known.count;
        }
        counts
    }

    /// Counts a fault that struck.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_insert(0) += 1;
    }
}

/// How often executions were run, run by two at once, and run without a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// Runs started.
    pub started: u64,
    /// Runs that started while another party ran the same execution.
    pub overlapped: u64,
    /// Leases that ended without anybody having run under them.
    pub unrun: u64,
    /// Executions that met the cap on their reclaims before anybody had run them.
    pub ended_unrun: u64,
    /// Runs whose lease was marked expired, revoked, cancelled or taken over while they went on.
    pub lost: u64,
    /// Of these, the ones whose holder stopped calling its lease healthy before its run was over.
    pub doubted: u64,
    /// How long after the loss that was, in milliseconds: all together, and the longest.
    pub doubted_after_ms: Span,
    /// How long they went on after the loss.
    pub ran_on_ms: Span,
    /// How long before what was meant delayed work ran, by true time.
    pub early_ms: Span,
    /// How long after.
    pub late_ms: Span,
}

/// Durations of many, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// All together.
    pub sum: u64,
    /// The longest.
    pub longest: u64,
}

impl Span {
    /// Adds one.
    pub fn add(&mut self, ms: u64) {
        self.sum += ms;
        self.longest = self.longest.max(ms);
    }

    /// Adds those of others.
    pub fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }
}

impl Runs {
    /// Adds those of another world.
    pub fn merge(&mut self, other: Self) {
        self.started += other.started;
        self.overlapped += other.overlapped;
        self.unrun += other.unrun;
        self.ended_unrun += other.ended_unrun;
        self.lost += other.lost;
        self.doubted += other.doubted;
        self.doubted_after_ms.merge(other.doubted_after_ms);
        self.ran_on_ms.merge(other.ran_on_ms);
        self.early_ms.merge(other.early_ms);
        self.late_ms.merge(other.late_ms);
    }
}

/// How many completions there were for listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completions {
    /// Published, each once for everybody who listened then.
    pub published: u64,
    /// Of these, heard.
    pub heard: u64,
}

impl Completions {
    /// Adds those of another world.
    pub fn merge(&mut self, other: Self) {
        self.published += other.published;
        self.heard += other.heard;
    }
}
