//! How a run is watched and stopped; nothing here changes what happens in it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use claimlab_model::invariant::Check;
use ff_core::engine_backend::EngineBackend;

use super::beside::Beside;
use super::party::Party;
use crate::clock::TrueTime;
use crate::history::Observer;
use crate::outcome::Wanted;

/// How a run is watched and stopped.
#[derive(Default)]
pub struct Options {
    /// Who reads the history; none in campaigns.
    pub observers: Vec<Box<dyn Observer>>,
    /// Ends the run early when set.
    pub stop: Arc<AtomicBool>,
    /// Compares the incremental state checks with a full recheck after every so many scripts.
    pub recheck_every: Option<u64>,
    /// Ends the run before the liveness phase, at this true time.
    pub until: Option<TrueTime>,
    /// Ends the run with the first of these violations.
    pub ends_with: Option<Wanted>,
    /// Ends the run undecided after so many events.
    pub most_events: Option<u64>,
    /// Keeps which messages were struck, each with its address.
    pub keep_struck: bool,
    /// Keeps which scripts ended how, from which states and after which others.
    pub keep_reached: bool,
    /// Checks of one's own, beside the catalogue's.
    pub checks: Checks,
    /// Another server that performs what this world's server does.
    pub beside: Option<Arc<dyn Beside>>,
    /// Who sees every call of the trait.
    pub overhears: Option<Arc<dyn Overhears>>,
    /// Runs the bare substrate: every worker sends empty requests one after the other, nobody performs them.
    pub bare: bool,
}

/// Makes the checks of one's own for each run anew, since a check may remember what it saw.
#[derive(Clone, Default)]
pub struct Checks(Option<Arc<MakeChecks>>);

type MakeChecks = dyn Fn() -> Vec<Box<dyn Check>> + Send + Sync;

impl Checks {
    /// Checks that are made like this.
    pub fn new(make: impl Fn() -> Vec<Box<dyn Check>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(make)))
    }

    pub(super) fn of_a_run(&self) -> Vec<Box<dyn Check>> {
        self.0.as_ref().map_or_else(Vec::new, |make| make())
    }
}

/// Sees every call that a party makes of the trait.
pub trait Overhears: Send + Sync {
    /// A backend that passes a party's calls on to another.
    fn backend(&self, party: &Party, backend: Arc<dyn EngineBackend>) -> Arc<dyn EngineBackend>;
}
