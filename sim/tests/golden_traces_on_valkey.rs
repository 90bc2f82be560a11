//! The golden traces again, each call made on the real server too.

#[path = "../../model/tests/common/mod.rs"]
mod common;
#[path = "../../model/tests/golden/traces.rs"]
mod traces;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use claimlab::call::{Answer, Answerer, Call, Caller};
use claimlab::live::lockstep::{Lockstep, Step};
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Server, own_clock, relaunch_with};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::LaneId;

/// A lockstep in which a difference fails the test.
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

/// The model and a private server in step. The shipped client needs a clock of its own, so the program
/// is started again for this test; here the model alone goes on when that has passed.
fn open(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    if own_clock().expect("the clock's cell is there").is_none() {
        let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
        let code = relaunch_with([name.as_str(), "--exact", "--nocapture"]).expect("the program starts again");
        assert_eq!(code, 0, "{name} failed on the real server");
        return common::model(deviations);
    }
    let server = Server::start(common::START_MS).expect("valkey-server starts");
    let now = ServerTime::from_ms(common::START_MS);
    let lockstep = Lockstep::start(server, common::partitions(), &[LaneId::new("default")], deviations, now);
    let lockstep = lockstep.expect("the shipped backend is set up");
    let model = Arc::clone(lockstep.model());
    (model, Arc::new(Caller(Strict(Mutex::new(lockstep)))))
}
