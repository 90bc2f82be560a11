//! Values toward plain ones: what is optional goes, switches are off, chances never happen, numbers become 0, a lease's
//! length or the next round number, clocks become true, and the earliest message is the one that is struck.
//!
//! A plan is a tree of values; each place of it is tried by itself, whatever it means. What is no plan any more is not
//! run.

use serde_json::{Number, Value};

use super::{Over, Shrinking};
use crate::plan::Plan;

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    At(usize),
}

/// Names and references: other values of them mean another element, not a plainer one.
const NAMES: [&str; 18] = [
    "version",
    "scenario",
    "seed",
    "key",
    "execution",
    "flow",
    "work",
    "from",
    "to",
    "members",
    "party",
    "worker_id",
    "lane",
    "player",
    "deviations",
    "quota",
    "budget",
    "what",
];
/// Lists whose elements the other passes take out.
const LISTS: [&str; 5] = ["workers", "work", "operators", "faults", "rates"];
/// Words that there must be one of, with the plainest.
const PLAINEST: [(&str, &str); 3] = [("ending", "complete"), ("entry", "claim_next"), ("timeout_does", "resume")];
/// How long every scanner pauses between two passes, at least.
const SCAN_MS: u64 = 1_000;

/// Makes values plainer as long as the plan still shows what is looked for; a lease's length is what it was at first,
/// so that what is plainer stays so.
///
/// # Errors
/// When there is no more time; what was reached is kept.
pub(super) fn simplify(shrinking: &mut Shrinking<'_>) -> Result<(), Over> {
    let mut tree = tree_of(&shrinking.plan);
    let mut places = Vec::new();
    collect(&tree, &mut Vec::new(), &mut places);
    for place in places {
        for tried in plainer(&tree, &place, shrinking.ttl_ms) {
            let Ok(candidate) = serde_json::from_value::<Plan>(tried) else { continue };
            if candidate.is_possible() && shrinking.consider(candidate)? {
                tree = tree_of(&shrinking.plan);
                break;
            }
        }
    }
    Ok(())
}

pub(super) fn tree_of(plan: &Plan) -> Value {
    serde_json::to_value(plan).expect("a plan's values have a text")
}

/// Every place, parents before their children, the last element of a list before the first.
fn collect(tree: &Value, path: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let is_top = path.len() == 1 && matches!(&path[0], Step::Key(name) if LISTS.contains(&name.as_str()));
    let children: Vec<(Step, &Value, bool)> = match tree {
        Value::Object(fields) => {
            let tried = fields.iter().filter(|(name, _)| !NAMES.contains(&name.as_str()) || is_list(name, tree));
            let is_place = |name: &String, value: &Value| !(LISTS.contains(&name.as_str()) && value.is_array());
            tried.map(|(name, value)| (Step::Key(name.clone()), value, is_place(name, value))).collect()
        }
        Value::Array(elements) => {
            let numbered = elements.iter().enumerate().rev();
            numbered.map(|(position, value)| (Step::At(position), value, !is_top)).collect()
        }
        _ => Vec::new(),
    };
    for (step, value, is_place) in children {
        path.push(step);
        if is_place {
            places.push(path.clone());
        }
        collect(value, path, places);
        path.pop();
    }
}

/// `work` is a list at the top and a reference elsewhere; `what` and `from` of a fault have values of their own.
fn is_list(name: &str, parent: &Value) -> bool {
    match name {
        "work" => parent.get("work").is_some_and(Value::is_array),
        "what" => true,
        _ => false,
    }
}

fn at<'t>(tree: &'t mut Value, path: &[Step]) -> Option<&'t mut Value> {
    path.iter().try_fold(tree, |value, step| match step {
        Step::Key(name) => value.get_mut(name),
        Step::At(position) => value.get_mut(*position),
    })
}

/// The tree with one place plainer, plainest first.
fn plainer(tree: &Value, path: &[Step], ttl_ms: u64) -> Vec<Value> {
    let Some((last, parents)) = path.split_last() else { return Vec::new() };
    let mut copy = tree.clone();
    let Some(value) = at(&mut copy, path).cloned() else { return Vec::new() };
    let name = match (last, parents.last()) {
        (Step::Key(name), _) | (Step::At(_), Some(Step::Key(name))) => name.clone(),
        _ => String::new(),
    };
    let with = |new: Value| {
        let mut copy = tree.clone();
        if let Some(place) = at(&mut copy, path) {
            *place = new;
        }
        copy
    };
    let mut tried = Vec::new();
    // Without it; where it must be there, the result is no plan.
    if let Some(parent) = at(&mut copy, parents) {
        match (parent, last) {
            (Value::Object(fields), Step::Key(name)) => drop(fields.remove(name)),
            // A range has two ends.
            (Value::Array(elements), Step::At(position)) if !elements.iter().all(Value::is_number) => {
                elements.remove(*position);
            }
            _ => {}
        }
        tried.push(copy);
    }
    match &value {
        Value::Bool(true) => tried.push(with(Value::Bool(false))),
        Value::Number(number) => tried.extend(numbers(number, unit_of(&name), ttl_ms).into_iter().map(with)),
        Value::Array(ends) if ends.len() == 2 && ends.iter().all(Value::is_number) => {
            tried.push(with(Value::Array(vec![ends[0].clone(), ends[0].clone()])));
        }
        Value::String(text) => tried.extend(words(&name, text).into_iter().map(Value::String).map(with)),
        _ => {}
    }
    tried
}

/// Whether a value of this name counts microseconds.
pub(super) fn is_time(name: &str) -> bool {
    name.ends_with("_us") || matches!(name, "at" | "starts_at" | "cancel_at")
}

/// How many of a duration's unit a millisecond has, by the value's name; none where it counts something else.
fn unit_of(name: &str) -> Option<i64> {
    match name {
        name if is_time(name) => Some(1_000),
        name if name.ends_with("_ms") => Some(1),
        _ => None,
    }
}

fn words(name: &str, text: &str) -> Vec<String> {
    if let Some((_, plainest)) = PLAINEST.iter().find(|(known, _)| *known == name) {
        return vec![(*plainest).to_owned()];
    }
    let is_chance = text
        .split_once('/')
        .is_some_and(|(times, of)| times.parse::<u64>().is_ok_and(|times| times > 0) && of.parse::<u64>().is_ok());
    if is_chance {
        return vec!["0/1".to_owned()];
    }
    let numbered = text.rsplit_once(" #").and_then(|(address, nth)| Some((address, nth.parse::<u32>().ok()?)));
    numbered.map_or_else(Vec::new, |(address, nth)| (1..nth.min(4)).map(|nth| format!("{address} #{nth}")).collect())
}

/// How plain a number is: the lower, the plainer.
fn rank(number: i64, specials: &[i64]) -> (u8, u32, u64) {
    let size = number.unsigned_abs();
    if number == 0 {
        return (0, 0, 0);
    }
    let mut digits = size;
    while digits.is_multiple_of(10) {
        digits /= 10;
    }
    let figures = digits.ilog10() + 1;
    if specials.contains(&number) {
        return (1, 0, size);
    }
    (1, figures, size)
}

/// Just less than a lease, a lease, just more, and a scanner's pause, in units.
fn specials(unit: i64, ttl_ms: u64) -> [i64; 4] {
    let ttl = i64::try_from(ttl_ms).unwrap_or(i64::MAX / 2_000);
    let scan = i64::try_from(SCAN_MS).unwrap_or(i64::MAX);
    [ttl - 1, ttl, ttl + 1, scan].map(|ms| ms.saturating_mul(unit))
}

/// Plainer numbers, the plainest first. What counts durations can become one of the known ones near it.
fn numbers(number: &Number, unit: Option<i64>, ttl_ms: u64) -> Vec<Value> {
    let Some(number) = number.as_i64() else { return Vec::new() };
    let size = number.unsigned_abs();
    let specials = unit.map_or_else(Vec::new, |unit| specials(unit, ttl_ms).to_vec());
    let mut candidates = vec![0, 1];
    candidates.extend(specials.iter().filter(|special| special.unsigned_abs() / 2 <= size));
    for figures in 1..=3 {
        let scale = 10_u64.pow(size.max(1).ilog10().saturating_sub(figures - 1));
        for rounded in [size / scale * scale, size.div_ceil(scale) * scale] {
            candidates.push(i64::try_from(rounded).unwrap_or(i64::MAX) * number.signum());
        }
    }
    for power in 0..size.max(1).ilog10() {
        candidates.push(10_i64.pow(power) * number.signum());
    }
    let here = rank(number, &specials);
    candidates.retain(|candidate| rank(*candidate, &specials) < here);
    candidates.sort_by_key(|candidate| rank(*candidate, &specials));
    candidates.dedup();
    candidates.into_iter().map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: i64, name: &str) -> Vec<i64> {
        numbers(&Number::from(number), unit_of(name), 4_000).iter().filter_map(Value::as_i64).collect()
    }

    #[test]
    fn numbers_become_nothing_a_lease_or_round() {
        assert_eq!(of(0, "for_ms"), [0; 0]);
        assert_eq!(of(7, "max_retries"), [0, 1]);
        assert_eq!(of(7, "for_ms"), [0, 1], "a lease is much longer");
        let plainer = of(5_317, "for_ms");
        assert_eq!(plainer[0], 0);
        assert!(
            [4_000, 3_999, 4_001, 5_000, 6_000, 5_300, 5_310].iter().all(|number| plainer.contains(number)),
            "{plainer:?}"
        );
        assert!(of(5_317_123, "at_us").contains(&4_000_000), "a time is told in microseconds");
        assert!(of(-5_317, "by_ms").contains(&-5_000), "a step back stays one");
    }

    #[test]
    fn a_chance_never_happens_and_an_earlier_message_is_struck() {
        assert_eq!(words("messages", "1/200"), ["0/1"]);
        assert_eq!(words("messages", "0/1"), [""; 0]);
        assert_eq!(
            words("message", "engine / - / renew_lease #3"),
            ["engine / - / renew_lease #1", "engine / - / renew_lease #2"]
        );
        assert_eq!(words("ending", "fail"), ["complete"]);
    }
}
