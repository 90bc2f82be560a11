//! `claimlab invariants`.

use std::path::PathBuf;

use claimlab_model::invariant::Invariant;
use clap::Args;

use super::{CommandError, Format};
use crate::judge::{Findings, named_or_nearest, read_folder};

#[derive(Debug, Args)]
pub(super) struct InvariantsArguments {
    /// The folder of known findings, instead of the one nearest to where the command runs
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The ids of the findings that break an invariant.
fn broken_by(findings: &Findings, invariant: Invariant) -> Vec<&str> {
    findings.values().filter(|finding| finding.invariant == invariant.id()).map(|finding| finding.id.as_str()).collect()
}

pub(super) fn print(arguments: &InvariantsArguments) -> Result<u8, CommandError> {
    let findings = named_or_nearest(arguments.findings.as_deref())
        .map(|folder| read_folder(&folder))
        .transpose()?
        .unwrap_or_default();
    let text = match arguments.format {
        Format::Text => {
            let line = |invariant: &Invariant| {
                let (id, scope, cases) = (invariant.id(), invariant.scope().name(), invariant.cases().join(", "));
                let broken_by = broken_by(&findings, *invariant).join(", ");
                let found = match broken_by.is_empty() {
                    true => String::new(),
                    false => format!("                 0.15.0 breaks it: {broken_by}\n"),
                };
                let statement = invariant.statement();
                format!("{id}  {scope:<10}  {statement}\n                 broken as: {cases}\n{found}")
            };
            Invariant::ALL.iter().map(line).collect()
        }
        Format::Json => {
            let catalogue: Vec<_> = Invariant::ALL
                .iter()
                .map(|invariant| {
                    let (id, scope, cases) = (invariant.id(), invariant.scope().name(), invariant.cases());
                    let (statement, broken_by) = (invariant.statement(), broken_by(&findings, *invariant));
                    serde_json::json!({
                        "id": id,
                        "scope": scope,
                        "statement": statement,
                        "cases": cases,
                        "broken_by": broken_by,
                    })
                })
                .collect();
            format!("{}\n", serde_json::to_string_pretty(&catalogue).unwrap_or_default())
        }
    };
    super::print(&text)?;
    Ok(0)
}
