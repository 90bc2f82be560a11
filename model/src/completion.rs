//! Ends of flows' executions as their subscribers hear them: `CompletionBackend` over the model.
//!
//! After `ff-backend-valkey/src/completion.rs`: each subscription has a connection of its own, hears
//! nothing that was published before it stood or while it was cut off, and a filter is applied to each
//! end by reading the execution when the news of it has arrived. Payload and time are never told.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use ff_core::backend::{CompletionPayload, ScannerFilter};
use ff_core::completion_backend::{CompletionBackend, CompletionStream};
use ff_core::engine_error::EngineError;
use ff_core::types::ExecutionId;
pub use futures_core::Stream;

use crate::backend::ModelBackend;
use crate::message::Command;
pub use crate::port::{Publishes, SubscriptionNo, payload};

#[async_trait]
impl<S: Publishes> CompletionBackend for ModelBackend<S> {
    async fn subscribe_completions(&self) -> Result<CompletionStream, EngineError> {
        Ok(Box::pin(Heard::new(self.again(), ScannerFilter::NOOP)))
    }

    async fn subscribe_completions_filtered(&self, filter: &ScannerFilter) -> Result<CompletionStream, EngineError> {
        Ok(Box::pin(Heard::new(self.again(), filter.clone())))
    }
}

impl<S: Publishes> ModelBackend<S> {
    fn again(&self) -> Self {
        Self::new(self.server().clone(), *self.partitions())
    }

    /// Whether an execution passes a filter; one that cannot be read does not.
    async fn admits(&self, filter: &ScannerFilter, id: &ExecutionId) -> bool {
        if let Some(wanted) = &filter.namespace {
            let found = self.namespace(id).await;
            if !matches!(found, Ok(Some(found)) if found == wanted.as_str()) {
                return false;
            }
        }
        if let Some((tag, wanted)) = &filter.instance_tag {
            let number = self.server().ids().execution(id);
            let found = self.text(Command::Tag(number, tag.clone())).await;
            return matches!(found, Ok(Some(found)) if found == *wanted);
        }
        true
    }
}

type Asking = Pin<Box<dyn Future<Output = Option<CompletionPayload>> + Send>>;

/// One subscription.
struct Heard<S: Publishes> {
    backend: ModelBackend<S>,
    filter: ScannerFilter,
    subscription: SubscriptionNo,
    /// Whether the last one heard passes the filter.
    asking: Option<Asking>,
}

impl<S: Publishes> Heard<S> {
    fn new(backend: ModelBackend<S>, filter: ScannerFilter) -> Self {
        let subscription = backend.server().subscribe();
        Self { backend, filter, subscription, asking: None }
    }
}

impl<S: Publishes> Drop for Heard<S> {
    fn drop(&mut self) {
        self.backend.server().unsubscribe(self.subscription);
    }
}

impl<S: Publishes> Unpin for Heard<S> {}

impl<S: Publishes> Stream for Heard<S> {
    type Item = CompletionPayload;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<CompletionPayload>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let Poll::Ready(admitted) = asking.as_mut().poll(context) else { return Poll::Pending };
                self.asking = None;
                if admitted.is_some() {
                    return Poll::Ready(admitted);
                }
            }
            let Poll::Ready(heard) = self.backend.server().poll_heard(self.subscription, context) else {
                return Poll::Pending;
            };
            if self.filter.is_noop() {
                return Poll::Ready(Some(heard));
            }
            let (backend, filter) = (self.backend.again(), self.filter.clone());
            self.asking =
                Some(Box::pin(async move { backend.admits(&filter, &heard.execution_id).await.then_some(heard) }));
        }
    }
}
