//! The engine process: the shipped scanners at their shipped intervals and batch sizes.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use claimlab_model::port::Server;
use ff_core::completion_backend::CompletionBackend as _;
use ff_core::types::LaneId;

use super::Surroundings;
use crate::engine::{RETENTION_MS, Scanner};
use crate::plan::EnginePlan;
use crate::scanner::ScannerKind;
use crate::scenario::DEFAULT_SCANNERS;
use crate::world::{Party, Pass, TaskFuture};

/// The engine's tasks: what the plan names, or what an engine has to look after everywhere.
pub(super) fn tasks(party: &Party, surroundings: &Surroundings, plan: Option<&EnginePlan>) -> Vec<TaskFuture> {
    let kinds = match plan {
        Some(plan) => plan.scanners.iter().filter_map(|name| ScannerKind::parse(name)).collect(),
        None => DEFAULT_SCANNERS.to_vec(),
    };
    let lanes: Arc<[LaneId]> = match plan {
        Some(plan) => plan.lanes.iter().map(|lane| LaneId::new(lane.as_str())).collect(),
        None => Arc::clone(&surroundings.lanes),
    };
    let batch = plan.and_then(|plan| plan.batch);
    let retention_ms = plan.and_then(|plan| plan.retention_ms).unwrap_or(RETENTION_MS);
    let scan = |kind: ScannerKind| -> TaskFuture {
        let reads = Arc::new(party.backend(surroundings.partitions));
        let calls = party.trait_backend(surroundings.partitions);
        let rounds = party.clone();
        // What a scanner sends is named by its pass and the partition, not by how much it has sent before.
        let named = move |pass: u64, partition: u16| {
            let engine = rounds.hub().process(rounds.number());
            rounds.hub().name_current_task(&format!("{engine} {} pass {pass} partition {partition}", kind.name()));
        };
        let scanner = Scanner::new(kind, reads, calls, Arc::clone(&lanes), surroundings.partitions)
            .with_batch(batch)
            .with_retention(retention_ms)
            .with_rounds(Box::new(named));
        Box::pin(run(scanner, kind, party.clone(), kind.interval_ms()))
    };
    let mut tasks: Vec<TaskFuture> = kinds.into_iter().map(scan).collect();
    if plan.is_some_and(|plan| plan.cascades) {
        tasks.push(Box::pin(cascade(party.clone(), surroundings.clone())));
    }
    tasks
}

/// Listens to completions and resolves what waits for each (`ff-engine/src/completion_listener.rs`).
async fn cascade(party: Party, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let listening = Arc::new(party.backend(surroundings.partitions));
    let Ok(mut heard) = listening.subscribe_completions().await else { return };
    // An execution can end again after a replay; each end has a name of its own.
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(payload) = poll_fn(|context| heard.as_mut().poll_next(context)).await {
        let backend = Arc::clone(&backend);
        let end = ends.entry(payload.execution_id.to_string()).or_default();
        *end += 1;
        let name = format!("cascading {} #{end}", payload.execution_id);
        // One that fails is left to the reconciler.
        party.spawn_named(&name, async move { drop(backend.cascade_completion(&payload).await) });
    }
}

/// Passes for ever, one interval from the start of one to the start of the next.
async fn run<S: Server>(mut scanner: Scanner<S>, kind: ScannerKind, party: Party, interval_ms: u64) {
    loop {
        let began_us = party.timer_us();
        scanner.pass().await;
        party.hub().passed(Pass::Scanner(kind), party.number());
        // A pass that took longer is followed at once.
        let took_us = party.timer_us().saturating_sub(began_us);
        party.sleep_us((interval_ms * 1_000).saturating_sub(took_us)).await;
    }
}
