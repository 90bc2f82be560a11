//! Findings: what is known to be broken, one TOML file each, with its one cause and how often it may come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::{Invariant, Scope};
use serde::{Deserialize, Serialize};

use super::Evidence;
use crate::input::{InputError, line_of, parse_toml, read_text};
use crate::outcome::Cause;
use crate::scenario::Scenario;
use crate::stream::Ratio;

/// One known finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// `F` and a number; scenarios name it.
    pub id: String,
    /// What happens, in one sentence.
    pub title: String,
    /// The promise that is broken.
    pub invariant: String,
    /// The way in which it is broken: one of the invariant's cases.
    pub case: String,
    /// The script that breaks it and what it answers: `cancel_execution=cancelled`. Several where the cause shows
    /// through more than one; any where there is none, for an invariant that no script breaks by itself.
    #[serde(default, deserialize_with = "one_or_many", serialize_with = "as_one_or_many")]
    pub script: Vec<String>,
    /// The kinds of party whose call it is; any where the list is empty.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Why it happens, and where in FlowFabric.
    pub reason: String,
    /// The highest share of that script's answers; more than chance makes of it is red.
    pub at_most: Ratio,
    /// The switch that repairs it, if there is one.
    #[serde(default)]
    pub repaired_by: Option<Deviation>,
}

/// One text, or a list of texts.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

fn as_one_or_many<S: serde::Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match texts {
        [text] => text.serialize(serializer),
        texts => texts.serialize(serializer),
    }
}

/// Findings by id.
pub type Findings = BTreeMap<String, Finding>;

impl Finding {
    /// Whether this is the finding's cause.
    pub fn knows(&self, cause: &Cause) -> bool {
        let is_cause = |script: &String| script.split_once('=') == Some((cause.script, cause.result));
        let same_script = self.script.is_empty() || self.script.iter().any(is_cause);
        let same_role = self.roles.is_empty() || self.roles.iter().any(|role| role == cause.role);
        self.invariant == cause.invariant.id() && self.case == cause.case && same_script && same_role
    }

    /// How often it could have come.
    pub fn chances(&self, evidence: &Evidence) -> u64 {
        match Invariant::parse(&self.invariant).map(Invariant::scope) {
            Some(Scope::Liveness) => evidence.executions,
            Some(Scope::Worker) => evidence.looks.get(&self.invariant).copied().unwrap_or_default(),
            // One that names no script shows through any.
            _ if self.script.is_empty() => evidence.scripts.values().sum(),
            _ => self.script.iter().filter_map(|script| evidence.scripts.get(script)).sum(),
        }
    }

    fn check(&self) -> Result<(), (&'static str, String, String)> {
        let Some(invariant) = Invariant::parse(&self.invariant) else {
            let accepted = "an invariant's id, as `claimlab invariants` lists them".to_owned();
            return Err(("invariant", format!("{:?}", self.invariant), accepted));
        };
        if !invariant.cases().contains(&self.case.as_str()) {
            return Err(("case", format!("{:?}", self.case), format!("one of {}", invariant.cases().join(", "))));
        }
        let is_strange = |script: &&String| !script.contains('=');
        // What work or a listing comes to shows after whatever was done last.
        let may_be_any = matches!(invariant.scope(), Scope::Liveness | Scope::History);
        if self.script.is_empty() && !may_be_any || self.script.iter().any(|script| is_strange(&script)) {
            let found =
                self.script.iter().find(is_strange).map_or_else(|| "none".to_owned(), |found| format!("{found:?}"));
            return Err(("script", found, "a script and its answer: name=answer, or a list of them".to_owned()));
        }
        let numbered = self.id.strip_prefix('F').is_some_and(|number| number.parse::<u32>().is_ok());
        if !numbered {
            return Err(("id", format!("{:?}", self.id), "F and a number".to_owned()));
        }
        Ok(())
    }
}

/// The folder of findings that is nearest to a file: beside it, or beside a folder that it is in.
pub fn nearest_folder(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    file.ancestors().skip(1).map(|folder| folder.join("findings")).find(|folder| folder.is_dir())
}

/// A folder of findings that was named, or the one nearest to where the command runs.
pub fn named_or_nearest(folder: Option<&Path>) -> Option<PathBuf> {
    folder.map(Path::to_owned).or_else(|| nearest_folder(Path::new("any file here")))
}

/// Reads every finding of a folder.
///
/// # Errors
/// What keeps a file from being a finding, with its place; two findings with one id.
pub fn read_folder(folder: &Path) -> Result<Findings, InputError> {
    let unreadable = |error: std::io::Error| InputError::Unreadable {
        file: folder.to_owned(),
        what: "folder of findings",
        why: error.to_string(),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_list = path.file_name().is_some_and(|name| name == super::callers::MISUSE);
        if path.extension().is_some_and(|extension| extension == "toml") && !is_list {
            files.push(path);
        }
    }
    files.sort();
    let mut findings = Findings::new();
    for file in files {
        let text = read_text(&file, "finding", "a TOML file with id, title, invariant, case, script, reason, at_most")?;
        let finding: Finding = parse_toml(&file, &text)?;
        let impossible = |key: &str, found: String, accepted: String| InputError::Impossible {
            file: file.clone(),
            line: line_of(&text, text.find(&format!("{key} =")).unwrap_or(0)),
            key: key.to_owned(),
            found,
            accepted,
        };
        finding.check().map_err(|(key, found, accepted)| impossible(key, found, accepted))?;
        if findings.contains_key(&finding.id) {
            return Err(impossible("id", format!("{} again", finding.id), "each id in one file".to_owned()));
        }
        findings.insert(finding.id.clone(), finding);
    }
    Ok(findings)
}

/// The findings that a scenario accepts, read from a folder, or from the one nearest to the scenario's file.
///
/// # Errors
/// Those of [`read_folder`]; an id that no finding has, with its line.
pub fn accepted(scenario: &Scenario, file: &Path, folder: Option<&Path>) -> Result<Vec<Finding>, InputError> {
    if scenario.accept.is_empty() {
        return Ok(Vec::new());
    }
    let folder = folder.map(Path::to_owned).or_else(|| nearest_folder(file));
    let findings = folder.as_deref().map(read_folder).transpose()?.unwrap_or_default();
    let known = || match &folder {
        Some(folder) => {
            format!("an id of {}: {}", folder.display(), findings.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        None => "a finding's id; there is no folder findings beside the scenario or above it".to_owned(),
    };
    let of = |(position, id): (usize, &String)| {
        findings.get(id).cloned().ok_or_else(|| {
            let text = read_text(file, "scenario", "a scenario").unwrap_or_default();
            InputError::Impossible {
                file: file.to_owned(),
                line: line_of(&text, text.find(&format!("\"{id}\"")).unwrap_or(0)),
                key: format!("accept[{position}]"),
                found: format!("{id:?}"),
                accepted: known(),
            }
        })
    };
    scenario.accept.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANCEL: &str = "id = \"F1\"\ntitle = \"t\"\ninvariant = \"S04\"\ncase = \"expired\"\nscript = \
                          \"cancel_execution=cancelled\"\nreason = \"r\"\nat_most = \"1/10\"\n";

    fn read(files: &[(&str, String)]) -> Result<Findings, String> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("claimlab-findings-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let read = read_folder(&folder).map_err(|error| error.to_string());
        std::fs::remove_dir_all(&folder).unwrap();
        read
    }

    #[test]
    fn a_finding_is_read_and_knows_its_cause() {
        let findings = read(&[("a.toml", CANCEL.to_owned())]).unwrap();
        let cause = Cause {
            invariant: Invariant::S04,
            case: "expired",
            role: "worker",
            script: "cancel_execution",
            result: "cancelled",
        };
        assert!(findings["F1"].knows(&cause));
        assert!(!findings["F1"].knows(&Cause { case: "replaced", ..cause }));
    }

    #[test]
    fn an_unknown_invariant_or_case_and_a_second_id_are_refused_with_their_place() {
        let error = read(&[("a.toml", CANCEL.replace("S04", "S99"))]).unwrap_err();
        assert!(error.contains("a.toml:3: invariant: found \"S99\", accepted is an invariant's id"), "{error}");
        let error = read(&[("a.toml", CANCEL.replace("expired", "late"))]).unwrap_err();
        assert!(error.contains("a.toml:4: case: found \"late\", accepted is one of never-held, replaced"), "{error}");
        let error = read(&[("a.toml", CANCEL.to_owned()), ("b.toml", CANCEL.to_owned())]).unwrap_err();
        assert!(error.contains("b.toml:1: id: found F1 again"), "{error}");
    }
}
