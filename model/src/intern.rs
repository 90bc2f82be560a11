//! Exact id strings to dense numbers, once, where a message enters.
//!
//! The server keys everything by the exact string that a caller sent: `{fp:07}:…` and `{fp:7}:…` are
//! two executions there, so they are two here. Behind the port only numbers travel; vectors are
//! indexed by them and nothing hashes an id twice. A number says nothing but identity: order and
//! output always use the string.

use std::sync::Arc;

use ff_core::types::{ExecutionId, LaneId, Namespace, WorkerId, WorkerInstanceId};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Position in vectors kept beside the interner.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number!(
    /// An execution id's number.
    ExecutionNo
);
number!(
    /// A lane's number.
    LaneNo
);
number!(
    /// A worker id's number.
    WorkerNo
);
number!(
    /// A worker instance id's number.
    InstanceNo
);
number!(
    /// A namespace's number.
    NamespaceNo
);

/// One kind of id: strings one way, numbers the other.
#[derive(Debug)]
struct Table<T> {
    numbers: HashMap<Arc<str>, u32, FxBuildHasher>,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), values: Vec::new() }
    }
}

impl<T> Table<T> {
    fn number(&mut self, text: &str, value: impl FnOnce(Arc<str>) -> T) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).expect("fewer than 2^32 ids in one run");
        let name: Arc<str> = text.into();
        self.values.push(value(Arc::clone(&name)));
        self.numbers.insert(name, number);
        number
    }
}

/// All ids that a run has seen.
#[derive(Debug, Default)]
pub struct Interner {
    executions: Table<(ExecutionId, Arc<str>, u16)>,
    lanes: Table<LaneId>,
    workers: Table<WorkerId>,
    instances: Table<WorkerInstanceId>,
    namespaces: Table<Namespace>,
}

impl Interner {
    /// The number of an execution id.
    pub fn execution(&mut self, id: &ExecutionId) -> ExecutionNo {
        ExecutionNo(self.executions.number(id.as_str(), |name| (id.clone(), name, id.partition())))
    }

    /// The number of a lane.
    pub fn lane(&mut self, id: &LaneId) -> LaneNo {
        LaneNo(self.lanes.number(id.as_str(), |_| id.clone()))
    }

    /// The number of a worker id.
    pub fn worker(&mut self, id: &WorkerId) -> WorkerNo {
        WorkerNo(self.workers.number(id.as_str(), |_| id.clone()))
    }

    /// The number of a worker instance id.
    pub fn instance(&mut self, id: &WorkerInstanceId) -> InstanceNo {
        InstanceNo(self.instances.number(id.as_str(), |_| id.clone()))
    }

    /// The number of a namespace.
    pub fn namespace(&mut self, id: &Namespace) -> NamespaceNo {
        NamespaceNo(self.namespaces.number(id.as_str(), |_| id.clone()))
    }

    /// The execution id behind a number.
    pub fn execution_id(&self, number: ExecutionNo) -> &ExecutionId {
        &self.executions.values[number.index()].0
    }

    /// The exact string of an execution id, shared.
    pub fn execution_name(&self, number: ExecutionNo) -> &Arc<str> {
        &self.executions.values[number.index()].1
    }

    /// The partition that an execution id names.
    pub fn partition(&self, number: ExecutionNo) -> u16 {
        self.executions.values[number.index()].2
    }

    /// The lane behind a number.
    pub fn lane_id(&self, number: LaneNo) -> &LaneId {
        &self.lanes.values[number.index()]
    }

    /// The worker id behind a number.
    pub fn worker_id(&self, number: WorkerNo) -> &WorkerId {
        &self.workers.values[number.index()]
    }

    /// The worker instance id behind a number.
    pub fn instance_id(&self, number: InstanceNo) -> &WorkerInstanceId {
        &self.instances.values[number.index()]
    }

    /// The namespace behind a number.
    pub fn namespace_id(&self, number: NamespaceNo) -> &Namespace {
        &self.namespaces.values[number.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_uuid_are_two_executions() {
        let mut interner = Interner::default();
        let plain = ExecutionId::parse("{fp:7}:00000000-0000-0000-0000-00000000000a").unwrap();
        let padded = ExecutionId::parse("{fp:07}:00000000-0000-0000-0000-00000000000A").unwrap();
        let first = interner.execution(&plain);
        assert_ne!(first, interner.execution(&padded));
        assert_eq!(first, interner.execution(&plain));
        assert_eq!(interner.partition(first), 7);
        assert_eq!(interner.execution_id(first), &plain);
    }
}
