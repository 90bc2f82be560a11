//! What a real server said of a finding's plan, kept beside it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Judgement;
use crate::input::{InputError, read_text};

/// The file of a confirmation, beside the plan.
pub const CONFIRMED: &str = "confirmed.json";

/// What a real server says of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum OnServer {
    /// Everything was the same up to the violation.
    Confirmed {
        /// Messages that the shipped client sent.
        messages: u64,
    },
    /// The two parted, or the violation did not come.
    NotReproduced {
        /// Where, with both answers.
        why: String,
    },
    /// A real server cannot be brought into this.
    NotApplicable {
        /// Why.
        why: String,
    },
}

impl OnServer {
    /// The verdict on the claim that the real server does it too.
    pub const fn judgement(&self) -> Judgement {
        match self {
            Self::Confirmed { .. } => Judgement::Held,
            Self::NotReproduced { .. } => Judgement::Violated,
            Self::NotApplicable { .. } => Judgement::Undecided,
        }
    }

    /// The same in one line.
    pub fn line(&self) -> String {
        match self {
            Self::Confirmed { messages } => format!("CONFIRMED       after {messages} messages, each the same on both"),
            Self::NotReproduced { why } => format!("NOT REPRODUCED  {why}"),
            Self::NotApplicable { why } => format!("NOT APPLICABLE  {why}"),
        }
    }
}

/// A plan that was laid before a real server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmation {
    /// What was looked for.
    pub wanted: String,
    /// What came of it.
    #[serde(flatten)]
    pub result: OnServer,
    /// Whether ff-sdk's own worker shows it too, where the promise is a worker's and the build has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_shipped_worker: Option<bool>,
    /// The version of FlowFabric's Lua library.
    pub library: String,
    /// The server and its version.
    pub server: String,
    /// The day, as `2026-11-28`.
    pub on: String,
}

impl Confirmation {
    /// Where and when, in a few words.
    pub fn text(&self) -> String {
        let word = match self.result {
            OnServer::Confirmed { .. } => "confirmed",
            OnServer::NotReproduced { .. } => "not reproduced",
            OnServer::NotApplicable { .. } => "not applicable",
        };
        format!("{word} on {} with library {}{}, {}", self.server, self.library, self.of_worker(), self.on)
    }

    /// The same of the shipped worker; empty where it was not asked.
    pub const fn of_worker(&self) -> &'static str {
        match self.on_shipped_worker {
            Some(true) => " and with the shipped worker",
            Some(false) => ", though not with the shipped worker",
            None => "",
        }
    }

    /// The confirmation in a finding's folder, where there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, InputError> {
        let file = folder.join(CONFIRMED);
        if !file.is_file() {
            return Ok(None);
        }
        let text = read_text(&file, "confirmation", "what claimlab confirm wrote")?;
        let malformed = |error: serde_json::Error| InputError::Malformed {
            file: file.clone(),
            line: error.line(),
            why: format!("{error}; accepted is what claimlab confirm writes"),
        };
        serde_json::from_str(&text).map(Some).map_err(malformed)
    }
}
