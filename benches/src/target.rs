//! The server that everything is measured on: a private one, or one that the user names.
//!
//! A named server must be empty, or the user must say that it may be emptied; it is left empty.

use std::collections::BTreeMap;

use claimlab_valkey::{Address, Plain, connect};
use ff_core::backend::{BackendConfig, BackendConnection};

use crate::cores::{Placement, leave_one};
use crate::error::Error;

/// The environment variable that names a server.
pub const VARIABLE: &str = "CLAIMLAB_VALKEY_URL";

/// Settings of the server that change what it costs.
const SETTINGS: &[&str] = &[
    "io-threads",
    "appendonly",
    "save",
    "maxmemory",
    "maxmemory-policy",
    "hz",
    "cluster-enabled",
    "lazyfree-lazy-user-flush",
    "server-cpulist",
];

/// A server that may be emptied.
#[derive(Debug)]
pub struct Target {
    first: Plain,
    is_cluster: bool,
    /// Every server that holds keys.
    primaries: Vec<Address>,
    /// What it holds from now on is ours, and it goes on running.
    leave_empty: bool,
}

impl Target {
    /// A private server. Apart, this thread and those that it starts from now on leave a core to it.
    ///
    /// # Errors
    /// As [`Plain::start`].
    pub fn private(placement: Placement) -> Result<Self, Error> {
        let core = (placement == Placement::Apart).then(leave_one).flatten().map(|core| core.to_string());
        let settings: Vec<&str> = core.iter().flat_map(|core| ["--server-cpulist", core]).collect();
        let first = Plain::start(&settings)?;
        Ok(Self { primaries: vec![first.address().clone()], first, is_cluster: false, leave_empty: false })
    }

    /// The server that the environment names, wherever it runs, or a private one.
    ///
    /// # Errors
    /// As [`Self::named`] and [`Self::private`].
    pub fn from_environment(flush: bool, placement: Placement) -> Result<Self, Error> {
        match std::env::var(VARIABLE) {
            Ok(url) if !url.is_empty() => Self::named(&url, flush),
            _ => Self::private(placement),
        }
    }

    /// A server by its address; only with `flush` may it hold anything.
    ///
    /// # Errors
    /// When the address is none, nothing answers there, it is not Valkey, or it holds data.
    pub fn named(url: &str, flush: bool) -> Result<Self, Error> {
        let (address, is_cluster) = parse(url)?;
        let first = Plain::at(address.clone())?;
        let primaries = if is_cluster { primaries(&address)? } else { vec![address] };
        let mut target = Self { first, is_cluster, primaries, leave_empty: false };
        for address in &target.primaries {
            let keyspace: String = ask(address, "INFO keyspace", redis::cmd("INFO").arg("keyspace").clone())?;
            let keys = keys_of_all_databases(&keyspace);
            let list = redis::cmd("FUNCTION").arg("LIST").clone();
            let libraries = ask::<Vec<redis::Value>>(address, "FUNCTION LIST", list)?.len();
            if (keys > 0 || libraries > 0) && !flush {
                return Err(Error::OtherData { address: address.clone(), keys, libraries });
            }
        }
        target.empty()?;
        target.leave_empty = true;
        Ok(target)
    }

    /// How a child process names it.
    pub fn url(&self) -> String {
        format!("{}{}", self.first.address(), if self.is_cluster { "?cluster" } else { "" })
    }

    /// The version that the server says it has.
    pub fn version(&self) -> &str {
        self.first.version()
    }

    /// Every server that holds keys.
    pub fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// What the shipped client is told.
    pub fn client_config(&self) -> BackendConfig {
        let address = self.first.address();
        let mut config = BackendConfig::valkey(address.host.clone(), address.port);
        if let BackendConnection::Valkey(connection) = &mut config.connection {
            connection.cluster = self.is_cluster;
        }
        config
    }

    /// Takes every key from it; functions stay, as they do between two deployments of the same version.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn empty(&self) -> Result<(), Error> {
        for address in &self.primaries {
            let _: String = ask(address, "FLUSHALL", redis::cmd("FLUSHALL").arg("SYNC").clone())?;
        }
        Ok(())
    }

    /// The settings that change what it costs.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for name in SETTINGS {
            let command = redis::cmd("CONFIG").arg("GET").arg(name).clone();
            found.extend(ask::<BTreeMap<String, String>>(self.first.address(), "CONFIG GET", command)?);
        }
        Ok(found)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.leave_empty {
            // A server that does not answer any more has nothing that could be left behind.
            let _ = self.empty();
            for address in &self.primaries {
                let flush = redis::cmd("FUNCTION").arg("FLUSH").arg("SYNC").clone();
                let _ = ask::<String>(address, "FUNCTION FLUSH", flush);
            }
        }
    }
}

fn parse(url: &str) -> Result<(Address, bool), Error> {
    let bad = || Error::Address { found: url.to_owned() };
    let place = url.strip_prefix("valkey://").ok_or_else(bad)?;
    let (place, is_cluster) = match place.split_once('?') {
        None => (place, false),
        Some((place, "cluster")) => (place, true),
        Some(_) => return Err(bad()),
    };
    let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().map_err(|_| bad())?;
    if host.is_empty() {
        return Err(bad());
    }
    Ok((Address { host: host.to_owned(), port }, is_cluster))
}

/// `INFO keyspace` has a line for each database that holds anything: `db0:keys=1,expires=0,…`.
fn keys_of_all_databases(keyspace: &str) -> u64 {
    let keys = |line: &str| line.split_once(":keys=")?.1.split(',').next()?.parse::<u64>().ok();
    keyspace.lines().filter_map(keys).sum()
}

/// Each shard of `CLUSTER SLOTS` begins with its range of slots, then its primary.
fn primaries(address: &Address) -> Result<Vec<Address>, Error> {
    type Shard = (u16, u16, (String, u16));
    let slots: Vec<redis::Value> = ask(address, "CLUSTER SLOTS", redis::cmd("CLUSTER").arg("SLOTS").clone())?;
    let mut found = Vec::new();
    for shard in slots {
        let redis::Value::Array(mut fields) = shard else { continue };
        fields.truncate(3);
        if let Some(redis::Value::Array(node)) = fields.get_mut(2) {
            node.truncate(2);
        }
        let shard: Result<Shard, _> = redis::from_redis_value(redis::Value::Array(fields));
        let (_, _, (host, port)) = shard.map_err(|error| Error::Command {
            address: address.clone(),
            what: "CLUSTER SLOTS",
            source: error.into(),
        })?;
        // A node that does not know its own name is the one that was asked.
        let host = if host.is_empty() { address.host.clone() } else { host };
        let primary = Address { host, port };
        if !found.contains(&primary) {
            found.push(primary);
        }
    }
    Ok(found)
}

/// One plain command on a connection of its own.
pub(crate) fn ask<T: redis::FromRedisValue>(
    address: &Address,
    what: &'static str,
    command: redis::Cmd,
) -> Result<T, Error> {
    let mut connection = connect(address)?;
    command.query(&mut connection).map_err(|source| Error::Command { address: address.clone(), what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_may_say_that_it_is_a_cluster() {
        let (address, is_cluster) = parse("valkey://localhost:7000?cluster").unwrap();
        assert_eq!((address.host.as_str(), address.port, is_cluster), ("localhost", 7000, true));
        assert!(!parse("valkey://localhost:7000/").unwrap().1);
    }

    #[test]
    fn keys_of_every_database_count() {
        let keyspace = "# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\ndb9:keys=5,expires=1,avg_ttl=7\r\n";
        assert_eq!([keys_of_all_databases(keyspace), keys_of_all_databases("# Keyspace\r\n")], [7, 0]);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        for text in ["localhost:1", "redis://localhost:1", "valkey://localhost", "valkey://:1", "valkey://h:1?tls"] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(text) && said.contains("valkey://HOST:PORT?cluster"), "{said}");
        }
    }
}
