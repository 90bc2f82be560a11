//! The store's ways to read and change suspensions, waitpoints, signals and secrets.

use ff_core::types::{SignalId, WaitpointId};

use super::{Change, Composite, Entry, Execution, Keystore, SignalRecord, Store, Suspension, Waitpoint};
use crate::deviation::Deviations;
use crate::intern::ExecutionNo;
use crate::number::Score;
use crate::time::ServerTime;

/// `ff:wp:<tag>:` and its condition: what an expiry that read no waitpoint closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// `closed_at` of both hashes.
    pub closed_at: ServerTime,
    /// `close_reason` and `closed_reason`.
    pub reason: &'static str,
}

impl Store {
    /// An empty server whose partitions have no waitpoint secret yet.
    pub fn unseeded(deviations: Deviations) -> Self {
        Self::over(Keystore::default(), deviations)
    }

    /// A waitpoint of a partition.
    pub fn waitpoint(&self, partition: u16, id: &WaitpointId) -> Option<&Waitpoint> {
        self.waitpoints.get(&(partition, id.clone()))
    }

    /// The waitpoints that were written for an execution.
    pub fn waitpoints_of<'a>(&'a self, found: &'a Execution) -> impl Iterator<Item = &'a Waitpoint> {
        let own = found.own_waitpoints.iter().filter_map(|id| self.waitpoint(found.partition, id));
        own.filter(|held| held.execution == found.number)
    }

    /// A signal of a partition.
    pub fn signal(&self, partition: u16, id: &SignalId) -> Option<&SignalRecord> {
        self.signals.get(&(partition, id.clone()))
    }

    /// The waitpoint secrets of a partition.
    pub fn secrets(&self, partition: u16) -> &Keystore {
        self.secrets.of(partition)
    }

    /// The waitpoints of a partition that lapse unless a suspension uses them, soonest first.
    pub fn pending_waitpoints(&self, partition: u16) -> impl Iterator<Item = (Score, WaitpointId)> + '_ {
        self.pending.range(partition)
    }

    /// What stands under the empty waitpoint id of a partition.
    pub fn stray(&self, partition: u16) -> Option<Stray> {
        self.strays.get(&partition).copied()
    }

    pub(crate) fn secrets_mut(&mut self, partition: u16) -> &mut Keystore {
        self.secrets.of_mut(partition)
    }

    pub(crate) fn add_pending(&mut self, partition: u16, id: &WaitpointId, score: Score) {
        self.pending.add(partition, id, score);
    }

    pub(crate) fn remove_pending(&mut self, partition: u16, id: &WaitpointId) {
        self.pending.remove(partition, id);
    }

    pub(crate) fn write_suspension(&mut self, number: ExecutionNo, write: impl FnOnce(&mut Option<Suspension>)) {
        write(&mut self.execution_mut(number).suspension);
        self.note(number, Change::Suspension);
    }

    /// `HSET` of a new waitpoint and its condition over whatever stands under the id.
    ///
    /// The signal stream stays; so do the closing fields, unless the new one brings its own.
    pub(crate) fn put_waitpoint(&mut self, partition: u16, waitpoint: Waitpoint) {
        let number = waitpoint.execution;
        let key = (partition, waitpoint.id.clone());
        let merged = match self.waitpoints.remove(&key) {
            Some(earlier) => waitpoint.over(earlier),
            None => waitpoint,
        };
        let id = key.1.clone();
        self.waitpoints.insert(key, merged);
        if self.execution(number).is_some() {
            let own = &mut self.execution_mut(number).own_waitpoints;
            if !own.contains(&id) {
                own.push(id);
            }
        }
        self.note(number, Change::Suspension);
    }

    /// `HSET` on a waitpoint or its condition; nothing where the waitpoint does not exist.
    pub(crate) fn write_waitpoint(
        &mut self,
        number: ExecutionNo,
        partition: u16,
        id: &WaitpointId,
        write: impl FnOnce(&mut Waitpoint),
    ) {
        if let Some(waitpoint) = self.waitpoints.get_mut(&(partition, id.clone())) {
            write(waitpoint);
            self.note(number, Change::Suspension);
        }
    }

    pub(crate) fn write_stray(&mut self, partition: u16, stray: Stray) {
        self.strays.insert(partition, stray);
    }

    /// `SADD` on the execution's set of waitpoints.
    pub(crate) fn add_waitpoint_member(&mut self, number: ExecutionNo, id: &WaitpointId) {
        let waitpoints = &mut self.execution_mut(number).waitpoints;
        if !waitpoints.contains(id) {
            waitpoints.push(id.clone());
        }
    }

    pub(crate) fn write_composite(&mut self, number: ExecutionNo, write: impl FnOnce(&mut Composite)) {
        write(self.execution_mut(number).composite.get_or_insert_default());
        self.note(number, Change::Suspension);
    }

    /// `composite_cleanup`.
    pub(crate) fn delete_composite(&mut self, number: ExecutionNo) {
        if self.execution_mut(number).composite.take().is_some() {
            self.note(number, Change::Suspension);
        }
    }

    /// `HSET` of a signal over whatever stands under its id; a payload stays where the new one is empty.
    pub(crate) fn put_signal(&mut self, partition: u16, id: &SignalId, mut record: SignalRecord) {
        let earlier = self.signals.remove(&(partition, id.clone()));
        if let Some(earlier) = earlier {
            record.payload = record.payload.or(earlier.payload);
            record.effect = record.effect.or(earlier.effect);
        }
        self.signals.insert((partition, id.clone()), record);
    }

    pub(crate) fn set_effect(&mut self, partition: u16, id: &SignalId, effect: &'static str) {
        if let Some(record) = self.signals.get_mut(&(partition, id.clone())) {
            record.effect = Some(effect);
        }
    }

    /// `XADD` to the waitpoint's stream and `ZADD` to the execution's signals.
    pub(crate) fn accept_signal(
        &mut self,
        number: ExecutionNo,
        partition: u16,
        waitpoint: &WaitpointId,
        entry: Entry,
        trimmed_to_none: bool,
    ) {
        let (signal, score) = (entry.signal.clone(), Score::at_ms(entry.accepted_at.ms()));
        if let Some(waitpoint) = self.waitpoints.get_mut(&(partition, waitpoint.clone())) {
            waitpoint.signals.push(entry);
            if trimmed_to_none {
                waitpoint.signals.clear();
            }
        }
        let signals = &mut self.execution_mut(number).signals;
        match signals.iter_mut().find(|(held, _)| *held == signal) {
            Some((_, held)) => *held = score,
            None => signals.push((signal, score)),
        }
        self.note(number, Change::Note);
    }
}

impl Waitpoint {
    fn over(mut self, earlier: Self) -> Self {
        if self.close_reason.is_none() {
            self.satisfied_at = earlier.satisfied_at;
            self.closed_at = earlier.closed_at;
            self.close_reason = earlier.close_reason;
        }
        self.condition = match self.condition {
            Some(condition) => Some(condition.over(earlier.condition)),
            None => earlier.condition,
        };
        self.signals = earlier.signals;
        self
    }
}
