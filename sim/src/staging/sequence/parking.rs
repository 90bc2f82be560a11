//! Steps on waitpoints: several at once, pending ones, composite conditions, approvals, resumes, secrets.

use std::time::Duration;

use claimlab_model::time::ServerTime;
use ff_core::contracts::*;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::*;
use uuid::Uuid;

use super::memory::Memory;
use super::step::Pick;
use super::value::{PARTITIONS, execution, lane, near, one, partition_of};
use crate::call::Call;

/// One step.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ParkingStep {
    Suspend { handle: Pick, waitpoints: Pick, condition: Pick, timeout: Pick, behavior: Pick, key: Pick },
    ByTriple { handle: Pick, fence: Pick, execution: Pick, condition: Pick, timeout: Pick },
    CreateWaitpoint { handle: Pick, key: Pick, expires: Pick },
    UsePending { handle: Pick, waitpoint: Pick, condition: Pick, key: Pick },
    CloseWaitpoint { execution: Pick, waitpoint: Pick, partition: Pick },
    Resume { execution: Pick, delay: Pick },
    Approve { waitpoint: Pick, execution: Pick, name: Pick, suffix: Pick, cap: Pick },
    Observe { handle: Pick },
    Rotate { kid: Pick, secret: Pick, grace: Pick },
    Seed { kid: Pick, secret: Pick },
    Read { execution: Pick, waitpoint: Pick, what: Pick, limit: Pick },
}

const KEYS: [&str; 3] = ["wp", "second", "third"];
const KIDS: [&str; 5] = ["k1", "k2", "k3", "", "a:b"];
const BEHAVIORS: [TimeoutBehavior; 5] = [
    TimeoutBehavior::Fail,
    TimeoutBehavior::Cancel,
    TimeoutBehavior::Expire,
    TimeoutBehavior::AutoResumeWithTimeoutSignal,
    TimeoutBehavior::Escalate,
];

fn named(key: &str, name: &str) -> ResumeCondition {
    ResumeCondition::Single { waitpoint_key: key.into(), matcher: SignalMatcher::ByName(name.into()) }
}

fn count(n: u32, count_kind: CountKind, matcher: Option<SignalMatcher>, keys: usize) -> ResumeCondition {
    let waitpoints = KEYS[..keys].iter().map(|key| (*key).to_owned()).collect();
    ResumeCondition::Composite(CompositeBody::Count { n, count_kind, matcher, waitpoints })
}

fn all(members: Vec<ResumeCondition>) -> ResumeCondition {
    ResumeCondition::Composite(CompositeBody::AllOf { members })
}

/// A condition over so many waitpoints; some are refused by the client.
fn condition(pick: Pick, keys: usize) -> ResumeCondition {
    let each = || KEYS[..keys].iter().map(|key| named(key, "go")).collect::<Vec<_>>();
    match pick % 10 {
        0 | 1 => all(each()),
        2 => count(u32::try_from(keys).unwrap_or(1), CountKind::DistinctWaitpoints, None, keys),
        3 => count(2, CountKind::DistinctSignals, Some(SignalMatcher::ByName("go".into())), keys),
        4 => count(2, CountKind::DistinctSources, None, keys),
        5 => all(vec![named(KEYS[0], "go"), count(1, CountKind::DistinctSignals, None, keys)]),
        6 => all(vec![all(each()), named(KEYS[0], "stop")]),
        7 => all(Vec::new()),
        8 => count(0, CountKind::DistinctSignals, None, keys),
        _ => named(KEYS[0], "go"),
    }
}

impl Memory {
    fn parked(&mut self, now: ServerTime, bindings: Vec<WaitpointBinding>, condition: ResumeCondition) -> SuspendArgs {
        let id = SuspensionId::from_uuid(self.uuid());
        let first = bindings[0].clone();
        let reason = SuspensionReasonCode::WaitingForSignal;
        let mut args = SuspendArgs::new(id, first, condition, ResumePolicy::normal(), reason, now.to_wire());
        args.waitpoints = bindings;
        args
    }

    fn fresh(&mut self, count: usize) -> Vec<WaitpointBinding> {
        let fresh = |key: &&str, id| WaitpointBinding::Fresh { waitpoint_id: id, waitpoint_key: (*key).to_owned() };
        KEYS[..count].iter().map(|key| fresh(key, WaitpointId::from_uuid(self.uuid()))).collect()
    }

    /// The call of a step.
    pub(super) fn parking_call(&mut self, step: &ParkingStep, now: ServerTime) -> Call {
        match *step {
            ParkingStep::Suspend { handle, waitpoints, condition: on, timeout, behavior, key } => {
                let keys = usize::from(waitpoints % 3) + 1;
                let bindings = self.fresh(keys);
                let mut args = self.parked(now, bindings, condition(on, keys));
                if let Some(at) = near(now, timeout) {
                    args = args.with_timeout(at, one(&BEHAVIORS, behavior));
                }
                if key % 4 == 3 {
                    args = args.with_idempotency_key(IdempotencyKey::new("k3"));
                }
                Call::Suspend { handle: self.handle(handle), args }
            }
            ParkingStep::ByTriple { handle, fence, execution: of, condition: on, timeout } => {
                let (held, triple) = self.fence(handle, fence);
                let bindings = self.fresh(1);
                let mut args =
                    self.parked(now, bindings, if on % 4 == 3 { condition(on, 1) } else { named("wp", "go") });
                if let Some(at) = near(now, timeout) {
                    args = args.with_timeout(at, TimeoutBehavior::Expire);
                }
                let triple = triple.unwrap_or(LeaseFence {
                    lease_id: held.lease_id,
                    lease_epoch: held.lease_epoch,
                    attempt_id: held.attempt_id,
                });
                let execution = if of % 8 == 7 { execution(of) } else { held.execution_id };
                Call::SuspendByTriple { execution, triple, args }
            }
            ParkingStep::CreateWaitpoint { handle, key, expires } => Call::CreateWaitpoint {
                handle: self.handle(handle),
                key: one(&KEYS, key).into(),
                expires_in: Duration::from_millis(one(&[60_000, 1, 0, 1_000], expires)),
            },
            ParkingStep::UsePending { handle, waitpoint, condition: on, key } => {
                let waitpoint_id = self.waitpoint(waitpoint);
                let mut bindings = vec![WaitpointBinding::UsePending { waitpoint_id }];
                if on % 8 == 7 {
                    bindings.extend(self.fresh(2).into_iter().skip(1));
                }
                let condition = one_of(on, bindings.len());
                let mut args = self.parked(now, bindings, condition);
                if key % 4 == 3 {
                    args = args.with_idempotency_key(IdempotencyKey::new("k4"));
                }
                Call::Suspend { handle: self.handle(handle), args }
            }
            ParkingStep::CloseWaitpoint { execution: of, waitpoint, partition } => {
                let id = execution(of);
                let place = partition_of(&id, partition);
                let waitpoint = self.waitpoint(waitpoint).to_string();
                Call::CloseWaitpoint { partition: place, id, waitpoint, now: now.to_wire() }
            }
            ParkingStep::Resume { execution: of, delay } => Call::ResumeExecution {
                args: ResumeExecutionArgs {
                    execution_id: execution(of),
                    trigger_type: "operator".into(),
                    resume_delay_ms: one(&[0, 0, 500, 1], delay),
                },
            },
            ParkingStep::Approve { waitpoint, execution: of, name, suffix, cap } => {
                let (owner, waitpoint_id) = self.owned_waitpoint(waitpoint, of);
                Call::DeliverApprovalSignal {
                    args: DeliverApprovalSignalArgs::new(
                        owner,
                        lane(0),
                        waitpoint_id,
                        one(&["approved", "rejected", "go", ""], name),
                        one(&["a", "b", ""], suffix),
                        one(&[1_000, 60_000, 0], suffix),
                        None,
                        one(&[None, None, Some(1)], cap),
                    ),
                }
            }
            ParkingStep::Observe { handle } => Call::ObserveSignals { handle: self.handle(handle) },
            ParkingStep::Rotate { kid, secret, grace } => Call::RotateWaitpointHmacSecretAll {
                args: RotateWaitpointHmacSecretAllArgs::new(
                    one(&KIDS, kid),
                    secret_hex(secret),
                    one(&[60_000, 0, 1_000], grace),
                ),
            },
            ParkingStep::Seed { kid, secret } => Call::SeedWaitpointHmacSecret {
                args: SeedWaitpointHmacSecretArgs::new(one(&KIDS, kid), secret_hex(secret)),
            },
            ParkingStep::Read { execution: of, waitpoint, what, limit } => {
                let id = execution(of);
                let index = if limit % 8 == 7 { PARTITIONS - 1 } else { id.partition() };
                let partition = PartitionKey::from(&Partition { family: PartitionFamily::Execution, index });
                match what % 3 {
                    0 => Call::ReadWaitpointToken { partition, waitpoint: self.waitpoint(waitpoint) },
                    1 => {
                        let mut args = ListPendingWaitpointsArgs::new(id);
                        args.limit = one(&[None, Some(1), Some(0)], limit);
                        Call::ListPendingWaitpoints { args }
                    }
                    _ => Call::ListSuspended {
                        partition,
                        cursor: (limit % 3 == 2).then_some(id),
                        limit: usize::from(limit % 3),
                    },
                }
            }
        }
    }
}

fn one_of(pick: Pick, keys: usize) -> ResumeCondition {
    if pick.is_multiple_of(2) { named(KEYS[0], "go") } else { condition(pick, keys) }
}

fn secret_hex(pick: Pick) -> String {
    match pick % 6 {
        4 => "xyz".into(),
        5 => String::new(),
        pick => Uuid::from_u128(u128::from(pick) + 1).simple().to_string().repeat(2),
    }
}
