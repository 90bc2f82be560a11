//! The shipped backend on a real Valkey, whose clock stands still but for what a situation waits.

use claimlab_model::time::ServerTime;
use claimlab_valkey::Server;

use super::deployment;
use super::subject::{Error, Subject};
use crate::call::{Answer, Call};
use crate::live::twin::{self, Twin};
use crate::staging::sequence::START_MS;

/// A real Valkey.
#[derive(Debug)]
pub struct Valkey {
    twin: Twin,
    now: ServerTime,
}

impl Valkey {
    /// Takes a server, and empties it.
    ///
    /// # Errors
    /// When it is not usable.
    pub fn start(server: Server) -> Result<Self, twin::Error> {
        let now = ServerTime::from_ms(START_MS);
        Ok(Self { twin: Twin::start(server, &deployment(), now)?, now })
    }
}

impl Subject for Valkey {
    fn empty(&mut self) -> Result<(), Error> {
        self.now = ServerTime::from_ms(START_MS);
        Ok(self.twin.reset(&deployment(), self.now)?)
    }

    fn now(&mut self) -> Result<ServerTime, Error> {
        Ok(self.now)
    }

    fn wait_until(&mut self, at: ServerTime) -> Result<(), Error> {
        self.now = at;
        Ok(())
    }

    fn perform(&mut self, call: &Call) -> Result<Answer, Error> {
        let (answer, _) = self.twin.perform(self.now, self.now.to_wire(), call)?;
        Ok(answer)
    }
}
