//! A lockstep in which a difference fails the test.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use claimlab::call::{Answer, Answerer, Call, Caller};
use claimlab::live::lockstep::{Lockstep, Step};
use ff_core::engine_backend::EngineBackend;

struct Strict(Mutex<Lockstep>);

#[async_trait]
impl Answerer for Strict {
    async fn answer(&self, call: Call) -> Answer {
        let mut lockstep = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lockstep.perform(&call).expect("the server answers") {
            Step::Same(answer) => *answer,
            Step::Differs(disagreement) => panic!("{disagreement}"),
        }
    }
}

/// The trait over both sides.
pub fn backend(lockstep: Lockstep) -> Arc<dyn EngineBackend> {
    Arc::new(Caller(Strict(Mutex::new(lockstep))))
}
