//! `lockstep`: calls compared for each second, state read back after every one, beside the floor of the
//! same minute: one round trip of the same server after the other.
//!
//! A call in lockstep costs one to four round trips of the shipped client, one of the reading back, and
//! the scripts. The ratio to the floor holds where seconds do not.

use std::process::exit;
use std::time::Duration;

use claimlab::live::sequence::{self, START_MS};
use claimlab::stopwatch::Stopwatch;
use claimlab_model::deviation::Deviations;
use claimlab_valkey::{Server, connect, own_clock, relaunch};

const CALLS: u64 = 20_000;
const ROUND_TRIPS: u32 = 20_000;
const REPEATS: u64 = 3;

/// One round trip of an empty command.
#[allow(clippy::disallowed_types)]
fn floor(server: &Server) -> Duration {
    let mut connection = connect(server.address()).expect("the server answers");
    let began = Stopwatch::start();
    for _ in 0..ROUND_TRIPS {
        redis::cmd("PING").exec(&mut connection).expect("the server answers");
    }
    began.elapsed() / ROUND_TRIPS
}

#[allow(clippy::disallowed_types, clippy::float_arithmetic)]
fn main() {
    if own_clock().expect("the clock's cell is there").is_none() {
        exit(i32::from(relaunch().expect("the bench starts again under its own clock")));
    }
    println!("round trip  compared call  ratio  calls/s");
    for seed in 0..REPEATS {
        let server = Server::start(START_MS).expect("valkey-server starts (tests/install-valkey)");
        let floor = floor(&server);
        let mut lockstep = sequence::start(server, Deviations::default()).expect("the shipped backend is set up");
        let began = Stopwatch::start();
        let (_, calls) = sequence::search(&mut lockstep, seed, CALLS, 60, |_| {}).expect("the server answers");
        let took = began.elapsed();
        let each = took / u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        let ratio = each.as_secs_f64() / floor.as_secs_f64();
        let rate = calls as f64 / took.as_secs_f64();
        println!("{floor:>10.1?}  {each:>13.1?}  {ratio:>5.1}  {rate:>7.0}");
    }
}
