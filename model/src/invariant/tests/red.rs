//! One test for each invariant that makes it red, named for what goes wrong.

use super::*;

#[test]
fn s01_is_red_when_a_live_lease_is_reclaimed() {
    assert_red_with(Deviation::BugReclaimLiveLease, Invariant::S01, |world| {
        world.claim();
        world.reclaim()
    });
}

#[test]
fn s02_is_red_when_a_reclaim_keeps_the_epoch() {
    assert_red_with(Deviation::BugReclaimKeepsEpoch, Invariant::S02, |world| {
        world.claim();
        world.expire();
        world.reclaim()
    });
}

#[test]
fn s03_is_red_when_a_lease_id_is_used_for_two_executions() {
    let mut world = World::shipped();
    let used = fence_of(&world.claim()).lease_id;
    world.create(|_| ());
    world.fine(world.granting(|_| ()));
    assert_red(Invariant::S03, world.step(world.claiming(|args| args.taker.lease_id = used)));
}

#[test]
fn s04_is_red_when_an_expired_lease_completes() {
    assert_red_with(Deviation::BugAcceptExpiredLease, Invariant::S04, |world| {
        let held = world.claim();
        world.wait(LEASE_MS);
        world.step(completing(&held, b"out"))
    });
}

#[test]
fn s04_is_red_when_a_handle_whose_lease_expired_cancels() {
    assert_red_without(Deviation::FixFenceHandleCancel, Invariant::S04, |world| {
        let held = world.claim();
        world.wait(LEASE_MS);
        world.step(world.cancelling(Some(&held)))
    });
}

#[test]
fn s05_is_red_when_a_renewal_revives_an_expired_lease() {
    assert_red_with(Deviation::BugRenewExpiredLease, Invariant::S05, |world| {
        let held = world.claim();
        world.wait(LEASE_MS);
        world.step(renewing(&held))
    });
}

#[test]
fn s06_is_red_when_a_renewal_changes_more_than_the_lease() {
    let mut world = World::shipped();
    let held = world.claim();
    let broken = world.tampered(renewing(&held), |store, number| store.edit(number, |core| core.replay_count += 1));
    assert_red(Invariant::S06, broken);
}

#[test]
fn s07_is_red_when_lease_current_is_missing() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    assert_red(Invariant::S07, world.tampered(world.claiming(|_| ()), Store::delete_lease));
}

#[test]
fn s08_is_red_when_a_revoked_lease_completes() {
    assert_red_with(Deviation::BugIgnoreFence, Invariant::S08, |world| {
        let revoked = world.claim();
        world.fine(world.revoking(world.instance));
        world.reclaim();
        world.step(completing(&revoked, b"out"))
    });
}

#[test]
fn s09_is_red_when_a_second_grant_is_answered_beside_a_live_one() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let granted = Done::Granted(world.now.plus_ms(GRANT_MS));
    assert_red(Invariant::S09, world.forged(world.granting(|_| ()), granted));
}

#[test]
fn s10_is_red_when_a_grant_serves_two_claims() {
    assert_red_with(Deviation::BugGrantSurvivesClaim, Invariant::S10, |world| {
        world.fine(world.granting(|_| ()));
        world.step(world.claiming(|_| ()));
        world.step(completing(&world.held(), b"out"));
        world.step(world.replaying());
        world.step(world.claiming(|_| ()))
    });
}

#[test]
fn s11_is_red_when_a_grant_is_consumed_after_its_expiry() {
    let mut world = World::shipped();
    world.outstay_a_grant();
    assert_red(Invariant::S11, world.step(world.claiming(|_| ())));
}

#[test]
fn s12_is_red_when_another_worker_consumes_the_grant() {
    assert_red_with(Deviation::BugClaimIgnoresGrantWorker, Invariant::S12, |world| {
        let other = world.ids.worker(&WorkerId::new("other"));
        world.fine(world.granting(|args| args.worker = other));
        world.step(world.claiming(|_| ()))
    });
}

#[test]
fn s13_is_red_when_a_worker_without_the_capability_is_granted() {
    let required_capabilities = BTreeSet::from(["gpu".to_owned()]);
    let routing = RoutingRequirements { required_capabilities, ..RoutingRequirements::default() };
    let policy = ExecutionPolicy { routing_requirements: Some(routing), ..ExecutionPolicy::default() };
    let mut world = World::shipped();
    world.create(|args| args.submission.policy = Some(policy));
    let granted = Done::Granted(world.now.plus_ms(GRANT_MS));
    assert_red(Invariant::S13, world.forged(world.granting(|_| ()), granted));
}

#[test]
fn s15_is_red_when_granted_work_is_blocked() {
    assert_red_without(Deviation::FixBlockRespectsGrant, Invariant::S15, |world| {
        world.fine(world.granting(|_| ()));
        world.step(world.blocking("waiting_for_capable_worker"))
    });
}

#[test]
fn s16_is_red_when_a_claim_consumes_a_reclaim_grant_that_outlived_a_cancel() {
    let mut world = World::shipped();
    world.claim();
    world.expire();
    world.fine(world.granting_reclaim());
    world.fine(world.cancelling(None));
    world.accepted(world.replaying());
    assert_red(Invariant::S16, world.step(world.claiming(|_| ())));
}

#[test]
fn s17_is_red_when_a_completion_names_an_attempt_that_never_was() {
    let mut world = World::shipped();
    let held = misnamed(world.claim());
    assert_red(Invariant::S17, world.step(completing(&held, b"out")));
}

#[test]
fn s18_is_red_when_a_claim_counts_two_attempts() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let broken = world
        .tampered(world.claiming(|_| ()), |store, number| store.edit(number, |core| core.total_attempt_count += 1));
    assert_red(Invariant::S18, broken);
}

#[test]
fn s19_is_red_when_a_reclaim_ends_another_attempt_than_the_old_one() {
    let mut world = World::shipped();
    world.claim();
    world.expire();
    world.fine(world.granting_reclaim());
    let elsewhere = world.reclaiming(|args| args.named_attempt = AttemptIndex::new(7));
    assert_red(Invariant::S19, world.step(elsewhere));
}

#[test]
fn s20_is_red_when_a_first_attempt_is_recorded_as_a_retry() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let broken = world.tampered(world.claiming(|_| ()), |store, number| {
        store.write_attempt(number, AttemptIndex::new(0), |attempt| attempt.kind = Some(AttemptType::Retry));
    });
    assert_red(Invariant::S20, broken);
}

#[test]
fn s21_is_red_when_a_retry_is_scheduled_beyond_the_policy() {
    let mut world = World::shipped();
    let held = world.claim();
    assert_red(Invariant::S21, world.forged(failing(&held, 0), Done::RetryScheduled(Score::default())));
}

#[test]
fn s22_is_red_when_a_reclaim_at_the_cap_is_answered_with_a_lease() {
    let mut world = World::shipped();
    let (fence, attempt_index) = (fence_of(&world.claim()), AttemptIndex::new(1));
    world.expire();
    world.fine(world.granting_reclaim());
    let lease = NewLease { fence, expires_at: world.now.plus_ms(LEASE_MS), attempt_index, attempt_type: None };
    let at_the_cap = world.reclaiming(|args| args.default_cap = 0);
    assert_red(Invariant::S22, world.forged(at_the_cap, Done::Leased(Box::new(lease))));
}

#[test]
fn s22_is_red_when_the_cap_does_not_fail_the_execution() {
    let mut world = World::shipped();
    world.claim();
    world.expire();
    let at_the_cap = world.reclaiming(|args| args.default_cap = 0);
    let broken = world.tampered(at_the_cap, |store, number| {
        store.edit(number, |core| core.vector.terminal_outcome = TerminalOutcome::Cancelled);
    });
    assert_red(Invariant::S22, broken);
}

#[test]
fn s23_is_red_when_an_operator_cancels_delayed_work() {
    let mut world = World::shipped();
    let held = world.claim();
    world.fine(delaying(&held));
    assert_red(Invariant::S23, world.step(world.cancelling(None)));
}

#[test]
fn s24_is_red_when_a_delay_leaves_the_attempt_started() {
    let mut world = World::shipped();
    let held = misnamed(world.claim());
    assert_red(Invariant::S24, world.step(delaying(&held)));
}

#[test]
fn s25_is_red_when_leased_work_waits_for_a_budget() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let broken = world.tampered(world.claiming(|_| ()), |store, number| {
        store.edit(number, |core| core.vector.blocking_reason = BlockingReason::WaitingForBudget);
    });
    assert_red(Invariant::S25, broken);
}

#[test]
fn s26_is_red_when_a_route_block_is_stored_as_rate_limited() {
    let mut world = World::shipped();
    assert_red(Invariant::S26, world.step(world.blocking("waiting_for_capable_worker")));
}

#[test]
fn s27_is_red_when_a_claim_names_another_lane() {
    let mut world = World::shipped();
    let other = world.ids.lane(&LaneId::new("other"));
    world.fine(world.granting(|_| ()));
    assert_red(Invariant::S27, world.step(world.claiming(|args| args.taker.lane = other)));
}

#[test]
fn s28_is_red_when_a_lease_is_not_in_lease_expiry() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let broken = world.tampered(world.claiming(|_| ()), |store, number| store.remove(number, IndexKey::LeaseExpiry));
    assert_red(Invariant::S28, broken);
}

#[test]
fn s29_is_red_when_a_revocation_names_another_instance() {
    let mut world = World::shipped();
    let other = world.ids.instance(&WorkerInstanceId::new("w-2"));
    world.claim();
    assert_red(Invariant::S29, world.step(world.revoking(other)));
}

#[test]
fn s30_is_red_when_a_reclaim_keeps_the_old_attempts_timeout() {
    assert_red_without(Deviation::FixReclaimClearsAttemptTimeout, Invariant::S30, |world| {
        world.fine(world.granting(|_| ()));
        world.fine(world.claiming(|args| args.attempt_timeout_ms = Some(2 * LEASE_MS)));
        world.expire();
        world.reclaim()
    });
}

#[test]
fn s31_is_red_when_a_new_priority_does_not_move_the_execution() {
    let mut world = World::shipped();
    world.create(|_| ());
    let (execution, lane, key) = (world.work, world.lane, IndexKey::Eligible(world.lane));
    let list = Message::Range { partition: PARTITION, key, up_to_ms: None, limit: 10 };
    world.tampered(Script::ChangePriority { execution, lane, priority: 5 }, |store, number| {
        store.add(number, key, Score::eligible(0, START_MS));
    });
    assert_red(Invariant::S31, world.perform(&list, |_, _| (), None).1);
}

#[test]
fn s37_is_red_when_a_scanner_changes_a_terminal_outcome() {
    let mut world = World::shipped();
    let held = world.claim();
    world.fine(completing(&held, b"out"));
    let broken = world.tampered(Script::MarkExpired(world.place()), |store, number| {
        store.edit(number, |core| core.vector.terminal_outcome = TerminalOutcome::Failed);
    });
    assert_red(Invariant::S37, broken);
}

#[test]
fn s39_is_red_when_a_completion_leaves_the_lease_id() {
    let mut world = World::shipped();
    let held = world.claim();
    let broken = world.tampered(completing(&held, b"out"), |store, number| {
        store.edit(number, |core| core.current_lease_id = Some(fence_of(&held).lease_id));
    });
    assert_red(Invariant::S39, broken);
}

#[test]
fn s40_is_red_when_a_replay_completes_without_payload_and_keeps_the_old_result() {
    let mut world = World::shipped();
    let first = world.claim();
    world.fine(completing(&first, b"out"));
    world.accepted(world.replaying());
    let second = world.claim();
    assert_red(Invariant::S40, world.step(completing(&second, b"")));
}

#[test]
fn l02_is_red_when_a_grant_excludes_others_after_its_expiry() {
    let mut world = World::shipped();
    world.outstay_a_grant();
    assert_red(Invariant::L02, world.step(world.granting(|_| ())));
}

#[test]
fn l03_is_red_when_scanner_passes_go_by_an_expired_lease() {
    let mut world = World::shipped();
    world.claim();
    world.wait(LEASE_MS - 1);
    assert!(world.passed_over(3).is_empty());
    world.wait(1);
    assert!(world.passed_over(2).is_empty());
    assert_eq!(world.passed_over(3), [Invariant::L03]);
    assert!(world.passed_over(4).is_empty(), "it is told once");
}

#[test]
fn l04_is_red_when_reclaimer_passes_go_by_a_marked_or_revoked_lease() {
    let mut marked = World::shipped();
    marked.claim();
    marked.expire();
    assert!(marked.passed_over(29).is_empty());
    assert_eq!(marked.passed_over(30), [Invariant::L04]);
    let mut revoked = World::shipped();
    revoked.claim();
    assert!(revoked.passed_over(30).is_empty());
    revoked.fine(revoked.revoking(revoked.instance));
    assert!(revoked.passed_over(29).is_empty());
    assert_eq!(revoked.passed_over(30), [Invariant::L04]);
}

#[test]
fn l05_is_red_when_promoter_passes_go_by_due_work() {
    let mut world = World::shipped();
    let due = world.now.plus_ms(10_000);
    world.create(|args| args.delay_until = Some(due.to_wire()));
    world.wait(9_999);
    assert!(world.passed_over(3).is_empty());
    world.wait(1);
    assert!(world.passed_over(2).is_empty());
    assert_eq!(world.passed_over(3), [Invariant::L05]);
}

#[test]
fn l09_is_red_when_eligible_work_is_blocked_again_and_again() {
    let mut world = World::shipped();
    assert!(world.unfinished(63, 7).is_empty(), "a worker can still claim it");
    assert_eq!(world.unfinished(0, 8), [Invariant::L09]);
}

#[test]
fn l09_and_l10_are_red_when_no_index_holds_blocked_work() {
    let mut world = World::shipped();
    assert!(world.unfinished(0, 0).is_empty(), "a worker can still claim it");
    // Blocking by lane state has an index of its own, which the caller did not name.
    world.step(world.blocking("paused_by_policy"));
    let broken = world.unfinished(0, 0);
    assert!(broken.contains(&Invariant::L09) && broken.contains(&Invariant::L10), "{broken:?}");
}

#[test]
fn work_that_waits_in_another_lanes_index_is_not_lost() {
    let mut world = World::shipped();
    let lane = world.ids.lane(&LaneId::new("other"));
    let held = HandleFields { lane, ..world.claim() };
    world.accepted(delaying(&held));
    assert!(world.unfinished(0, 0).is_empty(), "the other lane's promoter finds it");
}

#[test]
fn s14_is_red_when_a_worker_claims_without_a_permit() {
    let mut world = World::shipped();
    assert!(world.worker(WorkerFact::Claimed { calls: 9, saturated: 0 }).is_empty());
    assert_eq!(world.worker(WorkerFact::Claimed { calls: 9, saturated: 1 }), [Invariant::S14]);
}

#[test]
fn w01_is_red_when_a_refused_renewal_leaves_the_lease_healthy() {
    let mut world = World::shipped();
    let execution = world.work;
    assert!(world.worker(WorkerFact::RenewalRefused { execution, is_healthy: false }).is_empty());
    assert_eq!(world.worker(WorkerFact::RenewalRefused { execution, is_healthy: true }), [Invariant::W01]);
}

#[test]
fn w02_is_red_when_a_worker_with_room_gets_no_permit() {
    let mut world = World::shipped();
    assert!(world.worker(WorkerFact::PermitAsked { refused: false }).is_empty());
    assert_eq!(world.worker(WorkerFact::PermitAsked { refused: true }), [Invariant::W02]);
}

#[test]
fn w03_is_red_when_something_of_the_last_task_goes_on() {
    let mut world = World::shipped();
    assert!(world.worker(WorkerFact::LastTaskEnded { left: 0 }).is_empty());
    assert_eq!(world.worker(WorkerFact::LastTaskEnded { left: 1 }), [Invariant::W03]);
}

#[test]
fn w04_is_red_when_idle_polls_never_come_by_a_partition() {
    let mut world = World::shipped();
    assert!(world.worker(WorkerFact::FoundNothing { polls: 9, missed: 0, all: 4 }).is_empty());
    assert_eq!(world.worker(WorkerFact::FoundNothing { polls: 9, missed: 1, all: 4 }), [Invariant::W04]);
}

#[test]
fn s04_is_red_when_a_stale_handle_waits_for_children() {
    let mut world = World::with(Deviations::default().with(Deviation::BugIgnoreFence));
    let stale = world.claim();
    world.expire();
    world.fine(world.granting_reclaim());
    world.fine(world.reclaiming(|_| ()));
    assert_red(Invariant::S04, world.step(Script::WaitChildren(stale)));
}

#[test]
fn every_invariant_has_a_test_that_makes_it_red() {
    let files = [include_str!("red.rs"), include_str!("red_around.rs"), include_str!("red_upkeep.rs")];
    let tests: Vec<&str> = files.iter().flat_map(|file| file.lines()).filter(|line| line.starts_with("fn ")).collect();
    for invariant in Invariant::ALL {
        let id = invariant.id().to_lowercase();
        let named = tests.iter().any(|test| test.contains(&format!("{id}_is")) || test.contains(&format!("{id}_and")));
        let shared = tests.iter().any(|test| test.contains(&format!("_{id}_are")));
        assert!(named || shared, "no test makes {} red", invariant.id());
    }
}

#[test]
fn every_invariant_of_the_catalogue_has_one_check() {
    let mut promised: Vec<Invariant> = catalogue_checks().iter().flat_map(|check| check.invariants()).collect();
    promised.sort();
    assert_eq!(promised, Invariant::ALL);
}

/// Somebody's own check: an execution is never replayed more than once.
#[derive(Default)]
struct OneReplay {
    replayed: BTreeSet<ExecutionNo>,
}

static ONE_REPLAY: Promise = Promise::new("X01", Scope::History, &["again"], "an execution is replayed once at most");

impl Check for OneReplay {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::of(&ONE_REPLAY)]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        if let Seen::Step(step, _) = seen
            && matches!((step.script, step.reply), (Script::Replay { .. }, Reply::Done(_)))
        {
            let is_first = self.replayed.insert(step.execution);
            notes.look(Invariant::of(&ONE_REPLAY), Look::at(is_first, "again"), || "replayed again".to_owned());
        }
    }
}

#[test]
fn a_check_of_ones_own_stands_beside_the_catalogue() {
    let mut world = World::shipped();
    world.checker = Checker::with(vec![Box::new(OneReplay::default())]);
    for expected in [vec![], vec![Invariant::of(&ONE_REPLAY)]] {
        let held = world.claim();
        world.fine(completing(&held, b""));
        assert_eq!(world.step(world.replaying()), expected);
    }
    let looks = world.checker.checked().find(|(invariant, _)| *invariant == Invariant::of(&ONE_REPLAY));
    assert_eq!(looks, Some((Invariant::of(&ONE_REPLAY), 2)));
}

#[test]
#[should_panic(expected = "two checks promise X01")]
fn two_checks_with_one_id_are_refused() {
    let _ = Checker::with(vec![Box::new(OneReplay::default()), Box::new(OneReplay::default())]);
}
