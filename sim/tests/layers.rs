//! Imports between the rooms of this crate run one way: a room uses what is below it, never what is above.
//!
//! Rooms are the folders and files directly under `src`, lowest floor first.

use std::path::{Path, PathBuf};

/// The rooms by floor, lowest first. Rooms of one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["clock", "input", "printed", "scanner", "stopwatch", "stream"],
    &["address", "scenario"],
    &["plan"],
    &["outcome"],
    &["history"],
    &["story", "world", "engine"],
    &["call"],
    &["worker"],
    &["run"],
    &["judge"],
    &["campaign", "hunt", "inevitable", "shrink"],
    &["timeline"],
    &["measure", "report", "staging"],
    &["live"],
    &["matrix"],
    &["databases"],
    &["command"],
];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room of a file: its first folder, or its own name.
fn room(file: &Path, source: &Path) -> String {
    let inside = file.strip_prefix(source).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Each room that a text names after `crate::`, with the line; tests at a file's end are left out.
fn imports(text: &str) -> Vec<(usize, String)> {
    let tests = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let mut found = Vec::new();
    for (number, line) in text[..tests].lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let name: String =
                rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            if !name.is_empty() {
                found.push((number + 1, name));
            }
        }
    }
    found
}

#[test]
fn no_room_imports_one_above_it() {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut all = Vec::new();
    files(source, &mut all);
    assert!(all.len() > 60, "{}", all.len());
    let mut wrong = Vec::new();
    for file in all {
        let own = room(&file, source);
        if own == "lib" || own == "main" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let Some(floor) = floor_of(&own) else {
            wrong.push(format!("{} is in no room of the list", file.display()));
            continue;
        };
        for (line, other) in imports(&text) {
            let Some(other_floor) = floor_of(&other) else { continue };
            if other_floor >= floor && other != own {
                wrong.push(format!("{}:{line}: {own} imports {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_import_is_seen_wherever_it_stands() {
    let text = "use crate::world::{Hub, Party};\nfn x() { crate::plan::draw() } // crate::live\n#[cfg(test)]\nmod tests { use crate::run; }";
    assert_eq!(imports(text), [(1, "world".to_owned()), (2, "plan".to_owned())]);
}
