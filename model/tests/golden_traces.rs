//! The golden traces on the model.

mod common;
#[path = "golden/traces.rs"]
mod traces;

use common::model as open;
