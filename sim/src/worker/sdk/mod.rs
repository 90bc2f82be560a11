//! The shipped worker inside a world: `ff-sdk`'s own `FlowFabricWorker` and `ClaimedTask`, unmodified,
//! over the party's way to the server.
//!
//! A process is a tokio runtime ([`host`]) in which an application polls the shipped worker and runs
//! what it claims. All that the worker does to the server leaves through the trait ([`bridge`]); its
//! clocks are its party's ([`clock`]). When the process dies the runtime goes, renewals and all.

mod bridge;
mod claim;
mod clock;
mod completion;
mod direct;
mod host;
mod task;
mod ward;

pub(super) use direct::{ShippedReclaims, deliver_signal};

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claimlab_model::invariant::Invariant;
use ff_sdk::{FlowFabricWorker, SdkError, WorkerConfig};

use super::listener::listen;
use super::native::Worker;
use super::{Identity, Surroundings, namespace, native};
use crate::call::Caller;
use crate::plan::WorkerPlan;
use crate::scenario::Entry;
use crate::world::{Broken, Party};
use bridge::{Bridge, Inside, as_loop};
use claim::Process;
use completion::Completions;
use host::Host;
use ward::Wards;

/// Runs a worker until its process dies.
pub(super) async fn run(party: Party, plan: WorkerPlan, entry: Entry, identity: Identity, surroundings: Surroundings) {
    let bridge = Bridge::default();
    let own_tasks = 1 + usize::from(plan.registers) + usize::from(plan.listens);
    let wards = Wards::default();
    let application = application(party.clone(), plan, entry, identity, surroundings, (bridge.clone(), wards.clone()));
    // Without a runtime there is no process; nothing else can fail here.
    if let Ok(host) = Host::new(party, bridge, wards, own_tasks, as_loop(application)) {
        host.await;
    }
}

async fn application(
    party: Party,
    plan: WorkerPlan,
    entry: Entry,
    identity: Identity,
    surroundings: Surroundings,
    (bridge, wards): (Bridge, Wards),
) {
    let inside = Inside::new(&party, bridge.clone(), wards.clone(), surroundings.partitions);
    let leases = Arc::clone(inside.leases());
    let (coverage, looks) = (Arc::clone(inside.coverage()), Arc::clone(inside.looks()));
    let backend: Arc<dyn ff_core::engine_backend::EngineBackend> = Arc::new(Caller(inside));
    let config = WorkerConfig {
        backend: None,
        worker_id: identity.worker.clone(),
        worker_instance_id: identity.instance.clone(),
        namespace: namespace(),
        lanes: plan.lanes.iter().map(|lane| ff_core::types::LaneId::new(lane.as_str())).collect(),
        capabilities: plan.capabilities.clone(),
        lease_ttl_ms: surroundings.lease_ttl_ms,
        claim_poll_interval_ms: plan.poll_ms,
        max_concurrent_tasks: plan.concurrency as usize,
        partition_config: Some(surroundings.partitions),
    };
    let completions = Arc::new(Completions::new(party.clone(), bridge.clone(), surroundings.partitions));
    // A plan's lanes and capabilities are checked with its scenario.
    let Ok(worker) = FlowFabricWorker::connect_with(config, Arc::clone(&backend), Some(completions)).await else {
        return;
    };
    if let Some(completions) = worker.completion_backend().filter(|_| plan.listens) {
        tokio::spawn(listen(completions));
    }
    // The application's own look at the queues, where it claims through grants.
    let mut own = Worker::new(party.clone(), Arc::clone(&backend), &plan, identity, surroundings);
    own.coverage = coverage;
    if plan.registers {
        own.register().await;
        let (party, bridge) = (party.clone(), bridge.clone());
        let sleep = move |timer_ms| {
            let (party, bridge) = (party.clone(), bridge.clone());
            async move { bridge.sleep_ms(&party, timer_ms).await }
        };
        tokio::spawn(native::heartbeats(own.party.clone(), backend, own.identity.clone(), sleep));
    }
    let mut process = Process::new(worker, own, bridge.clone(), leases, wards);
    loop {
        let looked = looks.load(Ordering::Relaxed);
        let claimed = match entry {
            Entry::ClaimNext => process.claim_next().await,
            Entry::ClaimViaServer => process.claim_via_server().await,
            Entry::ClaimFromGrants => process.claim_from_grants().await,
        };
        match claimed {
            Ok(Some(task)) => {
                drop(tokio::spawn(task.run()));
                continue;
            }
            Ok(None) => {
                // A worker without a permit does not even look.
                let refused = entry == Entry::ClaimNext && looks.load(Ordering::Relaxed) == looked;
                note_permits(process.own(), refused);
                process.own().found_nothing(entry);
            }
            Err(error) => note_permits(process.own(), matches!(error, SdkError::WorkerAtCapacity)),
        }
        bridge.sleep_ms(&party, plan.poll_ms).await;
    }
}

/// Notes whether a worker that runs less than it may was refused a permit.
fn note_permits(own: &Worker, refused: bool) {
    if !own.has_room() {
        return;
    }
    let detail = "a worker that runs less than it may was refused a permit".to_owned();
    let broken = Broken { execution: None, cause: "permit=refused", detail };
    own.party.hub().looked_at(Invariant::W02, refused.then_some(broken));
}
