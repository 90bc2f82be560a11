//! Situations of reads: the calls whose answers decide what a client does next.

use super::super::scene::{complete, partition_key};
use super::{Family, at, of};
use crate::call::Call;

pub(super) const FAMILIES: &[Family] = &[
    of(
        "read_current_attempt_index",
        &[
            at("never claimed", |s| Ok(Call::ReadCurrentAttemptIndex { id: s.created()? })),
            at("claimed", |s| Ok(Call::ReadCurrentAttemptIndex { id: s.claimed()?.id })),
            at("waiting for a retry", |s| Ok(Call::ReadCurrentAttemptIndex { id: s.retrying()?.id })),
            at("reclaimed", |s| Ok(Call::ReadCurrentAttemptIndex { id: s.reclaimed()?.1.id })),
            at("no such execution", |s| Ok(Call::ReadCurrentAttemptIndex { id: s.nobody() })),
        ],
    ),
    of(
        "read_total_attempt_count",
        &[
            at("never claimed", |s| Ok(Call::ReadTotalAttemptCount { id: s.created()? })),
            at("claimed", |s| Ok(Call::ReadTotalAttemptCount { id: s.claimed()?.id })),
            at("waiting for a retry", |s| Ok(Call::ReadTotalAttemptCount { id: s.retrying()?.id })),
            at("reclaimed", |s| Ok(Call::ReadTotalAttemptCount { id: s.reclaimed()?.1.id })),
            at("no such execution", |s| Ok(Call::ReadTotalAttemptCount { id: s.nobody() })),
        ],
    ),
    of(
        "read_execution_context",
        &[
            at("created", |s| Ok(Call::ReadExecutionContext { id: s.created()? })),
            at("no such execution", |s| Ok(Call::ReadExecutionContext { id: s.nobody() })),
        ],
    ),
    of(
        "get_execution_result",
        &[
            at("claimed", |s| Ok(Call::GetExecutionResult { id: s.claimed()?.id })),
            at("completed", |s| Ok(Call::GetExecutionResult { id: s.completed()?.id })),
            at("completed and replayed", |s| {
                let id = s.completed()?.id;
                let call = s.replay(&id)?;
                s.right(call)?;
                Ok(Call::GetExecutionResult { id })
            }),
            at("the old holder of a reclaimed lease tried to complete", |s| {
                let (old, new) = s.reclaimed()?;
                s.tried(&complete(&old))?;
                Ok(Call::GetExecutionResult { id: new.id })
            }),
            at("no such execution", |s| Ok(Call::GetExecutionResult { id: s.nobody() })),
        ],
    ),
    of(
        "get_execution_namespace",
        &[
            at("created", |s| Ok(Call::GetExecutionNamespace { id: s.created()? })),
            at("no such execution", |s| Ok(Call::GetExecutionNamespace { id: s.nobody() })),
        ],
    ),
    of(
        "set_execution_tag",
        &[
            at("created", |s| Ok(Call::SetExecutionTag { id: s.created()?, key: "a.b".into(), value: "1".into() })),
            at("key without a namespace", |s| {
                Ok(Call::SetExecutionTag { id: s.created()?, key: "ab".into(), value: "1".into() })
            }),
            at("no such execution", |s| {
                Ok(Call::SetExecutionTag { id: s.nobody(), key: "a.b".into(), value: "1".into() })
            }),
        ],
    ),
    of(
        "get_execution_tag",
        &[
            at("set", |s| {
                let id = s.created()?;
                s.right(Call::SetExecutionTag { id: id.clone(), key: "a.b".into(), value: "1".into() })?;
                Ok(Call::GetExecutionTag { id, key: "a.b".into() })
            }),
            at("not set", |s| Ok(Call::GetExecutionTag { id: s.created()?, key: "a.b".into() })),
            at("no such execution", |s| Ok(Call::GetExecutionTag { id: s.nobody(), key: "a.b".into() })),
        ],
    ),
    of(
        "list_executions",
        &[
            at("one is completed, one is not", |s| {
                let held = s.claimed()?;
                s.right(complete(&held))?;
                s.created()?;
                Ok(Call::ListExecutions { partition: partition_key(), cursor: None, limit: 10 })
            }),
            at("none is there", |_| Ok(Call::ListExecutions { partition: partition_key(), cursor: None, limit: 10 })),
        ],
    ),
    of("list_lanes", &[at("one is used", |s| s.created().map(|_| Call::ListLanes { cursor: None, limit: 10 }))]),
    of("ping", &[at("any time", |_| Ok(Call::Ping {}))]),
    of("server_time_ms", &[at("any time", |_| Ok(Call::ServerTimeMs {}))]),
];
