//! Sequences in which the model once answered otherwise than the server: kept, so that it never does again.

use claimlab::live::sequence::Step::*;
use claimlab::live::sequence::{AdmissionStep, Goal::*, Who, assert_same};

#[test]
fn a_resume_delay_names_the_signal() {
    assert_same(&[
        Approach { execution: 0, goal: Suspended },
        Signal { waitpoint: 0, execution: 0, name: 0, token: 0, key: 0, delay: 3, cap: 0 },
    ]);
}

#[test]
fn an_operators_resume_clears_what_parked_the_attempt() {
    assert_same(&[
        Approach { execution: 0, goal: Interrupted },
        Admission(AdmissionStep::GrantAndClaim { execution: 0, lane: 0, ttl: 0 }),
    ]);
}

#[test]
fn a_lease_record_told_to_expire_now_is_gone_at_once() {
    assert_same(&[
        Approach { execution: 0, goal: Running },
        Admission(AdmissionStep::RenewByFence { handle: 0, fence: 0, ttl: 5, grace: 1 }),
    ]);
}

#[test]
fn a_listing_of_expired_leases_fails_as_soon_as_it_has_an_entry() {
    assert_same(&[Approach { execution: 0, goal: Expired }, ListExpired { as_of: 0, limit: 0 }]);
}

#[test]
fn a_grant_that_expired_is_gone_for_good_once_it_was_looked_at() {
    assert_same(&[
        Approach { execution: 1, goal: Granted },
        ToBoundary { which: 0, offset_ms: 1 },
        Promote { execution: 1, lane: 0, now: 0, partition: 0 },
        Back { ms: 1 },
        Claim { execution: 1, lane: 0, who: Who { worker: 0, instance: 0 }, ttl: 0, timeout: 0, deadline: 0 },
    ]);
}
