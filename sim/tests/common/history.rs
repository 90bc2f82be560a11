//! Histories of plans.

use std::sync::{Arc, Mutex};

use claimlab::campaign::replay;
use claimlab::history::Recorder;
use claimlab::plan::Plan;

/// An output that several owners share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What happens when a plan runs, line by line.
pub fn history(plan: &Arc<Plan>) -> String {
    let shared = Shared::default();
    let (recorder, _) = Recorder::new(shared.clone());
    replay(plan, vec![Box::new(recorder)]);
    let bytes = shared.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
