//! What a user writes by hand: a list, `BLMOVE` into a list of the worker's own, a lease key that expires.

use std::sync::Arc;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::{Done, Queue, Workers};
use crate::error::Error;
use crate::target::Target;

const WAITING: &str = "{queue}:waiting";
/// Seconds that one look for work blocks.
const BLOCK_S: u64 = 1;
/// What a lease lives, in milliseconds.
const LEASE_MS: u64 = 30_000;

fn failed(source: redis::RedisError) -> Error {
    Error::Peer { peer: "blmove", said: source.to_string() }
}

/// The list.
pub struct Blmove {
    client: redis::Client,
    connection: MultiplexedConnection,
}

impl Blmove {
    /// An empty one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let client = redis::Client::open(super::url(target)).map_err(failed)?;
        let connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
        Ok(Self { client, connection })
    }
}

#[async_trait]
impl Queue for Blmove {
    async fn put(&self, number: u64) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        redis::cmd("LPUSH").arg(WAITING).arg(number).exec_async(&mut connection).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        let mut running = Workers::new();
        for worker in 0..workers {
            // A command that blocks holds its whole connection up.
            let own = self.client.get_multiplexed_async_connection_with_config(&patient()).await.map_err(failed)?;
            running.spawn(work(own, format!("{{queue}}:running:{worker}"), Arc::clone(&done)));
        }
        Ok(running)
    }
}

fn patient() -> redis::AsyncConnectionConfig {
    redis::AsyncConnectionConfig::new().set_response_timeout(None)
}

async fn work(mut connection: MultiplexedConnection, own: String, done: Arc<Done>) -> Result<(), Error> {
    loop {
        let mut take = redis::cmd("BLMOVE");
        take.arg(WAITING).arg(&own).arg("RIGHT").arg("LEFT").arg(BLOCK_S);
        let Some(job) = take.query_async::<Option<u64>>(&mut connection).await.map_err(failed)? else { continue };
        let lease = format!("{{queue}}:lease:{job}");
        let mut hold = redis::cmd("SET");
        hold.arg(&lease).arg(&own).arg("NX").arg("PX").arg(LEASE_MS);
        hold.exec_async(&mut connection).await.map_err(failed)?;
        let mut finish = redis::pipe();
        finish.atomic().cmd("LREM").arg(&own).arg(1).arg(job).cmd("DEL").arg(&lease);
        finish.exec_async(&mut connection).await.map_err(failed)?;
        done.one();
    }
}
