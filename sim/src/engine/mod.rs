//! The engine process: the shipped scanners at their shipped intervals and batch sizes.

mod pass;
mod sweep;

use std::pin::Pin;
use std::sync::Arc;

use claimlab_model::port::Server;

pub use pass::{Counts, Kind, Scanner};

use crate::worker::Surroundings;
use crate::world::Party;

/// The scanners that a world runs, with their intervals in milliseconds.
const SCANNERS: [(Kind, u64); 6] = [
    (Kind::LeaseExpiry, 1_500),
    (Kind::DelayedPromoter, 750),
    (Kind::AttemptTimeout, 2_000),
    (Kind::ExecutionDeadline, 5_000),
    (Kind::SuspensionTimeout, 2_000),
    (Kind::Unblock, 5_000),
];

/// The engine's tasks.
pub fn scanners(party: &Party, surroundings: &Surroundings) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    SCANNERS
        .into_iter()
        .map(|(kind, interval_ms)| {
            let reads = Arc::new(party.backend(surroundings.partitions));
            let calls = party.trait_backend(surroundings.partitions);
            let scanner = Scanner::new(kind, reads, calls, Arc::clone(&surroundings.lanes), surroundings.partitions);
            let scan: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(run(scanner, party.clone(), interval_ms));
            scan
        })
        .collect()
}

/// Passes for ever, one interval from the start of one to the start of the next.
async fn run<S: Server>(mut scanner: Scanner<S>, party: Party, interval_ms: u64) {
    loop {
        let began_us = party.timer_us();
        scanner.pass().await;
        // A pass that took longer is followed at once.
        let took_us = party.timer_us().saturating_sub(began_us);
        party.sleep_us((interval_ms * 1_000).saturating_sub(took_us)).await;
    }
}
