//! `lua/quota.lua`: `ff_create_quota_policy`, `ff_check_admission_and_record`, `ff_release_admission`.

use super::{Answer, Refusal};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{CheckAdmission, CreateQuotaPolicy, Done};
use crate::number::{Double, Score};
use crate::store::{QuotaPlace, Store};
use crate::time::ServerTime;

/// Defines a policy once and starts its counter at zero.
pub(super) fn create_quota_policy(store: &mut Store, args: &CreateQuotaPolicy) -> Answer {
    let quota = store.quotas_mut().entry(args.place);
    if quota.definition.is_some() {
        return Ok(Done::AlreadySatisfied("exists"));
    }
    quota.definition = Some(args.definition);
    quota.concurrency = Some(0);
    Ok(Done::Ok("created"))
}

/// Admits an execution unless the window or the counter is full.
///
/// Everything is decided by the caller's time and the caller's limits; only the guard, which makes a
/// second admission within the window free, expires by the server's clock. The counter is raised by
/// nothing else and lowered by a release alone.
pub(super) fn check_admission(store: &mut Store, now: ServerTime, args: &CheckAdmission) -> Answer {
    let window = Double::from_count(args.window_seconds).seconds_to_ms();
    let caller_now = Double::from_integer(args.now.0);
    let over_rate = store.deviations().has(Deviation::BugAdmitOverRate);
    let over_cap = store.deviations().has(Deviation::BugAdmitOverCap);
    let quota = store.quotas_mut().entry(args.place);
    if quota.is_guarded(args.execution, now) {
        return Ok(Done::Ok("already_admitted"));
    }
    quota.trim(&args.dimension, caller_now.minus(window).to_score());
    let inside = quota.windows.get(&args.dimension);
    let rate_limit = args.rate_limit + u64::from(over_rate);
    if args.rate_limit > 0 && inside.map_or(0, |inside| inside.len()) as u64 >= rate_limit {
        let oldest = inside.and_then(|inside| inside.values().min_by_key(|score| score.order_key()));
        let wait =
            oldest.map_or(Double::from_count(0), |oldest| oldest.to_double().plus(window).minus_to_zero(caller_now));
        let jitter = jitter(store, args.jitter_ms)?;
        return Ok(Done::RateExceeded(wait.plus(jitter).to_lua_string()));
    }
    if args.concurrency_cap > 0 {
        let active = Double::from_integer(quota.concurrency.unwrap_or(0));
        if active >= Double::from_count(args.concurrency_cap + u64::from(over_cap)) {
            return Ok(Done::Ok("concurrency_exceeded"));
        }
    }
    quota.windows.entry(args.dimension.clone()).or_default().insert(args.execution, Score::at_ms(args.now.0));
    if window.is_positive() {
        let length = window.to_integer_argument();
        let length = length.ok_or(Refusal::RuntimeError("value is not an integer or out of range"))?;
        quota.guards.insert(args.execution, now.plus_ms(length.unsigned_abs()));
    }
    if args.concurrency_cap > 0 {
        quota.concurrency = Some(quota.concurrency.unwrap_or(0) + 1);
    }
    quota.admitted.insert(args.execution);
    Ok(Done::Ok("admitted"))
}

fn jitter(store: &mut Store, highest_ms: u64) -> Result<Double, Refusal> {
    if highest_ms == 0 {
        return Ok(Double::from_count(0));
    }
    let drawn = Double::random_up_to(store.random().draw(), Double::from_count(highest_ms));
    drawn.ok_or(Refusal::RuntimeError("bad argument #2 to 'random' (interval is empty)"))
}

/// Gives a slot back without asking whether the execution has one. Its entry in the window stays.
pub(super) fn release_admission(store: &mut Store, place: QuotaPlace, execution: ExecutionNo) -> Answer {
    let twice = store.deviations().has(Deviation::BugReleaseSlotTwice);
    let quota = store.quotas_mut().entry(place);
    quota.guards.remove(&execution);
    quota.admitted.remove(&execution);
    if let Some(held) = quota.concurrency.as_mut().filter(|held| **held > 0) {
        *held -= 1 + i64::from(twice);
    }
    Ok(Done::Ok("released"))
}
