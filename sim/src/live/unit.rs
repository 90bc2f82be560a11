//! What of a world is delivered as one piece to the model and to a real server: a whole call, or a
//! single message.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claimlab_model::time::ServerTime;

use super::client::Deployment;
use super::record::Record;
use super::shadow::Shadow;
use super::twin::{Error, Twin};
use super::whole::Whole;

/// The real side of a world, by what is delivered as one piece.
#[derive(Clone)]
pub enum Unit {
    /// A call with everything that it asks of the server.
    Call(Arc<Mutex<Whole>>),
    /// One command or function call.
    Message(Arc<Mutex<Shadow>>),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Unit {
    /// Whole calls; each world ends after so many compared calls that ran a script, if a limit is given.
    pub fn calls(twin: Twin, limit: Option<u64>) -> Self {
        Self::Call(Arc::new(Mutex::new(Whole::new(twin, limit))))
    }

    /// Single messages; with the same limit.
    ///
    /// # Errors
    /// When the gate before the server cannot be opened.
    pub fn messages(twin: Twin, limit: Option<u64>) -> Result<Self, Error> {
        Ok(Self::Message(Arc::new(Mutex::new(Shadow::new(twin, limit)?))))
    }

    /// An empty server for the next world, in which somebody asks the scheduler or nobody does.
    ///
    /// # Errors
    /// When the server cannot be used any more, or the world cannot be compared so.
    pub fn next_world(&self, deployment: &Deployment, now: ServerTime, asks_scheduler: bool) -> Result<(), Error> {
        match self {
            Self::Call(whole) => lock(whole).next_world(deployment, now),
            Self::Message(shadow) => lock(shadow).next_world(deployment, now, asks_scheduler),
        }
    }

    /// Looks at what was counted.
    pub fn record<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        match self {
            Self::Call(whole) => look(lock(whole).record()),
            Self::Message(shadow) => look(lock(shadow).record()),
        }
    }
}
