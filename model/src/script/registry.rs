//! `ff_register_worker` and `ff_heartbeat_worker`.

use std::collections::BTreeSet;

use ff_core::types::TimestampMs;

use super::{Answer, Refusal};
use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::message::Done;
use crate::store::{Registration, Store};
use crate::time::ServerTime;

/// Writes a registration; one that was alive is replaced silently, worker id included.
#[allow(clippy::too_many_arguments)]
pub(super) fn register_worker(
    store: &mut Store,
    now: ServerTime,
    namespace: NamespaceNo,
    worker: WorkerNo,
    instance: InstanceNo,
    capabilities: &BTreeSet<String>,
    ttl_ms: u64,
    caller_now: TimestampMs,
) -> Answer {
    if ttl_ms == 0 {
        return Err(Refusal::RuntimeError("invalid expire time in 'set' command"));
    }
    let alive = store.registry().get(namespace, instance).is_some_and(|held| held.alive_until >= now);
    let until = now.plus_ms(ttl_ms);
    let registration = Registration {
        worker,
        capabilities: capabilities.iter().cloned().collect(),
        ttl_ms,
        last_heartbeat: caller_now,
        alive_until: until,
        capabilities_until: until,
    };
    store.register(namespace, instance, registration);
    Ok(Done::Ok(if alive { "refreshed" } else { "registered" }))
}

/// Extends a live registration by its own time to live.
pub(super) fn heartbeat_worker(
    store: &mut Store,
    now: ServerTime,
    namespace: NamespaceNo,
    instance: InstanceNo,
    caller_now: TimestampMs,
) -> Answer {
    let held = store.registry().get(namespace, instance).cloned();
    let live = held.filter(|held| held.alive_until >= now && held.capabilities_until >= now);
    let Some(held) = live else {
        return Ok(Done::Ok("not_registered"));
    };
    let ttl_ms = held.ttl_ms;
    let until = now.plus_ms(ttl_ms);
    let registration =
        Registration { alive_until: until, capabilities_until: until, last_heartbeat: caller_now, ..held };
    store.register(namespace, instance, registration);
    Ok(Done::Alive(ttl_ms))
}
