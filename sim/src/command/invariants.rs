//! `claimlab invariants`.

use claimlab_model::invariant::Invariant;
use clap::Args;

use super::Format;

#[derive(Debug, Args)]
pub(super) struct InvariantsArguments {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn print(arguments: &InvariantsArguments) -> u8 {
    match arguments.format {
        Format::Text => {
            for invariant in Invariant::ALL {
                anstream::println!("{}  {:<10}  {}", invariant.id(), invariant.scope().name(), invariant.statement());
            }
        }
        Format::Json => {
            let catalogue: Vec<_> = Invariant::ALL
                .iter()
                .map(|invariant| {
                    let (id, scope) = (invariant.id(), invariant.scope().name());
                    serde_json::json!({ "id": id, "scope": scope, "statement": invariant.statement() })
                })
                .collect();
            anstream::println!("{}", serde_json::to_string_pretty(&catalogue).unwrap_or_default());
        }
    }
    0
}
