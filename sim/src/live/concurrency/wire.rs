//! What a model's message is on the wire: which commands the real client sends for it, on which key.

use claimlab_model::intern::Interner;
use claimlab_model::message::{Command, Message};
use claimlab_model::projection;

use super::feed::Line;

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
    /// Whether the real command is this one.
    pub fn is(&self, line: &Line) -> bool {
        let name = line.name();
        self.names.iter().any(|expected| *expected == name)
            && self.function.as_deref() == line.function()
            && self.word.as_ref().is_none_or(|word| line.words.iter().any(|given| given.ends_with(word.as_str())))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// The commands that the real client sends for a message, in order. None of the first one's followers is
/// ever waited for: they leave the client together.
pub fn expected(message: &Message, ids: &Interner) -> Vec<Expected> {
    const FIELDS: &[&str] = &["HGET", "HMGET", "HGETALL"];
    let names = |no| projection::names(ids, no);
    // The key without its partition: a call can name a wrong one, where its read finds nothing. The model
    // reads the right one all the same, and the script that follows refuses before it uses what was read.
    let core = |no| format!(":{}:core", ids.execution_name(no));
    match message {
        Message::Core(no) | Message::Required(no) => vec![plain(FIELDS, core(*no))],
        Message::Context(no) => vec![
            plain(&["GET"], names(*no).payload()),
            plain(&["HGETALL"], names(*no).core()),
            plain(&["HGETALL"], names(*no).tags()),
        ],
        Message::Description(no) => {
            vec![plain(&["HGETALL"], names(*no).core()), plain(&["HGETALL"], names(*no).tags())]
        }
        Message::Policy(no) => vec![plain(&["GET"], names(*no).policy())],
        Message::Result(no) => vec![plain(&["GET"], names(*no).result())],
        Message::Range { partition, key, .. } => {
            let key = projection::index_name(ids, *partition, *key);
            vec![plain(&["ZRANGEBYSCORE", "ZRANGE"], key)]
        }
        Message::Script(script) => {
            let word = script.execution().map(core);
            vec![Expected { names: &["FCALL"], function: Some(format!("ff_{}", script.name())), word }]
        }
        Message::Command(Command::BudgetIds(place) | Command::QuotaPolicyId(place)) => {
            vec![plain(FIELDS, names(place.execution).core())]
        }
        Message::Time => vec![Expected { names: &["TIME"], function: None, word: None }],
        Message::Suspension(no) => vec![plain(&["HGETALL"], names(*no).suspension_current())],
        Message::TotalMatchers(no, waitpoint) => vec![plain(&["HGET"], names(*no).waitpoint_condition(waitpoint))],
        Message::Matcher(no, waitpoint, _) => vec![plain(&["HMGET"], names(*no).waitpoint_condition(waitpoint))],
        Message::Signals(no, signals) => signals
            .iter()
            .flat_map(|signal| {
                let (record, payload) = (names(*no).signal(signal), names(*no).signal_payload(signal));
                [plain(&["HGETALL"], record), plain(&["GET"], payload)]
            })
            .collect(),
        Message::Token { waitpoint, .. } => vec![plain(&["HGET"], format!(":{waitpoint}"))],
        // Not sent by any call that is drawn here.
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
