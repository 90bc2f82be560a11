//! Cores of their own for a server and for its callers.
//!
//! A scheduler that may choose puts both on one core in one second and on two in the next, and a round trip takes a
//! third of the time or three times as long. Ratios want it to take the same. Throughput wants every core instead.

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Wherever the scheduler likes: the whole machine for whoever needs it.
    Anywhere,
    /// The server on a core of its own, everybody else on the others.
    Apart,
}

/// Gives this thread, and those that it starts from now on, all of its cores but the first. The server's is that one;
/// none where there is only one core, or where the system places nobody.
pub fn leave_one() -> Option<usize> {
    #[cfg(target_os = "linux")]
    return leave_first();
    #[cfg(not(target_os = "linux"))]
    return None;
}

#[cfg(target_os = "linux")]
fn leave_first() -> Option<usize> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let this_thread = Pid::from_raw(0);
    let mut callers = sched_getaffinity(this_thread).ok()?;
    let mut cores = (0..CpuSet::count()).filter(|core| callers.is_set(*core).unwrap_or(false));
    let (server, _) = (cores.next()?, cores.next()?);
    callers.unset(server).ok()?;
    sched_setaffinity(this_thread, &callers).ok()?;
    Some(server)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread::{available_parallelism, spawn};

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn callers_have_all_cores_but_the_servers() {
        // A thread of its own: the others of this process keep theirs.
        let (before, server, after) = spawn(|| {
            let before = available_parallelism().map_or(1, usize::from);
            let server = leave_one();
            (before, server, available_parallelism().map_or(1, usize::from))
        })
        .join()
        .unwrap();
        assert_eq!(server.is_some(), before > 1);
        assert_eq!(after, (before - 1).max(1));
    }
}
