//! The catalogue: id, scope, cases and statement of every invariant, and the type of those that others add.

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

/// What an invariant promises, in words.
#[derive(Debug)]
pub struct Promise {
    id: &'static str,
    scope: Scope,
    cases: &'static [&'static str],
    statement: &'static str,
    /// Its place in the catalogue, where it is from there.
    place: Option<usize>,
}

impl Promise {
    /// A promise that is not in the catalogue, for a check of one's own: an id that no other has, what it is evaluated
    /// on, the ways in which it can be broken, each a word, and what must hold.
    pub const fn new(id: &'static str, scope: Scope, cases: &'static [&'static str], statement: &'static str) -> Self {
        Self { id, scope, cases, statement, place: None }
    }
}

/// An invariant of the claim protocol: one of the catalogue's, or one that a check of somebody else's promises.
#[derive(Clone, Copy)]
pub struct Invariant(&'static Promise);

impl Invariant {
    /// The invariant of a promise that is not in the catalogue.
    pub const fn of(promise: &'static Promise) -> Self {
        Self(promise)
    }

    /// `S01`, `L09` and so on.
    pub const fn id(self) -> &'static str {
        self.0.id
    }

    /// What it is evaluated on.
    pub const fn scope(self) -> Scope {
        self.0.scope
    }

    /// The ways in which it can be broken, each a word.
    pub const fn cases(self) -> &'static [&'static str] {
        self.0.cases
    }

    /// What must hold.
    pub const fn statement(self) -> &'static str {
        self.0.statement
    }

    /// Position in [`Self::ALL`], for one of the catalogue.
    pub(super) const fn place(self) -> Option<usize> {
        self.0.place
    }

    /// The invariant of the catalogue with this id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|invariant| invariant.id() == id)
    }

    /// What tells it from others: the catalogue in its order, then others by their ids.
    const fn key(self) -> (bool, Option<usize>, &'static str) {
        (self.0.place.is_none(), self.0.place, self.0.id)
    }
}

impl PartialEq for Invariant {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Invariant {}

impl PartialOrd for Invariant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Invariant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::fmt::Debug for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.id)
    }
}

macro_rules! catalogue {
    ($($id:ident $scope:ident [$($case:literal),*] $text:literal,)*) => {
        /// The order of the catalogue.
        enum Order { $($id,)* }

        impl Invariant {
            $(
                #[doc = $text]
                pub const $id: Self = Self(&Promise {
                    id: stringify!($id),
                    scope: Scope::$scope,
                    cases: &[$($case),*],
                    statement: $text,
                    place: Some(Order::$id as usize),
                });
            )*

            /// The catalogue, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
        }
    };
}

catalogue! {
    S01 History ["live"]
        "at most one live lease per execution: a lease is installed only when the previous one was released, revoked, marked expired or past its expiry",
    S02 Transition ["unchanged", "skipped", "moved"]
        "the lease epoch rises by exactly one with every new lease and changes with nothing else",
    S03 History ["again"]
        "no lease id is ever used twice",
    S04 History ["never-held", "replaced", "revoked", "marked", "ended", "expired"]
        "a fenced write is accepted only from the current, unexpired, unrevoked lease",
    S05 Transition ["expired"]
        "a renewal never revives a lease whose expiry has passed",
    S06 Transition ["more"]
        "a renewal changes only the lease's times and its place in lease_expiry",
    S07 State ["missing", "disagrees"]
        "lease:current agrees with the core hash, and exists while the execution is leased",
    S08 History ["revoked"]
        "after a revocation no fenced write with that lease succeeds",
    S09 History ["beside-live"]
        "a grant is issued only where no live grant exists",
    S10 History ["without-grant", "again"]
        "a grant is consumed at most once",
    S11 History ["expired"]
        "a grant is never consumed after its expiry",
    S12 History ["other-worker", "other-instance", "other-lane"]
        "a grant is consumed by the worker, instance and lane that it was issued for",
    S13 Transition ["incapable"]
        "a grant is issued only to a worker that has every required capability",
    S14 History ["saturated"]
        "a worker without a free permit never issues a grant or claims",
    S15 State ["active", "suspended", "ended", "blocked", "delayed", "unlisted"]
        "while a live claim grant exists, the execution is claimable: eligible, in the eligible index of the grant's lane",
    S16 History ["other-kind"]
        "a reclaim grant is consumed only by a reclaim, a claim grant only by a claim",
    S17 State ["miscounted", "not-last"]
        "total_attempt_count is the number of attempt records, and the current attempt is the last",
    S18 Transition ["count", "index", "other-attempt"]
        "a fresh claim and a reclaim start the next attempt; a resumed claim keeps the attempt",
    S19 Transition ["count", "old-not-ended", "new-not-reclaim"]
        "a reclaim raises the reclaim count, ends the old attempt as reclaimed and starts one of type reclaim",
    S20 Transition ["other-type"]
        "a new attempt's type follows from what was pending: initial, retry or replay",
    S21 History ["too-many"]
        "no more retries are scheduled than the policy allows",
    S22 Transition ["reclaimed-at-cap", "failed-below-cap"]
        "a reclaim at the cap fails the execution instead of reclaiming it",
    S23 State ["suspended", "started", "missing", "open"]
        "a terminal execution's current attempt record has ended",
    S24 State ["none", "several", "left-started"]
        "exactly one attempt record is started while the execution is active, none otherwise",
    S25 State ["illegal"]
        "the state vector is one of the legal combinations",
    S26 State ["waiting", "delayed", "rate_limited", "waiting_children", "active", "suspended", "resumable", "completed", "failed", "cancelled", "expired", "skipped"]
        "public_state is what the rest of the vector derives",
    S27 State ["none", "several", "other"]
        "the execution is in exactly one primary index: its own lane's, the one that its vector names",
    S28 State ["missing", "left-over", "other-time"]
        "lease_expiry holds the execution exactly while it is leased or marked expired, at its expiry",
    S29 State ["missing", "left-over", "other-instance"]
        "a worker's lease set holds the execution exactly while that instance holds or lost its lease",
    S30 State ["earlier-attempt", "not-active"]
        "an attempt_timeout entry belongs to the current attempt of an active execution",
    S31 History ["misplaced", "out-of-order"]
        "eligible executions are listed by priority, then age, then id",
    S32 History ["created", "delayed", "retry", "resumed"]
        "work that was promised to wait is not granted before it is due, by the server's clock",
    S33 Transition ["unmet"]
        "work that waits for dependencies becomes eligible only once as many upstreams have succeeded as its edges' policy needs",
    S34 State ["missing", "closed", "waitpoint-not-active", "condition-closed", "left-open"]
        "a suspended execution has an open suspension with an active waitpoint and an open condition; no other has an open one",
    S35 Transition ["other-waitpoint", "not-suspended"]
        "a signal moves an execution only out of the suspension that waits at the signal's waitpoint",
    S36 History ["second-effect", "other-signal", "never-sent", "refused"]
        "a signal sent again with its key is answered as before and has no second effect while the key is remembered",
    S37 Transition ["changed"]
        "only a replay changes a terminal execution's phase, outcome or result",
    S38 Transition ["reclaim-cap", "cancel", "suspension-timeout", "untold", "twice", "not-ended", "other-outcome"]
        "each end of a flow's member is published once, with its outcome, and nothing else is",
    S39 State ["lease-record", "lease-id"]
        "a terminal execution has no lease",
    S40 State ["earlier-result", "no-result", "another-result"]
        "a successful execution's result is the payload of the completion that succeeded",
    S41 History ["exceeded", "counted"]
        "of the executions that a quota admitted, no more than its cap have a live grant or lease at any time",
    S42 History ["exceeded", "counted"]
        "a quota admits no more than its rate within any window, by the clocks of those who ask",
    S43 History ["breached"]
        "nothing is granted whose budget was read to have reached a hard limit",
    S44 History ["again", "never-admitted"]
        "a slot is given back only by an execution that holds one, once",
    S45 Transition ["not-holder", "flow-not-cancelled", "timeout-not-due", "earlier-timeout", "deadline-not-due", "suspension-not-due", "cap-without-grant", "dependency-met", "other-cause"]
        "an execution ends only by a rightful cause: its holder, an operator, a timeout of its own that is due, its cap met by the bearer of a grant, a dependency that cannot be met, the cancel of its flow or siblings",
    S46 History ["renewal", "completion", "failure", "delay", "suspension", "progress", "waiting", "cancel", "claim", "reclaim", "override", "signal"]
        "the holder of the live lease, the bearer of a live grant, an operator who overrides and the sender of a valid signal are not refused",
    S47 Transition ["retries", "reclaims", "deadline", "timeout", "result", "reason", "grant"]
        "a replayed execution starts afresh: nothing of the life before counts on or is left",
    S48 Transition ["created", "granted", "claimed", "renewed", "revoked", "failed", "suspended", "signalled", "completed", "cancelled", "delayed", "resumed", "replayed", "eligible", "refused"]
        "the answer is the effect: what a caller is told is so, and a refusal changes nothing but stamps and the marking of an expired lease",
    S49 History ["again", "other-partition", "other-execution"]
        "one idempotency key makes one execution in its namespace while the key lives",
    S50 Transition ["priority", "delay", "deadline", "budgets", "retries", "category", "backoff", "retries-left", "attempt-timeout"]
        "an execution's own policy is obeyed over any caller's default",
    S51 History ["for-ever", "hidden-effect"]
        "an error that says to try again is not the answer for ever, and one that says to give up has had no effect",
    S52 History ["claimed", "resumed", "reclaimed", "forgotten"]
        "no member of a flow is given a lease after the flow's cancel was answered",
    S53 Transition ["live", "early", "again", "replayed", "left-listed"]
        "retention deletes only what has ended and has been kept for its time, nothing that it has begun to delete runs again, and no index lists what it has deleted",
    L01 Liveness ["unclaimed"]
        "ready work is claimed by the next polls",
    L02 Liveness ["outlives"]
        "a grant is consumed or disappears within its time to live",
    L03 Liveness ["unmarked"]
        "a lease past its expiry is marked by the next scanner passes",
    L04 Liveness ["expired", "revoked"]
        "a marked or revoked lease is reclaimed or terminated by the next reclaimer passes",
    L05 Liveness ["delayed"]
        "delayed work becomes eligible once it is due",
    L06 Liveness ["route", "budget", "quota"]
        "blocked work is unblocked by the next scanner passes once its cause has gone",
    L07 Liveness ["waiting"]
        "work that waits for dependencies is released or skipped by the next scanner passes once all of them have ended",
    L08 Liveness ["suspension", "attempt", "deadline"]
        "what has timed out is resumed or ended by the next scanner passes",
    L09 Liveness ["blocked", "immovable"]
        "every execution becomes terminal",
    L10 Liveness ["unlisted", "no-delay", "unmarkable", "no-upstream"]
        "no execution is lost: some scanner, claim, reclaim, signal or timeout can still move it",
    L11 Worker ["unnoticed"]
        "a holder that neither stalls nor is cut off knows within a third of the lease and one renewal that its lease is lost",
    L12 Worker ["refused"]
        "a client that repeats an end whose answer never came is told that it is done, if it was",
    L13 State ["unheeded"]
        "accepted signals that satisfy an execution's wait have ended it",
    L14 Liveness ["kept"]
        "a lease that no living worker knows of ends",
    L15 Liveness ["stale"]
        "a flow's summary comes to say what its members do",
    W01 Worker ["healthy"]
        "a worker whose renewal was refused for good does not call that lease healthy",
    W02 Worker ["refused"]
        "a worker that runs less than it may has a free permit",
    W03 Worker ["remains"]
        "when a worker's last task has ended, dropped or not, nothing of it goes on",
    W04 Worker ["unseen"]
        "a worker that finds nothing looks at every partition of every lane",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_parses_back_and_every_case_is_one_word() {
        for invariant in Invariant::ALL {
            assert_eq!(Invariant::parse(invariant.id()), Some(*invariant));
            assert!(!invariant.cases().is_empty());
            assert!(invariant.cases().iter().all(|case| !case.contains(' ')));
            assert_eq!(invariant.place().map(|place| Invariant::ALL[place]), Some(*invariant));
        }
    }
}
