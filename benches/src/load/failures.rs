//! Calls that failed in a load: part of what an overloaded deployment does, and no reason to stop looking.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Failed calls of one load.
#[derive(Debug, Default)]
pub(super) struct Failures {
    creates: AtomicU64,
    calls_of_workers: AtomicU64,
    first: Mutex<Option<String>>,
}

impl Failures {
    /// An execution could not be created.
    pub(super) fn of_create(&self, error: &impl Display) {
        self.creates.fetch_add(1, Ordering::Relaxed);
        self.note(error);
    }

    /// A worker's call failed.
    pub(super) fn of_worker(&self, error: &impl Display) {
        self.calls_of_workers.fetch_add(1, Ordering::Relaxed);
        self.note(error);
    }

    fn note(&self, error: &impl Display) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
    }

    /// Creations, calls of workers, and what the first of them all said.
    pub(super) fn all(&self) -> (u64, u64, Option<String>) {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.creates.load(Ordering::Relaxed), self.calls_of_workers.load(Ordering::Relaxed), first)
    }
}
