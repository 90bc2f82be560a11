//! `lua/budget.lua`: `ff_create_budget`, `ff_report_usage_and_check`, `ff_record_spend`,
//! `ff_release_budget`, `ff_reset_budget`.

use ff_core::types::TimestampMs;

use super::{Answer, Refusal};
use crate::intern::ExecutionNo;
use crate::message::{Breach, CreateBudget, Done, Spend};
use crate::number::Double;
use crate::store::{BudgetPlace, Hash, Store};
use crate::time::ServerTime;

/// How long a report's deduplication id is remembered.
const DEDUP_TTL_MS: u64 = 86_400_000;

const NOT_AN_INTEGER: &str = "value is not an integer or out of range";
const HASH_NOT_AN_INTEGER: &str = "hash value is not an integer";
const OVERFLOW: &str = "increment or decrement would overflow";

/// Defines a budget once. The index gets it in any case; a definition that a report or a reset left
/// behind counts as one, so that such a budget never gets its limits.
pub(super) fn create_budget(store: &mut Store, args: &CreateBudget) -> Answer {
    let budgets = store.budgets_mut();
    budgets.enlist(args.place);
    let budget = budgets.entry(args.place);
    if !budget.definition.is_empty() {
        return Ok(Done::AlreadySatisfied("exists"));
    }
    let now = args.now.to_string();
    let interval = args.reset_interval_ms.to_string();
    let id = args.place.budget.to_string();
    for (field, value) in [
        ("budget_id", id.as_str()),
        ("scope_type", &args.scope_type),
        ("scope_id", &args.scope_id),
        ("enforcement_mode", &args.enforcement_mode),
        ("on_hard_limit", &args.on_hard_limit),
        ("on_soft_limit", &args.on_soft_limit),
        ("reset_interval_ms", &interval),
        ("breach_count", "0"),
        ("soft_breach_count", "0"),
        ("created_at", &now),
        ("last_updated_at", &now),
    ] {
        set(&mut budget.definition, field, value);
    }
    for (dimension, hard, soft) in &args.dimensions {
        budget.limits.insert(format!("hard:{dimension}"), hard.to_string());
        budget.limits.insert(format!("soft:{dimension}"), soft.to_string());
    }
    if args.reset_interval_ms > 0 {
        schedule(store, args.place, args.now, Double::from_count(args.reset_interval_ms));
    }
    Ok(Done::Ok("created"))
}

/// Checks every hard limit, then counts every dimension, then looks at the soft limits.
///
/// Each dimension is checked against what was used before, so that one named twice can pass its limit.
/// A number that the server does not take for an integer ends the script where it stands: what was
/// counted before stays counted.
pub(super) fn spend(store: &mut Store, now: ServerTime, args: &Spend) -> Answer {
    let budgets = store.budgets_mut();
    let dedup = args.dedup.as_deref();
    if dedup.is_some_and(|dedup| budgets.is_applied(args.place.partition, dedup, now)) {
        return Ok(Done::Ok("already_applied"));
    }
    let now_text = args.now.to_string();
    let budget = budgets.entry(args.place);
    for (dimension, delta) in &args.deltas {
        let current = number(&budget.usage, dimension)?;
        let Some(limit_text) = budget.limits.get(&format!("hard:{dimension}")).cloned() else { continue };
        let limit = parse(&limit_text)?;
        if limit.is_positive() && current.plus(Double::from_count(*delta)) > limit {
            count(&mut budget.definition, "breach_count", Double::from_count(1))?;
            set(&mut budget.definition, "last_breach_at", &now_text);
            set(&mut budget.definition, "last_breach_dim", dimension);
            set(&mut budget.definition, "last_updated_at", &now_text);
            return Ok(breach(true, dimension, current.to_lua_string(), limit_text));
        }
    }
    let mut softly = None;
    for (dimension, delta) in &args.deltas {
        let delta = Double::from_count(*delta);
        let total = count(&mut budget.usage, dimension, delta)?;
        if let Some(execution) = args.execution {
            count(budget.by_execution.entry(execution).or_default(), dimension, delta)?;
        }
        let Some(limit) = budget.limits.get(&format!("soft:{dimension}")) else { continue };
        let limit = parse(limit)?;
        if limit.is_positive() && total > limit && softly.is_none() {
            softly = Some((dimension, limit));
        }
    }
    if let Some(execution) = args.execution {
        budget.spenders.insert(execution);
    }
    set(&mut budget.definition, "last_updated_at", &now_text);
    let answer = match softly {
        None => Done::Ok("ok"),
        Some((dimension, limit)) => {
            let current = number(&budget.usage, dimension)?.to_lua_string();
            breach(false, dimension, current, limit.to_lua_string())
        }
    };
    if let Some(dedup) = dedup {
        budgets.remember(args.place.partition, dedup, now.plus_ms(DEDUP_TTL_MS));
    }
    if softly.is_some() {
        count(&mut budgets.entry(args.place).definition, "soft_breach_count", Double::from_count(1))?;
    }
    Ok(answer)
}

/// Takes back what an execution spent, never below zero. Without a ledger nothing happens, and the
/// index of spenders keeps its member.
pub(super) fn release_budget(store: &mut Store, place: BudgetPlace, execution: ExecutionNo) -> Answer {
    let budget = store.budgets_mut().entry(place);
    let ledger = match budget.by_execution.get(&execution) {
        Some(ledger) if !ledger.is_empty() => ledger.clone(),
        _ => return Ok(Done::Ok("noop")),
    };
    for (dimension, spent) in &ledger {
        let spent = Double::from_text(spent).unwrap_or(Double::from_count(0));
        if spent.is_positive() {
            let rest = number(&budget.usage, dimension)?.minus_to_zero(spent);
            set(&mut budget.usage, dimension, &rest.to_lua_string());
        }
    }
    budget.by_execution.remove(&execution);
    budget.spenders.remove(&execution);
    Ok(Done::Ok("released"))
}

/// Sets every usage field to zero and moves the next reset; ledgers and breach counts stay.
///
/// A budget that nobody created gets a definition of five fields.
pub(super) fn reset_budget(store: &mut Store, place: BudgetPlace, now: TimestampMs) -> Answer {
    let budgets = store.budgets_mut();
    let budget = budgets.entry(place);
    for used in budget.usage.values_mut() {
        *used = "0".into();
    }
    count(&mut budget.definition, "reset_count", Double::from_count(1))?;
    let now_text = now.to_string();
    set(&mut budget.definition, "last_reset_at", &now_text);
    set(&mut budget.definition, "last_updated_at", &now_text);
    set(&mut budget.definition, "last_breach_at", "");
    set(&mut budget.definition, "last_breach_dim", "");
    let interval = number(&budget.definition, "reset_interval_ms")?;
    if interval.is_positive() {
        return Ok(Done::NextReset(schedule(store, place, now, interval)));
    }
    budgets.schedule(place, None);
    Ok(Done::NextReset("0".into()))
}

/// Writes the next reset into definition and index; gives its text, which is also where its score comes from.
fn schedule(store: &mut Store, place: BudgetPlace, now: TimestampMs, interval: Double) -> String {
    let next = Double::from_integer(now.0).plus(interval).to_lua_string();
    let budgets = store.budgets_mut();
    set(&mut budgets.entry(place).definition, "next_reset_at", &next);
    budgets.schedule(place, Double::from_text(&next).map(Double::to_score));
    next
}

fn breach(hard: bool, dimension: &str, current: String, limit: String) -> Done {
    Done::Breach(Box::new(Breach { hard, dimension: dimension.to_owned(), current, limit }))
}

fn set(hash: &mut Hash, field: &str, value: &str) {
    hash.insert(field.to_owned(), value.to_owned());
}

/// `tonumber(HGET … or "0")`.
fn number(hash: &Hash, field: &str) -> Result<Double, Refusal> {
    hash.get(field).map_or(Ok(Double::from_count(0)), |text| parse(text))
}

fn parse(text: &str) -> Result<Double, Refusal> {
    Double::from_text(text).ok_or(Refusal::RuntimeError(super::COMPARED_WITH_NIL))
}

/// `HINCRBY`.
fn count(hash: &mut Hash, field: &str, delta: Double) -> Result<Double, Refusal> {
    let delta = delta.to_integer_argument().ok_or(Refusal::RuntimeError(NOT_AN_INTEGER))?;
    let held = match hash.get(field) {
        Some(text) => text.parse::<i64>().map_err(|_| Refusal::RuntimeError(HASH_NOT_AN_INTEGER))?,
        None => 0,
    };
    let total = held.checked_add(delta).ok_or(Refusal::RuntimeError(OVERFLOW))?;
    hash.insert(field.to_owned(), total.to_string());
    Ok(Double::from_integer(total))
}
