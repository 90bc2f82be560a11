//! What a server tells clients that subscribed: the ends of flows' executions.

use std::task::{Context, Poll};

use ff_core::backend::CompletionPayload;
use ff_core::types::{ExecutionId, FlowId, TimestampMs};

use super::Server;

/// A number that a server gives out for each subscription.
pub type SubscriptionNo = u64;

/// A server that publishes completions to its clients.
pub trait Publishes: Server + Clone {
    /// Begins to listen.
    fn subscribe(&self) -> SubscriptionNo;

    /// The next end that was heard, in the order in which they were published.
    fn poll_heard(&self, subscription: SubscriptionNo, context: &mut Context<'_>) -> Poll<CompletionPayload>;

    /// Stops listening.
    fn unsubscribe(&self, subscription: SubscriptionNo);
}

/// What a subscriber is told of an execution's end.
pub fn payload(execution: ExecutionId, flow: FlowId, outcome: &'static str) -> CompletionPayload {
    CompletionPayload::new(execution, outcome, None, TimestampMs(0)).with_flow_id(flow)
}
