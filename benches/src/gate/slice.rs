//! One turn of one program: each operation a few hundred times, in a process of its own.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Options, Side};
use crate::error::{Error, io_error};
use crate::interrupt;
use crate::lab::Deployed;
use crate::operation::Operation;
use crate::plant::Plant;
use crate::results::SCHEMA;
use crate::suite::USUAL_PARTITIONS;
use crate::target::{Target, VARIABLE};

/// What a turn showed; printed by the child, read by whoever compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The version of the documents.
    pub schema: String,
    /// Operation by operation.
    pub operations: BTreeMap<String, Cost>,
}

/// What an operation cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The median of its latencies.
    pub median_ns: u64,
    /// Commands on the server, those of functions included.
    pub commands: f64,
}

/// Measures one.
///
/// # Errors
/// Those of the server and the shipped backend.
pub async fn measure(
    target: &Arc<Target>,
    operations: &[Operation],
    count: usize,
    plant: Plant,
) -> Result<Slice, Error> {
    let lab = Deployed::on(target, USUAL_PARTITIONS, plant).await?;
    let mut slice = Slice { schema: SCHEMA.to_owned(), ..Slice::default() };
    for operation in operations {
        // The first tenth warms the code up.
        operation.measure(&lab, count / 10 + 1, 1).await?;
        let median_ns = operation.measure(&lab, count, 1).await?.latencies.value_at_quantile(0.5);
        let commands = operation.count(&lab, 1).await?;
        slice
            .operations
            .insert(operation.name().to_owned(), Cost { median_ns, commands: commands.client + commands.script });
    }
    Ok(slice)
}

/// Has a program measure one.
///
/// # Errors
/// When it cannot be run, fails, or speaks another version.
pub(super) fn of_child(side: &Side, target: &Target, options: &Options) -> Result<Slice, Error> {
    interrupt::check()?;
    let names: Vec<&str> = options.operations.iter().map(|operation| operation.name()).collect();
    let mut command = Command::new(&side.program.file);
    command.args(["slice", "--flush", "--count", &options.count.to_string(), "--operations", &names.join(",")]);
    for plant in side.plant.as_flags() {
        command.args(["--plant", &plant]);
    }
    command.env(VARIABLE, target.url()).stdin(Stdio::null());
    let output = command.output().map_err(io_error(format!("running {}", side.program.name)))?;
    let failed = |what, said: String| Error::Revision { revision: side.program.name.clone(), what, said };
    if !output.status.success() {
        return Err(failed("a turn", String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let slice: Slice = serde_json::from_slice(&output.stdout)
        .map_err(|error| failed("a turn that cannot be read", error.to_string()))?;
    if slice.schema != SCHEMA {
        return Err(failed("a turn of another version", format!("found {}, accepted is {SCHEMA}", slice.schema)));
    }
    if let Some(missing) = names.iter().find(|name| slice.operations.get(**name).is_none_or(|cost| cost.median_ns == 0))
    {
        return Err(failed("a turn", format!("it has not measured {missing}")));
    }
    Ok(slice)
}
