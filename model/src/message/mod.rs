//! What travels between a client and the server: one command or one function call a message.
//!
//! A trait method is a short conversation of these. Each is delivered, lost, delayed or repeated on
//! its own in a world, which is what lets other calls slip between a read and the script that
//! relies on it.

mod admission;
mod flow;
mod reply;
mod script;

pub use admission::{
    Answered, Breach, BudgetPlace, CheckAdmission, Command, CoreHash, CreateBudget, CreateQuotaPolicy,
    IssueGrantAndClaim, QuotaPlace, Spend,
};
pub use flow::{ApplyDependency, FlowFound, FlowPlace, FlowRead, FlowScript, ResolveDependency, StageEdge};
pub use reply::{CoreView, Described, Done, NewLease, Reply};
pub use script::{
    Cancel, Claim, ClaimResumed, Create, Expiry, Held, IssueGrant, Place, Reclaim, Script, Signal, Suspend, Taker,
};

use crate::intern::{ExecutionNo, NamespaceNo};
use crate::store::IndexKey;

/// One request to the server.
#[derive(Debug)]
pub enum Message {
    /// `TIME`.
    Time,
    /// `HGET` or `HMGET` of the core hash.
    Core(ExecutionNo),
    /// The pipelined reads of an execution's context.
    Context(ExecutionNo),
    /// The pipelined reads of a description.
    Description(ExecutionNo),
    /// `GET` of the policy.
    Policy(ExecutionNo),
    /// `HGET required_capabilities`.
    Required(ExecutionNo),
    /// `GET` of the result.
    Result(ExecutionNo),
    /// `ZRANGEBYSCORE -inf …`.
    Range {
        /// Partition of the index.
        partition: u16,
        /// The index.
        key: IndexKey,
        /// Highest score; none is `+inf`.
        up_to_ms: Option<i64>,
        /// At most so many.
        limit: u32,
    },
    /// The reads of the unblock scanner's capability union.
    RegisteredCapabilities(NamespaceNo),
    /// A function call.
    Script(Script),
    /// A plain command of admission and administration.
    Command(Command),
    /// A read of flow or dependency keys.
    Flow(FlowRead),
}

impl Message {
    /// A short name: the command or the function.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Time => "TIME",
            Self::Core(_) => "HMGET core",
            Self::Context(_) => "GET context",
            Self::Description(_) => "HGETALL core",
            Self::Policy(_) => "GET policy",
            Self::Required(_) => "HGET required",
            Self::Result(_) => "GET result",
            Self::Range { .. } => "ZRANGEBYSCORE",
            Self::RegisteredCapabilities(_) => "HGETALL workers",
            Self::Script(script) => script.name(),
            Self::Command(command) => command.name(),
            Self::Flow(read) => read.name(),
        }
    }

    /// The execution that the message is about.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Core(no)
            | Self::Context(no)
            | Self::Description(no)
            | Self::Policy(no)
            | Self::Required(no)
            | Self::Result(no) => Some(*no),
            Self::Script(script) => script.execution(),
            Self::Command(command) => command.execution(),
            Self::Flow(read) => read.execution(),
            Self::Time | Self::Range { .. } | Self::RegisteredCapabilities(_) => None,
        }
    }
}
