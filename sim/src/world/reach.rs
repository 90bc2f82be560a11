//! What a world has reached: which script ended how, from which state, by whom and under which trouble; and which two
//! mutations of an execution followed each other.
//!
//! Each is one number, a hash, so that worlds can be laid together by a set of them.

use std::hash::{Hash as _, Hasher as _};

use claimlab_model::message::Message;
use hashbrown::HashSet;
use rustc_hash::{FxBuildHasher, FxHasher};

use super::World;
use super::hub::PartyNo;
use super::server::Deed;

/// The numbers of what was reached.
pub(super) type Reached = HashSet<u64, FxBuildHasher>;

impl World {
    /// Notes a script that was just performed.
    pub(super) fn note_reached(&mut self, party: PartyNo, message: &Message, deed: Deed) {
        if !self.options.keep_reached {
            return;
        }
        let Some(execution) = message.execution() else { return };
        let changed = self.store.changes().core_of(execution).map(|(before, _)| before);
        let before = changed.or_else(|| self.store.execution(execution).map(|found| &found.core));
        let is_troubled = self.seats[party].disturbed_until >= self.now || self.disturbed_until >= self.now;
        let mut point = FxHasher::default();
        (deed, is_troubled).hash(&mut point);
        let words = before.map(|core| {
            let vector = &core.vector;
            (vector.lifecycle_phase as u8, vector.ownership_state as u8, vector.eligibility_state as u8)
        });
        let is_mutation = changed.is_some();
        words.hash(&mut point);
        self.reached.insert(point.finish());
        if is_mutation {
            let mut pair = FxHasher::default();
            (self.last_write(execution), deed).hash(&mut pair);
            self.reached.insert(pair.finish());
        }
    }
}
