//! Situations of the registry: workers register, send heartbeats, and are declared dead.

use ff_core::contracts::{HeartbeatWorkerArgs, ListWorkersArgs, MarkWorkerDeadArgs, RegisterWorkerArgs};
use ff_core::types::{Namespace, WorkerId};

use super::super::scene::{LONG_MS, Probe, SHORT_MS, Scene, W, lane, who};
use super::{Family, at, of};
use crate::call::Call;

fn namespace() -> Namespace {
    Namespace::new("ns")
}

fn register(s: &mut Scene<'_>, worker: &str, ttl_ms: u64) -> Probe {
    let now = s.now()?;
    let (lanes, instance) = ([lane()].into(), who(W).1);
    let worker = WorkerId::new(worker);
    let args = RegisterWorkerArgs::new(worker, instance, lanes, [].into(), ttl_ms, namespace(), now);
    Ok(Call::RegisterWorker { args })
}

fn registered(s: &mut Scene<'_>, ttl_ms: u64) -> Result<(), super::super::scene::Stop> {
    let call = register(s, W, ttl_ms)?;
    s.right(call).map(drop)
}

fn heartbeat(s: &mut Scene<'_>) -> Probe {
    Ok(Call::HeartbeatWorker { args: HeartbeatWorkerArgs::new(who(W).1, namespace(), s.now()?) })
}

fn mark_dead(s: &mut Scene<'_>, reason: &str) -> Probe {
    Ok(Call::MarkWorkerDead { args: MarkWorkerDeadArgs::new(who(W).1, namespace(), reason.into(), s.now()?) })
}

fn list() -> Call {
    let mut args = ListWorkersArgs::new();
    args.namespace = Some(namespace());
    Call::ListWorkers { args }
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "register_worker",
        &[
            at("new", |s| register(s, W, LONG_MS)),
            at("repeated", |s| {
                registered(s, LONG_MS)?;
                register(s, W, LONG_MS)
            }),
            at("instance of another worker", |s| {
                registered(s, LONG_MS)?;
                register(s, "v", LONG_MS)
            }),
            at("again after its time", |s| {
                registered(s, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                register(s, W, LONG_MS)
            }),
        ],
    ),
    of(
        "heartbeat_worker",
        &[
            at("registered", |s| {
                registered(s, LONG_MS)?;
                heartbeat(s)
            }),
            at("never registered", heartbeat),
            at("after its time", |s| {
                registered(s, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                heartbeat(s)
            }),
            at("marked dead", |s| {
                registered(s, LONG_MS)?;
                let call = mark_dead(s, "reason")?;
                s.right(call)?;
                heartbeat(s)
            }),
        ],
    ),
    of(
        "mark_worker_dead",
        &[
            at("registered", |s| {
                registered(s, LONG_MS)?;
                mark_dead(s, "reason")
            }),
            at("never registered", |s| mark_dead(s, "reason")),
            at("reason with a line break", |s| {
                registered(s, LONG_MS)?;
                mark_dead(s, "two\nlines")
            }),
            at("reason too long", |s| {
                registered(s, LONG_MS)?;
                mark_dead(s, &"x".repeat(257))
            }),
        ],
    ),
    of(
        "list_workers",
        &[
            at("one is registered", |s| {
                registered(s, LONG_MS)?;
                Ok(list())
            }),
            at("none is registered", |_| Ok(list())),
            at("one's time is over", |s| {
                registered(s, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                Ok(list())
            }),
            at("of every namespace", |s| {
                registered(s, LONG_MS)?;
                Ok(Call::ListWorkers { args: ListWorkersArgs::new() })
            }),
        ],
    ),
];
