//! `rusty-sidekiq`, as its documentation starts a processor.

use std::sync::Arc;

use async_trait::async_trait;
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

use super::{Done, Queue, Workers};
use crate::error::Error;
use crate::target::Target;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Peer { peer: "rusty-sidekiq", said: error.to_string() }
}

const QUEUE: &str = "jobs";

/// A pool of connections.
pub struct Sidekiq {
    url: String,
    pool: RedisPool,
}

impl Sidekiq {
    /// An empty one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let url = super::url(target);
        let pool = pool(&url, 4).await?;
        Ok(Self { url, pool })
    }
}

async fn pool(url: &str, connections: usize) -> Result<RedisPool, Error> {
    let manager = RedisConnectionManager::new(url).map_err(failed)?;
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    RedisPool::builder().max_size(connections).build(manager).await.map_err(failed)
}

#[derive(Clone)]
struct Job(Arc<Done>);

#[async_trait]
impl Worker<u64> for Job {
    fn opts() -> sidekiq::WorkerOpts<u64, Self> {
        sidekiq::WorkerOpts::new().queue(QUEUE)
    }

    async fn perform(&self, _: u64) -> sidekiq::Result<()> {
        self.0.one();
        Ok(())
    }
}

#[async_trait]
impl Queue for Sidekiq {
    async fn put(&self, number: u64) -> Result<(), Error> {
        Job::perform_async(&self.pool, number).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        // Each of its workers holds a connection while it waits; the rest is for its housekeeping.
        let own = pool(&self.url, workers + 4).await?;
        let config = ProcessorConfig::default().num_workers(workers);
        let mut processor = Processor::new(own, vec![QUEUE.to_owned()]).with_config(config);
        processor.register(Job(done));
        let mut running = Workers::new();
        running.spawn(async move {
            processor.run().await;
            Ok(())
        });
        Ok(running)
    }
}
