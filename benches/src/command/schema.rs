//! `schema`: what a file of results looks like.

use claimlab_benches::error::Error;
use claimlab_benches::results::Results;

/// Prints it.
pub(super) fn run() -> Result<u8, Error> {
    let schema = schemars::schema_for!(Results);
    anstream::println!("{}", serde_json::to_string_pretty(&schema).unwrap_or_default());
    Ok(0)
}
