//! The golden traces again, each call made on the real server too.

#[path = "../../model/tests/common/mod.rs"]
mod common;
#[path = "common/strict.rs"]
mod strict;
#[path = "../../model/tests/golden/traces.rs"]
mod traces;

use std::sync::Arc;

use claimlab::live::lockstep::Lockstep;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Server, own_clock, relaunch_with};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::LaneId;

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
    (model, strict::backend(lockstep))
}
