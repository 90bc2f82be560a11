//! What each worker of a load does: looks, runs, completes, looks again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ff_sdk::FlowFabricWorker;
use ff_sdk::task::ClaimedTask;

use super::Shared;
use crate::error::{Error, another_was_faster, sdk_error};

/// Works until nobody looks for work any more; gives how many tasks it completed. A call that fails is noted, and the
/// worker looks again: no engine runs beside a load, so what it lost is late for good.
pub(super) async fn work(shared: Arc<Shared>, worker: FlowFabricWorker) -> u64 {
    let mut tasks = 0;
    while !shared.is_over.load(Ordering::Relaxed) {
        match worker.claim_next().await {
            Ok(Some(task)) => match complete(&shared, task).await {
                Ok(()) => tasks += 1,
                Err(error) => shared.failures.of_worker(&error),
            },
            Ok(None) => tokio::time::sleep(shared.options.poll).await,
            Err(error) if another_was_faster(&error) => {}
            Err(error) => {
                shared.failures.of_worker(&sdk_error("claim_next")(error));
                tokio::time::sleep(shared.options.poll).await;
            }
        }
    }
    tasks
}

async fn complete(shared: &Shared, task: ClaimedTask) -> Result<(), Error> {
    let claimed_at = shared.began.elapsed();
    let number = number_of(task.input_payload())?;
    if !shared.options.run.is_zero() {
        tokio::time::sleep(shared.options.run).await;
    }
    let lease = task.lease_id().clone();
    let completed = task.complete(None).await;
    let at = shared.began.elapsed();
    shared.renewals.ended(&lease, at.saturating_sub(claimed_at));
    completed.map_err(sdk_error("complete"))?;
    shared.arrivals.complete(number, claimed_at, at);
    Ok(())
}

/// The arrival that a payload names. As text: the shipped backend reads payloads as strings, and replaces
/// what is no UTF-8 (`ff-backend-valkey/src/lib.rs`, `read_execution_context_impl`).
fn number_of(payload: &[u8]) -> Result<u64, Error> {
    let text = String::from_utf8_lossy(payload);
    text.parse().map_err(|_| Error::Unexpected { what: "a task's payload", found: text.into_owned() })
}
