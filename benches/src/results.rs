//! What was measured, as files carry it: JSON, one document for each run of the command.
//!
//! The schema of these documents follows from the types here; `claimlab-benches schema` prints it, and
//! `results.schema.json` beside this crate's manifest holds it. Another version of it is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, io_error};
use crate::statistics::Commands;
use crate::target::Target;
use crate::wall;

/// The version of the documents.
pub const SCHEMA: &str = "claimlab-benches/1";

/// One run of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The version of this document.
    pub schema: String,
    /// When it was begun, in UTC.
    pub date: String,
    /// The revision of the tree that was measured, where there is one.
    pub revision: Option<String>,
    /// How much was measured.
    pub profile: String,
    /// The machine.
    pub machine: Machine,
    /// The server.
    pub server: Server,
    /// Operations, paths and floors.
    #[serde(default)]
    pub measurements: Vec<Measurement>,
    /// What the harness adds to the floor.
    #[serde(default)]
    pub overheads: Vec<Overhead>,
    /// `valkey-benchmark -c 1` with PING, in nanoseconds for each round trip, where it is installed.
    #[serde(default)]
    pub valkey_benchmark_ns: Option<u64>,
    /// Open-loop loads, one for each rate.
    #[serde(default)]
    pub loads: Vec<Load>,
    /// Other queues on the same server.
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// Comparisons of two revisions, or of one with itself.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// Instructions for each operation, as callgrind counts them.
    #[serde(default)]
    pub instructions: BTreeMap<String, u64>,
}

/// A machine without its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// All of its processors, whoever may use them.
    pub cpus: u64,
    /// What they call themselves.
    pub cpu_model: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
}

/// The server and what runs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Valkey's version.
    pub valkey: String,
    /// The version of FlowFabric's library of functions.
    pub library: String,
    /// Servers that hold keys.
    pub primaries: u64,
    /// The settings that change what it costs.
    pub settings: BTreeMap<String, String>,
}

/// What kind of thing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A round trip for nothing.
    Floor,
    /// One call.
    Operation,
    /// A way that users feel.
    Path,
}

/// Latencies in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Latency {
    pub count: u64,
    pub mean_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

/// Something that was measured in a closed loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What.
    pub name: String,
    /// What kind of thing that is.
    pub kind: Kind,
    /// On a deployment with so many partitions.
    pub partitions: u16,
    /// So many callers or workers at once.
    pub concurrency: u64,
    /// How long it took.
    pub latency: Latency,
    /// How many ended in each second.
    pub per_second: f64,
    /// What each cost the server.
    pub commands: Commands,
    /// Its median as a multiple of that of PING at this concurrency, right before and after.
    pub floors: f64,
    /// The same for an empty function.
    pub functions: f64,
}

/// The floor through the harness beside the floor without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overhead {
    /// Which floor.
    pub name: String,
    /// So many callers at once.
    pub concurrency: u64,
    /// Nanoseconds for each through the harness, the median of the turns.
    pub harness_ns: u64,
    /// Nanoseconds for each in a bare loop, the median of the turns.
    pub bare_ns: u64,
    /// Harness divided by bare, a trimmed mean over the turns.
    pub ratio: f64,
    /// The interval that holds it with 95 %.
    pub low: f64,
    /// Its other end.
    pub high: f64,
}

/// An open-loop load at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Arrivals in each second.
    pub rate: u64,
    /// For so long.
    pub for_ms: u64,
    /// So many workers.
    pub workers: u64,
    /// On so many partitions.
    pub partitions: u16,
    /// Each task runs for so long.
    pub run_ms: u64,
    /// Under leases of so long.
    pub lease_ttl_ms: u64,
    /// Executions that were due.
    pub due: u64,
    /// Those created.
    pub created: u64,
    /// Those completed before the end of the drain.
    pub completed: u64,
    /// Those completed at most a second, and their run, after each was due.
    pub completed_in_time: u64,
    /// Those that could not be created; they count as due, and as not completed.
    pub failed_creates: u64,
    /// Calls of workers that failed.
    pub failed_calls_of_workers: u64,
    /// What the first failed call said.
    pub first_failure: Option<String>,
    /// From when it was due until it was sent: the harness's own lateness.
    pub sent: Latency,
    /// From when it was due until it was created.
    pub create: Latency,
    /// From when it was created until it was claimed.
    pub claim: Latency,
    /// From when it was due until it was completed, or until the end of the load where it never was.
    pub complete: Latency,
    /// Renewals that the runs' length asks for.
    pub renewals_due: u64,
    /// Of these, not made.
    pub renewals_missed: u64,
    /// Tasks of each worker.
    pub tasks_of_workers: Vec<u64>,
    /// Jain's index of these: 1 where all have the same, 1/n where one has all.
    pub fairness: f64,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// The distribution of `complete`: shares in ppm and nanoseconds.
    pub percentiles: Vec<(u64, u64)>,
    /// Whether everything due was done in time, and the tail stayed below the limit.
    pub sustained: bool,
}

/// What was completed in one second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Which, by when it was due.
    pub second: u64,
    /// From due to completed.
    pub complete: Latency,
}

/// Another queue doing the same work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Which.
    pub name: String,
    /// What it promises, by the names of the columns.
    pub guarantees: BTreeMap<String, String>,
    /// So many workers.
    pub workers: u64,
    /// Nanoseconds for each that is put in, one after the other.
    pub enqueue_ns: u64,
    /// How many are done in each second, from the first one to the last of those that waited.
    pub per_second: f64,
    /// From put in to done, one at a time, with these workers idle.
    pub alone: Latency,
    /// What each costs the Valkey server, from putting in to done; none for a queue in another store.
    pub commands: Option<Commands>,
}

/// Three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It costs no more than the threshold allows.
    Held,
    /// It costs more than the threshold allows.
    Regressed,
    /// The noise is wider than the question.
    Undecided,
}

/// Two revisions beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// One.
    pub base: String,
    /// The other.
    pub head: String,
    /// By how much the other may cost more, in ppm.
    pub threshold_ppm: u32,
    /// Operation by operation.
    pub operations: Vec<Compared>,
    /// All together.
    pub verdict: Verdict,
}

/// One operation of two revisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Which.
    pub name: String,
    /// Pairs of runs.
    pub pairs: u64,
    /// How much the head costs in units of the base.
    pub ratio: f64,
    /// The interval that holds it.
    pub low: f64,
    /// Its other end.
    pub high: f64,
    /// Commands of base and head.
    pub commands: (f64, f64),
    /// What that means.
    pub verdict: Verdict,
}

impl Load {
    /// The stretches of an execution's way, with names for people.
    pub fn ways(&self) -> impl Iterator<Item = (&'static str, Latency)> {
        [
            ("from due to sent", self.sent),
            ("from due to created", self.create),
            ("from created to claimed", self.claim),
            ("from due to completed", self.complete),
        ]
        .into_iter()
    }
}

impl Latency {
    /// What a histogram of nanoseconds says.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            mean_ns: histogram.mean() as u64,
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }
}

impl Results {
    /// An empty document about a target.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn new(target: &Target, profile: &str) -> Result<Self, Error> {
        Ok(Self {
            schema: SCHEMA.to_owned(),
            date: wall::date(),
            revision: revision(),
            profile: profile.to_owned(),
            machine: Machine::here(),
            server: Server {
                valkey: target.version().to_owned(),
                library: ff_script::LIBRARY_VERSION.to_owned(),
                primaries: target.primaries().len() as u64,
                settings: target.settings()?,
            },
            measurements: Vec::new(),
            overheads: Vec::new(),
            valkey_benchmark_ns: None,
            loads: Vec::new(),
            peers: Vec::new(),
            comparisons: Vec::new(),
            instructions: BTreeMap::new(),
        })
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When the file cannot be read, is none, or has another schema.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).map_err(io_error(format!("reading {}", file.display())))?;
        let bad = |error: serde_json::Error| Error::Results {
            file: file.to_owned(),
            line: error.line(),
            why: error.to_string(),
        };
        // The version first: the fields of another one are not worth a complaint.
        let any: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
        let found = any.get("schema").and_then(|schema| schema.as_str()).unwrap_or("nothing");
        if found != SCHEMA {
            return Err(Error::Schema { file: file.to_owned(), found: found.to_owned() });
        }
        serde_json::from_str(&text).map_err(bad)
    }

    /// Reads every document of a folder, the oldest first.
    ///
    /// # Errors
    /// When the folder or one of its documents cannot be read, or there is none.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, Error> {
        let what = || format!("reading {}", folder.display());
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(folder).map_err(io_error(what()))? {
            let file = entry.map_err(io_error(what()))?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                files.push(file);
            }
        }
        files.sort();
        let mut all = files.iter().map(|file| Self::read(file)).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(Error::TooFew { what: format!("results in {}", folder.display()), found: 0, wanted: 1 });
        }
        all.sort_by(|one, other| one.date.cmp(&other.date));
        Ok(all)
    }

    /// Writes the document into a folder, whole or not at all; gives the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path, command: &str) -> Result<PathBuf, Error> {
        let date: String = self.date.chars().filter(char::is_ascii_alphanumeric).collect();
        let file = folder.join(format!("{date}-{command}.json"));
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        write_whole(&file, text.as_bytes())?;
        Ok(file)
    }
}

/// Writes a file so that nobody ever sees half of it.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let what = || format!("writing {}", file.display());
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error(what()))?;
    let mut whole = temporary().tempfile_in(folder).map_err(io_error(what()))?;
    std::io::Write::write_all(&mut whole, bytes).map_err(io_error(what()))?;
    whole.persist(file).map_err(|error| io_error(what())(error.error))?;
    Ok(())
}

/// A file that others may read, as far as the user's mask lets them.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let cpus = read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count() as u64;
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
        };
        let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse().ok())
            .unwrap_or_default();
        Self {
            cpus: cpus.max(1),
            cpu_model: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_mib: memory_kib / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The revision of the tree that this is run in.
fn revision() -> Option<String> {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        fs::write(&file, text).unwrap();
        (folder, file)
    }

    #[test]
    fn another_schema_is_refused_with_what_is_accepted() {
        let (_folder, file) = file_with("{\"schema\": \"claimlab-benches/0\", \"runs\": []}");
        let said = Results::read(&file).unwrap_err().to_string();
        assert!(said.contains("claimlab-benches/0") && said.contains(SCHEMA), "{said}");
    }

    #[test]
    fn a_broken_document_is_refused_with_its_line() {
        let (_folder, file) = file_with(&format!("{{\n\"schema\": \"{SCHEMA}\",\n\"dat\": 1\n}}"));
        let said = Results::read(&file).unwrap_err().to_string();
        assert!(said.contains(":3:") && said.contains("dat"), "{said}");
    }

    #[test]
    fn a_folder_without_results_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Results::read_all(folder.path()).unwrap_err().to_string().contains("at least 1"));
    }

    #[test]
    fn the_schema_that_is_checked_in_is_the_one_of_the_types() {
        let text = serde_json::to_string_pretty(&schemars::schema_for!(Results)).unwrap() + "\n";
        // Both whole would fill a screen.
        let is_the_same = text == include_str!("../results.schema.json");
        assert!(is_the_same, "claimlab-benches schema > benches/results.schema.json");
    }
}
