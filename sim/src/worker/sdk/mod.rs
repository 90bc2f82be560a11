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
mod ids;
mod task;
mod ward;

pub(super) use direct::{ShippedReclaims, deliver_signal};

use std::sync::{Arc, PoisonError};

use claimlab_model::invariant::WorkerFact;
use ff_sdk::{FlowFabricWorker, SdkError, WorkerConfig};

use super::listener::listen;
use super::native::Worker;
use super::{Identity, Surroundings, namespace, native};
use crate::call::Caller;
use crate::plan::WorkerPlan;
use crate::scenario::Entry;
use crate::world::Party;
use bridge::{Bridge, Inside};
use claim::Process;
use completion::Completions;
use host::Host;
use ward::Wards;

/// What the random choices of a process's own runtime depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuntimeSeed {
    pub(super) seed: u64,
    pub(super) party: u32,
    pub(super) life: u32,
}

impl RuntimeSeed {
    fn bytes(self) -> [u8; 16] {
        let bits = u128::from(self.seed) << 64 | u128::from(self.party) << 32 | u128::from(self.life);
        bits.to_be_bytes()
    }
}

/// Runs a worker until its process dies.
pub(super) async fn run(
    party: Party,
    plan: WorkerPlan,
    entry: Entry,
    identity: Identity,
    surroundings: Surroundings,
    seed: RuntimeSeed,
) {
    let bridge = Bridge::default();
    let own_tasks = 1 + usize::from(plan.registers) + usize::from(plan.listens);
    let wards = Wards::default();
    let application = application(party.clone(), plan, entry, identity, surroundings, (bridge.clone(), wards.clone()));
    // Without a runtime there is no process; nothing else can fail here.
    if let Ok(host) = Host::new(party, bridge, wards, own_tasks, seed, application) {
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
    let rounds = Arc::clone(inside.rounds());
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
    own.rounds = Arc::clone(&rounds);
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
    let looks = || rounds.lock().unwrap_or_else(PoisonError::into_inner).looks();
    loop {
        let looked = looks();
        let claimed = match entry {
            Entry::ClaimNext => process.claim_next().await,
            Entry::ClaimViaServer => process.claim_via_server().await,
            // The shipped worker has no such loop of its own.
            Entry::ClaimFromGrants | Entry::Claim => process.claim_from_grants().await,
        };
        match claimed {
            Ok(Some(task)) => {
                process.own().found_work();
                drop(tokio::spawn(task.run()));
                continue;
            }
            Ok(None) => {
                // A worker without a permit does not even look.
                let refused = entry == Entry::ClaimNext && looks() == looked;
                note_permits(process.own(), refused);
                process.own().found_nothing(entry);
            }
            Err(error) => {
                note_permits(process.own(), matches!(error, SdkError::WorkerAtCapacity));
                process.own().gave_up(entry);
            }
        }
        bridge.sleep_ms(&party, plan.poll_ms).await;
    }
}

/// Notes whether a worker that runs less than it may was refused a permit.
fn note_permits(own: &Worker, refused: bool) {
    if own.has_room() {
        own.party.hub().told(WorkerFact::PermitAsked { refused });
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use ff_core::partition::PartitionConfig;
    use ff_core::types::{ExecutionId, LeaseEpoch, WorkerId, WorkerInstanceId};

    use super::*;
    use crate::clock::PartyClock;
    use crate::plan::PartyKey;
    use crate::scenario::{Player, parse};
    use crate::world::{Ears, Hub};

    fn party() -> Party {
        let hub = Hub::new(&plan(), Ears::default());
        let number = hub.add_party(PartyKey(PartyKey::WORKERS), PartyClock::default(), Some(1));
        Party::new(hub, number)
    }

    fn plan() -> crate::plan::Plan {
        let text = "[world]\npartitions = 1\nfor_ms = 1\n\n[workers]\ncount = 1\n\n[work]\nrun_ms = [1, 1]\n";
        crate::plan::draw(&parse(std::path::Path::new("one.toml"), text).unwrap(), 1)
    }

    fn own(party: &Party) -> Worker {
        let partitions = PartitionConfig::default();
        let backend = party.trait_backend(partitions);
        let plan = plan().workers.pop().unwrap();
        let surroundings = Surroundings {
            partitions,
            lanes: Arc::new([]),
            lease_ttl_ms: 1,
            schedulers: Arc::new([]),
            signaller: crate::worker::Asked { position: 0, backend: Arc::clone(&backend) },
            ledger: Arc::default(),
            shelf: Arc::default(),
        };
        let identity = Identity { worker: WorkerId::new("w"), instance: WorkerInstanceId::new("i") };
        assert_eq!(plan.player, Player::Native);
        Worker::new(party.clone(), backend, &plan, identity, surroundings)
    }

    fn run(party: &Party) -> crate::world::RunNo {
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let execution = party.hub().ids().execution(&id);
        party.hub().run_started(party.number(), execution, LeaseEpoch(1))
    }

    #[test]
    fn a_permit_that_does_not_come_back_is_told() {
        let party = party();
        let own = own(&party);
        let run = run(&party);
        note_permits(&own, true);
        assert_eq!(party.hub().end_sleeps(), [], "a worker that runs all it may has no permit left");
        party.hub().run_ended(party.number(), run);
        note_permits(&own, false);
        note_permits(&own, true);
        let asked = [false, true].map(|refused| WorkerFact::PermitAsked { refused });
        assert_eq!(party.hub().end_sleeps(), asked);
    }

    #[test]
    fn what_goes_on_when_the_last_task_has_ended_is_told() {
        for (leaves_a_task, left) in [(false, 0), (true, 1)] {
            let party = party();
            let bridge = Bridge::default();
            let inside = bridge.clone();
            let waits = party.clone();
            let task = async move {
                inside.sleep_ms(&waits, 5).await;
                if leaves_a_task {
                    tokio::spawn(std::future::pending::<()>());
                }
                loop {
                    inside.sleep_ms(&waits, 5).await;
                }
            };
            let mut host = std::pin::pin!(
                Host::new(party.clone(), bridge, Wards::default(), 1, RuntimeSeed { seed: 1, party: 0, life: 0 }, task)
                    .unwrap()
            );
            let mut poll = |at_ms| {
                party.hub().enter(crate::clock::TrueTime::from_ms(at_ms), 0, party.number());
                let _ = party.hub().end_sleeps();
                let _ = host.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            };
            let run = run(&party);
            poll(0);
            poll(5);
            party.hub().run_ended(party.number(), run);
            poll(10);
            assert_eq!(party.hub().end_sleeps(), [WorkerFact::LastTaskEnded { left }]);
        }
    }
}
