//! Faults: what they are, whom or which message they strike, and when.

use serde::{Deserialize, Serialize};

use super::PartyKey;
use crate::clock::TrueTime;
use crate::stream::{Range, Ratio};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name in this plan.
    pub key: String,
    /// Whom it strikes, and when.
    pub strikes: Strikes,
    /// How.
    pub what: What,
}

/// Whom a fault strikes, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Strikes {
    /// A party at a true time.
    At {
        /// The party.
        party: PartyKey,
        /// When.
        at_us: TrueTime,
    },
    /// A party right after it has sent a message from a true time on; looks for work do not count.
    Sending {
        /// The party.
        party: PartyKey,
        /// From when on.
        from_us: TrueTime,
        /// So many such messages are let by first.
        skip: u32,
        /// Only messages of this name count; any without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Whoever holds the lease of a work item at a true time, or is the next to have it.
    Holder {
        /// The work item.
        work: u32,
        /// From when on.
        from_us: TrueTime,
    },
    /// The message of this address ([`crate::address`]).
    Message(String),
}

impl Strikes {
    /// The party that is struck, where the fault names one.
    pub const fn party(&self) -> Option<PartyKey> {
        match self {
            Self::At { party, .. } | Self::Sending { party, .. } => Some(*party),
            Self::Holder { .. } | Self::Message(_) => None,
        }
    }
}

/// A fault that struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Struck {
    /// Its key in the plan, or in the plan that [`super::Plan::concretise`] makes of a rate.
    pub key: String,
    /// The message that it struck, if it struck one.
    pub address: Option<String>,
    /// How it struck.
    pub what: What,
}

/// How often messages meet a kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRate {
    /// `lost_request`, `lost_reply`, `delay` or `duplicate`.
    pub kind: MessageFault,
    /// Share of the messages.
    pub messages: Ratio,
    /// How much later a delayed message arrives, or how long after the first time a repeated one is applied again.
    pub by_ms: Range,
    /// Whether messages of the other parties meet it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
}

/// A kind of fault that befalls single messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageFault {
    /// The request does not arrive.
    LostRequest,
    /// The reply does not arrive.
    LostReply,
    /// The request arrives late.
    Delay,
    /// The request is applied twice.
    Duplicate,
}

impl MessageFault {
    /// The fault with its extent, in milliseconds.
    pub const fn what(self, by_ms: u64) -> What {
        match self {
            Self::LostRequest => What::LostRequest,
            Self::LostReply => What::LostReply,
            Self::Delay => What::Delay { by_ms },
            Self::Duplicate => What::Duplicate { after_ms: by_ms },
        }
    }
}

/// Which way a cut goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Requests are lost.
    Out,
    /// Replies are lost.
    In,
    /// Both are.
    Both,
}

/// A kind of fault, with its extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The process dies and starts again after this long.
    Crash {
        /// How long it stays down.
        restart_ms: u64,
        /// Whether it comes back under the instance id that it had.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same_instance: bool,
    },
    /// The machine stalls.
    Pause {
        /// How long.
        for_ms: u64,
    },
    /// The request does not arrive.
    LostRequest,
    /// The reply does not arrive.
    LostReply,
    /// The request arrives late.
    Delay {
        /// How much later.
        by_ms: u64,
    },
    /// The request is applied twice.
    Duplicate {
        /// How long after the first time.
        after_ms: u64,
    },
    /// The party is cut off.
    Cut {
        /// How long.
        for_ms: u64,
        /// Which way.
        way: Way,
    },
    /// The server's clock steps.
    ServerStep {
        /// How far.
        by_ms: i64,
    },
    /// The party's wall clock steps.
    WorkerStep {
        /// How far.
        by_ms: i64,
    },
    /// The party's renewals leave its process only later, while everything else goes on.
    Starve {
        /// How long.
        for_ms: u64,
    },
    /// The server is down and comes back with all that it held.
    ServerRestart {
        /// How long it does not answer.
        down_ms: u64,
    },
    /// A replica takes over from the server.
    FailOver {
        /// The writes of so many last milliseconds are missing there.
        lose_ms: u64,
        /// The replica's clock minus the server's.
        clock_ms: i64,
        /// How long nobody answers.
        down_ms: u64,
    },
    /// Nothing befalls this message, whatever the rates say.
    Spare,
}

/// Whom or what a kind of fault can strike.
#[derive(Clone, Copy)]
enum Target {
    Server,
    Party,
    Message,
    PartyOrMessage,
}

impl Target {
    const fn words(self) -> &'static str {
        match self {
            Self::Server => "the server at a time",
            Self::Party => "another party than the server at a time, or the holder of a work item",
            Self::Message => "a message",
            Self::PartyOrMessage => {
                "another party than the server at a time or when it sends, the holder of a work item, or a message"
            }
        }
    }
}

impl What {
    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Pause { .. } => "pause",
            Self::LostRequest => "lost_request",
            Self::LostReply => "lost_reply",
            Self::Delay { .. } => "delay",
            Self::Duplicate { .. } => "duplicate",
            Self::Cut { .. } => "cut",
            Self::ServerStep { .. } => "server_step",
            Self::WorkerStep { .. } => "worker_step",
            Self::Starve { .. } => "starve",
            Self::ServerRestart { .. } => "server_restart",
            Self::FailOver { .. } => "fail_over",
            Self::Spare => "spare",
        }
    }

    /// What such a fault can strike.
    const fn target(self) -> Target {
        match self {
            Self::ServerStep { .. } | Self::ServerRestart { .. } | Self::FailOver { .. } => Target::Server,
            Self::Crash { .. } => Target::PartyOrMessage,
            Self::Pause { .. } | Self::Cut { .. } | Self::WorkerStep { .. } | Self::Starve { .. } => Target::Party,
            Self::LostRequest | Self::LostReply | Self::Delay { .. } | Self::Duplicate { .. } | Self::Spare => {
                Target::Message
            }
        }
    }

    /// What such a fault can strike, where this is something else.
    pub(super) const fn cannot_strike(self, strikes: &Strikes) -> Option<&'static str> {
        let target = self.target();
        let fits = match strikes {
            Strikes::At { party, .. } | Strikes::Sending { party, .. } if party.0 == PartyKey::SERVER.0 => {
                matches!((target, strikes), (Target::Server, Strikes::At { .. }))
            }
            Strikes::At { .. } | Strikes::Holder { .. } => matches!(target, Target::Party | Target::PartyOrMessage),
            Strikes::Sending { .. } => matches!(target, Target::PartyOrMessage),
            Strikes::Message(_) => matches!(target, Target::Message | Target::PartyOrMessage),
        };
        if fits { None } else { Some(target.words()) }
    }

    /// What it does, in a few words.
    pub fn describe(self) -> String {
        match self {
            Self::Crash { restart_ms, same_instance: false } => {
                format!("the process dies and is back after {restart_ms} ms")
            }
            Self::Crash { restart_ms, same_instance: true } => {
                format!("the process dies and is back after {restart_ms} ms as the same instance")
            }
            Self::Starve { for_ms } => format!("its renewals leave up to {for_ms} ms late"),
            Self::ServerRestart { down_ms } => format!("the server does not answer for {down_ms} ms"),
            Self::FailOver { lose_ms, clock_ms, down_ms } => format!(
                "a replica takes over after {down_ms} ms that lacks the last {lose_ms} ms and whose clock is {clock_ms} ms off"
            ),
            Self::Pause { for_ms } => format!("the machine stalls for {for_ms} ms"),
            Self::Cut { for_ms, way: Way::Out } => format!("its requests are lost for {for_ms} ms"),
            Self::Cut { for_ms, way: Way::In } => format!("replies to it are lost for {for_ms} ms"),
            Self::Cut { for_ms, way: Way::Both } => format!("it is cut off for {for_ms} ms"),
            Self::ServerStep { by_ms } => format!("the server's clock steps by {by_ms} ms"),
            Self::WorkerStep { by_ms } => format!("its clock steps by {by_ms} ms"),
            Self::Delay { by_ms } => format!("the request is {by_ms} ms late"),
            Self::Duplicate { after_ms } => format!("the request is applied again after {after_ms} ms"),
            Self::LostRequest => "the request is lost".to_owned(),
            Self::LostReply => "the reply is lost".to_owned(),
            Self::Spare => "nothing befalls the message".to_owned(),
        }
    }
}
