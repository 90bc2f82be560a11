//! The reference: the model, at once and on a clock of its own.

use std::sync::Arc;

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::time::ServerTime;
use ff_core::engine_backend::EngineBackend;

use super::deployment;
use super::subject::{Error, Subject};
use crate::call::{Answer, Call};
use crate::live::lockstep::{fresh_model, ready};
use crate::staging::sequence::START_MS;

/// The model.
#[derive(Debug)]
pub struct Reference {
    model: Arc<Immediate>,
    backend: Arc<ModelBackend<Arc<Immediate>>>,
}

impl Reference {
    /// An empty model.
    pub fn new() -> Self {
        let (model, backend) = fresh_model(&deployment(), Deviations::default(), ServerTime::from_ms(START_MS));
        Self { model, backend }
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for Reference {
    fn empty(&mut self) -> Result<(), Error> {
        *self = Self::new();
        Ok(())
    }

    fn now(&mut self) -> Result<ServerTime, Error> {
        Ok(self.model.now())
    }

    fn wait_until(&mut self, at: ServerTime) -> Result<(), Error> {
        self.model.set_now(at);
        Ok(())
    }

    fn perform(&mut self, call: &Call) -> Result<Answer, Error> {
        Ok(ready(call.perform(&*self.backend as &dyn EngineBackend)))
    }
}
