//! `claimlab invariants`.

use claimlab_model::invariant::Invariant;
use clap::Args;

use super::{CommandError, Format};

#[derive(Debug, Args)]
pub(super) struct InvariantsArguments {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn print(arguments: &InvariantsArguments) -> Result<u8, CommandError> {
    let text = match arguments.format {
        Format::Text => {
            let line = |invariant: &Invariant| {
                let (id, scope, cases) = (invariant.id(), invariant.scope().name(), invariant.cases().join(", "));
                format!("{id}  {scope:<10}  {}\n                 broken as: {cases}\n", invariant.statement())
            };
            Invariant::ALL.iter().map(line).collect()
        }
        Format::Json => {
            let catalogue: Vec<_> = Invariant::ALL
                .iter()
                .map(|invariant| {
                    let (id, scope, cases) = (invariant.id(), invariant.scope().name(), invariant.cases());
                    serde_json::json!({ "id": id, "scope": scope, "statement": invariant.statement(), "cases": cases })
                })
                .collect();
            format!("{}\n", serde_json::to_string_pretty(&catalogue).unwrap_or_default())
        }
    };
    super::print(&text)?;
    Ok(0)
}
