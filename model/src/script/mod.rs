//! The atomic functions of the shipped library, one family a file.
//!
//! Each is a pure step: store, server time and arguments in; a reply out, with the store's list of
//! changes beside it. Checks stand in the order in which `ff-script/src/flowfabric.lua` evaluates
//! them, since the first that fails decides the answer. Nothing here is repaired: what the shipped
//! functions forget, these forget too, unless a [`crate::deviation::Deviation`] says otherwise.

mod block;
mod budget;
mod cancel;
mod children;
mod claim;
mod command;
mod create;
mod delay;
mod dependency;
mod expire;
mod fence;
mod finish;
mod flow;
mod flow_cancel;
mod grant;
mod lease;
mod operator;
mod parked;
mod priority;
mod quota;
mod read;
mod reclaim;
mod registry;
mod replay;
mod resume;
mod secret;
mod signal;
mod suspend;
mod upkeep;
mod vector;
mod waitpoint;

pub use crate::message::Refusal;

use crate::message::{Done, FlowScript, Message, Place, Reply, Script};
use crate::store::{Execution, IndexKey, Store};
use crate::time::ServerTime;

/// What comparing a number with an empty field makes of a script.
const COMPARED_WITH_NIL: &str = "attempt to compare number with nil";

type Answer = Result<Done, Refusal>;

/// Performs one message at a server time. The store's list of changes then holds what it did.
pub fn perform(store: &mut Store, now: ServerTime, message: &Message) -> Reply {
    store.forget_changes();
    match message {
        Message::Script(script) => match run(store, now, script) {
            Ok(done) => Reply::Done(done),
            Err(refusal) => Reply::Refused(refusal),
        },
        Message::Command(command) => Reply::Answered(command::perform(store, now, command)),
        Message::Upkeep(command) => Reply::Kept(upkeep::perform(store, command)),
        Message::Flow(read) => Reply::Flow(read::flow(store, read)),
        Message::Time => Reply::Time(now),
        Message::Core(number) => Reply::Core(read::core(store, *number)),
        Message::Context(number) => Reply::Context(read::context(store, *number)),
        Message::Description(number) => Reply::Description(read::description(store, *number)),
        Message::Policy(number) => Reply::RetryPolicy(read::retry_policy(store, *number)),
        Message::Required(number) => Reply::Required(read::required(store, *number)),
        Message::Result(number) => Reply::Result(read::result(store, *number)),
        Message::Range { partition, key, up_to_ms, limit } => {
            Reply::Members(read::range(store, *partition, *key, *up_to_ms, *limit))
        }
        Message::RegisteredCapabilities(namespace) => {
            Reply::Capabilities(store.registry().capabilities(*namespace, now))
        }
        Message::Suspension(number) => Reply::Suspension(parked::suspension(store, *number)),
        Message::TotalMatchers(number, waitpoint) => Reply::Count(parked::total_matchers(store, *number, waitpoint)),
        Message::Matcher(number, waitpoint, index) => {
            Reply::Matched(parked::matcher(store, *number, waitpoint, *index))
        }
        Message::Signals(number, ids) => Reply::Signals(parked::signals(store, *number, ids)),
        Message::Token { partition, waitpoint } => Reply::Text(parked::token(store, *partition, waitpoint)),
        Message::Waitpoints(number) => Reply::Waitpoints(parked::waitpoints(store, *number)),
        Message::WaitpointHeads(number, ids) => Reply::WaitpointHeads(parked::heads(store, *number, ids)),
        Message::MatcherNames(number, ids) => Reply::Names(parked::matcher_names(store, *number, ids)),
        Message::SuspendedLanes(partition) => Reply::Lanes(parked::suspended_lanes(store, *partition)),
        Message::SuspendedMembers(partition, lanes) => {
            Reply::Members(parked::suspended_members(store, *partition, lanes))
        }
        Message::SuspensionReasons(executions) => Reply::Reasons(parked::reasons(store, executions)),
        Message::PendingWaitpoints { partition, up_to_ms, limit } => {
            Reply::Waitpoints(parked::pending(store, *partition, *up_to_ms, *limit))
        }
        Message::WaitpointOwner(partition, waitpoint) => Reply::Owner(parked::owner(store, *partition, waitpoint)),
        Message::CurrentKid(partition) => Reply::Text(store.secrets(*partition).current.clone()),
        Message::KidSecret(partition, kid) => Reply::Text(store.secrets(*partition).secret(kid).map(str::to_owned)),
        Message::WriteSecret { partition, kid, secret_hex, current } => {
            secret::write(store, *partition, kid, secret_hex, *current);
            Reply::Written
        }
    }
}

fn run(store: &mut Store, now: ServerTime, script: &Script) -> Answer {
    match script {
        Script::Create(args) => create::create_execution(store, now, args),
        Script::IssueClaimGrant(args) => grant::issue_claim_grant(store, now, args),
        Script::IssueReclaimGrant(args) => grant::issue_reclaim_grant(store, now, args),
        Script::Claim(args) => claim::claim_execution(store, now, args),
        Script::ClaimResumed(args) => claim::claim_resumed_execution(store, now, args),
        Script::Reclaim(args) => reclaim::reclaim_execution(store, now, args),
        Script::Renew { held, ttl_ms, grace_ms } => lease::renew_lease(store, now, held, *ttl_ms, *grace_ms),
        Script::MarkExpired(place) => lease::mark_lease_expired_if_due(store, now, *place),
        Script::Revoke { execution, instance, expected, reason } => {
            lease::revoke_lease(store, now, *execution, *instance, expected.as_deref(), reason)
        }
        Script::Complete { held, payload, overriding } => {
            finish::complete_execution(store, now, held, payload, *overriding)
        }
        Script::Fail { held, reason, category, retry, overriding } => {
            finish::fail_execution(store, now, held, reason, category, retry.as_ref(), *overriding)
        }
        Script::Delay { held, until } => delay::delay_execution(store, now, held, *until),
        Script::Progress { held, percent, message } => {
            lease::update_progress(store, now, held, *percent, message.as_deref())
        }
        Script::Cancel(args) => cancel::cancel_execution(store, now, args),
        Script::Suspend(args) => suspend::suspend_execution(store, now, args),
        Script::Signal(args) => signal::deliver_signal(store, now, args),
        Script::Promote { place, lane, now } => delay::promote_delayed(store, *place, *lane, *now),
        Script::ExpireExecution { place, lane, attempt_index, expiry } => {
            expire::expire_execution(store, now, *place, *lane, *attempt_index, *expiry)
        }
        Script::ExpireSuspension { place, lane, attempt_index, waitpoint } => {
            expire::expire_suspension(store, now, *place, *lane, *attempt_index, waitpoint.as_ref())
        }
        Script::Block { place, lane, index, reason, detail, now: caller_now } => {
            block::block_execution(store, now, *place, *lane, *index, reason, detail, *caller_now)
        }
        Script::Unblock { place, lane, expected, now: caller_now } => {
            block::unblock_execution(store, now, *place, *lane, *expected, *caller_now)
        }
        Script::ChangePriority { execution, lane, priority } => {
            priority::change_priority(store, now, *execution, *lane, *priority)
        }
        Script::Register { namespace, worker, instance, lanes, capabilities, ttl_ms, now: caller_now } => {
            let (namespace, worker, instance) = (*namespace, *worker, *instance);
            registry::register_worker(
                store,
                now,
                namespace,
                worker,
                instance,
                lanes,
                capabilities,
                *ttl_ms,
                *caller_now,
            )
        }
        Script::Replay { execution, lane, edges } => {
            replay::replay_execution(store, now, *execution, *lane, edges.as_deref())
        }
        Script::Heartbeat { namespace, instance, now: caller_now } => {
            registry::heartbeat_worker(store, now, *namespace, *instance, *caller_now)
        }
        Script::CreateBudget(args) => budget::create_budget(store, args),
        Script::ReportUsage(args) | Script::RecordSpend(args) => budget::spend(store, now, args),
        Script::ReleaseBudget { place, execution } => budget::release_budget(store, *place, *execution),
        Script::ResetBudget { place, now: caller_now } => budget::reset_budget(store, *place, *caller_now),
        Script::CreateQuotaPolicy(args) => quota::create_quota_policy(store, args),
        Script::CheckAdmission(args) => quota::check_admission(store, now, args),
        Script::ReleaseAdmission { place, execution } => quota::release_admission(store, *place, *execution),
        Script::IssueGrantAndClaim(args) => operator::issue_grant_and_claim(store, now, args),
        Script::SetTags { execution, tags } => operator::set_execution_tags(store, now, *execution, tags),
        Script::Flow(script) => run_flow(store, now, script),
        Script::WaitChildren(held) => children::wait_children(store, now, held),
        Script::CreateWaitpoint(args) => waitpoint::create_pending_waitpoint(store, now, args),
        Script::Resume { execution, lane, waitpoint, delay_ms } => {
            resume::resume_execution(store, now, *execution, *lane, waitpoint, *delay_ms)
        }
        Script::CloseWaitpoint { place, waitpoint } => {
            waitpoint::close_waitpoint(store, now, *place, waitpoint.as_ref())
        }
        Script::RotateSecret(args) => secret::rotate_secret(store, now, args),
    }
}

fn run_flow(store: &mut Store, now: ServerTime, script: &FlowScript) -> Answer {
    match script {
        FlowScript::Create { place, kind, namespace } => flow::create_flow(store, now, place, kind, namespace),
        FlowScript::AddExecution { place, execution } => flow::add_execution_to_flow(store, now, place, *execution),
        FlowScript::Stage(args) => flow::stage_dependency_edge(store, args),
        FlowScript::SetGroupPolicy { place, downstream, policy, now: client_now } => {
            flow::set_edge_group_policy(store, place, *downstream, policy, *client_now)
        }
        FlowScript::Apply(args) => dependency::apply_dependency_to_child(store, now, args),
        FlowScript::Resolve(args) => dependency::resolve_dependency(store, now, args),
        FlowScript::Evaluate(execution) => dependency::evaluate_flow_eligibility(store, now, *execution),
        FlowScript::SetTag { place, key, value } => flow::set_flow_tag(store, now, place, key, value),
        FlowScript::Cancel { place, reason, policy } => flow_cancel::cancel_flow(store, now, place, reason, policy),
        FlowScript::AckCancel { place, execution } => flow_cancel::ack_cancel_member(store, place, *execution),
        FlowScript::DrainSiblings { place, downstream } => {
            flow_cancel::drain_sibling_cancel_group(store, place, *downstream)
        }
        FlowScript::ReconcileSiblings { place, downstream } => {
            flow_cancel::reconcile_sibling_cancel_group(store, place, *downstream)
        }
    }
}

/// Reads an execution where the caller looks for it; elsewhere it does not exist.
fn find(store: &mut Store, now: ServerTime, place: Place) -> Option<&Execution> {
    store.visit(place.execution, now).filter(|execution| execution.partition == place.partition)
}

/// The same without dropping a grant that has lapsed, as reads of single keys do not touch it.
fn at(store: &Store, place: Place) -> Option<&Execution> {
    store.execution(place.execution).filter(|execution| execution.partition == place.partition)
}

/// `ZREM` after no core was found: what is left of an execution can still be listed.
fn clean(store: &mut Store, place: Place, key: IndexKey) {
    if store.left_of(place.execution).is_some_and(|left| left.partition == place.partition) {
        store.remove(place.execution, key);
    }
}
