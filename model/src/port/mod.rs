//! The port between a backend and a server: one message out, one reply or none back.
//!
//! In a unit test the server answers at once ([`Immediate`]); in a world each message crosses the
//! simulated network. The port also is where id strings become numbers, where ids that the client
//! library mints itself come from, and where whole method calls are noticed. Some servers also tell
//! their clients of ends that nobody asked for ([`Publishes`]).

mod immediate;
mod judge;
mod publishing;

pub use immediate::Immediate;
pub use judge::{Broken, Judge};
pub use publishing::{Publishes, SubscriptionNo, payload};

use std::future::Future;
use std::sync::MutexGuard;

use ff_core::types::TimestampMs;
use uuid::Uuid;

use crate::deviation::Deviations;
use crate::intern::{ExecutionNo, Interner};
use crate::message::{Message, Reply};
use crate::method::Method;

/// No reply came within the client's request timeout; whether the message was applied is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for Unanswered {}

/// One client's way to the server.
pub trait Server: Send + Sync + 'static {
    /// Sends one message and waits for its reply.
    ///
    /// # Errors
    /// [`Unanswered`] when the client gave up waiting.
    fn call(&self, message: Message) -> impl Future<Output = Result<Reply, Unanswered>> + Send;

    /// The ids of this run.
    fn ids(&self) -> MutexGuard<'_, Interner>;

    /// A fresh id where the client library mints one: of this kind, for a call about this execution.
    fn mint(&self, kind: &'static str, execution: ExecutionNo) -> Uuid;

    /// The switches that this run's clients have.
    fn deviations(&self) -> Deviations;

    /// The client's own wall clock, where the client library reads it itself.
    fn wall_clock(&self) -> TimestampMs;

    /// The start of a trait method, with its arguments as a text for whoever writes them down; the call's number comes
    /// back with [`Self::method_ended`].
    fn method_started(&self, method: Method, arguments: &dyn Fn() -> String) -> u64;

    /// The end of a trait method, with one word for its outcome and the answer as a text for whoever writes it down.
    /// Not called for a dropped call.
    fn method_ended(&self, call: u64, method: Method, outcome: &'static str, answer: &dyn Fn() -> String);

    /// Whether anybody wants to know which call a message belongs to.
    fn marks_calls(&self) -> bool {
        false
    }

    /// Messages sent from now on belong to this call, or to none; gives the call that they belonged to.
    fn within_call(&self, _call: Option<u64>) -> Option<u64> {
        None
    }
}
