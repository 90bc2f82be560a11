//! What a sequence has learnt so far.
//!
//! Ids are made from counters, handles and tokens come from earlier answers: the same steps always teach
//! the same.

use ff_core::backend::*;
use ff_core::contracts::*;
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::types::*;
use uuid::Uuid;

use super::step::Pick;
use super::value::{execution, lane};
use crate::call::{Answer, Call};

/// What earlier answers taught.
#[derive(Debug, Default)]
pub struct Memory {
    minted: u128,
    handles: Vec<Handle>,
    waitpoints: Vec<(ExecutionId, WaitpointId, WaitpointToken)>,
}

fn wrap<T>(list: &[T], pick: Pick) -> Option<&T> {
    list.get(usize::from(pick).checked_rem(list.len())?)
}

impl Memory {
    pub(super) fn uuid(&mut self) -> Uuid {
        self.minted += 1;
        Uuid::from_u128((0xf << 124) | self.minted)
    }

    /// A handle: the latest for small picks, any for others, a made-up one where there is none.
    pub(super) fn handle(&self, pick: Pick) -> Handle {
        let from_the_end = usize::from(pick % 16);
        if let Some(handle) = self.handles.iter().rev().nth(from_the_end) {
            return handle.clone();
        }
        let payload = HandlePayload::new(
            execution(pick),
            AttemptIndex::new(0),
            AttemptId::from_uuid(Uuid::from_u128(1)),
            LeaseId::from_uuid(Uuid::from_u128(2)),
            LeaseEpoch::new(1),
            1_000,
            lane(0),
            WorkerInstanceId::new("w0-0"),
        );
        let opaque = handle_codec::encode(BackendTag::Valkey, &payload);
        Handle::new(BackendTag::Valkey, HandleKind::Fresh, opaque)
    }

    /// A waitpoint: the latest for 0, an unknown one where there is none.
    pub(super) fn waitpoint(&self, pick: Pick) -> WaitpointId {
        self.owned_waitpoint(pick, 0).1
    }

    /// A waitpoint of which an answer told, with whom it was made for and its token: the latest for 0.
    pub(super) fn known_waitpoint(&self, pick: Pick) -> Option<&(ExecutionId, WaitpointId, WaitpointToken)> {
        self.waitpoints.iter().rev().nth(usize::from(pick % 4)).or_else(|| wrap(&self.waitpoints, pick))
    }

    /// The token of the first waitpoint of all.
    pub(super) fn first_token(&self) -> Option<WaitpointToken> {
        self.waitpoints.first().map(|(_, _, token)| token.clone())
    }

    /// A waitpoint with the execution that it was made for, or now and then another one.
    pub(super) fn owned_waitpoint(&self, pick: Pick, of: Pick) -> (ExecutionId, WaitpointId) {
        let known = self.known_waitpoint(pick);
        let unknown = (execution(of), WaitpointId::from_uuid(Uuid::from_u128(7)));
        let (owner, waitpoint) = known.map_or(unknown, |(owner, id, _)| (owner.clone(), id.clone()));
        (if of % 8 == 7 { execution(of) } else { owner }, waitpoint)
    }

    pub(super) fn fence(&self, handle: Pick, pick: Pick) -> (HandlePayload, Option<LeaseFence>) {
        let payload = handle_codec::decode(&self.handle(handle).opaque).expect("made by the codec").payload;
        let fence = LeaseFence {
            lease_id: payload.lease_id.clone(),
            lease_epoch: payload.lease_epoch,
            attempt_id: payload.attempt_id.clone(),
        };
        let fence = match pick % 6 {
            0..=2 => Some(fence),
            3 => None,
            4 => Some(LeaseFence { lease_epoch: LeaseEpoch::new(fence.lease_epoch.0 + 1), ..fence }),
            _ => Some(LeaseFence { attempt_id: AttemptId::from_uuid(Uuid::from_u128(9)), ..fence }),
        };
        (payload, fence)
    }

    /// Learns from an answer: handles, waitpoints and their tokens.
    pub fn learn(&mut self, call: &Call, answer: &Answer) {
        match answer {
            Answer::ClaimExecution(Ok(ClaimExecutionResult::Claimed(claimed))) => {
                self.handles.push(claimed.handle.clone())
            }
            Answer::ClaimResumedExecution(Ok(ClaimResumedExecutionResult::Claimed(claimed))) => {
                self.handles.push(claimed.handle.clone());
            }
            Answer::Claim(Ok(Some(handle)))
            | Answer::ClaimFromResumeGrant(Ok(Some(handle)))
            | Answer::ReclaimExecution(Ok(ReclaimExecutionOutcome::Claimed(handle))) => {
                self.handles.push(handle.clone())
            }
            Answer::Suspend(Ok(outcome)) => {
                let Call::Suspend { handle, .. } = call else { return };
                let owner = handle_codec::decode(&handle.opaque).map(|decoded| decoded.payload.execution_id);
                if let Ok(owner) = owner {
                    self.learn_suspension(owner, outcome);
                }
            }
            Answer::SuspendByTriple(Ok(outcome)) => {
                if let Call::SuspendByTriple { execution, .. } = call {
                    self.learn_suspension(execution.clone(), outcome);
                }
            }
            Answer::CreateWaitpoint(Ok(pending)) => {
                let Call::CreateWaitpoint { handle, .. } = call else { return };
                let owner = handle_codec::decode(&handle.opaque).map(|decoded| decoded.payload.execution_id);
                if let Ok(owner) = owner {
                    let token = pending.hmac_token.token().clone();
                    self.waitpoints.push((owner, pending.waitpoint_id.clone(), token));
                }
            }
            _ => {}
        }
    }

    fn learn_suspension(&mut self, owner: ExecutionId, outcome: &SuspendOutcome) {
        let details = match outcome {
            SuspendOutcome::Suspended { details, handle } => {
                self.handles.push(handle.clone());
                details
            }
            SuspendOutcome::AlreadySatisfied { details } => details,
            _ => return,
        };
        for extra in &details.additional_waitpoints {
            let token = extra.waitpoint_token.token().clone();
            self.waitpoints.push((owner.clone(), extra.waitpoint_id.clone(), token));
        }
        let token = details.waitpoint_token.token().clone();
        self.waitpoints.push((owner, details.waitpoint_id.clone(), token));
    }
}
