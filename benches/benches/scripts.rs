//! `scripts`: create → grant → claim → complete on the model alone, without trait, network or checks.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use claimlab_model::deviation::Deviations;
use claimlab_model::intern::Interner;
use claimlab_model::message::{Claim, Create, Done, HandleFields, IssueGrant, Message, Place, Reply, Script, Taker};
use claimlab_model::script::perform;
use claimlab_model::store::{Store, Submission};
use claimlab_model::time::ServerTime;
use claimlab_model::token::Secret;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ff_core::types::{AttemptId, ExecutionId, LaneId, LeaseId, Namespace, WorkerId, WorkerInstanceId};
use uuid::Uuid;

/// One life after the other on one growing store.
struct Lives {
    store: Store,
    ids: Interner,
    now: ServerTime,
    count: u128,
}

impl Lives {
    fn new() -> Self {
        let store = Store::new(Secret::new("k1", vec![7; 32]), Deviations::default());
        Self { store, ids: Interner::default(), now: ServerTime::from_ms(1_700_000_000_000), count: 0 }
    }

    fn run(&mut self, script: Script) -> Done {
        match perform(&mut self.store, self.now, &Message::Script(script)) {
            Reply::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    fn live(&mut self) {
        self.count += 1;
        self.now = self.now.plus_ms(1);
        let id = ExecutionId::parse(&format!("{{fp:{}}}:{}", self.count % 16, Uuid::from_u128(self.count)));
        let execution = self.ids.execution(&id.expect("an id"));
        let (lane, worker) = (self.ids.lane(&LaneId::new("default")), self.ids.worker(&WorkerId::new("w")));
        let instance = self.ids.instance(&WorkerInstanceId::new("w-1"));
        let partition = self.ids.partition(execution);
        let submission = Submission {
            namespace: self.ids.namespace(&Namespace::new("ns")),
            lane,
            kind: "task".into(),
            payload: Vec::new(),
            tags: BTreeMap::new(),
            policy: None,
            required: Vec::new(),
            creator: String::new(),
            partition_id: 0,
        };
        let create = Create {
            execution,
            name: self.ids.execution_name(execution).clone(),
            partition,
            submission,
            priority: 0,
            idempotency_key: None,
            delay_until: None,
            deadline_at: None,
        };
        self.run(Script::Create(Box::new(create)));
        let place = Place { execution, partition };
        let grant = IssueGrant { place, lane, worker, instance, capabilities: BTreeSet::new(), ttl_ms: 5_000 };
        self.run(Script::IssueClaimGrant(Box::new(grant)));
        let claim = Claim {
            taker: Taker {
                execution,
                worker,
                instance,
                lane,
                lease_id: LeaseId::from_uuid(Uuid::from_u128(self.count << 1)),
                ttl_ms: 30_000,
            },
            attempt_id: AttemptId::from_uuid(Uuid::from_u128(self.count << 1 | 1)),
            attempt_timeout_ms: None,
            deadline_at: None,
        };
        let Done::Leased(lease) = self.run(Script::Claim(Box::new(claim))) else { panic!("not claimed") };
        let held = HandleFields {
            execution,
            attempt_index: lease.attempt_index,
            fence: Some(lease.fence.clone()),
            lane,
            instance,
        };
        self.run(Script::Complete { held, payload: b"done".to_vec(), overriding: false });
    }
}

fn cycle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scripts");
    group.throughput(Throughput::Elements(1));
    group.bench_function("create-grant-claim-complete", |bench| {
        let mut lives = Lives::new();
        bench.iter(|| black_box(&mut lives).live());
    });
    group.finish();
}

criterion_group!(benches, cycle);
criterion_main!(benches);
