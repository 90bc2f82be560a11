//! The `claimlab` command; see [`claimlab::command`].

/// What it allocates with decides how fast it runs, never what happens in a run. The shipped client brings an allocator
/// of its own for every program that it is in.
#[cfg(not(any(feature = "live", feature = "sdk")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    claimlab::command::main()
}
