//! Waitpoint tokens: `<kid>:<hex>` with HMAC-SHA1 over waitpoint id, key and creation time.
//!
//! `ff-script/src/flowfabric.lua`, `waitpoint_hmac_input` and `hmac_sha1_hex`. The token binds the
//! waitpoint; nothing in it binds the execution or the suspension.

use ff_core::types::WaitpointId;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::time::ServerTime;

/// A deployment's first waitpoint secret under its key id.
#[derive(Clone, Debug)]
pub struct Secret {
    kid: String,
    key: Vec<u8>,
}

impl Secret {
    /// A secret of these bytes under a key id.
    pub fn new(kid: impl Into<String>, key: Vec<u8>) -> Self {
        Self { kid: kid.into(), key }
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The secret as the server stores it.
    pub fn hex(&self) -> String {
        hex::encode(&self.key)
    }
}

/// The digest of a waitpoint under a secret of hex digits in either case.
pub(crate) fn digest(secret_hex: &str, waitpoint: &WaitpointId, key: &str, created_at: ServerTime) -> String {
    let secret = hex::decode(secret_hex).expect("only hex of even length is ever stored");
    let mut mac = Hmac::<Sha1>::new_from_slice(&secret).expect("HMAC takes keys of any length");
    mac.update(format!("{waitpoint}|{key}|{created_at}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
