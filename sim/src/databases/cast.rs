//! Who plays in a world over a database: the same parties as anywhere, but the backend's own reconcilers in the engine's
//! place.

use std::sync::Arc;

use super::beside::{ReconcilerPass, Shared};
use crate::plan::PartyKey;
use crate::world::{Cast, Life, Party, TaskFuture};

/// From the start of one pass to the start of the next, by the engine's timer. The shipped supervisors leave it to their
/// configuration.
const INTERVAL_MS: u64 = 1_000;

pub(super) struct DatabaseCast {
    players: Box<dyn Cast>,
    shared: Arc<Shared>,
}

impl DatabaseCast {
    pub(super) fn new(players: Box<dyn Cast>, shared: Arc<Shared>) -> Self {
        Self { players, shared }
    }
}

impl Cast for DatabaseCast {
    fn tasks_of(&mut self, party: Party, key: PartyKey, life: Life) -> Vec<TaskFuture> {
        if key.role() != "engine" {
            return self.players.tasks_of(party, key, life);
        }
        let passes = |reconciler: &&'static str| -> TaskFuture {
            Box::pin(pass_for_ever(party.clone(), Arc::clone(&self.shared), reconciler))
        };
        self.shared.host.backend().reconcilers().iter().map(passes).collect()
    }

    fn has_submitted_all(&self) -> bool {
        self.players.has_submitted_all()
    }
}

async fn pass_for_ever(party: Party, shared: Arc<Shared>, reconciler: &'static str) {
    loop {
        // A pass whose answer is lost has been made all the same.
        let _ = party.whole::<()>(Box::new(ReconcilerPass { shared: Arc::clone(&shared), reconciler })).await;
        party.sleep_ms(INTERVAL_MS).await;
    }
}
