//! What a message of the model is on the wire: the commands that the shipped client sends for it, and
//! which key or function each is about.

use std::fmt;

use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::message::{Command, FlowRead, Message, Place, Script, Upkeep};
use claimlab_model::projection;
use claimlab_model::store::IndexKey;

/// One expected command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name, or one of several that read the same.
    names: &'static [&'static str],
    /// The function, if it calls one.
    function: Option<String>,
    /// How one of its words ends: the key, or whom it is about.
    word: Option<String>,
}

impl Expected {
    /// Whether a real command, given by its words, is this one.
    pub fn is<W: AsRef<str>>(&self, words: &[W]) -> bool {
        let mut words = words.iter().map(AsRef::as_ref);
        let name = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let function = name.eq_ignore_ascii_case("FCALL").then(|| rest.first().copied()).flatten();
        self.names.iter().any(|expected| expected.eq_ignore_ascii_case(name))
            && self.function.as_deref() == function
            && self.word.as_ref().is_none_or(|word| rest.iter().any(|given| given.ends_with(word.as_str())))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(" or "))?;
        for part in self.function.iter().chain(&self.word) {
            write!(f, " {part}")?;
        }
        Ok(())
    }
}

fn plain(names: &'static [&'static str], word: String) -> Expected {
    Expected { names, function: None, word: Some(word) }
}

/// The commands that the shipped client sends for a message, in order; they leave it together, none
/// waits for another's reply. None for messages that no world and no client of a crowd sends.
pub fn expected(message: &Message, ids: &Interner) -> Vec<Expected> {
    const FIELDS: &[&str] = &["HGET", "HMGET", "HGETALL"];
    let names = |number| projection::names(ids, number);
    // The key without its partition: a call can name a wrong one, where its read finds nothing. The model
    // reads the right one all the same, and the script that follows refuses before it uses what was read.
    let core = |number| format!(":{}:core", ids.execution_name(number));
    match message {
        Message::Core(number) | Message::Required(number) => vec![plain(FIELDS, core(*number))],
        Message::Context(number) => vec![
            plain(&["GET"], names(*number).payload()),
            plain(&["HGETALL"], names(*number).core()),
            plain(&["HGETALL"], names(*number).tags()),
        ],
        Message::Description(number) => {
            vec![plain(&["HGETALL"], names(*number).core()), plain(&["HGETALL"], names(*number).tags())]
        }
        Message::Policy(number) => vec![plain(&["GET"], names(*number).policy())],
        Message::Result(number) => vec![plain(&["GET"], names(*number).result())],
        Message::Range { partition, key, .. } => {
            let key = projection::index_name(ids, *partition, *key);
            vec![plain(&["ZRANGEBYSCORE", "ZRANGE"], key)]
        }
        Message::Script(script) => {
            // Each function names its execution's core, whatever else it names; those of quotas and budgets its id.
            let by_id = matches!(
                script,
                Script::CheckAdmission(_)
                    | Script::ReleaseAdmission { .. }
                    | Script::RecordSpend(_)
                    | Script::ReleaseBudget { .. }
            );
            let id = |number| ids.execution_name(number).to_string();
            let word = script.execution().map(|number| if by_id { id(number) } else { core(number) });
            vec![Expected { names: &["FCALL"], function: Some(format!("ff_{}", script.name())), word }]
        }
        Message::Command(Command::BudgetIds(place) | Command::QuotaPolicyId(place) | Command::CoreHash(place)) => {
            vec![plain(FIELDS, core(place.execution))]
        }
        Message::Time => vec![Expected { names: &["TIME"], function: None, word: None }],
        Message::Suspension(number) => vec![plain(&["HGETALL"], names(*number).suspension_current())],
        Message::TotalMatchers(number, waitpoint) => {
            vec![plain(&["HGET"], names(*number).waitpoint_condition(waitpoint))]
        }
        Message::Matcher(number, waitpoint, _) => {
            vec![plain(&["HMGET"], names(*number).waitpoint_condition(waitpoint))]
        }
        Message::Signals(number, signals) => signals
            .iter()
            .flat_map(|signal| {
                let (record, payload) = (names(*number).signal(signal), names(*number).signal_payload(signal));
                [plain(&["HGETALL"], record), plain(&["GET"], payload)]
            })
            .collect(),
        Message::Token { waitpoint, .. } => vec![plain(&["HGET"], format!(":{waitpoint}"))],
        Message::Command(command) => of_command(command, ids),
        Message::Flow(read) => of_flow(read, ids),
        Message::Upkeep(command) => vec![of_upkeep(command, ids)],
        // Sent by no world and no client of a crowd.
        Message::RegisteredCapabilities(_)
        | Message::Waitpoints(_)
        | Message::WaitpointHeads(..)
        | Message::MatcherNames(..)
        | Message::SuspendedLanes(_)
        | Message::SuspendedMembers(..)
        | Message::SuspensionReasons(_)
        | Message::PendingWaitpoints { .. }
        | Message::WaitpointOwner(..)
        | Message::CurrentKid(_)
        | Message::KidSecret(..)
        | Message::WriteSecret { .. } => Vec::new(),
    }
}

fn of_upkeep(command: &Upkeep, ids: &Interner) -> Expected {
    let name = |place: &Place| ids.execution_name(place.execution);
    let core = |place: &Place| format!(":{}:core", name(place));
    match command {
        Upkeep::FlowExists(place) => plain(&["EXISTS"], format!(":{}:core", place.flow)),
        Upkeep::MemberCount(place) => plain(&["SCARD"], format!(":{}:members", place.flow)),
        Upkeep::SampleMembers(place, _) => plain(&["SRANDMEMBER"], format!(":{}:members", place.flow)),
        Upkeep::PublicState(place) => plain(&["HGET"], core(place)),
        Upkeep::WriteSummary(place, _) => plain(&["HSET"], format!(":{}:summary", place.flow)),
        Upkeep::DelistFlow(_) => plain(&["SREM"], ":flow_index".into()),
        Upkeep::Ended(place) => plain(&["HMGET"], core(place)),
        Upkeep::Retention(place) => plain(&["GET"], format!(":{}:policy", name(place))),
        Upkeep::Edges(place) => plain(&["SMEMBERS"], format!(":{}:deps:all_edges", name(place))),
        Upkeep::Waitpoints(place) => plain(&["SMEMBERS"], format!(":{}:waitpoints", name(place))),
        Upkeep::Signals(place) => plain(&["ZRANGE"], format!(":{}:signals", name(place))),
        Upkeep::DeleteRecords { place, .. } => plain(&["DEL"], format!(":{}:payload", name(place))),
        Upkeep::DeleteCore { place, .. } => plain(&["DEL"], core(place)),
        Upkeep::DelistEnded(place, lane) => {
            plain(&["ZREM"], projection::index_name(ids, place.partition, IndexKey::Terminal(*lane)))
        }
        Upkeep::Forget(_) => plain(&["SREM"], ":all_executions".into()),
    }
}

fn of_flow(read: &FlowRead, ids: &Interner) -> Vec<Expected> {
    let name = |number: ExecutionNo| ids.execution_name(number);
    let hashes = &["HGETALL", "HGET", "HMGET"];
    let sets = &["SMEMBERS", "SCARD", "SISMEMBER"];
    match read {
        FlowRead::Cores(_, flows) => flows.iter().map(|flow| plain(hashes, format!(":{flow}:core"))).collect(),
        FlowRead::Members(place) => vec![plain(sets, format!(":{}:members", place.flow))],
        FlowRead::Outgoing(place, number) => vec![plain(sets, format!(":{}:out:{}", place.flow, name(*number)))],
        FlowRead::Incoming(place, number) => vec![plain(sets, format!(":{}:in:{}", place.flow, name(*number)))],
        FlowRead::Edges(place, edges) => {
            edges.iter().map(|edge| plain(hashes, format!(":{}:edge:{edge}", place.flow))).collect()
        }
        FlowRead::Group(place, number) => {
            vec![plain(hashes, format!(":{}:edgegroup:{}", place.flow, name(*number)))]
        }
        FlowRead::Tag(place, _) => vec![plain(hashes, format!(":{}:tags", place.flow))],
        FlowRead::Index(_) => vec![plain(sets, ":flow_index".into())],
        FlowRead::Dependencies(place) => vec![plain(hashes, format!(":{}:deps:meta", name(place.execution)))],
        FlowRead::Unresolved(place) => vec![plain(sets, format!(":{}:deps:unresolved", name(place.execution)))],
        FlowRead::Upstream(place, edge) => vec![plain(hashes, format!(":{}:dep:{edge}", name(place.execution)))],
        FlowRead::CancelBacklog { .. } => vec![plain(&["ZRANGEBYSCORE"], ":cancel_backlog".into())],
        FlowRead::PendingCancels(place) => {
            vec![plain(&["SRANDMEMBER"], format!(":{}:pending_cancels", place.flow))]
        }
        FlowRead::PendingGroups(_) => vec![plain(&["SRANDMEMBER"], ":pending_cancel_groups".into())],
    }
}

fn of_command(command: &Command, ids: &Interner) -> Vec<Expected> {
    let hashes = &["HGETALL", "HGET", "HMGET"];
    let one = |names, word: String| vec![plain(names, word)];
    match command {
        Command::BudgetDefinition(place) => one(hashes, format!(":{}", place.budget)),
        Command::BudgetLimits(place) => one(hashes, format!(":{}:limits", place.budget)),
        Command::BudgetUsage(place) | Command::BudgetUsed(place, _) => one(hashes, format!(":{}:usage", place.budget)),
        Command::BudgetResets { .. } => one(&["ZRANGEBYSCORE"], ":budget_resets".into()),
        Command::BudgetPolicies(_) => one(&["SSCAN", "SMEMBERS"], ":budget_policies".into()),
        Command::ForgetBudget(_) => one(&["SREM"], ":budget_policies".into()),
        Command::QuotaDefinition(place) => one(hashes, format!(":{}", place.policy)),
        Command::QuotaPolicies(_) => one(&["SMEMBERS", "SSCAN"], ":quota_policies".into()),
        Command::TrimWindow { .. } => one(&["ZREMRANGEBYSCORE"], ":window:requests_per_window".into()),
        Command::WindowCount(_) => one(&["ZCARD"], ":window:requests_per_window".into()),
        Command::Admitted(place) => one(&["SSCAN", "SMEMBERS"], format!(":{}:admitted_set", place.policy)),
        Command::GuardExists(place, number) => {
            one(&["EXISTS"], format!(":{}:admitted:{}", place.policy, ids.execution_name(*number)))
        }
        Command::ForgetAdmitted(place, _) => one(&["SREM"], format!(":{}:admitted_set", place.policy)),
        Command::Concurrency(place) => one(&["GET"], format!(":{}:concurrency", place.policy)),
        Command::SetConcurrency(place, _) => one(&["SET"], format!(":{}:concurrency", place.policy)),
        Command::AllExecutions(_) => one(&["SSCAN", "SMEMBERS"], ":all_executions".into()),
        Command::Score { key, place } => one(&["ZSCORE"], projection::index_name(ids, place.partition, *key)),
        // Sent by no world and no client of a crowd.
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_call_is_told_by_its_function_and_whom_it_is_about() {
        let expected =
            Expected { names: &["FCALL"], function: Some("ff_renew_lease".into()), word: Some("{fp:1}:a".into()) };
        assert!(expected.is(&["FCALL", "ff_renew_lease", "4", "ff:exec:{fp:1}:core", "{fp:1}:a"]));
        assert!(!expected.is(&["FCALL", "ff_renew_lease", "4", "{fp:1}:b"]));
        assert!(!expected.is(&["FCALL", "ff_complete_execution", "4", "{fp:1}:a"]));
    }

    #[test]
    fn a_read_is_told_by_its_key_whichever_of_its_names_it_has() {
        let expected = plain(&["HGET", "HMGET"], ":a:core".into());
        assert!(expected.is(&["hmget", "ff:exec:{fp:1}:a:core", "x"]));
        assert!(!expected.is(&["GET", "ff:exec:{fp:1}:a:core"]));
        assert!(!expected.is(&["HGET", "ff:exec:{fp:1}:b:core"]));
    }
}
