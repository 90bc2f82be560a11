//! `ff_register_worker` and `ff_heartbeat_worker`.

use std::collections::BTreeSet;

use ff_core::types::TimestampMs;

use super::{Answer, Refusal};
use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::message::Done;
use crate::number::Double;
use crate::store::{Lives, Registration, Store};
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
    let alive = store.registry().get(namespace, instance).is_some_and(|held| held.alive.on(now));
    let until = now.plus_ms(ttl_ms);
    let registration = Registration {
        worker,
        lanes: lanes.to_owned(),
        capabilities: capabilities.iter().cloned().collect(),
        ttl_ms,
        registered_at: caller_now,
        last_heartbeat: caller_now,
        alive: Lives::Until(until),
        advertised: Lives::Until(until),
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
    // The capability hash is read first; the alive key is only touched where that one exists.
    let held = store.registry_mut().get_mut(namespace, instance);
    let live = |held: &mut Registration| held.advertised.look(now) && held.alive.look(now);
    let Some(held) = held.and_then(|held| live(held).then_some(held)) else {
        return Ok(Done::Ok("not_registered"));
    };
    let until = Lives::Until(now.plus_ms(held.ttl_ms));
    (held.alive, held.advertised, held.last_heartbeat) = (until, until, caller_now);
    Ok(Done::Alive(held.ttl_ms))
}
