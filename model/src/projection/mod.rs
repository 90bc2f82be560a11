//! The store as the server would hold it: key names, types, texts, scores and expiry times.
//!
//! What the model keeps parsed and numbered is rendered here as the keys that
//! `ff-script/src/flowfabric.lua` writes, so that it can be laid beside a real server's keys, field
//! by field. Names come from `ff-core`'s own `keys` module. Nothing here decides anything.

mod admission;
mod core;
mod execution;
mod flow;
mod index;
mod server;
mod suspension;
mod text;

pub use self::core::{CoreParts, core_fields};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ff_core::keys::{ExecKeyContext, IndexKeys};
use ff_core::partition::{Partition, PartitionFamily};

use crate::intern::{ExecutionNo, Interner};
use crate::number::Score;
use crate::store::{IndexKey, Store};
use crate::time::ServerTime;

/// What a key holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(Vec<u8>),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A set.
    Set(BTreeSet<String>),
    /// A sorted set.
    Sorted(BTreeMap<String, Score>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Self::Hash(fields) => write!(f, "{fields:?}"),
            Self::Set(members) => write!(f, "{members:?}"),
            Self::Sorted(members) => write!(f, "{members:?}"),
        }
    }
}

/// A key's value and when the server may drop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it holds.
    pub value: Value,
    /// Its expiry, if it has one.
    pub expires_at: Option<ServerTime>,
}

/// Keys by name.
pub type Keys = BTreeMap<String, Key>;

/// An execution's place in one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A member of a sorted set, with its score.
    Sorted(Option<Score>),
    /// A member of a set, or not.
    Set(bool),
}

/// The keys that belong to one execution and exist.
///
/// Keys past their expiry are left out, as a server leaves them out.
pub fn execution_keys(store: &Store, ids: &Interner, number: ExecutionNo, now: ServerTime) -> Keys {
    let mut keys = Keys::new();
    if let Some(found) = store.execution(number) {
        execution::render(store, ids, found, &mut keys);
    }
    keys.retain(|_, key| key.expires_at.is_none_or(|expires| expires >= now));
    keys
}

/// What a key of an execution is, for who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    Text,
    /// A hash.
    Hash,
    /// A hash with an expiry.
    ExpiringHash,
    /// A set.
    Set,
    /// A sorted set.
    Sorted,
}

/// The keys that an execution could have: those to look for, whether or not the model has them.
pub fn possible_keys(store: &Store, ids: &Interner, number: ExecutionNo) -> Vec<(String, Type)> {
    execution::possible(store, ids, number)
}

/// The place of one execution in every index of its partition that any lane or instance of the run names.
pub fn places(store: &Store, ids: &Interner, number: ExecutionNo) -> BTreeMap<String, Place> {
    index::places(store, ids, number)
}

/// Every key of the store with so many partitions, those past their expiry included.
pub fn everything(store: &Store, ids: &Interner, partitions: u16) -> Keys {
    let mut keys = Keys::new();
    for found in store.executions() {
        execution::render(store, ids, found, &mut keys);
        index::render(ids, found, &mut keys);
    }
    for left in store.remains() {
        execution::render_beside(store, ids, left, &mut keys);
        index::render(ids, left, &mut keys);
    }
    server::render(store, ids, &mut keys);
    flow::render(store, ids, &mut keys);
    suspension::render_partitions(store, partitions, &mut keys);
    admission::render(store, ids, &mut keys);
    keys
}

/// The key names of an execution.
pub fn names(ids: &Interner, number: ExecutionNo) -> ExecKeyContext {
    ExecKeyContext::new(&partition(ids.partition(number)), ids.execution_id(number))
}

/// The name of an index's key.
pub fn index_name(ids: &Interner, partition: u16, key: IndexKey) -> String {
    index::name(ids, partition, key)
}

/// The index names of a partition.
pub fn index_names(index: u16) -> IndexKeys {
    IndexKeys::new(&partition(index))
}

fn partition(index: u16) -> Partition {
    Partition { family: PartitionFamily::Execution, index }
}
