//! Completions for the shipped worker: what its party hears in the world, handed inside, where it is
//! looked at when the worker's runtime runs next.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use claimlab_model::completion::Stream;
use ff_core::backend::{CompletionPayload, ScannerFilter};
use ff_core::completion_backend::{CompletionBackend, CompletionStream};
use ff_core::engine_error::EngineError;
use ff_core::partition::PartitionConfig;
use tokio::sync::mpsc;

use super::bridge::Bridge;
use crate::world::Party;

/// The completion backend that the shipped worker is built with.
pub(super) struct Completions {
    party: Party,
    bridge: Bridge,
    partitions: PartitionConfig,
}

impl Completions {
    pub(super) fn new(party: Party, bridge: Bridge, partitions: PartitionConfig) -> Self {
        Self { party, bridge, partitions }
    }
}

#[async_trait]
impl CompletionBackend for Completions {
    async fn subscribe_completions(&self) -> Result<CompletionStream, EngineError> {
        self.subscribe_completions_filtered(&ScannerFilter::NOOP).await
    }

    async fn subscribe_completions_filtered(&self, filter: &ScannerFilter) -> Result<CompletionStream, EngineError> {
        let backend = self.party.backend(self.partitions);
        let (gives, gets) = mpsc::unbounded_channel();
        let filter = filter.clone();
        self.bridge.begin(async move {
            let Ok(mut heard) = backend.subscribe_completions_filtered(&filter).await else { return };
            let next = poll_fn(|context| {
                // Nobody listens any more where the stream inside is gone.
                loop {
                    let Poll::Ready(Some(payload)) = heard.as_mut().poll_next(context) else { return Poll::Pending };
                    if gives.send(payload).is_err() {
                        return Poll::Ready(());
                    }
                }
            });
            next.await;
        });
        Ok(Box::pin(Inside(gets)))
    }
}

/// The stream inside.
struct Inside(mpsc::UnboundedReceiver<CompletionPayload>);

impl Stream for Inside {
    type Item = CompletionPayload;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<CompletionPayload>> {
        self.0.poll_recv(context)
    }
}
