//! The engine process: the shipped scanners at their shipped intervals and batch sizes.

use std::sync::Arc;

use claimlab_model::port::Server;

use super::Surroundings;
use crate::engine::{Scanner, ScannerKind};
use crate::world::{Party, Pass, TaskFuture};

/// The scanners that a world runs, with their intervals in milliseconds.
const SCANNERS: [(ScannerKind, u64); 6] = [
    (ScannerKind::LeaseExpiry, 1_500),
    (ScannerKind::DelayedPromoter, 750),
    (ScannerKind::AttemptTimeout, 2_000),
    (ScannerKind::ExecutionDeadline, 5_000),
    (ScannerKind::SuspensionTimeout, 2_000),
    (ScannerKind::Unblock, 5_000),
];

/// The engine's tasks.
pub(super) fn scanners(party: &Party, surroundings: &Surroundings) -> Vec<TaskFuture> {
    SCANNERS
        .into_iter()
        .map(|(kind, interval_ms)| {
            let reads = Arc::new(party.backend(surroundings.partitions));
            let calls = party.trait_backend(surroundings.partitions);
            let rounds = party.clone();
            // What a scanner sends is named by its pass and the partition, not by how much it has sent before.
            let named = move |pass: u64, partition: u16| {
                rounds.hub().name_current_task(&format!("engine {} pass {pass} partition {partition}", kind.name()));
            };
            let scanner = Scanner::new(kind, reads, calls, Arc::clone(&surroundings.lanes), surroundings.partitions)
                .with_rounds(Box::new(named));
            let scan: TaskFuture = Box::pin(run(scanner, kind, party.clone(), interval_ms));
            scan
        })
        .collect()
}

/// Passes for ever, one interval from the start of one to the start of the next.
async fn run<S: Server>(mut scanner: Scanner<S>, kind: ScannerKind, party: Party, interval_ms: u64) {
    loop {
        let began_us = party.timer_us();
        scanner.pass().await;
        match kind {
            ScannerKind::LeaseExpiry => party.hub().passed(Pass::LeaseExpiry, party.number()),
            ScannerKind::DelayedPromoter => party.hub().passed(Pass::DelayedPromoter, party.number()),
            _ => {}
        }
        // A pass that took longer is followed at once.
        let took_us = party.timer_us().saturating_sub(began_us);
        party.sleep_us((interval_ms * 1_000).saturating_sub(took_us)).await;
    }
}
