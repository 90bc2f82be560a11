//! Addresses: what a message, an id or a wait is for, and what is drawn for it.
//!
//! An address is written `scope / about / name #nth`:
//!
//! - `worker-3.0 / eligible default 5 / ZRANGEBYSCORE #40`: the 40th time that the first life of worker 3 looks for
//!   work of that lane in that partition;
//! - `worker-3.0 / work-17 / claim_execution #1`: that process's first try to claim work item 17;
//! - `holder / work-17 attempt 0 epoch 2 / renew_lease #3`: the third renewal of that lease, whoever holds it.
//!
//! Everything that chance decides while a world runs is a function of the seed and such an address. No draw depends
//! on how much was drawn before, so taking one thing out of a plan leaves every other draw as it was.

use std::fmt::Write as _;

use claimlab_model::intern::{ExecutionNo, Interner, LaneNo};
use claimlab_model::message::Message;
use ff_core::types::{AttemptIndex, LeaseEpoch};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use uuid::Uuid;

use crate::stream::{Range, Ratio};

type Counts = HashMap<u64, u32, FxBuildHasher>;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing that has a name here.
    Nothing,
    /// An execution.
    Execution(ExecutionNo),
    /// A lease of an execution: whoever holds it sends the message.
    Lease {
        /// The execution.
        execution: ExecutionNo,
        /// The attempt that the lease drives.
        attempt: AttemptIndex,
        /// The lease's epoch.
        epoch: LeaseEpoch,
    },
    /// An index of a lane, or of no lane, in a partition.
    Index {
        /// The index.
        name: &'static str,
        /// The lane, where the index belongs to one.
        lane: Option<LaneNo>,
        /// The partition.
        partition: u16,
    },
    /// A lane.
    Lane(LaneNo),
}

impl About {
    /// What a message is about, read off the message itself.
    pub fn of(message: &Message) -> Self {
        if let Message::Script(script) = message {
            let facts = script.facts();
            return match (facts.execution, facts.under) {
                (Some(execution), Some(under)) => Self::Lease { execution, attempt: under.attempt, epoch: under.epoch },
                (Some(execution), None) => Self::Execution(execution),
                (None, _) => Self::Nothing,
            };
        }
        if let Message::Range { partition, key, .. } = message {
            return Self::Index { name: key.name(), lane: key.lane(), partition: *partition };
        }
        message.execution().map_or(Self::Nothing, Self::Execution)
    }
}

/// The 64 bits that an address is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(u64);

const HOLDER: &str = "holder";
const NOTHING: &str = "-";

/// FNV-1a of a text.
const fn hash_text(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut position = 0;
    while position < bytes.len() {
        hash = (hash ^ bytes[position] as u64).wrapping_mul(0x0100_0000_01b3);
        position += 1;
    }
    hash
}

const fn mix(state: u64, value: u64) -> u64 {
    (state.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The finaliser of SplitMix64: every input bit moves every output bit.
const fn finish(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A word of the middle part: digits count as their number.
fn hash_word(word: &str) -> u64 {
    match word.parse::<u64>() {
        Ok(number) if word.bytes().all(|byte| byte.is_ascii_digit()) => number,
        _ => hash_text(word),
    }
}

const fn key_of(base: u64, nth: u32) -> AddressKey {
    AddressKey(finish(mix(base, nth as u64)))
}

impl AddressKey {
    /// Reads a written address.
    ///
    /// # Errors
    /// What an address looks like, where the text is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let accepted = "an address such as \"holder / work-17 attempt 0 epoch 2 / renew_lease #3\"";
        let mut parts = text.split(" / ");
        let (Some(scope), Some(about), Some(message), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(accepted);
        };
        let (name, nth) = message.rsplit_once(" #").ok_or(accepted)?;
        let nth: u32 = nth.parse().map_err(|_| accepted)?;
        let about = about.split(' ').fold(0, |hash, word| mix(hash, hash_word(word)));
        Ok(key_of(mix(mix(hash_text(scope), about), hash_text(name)), nth))
    }
}

/// What is drawn at an address; each is independent of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Draw {
    LatencyOut = 1,
    LatencyBack = 2,
    LosesRequest = 3,
    LosesReply = 4,
    IsLate = 5,
    LateBy = 6,
    ArrivesTwice = 7,
    TwiceAfter = 8,
    Id = 9,
    IdRest = 10,
    Service = 11,
    Habit = 12,
}

/// All that a seed has to draw from.
#[derive(Clone, Copy, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The draws of a seed.
    pub const fn of(seed: u64) -> Self {
        Self(finish(seed ^ 0x6a09_e667_f3bc_c908))
    }

    const fn bits(self, at: AddressKey, draw: Draw) -> u64 {
        finish(finish(self.0 ^ at.0).wrapping_add((draw as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number in a range of durations, both ends included.
    pub fn within(self, at: AddressKey, draw: Draw, range: Range) -> u64 {
        // One value needs no draw; most worlds ask for a service time that is none, at every message.
        if range.low == range.high {
            return range.low.max(0).unsigned_abs();
        }
        let width = u128::from(range.high.abs_diff(range.low)) + 1;
        let offset = (u128::from(self.bits(at, draw)) * width) >> 64;
        range.low.saturating_add_unsigned(offset as u64).max(0).unsigned_abs()
    }

    /// Whether something with this probability happens there.
    pub fn happens(self, at: AddressKey, draw: Draw, ratio: Ratio) -> bool {
        ((u128::from(self.bits(at, draw)) * u128::from(ratio.of)) >> 64) < u128::from(ratio.times)
    }

    /// The id that is minted there.
    pub fn uuid(self, at: AddressKey) -> Uuid {
        let bits = u128::from(self.bits(at, Draw::Id)) << 64 | u128::from(self.bits(at, Draw::IdRest));
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// Who sends: one life of a process, or a part of it that follows the plan or somebody's request. Messages are
/// counted within it.
#[derive(Clone, Debug)]
pub struct Scope {
    text: String,
    hash: u64,
    counts: Counts,
    /// Looks at indexes, most of all messages: for each name, index and lane, one count for each partition, so that the
    /// looks of one poll lie side by side in memory.
    looks: Vec<(u64, Vec<u32>)>,
}

impl Scope {
    /// A scope of this name; a slash in it would end it, so none may be there.
    pub fn named(text: &str) -> Self {
        Self { hash: hash_text(text), text: text.to_owned(), counts: Counts::default(), looks: Vec::new() }
    }
}

impl Scope {
    /// Counts a look at a partition of an index.
    fn look(&mut self, index: u64, partition: u16) -> u32 {
        let position = match self.looks.iter().position(|(known, _)| *known == index) {
            Some(position) => position,
            None => {
                self.looks.push((index, Vec::new()));
                self.looks.len() - 1
            }
        };
        let counts = &mut self.looks[position].1;
        let place = usize::from(partition);
        if counts.len() <= place {
            counts.resize(place + 1, 0);
        }
        counts[place] += 1;
        counts[place]
    }
}

/// One address, not yet written out.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// What it is reduced to.
    pub key: AddressKey,
    about: About,
    name: &'static str,
    nth: u32,
}

/// Gives every message and id of a world its address.
#[derive(Debug, Default)]
pub struct AddressBook {
    /// Numbers of the plan's work items by their executions.
    work: HashMap<String, u32, FxBuildHasher>,
    executions: Vec<Option<u64>>,
    lanes: Vec<Option<u64>>,
    /// Messages of leases, whoever holds them.
    holders: Counts,
    names: Names,
}

/// Hashes of names that were asked for before, found by where the name lies in memory: that decides speed only.
#[derive(Debug)]
struct Names([(usize, u64); 256]);

impl Default for Names {
    fn default() -> Self {
        Self([(0, 0); 256])
    }
}

impl Names {
    fn hash(&mut self, name: &'static str) -> u64 {
        let lies_at = name.as_ptr() as usize;
        // Two names of different length may begin at one place.
        let known = &mut self.0[(lies_at ^ (lies_at >> 8) ^ name.len()) & 0xff];
        let tag = lies_at.rotate_left(16) ^ name.len();
        if known.0 != tag {
            *known = (tag, hash_text(name));
        }
        known.1
    }
}

impl AddressBook {
    /// The book of a world with these work items.
    pub fn new<'a>(work: impl Iterator<Item = (&'a str, u32)>) -> Self {
        Self { work: work.map(|(id, item)| (id.to_owned(), item)).collect(), ..Self::default() }
    }

    /// The next address of this name in a scope.
    pub fn next(&mut self, scope: &mut Scope, about: About, name: &'static str, ids: &Interner) -> Address {
        let named = self.names.hash(name);
        if let About::Index { name: index, lane, partition } = about {
            let hashed = self.hash_index(index, lane, ids);
            let base = mix(mix(scope.hash, mix(hashed, u64::from(partition))), named);
            let nth = scope.look(mix(hashed, named), partition);
            return Address { key: key_of(base, nth), about, name, nth };
        }
        let hashed = self.hash_about(about, ids);
        let is_holders = matches!(about, About::Lease { .. });
        let (hash, counts) =
            if is_holders { (const { hash_text(HOLDER) }, &mut self.holders) } else { (scope.hash, &mut scope.counts) };
        let base = mix(mix(hash, hashed), named);
        let nth = counts.entry(base).or_default();
        *nth += 1;
        Address { key: key_of(base, *nth), about, name, nth: *nth }
    }

    fn hash_about(&mut self, about: About, ids: &Interner) -> u64 {
        const EMPTY: u64 = mix(0, hash_text(NOTHING));
        match about {
            About::Nothing => EMPTY,
            About::Execution(execution) => mix(0, self.hash_execution(execution, ids)),
            About::Lease { execution, attempt, epoch } => {
                let work = mix(0, self.hash_execution(execution, ids));
                let attempt = mix(mix(work, const { hash_text("attempt") }), u64::from(attempt.0));
                mix(mix(attempt, const { hash_text("epoch") }), epoch.0)
            }
            About::Index { name, lane, partition } => mix(self.hash_index(name, lane, ids), u64::from(partition)),
            About::Lane(lane) => mix(0, self.hash_lane(lane, ids)),
        }
    }

    fn hash_index(&mut self, name: &'static str, lane: Option<LaneNo>, ids: &Interner) -> u64 {
        let index = mix(0, self.names.hash(name));
        lane.map_or(index, |lane| mix(index, self.hash_lane(lane, ids)))
    }

    fn hash_execution(&mut self, execution: ExecutionNo, ids: &Interner) -> u64 {
        let position = execution.index();
        if self.executions.len() <= position {
            self.executions.resize(position + 1, None);
        }
        if let Some(hash) = self.executions[position] {
            return hash;
        }
        let hash = hash_word(&self.word_of(execution, ids));
        self.executions[position] = Some(hash);
        hash
    }

    fn hash_lane(&mut self, lane: LaneNo, ids: &Interner) -> u64 {
        let position = lane.index();
        if self.lanes.len() <= position {
            self.lanes.resize(position + 1, None);
        }
        *self.lanes[position].get_or_insert_with(|| hash_word(&word_of_lane(lane, ids)))
    }

    fn word_of(&self, execution: ExecutionNo, ids: &Interner) -> String {
        let name = ids.execution_name(execution);
        self.work.get(&**name).map_or_else(|| name.to_string(), |item| format!("work-{item}"))
    }

    /// An address of a scope as a plan names it.
    pub fn write(&self, scope: &Scope, address: &Address, ids: &Interner) -> String {
        let is_holders = matches!(address.about, About::Lease { .. });
        let mut text = if is_holders { HOLDER } else { &scope.text }.to_owned();
        text.push_str(" / ");
        // Writing into a string cannot fail.
        let _ = match address.about {
            About::Nothing => write!(text, "{NOTHING}"),
            About::Execution(execution) => write!(text, "{}", self.word_of(execution, ids)),
            About::Lease { execution, attempt, epoch } => {
                write!(text, "{} attempt {attempt} epoch {epoch}", self.word_of(execution, ids))
            }
            About::Index { name, lane: Some(lane), partition } => {
                write!(text, "{name} {} {partition}", word_of_lane(lane, ids))
            }
            About::Index { name, lane: None, partition } => write!(text, "{name} {partition}"),
            About::Lane(lane) => write!(text, "{}", word_of_lane(lane, ids)),
        };
        let _ = write!(text, " / {} #{}", address.name, address.nth);
        text
    }
}

/// A lane's name as one word of an address.
fn word_of_lane(lane: LaneNo, ids: &Interner) -> String {
    ids.lane_id(lane).as_str().replace([' ', '/'], "_")
}

#[cfg(test)]
mod tests {
    use ff_core::types::{ExecutionId, LaneId};

    use super::*;

    #[test]
    fn what_is_written_is_read_back_as_the_same_key() {
        let mut ids = Interner::default();
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let (execution, lane) = (ids.execution(&id), ids.lane(&LaneId::new("bulk 7")));
        let mut book = AddressBook::new([(id.as_str(), 17)].into_iter());
        let mut scope = Scope::named("worker-3.0");
        let abouts = [
            About::Nothing,
            About::Execution(execution),
            About::Lease { execution, attempt: AttemptIndex::new(0), epoch: LeaseEpoch(2) },
            About::Index { name: "eligible", lane: Some(lane), partition: 5 },
            About::Index { name: "lease_expiry", lane: None, partition: 0 },
            About::Lane(lane),
        ];
        let mut keys = std::collections::BTreeSet::new();
        for about in abouts {
            for nth in 1..3 {
                let address = book.next(&mut scope, about, "HMGET core", &ids);
                let text = book.write(&scope, &address, &ids);
                assert_eq!(AddressKey::parse(&text), Ok(address.key), "{text}");
                assert!(text.ends_with(&format!(" / HMGET core #{nth}")), "{text}");
                keys.insert(address.key);
            }
        }
        assert_eq!(keys.len(), 12, "each address has a key of its own");
        assert!(AddressKey::parse("worker-3.0 / HMGET core #1").is_err());
    }

    #[test]
    fn a_lease_is_counted_whoever_holds_it() {
        let mut ids = Interner::default();
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let execution = ids.execution(&id);
        let mut book = AddressBook::default();
        let (mut one, mut other) = (Scope::named("worker-1.0"), Scope::named("worker-2.0"));
        let lease = About::Lease { execution, attempt: AttemptIndex::new(1), epoch: LeaseEpoch(2) };
        let first = book.next(&mut one, lease, "renew_lease", &ids);
        let mut fresh = AddressBook::default();
        assert_eq!(fresh.next(&mut other, lease, "renew_lease", &ids).key, first.key);
        let own = About::Execution(execution);
        assert_ne!(
            book.next(&mut one, own, "HMGET core", &ids).key,
            book.next(&mut other, own, "HMGET core", &ids).key
        );
    }

    #[test]
    fn rates_are_met_and_draws_fill_their_range() {
        let draws = Draws::of(7);
        let keys: Vec<AddressKey> = (0..20_000).map(|nth| key_of(hash_text("x"), nth)).collect();
        let struck = keys.iter().filter(|key| draws.happens(**key, Draw::LosesReply, Ratio { times: 1, of: 10 }));
        assert!((1_800..2_200).contains(&struck.count()));
        let range = Range { low: 3, high: 5 };
        let drawn: std::collections::BTreeSet<u64> =
            keys.iter().map(|key| draws.within(*key, Draw::LateBy, range)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(
            !draws.happens(keys[0], Draw::IsLate, Ratio::NEVER) && draws.happens(keys[0], Draw::IsLate, Ratio::ALWAYS)
        );
    }
}
