//! The register: beside each finding's file, a folder of its name with the smallest plan that shows it.
//!
//! In goes a folder of findings; out come their plans, and which of them still show what they are of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Confirmation, Finding, Findings};
use crate::input::InputError;
use crate::outcome::{Outcome, Violation};
use crate::plan::{self, Plan};
use crate::run;
use crate::world::Options;

/// The file of a finding's plan.
pub const PLAN: &str = "plan.json";

/// A finding with its plan.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The finding.
    pub finding: Finding,
    /// Where its plan is.
    pub file: PathBuf,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What a real server said of it, where one was asked.
    pub confirmed: Option<Confirmation>,
}

impl Registered {
    /// What the plan shows of the finding.
    pub fn shown(&self) -> Option<Violation> {
        self.violation(&run::run(&self.plan, Options::default())).cloned()
    }

    /// What of an outcome is this finding.
    pub fn violation<'o>(&self, outcome: &'o Outcome) -> Option<&'o Violation> {
        outcome.violations.iter().find(|violation| self.finding.knows(&violation.cause()))
    }
}

/// The findings of a folder that have a plan, in the order of their ids.
///
/// # Errors
/// What keeps a plan from being read.
pub fn registered(folder: &Path, findings: &Findings) -> Result<Vec<Registered>, InputError> {
    let mut registered = Vec::new();
    for finding in findings.values() {
        let own = folder.join(&finding.id);
        let file = own.join(PLAN);
        if file.is_file() {
            let (plan, confirmed) = (Arc::new(plan::read(&file)?), Confirmation::read(&own)?);
            registered.push(Registered { finding: finding.clone(), file, plan, confirmed });
        }
    }
    Ok(registered)
}
