//! Moves between two engines: calls that bring executions into the states that scanners look at, passes of the
//! scanners, and times at which something falls due.

#[cfg(feature = "strategies")]
mod draw;
pub mod due;
pub mod scene;

#[cfg(feature = "strategies")]
pub use draw::moves;
pub use scene::{End, Scene};

use ff_core::contracts::ClaimForWorkerArgs;
use ff_core::types::{LaneId, WorkerId, WorkerInstanceId};

use super::sequence::{LANES, Pick, Step};
use crate::call::Call;
use crate::scanner::ScannerKind;

/// One move of a sequence.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Move {
    /// A step of the clock or one call.
    Step(Step),
    /// A few right calls.
    Scene(Scene),
    /// One pass of a scanner.
    Pass(ScannerKind),
    /// An execution runs and suspends itself with a timeout.
    Park { execution: Pick, timeout: Pick, behavior: Pick },
    /// An execution runs and makes a waitpoint that no suspension uses.
    Pend { execution: Pick, expires: Pick },
    /// The clock goes to a time at which something falls due, or one millisecond beside it.
    Due { which: Pick, offset_ms: i8 },
    /// A worker asks the scheduler for work.
    Schedule { who: Pick, lane: Pick, capabilities: Pick, ttl: Pick },
}

/// A call of the scheduler.
pub fn schedule(who: Pick, lane: Pick, capabilities: Pick, ttl: Pick) -> Call {
    let capabilities: &[&str] = match capabilities % 5 {
        0 => &["cuda", "gpu", "日本-gpu"],
        1 => &["gpu"],
        2 => &[],
        3 => &["cpu"],
        _ => &["a,b"],
    };
    // Where the scheduler begins depends on the instance.
    let (worker, instance) = (WorkerId::new("w0"), WorkerInstanceId::new(format!("w0-{}", who % 8)));
    let args = ClaimForWorkerArgs::new(
        LaneId::new(LANES[usize::from(lane % 8 == 7)]),
        worker,
        instance,
        capabilities.iter().map(|token| (*token).to_owned()).collect(),
        [1_000, 30_000, 0, 1][usize::from(ttl % 4)],
    );
    Call::ClaimForWorker { args }
}
