//! How many commands the server performs, by its own word.
//!
//! Its command statistics count what clients send and what scripts perform alike; which of them a client
//! sent is told by `MONITOR`, which names scripts as such. Both cost the server time, so whatever is
//! counted is not timed.

use std::io;
use std::ops::AddAssign;

use claimlab_valkey::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::error::{Error, io_error};
use crate::target::{Target, ask};

/// What the harness itself asks, and how any connection introduces itself: nobody's cost.
const OWN: &[&str] = &["info", "monitor", "echo", "client", "hello"];
/// What ends a count: one command more that only this crate sends.
const END: &str = "claimlab-benches:end-of-count";

/// What one operation costs the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// Commands that the client sends.
    pub client: f64,
    /// Commands that the server's functions perform for them.
    pub script: f64,
    /// The server's time for function calls, in microseconds.
    pub function_us: f64,
}

/// Commands of any number of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sent by clients.
    client: u64,
    /// All, those that functions perform included.
    all: u64,
    /// What function calls took, in microseconds.
    function_us: u64,
}

impl Tally {
    /// What each of so many operations cost.
    pub fn each(self, operations: u64) -> Commands {
        let each = |sum: u64| sum as f64 / operations.max(1) as f64;
        Commands {
            client: each(self.client),
            script: each(self.all.saturating_sub(self.client)),
            function_us: each(self.function_us),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.client += other.client;
        self.all += other.all;
        self.function_us += other.function_us;
    }
}

/// A count under way.
pub struct Counter {
    servers: Vec<Watched>,
}

struct Watched {
    address: Address,
    before: (u64, u64),
    client: JoinHandle<io::Result<u64>>,
}

impl Counter {
    /// Begins to count.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn begin(target: &Target) -> Result<Self, Error> {
        let mut servers = Vec::new();
        for address in target.primaries() {
            let lines = monitor(address).await.map_err(io_error(format!("MONITOR on {address}")))?;
            let before = statistics(address)?;
            servers.push(Watched { address: address.clone(), before, client: tokio::spawn(sent(lines)) });
        }
        Ok(Self { servers })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When a server does not answer any more.
    pub async fn end(self) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        for Watched { address, before, client } in self.servers {
            let (all, function_us) = statistics(&address)?;
            let _: String = ask(&address, "ECHO", redis::cmd("ECHO").arg(END).clone())?;
            let client = client.await?.map_err(io_error(format!("MONITOR on {address}")))?;
            tally += Tally { client, all: all - before.0, function_us: function_us - before.1 };
        }
        Ok(tally)
    }
}

async fn monitor(address: &Address) -> io::Result<Lines<BufReader<TcpStream>>> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.write_all(b"MONITOR\r\n").await?;
    let mut lines = BufReader::new(stream).lines();
    // The first line is the answer to the command itself.
    lines.next_line().await?;
    Ok(lines)
}

/// Counts what clients send until the end is announced.
async fn sent(mut lines: Lines<BufReader<TcpStream>>) -> io::Result<u64> {
    let mut count = 0;
    while let Some(line) = lines.next_line().await? {
        if line.contains(END) {
            break;
        }
        count += u64::from(sent_by_client(&line).is_some_and(is_counted));
    }
    Ok(count)
}

/// The command in `+1700000000.1 [0 127.0.0.1:5] "GET" "a"`; none where a function performed it.
fn sent_by_client(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" [")?;
    let (sender, command) = rest.split_once("] \"")?;
    (!sender.ends_with("lua")).then(|| command.split('"').next().unwrap_or_default())
}

/// `client|setinfo` is a kind of `client`.
fn is_counted(command: &str) -> bool {
    let name = command.split('|').next().unwrap_or_default();
    !OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// All commands so far, and what function calls took.
fn statistics(address: &Address) -> Result<(u64, u64), Error> {
    let text: String = ask(address, "INFO", redis::cmd("INFO").arg("commandstats").clone())?;
    let (mut all, mut function_us) = (0, 0);
    for (name, calls, usec) in text.lines().filter_map(command) {
        if is_counted(name) {
            all += calls;
        }
        if matches!(name, "fcall" | "fcall_ro") {
            function_us += usec;
        }
    }
    Ok((all, function_us))
}

/// `cmdstat_get:calls=1,usec=3,…` as a name and two numbers.
fn command(line: &str) -> Option<(&str, u64, u64)> {
    let (name, fields) = line.trim().strip_prefix("cmdstat_")?.split_once(':')?;
    let field = |wanted: &str| {
        let value = fields.split(',').find_map(|field| field.strip_prefix(wanted))?;
        value.parse().ok()
    };
    Some((name, field("calls=")?, field("usec=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_command_statistics_is_a_name_a_count_and_a_time() {
        let line = "cmdstat_fcall:calls=12,usec=340,usec_per_call=28.33,rejected_calls=0,failed_calls=0\r";
        assert_eq!(command(line), Some(("fcall", 12, 340)));
        assert_eq!(command("# Commandstats"), None);
    }

    #[test]
    fn what_functions_perform_was_not_sent_by_a_client() {
        assert_eq!(sent_by_client("+1700000000.1 [0 127.0.0.1:5] \"GET\" \"a\""), Some("GET"));
        assert_eq!(sent_by_client("+1700000000.1 [0 lua] \"GET\" \"a\""), None);
        assert_eq!(sent_by_client("+OK"), None);
    }

    #[test]
    fn what_clients_did_not_send_functions_performed() {
        let tally = Tally { client: 20, all: 120, function_us: 2_000 };
        assert_eq!(tally.each(10), Commands { client: 2.0, script: 10.0, function_us: 200.0 });
    }
}
