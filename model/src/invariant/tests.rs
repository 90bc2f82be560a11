//! Every invariant turned red once: by what the shipped protocol does, by a planted defect, or by a server that does
//! or answers something besides what its script says.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::state::{AttemptType, BlockingReason, TerminalOutcome};
use ff_core::types::{
    AttemptId, AttemptIndex, ExecutionId, LaneId, LeaseFence, LeaseId, Namespace, WorkerId, WorkerInstanceId,
};
use uuid::Uuid;

use super::{Bounds, Checker, Invariant, Violation, diagnose, overdue};
use crate::deviation::{Deviation, Deviations};
use crate::intern::{ExecutionNo, InstanceNo, Interner, LaneNo, WorkerNo};
use crate::message::{Cancel, Claim, Create, Done, Held, IssueGrant, Message, NewLease, Place, Reclaim, Reply, Script};
use crate::number::Score;
use crate::script;
use crate::store::{Execution, IndexKey, Store, Submission};
use crate::time::ServerTime;
use crate::token::Secret;

const START_MS: i64 = 1_700_000_000_000;
const PARTITION: u16 = 1;
const GRANT_MS: u64 = 5_000;
const LEASE_MS: u64 = 30_000;
const BOUNDS: Bounds = Bounds { mark_ms: 1_000, reclaim_ms: 2_000, promote_ms: 3_000 };

/// A server under a checker, with one worker and the execution that the calls are about.
struct World {
    store: Store,
    checker: Checker,
    ids: Interner,
    now: ServerTime,
    work: ExecutionNo,
    lane: LaneNo,
    worker: WorkerNo,
    instance: InstanceNo,
    minted: Cell<u128>,
}

impl World {
    fn shipped() -> Self {
        Self::with(Deviations::default())
    }

    fn with(deviations: Deviations) -> Self {
        let mut ids = Interner::default();
        let mut world = Self {
            store: Store::new(Secret::new("k1", vec![7; 32]), deviations),
            checker: Checker::default(),
            now: ServerTime::from_ms(START_MS),
            work: ExecutionNo(0),
            lane: ids.lane(&LaneId::new("default")),
            worker: ids.worker(&WorkerId::new("w")),
            instance: ids.instance(&WorkerInstanceId::new("w-1")),
            ids,
            minted: Cell::new(0),
        };
        world.create(|_| ());
        world
    }

    fn uuid(&self) -> Uuid {
        self.minted.set(self.minted.get() + 1);
        Uuid::from_u128(self.minted.get())
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// Performs a message, tampers with what it left, and gives the answer with what the checker found broken.
    fn perform(
        &mut self,
        message: &Message,
        tamper: impl FnOnce(&mut Store, ExecutionNo),
        forged: Option<Done>,
    ) -> (Reply, Vec<Invariant>) {
        let answered = script::perform(&mut self.store, self.now, message);
        tamper(&mut self.store, self.work);
        let reply = forged.map_or(answered, Reply::Done);
        let broken = invariants(self.checker.observe(&self.store, self.now, message, &reply));
        assert_eq!(self.checker.standing(), self.checker.recheck(&self.store));
        (reply, broken)
    }

    /// What a script breaks, accepted or not.
    fn step(&mut self, script: Script) -> Vec<Invariant> {
        self.perform(&Message::Script(script), |_, _| (), None).1
    }

    /// What a script breaks that writes this besides.
    fn tampered(&mut self, script: Script, tamper: impl FnOnce(&mut Store, ExecutionNo)) -> Vec<Invariant> {
        self.perform(&Message::Script(script), tamper, None).1
    }

    /// What a script breaks that answers this instead.
    fn forged(&mut self, script: Script, done: Done) -> Vec<Invariant> {
        self.perform(&Message::Script(script), |_, _| (), Some(done)).1
    }

    /// A script that must be accepted and break nothing.
    #[track_caller]
    fn fine(&mut self, script: Script) {
        let (reply, broken) = self.perform(&Message::Script(script), |_, _| (), None);
        assert!(matches!(reply, Reply::Done(_)) && broken.is_empty(), "{reply:?} broke {broken:?}");
    }

    /// Creates an execution and makes it the one that the calls are about.
    fn create(&mut self, edit: impl FnOnce(&mut Create)) {
        let id = ExecutionId::parse(&format!("{{fp:{PARTITION}}}:{}", self.uuid())).expect("an execution id");
        self.work = self.ids.execution(&id);
        let mut args = Create {
            execution: self.work,
            name: self.ids.execution_name(self.work).clone(),
            partition: PARTITION,
            submission: Submission {
                namespace: self.ids.namespace(&Namespace::new("ns")),
                lane: self.lane,
                kind: "kind".into(),
                payload: b"in".to_vec(),
                tags: BTreeMap::new(),
                policy: None,
                required: Vec::new(),
            },
            priority: 0,
            idempotency_key: None,
            delay_until: None,
            deadline_at: None,
        };
        edit(&mut args);
        self.fine(Script::Create(Box::new(args)));
    }

    /// Grants and claims.
    fn claim(&mut self) -> Held {
        self.fine(self.granting(|_| ()));
        self.fine(self.claiming(|_| ()));
        self.held()
    }

    /// Lets the lease run out and marks it.
    fn expire(&mut self) {
        self.wait(LEASE_MS);
        self.fine(Script::MarkExpired(self.place()));
    }

    /// Tries to grant and take a reclaim; gives what taking it breaks.
    fn reclaim(&mut self) -> Vec<Invariant> {
        self.step(self.granting_reclaim());
        self.step(self.reclaiming(|_| ()))
    }

    /// Grants a claim that the server keeps longer than it said, and waits until it should be gone.
    fn outstay_a_grant(&mut self) {
        let issue = self.granting(|_| ());
        self.tampered(issue, |store, no| {
            let mut grant = store.execution(no).and_then(|found| found.grant.clone()).expect("granted");
            grant.expires_at = grant.expires_at.plus_ms(GRANT_MS);
            store.issue_grant(no, grant);
        });
        self.wait(GRANT_MS + 1);
    }

    fn overdue(&self) -> Vec<Invariant> {
        invariants(&overdue(&self.store, PARTITION + 1, &[self.lane], self.now, &BOUNDS))
    }

    fn diagnose(&self) -> Vec<Invariant> {
        invariants(&diagnose(&self.store, self.now, &BOUNDS))
    }

    fn found(&self) -> &Execution {
        self.store.execution(self.work).expect("created")
    }

    fn place(&self) -> Place {
        Place { execution: self.work, partition: PARTITION }
    }

    /// What the current holder's handle says.
    fn held(&self) -> Held {
        Held {
            execution: self.work,
            attempt_index: self.found().core.current_attempt_index.expect("claimed"),
            fence: self.found().lease.as_ref().map(|lease| lease.fence.clone()),
            lane: self.lane,
            instance: self.instance,
        }
    }

    fn grant_args(&self) -> Box<IssueGrant> {
        Box::new(IssueGrant {
            place: self.place(),
            lane: self.lane,
            worker: self.worker,
            instance: self.instance,
            capabilities: BTreeSet::new(),
            ttl_ms: GRANT_MS,
        })
    }

    fn granting(&self, edit: impl FnOnce(&mut IssueGrant)) -> Script {
        let mut args = self.grant_args();
        edit(&mut args);
        Script::IssueClaimGrant(args)
    }

    fn granting_reclaim(&self) -> Script {
        Script::IssueReclaimGrant(self.grant_args())
    }

    fn claiming(&self, edit: impl FnOnce(&mut Claim)) -> Script {
        let mut args = Claim {
            execution: self.work,
            worker: self.worker,
            instance: self.instance,
            lane: self.lane,
            lease_id: LeaseId::from_uuid(self.uuid()),
            attempt_id: AttemptId::from_uuid(self.uuid()),
            lease_ttl_ms: LEASE_MS,
            attempt_timeout_ms: None,
            deadline_at: None,
        };
        edit(&mut args);
        Script::Claim(Box::new(args))
    }

    fn reclaiming(&self, edit: impl FnOnce(&mut Reclaim)) -> Script {
        let mut args = Reclaim {
            execution: self.work,
            worker: self.worker,
            instance: self.instance,
            lane: self.lane,
            lease_id: LeaseId::from_uuid(self.uuid()),
            attempt_id: AttemptId::from_uuid(self.uuid()),
            lease_ttl_ms: LEASE_MS,
            default_cap: 100,
            named_attempt: self.found().core.current_attempt_index.expect("claimed"),
        };
        edit(&mut args);
        Script::Reclaim(Box::new(args))
    }

    /// A cancel by handle, or by an operator where there is none.
    fn cancelling(&self, held: Option<&Held>) -> Script {
        let fence = held.and_then(|held| held.fence.clone());
        Script::Cancel(Box::new(Cancel {
            execution: self.work,
            reason: "test".into(),
            source: if held.is_some() { "worker" } else { "operator_override" }.into(),
            lease_id: fence.as_ref().map(|fence| fence.lease_id.clone()),
            lease_epoch: fence.as_ref().map(|fence| fence.lease_epoch),
            lane: self.lane,
            attempt_index: self.found().core.current_attempt_index.unwrap_or(AttemptIndex::new(0)),
            waitpoint: None,
            instance: self.found().core.current_instance,
            fence,
        }))
    }

    fn revoking(&self, instance: InstanceNo) -> Script {
        Script::Revoke { execution: self.work, instance, expected: None, reason: "test".into() }
    }

    fn replaying(&self) -> Script {
        Script::Replay { execution: self.work, lane: self.lane }
    }

    /// A block that goes into the route's index whatever the reason, as a scheduler's does.
    fn blocking(&self, reason: &str) -> Script {
        Script::Block {
            place: self.place(),
            lane: self.lane,
            index: IndexKey::BlockedRoute(self.lane),
            reason: reason.into(),
            detail: String::new(),
            now: self.now.to_wire(),
        }
    }
}

fn renewing(held: &Held) -> Script {
    Script::Renew { held: held.clone(), ttl_ms: LEASE_MS, grace_ms: 0 }
}

fn completing(held: &Held, payload: &[u8]) -> Script {
    Script::Complete { held: held.clone(), payload: payload.to_vec(), overriding: false }
}

fn delaying(held: &Held) -> Script {
    Script::Delay { held: held.clone(), until: ServerTime::from_ms(START_MS).plus_ms(LEASE_MS).to_wire() }
}

fn failing(held: &Held, max_retries: u32) -> Script {
    let backoff = BackoffStrategy::Fixed { delay_ms: 1_000 };
    let retry = Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() });
    Script::Fail { held: held.clone(), reason: "test".into(), retry }
}

/// A handle that names an attempt that never was.
fn misnamed(held: Held) -> Held {
    Held { attempt_index: AttemptIndex::new(7), ..held }
}

fn fence_of(held: &Held) -> LeaseFence {
    held.fence.clone().expect("a handle of a live lease")
}

fn invariants(violations: &[Violation]) -> Vec<Invariant> {
    violations.iter().map(|violation| violation.invariant).collect()
}

#[track_caller]
fn assert_red(invariant: Invariant, broken: Vec<Invariant>) {
    assert!(broken.contains(&invariant), "{invariant:?} is not among {broken:?}");
}

/// A life whose last step breaks the invariant on one server and not on the other.
#[track_caller]
fn assert_tells(invariant: Invariant, red: Deviations, green: Deviations, life: impl Fn(&mut World) -> Vec<Invariant>) {
    assert_red(invariant, life(&mut World::with(red)));
    let broken = life(&mut World::with(green));
    assert!(!broken.contains(&invariant), "{invariant:?} is among {broken:?}");
}

/// A life that breaks the invariant under a planted defect only.
#[track_caller]
fn assert_red_with(bug: Deviation, invariant: Invariant, life: impl Fn(&mut World) -> Vec<Invariant>) {
    assert_tells(invariant, Deviations::default().with(bug), Deviations::default(), life);
}

/// A life that breaks the invariant as shipped, and no more once repaired.
#[track_caller]
fn assert_red_without(fix: Deviation, invariant: Invariant, life: impl Fn(&mut World) -> Vec<Invariant>) {
    assert_tells(invariant, Deviations::default(), Deviations::default().with(fix), life);
}

#[test]
fn a_normal_life_breaks_nothing() {
    let mut world = World::shipped();
    let held = world.claim();
    world.fine(renewing(&held));
    world.fine(completing(&held, b"out"));
    assert!(world.checker.standing().is_empty());
    assert_eq!(world.checker.standing(), world.checker.recheck(&world.store));
    assert!(world.overdue().is_empty() && world.diagnose().is_empty());
}

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
    assert_red(Invariant::S03, world.step(world.claiming(|args| args.lease_id = used)));
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
    let broken = world.tampered(renewing(&held), |store, no| store.edit(no, |core| core.replay_count += 1));
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
    world.fine(world.replaying());
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
    let broken =
        world.tampered(world.claiming(|_| ()), |store, no| store.edit(no, |core| core.total_attempt_count += 1));
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
    let broken = world.tampered(world.claiming(|_| ()), |store, no| {
        store.write_attempt(no, AttemptIndex::new(0), |attempt| attempt.kind = Some(AttemptType::Retry));
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
    let broken = world.tampered(at_the_cap, |store, no| {
        store.edit(no, |core| core.vector.terminal_outcome = TerminalOutcome::Cancelled);
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
    let broken = world.tampered(world.claiming(|_| ()), |store, no| {
        store.edit(no, |core| core.vector.blocking_reason = BlockingReason::WaitingForBudget);
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
    assert_red(Invariant::S27, world.step(world.claiming(|args| args.lane = other)));
}

#[test]
fn s28_is_red_when_a_lease_is_not_in_lease_expiry() {
    let mut world = World::shipped();
    world.fine(world.granting(|_| ()));
    let broken = world.tampered(world.claiming(|_| ()), |store, no| store.remove(no, IndexKey::LeaseExpiry));
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
    world.tampered(Script::ChangePriority { execution, lane, priority: 5 }, |store, no| {
        store.add(no, key, Score::eligible(0, START_MS));
    });
    assert_red(Invariant::S31, world.perform(&list, |_, _| (), None).1);
}

#[test]
fn s37_is_red_when_a_scanner_changes_a_terminal_outcome() {
    let mut world = World::shipped();
    let held = world.claim();
    world.fine(completing(&held, b"out"));
    let broken = world.tampered(Script::MarkExpired(world.place()), |store, no| {
        store.edit(no, |core| core.vector.terminal_outcome = TerminalOutcome::Failed);
    });
    assert_red(Invariant::S37, broken);
}

#[test]
fn s39_is_red_when_a_completion_leaves_the_lease_id() {
    let mut world = World::shipped();
    let held = world.claim();
    let broken = world.tampered(completing(&held, b"out"), |store, no| {
        store.edit(no, |core| core.current_lease_id = Some(fence_of(&held).lease_id));
    });
    assert_red(Invariant::S39, broken);
}

#[test]
fn s40_is_red_when_a_replay_completes_without_payload_and_keeps_the_old_result() {
    let mut world = World::shipped();
    let first = world.claim();
    world.fine(completing(&first, b"out"));
    world.fine(world.replaying());
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
fn l03_is_red_when_an_expired_lease_stays_unmarked() {
    let mut world = World::shipped();
    world.claim();
    world.wait(LEASE_MS);
    assert!(world.overdue().is_empty());
    world.wait(BOUNDS.mark_ms);
    assert_eq!(world.overdue(), [Invariant::L03]);
}

#[test]
fn l04_is_red_when_a_marked_lease_is_not_reclaimed() {
    let mut world = World::shipped();
    world.claim();
    world.expire();
    world.wait(BOUNDS.reclaim_ms);
    assert!(world.overdue().is_empty());
    world.wait(1);
    assert_eq!(world.overdue(), [Invariant::L04]);
}

#[test]
fn l04_is_red_when_a_revoked_lease_is_not_reclaimed() {
    let mut world = World::shipped();
    world.claim();
    world.fine(world.revoking(world.instance));
    world.wait(BOUNDS.reclaim_ms);
    assert_eq!(world.diagnose(), [Invariant::L09]);
    world.wait(1);
    assert_eq!(world.diagnose(), [Invariant::L04, Invariant::L09]);
}

#[test]
fn l05_is_red_when_due_work_is_not_promoted() {
    let mut world = World::shipped();
    let due = world.now.plus_ms(10_000);
    world.create(|args| args.delay_until = Some(due.to_wire()));
    world.wait(10_000);
    assert!(world.overdue().is_empty());
    world.wait(BOUNDS.promote_ms);
    assert_eq!(world.overdue(), [Invariant::L05]);
}

#[test]
fn l09_is_red_while_an_execution_is_not_terminal() {
    let mut world = World::shipped();
    let held = world.claim();
    assert_eq!(world.diagnose(), [Invariant::L09]);
    world.fine(completing(&held, b"out"));
    assert!(world.diagnose().is_empty());
}

#[test]
fn l10_is_red_when_no_scanner_lifts_the_block() {
    let mut world = World::shipped();
    assert_eq!(world.diagnose(), [Invariant::L09]);
    world.step(world.blocking("paused_by_policy"));
    assert_red(Invariant::L10, world.diagnose());
}
