//! What an application does with a claimed task: work for as long as planned, then one end.
//!
//! It is the same whoever holds the lease: a task of the native worker or one of the shipped worker.

use std::future::Future;
use std::sync::Arc;

use ff_core::backend::HandleKind;
use ff_core::contracts::{CompositeBody, CountKind, ResumeCondition, SignalMatcher, TimeoutBehavior};
use ff_core::types::{AttemptIndex, ExecutionId, LeaseEpoch, TimestampMs, WaitpointId, WaitpointToken};

use super::signaller::{self, SIGNAL_NAME, Signal};
use super::{Asked, Surroundings, admission};
use crate::address::About;
use crate::plan::{Park, Strays, TaskPlan};
use crate::scenario::{Ending, Player, TimeoutDoes};
use crate::world::{Party, RunNo};

/// The key of every waitpoint.
pub(super) const WAITPOINT_KEY: &str = "wp";

/// A waitpoint and the token that a signal to it needs.
#[derive(Clone, Debug)]
pub(super) struct Waitpoint {
    pub id: WaitpointId,
    pub token: WaitpointToken,
}

/// How long after a signal it is sent again.
const AGAIN_MS: u64 = 100;
/// How long after a signal the next one of the same wait is sent.
const NEXT_MS: u64 = 200;

/// The signals of one suspension: when, how many, and what is sent besides.
#[derive(Clone, Copy)]
struct Sending {
    after_ms: u64,
    resume_delay_ms: Option<u64>,
    count: u32,
    strays: Strays,
}

/// What a suspension came to.
pub(super) enum Parked<H> {
    /// The lease is given up until a signal comes to this waitpoint.
    Suspended(Waitpoint),
    /// The signal was there already, and the task goes on.
    Satisfied(H),
    /// It was refused, or nobody knows.
    Refused,
}

/// A lease in the hands of an application. Whatever an end is answered, the task is gone: there is no
/// second try with it.
pub(super) trait HeldWork: Send + Sized {
    /// How the lease was had.
    fn kind(&self) -> HandleKind;
    /// The attempt's number.
    fn attempt_index(&self) -> u32;
    /// Waits so many milliseconds of the party's own counting.
    fn sleep_ms(&self, timer_ms: u64) -> impl Future<Output = ()> + Send;
    /// Tells how far it is.
    fn progress(&mut self, percent: u8, message: &'static str) -> impl Future<Output = ()> + Send;
    /// Creates a waitpoint before it waits for it.
    fn create_waitpoint(&mut self, expires_in_ms: u64) -> impl Future<Output = Option<Waitpoint>> + Send;
    /// Ends as a success.
    fn complete(self, payload: Option<Vec<u8>>) -> impl Future<Output = ()> + Send;
    /// Ends as a failure.
    fn fail(self, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Ends as cancelled.
    fn cancel(self, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Comes back later.
    fn delay(self, until: TimestampMs) -> impl Future<Output = ()> + Send;
    /// Comes back when its children are done.
    fn wait_children(self) -> impl Future<Output = ()> + Send;
    /// Waits for a signal, to a waitpoint of its own or to one that it created before.
    fn suspend(
        self,
        on: Option<Waitpoint>,
        condition: ResumeCondition,
        timeout: (TimestampMs, TimeoutBehavior),
    ) -> impl Future<Output = Parked<Self>> + Send;
}

/// Where an application runs and what it runs.
pub(super) struct Application {
    pub(super) party: Party,
    pub(super) surroundings: Surroundings,
    pub(super) id: ExecutionId,
    pub(super) task: TaskPlan,
    player: Player,
    run: RunNo,
    epoch: LeaseEpoch,
    attempt_index: u32,
}

impl Drop for Application {
    fn drop(&mut self) {
        self.party.hub().run_ended(self.party.number(), self.run);
    }
}

impl Application {
    /// The application for an execution's payload; the execution runs from now until this is dropped.
    pub(super) fn start(
        party: Party,
        surroundings: Surroundings,
        player: Player,
        id: ExecutionId,
        (epoch, attempt_index): (LeaseEpoch, u32),
        payload: &[u8],
    ) -> Self {
        let plain = TaskPlan {
            run_ms: 0,
            reports_progress: false,
            park: None,
            ending: Ending::Complete,
            later: None,
            spends: None,
        };
        let task = serde_json::from_slice(payload).unwrap_or(plain);
        let execution = party.hub().ids().execution(&id);
        let run = party.hub().run_started(party.number(), execution, epoch);
        Self { party, surroundings, id, task, player, run, epoch, attempt_index }
    }

    /// A fresh id of a kind.
    pub(super) fn new_id(&self, kind: &'static str) -> uuid::Uuid {
        self.party.id(&self.id, kind)
    }

    /// The result of this run: no other run of any execution has the same.
    fn result(&self) -> Vec<u8> {
        let instance = self.party.hub().key(self.party.number());
        format!("{} attempt {} epoch {} by {instance}", self.id, self.attempt_index, self.epoch).into_bytes()
    }

    /// The run that this is.
    pub(super) fn run(&self) -> RunNo {
        self.run
    }

    /// Works, then ends or parks.
    pub(super) async fn work(&self, mut held: impl HeldWork) {
        let run_ms = self.task.run_ms;
        let first_half_ms = run_ms / 2;
        if let Some((budget, units)) = &self.task.spends {
            let run = format!("{} epoch {}", self.id, self.epoch);
            let backend = self.party.trait_backend(self.surroundings.partitions);
            let (party, id, budget, units) = (self.party.clone(), self.id.clone(), budget.clone(), *units);
            // Whoever runs does not wait for the books.
            party.spawn(async move { admission::spend(&*backend, &id, (&budget, units), run).await });
        }
        let left_ms = match (&self.task.park, held.kind()) {
            (Some(park), kind) if self.parks(park, kind) => match self.park(held, park, first_half_ms).await {
                Some(goes_on) => {
                    held = goes_on;
                    run_ms - first_half_ms
                }
                None => return,
            },
            (Some(_), HandleKind::Resumed) => run_ms - first_half_ms,
            _ if self.task.reports_progress => {
                held.sleep_ms(first_half_ms).await;
                held.progress(50, "halfway").await;
                run_ms - first_half_ms
            }
            _ => run_ms,
        };
        held.sleep_ms(left_ms).await;
        self.end(held).await;
    }

    /// Whether a run of this kind parks: a fresh attempt once, and what was resumed until it has done so often enough.
    fn parks(&self, park: &Park, kind: HandleKind) -> bool {
        match (park, kind) {
            (_, HandleKind::Fresh) => true,
            (Park::Suspend { times, .. }, HandleKind::Resumed) => {
                self.surroundings.ledger.times_parked(&self.id) < *times
            }
            _ => false,
        }
    }

    /// Whatever becomes of the lease from now on was asked for here.
    fn gives_up(&self) {
        self.party.hub().run_ending(self.run, true);
    }

    async fn end(&self, held: impl HeldWork) {
        self.gives_up();
        let later = self.task.later.filter(|_| held.attempt_index() > 0);
        match later.unwrap_or(self.task.ending) {
            // A task that is dropped once is finished by whoever reclaims it.
            Ending::Drop if held.kind() != HandleKind::Reclaimed => drop(held),
            Ending::CompleteEmpty if held.attempt_index() != 0 => held.complete(None).await,
            // So is one that has waited once.
            Ending::WaitChildren if held.attempt_index() == 0 => held.wait_children().await,
            Ending::Complete | Ending::CompleteEmpty | Ending::Drop | Ending::WaitChildren => {
                held.complete(Some(self.result())).await;
            }
            Ending::Fail => held.fail("planned failure").await,
            Ending::Cancel => held.cancel("planned cancel").await,
        }
    }

    /// Works for the first half, then parks; gives the task back where it goes on.
    async fn park<H: HeldWork>(&self, mut held: H, park: &Park, first_half_ms: u64) -> Option<H> {
        let Park::Suspend {
            timeout_ms,
            signal_after_ms,
            resume_delay_ms,
            on_pending,
            composite,
            strays,
            timeout_does,
            ..
        } = park
        else {
            held.sleep_ms(first_half_ms).await;
            if let Park::Delay { for_ms } = park {
                let until = self.party.now().plus_ms(*for_ms).to_wire();
                self.gives_up();
                self.party.hub().means_to_run(self.run.execution(), *for_ms);
                held.delay(until).await;
            }
            return None;
        };
        let signal = signal_after_ms.map(|after_ms| Sending {
            after_ms,
            resume_delay_ms: *resume_delay_ms,
            count: if *composite { 2 } else { 1 },
            strays: *strays,
        });
        let pending = if *on_pending { held.create_waitpoint(*timeout_ms).await } else { None };
        if let Some(waitpoint) = &pending {
            self.send_signal(waitpoint.clone(), signal);
        }
        held.sleep_ms(first_half_ms).await;
        let now = self.party.now();
        let matcher = SignalMatcher::ByName(SIGNAL_NAME.into());
        let waitpoint_key = WAITPOINT_KEY.to_owned();
        let condition = match composite {
            true => ResumeCondition::Composite(CompositeBody::count(
                2,
                CountKind::DistinctSignals,
                Some(matcher),
                [waitpoint_key],
            )),
            false => ResumeCondition::Single { waitpoint_key, matcher },
        };
        let behavior = match timeout_does {
            TimeoutDoes::Resume => TimeoutBehavior::AutoResumeWithTimeoutSignal,
            TimeoutDoes::Fail => TimeoutBehavior::Fail,
            TimeoutDoes::Cancel => TimeoutBehavior::Cancel,
            TimeoutDoes::Expire => TimeoutBehavior::Expire,
        };
        let timeout = (now.plus_ms(*timeout_ms).to_wire(), behavior);
        let is_new = pending.is_none();
        self.gives_up();
        match held.suspend(pending, condition, timeout).await {
            Parked::Satisfied(held) => {
                self.party.hub().run_ending(self.run, false);
                return Some(held);
            }
            Parked::Suspended(waitpoint) => {
                self.surroundings.ledger.note_parked(&self.id);
                if is_new {
                    self.send_signal(waitpoint, signal);
                }
            }
            Parked::Refused => {}
        }
        None
    }

    /// Tells the signaller the token, and when to use it.
    fn send_signal(&self, waitpoint: Waitpoint, sending: Option<Sending>) {
        let Some(Sending { after_ms, resume_delay_ms, count, strays }) = sending else { return };
        let fresh = |kind: &'static str, waitpoint: &Waitpoint| Signal {
            execution: self.id.clone(),
            waitpoint: waitpoint.id.clone(),
            token: waitpoint.token.clone(),
            idempotency_key: self.new_id(kind).to_string(),
            resume_delay_ms,
        };
        let earlier = self.surroundings.ledger.swap_waitpoint(&self.id, waitpoint.clone());
        if let Some(earlier) = earlier.filter(|_| strays.old) {
            self.hand_over(fresh("old idempotency key", &earlier), after_ms / 2);
        }
        if strays.wrong {
            let mut wrong = fresh("wrong idempotency key", &waitpoint);
            wrong.token = WaitpointToken::new(wrong.token.as_str().chars().rev().collect::<String>());
            self.hand_over(wrong, after_ms / 2);
        }
        for number in 0..count {
            let signal = fresh("idempotency key", &waitpoint);
            let after_ms = after_ms + u64::from(number) * NEXT_MS;
            if strays.again {
                self.hand_over(signal.clone(), after_ms + AGAIN_MS);
            }
            self.hand_over(signal, after_ms);
        }
    }

    /// Asks the signaller to send a signal after some time.
    fn hand_over(&self, signal: Signal, after_ms: u64) {
        let Asked { position, backend } = self.surroundings.signaller.clone();
        let signaller = Party::new(Arc::clone(self.party.hub()), position);
        let about = About::Lease {
            execution: self.run.execution(),
            attempt: AttemptIndex::new(self.attempt_index),
            epoch: self.epoch,
        };
        let sending = signaller::send(signaller, backend, self.player, signal, after_ms);
        self.party.request(position, about, "signal", sending);
    }
}
