//! What a user names on the command line, found among everything that has a name.

/// The one with that name, or what was found and what is accepted; `kind` is what none of them is called.
///
/// # Errors
/// When nothing has that name.
pub(crate) fn by_name<T: Copy>(text: &str, kind: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("{text} is no {kind}; accepted are {}", names()))
}
