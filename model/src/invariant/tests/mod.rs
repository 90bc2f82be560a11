//! Every invariant turned red once: by what the shipped protocol does, by a planted defect, or by a server that does
//! or answers something besides what its script says.
mod red;
mod red_around;
mod red_upkeep;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::state::{AttemptType, BlockingReason, TerminalOutcome};
use ff_core::types::{
    AttemptId, AttemptIndex, ExecutionId, LaneId, LeaseFence, LeaseId, Namespace, WorkerId, WorkerInstanceId,
};
use uuid::Uuid;

use super::{
    Check, Checker, Invariant, Look, Notes, Passed, Promise, Scope, Seen, Violation, WorkerFact, catalogue_checks,
    overdue, revoked, unfinished, untrue_summaries,
};
use crate::deviation::{Deviation, Deviations};
use crate::intern::{ExecutionNo, InstanceNo, Interner, LaneNo, WorkerNo};
use crate::message::{
    Cancel, Claim, Create, Done, HandleFields, IssueGrant, Message, NewLease, Place, Reclaim, Reply, Script, Taker,
};
use crate::number::Score;
use crate::script;
use crate::store::{Execution, IndexKey, Store, Submission};
use crate::time::ServerTime;
use crate::token::Secret;

const START_MS: i64 = 1_700_000_000_000;
const PARTITION: u16 = 1;
const GRANT_MS: u64 = 5_000;
const LEASE_MS: u64 = 30_000;

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
        let found = self.checker.observe(&self.store, self.now, message, &reply);
        for violation in found {
            let cases = violation.invariant.cases();
            assert!(cases.contains(&violation.case), "{violation:?} is in none of the cases {cases:?}");
        }
        let broken = invariants(found);
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

    /// A script that must be accepted, whatever it breaks.
    #[track_caller]
    fn accepted(&mut self, script: Script) -> Vec<Invariant> {
        let (reply, broken) = self.perform(&Message::Script(script), |_, _| (), None);
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        broken
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
                creator: String::new(),
                partition_id: 0,
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
    fn claim(&mut self) -> HandleFields {
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
        self.tampered(issue, |store, number| {
            let mut grant = store.execution(number).and_then(|found| found.grant.clone()).expect("granted");
            grant.expires_at = grant.expires_at.plus_ms(GRANT_MS);
            store.issue_grant(number, grant);
        });
        self.wait(GRANT_MS + 1);
    }

    /// What is broken when everybody has gone so often by the work that is due.
    fn passed_over(&mut self, passes: u64) -> Vec<Invariant> {
        let listed = overdue(&self.store, PARTITION + 1, &[self.lane], self.now);
        let mut broken = Vec::new();
        for overdue in listed.into_iter().chain(revoked(&self.store)).chain(untrue_summaries(&self.store)) {
            let passed = Passed { overdue, passes, moved: false };
            let seen = Seen::Passed { passed: &passed, store: &self.store, now: self.now };
            broken.extend(invariants(self.checker.see(&seen)));
        }
        broken
    }

    /// What is broken at the end of the phase without faults, after so many idle polls and blocks of an execution.
    fn unfinished(&mut self, idle_polls: u64, blocks: u32) -> Vec<Invariant> {
        let mut broken = Vec::new();
        for (execution, stuck) in unfinished(&self.store, self.now) {
            let seen = Seen::Unfinished { execution, stuck: &stuck, is_run: false, now: self.now, idle_polls, blocks };
            broken.extend(invariants(self.checker.see(&seen)));
        }
        broken
    }

    /// What is broken by what a worker's process did.
    fn worker(&mut self, fact: WorkerFact) -> Vec<Invariant> {
        invariants(self.checker.see(&Seen::Worker { fact: &fact, store: &self.store }))
    }

    fn found(&self) -> &Execution {
        self.store.execution(self.work).expect("created")
    }

    fn place(&self) -> Place {
        Place { execution: self.work, partition: PARTITION }
    }

    /// What the current holder's handle says.
    fn held(&self) -> HandleFields {
        HandleFields {
            execution: self.work,
            attempt_index: self.found().core.current_attempt_index.expect("claimed"),
            fence: self
                .found()
                .lease
                .as_ref()
                .and_then(|lease| lease.holder.as_ref())
                .map(|holder| holder.fence.clone()),
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

    fn taker(&self) -> Taker {
        Taker {
            execution: self.work,
            worker: self.worker,
            instance: self.instance,
            lane: self.lane,
            lease_id: LeaseId::from_uuid(self.uuid()),
            ttl_ms: LEASE_MS,
        }
    }

    fn claiming(&self, edit: impl FnOnce(&mut Claim)) -> Script {
        let mut args = Claim {
            taker: self.taker(),
            attempt_id: AttemptId::from_uuid(self.uuid()),
            attempt_timeout_ms: None,
            deadline_at: None,
        };
        edit(&mut args);
        Script::Claim(Box::new(args))
    }

    fn reclaiming(&self, edit: impl FnOnce(&mut Reclaim)) -> Script {
        let mut args = Reclaim {
            taker: self.taker(),
            attempt_id: AttemptId::from_uuid(self.uuid()),
            default_cap: 100,
            named_attempt: self.found().core.current_attempt_index.expect("claimed"),
        };
        edit(&mut args);
        Script::Reclaim(Box::new(args))
    }

    /// A cancel by handle, or by an operator where there is none.
    fn cancelling(&self, held: Option<&HandleFields>) -> Script {
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
        Script::Replay { execution: self.work, lane: self.lane, edges: None }
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

fn renewing(held: &HandleFields) -> Script {
    Script::Renew { held: held.clone(), ttl_ms: LEASE_MS, grace_ms: 0 }
}

fn completing(held: &HandleFields, payload: &[u8]) -> Script {
    Script::Complete { held: held.clone(), payload: payload.to_vec(), overriding: false }
}

fn delaying(held: &HandleFields) -> Script {
    Script::Delay { held: held.clone(), until: ServerTime::from_ms(START_MS).plus_ms(LEASE_MS).to_wire() }
}

fn failing(held: &HandleFields, max_retries: u32) -> Script {
    let backoff = BackoffStrategy::Fixed { delay_ms: 1_000 };
    let retry = Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() });
    let category = "transient".into();
    Script::Fail { held: held.clone(), reason: "test".into(), category, retry, overriding: false }
}

/// A handle that names an attempt that never was.
fn misnamed(held: HandleFields) -> HandleFields {
    HandleFields { attempt_index: AttemptIndex::new(7), ..held }
}

fn fence_of(held: &HandleFields) -> LeaseFence {
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
    assert!(world.passed_over(100).is_empty() && world.unfinished(100, 100).is_empty());
}
