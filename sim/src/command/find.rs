//! The folder of a find: the smallest plan, its story, its timeline and a test that fails as long as it shows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::Changes;
use super::kept::keep;
use super::{CommandError, replay_command};
use crate::campaign;
use crate::inevitable;
use crate::input::{InputError, read_text};
use crate::judge::{Finding, PLAN};
use crate::outcome::{Violation, Wanted};
use crate::plan::Plan;
use crate::story::Story;
use crate::timeline::{self, Words};
use crate::world::Checks;

/// What a find is of: what is looked for, the finding that knows it, and the violation.
const RECORD: &str = "find.json";

/// What the find of a folder is of, where the folder says so.
///
/// # Errors
/// When it names a promise or a case that there is not, or cannot be read.
pub(super) fn wanted_in(folder: &Path) -> Result<Option<Wanted>, InputError> {
    let file = folder.join(RECORD);
    if !file.is_file() {
        return Ok(None);
    }
    let text = read_text(&file, "find", "what hunt or shrink wrote")?;
    let malformed = |line, why| InputError::Malformed { file: file.clone(), line, why };
    let record: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| malformed(error.line(), error.to_string()))?;
    let found = record["wanted"].as_str().unwrap_or_default();
    let line = 1 + text.lines().position(|line| line.contains("\"wanted\"")).unwrap_or_default();
    let refused = |accepted| malformed(line, format!("wanted: found {found:?}, accepted is {accepted}"));
    Wanted::parse(found).map(Some).map_err(refused)
}

/// The name of a find's folder: its promise, the way in which it is broken, and the script.
pub(super) fn name_of(wanted: &Wanted) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    wanted.to_string().chars().map(plain).collect()
}

/// Writes everything that a reader of a find wants; gives its story and the plan's file.
pub(super) fn write(
    folder: &Path,
    plan: &Plan,
    violation: &Violation,
    known: &[Finding],
) -> Result<(Story, PathBuf), CommandError> {
    let file = keep(folder, PLAN, &plan.text())?;
    let replay = replay_command(&file, None, &Changes::default());
    let plan = Arc::new(plan.clone());
    let story = campaign::story(&plan, violation, &Checks::default());
    let finding = known.iter().find(|finding| finding.knows(&violation.cause()));
    let title = finding.map_or_else(
        || format!("{} is broken: {}", violation.invariant.id(), violation.case.replace('-', " ")),
        |finding| finding.title.clone(),
    );
    let curve = inevitable::curve(&plan, violation, story.zero_us);
    let chances = inevitable::told(&curve, story.zero_us);
    keep(folder, "story.md", &told(&title, violation, &story, &chances, finding, &replay))?;
    let words = Words { title, story: story.clone(), replay, curve };
    keep(folder, "timeline.html", &claimlab_timeline::page(&timeline::of(&plan, violation, words)))?;
    keep(folder, "regression.rs", &regression(violation, finding))?;
    let known_as = finding.map(|finding| finding.id.as_str());
    let wanted = Wanted::of(&violation.cause()).to_string();
    let record = serde_json::json!({ "wanted": wanted, "known_as": known_as, "violation": violation });
    keep(folder, RECORD, &format!("{}\n", serde_json::to_string_pretty(&record).unwrap_or_default()))?;
    Ok((story, file))
}

fn told(
    title: &str,
    violation: &Violation,
    story: &Story,
    chances: &[String],
    finding: Option<&Finding>,
    replay: &str,
) -> String {
    let mut text = format!("# {title}\n\n");
    let _ = writeln!(text, "The promise {}: {}.\n", violation.invariant.id(), violation.invariant.statement());
    let _ = writeln!(text, "Broken by `{}`.\n", violation.cause());
    text.push_str(
        "## What happened\n\nTimes are true seconds since the first event; a clock is named where it is wrong.\n\n",
    );
    for (number, sentence) in (1..).zip(&story.sentences) {
        let _ = writeln!(text, "{number}. {sentence}");
    }
    if !chances.is_empty() {
        let _ = writeln!(text, "\n## When it became inevitable\n\n{}", chances.join("\n"));
    }
    if let Some(finding) = finding {
        let _ = writeln!(text, "\n## Why\n\n{} ({})", finding.reason, finding.id);
        if let Some(repair) = finding.repaired_by {
            let _ = writeln!(text, "\nThe switch `{}` repairs it.", repair.name());
        }
    }
    let _ = writeln!(text, "\n## Again\n\n```sh\n{replay}\n```");
    text
}

/// A test beside the plan, for a crate that has claimlab as a dependency for its tests.
fn regression(violation: &Violation, finding: Option<&Finding>) -> String {
    let wanted = Wanted::of(&violation.cause());
    let statement = violation.invariant.statement();
    let repair = finding.and_then(|finding| finding.repaired_by).map_or_else(String::new, |repair| {
        format!("//! It passes once the plan's world has the deviation \"{}\".\n", repair.name())
    });
    let name: String = name_of(&wanted).to_lowercase().replace('-', "_");
    format!(
        "//! {}: {statement}. This test fails as long as the plan beside it breaks that.\n{repair}\n\
         use std::path::Path;\nuse std::sync::Arc;\n\nuse claimlab::outcome::Wanted;\nuse claimlab::{{plan, run, world}};\n\n\
         #[test]\nfn {name}_is_not_broken() {{\n\
         \x20   let plan = plan::parse(Path::new(\"plan.json\"), include_str!(\"plan.json\")).unwrap();\n\
         \x20   let wanted = Wanted::parse(\"{wanted}\").unwrap();\n\
         \x20   let outcome = run::run(&Arc::new(plan), world::Options::default());\n\
         \x20   let broken = outcome.violations.iter().find(|violation| wanted.is(violation));\n\
         \x20   assert!(broken.is_none(), \"{{broken:?}}\");\n}}\n",
        violation.invariant.id()
    )
}
