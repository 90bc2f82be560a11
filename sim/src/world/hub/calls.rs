//! Calls of the trait at the meeting place: how each ended, which a history is told, and whether a claim had a permit.

use claimlab_model::backend::Method;

use super::{Hub, PartyNo, lock};
use crate::outcome::MethodCounts;
use crate::printed;
use crate::world::outgoing::Outgoing;

impl Hub {
    /// Granting and claiming calls of parties with permits, and those of them that were made without a free one.
    pub fn permitted_calls(&self) -> (u64, u64) {
        let inner = lock(&self.inner);
        (inner.permitted_calls, inner.saturated_calls)
    }

    /// How often each method ended how, by [`Method::ALL`].
    pub fn method_counts(&self) -> MethodCounts {
        lock(&self.inner).counts.clone()
    }

    pub(in crate::world) fn method_started(
        &self,
        party: PartyNo,
        method: Method,
        arguments: &dyn Fn() -> String,
    ) -> u64 {
        let mut inner = lock(&self.inner);
        inner.parties[party].calls += 1;
        let call = inner.parties[party].calls;
        let claims = matches!(
            method,
            Method::IssueClaimGrant
                | Method::ClaimExecution
                | Method::ClaimResumedExecution
                | Method::ClaimFromResumeGrant
        );
        if let (true, Some(capacity)) = (claims, inner.parties[party].capacity) {
            inner.permitted_calls += 1;
            inner.saturated_calls += u64::from(inner.parties[party].running >= capacity);
        }
        if self.recording {
            let arguments = printed::shown(&arguments());
            inner.out.push(Outgoing::MethodStarted { call, method, arguments });
        }
        call
    }

    pub(in crate::world) fn method_ended(
        &self,
        call: u64,
        method: Method,
        outcome: &'static str,
        answer: &dyn Fn() -> String,
    ) {
        let mut inner = lock(&self.inner);
        let counts = &mut inner.counts[method as usize];
        match counts.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
        if self.recording {
            let answer = printed::shown(&answer());
            inner.out.push(Outgoing::MethodEnded { call, method, outcome, answer });
        }
    }

    /// What the current task sends from now on belongs to this call; gives the call that it belonged to.
    pub(in crate::world) fn within_call(&self, call: Option<u64>) -> Option<u64> {
        let mut inner = lock(&self.inner);
        inner.out.push(Outgoing::Within(call));
        std::mem::replace(&mut inner.call, call)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::hub;
    use super::*;
    use crate::clock::PartyClock;
    use crate::plan::PartyKey;

    #[test]
    fn a_claiming_call_of_a_worker_that_runs_all_it_may_is_noticed() {
        let id = ff_core::types::ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let hub = hub();
        let worker = hub.add_party(PartyKey(PartyKey::WORKERS), PartyClock::default(), Some(1));
        let reclaimer = hub.add_party(PartyKey(PartyKey::RECLAIMERS), PartyClock::default(), None);
        let execution = hub.ids().execution(&id);
        let epoch = ff_core::types::LeaseEpoch(1);
        let none = String::new;
        hub.run_started(reclaimer, execution, epoch);
        hub.method_started(reclaimer, Method::IssueClaimGrant, &none);
        hub.method_started(worker, Method::IssueClaimGrant, &none);
        assert_eq!(hub.permitted_calls().1, 0);
        let run = hub.run_started(worker, execution, epoch);
        hub.method_started(worker, Method::Complete, &none);
        assert_eq!(hub.permitted_calls().1, 0, "ending a task needs no free permit");
        hub.method_started(worker, Method::ClaimExecution, &none);
        assert_eq!(hub.permitted_calls().1, 1);
        hub.run_ended(worker, run);
        hub.method_started(worker, Method::ClaimExecution, &none);
        assert_eq!(hub.permitted_calls().1, 1);
    }
}
