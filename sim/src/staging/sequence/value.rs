//! What a pick stands for: lanes, workers, times, texts and policies, right ones and wrong ones near them.

use std::collections::BTreeSet;

use claimlab_model::time::ServerTime;
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::policy::{BackoffStrategy, ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::types::*;

use super::step::{Pick, Who};
use crate::staging::ids::OF_SEQUENCES;

/// Executions that a sequence knows.
pub(super) const EXECUTIONS: u8 = 4;
/// Partitions that they live on; one more is never used by them.
pub const PARTITIONS: u16 = 3;
/// The lanes of every sequence.
pub const LANES: [&str; 2] = ["default", "other"];
pub(super) const TTLS_MS: [u64; 6] = [1_000, 30_000, 100, 1, 5_000, 0];
/// Times relative to now; none is no time at all.
pub(super) const OFFSETS_MS: [Option<i64>; 9] =
    [None, None, Some(1_000), Some(-1), Some(0), Some(1), Some(60_000), Some(-700_000), Some(50)];
pub(super) const TEXTS: [&str; 6] = ["reason", "", "日本", "two\nlines\tand \"quotes\"", "operator_override", "a,b"];
pub(super) const SIGNALS: [&str; 3] = ["go", "stop", ""];
pub(super) const REASONS: [&str; 7] = [
    "waiting_for_capable_worker",
    "waiting_for_budget",
    "waiting_for_quota",
    "paused_by_operator",
    "paused_by_policy",
    "waiting_for_locality_match",
    "",
];

/// The entry of a list that a pick names.
pub(in crate::staging) fn one<T: Copy>(list: &[T], pick: Pick) -> T {
    list[usize::from(pick) % list.len()]
}

pub(super) fn text(pick: Pick) -> String {
    match pick % 8 {
        6 => "x".repeat(5_000),
        7 => "reason".into(),
        pick => one(&TEXTS, pick).into(),
    }
}

pub(super) fn lane(pick: Pick) -> LaneId {
    // The first lane is the one that executions are mostly on.
    LaneId::new(LANES[usize::from(pick % 5 == 4)])
}

/// The execution of a pick; its partition follows from it.
pub fn execution(pick: Pick) -> ExecutionId {
    let number = pick % EXECUTIONS;
    OF_SEQUENCES.execution(u16::from(number) % (PARTITIONS - 1), u128::from(number))
}

pub(super) fn partition_of(id: &ExecutionId, pick: Pick) -> Partition {
    // Now and then the partition that the caller names is not the execution's.
    let index = if pick % 8 == 7 { (id.partition() + 1) % PARTITIONS } else { id.partition() };
    Partition { family: PartitionFamily::Execution, index }
}

pub(super) fn worker(who: Who) -> WorkerId {
    WorkerId::new(format!("w{}", who.worker % 2))
}

pub(super) fn instance(who: Who) -> WorkerInstanceId {
    WorkerInstanceId::new(format!("w{}-{}", who.worker % 2, who.instance % 2))
}

pub(super) fn capabilities(pick: Pick) -> BTreeSet<String> {
    // More than any list may have.
    if pick == u8::MAX {
        return (0..300).map(|number| format!("c{number}")).collect();
    }
    let list: &[&str] = match pick % 6 {
        0 | 1 => &[],
        2 => &["gpu"],
        3 => &["cuda", "gpu"],
        4 => &["cpu"],
        _ => &["gpu", "日本-gpu"],
    };
    list.iter().map(|token| (*token).to_owned()).collect()
}

pub(super) fn policy(pick: Pick) -> Option<ExecutionPolicy> {
    let retry = |max_retries, backoff| {
        Some(ExecutionPolicy {
            retry_policy: Some(RetryPolicy { max_retries, backoff, retryable_categories: Vec::new() }),
            ..ExecutionPolicy::default()
        })
    };
    let requires = |tokens: &[&str]| {
        let required_capabilities = tokens.iter().map(|token| (*token).to_owned()).collect();
        let routing_requirements =
            Some(RoutingRequirements { required_capabilities, ..RoutingRequirements::default() });
        Some(ExecutionPolicy { routing_requirements, ..ExecutionPolicy::default() })
    };
    match pick % 12 {
        0..=3 => None,
        4 => retry(1, BackoffStrategy::Fixed { delay_ms: 100 }),
        5 => retry(3, BackoffStrategy::Fixed { delay_ms: 0 }),
        6 => retry(
            5,
            BackoffStrategy::Exponential { initial_delay_ms: 333, max_delay_ms: 1_000, multiplier: 1.5, jitter: true },
        ),
        7 => requires(&["gpu"]),
        8 => requires(&["a b"]),
        9 => Some(ExecutionPolicy { max_reclaim_count: 1, max_replay_count: 1, ..ExecutionPolicy::default() }),
        10 => Some(ExecutionPolicy { max_reclaim_count: 0, max_replay_count: 0, ..ExecutionPolicy::default() }),
        _ => requires(&[]),
    }
}

pub(super) fn near(now: ServerTime, pick: Pick) -> Option<TimestampMs> {
    one(&OFFSETS_MS, pick).map(|offset| TimestampMs(now.ms() + offset))
}

pub(super) fn caller_now(now: ServerTime, pick: Pick) -> TimestampMs {
    // Mostly the server's own time.
    match pick % 16 {
        15 => TimestampMs(now.ms() + 100_000_000),
        pick if pick % 4 == 3 => near(now, pick).unwrap_or(now.to_wire()),
        _ => now.to_wire(),
    }
}

pub(super) fn source(pick: Pick) -> CancelSource {
    match pick % 4 {
        0 => CancelSource::OperatorOverride,
        1 => CancelSource::LeaseHolder,
        2 => CancelSource::SystemTimeout,
        _ => CancelSource::Custom("custom".into()),
    }
}
