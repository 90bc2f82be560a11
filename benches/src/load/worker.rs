//! What each worker of a load does: looks, runs, completes, looks again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ff_core::engine_error::EngineError;
use ff_sdk::{FlowFabricWorker, SdkError};
use hdrhistogram::Histogram;

use super::Shared;
use crate::closed_loop::{histogram, record};
use crate::error::{Error, sdk_error};

/// What one worker did.
pub(super) struct Done {
    pub(super) tasks: u64,
    /// From due to completed.
    pub(super) complete: Histogram<u64>,
    /// The same by the second in which it was due.
    pub(super) seconds: Vec<Histogram<u64>>,
}

/// Works until nobody looks for work any more.
pub(super) async fn work(shared: Arc<Shared>, worker: FlowFabricWorker) -> Result<Done, Error> {
    let mut done = Done { tasks: 0, complete: histogram(), seconds: Vec::new() };
    while !shared.is_over.load(Ordering::Relaxed) {
        let task = match worker.claim_next().await {
            Ok(Some(task)) => task,
            Ok(None) => {
                tokio::time::sleep(shared.options.poll).await;
                continue;
            }
            // Another worker was faster.
            Err(SdkError::Engine(error)) if matches!(*error, EngineError::Contention(_)) => continue,
            Err(error) => return Err(sdk_error("claim_next")(error)),
        };
        let claimed_at = shared.began.elapsed();
        let number = number_of(task.input_payload())?;
        if !shared.options.run.is_zero() {
            tokio::time::sleep(shared.options.run).await;
        }
        let lease = task.lease_id().clone();
        task.complete(None).await.map_err(sdk_error("complete"))?;
        let at = shared.began.elapsed();
        shared.renewals.ended(&lease, at.saturating_sub(claimed_at), shared.options.lease_ttl_ms);
        shared.arrivals.complete(number, claimed_at, at);
        let due = shared.arrivals.due(number);
        let second = due.as_secs() as usize;
        if done.seconds.len() <= second {
            done.seconds.resize_with(second + 1, histogram);
        }
        done.tasks += 1;
        record(&mut done.complete, at.saturating_sub(due));
        record(&mut done.seconds[second], at.saturating_sub(due));
    }
    Ok(done)
}

/// The arrival that a payload names. As text: the shipped backend reads payloads as strings, and replaces
/// what is no UTF-8 (`ff-backend-valkey/src/lib.rs`, `read_execution_context_impl`).
fn number_of(payload: &[u8]) -> Result<u64, Error> {
    let text = String::from_utf8_lossy(payload);
    text.parse().map_err(|_| Error::Unexpected { what: "a task's payload", found: text.into_owned() })
}
