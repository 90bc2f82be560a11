//! A situation's stage: right calls that bring executions into a state, and what the probed call is
//! made of.
//!
//! Ids come from a counter, times from the backend's own clock, handles and tokens from earlier answers.

use std::collections::BTreeSet;

use claimlab_model::time::ServerTime;
use ff_core::backend::{CapabilitySet, ClaimPolicy, FailOutcome, FailureClass, FailureReason, Handle, ResumeToken};
use ff_core::contracts::*;
use ff_core::engine_error::EngineError;
use ff_core::handle_codec;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::types::*;
use uuid::Uuid;

use super::gist::gist;
use super::subject::{Error, Subject};
use crate::call::{Answer, Call};

/// A worker; its instance is `w-1`.
pub const W: &str = "w";
/// Another worker; its instance is `v-1`.
pub const V: &str = "v";
/// How long a lease or grant lives that must not end within a situation.
pub const LONG_MS: u64 = 30_000;
/// How long one lives that a situation sees the end of; real clocks wait for it.
pub const SHORT_MS: u64 = 40;

/// Why a situation has no probed call.
#[derive(Debug)]
pub enum Stop {
    /// A call of the setup was not answered as it must be.
    Setup {
        /// Its method.
        method: &'static str,
        /// The answer's gist.
        gist: String,
    },
    /// The backend could not be asked.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The probed call of a situation.
pub type Probe = Result<Call, Stop>;

/// The stage of one situation.
pub struct Scene<'a> {
    subject: &'a mut dyn Subject,
    minted: u128,
    /// What was done by hand so far.
    pub by_hand: BTreeSet<&'static str>,
}

/// A claimed execution as its worker holds it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The execution.
    pub id: ExecutionId,
    /// What the claim gave.
    pub handle: Handle,
    /// The lease's identity.
    pub fence: LeaseFence,
    /// The claimed attempt.
    pub attempt: AttemptIndex,
}

/// A suspended execution.
#[derive(Clone, Debug)]
pub struct Parked {
    /// As it was held before.
    pub held: Held,
    /// What the suspension gave in exchange.
    pub handle: Handle,
    /// What it waits on.
    pub waitpoint: WaitpointId,
    /// What a signal must show.
    pub token: WaitpointToken,
}

impl<'a> Scene<'a> {
    /// A stage on an emptied backend.
    pub fn new(subject: &'a mut dyn Subject) -> Self {
        Self { subject, minted: 0, by_hand: BTreeSet::new() }
    }

    /// A fresh id.
    pub fn uuid(&mut self) -> Uuid {
        self.minted += 1;
        Uuid::from_u128((0x4 << 76) | (0x8 << 60) | self.minted)
    }

    /// An execution id that nothing was created under.
    pub fn nobody(&mut self) -> ExecutionId {
        let id = self.uuid();
        ExecutionId::parse(&format!("{{fp:0}}:{id}")).expect("a partition and a UUID")
    }

    /// The backend's time.
    pub fn now(&mut self) -> Result<TimestampMs, Stop> {
        Ok(self.subject.now()?.to_wire())
    }

    /// The backend's time, moved.
    pub fn in_ms(&mut self, ms: i64) -> Result<TimestampMs, Stop> {
        Ok(TimestampMs(self.subject.now()?.ms() + ms))
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) -> Result<(), Stop> {
        let until = self.subject.now()?.plus_ms(ms);
        Ok(self.subject.wait_until(until)?)
    }

    /// Lets time pass until a moment.
    pub fn until(&mut self, at: TimestampMs) -> Result<(), Stop> {
        Ok(self.subject.wait_until(ServerTime::from_ms(at.0))?)
    }

    /// Performs a call, whatever it comes to.
    pub fn perform(&mut self, call: &Call) -> Result<Answer, Error> {
        self.subject.perform(call)
    }

    /// Performs a call of the setup, which must succeed.
    pub fn right(&mut self, call: Call) -> Result<Answer, Stop> {
        let answer = self.subject.perform(&call)?;
        match answer.error() {
            None => Ok(answer),
            Some(_) => Err(wrong(&call, &answer)),
        }
    }

    // Executions on their way.

    /// Arguments to create an execution without anything special.
    pub fn plain(&mut self) -> Result<CreateExecutionArgs, Stop> {
        Ok(CreateExecutionArgs {
            execution_id: self.nobody(),
            namespace: Namespace::new("ns"),
            lane_id: lane(),
            execution_kind: "kind".into(),
            input_payload: b"in".to_vec(),
            payload_encoding: None,
            priority: 0,
            creator_identity: "matrix".into(),
            idempotency_key: None,
            tags: [].into(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            partition_id: 0,
            now: self.now()?,
        })
    }

    /// Created and claimable.
    pub fn created(&mut self) -> Result<ExecutionId, Stop> {
        let args = self.plain()?;
        self.created_with(args)
    }

    /// Created and, unless it is delayed, claimable.
    pub fn created_with(&mut self, args: CreateExecutionArgs) -> Result<ExecutionId, Stop> {
        let (id, is_delayed) = (args.execution_id.clone(), args.delay_until.is_some());
        self.right(Call::CreateExecution { args })?;
        if !is_delayed && self.subject.promote(&id)? {
            self.by_hand.insert("promote");
        }
        Ok(id)
    }

    /// Created under a policy, and claimable.
    pub fn created_under(&mut self, policy: ExecutionPolicy) -> Result<ExecutionId, Stop> {
        let args = CreateExecutionArgs { policy: Some(policy), ..self.plain()? };
        self.created_with(args)
    }

    /// Created with a due time a minute ahead.
    pub fn delayed(&mut self) -> Result<ExecutionId, Stop> {
        let args = CreateExecutionArgs { delay_until: Some(self.in_ms(60_000)?), ..self.plain()? };
        self.created_with(args)
    }

    /// Writes a claim grant.
    pub fn grant(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Result<(), Stop> {
        let args = self.grant_args(id, worker, ttl_ms)?;
        if self.subject.grant(&args)? {
            self.by_hand.insert("grant");
            return Ok(());
        }
        self.right(Call::IssueClaimGrant { args }).map(drop)
    }

    /// Claimable, with a live grant of `w`.
    pub fn granted(&mut self) -> Result<ExecutionId, Stop> {
        let id = self.created()?;
        self.grant(&id, W, LONG_MS)?;
        Ok(id)
    }

    /// Claimed by `w`.
    pub fn claimed(&mut self) -> Result<Held, Stop> {
        let id = self.created()?;
        self.claim(&id, LONG_MS)
    }

    /// Claimed by `w` under a policy.
    pub fn claimed_under(&mut self, policy: ExecutionPolicy) -> Result<Held, Stop> {
        let id = self.created_under(policy)?;
        self.claim(&id, LONG_MS)
    }

    /// Claims for `w`, as workers on this backend do.
    pub fn claim(&mut self, id: &ExecutionId, ttl_ms: u64) -> Result<Held, Stop> {
        if self.subject.claims_by_lane() {
            return self.claim_by_lane(id, ttl_ms);
        }
        self.grant(id, W, LONG_MS)?;
        let call = self.claim_call(id, W, ttl_ms)?;
        match self.right(call)? {
            Answer::ClaimExecution(Ok(ClaimExecutionResult::Claimed(claimed))) => held(claimed.handle),
            other => unreachable!("{other}"),
        }
    }

    fn claim_by_lane(&mut self, id: &ExecutionId, ttl_ms: u64) -> Result<Held, Stop> {
        let (worker, instance) = who(W);
        let ttl_ms = u32::try_from(ttl_ms).unwrap_or(u32::MAX);
        let policy = ClaimPolicy::new(worker, instance, ttl_ms, None);
        let call = Call::Claim { lane: lane(), capabilities: CapabilitySet::default(), policy };
        let held = match self.right(call.clone())? {
            Answer::Claim(Ok(Some(handle))) => held(handle)?,
            other => return Err(wrong(&call, &other)),
        };
        match held.id == *id {
            true => Ok(held),
            false => Err(Stop::Setup { method: call.method(), gist: "another execution".into() }),
        }
    }

    /// Claimed, and the lease's last millisecond is over.
    pub fn lapsed(&mut self) -> Result<Held, Stop> {
        let id = self.created()?;
        let held = self.claim(&id, SHORT_MS)?;
        self.pass(SHORT_MS + 1)?;
        Ok(held)
    }

    /// Claimed, lapsed, and marked so.
    pub fn expired(&mut self) -> Result<Held, Stop> {
        let held = self.lapsed()?;
        self.right(mark(&held.id))?;
        Ok(held)
    }

    /// Claimed, and the lease was revoked.
    pub fn revoked(&mut self) -> Result<Held, Stop> {
        let held = self.claimed()?;
        self.right(revoke(&held.id))?;
        Ok(held)
    }

    /// Claimed, and lapsed as far as a reclaim needs.
    pub fn reclaimable(&mut self) -> Result<Held, Stop> {
        let held = self.lapsed()?;
        self.marked(&held)?;
        Ok(held)
    }

    fn marked(&mut self, held: &Held) -> Result<(), Stop> {
        if self.subject.mark(&held.id)? {
            self.by_hand.insert("mark");
        }
        match self.subject.marks_leases() {
            true => self.right(mark(&held.id)).map(drop),
            false => Ok(()),
        }
    }

    /// Lets `v` lose the lease that it reclaimed with a short time to live.
    pub fn lost_again(&mut self, held: &Held) -> Result<(), Stop> {
        self.pass(SHORT_MS + 1)?;
        self.marked(held)
    }

    /// Claimed by `w`, lapsed, and reclaimed by `v`; gives both.
    pub fn reclaimed(&mut self) -> Result<(Held, Held), Stop> {
        self.reclaimed_for(LONG_MS)
    }

    /// The same, with the new lease's time to live.
    pub fn reclaimed_for(&mut self, ttl_ms: u64) -> Result<(Held, Held), Stop> {
        let old = self.reclaim_granted()?;
        let call = self.reclaim_call_for(&old, V, None, ttl_ms);
        let answer = self.right(call.clone())?;
        match answer {
            Answer::ReclaimExecution(Ok(ReclaimExecutionOutcome::Claimed(handle))) => Ok((old, held(handle)?)),
            other => Err(wrong(&call, &other)),
        }
    }

    /// Claimed by `w`, lapsed, with a reclaim grant of `v`.
    pub fn reclaim_granted(&mut self) -> Result<Held, Stop> {
        let old = self.reclaimable()?;
        self.grant_reclaim(&old.id, LONG_MS)?;
        Ok(old)
    }

    /// Gives `v` a reclaim grant.
    pub fn grant_reclaim(&mut self, id: &ExecutionId, ttl_ms: u64) -> Result<(), Stop> {
        let call = self.reclaim_grant_call(id, V, ttl_ms)?;
        match self.right(call.clone())? {
            Answer::IssueReclaimGrant(Ok(IssueReclaimGrantOutcome::Granted(_))) => Ok(()),
            other => Err(wrong(&call, &other)),
        }
    }

    /// Claimed and completed.
    pub fn completed(&mut self) -> Result<Held, Stop> {
        let held = self.claimed()?;
        self.right(complete(&held))?;
        Ok(held)
    }

    /// Claimed and failed for good.
    pub fn failed(&mut self) -> Result<Held, Stop> {
        let held = self.claimed()?;
        let call = fail_for_good(&held);
        match self.right(call.clone())? {
            Answer::Fail(Ok(FailOutcome::TerminalFailed)) => Ok(held),
            other => Err(wrong(&call, &other)),
        }
    }

    /// Claimed and failed, with a retry to come in 20 ms.
    pub fn retrying(&mut self) -> Result<Held, Stop> {
        self.retrying_under(retries(2))
    }

    /// The same under a policy of retries.
    pub fn retrying_under(&mut self, policy: ExecutionPolicy) -> Result<Held, Stop> {
        let held = self.claimed_under(policy)?;
        let call = fail(&held);
        match self.right(call.clone())? {
            Answer::Fail(Ok(FailOutcome::RetryScheduled { .. })) => Ok(held),
            other => Err(wrong(&call, &other)),
        }
    }

    /// Waits for a retry's time and makes it claimable, where it is not so at once.
    pub fn due_again(&mut self, id: &ExecutionId) -> Result<(), Stop> {
        self.pass(25)?;
        let now = self.now()?;
        let call = Call::PromoteDelayed { partition: partition(), lane: lane(), id: id.clone(), now };
        let answer = self.perform(&call)?;
        match answer.error() {
            None | Some(EngineError::Unavailable { .. }) => Ok(()),
            Some(_) => Err(wrong(&call, &answer)),
        }
    }

    /// Cancelled by an operator while it was claimed.
    pub fn cancelled(&mut self) -> Result<Held, Stop> {
        let held = self.claimed()?;
        let call = self.cancel_call(&held.id)?;
        self.right(call)?;
        Ok(held)
    }

    /// Waiting for the signal `go`.
    pub fn suspended(&mut self) -> Result<Parked, Stop> {
        let held = self.claimed()?;
        let args = self.suspend_args()?;
        self.park(held, args)
    }

    /// Suspended with these arguments.
    pub fn park(&mut self, held: Held, args: SuspendArgs) -> Result<Parked, Stop> {
        let call = Call::Suspend { handle: held.handle.clone(), args };
        match self.right(call.clone())? {
            Answer::Suspend(Ok(SuspendOutcome::Suspended { details, handle })) => {
                let token = details.waitpoint_token.token().clone();
                Ok(Parked { held, handle, waitpoint: details.waitpoint_id, token })
            }
            other => Err(wrong(&call, &other)),
        }
    }

    /// Suspended and woken by its signal: runnable, its attempt interrupted.
    pub fn woken(&mut self) -> Result<Held, Stop> {
        let parked = self.suspended()?;
        let call = self.signal(&parked, "go")?;
        self.right(call)?;
        Ok(parked.held)
    }

    // Calls with arguments that need the stage.

    /// Arguments for a claim grant.
    pub fn grant_args(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Result<IssueClaimGrantArgs, Stop> {
        let (worker, instance) = who(worker);
        let now = self.now()?;
        Ok(IssueClaimGrantArgs::new(id.clone(), lane(), worker, instance, partition(), BTreeSet::new(), ttl_ms, now))
    }

    /// A claim with whatever grant there is.
    pub fn claim_call(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Probe {
        let (worker, instance) = who(worker);
        let args = ClaimExecutionArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            LeaseId::from_uuid(self.uuid()),
            ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            AttemptIndex::new(0),
            "{}".into(),
            None,
            None,
            self.now()?,
        );
        Ok(Call::ClaimExecution { args })
    }

    /// A claim of an interrupted attempt.
    pub fn resume_call(&mut self, id: &ExecutionId, worker: &str) -> Probe {
        let (worker_id, worker_instance_id) = who(worker);
        let args = ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id,
            worker_instance_id,
            lane_id: lane(),
            lease_id: LeaseId::from_uuid(self.uuid()),
            lease_ttl_ms: LONG_MS,
            current_attempt_index: AttemptIndex::new(0),
            remaining_attempt_timeout_ms: None,
            now: self.now()?,
        };
        Ok(Call::ClaimResumedExecution { args })
    }

    /// A reclaim grant.
    pub fn reclaim_grant_call(&mut self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Probe {
        let (worker, instance) = who(worker);
        let now = self.now()?;
        let args = IssueReclaimGrantArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            None,
            ttl_ms,
            None,
            None,
            BTreeSet::new(),
            now,
        );
        Ok(Call::IssueReclaimGrant { args })
    }

    /// A reclaim with whatever grant there is.
    pub fn reclaim_call(&mut self, old: &Held, worker: &str, cap: Option<u32>) -> Call {
        self.reclaim_call_for(old, worker, cap, LONG_MS)
    }

    fn reclaim_call_for(&mut self, old: &Held, worker: &str, cap: Option<u32>, ttl_ms: u64) -> Call {
        let (worker, instance) = who(worker);
        let args = ReclaimExecutionArgs::new(
            old.id.clone(),
            worker,
            instance,
            lane(),
            None,
            LeaseId::from_uuid(self.uuid()),
            ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            "{}".into(),
            cap,
            who(W).1,
            old.attempt,
        );
        Call::ReclaimExecution { args }
    }

    /// A completion under a fence, or under none by a source.
    pub fn complete_call(&mut self, held: &Held, fence: Option<LeaseFence>, source: CancelSource) -> Probe {
        let args = CompleteExecutionArgs {
            execution_id: held.id.clone(),
            fence,
            attempt_index: held.attempt,
            result_payload: Some(b"out".to_vec()),
            result_encoding: None,
            source,
            now: self.now()?,
        };
        Ok(Call::CompleteExecution { args })
    }

    /// An operator's cancellation.
    pub fn cancel_call(&mut self, id: &ExecutionId) -> Probe {
        let args = CancelExecutionArgs {
            execution_id: id.clone(),
            reason: "reason".into(),
            source: CancelSource::OperatorOverride,
            lease_id: None,
            lease_epoch: None,
            attempt_id: None,
            now: self.now()?,
        };
        Ok(Call::CancelExecution { args })
    }

    /// A replay.
    pub fn replay(&mut self, id: &ExecutionId) -> Probe {
        Ok(Call::ReplayExecution { args: ReplayExecutionArgs { execution_id: id.clone(), now: self.now()? } })
    }

    /// Arguments to wait for the signal `go`.
    pub fn suspend_args(&mut self) -> Result<SuspendArgs, Stop> {
        let matcher = SignalMatcher::ByName("go".into());
        self.suspend_args_on(ResumeCondition::Single { waitpoint_key: "wp".into(), matcher })
    }

    /// Arguments to wait on a condition, with one fresh waitpoint `wp`.
    pub fn suspend_args_on(&mut self, condition: ResumeCondition) -> Result<SuspendArgs, Stop> {
        let waitpoint_id = WaitpointId::from_uuid(self.uuid());
        Ok(SuspendArgs::new(
            SuspensionId::from_uuid(self.uuid()),
            WaitpointBinding::Fresh { waitpoint_id, waitpoint_key: "wp".into() },
            condition,
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            self.now()?,
        ))
    }

    /// A signal by name with the right token.
    pub fn signal(&mut self, parked: &Parked, name: &str) -> Probe {
        Ok(Call::DeliverSignal { args: self.signal_args(parked, name)? })
    }

    /// Arguments of a signal by name with the right token.
    pub fn signal_args(&mut self, parked: &Parked, name: &str) -> Result<DeliverSignalArgs, Stop> {
        Ok(DeliverSignalArgs {
            execution_id: parked.held.id.clone(),
            waitpoint_id: parked.waitpoint.clone(),
            signal_id: SignalId::from_uuid(self.uuid()),
            signal_name: name.into(),
            signal_category: "category".into(),
            source_type: "source".into(),
            source_identity: "matrix".into(),
            payload: None,
            payload_encoding: None,
            correlation_id: None,
            idempotency_key: None,
            target_scope: "waitpoint".into(),
            created_at: None,
            dedup_ttl_ms: None,
            resume_delay_ms: None,
            max_signals_per_execution: None,
            signal_maxlen: None,
            waitpoint_token: parked.token.clone(),
            now: self.now()?,
        })
    }
}

/// A call of the setup that was not answered as it must be.
pub fn wrong(call: &Call, answer: &Answer) -> Stop {
    Stop::Setup { method: call.method(), gist: gist(answer) }
}

/// Opens a handle that a claim gave.
fn held(handle: Handle) -> Result<Held, Stop> {
    let Ok(opened) = handle_codec::decode(&handle.opaque) else {
        return Err(Stop::Setup { method: "claim", gist: "a handle that cannot be opened".into() });
    };
    let payload = opened.payload;
    let fence =
        LeaseFence { lease_id: payload.lease_id, lease_epoch: payload.lease_epoch, attempt_id: payload.attempt_id };
    Ok(Held { id: payload.execution_id, handle, fence, attempt: payload.attempt_index })
}

/// The one lane.
pub fn lane() -> LaneId {
    LaneId::new("default")
}

/// The one partition.
pub fn partition() -> Partition {
    Partition { family: PartitionFamily::Execution, index: 0 }
}

/// The one partition by its key.
pub fn partition_key() -> PartitionKey {
    PartitionKey::from(&partition())
}

/// A worker and its instance.
pub fn who(worker: &str) -> (WorkerId, WorkerInstanceId) {
    (WorkerId::new(worker), WorkerInstanceId::new(format!("{worker}-1")))
}

/// A policy of so many retries after 20 ms each.
pub fn retries(max_retries: u32) -> ExecutionPolicy {
    let backoff = BackoffStrategy::Fixed { delay_ms: 20 };
    let retry_policy = Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() });
    ExecutionPolicy { retry_policy, ..ExecutionPolicy::default() }
}

/// A policy that requires a capability.
pub fn requires(capability: &str) -> ExecutionPolicy {
    let required_capabilities = BTreeSet::from([capability.to_owned()]);
    let routing = RoutingRequirements { required_capabilities, ..RoutingRequirements::default() };
    ExecutionPolicy { routing_requirements: Some(routing), ..ExecutionPolicy::default() }
}

/// A set of one capability.
pub fn able(capability: &str) -> BTreeSet<String> {
    BTreeSet::from([capability.to_owned()])
}

/// The fence of another epoch.
pub fn other_epoch(held: &Held) -> LeaseFence {
    LeaseFence { lease_epoch: LeaseEpoch::new(held.fence.lease_epoch.0 + 1), ..held.fence.clone() }
}

/// Renewal by handle.
pub fn renew(held: &Held) -> Call {
    Call::Renew { handle: held.handle.clone() }
}

/// Completion by handle.
pub fn complete(held: &Held) -> Call {
    Call::Complete { handle: held.handle.clone(), payload: Some(b"out".to_vec()) }
}

/// Failure by handle.
pub fn fail(held: &Held) -> Call {
    fail_as(held, FailureClass::Transient)
}

/// Failure by handle that no backend retries without a policy.
pub fn fail_for_good(held: &Held) -> Call {
    fail_as(held, FailureClass::Permanent)
}

fn fail_as(held: &Held, class: FailureClass) -> Call {
    Call::Fail { handle: held.handle.clone(), reason: FailureReason::new("reason"), class }
}

/// Cancellation by handle.
pub fn cancel(held: &Held) -> Call {
    Call::Cancel { handle: held.handle.clone(), reason: "reason".into() }
}

/// Progress by handle.
pub fn progress(held: &Held) -> Call {
    Call::Progress { handle: held.handle.clone(), percent: Some(50), message: None }
}

/// The mark of a lease that is past its time.
pub fn mark(id: &ExecutionId) -> Call {
    Call::MarkLeaseExpiredIfDue { partition: partition(), id: id.clone() }
}

/// Revocation of `w`'s lease.
pub fn revoke(id: &ExecutionId) -> Call {
    revoke_expecting(id, None)
}

/// Revocation of `w`'s lease if it is the expected one.
pub fn revoke_expecting(id: &ExecutionId, expected: Option<&LeaseId>) -> Call {
    let args = RevokeLeaseArgs {
        execution_id: id.clone(),
        expected_lease_id: expected.map(ToString::to_string),
        worker_instance_id: who(W).1,
        reason: "reason".into(),
    };
    Call::RevokeLease { args }
}

/// A renewal under a fence.
pub fn renew_lease(held: &Held, fence: Option<LeaseFence>) -> Call {
    let args = RenewLeaseArgs {
        execution_id: held.id.clone(),
        attempt_index: held.attempt,
        fence,
        lease_ttl_ms: LONG_MS,
        lease_history_grace_ms: 5_000,
    };
    Call::RenewLease { args }
}

/// A claim with a resume grant that was made up: its key and times are looked at by nobody.
pub fn claim_by_resume_grant(id: &ExecutionId) -> Call {
    let (worker, instance) = who(W);
    let grant = ResumeGrant::new(id.clone(), partition_key(), "grant".into(), u64::MAX, lane());
    Call::ClaimFromResumeGrant { token: ResumeToken::new(grant, worker, instance, 30_000) }
}
