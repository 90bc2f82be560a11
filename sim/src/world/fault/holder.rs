//! Faults of whoever holds a work item: found by its lease, when somebody has one.

use claimlab_model::intern::ExecutionNo;
use ff_core::state::OwnershipState;
use ff_core::types::ExecutionId;

use crate::plan::PartyKey;
use crate::world::World;
use crate::world::hub::PartyNo;

impl World {
    /// A planned fault strikes whoever holds a work item, or waits for the next who does.
    pub(super) fn strike_holder(&mut self, position: u32, work: u32) {
        let Some(Ok(id)) = self.plan.item(work).map(|item| ExecutionId::parse(&item.execution)) else { return };
        let execution = self.hub.ids().execution(&id);
        match self.holder_of(execution) {
            Some(party) => self.strike_party(position, party),
            None => self.awaiting_holder.push((execution, position)),
        }
    }

    /// Strikes those who have just been given the leases that faults wait for.
    pub(in crate::world) fn strike_new_holders(&mut self) {
        for (execution, position) in std::mem::take(&mut self.awaiting_holder) {
            match self.holder_of(execution) {
                Some(party) => self.strike_party(position, party),
                None => self.awaiting_holder.push((execution, position)),
            }
        }
    }

    /// The party whose present process holds the lease of an execution.
    fn holder_of(&self, execution: ExecutionNo) -> Option<PartyNo> {
        let core = &self.store.execution(execution)?.core;
        let instance = core.current_instance.filter(|_| core.vector.ownership_state == OwnershipState::Leased)?;
        let name = self.hub.ids().instance_id(instance).as_str().to_owned();
        let (key, life) = name.rsplit_once('-')?;
        let party = *self.positions.get(&key.parse::<PartyKey>().ok()?)?;
        let seat = &self.seats[party];
        (seat.alive && seat.instance.to_string() == life).then_some(party)
    }
}
