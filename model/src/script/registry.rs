//! `ff_register_worker` and `ff_heartbeat_worker`.

use std::collections::BTreeSet;

use ff_core::types::TimestampMs;

use super::{Answer, Refusal};
use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::message::Done;
use crate::number::Double;
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
    lanes: &str,
    capabilities: &BTreeSet<String>,
    ttl_ms: u64,
    caller_now: TimestampMs,
) -> Answer {
    // The script hands its time to live over as it prints numbers: from 15 digits on that is no integer.
    if Double::from_count(ttl_ms).to_lua_string().parse::<i64>().is_err() {
        return Err(Refusal::RuntimeError("value is not an integer or out of range"));
    }
    if ttl_ms == 0 {
        return Err(Refusal::RuntimeError("invalid expire time in 'set' command"));
    }
    let alive = store.registry().get(namespace, instance).is_some_and(|held| held.is_alive(now));
    let until = now.plus_ms(ttl_ms);
    let registration = Registration {
        worker,
        lanes: lanes.to_owned(),
        capabilities: capabilities.iter().cloned().collect(),
        ttl_ms,
        registered_at: caller_now,
        last_heartbeat: caller_now,
        alive_until: Some(until),
        capabilities_until: Some(until),
        indexed: true,
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
    let live = held.filter(|held| held.is_alive(now) && held.has_capabilities(now));
    let Some(held) = live else {
        return Ok(Done::Ok("not_registered"));
    };
    let ttl_ms = held.ttl_ms;
    let until = Some(now.plus_ms(ttl_ms));
    let registration =
        Registration { alive_until: until, capabilities_until: until, last_heartbeat: caller_now, ..held };
    store.register(namespace, instance, registration);
    Ok(Done::Alive(ttl_ms))
}
