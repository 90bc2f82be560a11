//! What a submitter asked for: one execution for a key, and its own policy over anybody's default.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use crate::intern::{ExecutionNo, NamespaceNo};
use crate::message::{Claim, Create, Done, Reply, Script};
use crate::number::{Score, retry_due};
use crate::store::{Execution, IndexKey};
use crate::time::ServerTime;

/// How long a key is promised to name its execution where the policy says nothing
/// (`ff-core/src/policy.rs`, `ExecutionPolicy::dedup_window_ms`).
const KEY_LIVES_MS: u64 = 86_400_000;

/// The checks of submissions.
#[derive(Default)]
pub(super) struct OfSubmissions {
    /// Keys in their namespaces, with the execution, its partition and how long the key is promised to live.
    keys: HashMap<(NamespaceNo, String), Keyed, FxBuildHasher>,
}

struct Keyed {
    execution: ExecutionNo,
    partition: u16,
    until: ServerTime,
}

impl Check for OfSubmissions {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S49, Invariant::S50]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::Step(step, _) = seen else { return };
        let Some(found) = step.found else { return };
        match (step.script, step.reply) {
            (Script::Create(args), Reply::Done(done)) => {
                self.check_key(notes, step, args, done);
                if matches!(done, Done::Created(_)) {
                    check_created(notes, step, args, found);
                }
            }
            (Script::Fail { retry, category, overriding: false, .. }, Reply::Done(done)) => {
                check_failure(notes, step, retry.as_ref(), category, done, found);
            }
            (Script::Claim(args), Reply::Done(Done::Leased(_))) => check_timeout(notes, step, args, found),
            _ => {}
        }
    }
}

impl OfSubmissions {
    fn check_key(&mut self, notes: &mut Notes<'_>, step: &Step<'_>, args: &Create, done: &Done) {
        let Some(key) = args.idempotency_key.as_ref().filter(|key| !key.is_empty()) else { return };
        let place = (args.submission.namespace, key.clone());
        let known = self.keys.get(&place).filter(|known| known.until > step.now);
        let look = match (done, known) {
            (Done::Created(_), None) => Look::Holds,
            (Done::Created(_), Some(known)) if known.partition != args.partition => Look::Broken("other-partition"),
            (Done::Created(_), Some(_)) => Look::Broken("again"),
            (Done::DuplicateExecution(told), Some(known)) => Look::at(*told == known.execution, "other-execution"),
            _ => Look::Vacuous,
        };
        notes.look(Invariant::S49, look, || {
            let until = known.map_or_else(String::new, |known| known.until.to_string());
            format!("key {key:?}, which names an execution until {until}, is answered {}", done.label())
        });
        if matches!(done, Done::Created(_)) && known.is_none() {
            let policy = args.submission.policy.as_ref();
            let lives = policy.and_then(|policy| policy.dedup_window_ms).unwrap_or(KEY_LIVES_MS);
            let (execution, partition) = (args.execution, args.partition);
            self.keys.insert(place, Keyed { execution, partition, until: step.now.plus_ms(lives) });
        }
    }
}

/// What the policy says of a new execution, each thing for itself.
fn check_created(notes: &mut Notes<'_>, step: &Step<'_>, args: &Create, found: &Execution) {
    let Some(policy) = &args.submission.policy else { return };
    let core = &found.core;
    let delayed = policy.delay_until.filter(|until| ServerTime::trusting_caller(*until) > step.now);
    let deadline = policy.timeout_policy.as_ref().and_then(|timeouts| timeouts.execution_deadline_ms);
    let asked: [(&'static str, bool, bool); 4] = [
        ("priority", policy.priority != 0, core.priority == policy.priority.clamp(0, 9000)),
        ("delay", delayed.is_some(), core.delay_until.is_some()),
        ("deadline", deadline.is_some(), found.score_in(IndexKey::ExecutionDeadline).is_some()),
        ("budgets", !policy.budget_ids.is_empty(), found.attached.budget_ids.is_some()),
    ];
    for (what, is_asked, is_kept) in asked {
        let look = if is_asked { Look::at(is_kept, what) } else { Look::Vacuous };
        notes.look(Invariant::S50, look, || format!("the policy names {what}, and the new execution has none of it"));
    }
}

/// Whether a failure is retried, and when, is the stored policy's to say.
fn check_failure(
    notes: &mut Notes<'_>,
    step: &Step<'_>,
    sent: Option<&ff_core::policy::RetryPolicy>,
    category: &str,
    done: &Done,
    found: &Execution,
) {
    let Some((before, _)) = step.cores else { return };
    let stored = found.submission.policy.as_ref().and_then(|policy| policy.retry_policy.as_ref());
    notes.look(Invariant::S50, Look::at(sent == stored, "retries"), || {
        "fail_execution followed another retry policy than the execution's own".into()
    });
    let Some(stored) = stored else { return };
    let is_class = stored.retryable_categories.is_empty()
        || stored.retryable_categories.iter().any(|retryable| retryable == category);
    match done {
        Done::RetryScheduled(due) => {
            notes.look(Invariant::S50, Look::at(is_class, "category"), || {
                format!("a failure of category {category:?} is retried, and the policy does not list it")
            });
            let expected: Score = retry_due(step.now.ms(), Some(&stored.backoff), before.retry_count);
            notes.look(Invariant::S50, Look::at(*due == expected, "backoff"), || {
                format!("the retry is due at {}, and the policy says {}", due.whole(), expected.whole())
            });
        }
        _ => {
            let is_left = is_class && before.retry_count < stored.max_retries;
            notes.look(Invariant::S50, Look::at(!is_left, "retries-left"), || {
                format!("it failed for good after {} of {} retries", before.retry_count, stored.max_retries)
            });
        }
    }
}

fn check_timeout(notes: &mut Notes<'_>, step: &Step<'_>, args: &Claim, found: &Execution) {
    let policy = found.submission.policy.as_ref().and_then(|policy| policy.timeout_policy.as_ref());
    let Some(timeout) = policy.and_then(|timeouts| timeouts.attempt_timeout_ms) else { return };
    let expected = Score::after(step.now.ms(), timeout);
    let look = Look::at(found.score_in(IndexKey::AttemptTimeout) == Some(expected), "attempt-timeout");
    notes.look(Invariant::S50, look, || {
        let sent = args.attempt_timeout_ms.map_or_else(|| "none".to_owned(), |sent| format!("{sent} ms"));
        format!("the policy allows an attempt {timeout} ms, and the claim set {sent}")
    });
}
