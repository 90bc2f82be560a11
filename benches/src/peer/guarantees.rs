//! What each queue promises, in the same words, as its documentation and its code say.

use super::Kind;

/// The questions that are asked of each.
pub const QUESTIONS: &[&str] =
    &["delivery", "when a worker dies", "a late worker's write", "renewal", "routing", "parking", "counted as done"];

/// The answers, in that order.
pub fn of(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let answers: [&str; 7] = match kind {
        Kind::FlowFabric => [
            "at least once; one live lease",
            "the lease lapses, a scanner marks it, a grant reclaims it",
            "refused: lease id and epoch are checked by the function",
            "each third of the lease, by the worker",
            "lanes, priorities, capabilities",
            "suspend until a signal, delay",
            "when the server has acknowledged it",
        ],
        Kind::Blmove => [
            "at least once",
            "nothing here: somebody must look for lists whose lease key is gone",
            "accepted: nothing checks who completes",
            "none here",
            "one list",
            "none",
            "when the server has acknowledged it",
        ],
        Kind::Apalis => [
            "at least once",
            "missed heartbeats let orphaned tasks be put back",
            "refused once the task is not in its own set; no epoch",
            "heartbeat of the worker, leases of its batch",
            "queues",
            "schedule for later",
            "when its code has ended, before the acknowledgement",
        ],
        Kind::Sidekiq => [
            "at most once: a job is taken off the list before it runs",
            "the job is lost",
            "accepted",
            "none",
            "queues",
            "schedule for later, retry",
            "when its code has ended, before the acknowledgement",
        ],
        Kind::Sqlite => [
            "at least once; one live lease",
            "the lease lapses; what makes it reclaimable is not shipped",
            "refused: epoch checked in the transaction",
            "by the caller",
            "lanes, priorities, capabilities",
            "suspend until a signal",
            "when the database has committed it",
        ],
        Kind::Postgres => [
            "at least once; one live lease",
            "the lease lapses, a grant reclaims it",
            "refused: epoch checked in the transaction",
            "by the caller",
            "lanes, priorities, capabilities",
            "suspend until a signal, delay",
            "when the database has committed it",
        ],
    };
    QUESTIONS.iter().copied().zip(answers).collect()
}
