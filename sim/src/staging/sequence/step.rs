//! One step of a random sequence: plain small numbers, so that a failing sequence shrinks, prints as
//! Rust and runs again. [`super::memory`] turns a step into a call.

use super::admission::AdmissionStep;
use super::flow::FlowStep;
use super::parking::ParkingStep;

/// A position in a list that wraps around: the list's own length decides what it names.
pub type Pick = u8;

/// How two identities relate to what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Which worker id.
    pub worker: Pick,
    /// Which of its instances.
    pub instance: Pick,
}

/// A state that an execution can be taken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Runnable with a live grant.
    Granted,
    /// Under a live lease.
    Running,
    /// Parked on a waitpoint.
    Suspended,
    /// Parked on a waitpoint until a time.
    Timed,
    /// Runnable with an attempt to continue.
    Interrupted,
    /// Under a lease that was marked expired.
    Expired,
    /// Waiting for its next attempt after a failure.
    Retried,
    /// Ended.
    Terminal,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Step {
    /// Lets so many milliseconds pass.
    Wait {
        ms: u32,
    },
    /// Goes to one of the times that the state knows (an expiry, a due time), or one millisecond beside it.
    ToBoundary {
        which: Pick,
        offset_ms: i8,
    },
    /// Steps both clocks back.
    Back {
        ms: u16,
    },
    /// Takes an execution towards a state by right calls.
    Approach {
        execution: Pick,
        goal: Goal,
    },
    Create {
        execution: Pick,
        lane: Pick,
        priority: i32,
        key: Pick,
        delay: Pick,
        deadline: Pick,
        policy: Pick,
        text: Pick,
    },
    Scan {
        lane: Pick,
        partition: Pick,
        limit: u8,
    },
    Grant {
        execution: Pick,
        lane: Pick,
        who: Who,
        capabilities: Pick,
        ttl: Pick,
        partition: Pick,
    },
    Claim {
        execution: Pick,
        lane: Pick,
        who: Who,
        ttl: Pick,
        timeout: Pick,
        deadline: Pick,
    },
    ClaimResumed {
        execution: Pick,
        lane: Pick,
        who: Who,
        ttl: Pick,
        attempt: Pick,
        remaining: Pick,
    },
    ClaimFromResumeGrant {
        execution: Pick,
        lane: Pick,
        who: Who,
        ttl: Pick,
    },
    GrantReclaim {
        execution: Pick,
        lane: Pick,
        who: Who,
        capabilities: Pick,
        ttl: Pick,
    },
    Reclaim {
        execution: Pick,
        lane: Pick,
        who: Who,
        ttl: Pick,
        cap: Pick,
        old: Who,
        attempt: Pick,
    },
    Renew {
        handle: Pick,
    },
    Progress {
        handle: Pick,
        percent: Pick,
        text: Pick,
    },
    Complete {
        handle: Pick,
        payload: Pick,
    },
    Fail {
        handle: Pick,
        text: Pick,
        class: Pick,
    },
    Cancel {
        handle: Pick,
        text: Pick,
    },
    Delay {
        handle: Pick,
        until: Pick,
    },
    Suspend {
        handle: Pick,
        condition: Pick,
        reason: Pick,
        timeout: Pick,
        behavior: Pick,
        key: Pick,
    },
    Signal {
        waitpoint: Pick,
        execution: Pick,
        name: Pick,
        token: Pick,
        key: Pick,
        delay: Pick,
        cap: Pick,
    },
    CompleteByFence {
        handle: Pick,
        fence: Pick,
        source: Pick,
        payload: Pick,
    },
    CancelById {
        execution: Pick,
        source: Pick,
        handle: Pick,
        fence: Pick,
        text: Pick,
    },
    Revoke {
        execution: Pick,
        who: Who,
        handle: Pick,
        expected: Pick,
        text: Pick,
    },
    Mark {
        execution: Pick,
        partition: Pick,
    },
    Promote {
        execution: Pick,
        lane: Pick,
        now: Pick,
        partition: Pick,
    },
    Expire {
        execution: Pick,
        deadline: bool,
        partition: Pick,
    },
    ExpireSuspension {
        execution: Pick,
        partition: Pick,
    },
    BlockRoute {
        execution: Pick,
        lane: Pick,
        reason: Pick,
        text: Pick,
        now: Pick,
    },
    BlockForAdmission {
        execution: Pick,
        lane: Pick,
        reason: Pick,
        text: Pick,
        now: Pick,
    },
    Unblock {
        execution: Pick,
        lane: Pick,
        reason: Pick,
        now: Pick,
    },
    ChangePriority {
        execution: Pick,
        lane: Pick,
        priority: i32,
    },
    Replay {
        execution: Pick,
    },
    Register {
        who: Who,
        capabilities: Pick,
        ttl: Pick,
        now: Pick,
    },
    Heartbeat {
        who: Who,
        now: Pick,
    },
    ListExpired {
        as_of: Pick,
        limit: u8,
    },
    Read {
        execution: Pick,
        what: Pick,
    },
    /// Joins two executions by an applied dependency, by right calls.
    Link {
        flow: Pick,
        up: Pick,
        down: Pick,
    },
    Flow(FlowStep),
    Admission(AdmissionStep),
    Parking(ParkingStep),
}
