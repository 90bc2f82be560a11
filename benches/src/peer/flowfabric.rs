//! FlowFabric on Valkey through the shipped worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Done, Queue, Workers};
use crate::error::{Error, another_was_faster, sdk_error};
use crate::lab::{Deployed, LEASE_TTL_MS};
use crate::plant::Plant;
use crate::suite::USUAL_PARTITIONS;
use crate::target::Target;

/// A worker that found nothing looks again after so long.
const POLL: Duration = Duration::from_millis(5);

/// A deployment.
pub struct FlowFabric(Arc<Deployed>);

impl FlowFabric {
    /// An empty one.
    ///
    /// # Errors
    /// As [`Deployed::on`].
    pub async fn open(target: &Arc<Target>) -> Result<Self, Error> {
        Ok(Self(Deployed::on(target, USUAL_PARTITIONS, Plant::default()).await?))
    }
}

#[async_trait]
impl Queue for FlowFabric {
    async fn put(&self, _: u64) -> Result<(), Error> {
        self.0.create(&self.0.execution()).await
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        let mut running = Workers::new();
        for _ in 0..workers {
            let worker = self.0.worker(self.0.backend.clone(), LEASE_TTL_MS).await?;
            let done = Arc::clone(&done);
            running.spawn(async move {
                loop {
                    match worker.claim_next().await {
                        Ok(Some(task)) => {
                            task.complete(None).await.map_err(sdk_error("complete"))?;
                            done.one();
                        }
                        Ok(None) => tokio::time::sleep(POLL).await,
                        Err(error) if another_was_faster(&error) => {}
                        Err(error) => return Err(sdk_error("claim_next")(error)),
                    }
                }
            });
        }
        Ok(running)
    }
}
