//! A situation's stage: right calls that bring executions into a state.
//!
//! Ids come from a counter, times from the backend's own clock, handles and tokens from earlier answers.

use std::collections::BTreeSet;

use claimlab_model::time::ServerTime;
use ff_core::backend::{CapabilitySet, ClaimPolicy, FailOutcome, Handle};
use ff_core::contracts::*;
use ff_core::engine_error::EngineError;
use ff_core::handle_codec;
use ff_core::policy::ExecutionPolicy;
use ff_core::types::*;
use uuid::Uuid;

mod call;

pub use call::*;

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

    /// Performs a call of the setup, whatever it is answered.
    pub fn tried(&mut self, call: &Call) -> Result<(), Stop> {
        self.subject.perform(call)?;
        Ok(())
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
