//! A real server lives by its cell: TIME, key expiry, and steps backwards.

use claimlab_valkey::{Server, connect};

const START_MS: i64 = 1_700_000_000_000;

fn time_ms(connection: &mut redis::Connection) -> i64 {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(connection).unwrap();
    seconds * 1_000 + micros / 1_000
}

#[test]
fn the_server_reads_the_time_that_was_set_forward_and_back() {
    let server = Server::start(START_MS).unwrap();
    let mut connection = connect(server.address()).unwrap();
    assert_eq!(time_ms(&mut connection), START_MS);
    for ms in [START_MS + 1, START_MS + 86_400_000, START_MS - 5_000] {
        server.clock().set(ms).unwrap();
        assert_eq!(time_ms(&mut connection), ms);
    }
}

#[test]
fn a_key_expires_when_the_clock_says_and_returns_if_nobody_looked() {
    let server = Server::start(START_MS).unwrap();
    let mut connection = connect(server.address()).unwrap();
    redis::cmd("SET").arg("key").arg("value").arg("PX").arg(100).exec(&mut connection).unwrap();
    let mut read_at = |ms: i64| -> Option<String> {
        server.clock().set(ms).unwrap();
        redis::cmd("GET").arg("key").query(&mut connection).unwrap()
    };
    assert_eq!(read_at(START_MS + 100).as_deref(), Some("value"), "the last millisecond still counts");
    server.clock().set(START_MS + 101).unwrap();
    assert_eq!(read_at(START_MS + 99).as_deref(), Some("value"), "expired, but never looked at");
    assert_eq!(read_at(START_MS + 101), None);
    assert_eq!(read_at(START_MS), None, "a look at an expired key drops it for good");
}

#[test]
fn a_running_server_is_used_with_its_own_cell_and_not_with_another() {
    let server = Server::start(START_MS).unwrap();
    let cell = server.clock().path().display();
    let named = Server::named(&format!("{}?clock={cell}", server.address()), START_MS + 7).unwrap();
    assert_eq!(named.address(), server.address());
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), [0; 8]).unwrap();
    let refused = Server::named(&format!("{}?clock={}", server.address(), other.path().display()), START_MS + 9);
    assert!(refused.unwrap_err().to_string().contains("does not follow"));
}

#[test]
fn the_server_stops_with_its_value() {
    let server = Server::start(START_MS).unwrap();
    let address = server.address().clone();
    drop(server);
    assert!(connect(&address).is_err());
}
