//! What led to a violation, with ids and times abstracted.
//!
//! A signature is the invariant, then who did what with which outcome in the execution's last
//! mutations. Two violations with one signature have one cause; another cause under the same
//! invariant has another signature.

use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::Invariant;

/// How many mutations a signature names.
const DEPTH: usize = 3;

type Mutation = (&'static str, &'static str, &'static str);

/// The last mutations of every execution.
#[derive(Debug, Default)]
pub struct Signatures(Vec<[Option<Mutation>; DEPTH]>);

impl Signatures {
    /// Notes that a party of a role changed an execution by a script with an outcome. Repetitions count once.
    pub fn note(&mut self, execution: ExecutionNo, role: &'static str, script: &'static str, outcome: &'static str) {
        if self.0.len() <= execution.index() {
            self.0.resize(execution.index() + 1, [None; DEPTH]);
        }
        let last = &mut self.0[execution.index()];
        let mutation = Some((role, script, outcome));
        if last[DEPTH - 1] != mutation {
            last.rotate_left(1);
            last[DEPTH - 1] = mutation;
        }
    }

    /// The signature of a violation on an execution now.
    pub fn of(&self, invariant: Invariant, execution: ExecutionNo) -> String {
        let mut text = invariant.id().to_owned();
        let last = self.0.get(execution.index()).into_iter().flatten().flatten();
        for (position, (role, script, outcome)) in last.enumerate() {
            text.push_str(if position == 0 { " " } else { " > " });
            text.push_str(&format!("{role}:{script}={outcome}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use claimlab_model::intern::Interner;
    use ff_core::types::ExecutionId;

    use super::*;

    #[test]
    fn a_signature_names_the_last_three_distinct_mutations() {
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let no = Interner::default().execution(&id);
        let mut signatures = Signatures::default();
        assert_eq!(signatures.of(Invariant::S04, no), "S04");
        signatures.note(no, "submitter", "create_execution", "created");
        signatures.note(no, "worker", "claim_execution", "leased");
        for _ in 0..5 {
            signatures.note(no, "worker", "renew_lease", "renewed");
        }
        signatures.note(no, "worker", "cancel_execution", "cancelled");
        assert_eq!(
            signatures.of(Invariant::S04, no),
            "S04 worker:claim_execution=leased > worker:renew_lease=renewed > worker:cancel_execution=cancelled"
        );
    }
}
