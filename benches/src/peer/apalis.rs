//! `apalis-redis`, as its documentation starts workers.

use std::sync::Arc;

use apalis::prelude::{BoxDynError, Data, TaskSink as _, WorkerBuilder};
use apalis_redis::{ConnectionManager, RedisStorage};
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Done, Queue, Workers};
use crate::error::Error;
use crate::target::Target;

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Peer { peer: "apalis-redis", said: error.to_string() }
}

/// A storage of numbers.
pub struct Apalis(Mutex<RedisStorage<u64, ConnectionManager>>);

impl Apalis {
    /// An empty one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let connection = apalis_redis::connect(super::url(target)).await.map_err(failed)?;
        Ok(Self(Mutex::new(RedisStorage::new(connection))))
    }
}

async fn job(_: u64, done: Data<Arc<Done>>) -> Result<(), BoxDynError> {
    done.one();
    Ok(())
}

#[async_trait]
impl Queue for Apalis {
    async fn put(&self, number: u64) -> Result<(), Error> {
        self.0.lock().await.push(number).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        let storage = self.0.lock().await.clone();
        let mut running = Workers::new();
        for worker in 0..workers {
            let builder = WorkerBuilder::new(format!("worker-{worker}")).backend(storage.clone());
            let worker = builder.data(Arc::clone(&done)).build(job);
            running.spawn(async move { worker.run().await.map_err(failed) });
        }
        Ok(running)
    }
}
