//! What a message of the model is on the wire: the commands that the shipped client sends for it, and
//! which key or function each is about.

use std::fmt;

use claimlab_model::intern::Interner;
use claimlab_model::message::{Command, Message};
use claimlab_model::projection;

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
            // Each function names its execution's core, whatever else it names.
            let word = script.execution().map(core);
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
        // Sent by no world and no client of a crowd.
        Message::Command(_)
        | Message::Flow(_)
        | Message::RegisteredCapabilities(_)
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
