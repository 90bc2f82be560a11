//! The floor: what the same client needs for nothing at all, at the same concurrency.
//!
//! A latency in microseconds is one of the machine and its minute; as a multiple of the floor it holds
//! where microseconds do not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use claimlab::stopwatch::Stopwatch;
use tokio::task::JoinSet;

use crate::closed_loop::{self, Measured};
use crate::error::Error;
use crate::lab::Deployed;
use crate::statistics::Commands;

/// What does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Floor {
    /// A command.
    Ping,
    /// A function of FlowFabric's own library that only answers: `ff_version`.
    Function,
}

impl Floor {
    /// Both.
    pub const ALL: &[Self] = &[Self::Ping, Self::Function];

    /// Its name, as results carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "floor:ping",
            Self::Function => "floor:function",
        }
    }

    /// One round trip.
    ///
    /// # Errors
    /// The client's.
    pub async fn perform(self, client: &ferriskey::Client) -> Result<(), Error> {
        match self {
            Self::Ping => {
                let _: ferriskey::Value = client.cmd("PING").execute().await?;
            }
            Self::Function => {
                let keys: [&str; 1] = ["{fp:0}:floor"];
                let _: ferriskey::Value = client.fcall("ff_version", &keys, &[] as &[&str]).await?;
            }
        }
        Ok(())
    }

    /// So many round trips through the harness.
    ///
    /// # Errors
    /// The client's.
    pub async fn measure(self, lab: &Deployed, count: usize, concurrency: usize) -> Result<Measured, Error> {
        // One count for each round trip, whatever the client is made of.
        let client = Arc::new(lab.client.clone());
        closed_loop::run((0..count).collect(), concurrency, move |_: usize| {
            let client = client.clone();
            async move { self.perform(&client).await }
        })
        .await
    }

    /// What it costs the server.
    ///
    /// # Errors
    /// The client's, and the server's.
    pub async fn count(self, lab: &Deployed) -> Result<Commands, Error> {
        let counter = lab.count().await?;
        self.perform(&lab.client).await?;
        Ok(counter.end().await?.each(1))
    }

    /// The same without harness: no clock and no histogram inside the loop. What it took in all.
    ///
    /// # Errors
    /// The client's.
    pub async fn bare(self, lab: &Deployed, count: usize, concurrency: usize) -> Result<Duration, Error> {
        let callers = concurrency.max(1);
        let mut running = JoinSet::new();
        let began = Stopwatch::start();
        for caller in 0..callers {
            let client = lab.client.clone();
            let own = count / callers + usize::from(caller < count % callers);
            running.spawn(async move {
                for _ in 0..own {
                    self.perform(&client).await?;
                }
                Ok::<_, Error>(())
            });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(began.elapsed())
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
