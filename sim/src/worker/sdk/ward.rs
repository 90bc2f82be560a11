//! What the host watches over: the tasks in its worker's hands, whether each still calls its lease
//! healthy, and whether anything is left when the last one has gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ff_core::types::LeaseId;
use ff_sdk::task::ClaimedTask;
use uuid::Uuid;

use super::task::Kept;
use crate::worker::task::note_health;
use crate::world::{Party, RunNo};

struct Ward {
    kept: Weak<Mutex<Option<ClaimedTask>>>,
    run: RunNo,
}

#[derive(Default)]
struct Inner {
    wards: BTreeMap<Uuid, Ward>,
    /// Renewals that were answered since the last look, and whether they were refused for good.
    answered: Vec<(Uuid, bool)>,
}

/// The tasks of one process, by lease.
#[derive(Clone, Default)]
pub(super) struct Wards(Arc<Mutex<Inner>>);

impl Wards {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches over a task from now on.
    pub(super) fn add(&self, lease: &LeaseId, kept: &Kept, run: RunNo) {
        let mut inner = self.inner();
        inner.wards.retain(|_, ward| ward.kept.strong_count() > 0);
        inner.wards.insert(lease.0, Ward { kept: Arc::downgrade(kept), run });
    }

    /// A renewal was answered; a refusal may be for good.
    pub(super) fn renewed(&self, lease: &LeaseId, refused_for_good: bool) {
        self.inner().answered.push((lease.0, refused_for_good));
    }

    /// Asks the tasks whose renewals were answered what they think of their leases now.
    pub(super) fn look(&self, party: &Party) {
        let mut inner = self.inner();
        let Inner { wards, answered } = &mut *inner;
        for (lease, refused) in answered.drain(..) {
            let Some(ward) = wards.get(&lease) else { continue };
            let Some(kept) = ward.kept.upgrade() else { continue };
            // One that is about to end is not asked any more.
            if let Some(task) = &*kept.lock().unwrap_or_else(PoisonError::into_inner) {
                note_health(party, ward.run, refused, task.is_lease_healthy());
            }
        }
    }
}
