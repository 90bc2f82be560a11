//! A worker that listens to completions: it hears them, in its own time, and does nothing about them.

use std::future::poll_fn;
use std::sync::Arc;

use ff_core::completion_backend::CompletionBackend;

/// Listens until the process dies.
pub(super) async fn listen(completions: Arc<dyn CompletionBackend>) {
    let Ok(mut heard) = completions.subscribe_completions().await else { return };
    while poll_fn(|context| heard.as_mut().poll_next(context)).await.is_some() {}
}
