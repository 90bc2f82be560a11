//! The catalogue: id, scope and statement of every invariant.

/// What an invariant is evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One state.
    State,
    /// One transition.
    Transition,
    /// The history of replies.
    History,
    /// The phase after the faults have stopped.
    Liveness,
    /// What a worker's process does by itself.
    Worker,
}

impl Scope {
    /// The scope's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Transition => "transition",
            Self::History => "history",
            Self::Liveness => "liveness",
            Self::Worker => "worker",
        }
    }
}

macro_rules! catalogue {
    ($($id:ident $scope:ident $text:literal,)*) => {
        /// An invariant of the claim protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Invariant { $($id,)* }

        impl Invariant {
            /// Every invariant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// `S01`, `L09` and so on.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$id => stringify!($id),)* }
            }

            /// What it is evaluated on.
            pub const fn scope(self) -> Scope {
                match self { $(Self::$id => Scope::$scope,)* }
            }

            /// What must hold.
            pub const fn statement(self) -> &'static str {
                match self { $(Self::$id => $text,)* }
            }
        }
    };
}

catalogue! {
    S01 History "at most one live lease per execution: a lease is installed only when the previous one was released, revoked, marked expired or past its expiry",
    S02 Transition "the lease epoch rises by exactly one with every new lease and changes with nothing else",
    S03 History "no lease id is ever used twice",
    S04 History "a fenced write is accepted only from the current, unexpired, unrevoked lease",
    S05 Transition "a renewal never revives a lease whose expiry has passed",
    S06 Transition "a renewal changes only the lease's times and its place in lease_expiry",
    S07 State "lease:current agrees with the core hash, and exists while the execution is leased",
    S08 History "after a revocation no fenced write with that lease succeeds",
    S09 History "a grant is issued only where no live grant exists",
    S10 History "a grant is consumed at most once",
    S11 History "a grant is never consumed after its expiry",
    S12 History "a grant is consumed by the worker, instance and lane that it was issued for",
    S13 Transition "a grant is issued only to a worker that has every required capability",
    S14 History "a worker without a free permit never issues a grant or claims",
    S15 State "while a live claim grant exists, the execution is claimable: eligible, in the eligible index of the grant's lane",
    S16 History "a reclaim grant is consumed only by a reclaim, a claim grant only by a claim",
    S17 State "total_attempt_count is the number of attempt records, and the current attempt is the last",
    S18 Transition "a fresh claim and a reclaim start the next attempt; a resumed claim keeps the attempt",
    S19 Transition "a reclaim raises the reclaim count, ends the old attempt as reclaimed and starts one of type reclaim",
    S20 Transition "a new attempt's type follows from what was pending: initial, retry or replay",
    S21 History "no more retries are scheduled than the policy allows",
    S22 Transition "a reclaim at the cap fails the execution instead of reclaiming it",
    S23 State "a terminal execution's current attempt record has ended",
    S24 State "exactly one attempt record is started while the execution is active, none otherwise",
    S25 State "the state vector is one of the legal combinations",
    S26 State "public_state is what the rest of the vector derives",
    S27 State "the execution is in exactly one primary index: its own lane's, the one that its vector names",
    S28 State "lease_expiry holds the execution exactly while it is leased or marked expired, at its expiry",
    S29 State "a worker's lease set holds the execution exactly while that instance holds or lost its lease",
    S30 State "an attempt_timeout entry belongs to the current attempt of an active execution",
    S31 History "eligible executions are listed by priority, then age, then id",
    S37 Transition "only a replay changes a terminal execution's phase, outcome or result",
    S39 State "a terminal execution has no lease",
    S40 State "a successful execution's result is the payload of the completion that succeeded",
    L02 Liveness "a grant is consumed or disappears within its time to live",
    L03 Liveness "a lease past its expiry is marked by the next scanner passes",
    L04 Liveness "a marked or revoked lease is reclaimed or terminated by the next reclaimer passes",
    L05 Liveness "delayed work becomes eligible once it is due",
    L09 Liveness "every execution becomes terminal",
    L10 Liveness "no execution is lost: some scanner, claim, reclaim, signal or timeout can still move it",
    W01 Worker "a worker whose renewal was refused for good does not call that lease healthy",
    W02 Worker "a worker that runs less than it may has a free permit",
    W03 Worker "when a worker's last task has ended, dropped or not, nothing of it goes on",
    W04 Worker "a worker that finds nothing looks at every partition of every lane",
}

impl Invariant {
    /// The state invariants, in order.
    pub const STATE: [Self; 13] = [
        Self::S07,
        Self::S15,
        Self::S17,
        Self::S23,
        Self::S24,
        Self::S25,
        Self::S26,
        Self::S27,
        Self::S28,
        Self::S29,
        Self::S30,
        Self::S39,
        Self::S40,
    ];

    /// Position in [`Self::ALL`].
    pub const fn position(self) -> usize {
        self as usize
    }

    /// The invariant of an id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|invariant| invariant.id() == id)
    }
}

/// A small set of invariants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

const _: () = assert!(Invariant::COUNT <= u64::BITS as usize, "a set is a word");

impl Set {
    pub(super) fn put(&mut self, invariant: Invariant, broken: bool) {
        self.0 |= u64::from(broken) << invariant.position();
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Invariant> {
        Invariant::ALL.iter().copied().filter(move |invariant| self.0 & (1 << invariant.position()) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_parses_back_and_every_state_invariant_is_of_that_scope() {
        for invariant in Invariant::ALL {
            assert_eq!(Invariant::parse(invariant.id()), Some(*invariant));
        }
        let of_scope = Invariant::ALL.iter().filter(|invariant| invariant.scope() == Scope::State).count();
        assert_eq!(of_scope, Invariant::STATE.len());
        assert!(Invariant::STATE.iter().all(|invariant| invariant.scope() == Scope::State));
    }
}
