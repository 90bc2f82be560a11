//! The shortest sequence that still shows a difference: whole stretches of steps are left out, then
//! single ones, as long as something still differs.

use crate::staging::sequence::Step;

/// Runs at most; a real server makes each cost some milliseconds.
const RUNS: usize = 400;

/// Leaves out what is not needed. `shows` runs a sequence and gives the number of steps after which the
/// difference showed, if it did.
///
/// # Errors
/// Whatever `shows` fails with.
pub(super) fn shrink<E>(
    mut steps: Vec<Step>,
    mut shows: impl FnMut(&[Step]) -> Result<Option<usize>, E>,
) -> Result<Vec<Step>, E> {
    let mut runs = 0;
    let mut stretch = steps.len() / 2;
    while stretch > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < steps.len() && runs < RUNS {
            let mut without = steps.clone();
            without.drain(from..steps.len().min(from + stretch));
            runs += 1;
            match shows(&without)? {
                Some(shown_after) => {
                    without.truncate(shown_after);
                    steps = without;
                    shorter = true;
                }
                None => from += stretch,
            }
        }
        // Single steps are tried until none can go.
        if stretch > 1 || !shorter || runs >= RUNS {
            stretch /= 2;
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_steps_that_matter_remain() {
        let steps: Vec<Step> = (0..50).map(|ms| Step::Wait { ms }).collect();
        let needed = [Step::Wait { ms: 7 }, Step::Wait { ms: 30 }];
        let shows = |steps: &[Step]| -> Result<Option<usize>, ()> {
            let last = steps.iter().position(|step| *step == needed[1]);
            Ok(last.filter(|last| steps[..*last].contains(&needed[0])).map(|last| last + 1))
        };
        assert_eq!(shrink(steps, shows), Ok(needed.to_vec()));
    }
}
