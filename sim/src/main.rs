//! The `claimlab` command; see [`claimlab::command`].

fn main() -> std::process::ExitCode {
    claimlab::command::main()
}
