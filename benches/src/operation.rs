//! The claim protocol's operations, each alone: one call of the shipped backend.
//!
//! An operation takes an execution from one stage to the next. What it needs before is brought about by
//! the others, so that whatever is measured is measured on real state.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use claimlab::stopwatch::Stopwatch;
use ff_core::backend::{FailureClass, FailureReason, Handle};
use ff_core::contracts::*;
use ff_core::engine_backend::EngineBackend;
use ff_core::types::{ExecutionId, WaitpointId, WaitpointToken};

use crate::closed_loop::{self, Measured};
use crate::error::{Error, engine_error};
use crate::lab::{Deployed, LEASE_TTL_MS, Lab};
use crate::named::by_name;
use crate::statistics::{Commands, Tally};

/// A lease that is meant to lapse.
const SHORT_MS: u64 = 5;
/// So many executions are prepared at once.
pub const IN_FLIGHT: usize = 32;

/// How far an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Created,
    Granted,
    Claimed,
    Suspended,
    /// The signal has come, and a grant for the resumed claim is there.
    Resumable,
    /// The lease has lapsed, and nobody has noticed.
    Lapsed,
    /// It is marked as such.
    Marked,
    ReclaimGranted,
}

impl Stage {
    /// The calls that lead there; after a lapse, those before it.
    const fn way(self) -> &'static [Operation] {
        use Operation::{Claim, Create, DeliverSignal, IssueGrant, Suspend};
        match self {
            Self::Absent => &[],
            Self::Created => &[Create],
            Self::Granted => &[Create, IssueGrant],
            Self::Claimed | Self::Lapsed | Self::Marked | Self::ReclaimGranted => &[Create, IssueGrant, Claim],
            Self::Suspended => &[Create, IssueGrant, Claim, Suspend],
            Self::Resumable => &[Create, IssueGrant, Claim, Suspend, DeliverSignal, IssueGrant],
        }
    }
}

/// An execution on its way.
#[derive(Clone, Debug)]
pub struct Item {
    id: ExecutionId,
    handle: Option<Handle>,
    waitpoint: Option<(WaitpointId, WaitpointToken)>,
}

impl Item {
    /// An execution that does not exist yet.
    pub fn new(id: ExecutionId) -> Self {
        Self { id, handle: None, waitpoint: None }
    }

    /// The execution.
    pub fn id(&self) -> &ExecutionId {
        &self.id
    }
}

macro_rules! operations {
    ($($variant:ident $name:literal $before:ident $doc:literal;)*) => {
        /// One call of the trait.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = $doc] $variant,)*
        }

        impl Operation {
            /// All of them, as an execution meets them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as results carry it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn before(self) -> Stage {
                match self { $(Self::$variant => Stage::$before,)* }
            }
        }
    };
}

operations! {
    Create "create_execution" Absent "Creates an execution that is eligible at once.";
    Scan "scan_eligible_executions" Created "Looks at the first of a partition that holds it.";
    IssueGrant "issue_claim_grant" Created "Grants it to a worker.";
    ClaimForWorker "claim_for_worker" Created "Has the scheduler find and grant one.";
    Claim "claim_execution" Granted "Turns the grant into a lease.";
    Renew "renew" Claimed "Extends the lease.";
    Complete "complete" Claimed "Ends it as a success.";
    Fail "fail" Claimed "Ends it as a failure, without a retry.";
    Cancel "cancel" Claimed "Ends it as cancelled by its worker.";
    Suspend "suspend" Claimed "Parks it until a signal.";
    DeliverSignal "deliver_signal" Suspended "Delivers that signal.";
    ResumeClaim "claim_resumed_execution" Resumable "Continues the interrupted attempt.";
    Lapse "mark_lease_expired_if_due" Lapsed "Marks a lapsed lease, as the scanner does.";
    IssueReclaimGrant "issue_reclaim_grant" Marked "Grants what a lapsed lease has left behind.";
    Reclaim "reclaim_execution" ReclaimGranted "Turns that grant into a lease.";
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "operation", Self::ALL, Self::name)
    }
}

impl Operation {
    /// Brings so many executions to where this operation begins.
    ///
    /// # Errors
    /// Those of the calls on the way.
    pub async fn prepare(self, lab: &Arc<Deployed>, count: usize) -> Result<Vec<Item>, Error> {
        let items: Vec<Item> = (0..count).map(|_| Item::new(lab.execution())).collect();
        // What is done after a lease has lapsed.
        let after: &[Self] = match self.before() {
            Stage::Marked => &[Self::Lapse],
            Stage::ReclaimGranted => &[Self::Lapse, Self::IssueReclaimGrant],
            _ => &[],
        };
        let lapses = matches!(self.before(), Stage::Lapsed | Stage::Marked | Stage::ReclaimGranted);
        let ttl_ms = if lapses { SHORT_MS } else { LEASE_TTL_MS };
        let items = bring(lab, items, self.before().way(), ttl_ms).await?;
        if lapses {
            tokio::time::sleep(Duration::from_millis(SHORT_MS + 2)).await;
        }
        bring(lab, items, after, ttl_ms).await
    }

    /// Performs it once, and what is planted on it; gives how long both took.
    ///
    /// # Errors
    /// Those of the call, and an answer that is no success.
    pub async fn perform(self, lab: &Lab, item: Item) -> Result<Duration, Error> {
        let began = Stopwatch::start();
        let item = perform(self, lab, item, LEASE_TTL_MS).await?;
        lab.plant.slow(self, began.elapsed());
        let took = began.elapsed();
        if self == Self::ClaimForWorker {
            // The scheduler looks at the head of a partition only: what it has granted must go.
            perform(Self::Claim, lab, item, LEASE_TTL_MS).await?;
        }
        Ok(took)
    }

    /// Performs it once, whoever the backend is; gives the execution as it is afterwards.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn once(self, lab: &Lab, item: Item) -> Result<Item, Error> {
        perform(self, lab, item, LEASE_TTL_MS).await
    }

    /// Performs it on prepared executions, so many at once.
    ///
    /// # Errors
    /// As [`Self::prepare`] and [`Self::perform`].
    pub async fn measure(self, lab: &Arc<Deployed>, count: usize, concurrency: usize) -> Result<Measured, Error> {
        let items = self.prepare(lab, count).await?;
        let lab = lab.clone();
        closed_loop::run_timed(items, concurrency, move |item| {
            let lab = lab.clone();
            async move { self.perform(&lab, item).await }
        })
        .await
    }

    /// What it costs the server: performed one by one, alone, so many times.
    ///
    /// # Errors
    /// As [`Self::measure`], and the server's.
    pub async fn count(self, lab: &Arc<Deployed>, count: usize) -> Result<Commands, Error> {
        let mut sum = Tally::default();
        for item in self.prepare(lab, count).await? {
            let counter = lab.count().await?;
            let item = perform(self, lab, item, LEASE_TTL_MS).await?;
            sum += counter.end().await?;
            if self == Self::ClaimForWorker {
                perform(Self::Claim, lab, item, LEASE_TTL_MS).await?;
            }
        }
        Ok(sum.each(count as u64))
    }
}

/// The same calls for each, many at once.
async fn bring(lab: &Lab, items: Vec<Item>, way: &[Operation], ttl_ms: u64) -> Result<Vec<Item>, Error> {
    use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
    let each = |mut item| async move {
        for operation in way {
            item = perform(*operation, lab, item, ttl_ms).await?;
        }
        Ok(item)
    };
    iter(items.into_iter().map(each)).buffered(IN_FLIGHT).try_collect().await
}

async fn perform(operation: Operation, lab: &Lab, mut item: Item, ttl_ms: u64) -> Result<Item, Error> {
    let backend: &dyn EngineBackend = &*lab.backend;
    let wrong = engine_error(operation.name());
    let unexpected = |found: String| Error::Unexpected { what: operation.name(), found };
    match operation {
        Operation::Create => drop(backend.create_execution(lab.create_args(&item.id)).await.map_err(wrong)?),
        Operation::Scan => {
            let found = backend.scan_eligible_executions(lab.scan_args(&item.id)).await.map_err(wrong)?;
            if found.is_empty() {
                return Err(unexpected("nothing".to_owned()));
            }
        }
        Operation::IssueGrant => drop(backend.issue_claim_grant(lab.grant_args(&item.id)).await.map_err(wrong)?),
        // Others may be faster at all that the scheduler looked at; whoever needs work asks again.
        Operation::ClaimForWorker => loop {
            let answer = backend.claim_for_worker(lab.claim_for_worker_args()).await;
            match answer.map_err(engine_error(operation.name()))? {
                ClaimForWorkerOutcome::Granted(grant) => {
                    item.id = grant.execution_id;
                    break;
                }
                ClaimForWorkerOutcome::NoWork => {}
                other => return Err(unexpected(format!("{other:?}"))),
            }
        },
        Operation::Claim => match backend.claim_execution(lab.claim_args(&item.id, ttl_ms)).await.map_err(wrong)? {
            ClaimExecutionResult::Claimed(claimed) => item.handle = Some(claimed.handle),
            other => return Err(unexpected(format!("{other:?}"))),
        },
        Operation::Renew => drop(backend.renew(held(&item)?).await.map_err(wrong)?),
        Operation::Complete => drop(backend.complete(held(&item)?, Some(b"out".to_vec())).await.map_err(wrong)?),
        Operation::Fail => {
            let reason = FailureReason::new("planned");
            backend.fail(held(&item)?, reason, FailureClass::Permanent).await.map_err(wrong)?;
        }
        Operation::Cancel => backend.cancel(held(&item)?, "planned").await.map_err(wrong)?,
        Operation::Suspend => {
            let suspended = backend.suspend(held(&item)?, lab.suspend_args()).await.map_err(wrong)?;
            let details = suspended.details();
            item.waitpoint = Some((details.waitpoint_id.clone(), details.waitpoint_token.token().clone()));
        }
        Operation::DeliverSignal => {
            let (waitpoint, token) = item.waitpoint.clone().ok_or_else(|| unexpected("no waitpoint".to_owned()))?;
            let args = lab.signal_args(&item.id, waitpoint, token);
            drop(backend.deliver_signal(args).await.map_err(wrong)?);
        }
        Operation::ResumeClaim => {
            let ClaimResumedExecutionResult::Claimed(claimed) =
                backend.claim_resumed_execution(lab.resume_args(&item.id)).await.map_err(wrong)?;
            item.handle = Some(claimed.handle);
        }
        Operation::Lapse => {
            backend.mark_lease_expired_if_due(lab.partition(&item.id), &item.id).await.map_err(wrong)?;
        }
        Operation::IssueReclaimGrant => {
            match backend.issue_reclaim_grant(lab.reclaim_grant_args(&item.id)).await.map_err(wrong)? {
                IssueReclaimGrantOutcome::Granted(_) => {}
                other => return Err(unexpected(format!("{other:?}"))),
            }
        }
        Operation::Reclaim => match backend.reclaim_execution(lab.reclaim_args(&item.id)).await.map_err(wrong)? {
            ReclaimExecutionOutcome::Claimed(handle) => item.handle = Some(handle),
            other => return Err(unexpected(format!("{other:?}"))),
        },
    }
    Ok(item)
}

fn held(item: &Item) -> Result<&Handle, Error> {
    item.handle.as_ref().ok_or_else(|| Error::Unexpected { what: "claim_execution", found: "no handle".to_owned() })
}
