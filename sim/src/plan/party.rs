//! Parties and their names: `engine`, `reclaimer-0`, `worker-17`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::scenario::MOST_OF_A_ROLE;

/// Who a message, a wait or a fault belongs to; also the tie-break between events of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartyKey(pub u32);

impl PartyKey {
    /// The server itself: only its clock can be faulty.
    pub const SERVER: Self = Self(0);
    /// The engine process with its scanners.
    pub const ENGINE: Self = Self(1);
    /// The process that runs the scheduler.
    pub const SCHEDULER: Self = Self(2);
    /// Whoever submits the work.
    pub const SUBMITTER: Self = Self(3);
    /// Whoever cancels, revokes, reprioritises and replays.
    pub const OPERATOR: Self = Self(4);
    /// Whoever delivers signals.
    pub const SIGNALLER: Self = Self(5);
    /// The engines beside the first: `engine-2` and so on.
    const MORE_ENGINES: u32 = 10;
    /// The schedulers beside the first: `scheduler-2` and so on.
    const MORE_SCHEDULERS: u32 = 30;
    /// The first reclaimer.
    pub const RECLAIMERS: u32 = 100;
    /// The first worker.
    pub const WORKERS: u32 = 10_000;

    /// What kind of party this is, in one word.
    pub const fn role(self) -> &'static str {
        match self.0 {
            0 => "server",
            1 => "engine",
            2 => "scheduler",
            3 => "submitter",
            4 => "operator",
            5 => "signaller",
            Self::MORE_ENGINES..Self::MORE_SCHEDULERS => "engine",
            Self::MORE_SCHEDULERS..Self::RECLAIMERS => "scheduler",
            Self::RECLAIMERS..Self::WORKERS => "reclaimer",
            _ => "worker",
        }
    }
}

impl std::fmt::Display for PartyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            Self::WORKERS.. => format!("worker-{}", self.0 - Self::WORKERS),
            Self::RECLAIMERS.. => format!("reclaimer-{}", self.0 - Self::RECLAIMERS),
            Self::MORE_SCHEDULERS.. => format!("scheduler-{}", self.0 - Self::MORE_SCHEDULERS + 2),
            Self::MORE_ENGINES.. => format!("engine-{}", self.0 - Self::MORE_ENGINES + 2),
            _ => self.role().to_owned(),
        };
        f.pad(&name)
    }
}

impl PartyKey {
    /// The parties of which a world has one each, in order.
    pub const FIXED: [Self; 6] =
        [Self::SERVER, Self::ENGINE, Self::SCHEDULER, Self::SUBMITTER, Self::OPERATOR, Self::SIGNALLER];

    /// The engine of a number, from 0 on.
    pub const fn engine(number: u32) -> Self {
        if number == 0 { Self::ENGINE } else { Self(Self::MORE_ENGINES + number - 1) }
    }

    /// The scheduler of a number, from 0 on.
    pub const fn scheduler(number: u32) -> Self {
        if number == 0 { Self::SCHEDULER } else { Self(Self::MORE_SCHEDULERS + number - 1) }
    }

    /// The instance id of one life of this party's process; also the name of that life in addresses, where a dot
    /// stands before the life.
    pub fn instance(self, life: u32) -> String {
        format!("{self}-{life}")
    }

    /// The name of one life of this party's process in addresses.
    pub fn life(self, life: u32) -> String {
        format!("{self}.{life}")
    }
}

impl FromStr for PartyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("found \"{text}\", accepted is a party such as \"worker-17\", \"reclaimer-0\" or \"engine\"");
        if let Some(fixed) = Self::FIXED.into_iter().find(|key| key.role() == text) {
            return Ok(fixed);
        }
        let (role, number) = text.split_once('-').ok_or_else(refused)?;
        let number: u32 = number.parse().map_err(|_| refused())?;
        let key = match role {
            "worker" => Self::WORKERS.checked_add(number),
            "reclaimer" => Some(Self::RECLAIMERS + number).filter(|key| *key < Self::WORKERS),
            "engine" if (2..=MOST_OF_A_ROLE).contains(&number) => Some(Self::engine(number - 1).0),
            "scheduler" if (2..=MOST_OF_A_ROLE).contains(&number) => Some(Self::scheduler(number - 1).0),
            _ => None,
        };
        key.map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for PartyKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PartyKey> for String {
    fn from(key: PartyKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_read_back_from_its_name() {
        let keys = [
            PartyKey(PartyKey::WORKERS + 17),
            PartyKey(PartyKey::RECLAIMERS),
            PartyKey::ENGINE,
            PartyKey::engine(1),
            PartyKey::scheduler(2),
        ];
        let names = ["worker-17", "reclaimer-0", "engine", "engine-2", "scheduler-3"];
        assert_eq!(keys.map(|key| key.to_string()), names);
        assert!(keys.into_iter().all(|key| key.to_string().parse() == Ok(key)));
        assert!("worker".parse::<PartyKey>().is_err() && "reclaimer-99999".parse::<PartyKey>().is_err());
    }
}
