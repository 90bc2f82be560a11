//! What each queue promises, in the same words, as its documentation and its code say.

use super::Kind;

/// The questions that are asked of each.
pub const QUESTIONS: &[&str] =
    &["delivery", "when a worker dies", "a late worker's write", "renewal", "routing", "parking"];

/// The answers, in that order.
pub fn of(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let answers: [&str; 6] = match kind {
        Kind::FlowFabric => [
            "at least once; one live lease",
            "the lease lapses, a scanner marks it, a grant reclaims it",
            "refused: lease id and epoch are checked by the function",
            "each third of the lease, by the worker",
            "lanes, priorities, capabilities",
            "suspend until a signal, delay",
        ],
        Kind::Blmove => [
            "at least once",
            "nothing here: somebody must look for lists whose lease key is gone",
            "accepted: nothing checks who completes",
            "none here",
            "one list",
            "none",
        ],
        Kind::Apalis => [
            "at least once",
            "missed heartbeats let orphaned tasks be put back",
            "refused while another worker's set holds the task; no epoch",
            "heartbeat of the worker, leases of its batch",
            "queues",
            "schedule for later",
        ],
        Kind::Sidekiq => [
            "at most once: a job is taken off the list before it runs",
            "the job is lost",
            "accepted",
            "none",
            "queues",
            "schedule for later, retry",
        ],
        Kind::Sqlite => [
            "at least once; one live lease",
            "the lease lapses; what makes it reclaimable is not shipped",
            "refused: epoch checked in the transaction",
            "by the caller",
            "lanes, capabilities",
            "suspend until a signal",
        ],
        Kind::Postgres => [
            "at least once; one live lease",
            "the lease lapses, a grant reclaims it",
            "refused: epoch checked in the transaction",
            "by the caller",
            "lanes, capabilities",
            "suspend until a signal",
        ],
    };
    QUESTIONS.iter().copied().zip(answers).collect()
}
