//! What travels between a client and the server: one command or one function call a message.
//!
//! A trait method is a short conversation of these. Each is delivered, lost, delayed or repeated on
//! its own in a world, which is what lets other calls slip between a read and the script that
//! relies on it.

mod admission;
mod facts;
mod flow;
mod refusal;
mod reply;
mod script;
mod suspension;
mod upkeep;

pub use admission::{
    Answered, Breach, CheckAdmission, Command, CoreHash, CreateBudget, CreateQuotaPolicy, IssueGrantAndClaim, Spend,
};
pub use facts::{Facts, GrantKind, NewLeaseFor, UnderLease};
pub use flow::{ApplyDependency, FlowFound, FlowPlace, FlowRead, FlowScript, ResolveDependency, StageEdge};
pub use refusal::Refusal;
pub use reply::{CoreView, Described, Done, NewLease, Reply};
pub use script::{
    Cancel, Claim, ClaimResumed, Create, Expiry, HandleFields, IssueGrant, Place, Reclaim, Script, Taker,
};
pub use suspension::{CreateWaitpoint, RotateSecret, Signal, Suspend, SuspensionView, WaitpointView};
pub use upkeep::{Kept, Records, Upkeep};

use ff_core::types::{SignalId, WaitpointId};

use crate::intern::{ExecutionNo, LaneNo, NamespaceNo};
use crate::store::IndexKey;

/// One request to the server.
#[derive(Clone, Debug)]
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
    /// A plain command of the engine's housekeeping.
    Upkeep(Upkeep),
    /// `HGETALL suspension:current`.
    Suspension(ExecutionNo),
    /// `HGET total_matchers` of a waitpoint's condition.
    TotalMatchers(ExecutionNo, WaitpointId),
    /// `HMGET` of a matcher of a waitpoint's condition: whether satisfied, and by which signal.
    Matcher(ExecutionNo, WaitpointId, usize),
    /// The pipelined reads of signals and their payloads.
    Signals(ExecutionNo, Vec<SignalId>),
    /// `HGET waitpoint_token`.
    Token {
        /// The partition in the key; none where the caller's key names none that a waitpoint is in.
        partition: Option<u16>,
        /// Which waitpoint.
        waitpoint: WaitpointId,
    },
    /// `SSCAN` of the execution's waitpoints.
    Waitpoints(ExecutionNo),
    /// The pipelined reads of waitpoints and how many matchers their conditions have.
    WaitpointHeads(ExecutionNo, Vec<WaitpointId>),
    /// The pipelined reads of the matchers' names.
    MatcherNames(ExecutionNo, Vec<WaitpointId>),
    /// `SCAN` for the lanes of a partition that have suspended executions.
    SuspendedLanes(Option<u16>),
    /// The pipelined `ZRANGE` of those lanes' suspended indexes.
    SuspendedMembers(u16, Vec<LaneNo>),
    /// The pipelined `HMGET suspension:current reason_code`.
    SuspensionReasons(Vec<ExecutionNo>),
    /// `ZRANGEBYSCORE pending_waitpoint_expiry`.
    PendingWaitpoints {
        /// Partition of the index.
        partition: u16,
        /// Highest score.
        up_to_ms: i64,
        /// At most so many.
        limit: u32,
    },
    /// `HGET execution_id` of a waitpoint.
    WaitpointOwner(u16, WaitpointId),
    /// `HGET current_kid`.
    CurrentKid(u16),
    /// `HGET secret:<kid>`.
    KidSecret(u16, String),
    /// `HSET secret:<kid>`, and `current_kid` with it where the partition had none.
    WriteSecret {
        /// Partition of the secrets.
        partition: u16,
        /// The key id.
        kid: String,
        /// Its secret, hex.
        secret_hex: String,
        /// Whether `current_kid` is written too.
        current: bool,
    },
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
            Self::Upkeep(command) => command.name(),
            Self::Suspension(_) => "HGETALL suspension",
            Self::TotalMatchers(..) => "HGET total_matchers",
            Self::Matcher(..) => "HMGET matcher",
            Self::Signals(..) => "HGETALL signals",
            Self::Token { .. } => "HGET waitpoint_token",
            Self::Waitpoints(_) => "SSCAN waitpoints",
            Self::WaitpointHeads(..) => "HMGET waitpoints",
            Self::MatcherNames(..) => "HMGET matchers",
            Self::SuspendedLanes(_) => "SCAN suspended",
            Self::SuspendedMembers(..) => "ZRANGE suspended",
            Self::SuspensionReasons(_) => "HMGET reason_code",
            Self::PendingWaitpoints { .. } => "ZRANGEBYSCORE",
            Self::WaitpointOwner(..) => "HGET execution_id",
            Self::CurrentKid(_) => "HGET current_kid",
            Self::KidSecret(..) => "HGET secret",
            Self::WriteSecret { .. } => "HSET secret",
        }
    }

    /// The execution that the message is about.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Core(number)
            | Self::Context(number)
            | Self::Description(number)
            | Self::Policy(number)
            | Self::Required(number)
            | Self::Result(number)
            | Self::Suspension(number)
            | Self::TotalMatchers(number, _)
            | Self::Matcher(number, _, _)
            | Self::Signals(number, _)
            | Self::Waitpoints(number)
            | Self::WaitpointHeads(number, _)
            | Self::MatcherNames(number, _) => Some(*number),
            Self::Script(script) => script.execution(),
            Self::Command(command) => command.execution(),
            Self::Flow(read) => read.execution(),
            Self::Upkeep(command) => command.execution(),
            Self::Time | Self::Range { .. } | Self::RegisteredCapabilities(_) => None,
            Self::Token { .. }
            | Self::SuspendedLanes(_)
            | Self::SuspendedMembers(..)
            | Self::SuspensionReasons(_)
            | Self::PendingWaitpoints { .. }
            | Self::WaitpointOwner(..)
            | Self::CurrentKid(_)
            | Self::KidSecret(..)
            | Self::WriteSecret { .. } => None,
        }
    }
}
