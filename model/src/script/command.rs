//! Plain commands of admission and administration: reads, and the few writes that clients send
//! without a function.

use super::find;
use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::message::{Answered, Command, CoreHash};
use crate::number::Double;
use crate::store::{Attached, Budget, BudgetPlace, Execution, Hash, Lives, Quota, QuotaPlace, Registration, Store};
use crate::time::ServerTime;

/// The dimension whose window the reconciler trims; admissions of the scheduler are in another.
const RECONCILED_DIMENSION: &str = "requests_per_window";

pub(super) fn perform(store: &mut Store, now: ServerTime, command: &Command) -> Answered {
    match command {
        Command::BudgetDefinition(place) => hash(store, *place, |budget| &budget.definition),
        Command::BudgetLimits(place) => hash(store, *place, |budget| &budget.limits),
        Command::BudgetUsage(place) => hash(store, *place, |budget| &budget.usage),
        Command::BudgetUsed(place, dimension) => {
            Answered::Text(store.budgets().get(*place).and_then(|budget| budget.usage.get(dimension).cloned()))
        }
        Command::BudgetResets { partition, up_to_ms, limit } => {
            let mut due: Vec<_> = store
                .budgets()
                .resets()
                .iter()
                .filter(|(place, score)| place.partition == *partition && score.is_due(*up_to_ms))
                .map(|(place, score)| (score.order_key(), place.budget))
                .collect();
            // Equal scores are in order of their members' texts, as ids are.
            due.sort_unstable();
            Answered::Ids(due.into_iter().map(|(_, budget)| budget).take(*limit as usize).collect())
        }
        Command::BudgetPolicies(partition) => Answered::Ids(store.budgets().policies(*partition).collect()),
        Command::ForgetBudget(place) => Answered::Count(store.budgets_mut().delist(*place).into()),
        Command::QuotaDefinition(place) => Answered::Quota(quota(store, *place).and_then(|quota| quota.definition)),
        Command::QuotaPolicies(partition) => Answered::Ids(store.quotas().policies(*partition).collect()),
        Command::TrimWindow { place, up_to_ms } => {
            let removed =
                store.quotas_mut().entry(*place).trim(RECONCILED_DIMENSION, Double::from_count(*up_to_ms).to_score());
            Answered::Count(removed as i64)
        }
        Command::WindowCount(place) => {
            let window = quota(store, *place).and_then(|quota| quota.windows.get(RECONCILED_DIMENSION));
            Answered::Count(window.map_or(0, |window| window.len() as i64))
        }
        Command::Admitted(place) => Answered::Executions(
            quota(store, *place).map_or_else(Vec::new, |quota| quota.admitted.iter().copied().collect()),
        ),
        Command::GuardExists(place, execution) => {
            Answered::Count(quota(store, *place).is_some_and(|quota| quota.is_guarded(*execution, now)).into())
        }
        Command::ForgetAdmitted(place, execution) => {
            Answered::Count(store.quotas_mut().entry(*place).admitted.remove(execution).into())
        }
        Command::Concurrency(place) => {
            Answered::Text(quota(store, *place).and_then(|quota| quota.concurrency).map(|count| count.to_string()))
        }
        Command::SetConcurrency(place, count) => {
            store.quotas_mut().entry(*place).concurrency = Some(*count);
            Answered::Count(1)
        }
        Command::SetAlive { namespace, worker, instance, ttl_ms } => {
            let is_new = !registered(store, *namespace, *instance, |held| held.alive.on(now));
            if is_new {
                let held = registration(store, *namespace, *worker, *instance);
                held.alive = Lives::Until(now.plus_ms(*ttl_ms));
            }
            Answered::Count(is_new.into())
        }
        Command::Advertise { namespace, instance, shown } => {
            let held = registration(store, *namespace, shown.worker, *instance);
            // A hash that has a time to live keeps it.
            let advertised = if held.advertised.look(now) { held.advertised } else { Lives::Always };
            *held = Registration { alive: held.alive, indexed: held.indexed, advertised, ..(**shown).clone() };
            Answered::Count(0)
        }
        Command::IndexWorker(namespace, instance) => {
            let is_new = !registered(store, *namespace, *instance, |held| held.indexed);
            write_registration(store, *namespace, *instance, |held| held.indexed = true);
            Answered::Count(is_new.into())
        }
        Command::DeleteAlive(namespace, instance) => {
            let existed = registered(store, *namespace, *instance, |held| held.alive.on(now));
            write_registration(store, *namespace, *instance, |held| held.alive = Lives::Gone);
            Answered::Count(existed.into())
        }
        Command::DeleteCapabilities(namespace, instance) => {
            let existed = registered(store, *namespace, *instance, |held| held.advertised.on(now));
            write_registration(store, *namespace, *instance, |held| held.advertised = Lives::Gone);
            Answered::Count(existed.into())
        }
        Command::ForgetWorker(namespace, instance) => {
            let existed = registered(store, *namespace, *instance, |held| held.indexed);
            write_registration(store, *namespace, *instance, |held| held.indexed = false);
            Answered::Count(existed.into())
        }
        Command::Workers(namespace) => Answered::Instances(store.registry().indexed(*namespace).collect()),
        Command::Worker(namespace, instance) => {
            let held = store.registry_mut().get_mut(*namespace, *instance);
            let held = held.and_then(|held| held.advertised.look(now).then_some(held));
            Answered::Worker(held.map(|held| Box::new(held.clone())))
        }
        Command::Lanes => Answered::Texts(store.lanes().clone()),
        Command::AllExecutions(partition) => {
            let all = store.executions().chain(store.remains());
            let members = all.filter(|found| found.partition == *partition && found.listed);
            Answered::Executions(members.map(|found| found.number).collect())
        }
        Command::Score { place, key } => {
            let score = find(store, now, *place).and_then(|found| found.score_in(*key));
            Answered::Text(score.map(|score| score.to_lua_string()))
        }
        Command::CoreHash(place) => Answered::Core(find(store, now, *place).map(|found| Box::new(core_hash(found)))),
        Command::Tag(number, tag) => {
            Answered::Text(store.execution(*number).and_then(|found| found.submission.tags.get(tag).cloned()))
        }
        Command::BudgetIds(place) => attached(find(store, now, *place), |attached| attached.budget_ids.clone()),
        Command::QuotaPolicyId(place) => {
            attached(find(store, now, *place), |attached| attached.quota_policy_id.clone())
        }
        Command::Attach { execution, budget_ids, quota_policy_id } => {
            if store.execution(*execution).is_some() {
                store.attach(*execution, |attached| {
                    attached.budget_ids = budget_ids.clone().or_else(|| attached.budget_ids.take());
                    attached.quota_policy_id = quota_policy_id.clone().or_else(|| attached.quota_policy_id.take());
                });
            }
            Answered::Count(0)
        }
    }
}

fn hash(store: &Store, place: BudgetPlace, of: impl FnOnce(&Budget) -> &Hash) -> Answered {
    Answered::Hash(store.budgets().get(place).map(of).cloned().unwrap_or_default())
}

fn quota(store: &Store, place: QuotaPlace) -> Option<&Quota> {
    store.quotas().get(place)
}

fn registered(
    store: &Store,
    namespace: NamespaceNo,
    instance: InstanceNo,
    holds: impl FnOnce(&Registration) -> bool,
) -> bool {
    store.registry().get(namespace, instance).is_some_and(holds)
}

/// The registration of an instance, made where there is none.
fn registration(
    store: &mut Store,
    namespace: NamespaceNo,
    worker: WorkerNo,
    instance: InstanceNo,
) -> &mut Registration {
    store.registry_mut().entry(namespace, instance, worker)
}

fn write_registration(
    store: &mut Store,
    namespace: NamespaceNo,
    instance: InstanceNo,
    write: impl FnOnce(&mut Registration),
) {
    if let Some(held) = store.registry_mut().get_mut(namespace, instance) {
        write(held);
    }
}

fn attached(found: Option<&Execution>, of: impl FnOnce(&Attached) -> Option<String>) -> Answered {
    Answered::Text(found.and_then(|found| of(&found.attached)))
}

fn core_hash(found: &Execution) -> CoreHash {
    CoreHash {
        name: found.name.clone(),
        submission: found.submission.clone(),
        core: found.core.clone(),
        reasons: found.reasons.clone(),
        attached: found.attached.clone(),
        blocking_detail: found.blocking_detail(),
    }
}
