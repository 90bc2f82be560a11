//! Situations of claiming: a worker asks for grants and claims with them, rightly and wrongly.

use ff_core::backend::{CapabilitySet, ClaimPolicy};
use ff_core::contracts::{ClaimForWorkerArgs, ClaimForWorkerOutcome, IssueClaimGrantArgs, IssueGrantAndClaimArgs};
use ff_core::types::{ExecutionId, LaneId};

use super::super::scene::{
    LONG_MS, Probe, SHORT_MS, Scene, V, W, able, claim_by_resume_grant, lane, requires, who, wrong,
};
use super::{Family, at, of};
use crate::call::{Answer, Call};

fn grant(s: &mut Scene<'_>, id: &ExecutionId, worker: &str) -> Probe {
    Ok(Call::IssueClaimGrant { args: s.grant_args(id, worker, LONG_MS)? })
}

fn claim_best(able: &[&str]) -> Call {
    let (worker, instance) = who(W);
    Call::Claim {
        lane: lane(),
        capabilities: CapabilitySet::new(able.iter().copied()),
        policy: ClaimPolicy::new(worker, instance, 30_000, None),
    }
}

fn for_worker(able: &[&str]) -> Call {
    let (worker, instance) = who(W);
    let able = able.iter().map(|token| (*token).to_owned()).collect();
    Call::ClaimForWorker { args: ClaimForWorkerArgs::new(lane(), worker, instance, able, LONG_MS) }
}

fn grant_and_claim(id: ExecutionId) -> Call {
    Call::IssueGrantAndClaim { args: IssueGrantAndClaimArgs::new(id, lane(), LONG_MS) }
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "issue_claim_grant",
        &[
            at("claimable", |s| {
                let id = s.created()?;
                grant(s, &id, W)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                grant(s, &id, W)
            }),
            at("repeated", |s| {
                let id = s.granted()?;
                grant(s, &id, W)
            }),
            at("granted to another worker", |s| {
                let id = s.granted()?;
                grant(s, &id, V)
            }),
            at("earlier grant expired", |s| {
                let id = s.created()?;
                s.grant(&id, W, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                grant(s, &id, V)
            }),
            at("claimed", |s| {
                let held = s.claimed()?;
                grant(s, &held.id, V)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                grant(s, &held.id, V)
            }),
            at("delayed", |s| {
                let id = s.delayed()?;
                grant(s, &id, W)
            }),
            at("other lane than the execution's", |s| {
                let id = s.created()?;
                let args = s.grant_args(&id, W, LONG_MS)?;
                Ok(Call::IssueClaimGrant { args: with_lane(args) })
            }),
            at("required capability missing", |s| {
                let id = s.created_under(requires("gpu"))?;
                grant(s, &id, W)
            }),
            at("worker with too many capabilities", |s| {
                let id = s.created()?;
                let mut args = s.grant_args(&id, W, LONG_MS)?;
                args.worker_capabilities = (0..257).map(|number| format!("c{number}")).collect();
                Ok(Call::IssueClaimGrant { args })
            }),
            at("required capability there", |s| {
                let id = s.created_under(requires("gpu"))?;
                let mut args = s.grant_args(&id, W, LONG_MS)?;
                args.worker_capabilities = able("gpu");
                Ok(Call::IssueClaimGrant { args })
            }),
        ],
    ),
    of(
        "claim_execution",
        &[
            at("own grant", |s| {
                let id = s.granted()?;
                s.claim_call(&id, W, LONG_MS)
            }),
            at("grant of the scheduler", |s| {
                let id = s.created()?;
                let call = for_worker(&[]);
                match s.right(call.clone())? {
                    Answer::ClaimForWorker(Ok(ClaimForWorkerOutcome::Granted(_))) => s.claim_call(&id, W, LONG_MS),
                    other => Err(wrong(&call, &other)),
                }
            }),
            at("no grant", |s| {
                let id = s.created()?;
                s.claim_call(&id, W, LONG_MS)
            }),
            at("grant of another worker", |s| {
                let id = s.granted()?;
                s.claim_call(&id, V, LONG_MS)
            }),
            at("grant expired", |s| {
                let id = s.created()?;
                s.grant(&id, W, SHORT_MS)?;
                s.pass(SHORT_MS + 1)?;
                s.claim_call(&id, W, LONG_MS)
            }),
            at("repeated", |s| {
                let held = s.claimed()?;
                s.claim_call(&held.id, W, LONG_MS)
            }),
            at("lapsed lease of another", |s| {
                let held = s.lapsed()?;
                s.claim_call(&held.id, V, LONG_MS)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                s.claim_call(&id, W, LONG_MS)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                s.claim_call(&held.id, W, LONG_MS)
            }),
            at("cancelled under its grant", |s| {
                let id = s.granted()?;
                let call = s.cancel_call(&id)?;
                s.right(call)?;
                s.claim_call(&id, W, LONG_MS)
            }),
            at("suspended", |s| {
                let parked = s.suspended()?;
                s.claim_call(&parked.held.id, W, LONG_MS)
            }),
            at("own grant, attempt interrupted", |s| {
                let held = s.woken()?;
                s.grant(&held.id, W, LONG_MS)?;
                s.claim_call(&held.id, W, LONG_MS)
            }),
            at("own grant, second attempt", |s| {
                let id = s.retrying()?.id;
                s.due_again(&id)?;
                s.grant(&id, W, LONG_MS)?;
                s.claim_call(&id, W, LONG_MS)
            }),
            at("own grant, replayed", |s| {
                let held = s.failed()?;
                let call = s.replay(&held.id)?;
                s.right(call)?;
                s.grant(&held.id, W, LONG_MS)?;
                s.claim_call(&held.id, W, LONG_MS)
            }),
        ],
    ),
    of(
        "claim",
        &[
            at("one is claimable", |s| s.created().map(|_| claim_best(&[]))),
            at("none is there", |_| Ok(claim_best(&[]))),
            at("one is claimed", |s| s.claimed().map(|_| claim_best(&[]))),
            at("one is granted to another worker", |s| {
                let id = s.created()?;
                s.grant(&id, V, LONG_MS)?;
                Ok(claim_best(&[]))
            }),
            at("required capability missing", |s| {
                s.created_under(requires("gpu"))?;
                Ok(claim_best(&[]))
            }),
            at("required capability there", |s| {
                s.created_under(requires("gpu"))?;
                Ok(claim_best(&["gpu"]))
            }),
            at("one is interrupted", |s| s.woken().map(|_| claim_best(&[]))),
            at("one is delayed", |s| s.delayed().map(|_| claim_best(&[]))),
            at("lease lapsed, not marked", |s| s.lapsed().map(|_| claim_best(&[]))),
            at("lease marked expired", |s| s.expired().map(|_| claim_best(&[]))),
            at("lease revoked", |s| s.revoked().map(|_| claim_best(&[]))),
            at("after a failure, retry due", |s| {
                s.retrying()?;
                s.pass(25)?;
                Ok(claim_best(&[]))
            }),
            at("after a failure without retries", |s| s.failed().map(|_| claim_best(&[]))),
        ],
    ),
    of(
        "claim_for_worker",
        &[
            at("one is claimable", |s| s.created().map(|_| for_worker(&[]))),
            at("none is there", |_| Ok(for_worker(&[]))),
            at("repeated", |s| {
                s.created()?;
                s.right(for_worker(&[]))?;
                Ok(for_worker(&[]))
            }),
            at("one is claimed", |s| s.claimed().map(|_| for_worker(&[]))),
            at("required capability missing", |s| {
                s.created_under(requires("gpu"))?;
                Ok(for_worker(&[]))
            }),
            at("required capability there", |s| {
                s.created_under(requires("gpu"))?;
                Ok(for_worker(&["gpu"]))
            }),
        ],
    ),
    of(
        "issue_grant_and_claim",
        &[
            at("claimable", |s| s.created().map(grant_and_claim)),
            at("no such execution", |s| Ok(grant_and_claim(s.nobody()))),
            at("repeated", |s| {
                let id = s.created()?;
                s.right(grant_and_claim(id.clone()))?;
                Ok(grant_and_claim(id))
            }),
            at("claimed", |s| Ok(grant_and_claim(s.claimed()?.id))),
            at("granted to a worker", |s| s.granted().map(grant_and_claim)),
            at("completed", |s| Ok(grant_and_claim(s.completed()?.id))),
            at("delayed", |s| s.delayed().map(grant_and_claim)),
            at("suspended", |s| Ok(grant_and_claim(s.suspended()?.held.id))),
            at("attempt interrupted", |s| Ok(grant_and_claim(s.woken()?.id))),
            at("lease revoked", |s| Ok(grant_and_claim(s.revoked()?.id))),
        ],
    ),
    of(
        "claim_resumed_execution",
        &[
            at("own grant", |s| {
                let held = s.woken()?;
                s.grant(&held.id, W, LONG_MS)?;
                s.resume_call(&held.id, W)
            }),
            at("no grant", |s| {
                let held = s.woken()?;
                s.resume_call(&held.id, W)
            }),
            at("grant of another worker", |s| {
                let held = s.woken()?;
                s.grant(&held.id, V, LONG_MS)?;
                s.resume_call(&held.id, W)
            }),
            at("repeated", |s| {
                let held = s.woken()?;
                s.grant(&held.id, W, LONG_MS)?;
                let call = s.resume_call(&held.id, W)?;
                s.right(call)?;
                s.resume_call(&held.id, W)
            }),
            at("own grant, never claimed", |s| {
                let id = s.granted()?;
                s.resume_call(&id, W)
            }),
            at("claimed", |s| {
                let held = s.claimed()?;
                s.resume_call(&held.id, W)
            }),
            at("still suspended", |s| {
                let parked = s.suspended()?;
                s.resume_call(&parked.held.id, W)
            }),
            at("after a failure", |s| {
                let held = s.failed()?;
                s.resume_call(&held.id, W)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                s.resume_call(&id, W)
            }),
        ],
    ),
    of(
        "claim_from_resume_grant",
        &[
            at("own claim grant, attempt interrupted", |s| {
                let held = s.woken()?;
                s.grant(&held.id, W, LONG_MS)?;
                Ok(claim_by_resume_grant(&held.id))
            }),
            at("no claim grant, attempt interrupted", |s| Ok(claim_by_resume_grant(&s.woken()?.id))),
            at("own claim grant, never claimed", |s| Ok(claim_by_resume_grant(&s.granted()?))),
            at("live lease", |s| Ok(claim_by_resume_grant(&s.claimed()?.id))),
            at("lapsed lease", |s| Ok(claim_by_resume_grant(&s.lapsed()?.id))),
            at("completed", |s| Ok(claim_by_resume_grant(&s.completed()?.id))),
            at("no such execution", |s| Ok(claim_by_resume_grant(&s.nobody()))),
        ],
    ),
];

fn with_lane(mut args: IssueClaimGrantArgs) -> IssueClaimGrantArgs {
    args.lane_id = LaneId::new("other");
    args
}
