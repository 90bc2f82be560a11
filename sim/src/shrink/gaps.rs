//! Waiting toward none: times in which nothing of the plan happens are left out, everything later comes earlier.

use serde_json::Value;

use super::values::{is_time, tree_of};
use super::{Over, Shrinking};
use crate::plan::Plan;

/// Takes out gaps between two times of the plan as long as it still shows what is looked for: the whole gap, or half of it.
///
/// # Errors
/// When there is no more time; what was reached is kept.
pub(super) fn close(shrinking: &mut Shrinking<'_>) -> Result<(), Over> {
    /// Shorter gaps are not worth a run.
    const LEAST_US: u64 = 100_000;
    let mut from_us = 0;
    loop {
        let mut times = Vec::new();
        visit(&mut tree_of(&shrinking.plan), "", &mut |us| times.push(*us));
        let Some(next_us) = times.iter().copied().filter(|us| *us > from_us).min() else { return Ok(()) };
        let gap_us = next_us - from_us;
        from_us = next_us;
        for less_us in [gap_us, gap_us / 2].into_iter().filter(|less_us| *less_us >= LEAST_US) {
            let mut tree = tree_of(&shrinking.plan);
            visit(&mut tree, "", &mut |us| {
                if *us >= next_us {
                    *us -= less_us;
                }
            });
            let Ok(candidate) = serde_json::from_value::<Plan>(tree) else { continue };
            if shrinking.consider(candidate)? {
                from_us -= less_us;
                break;
            }
        }
    }
}

/// Every moment that a plan names, in microseconds of true time.
fn visit(tree: &mut Value, name: &str, see: &mut impl FnMut(&mut u64)) {
    match tree {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| visit(value, name, see)),
        Value::Array(elements) if !elements.iter().all(Value::is_number) => {
            elements.iter_mut().for_each(|value| visit(value, name, see));
        }
        Value::Number(number) if is_time(name) => {
            if let Some(mut us) = number.as_u64() {
                see(&mut us);
                *tree = Value::from(us);
            }
        }
        _ => {}
    }
}
