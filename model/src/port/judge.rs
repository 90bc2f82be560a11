//! A judge beside a server of one's own: shown each performed message, it keeps which promises were broken and by what.

use std::collections::BTreeSet;

use crate::invariant::{Checker, Violation};
use crate::message::{Message, Reply};
use crate::store::Store;
use crate::time::ServerTime;

/// A promise that a message broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The message's name.
    pub script: &'static str,
    /// Its answer's label.
    pub result: &'static str,
    /// The promise.
    pub violation: Violation,
}

/// Every check of the catalogue over the messages of one server.
#[derive(Debug, Default)]
pub struct Judge {
    checker: Checker,
    broken: Vec<Broken>,
    ever: BTreeSet<String>,
}

impl Judge {
    /// Looks at one performed message.
    pub fn observe(&mut self, store: &Store, now: ServerTime, message: &Message, reply: &Reply) {
        let (script, result) = (message.name(), reply.label());
        for violation in self.checker.observe(store, now, message, reply) {
            self.ever.insert(format!("{} {} {script}={result}", violation.invariant.id(), violation.case));
            self.broken.push(Broken { script, result, violation: violation.clone() });
        }
    }

    /// What was broken since last asked.
    pub fn take(&mut self) -> Vec<Broken> {
        std::mem::take(&mut self.broken)
    }

    /// What was ever broken: invariant, case, and the script with its result.
    pub fn ever(&self) -> &BTreeSet<String> {
        &self.ever
    }
}
