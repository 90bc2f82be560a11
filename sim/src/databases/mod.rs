//! Worlds over the shipped databases: every call that a party of a plan makes is performed by `ff-backend-sqlite` or
//! `ff-backend-postgres` in one piece, under the caller's own clock, because these backends read the clock of the process
//! that calls them.
//!
//! In go a plan and a [`Host`]; out comes what calls and answers broke ([`judge`]). The engine's place is taken by the
//! backend's own reconcilers. What a backend lacks is answered `Unavailable` and breaks nothing.

mod beside;
mod cast;
mod host;
pub mod judge;
mod subject;

use std::sync::Arc;

use crate::clock::TrueTime;
use crate::live::unit::lock;
use crate::matrix::databases::Error;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::worker;
use crate::world::{Cast, Options, World};
use beside::{OnDatabase, Shared};
use cast::DatabaseCast;
pub use host::{Backend, Host};
use judge::Judge;

/// Runs a plan over the emptied database; gives the world's own outcome, of which the faults and runs count, and what was
/// judged.
///
/// # Errors
/// When the database cannot be used any more.
pub fn run_plan(plan: &Arc<Plan>, host: &Arc<Host>) -> Result<(Outcome, Judge), Error> {
    host.empty()?;
    let shared = Arc::new(Shared::new(Arc::clone(host)));
    // Whether everything ends in the end is not asked: most of what would see to that is not part of these backends.
    let until = Some(TrueTime::from_ms(plan.world.for_ms));
    let options = Options { beside: Some(Arc::new(OnDatabase(Arc::clone(&shared)))), until, ..Options::default() };
    let cast =
        |hub: &_| -> Box<dyn Cast> { Box::new(DatabaseCast::new(worker::cast(plan, hub, false), Arc::clone(&shared))) };
    let outcome = World::new(plan, options, cast).run();
    match shared.take_error() {
        Some(error) => Err(error),
        None => Ok((outcome, std::mem::take(&mut *lock(&shared.judge)))),
    }
}
