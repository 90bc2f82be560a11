//! The fewest items that still show something: whole stretches are left out, then shorter ones, then single ones, until
//! none can go.

/// Leaves out what is not needed. `shows` is given a shorter list and says after how many of its items it has shown
/// what is looked for, or that it has not; what comes after them is left out too.
///
/// # Errors
/// Whatever `shows` fails with.
pub fn fewest<T: Clone, E>(
    mut items: Vec<T>,
    mut shows: impl FnMut(&[T]) -> Result<Option<usize>, E>,
) -> Result<Vec<T>, E> {
    let mut stretch = items.len().div_ceil(2);
    while stretch > 0 {
        let (mut from, mut is_shorter) = (0, false);
        while from < items.len() {
            let mut without = items.clone();
            without.drain(from..items.len().min(from + stretch));
            match shows(&without)? {
                Some(shown_after) => {
                    without.truncate(shown_after);
                    items = without;
                    is_shorter = true;
                }
                None => from += stretch,
            }
        }
        // Single items are tried until none can go.
        if stretch > 1 || !is_shorter {
            stretch /= 2;
        }
    }
    Ok(items)
}

/// The same with so many runs at most, where each costs much; what is left is as short as they allowed.
///
/// # Errors
/// Whatever `shows` fails with.
pub fn fewest_in<T: Clone, E>(
    runs: usize,
    items: Vec<T>,
    mut shows: impl FnMut(&[T]) -> Result<Option<usize>, E>,
) -> Result<Vec<T>, E> {
    let mut left = runs;
    fewest(items, |items| {
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        shows(items)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_items_that_matter_remain() {
        let shows = |items: &[u32]| -> Result<Option<usize>, ()> {
            let last = items.iter().position(|item| *item == 30);
            Ok(last.filter(|last| items[..*last].contains(&7)).map(|last| last + 1))
        };
        assert_eq!(fewest((0..50).collect(), shows), Ok(vec![7, 30]));
    }

    #[test]
    fn an_item_that_only_another_makes_needed_goes_after_it() {
        // Whoever keeps 3 must keep 4; neither is needed.
        let shows = |items: &[u32]| Ok::<_, ()>((!items.contains(&3) || items.contains(&4)).then_some(items.len()));
        assert_eq!(fewest((0..10).collect(), shows), Ok(Vec::new()));
    }

    #[test]
    fn a_list_of_one_can_become_empty() {
        assert_eq!(fewest(vec![1], |items: &[u32]| Ok::<_, ()>(Some(items.len()))), Ok(Vec::new()));
    }
}
