//! What each party of a world called, when by its own clock, and what it was answered.
//!
//! The calls of one party come out as lines in which handles are opened and ids are numbered in the
//! order in which they appear, so that two parties that differ in nothing but their ids give the same
//! lines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ff_core::engine_backend::EngineBackend;

use super::{Answer, Answerer, Call, Caller};
use crate::clock::WorkerTime;
use crate::plan::PartyKey;
use crate::printed;
use crate::world::{Overhears, Party};

/// One call.
#[derive(Clone, Debug)]
struct Entry {
    party: PartyKey,
    at: WorkerTime,
    call: String,
    answer: Option<String>,
}

/// The calls of a world.
#[derive(Debug, Default)]
pub struct CallLog(Mutex<Vec<Entry>>);

impl CallLog {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parties that called anything.
    pub fn parties(&self) -> Vec<PartyKey> {
        let mut parties: Vec<PartyKey> = self.entries().iter().map(|entry| entry.party).collect();
        parties.sort_unstable();
        parties.dedup();
        parties
    }

    /// A party's calls in the order in which it made them, each with its place among all.
    pub fn of(&self, party: PartyKey) -> Vec<(usize, String)> {
        let mut ids = BTreeMap::new();
        let entries = self.entries();
        let own = entries.iter().enumerate().filter(|(_, entry)| entry.party == party);
        own.map(|(place, entry)| {
            let answer = entry.answer.as_deref().unwrap_or("no answer");
            (place, numbered(&printed::opened(&format!("{} {} -> {answer}", entry.at.ms(), entry.call)), &mut ids))
        })
        .collect()
    }
}

/// A log that a world's calls are noted in.
#[derive(Clone, Debug, Default)]
pub struct Log(pub Arc<CallLog>);

/// A party's way to the server, overheard.
struct Overheard {
    party: Party,
    log: Arc<CallLog>,
    backend: Arc<dyn EngineBackend>,
}

impl Overhears for Log {
    fn backend(&self, party: &Party, backend: Arc<dyn EngineBackend>) -> Arc<dyn EngineBackend> {
        Arc::new(Caller(Overheard { party: party.clone(), log: Arc::clone(&self.0), backend }))
    }
}

#[async_trait]
impl Answerer for Overheard {
    async fn answer(&self, call: Call) -> Answer {
        let party = self.party.hub().key(self.party.number());
        let entry = Entry { party, at: self.party.now(), call: format!("{call:?}"), answer: None };
        let position = {
            let mut entries = self.log.entries();
            entries.push(entry);
            entries.len() - 1
        };
        let answer = call.perform(&*self.backend).await;
        self.log.entries()[position].answer = Some(answer.text());
        answer
    }
}

/// A text in which each id is the number of its first appearance.
fn numbered(text: &str, ids: &mut BTreeMap<uuid::Uuid, usize>) -> String {
    const LENGTH: usize = 36;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let candidate = rest.get(..LENGTH).filter(|found| found.as_bytes()[8] == b'-');
        match candidate.and_then(|found| uuid::Uuid::parse_str(found).ok()) {
            Some(id) => {
                let next = ids.len();
                out.push_str(&format!("#{}", ids.entry(id).or_insert(next)));
                rest = &rest[LENGTH..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbered_in_the_order_of_their_appearance() {
        let (one, other) = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b");
        let mut ids = BTreeMap::new();
        assert_eq!(numbered(&format!("é {other} {one} {other}-"), &mut ids), "é #0 #1 #0-");
        assert_eq!(numbered(one, &mut ids), "#1");
    }
}
