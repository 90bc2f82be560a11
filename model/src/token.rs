//! Waitpoint tokens: `<kid>:<hex>` with HMAC-SHA1 over waitpoint id, key and creation time.
//!
//! `ff-script/src/flowfabric.lua`, `mint_waitpoint_token` and `validate_waitpoint_token`. The token
//! binds the waitpoint; nothing in it binds the execution or the suspension.

use ff_core::types::WaitpointId;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::script::Refusal;
use crate::time::ServerTime;

/// A deployment's waitpoint secret under its key id.
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

    fn digest(&self, waitpoint: &WaitpointId, key: &str, created_at: ServerTime) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{waitpoint}|{key}|{created_at}").as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// The token of a waitpoint.
    pub fn mint(&self, waitpoint: &WaitpointId, key: &str, created_at: ServerTime) -> String {
        format!("{}:{}", self.kid, self.digest(waitpoint, key, created_at))
    }

    /// Checks a presented token in the script's order.
    ///
    /// # Errors
    /// `missing_token` when empty, `invalid_token` when malformed, of an unknown key id, or not the
    /// waitpoint's.
    pub fn validate(
        &self,
        token: &str,
        waitpoint: &WaitpointId,
        key: &str,
        created_at: ServerTime,
    ) -> Result<(), Refusal> {
        if token.is_empty() {
            return Err(Refusal::MissingToken);
        }
        let well_formed = token.split_once(':').filter(|(kid, mac)| !kid.is_empty() && mac.len() == 40);
        match well_formed {
            Some((kid, mac)) if kid == self.kid && mac == self.digest(waitpoint, key, created_at) => Ok(()),
            _ => Err(Refusal::InvalidToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_waitpoint_only() {
        let secret = Secret::new("k1", vec![7; 32]);
        let waitpoint = WaitpointId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let other = WaitpointId::parse("00000000-0000-4000-8000-000000000002").unwrap();
        let at = ServerTime::from_ms(1_000);
        let token = secret.mint(&waitpoint, "approve", at);
        assert!(secret.validate(&token, &waitpoint, "approve", at).is_ok());
        assert_eq!(secret.validate(&token, &other, "approve", at), Err(Refusal::InvalidToken));
        assert_eq!(secret.validate("", &waitpoint, "approve", at), Err(Refusal::MissingToken));
        assert_eq!(secret.validate("k1:short", &waitpoint, "approve", at), Err(Refusal::InvalidToken));
    }
}
