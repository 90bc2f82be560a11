//! What answers the situations: one backend with a clock, empty at the start of each.

use claimlab_model::time::ServerTime;
use ff_core::contracts::IssueClaimGrantArgs;
use ff_core::types::ExecutionId;

use crate::call::{Answer, Call};
use crate::live::twin;

/// Why a backend could not be asked; none of these is an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable Valkey.
    #[error(transparent)]
    Valkey(#[from] twin::Error),
    /// No usable database.
    #[cfg(feature = "databases")]
    #[error(transparent)]
    Database(#[from] super::databases::Error),
}

/// One backend.
pub trait Subject {
    /// Empties it for the next situation.
    ///
    /// # Errors
    /// When it cannot be used any more.
    fn empty(&mut self) -> Result<(), Error>;

    /// The server's clock.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn now(&mut self) -> Result<ServerTime, Error>;

    /// Lets time pass until the server's clock shows this or, where it runs by itself, a little more.
    ///
    /// # Errors
    /// When the clock cannot be moved or read.
    fn wait_until(&mut self, at: ServerTime) -> Result<(), Error>;

    /// Performs a call.
    ///
    /// # Errors
    /// When nobody knows what it did.
    fn perform(&mut self, call: &Call) -> Result<Answer, Error>;

    /// Whether a worker gets its handle from `claim`, not from a grant and `claim_execution`.
    fn claims_by_lane(&self) -> bool {
        false
    }

    /// Whether a lapsed lease must be marked before another worker may reclaim it.
    fn marks_leases(&self) -> bool {
        true
    }

    /// Marks a lapsed lease reclaimable by hand; tells whether that was needed.
    ///
    /// # Errors
    /// When the database refuses it.
    fn mark(&mut self, _id: &ExecutionId) -> Result<bool, Error> {
        Ok(false)
    }

    /// Makes a created execution claimable by hand; tells whether that was needed.
    ///
    /// # Errors
    /// When the database refuses it.
    fn promote(&mut self, _id: &ExecutionId) -> Result<bool, Error> {
        Ok(false)
    }

    /// Writes a claim grant by hand; tells whether that was needed.
    ///
    /// # Errors
    /// When the database refuses it.
    fn grant(&mut self, _args: &IssueClaimGrantArgs) -> Result<bool, Error> {
        Ok(false)
    }
}
