//! What may use what: the rooms of `src` – its folders and the files beside them – lie on floors, and each uses only
//! what is below it. A circle between two rooms would have to go up somewhere.
//!
//! The sources are read as text: a path that begins with `crate::`, or with as many `super::` as lead out of its
//! room. Modules of tests may use anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, lowest first. A room may use those before it.
const FLOORS: &[&str] = &[
    "deviation",
    "intern",
    "method",
    "number",
    "spelling",
    "time",
    "token",
    "store",
    "message",
    "projection",
    "script",
    "invariant",
    "port",
    "backend",
    "completion",
];

/// What a file names outside its module, by line, and how deep that module lies: 1 for a room's own file.
fn references(source: &str, depth: usize) -> Vec<(usize, String)> {
    let up = "super::".repeat(depth);
    let mut found = Vec::new();
    let mut offset = 0;
    for (index, line) in source.lines().enumerate() {
        let (line_start, number) = (offset, index + 1);
        offset += line.len() + 1;
        let code = line.trim_start();
        if code == "#[cfg(test)]" && source[offset..].lines().next().is_some_and(|next| next.ends_with('{')) {
            break;
        }
        if code.starts_with("//") {
            continue;
        }
        for prefix in ["crate::", &up] {
            for (at, _) in line.match_indices(prefix) {
                let before = line[..at].chars().next_back();
                if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
                    continue;
                }
                let path = &source[line_start + at + prefix.len()..];
                found.extend(heads(path).into_iter().map(|name| (number, name)));
            }
        }
    }
    found
}

/// The first name of a path; of a path in braces, each one's.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = Vec::new();
    let (mut level, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => level += 1,
            '}' if level > 0 => level -= 1,
            ',' | '}' if level == 0 => {
                names.push(name(group[start..at].trim_start()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    // A comma may stand after the last one.
    names.retain(|name| !name.is_empty());
    names
}

fn name(path: &str) -> String {
    path.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '*')).collect()
}

/// What is wrong with a room's reference to another name of the crate.
fn objection(room: &str, used: &str) -> Option<String> {
    let floor = |name| FLOORS.iter().position(|listed| *listed == name);
    match (floor(room), floor(used)) {
        (None, _) => Some(format!("{room} is on no floor")),
        (_, None) => Some(format!("{room} uses {used}, which is on no floor")),
        (Some(own), Some(other)) if other > own => Some(format!("{room} uses {used}, which is above it")),
        _ => None,
    }
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The room that a file is in, and how deep its module lies; none for the crate's own file.
fn room(file: &Path) -> Option<(String, usize)> {
    let parts: Vec<_> = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    let modules: Vec<_> = parts.iter().filter(|part| *part != "mod" && *part != "lib").collect();
    Some(((*modules.first()?).clone(), modules.len()))
}

#[test]
fn no_room_uses_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut rooms = BTreeSet::new();
    for file in &files {
        let file = file.strip_prefix(&src).unwrap();
        let Some((room, depth)) = room(file) else { continue };
        let source = fs::read_to_string(src.join(file)).unwrap();
        for (line, used) in references(&source, depth) {
            let objection = objection(&room, &used);
            wrong.extend(objection.map(|why| format!("src/{}:{line}: {why}", file.display())));
        }
        rooms.insert(room);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(rooms, FLOORS.iter().map(|room| (*room).to_owned()).collect(), "each room is on a floor");
}

#[test]
fn a_reference_is_seen_in_every_form() {
    let source = "\
//! [`crate::backend`]
use crate::store::Store;
use crate::{
    port::{self, Server},
    time::ServerTime,
};
fn run(found: &crate::script::Refusal) {} // claimlab_crate::x
    pub(in crate::message) use super::super::intern::{self, Interner};
use super::sibling;
#[cfg(test)]
mod tests {
    use crate::completion::Stream;
}
";
    let found = references(source, 2);
    let found: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
    let expected = [(2, "store"), (3, "port"), (3, "time"), (7, "script"), (8, "message"), (8, "intern")];
    assert_eq!(found, expected);
    assert_eq!(references("use super::time;\n", 1), [(1, "time".to_owned())]);
}

#[test]
fn a_reference_that_goes_up_or_nowhere_is_refused() {
    assert_eq!(objection("script", "store"), None);
    assert_eq!(objection("script", "script"), None);
    assert_eq!(objection("store", "script").unwrap(), "store uses script, which is above it");
    assert_eq!(objection("store", "*").unwrap(), "store uses *, which is on no floor");
    assert_eq!(objection("cellar", "store").unwrap(), "cellar is on no floor");
}
