//! One test for each invariant about the engine's housekeeping: what retention deletes, and the summaries of flows.

use super::*;
use crate::message::{Answered, Command, Records, Upkeep};
use crate::store::FlowSummary;

/// How long the trimmer of these tests keeps what has ended.
const KEPT_MS: u64 = 1_000;

impl World {
    /// What a command of the engine's housekeeping breaks.
    fn keep(&mut self, command: Upkeep) -> Vec<Invariant> {
        self.perform(&Message::Upkeep(command), |_, _| (), None).1
    }

    fn deleting_records(&self) -> Upkeep {
        let records = Records { attempts: self.found().core.total_attempt_count, ..Records::default() };
        Upkeep::DeleteRecords { place: self.place(), records, kept_ms: KEPT_MS }
    }

    fn deleting_core(&self) -> Upkeep {
        Upkeep::DeleteCore { place: self.place(), kept_ms: KEPT_MS }
    }

    /// Claims, completes and waits for so long.
    fn end_and_wait(&mut self, ms: u64) {
        let held = self.claim();
        self.fine(completing(&held, b"out"));
        self.wait(ms);
    }
}

#[test]
fn what_has_ended_and_was_kept_for_its_time_is_deleted_without_a_trace() {
    let mut world = World::shipped();
    world.end_and_wait(KEPT_MS);
    let place = world.place();
    for command in
        [world.deleting_records(), world.deleting_core(), Upkeep::DelistEnded(place, world.lane), Upkeep::Forget(place)]
    {
        assert_eq!(world.keep(command), []);
    }
    assert!(world.store.left_of(world.work).is_none(), "nothing is left");
    assert_eq!(world.checker.standing(), world.checker.recheck(&world.store));
}

#[test]
fn an_execution_is_listed_among_all_until_it_is_forgotten_whatever_has_become_of_its_core() {
    let mut world = World::shipped();
    world.end_and_wait(KEPT_MS);
    let work = world.work;
    let listed = |world: &mut World| {
        let (reply, _) = world.perform(&Message::Command(Command::AllExecutions(PARTITION)), |_, _| (), None);
        matches!(reply, Reply::Answered(Answered::Executions(members)) if members.contains(&work))
    };
    world.keep(world.deleting_core());
    assert!(listed(&mut world), "its core alone is gone");
    world.keep(Upkeep::Forget(world.place()));
    assert!(!listed(&mut world));
}

#[test]
fn s53_is_red_when_an_end_is_deleted_before_its_time() {
    let mut world = World::shipped();
    world.end_and_wait(KEPT_MS - 1);
    assert_red(Invariant::S53, world.keep(world.deleting_records()));
}

#[test]
fn s53_is_red_when_work_that_runs_is_deleted() {
    let mut world = World::shipped();
    world.claim();
    assert_red(Invariant::S53, world.keep(world.deleting_core()));
}

#[test]
fn s53_is_red_when_half_deleted_work_is_replayed() {
    let mut world = World::shipped();
    world.end_and_wait(KEPT_MS);
    assert_eq!(world.keep(world.deleting_records()), []);
    assert_red(Invariant::S53, world.step(world.replaying()));
}

#[test]
fn s53_is_red_when_an_index_still_lists_what_was_deleted() {
    let mut world = World::shipped();
    world.end_and_wait(KEPT_MS);
    world.keep(world.deleting_core());
    assert_red(Invariant::S53, world.keep(Upkeep::Forget(world.place())));
}

#[test]
fn l10_is_red_when_an_upstream_was_deleted_that_somebody_waits_for() {
    let mut world = World::shipped();
    let (first, second, ..) = world.chain();
    world.work = first;
    world.end_and_wait(KEPT_MS);
    assert!(!world.unfinished(0, 0).contains(&Invariant::L10));
    world.keep(world.deleting_core());
    world.work = second;
    assert_red(Invariant::L10, world.unfinished(0, 0));
}

#[test]
fn l15_is_red_when_projector_passes_leave_a_summary_that_the_members_do_not_bear_out() {
    let mut world = World::shipped();
    let (.., flow) = world.chain();
    let member = FlowSummary::of(2, ["waiting", "waiting_children"].into_iter(), world.now.to_wire());
    world.keep(Upkeep::WriteSummary(flow.clone(), Box::new(member)));
    assert!(!world.passed_over(100).contains(&Invariant::L15));
    let untrue = FlowSummary::of(2, ["completed", "completed"].into_iter(), world.now.to_wire());
    world.keep(Upkeep::WriteSummary(flow, Box::new(untrue)));
    assert!(!world.passed_over(1).contains(&Invariant::L15));
    assert_red(Invariant::L15, world.passed_over(3));
}
