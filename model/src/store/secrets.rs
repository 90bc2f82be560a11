//! The waitpoint secrets: `ff:sec:<tag>:waitpoint_hmac`, one hash for each partition.
//!
//! Minting and validating follow `ff-script/src/flowfabric.lua` (`mint_waitpoint_token`,
//! `validate_waitpoint_token`, `ff_rotate_waitpoint_hmac_secret`), missing fields included.

use std::collections::BTreeMap;

use ff_core::types::WaitpointId;

use crate::number::Score;
use crate::time::ServerTime;
use crate::token::{self, Secret};

/// What the hash holds under one key id. Rotation can leave either field without the other.
#[derive(Clone, Debug, Default)]
pub struct Kid {
    /// `secret:<kid>`, hex as it was given.
    pub secret: Option<String>,
    /// `expires_at:<kid>`, as its text reads back.
    pub expires_at: Option<Score>,
}

/// One partition's secrets.
#[derive(Clone, Debug, Default)]
pub struct Keystore {
    /// `current_kid`: mints, and validates without expiry.
    pub current: Option<String>,
    /// `previous_kid` and `previous_expires_at`; nothing reads them.
    pub previous: Option<(String, Score)>,
    /// Every other field, by key id.
    pub kids: BTreeMap<String, Kid>,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A new key id mints; with the one before it, and how many expired ones were reaped.
    Rotated(Option<String>, u32),
    /// The key id already mints with this very secret.
    Unchanged,
    /// The key id already mints with another secret.
    Conflict,
}

/// Why a token was not minted or does not open its waitpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The partition has no current key id, or no secret under it.
    NoSecret,
    /// None was presented.
    Missing,
    /// It is malformed, of an unknown key id, or another waitpoint's.
    Invalid,
    /// Its key id is past its grace.
    Expired,
}

impl Keystore {
    /// A keystore with one secret, as seeding leaves it.
    pub fn seeded(secret: &Secret) -> Self {
        let mut keystore = Self::default();
        keystore.install(secret.kid().to_owned(), secret.hex());
        keystore
    }

    /// Writes `current_kid` and its secret, as seeding does.
    pub fn install(&mut self, kid: String, secret_hex: String) {
        self.write_secret(kid.clone(), secret_hex);
        self.current = Some(kid);
    }

    /// Writes the secret of a key id.
    pub fn write_secret(&mut self, kid: String, secret_hex: String) {
        self.kids.entry(kid).or_default().secret = Some(secret_hex);
    }

    /// The secret of a key id, hex.
    pub fn secret(&self, kid: &str) -> Option<&str> {
        self.kids.get(kid)?.secret.as_deref()
    }

    /// The token of a waitpoint under the current key id.
    ///
    /// # Errors
    /// [`TokenError::NoSecret`] without a current key id or its secret.
    pub fn mint(&self, waitpoint: &WaitpointId, key: &str, created_at: ServerTime) -> Result<String, TokenError> {
        let kid = self.current.as_deref().ok_or(TokenError::NoSecret)?;
        let secret = self.secret(kid).ok_or(TokenError::NoSecret)?;
        Ok(format!("{kid}:{}", token::digest(secret, waitpoint, key, created_at)))
    }

    /// Checks a presented token in the script's order.
    ///
    /// # Errors
    /// The first check that fails. An old key id that was never given a grace counts as expired; one that
    /// contains a colon never validates.
    pub fn validate(
        &self,
        presented: &str,
        waitpoint: &WaitpointId,
        key: &str,
        created_at: ServerTime,
        now: ServerTime,
    ) -> Result<(), TokenError> {
        if presented.is_empty() {
            return Err(TokenError::Missing);
        }
        let well_formed = presented.split_once(':').filter(|(kid, mac)| !kid.is_empty() && mac.len() == 40);
        let (kid, mac) = well_formed.ok_or(TokenError::Invalid)?;
        let current = self.current.as_deref().ok_or(TokenError::NoSecret)?;
        let secret = self.secret(kid).ok_or(TokenError::Invalid)?;
        if kid != current && !self.kids[kid].expires_at.is_some_and(|at| at.is_positive() && !at.is_before(now.ms())) {
            return Err(TokenError::Expired);
        }
        if mac == token::digest(secret, waitpoint, key, created_at) { Ok(()) } else { Err(TokenError::Invalid) }
    }

    /// `ff_rotate_waitpoint_hmac_secret` after its argument checks.
    ///
    /// An old key id that returns keeps its old expiry, so a later rotation reaps its secret while it
    /// still mints.
    pub fn rotate(&mut self, new_kid: &str, secret_hex: &str, grace_ms: u64, now: ServerTime) -> Rotation {
        if self.current.as_deref() == Some(new_kid) {
            return match self.secret(new_kid) {
                Some(stored) if stored == secret_hex => Rotation::Unchanged,
                Some(_) => Rotation::Conflict,
                None => {
                    self.write_secret(new_kid.to_owned(), secret_hex.to_owned());
                    Rotation::Unchanged
                }
            };
        }
        let before = self.kids.len();
        let lapsed = |kid: &Kid| kid.expires_at.is_some_and(|at| !at.is_positive() || at.is_before(now.ms()));
        self.kids.retain(|_, kid| !lapsed(kid));
        let reaped = (before - self.kids.len()) as u32;
        let previous = self.current.take();
        if let Some(kid) = &previous {
            let expires_at = Score::after(now.ms(), grace_ms).rounded_as_text();
            self.previous = Some((kid.clone(), expires_at));
            self.kids.entry(kid.clone()).or_default().expires_at = Some(expires_at);
        }
        self.install(new_kid.to_owned(), secret_hex.to_owned());
        Rotation::Rotated(previous, reaped)
    }
}

/// The keystores of all partitions: those that were written, and what every other one holds.
#[derive(Debug)]
pub(super) struct Secrets {
    initial: Keystore,
    written: BTreeMap<u16, Keystore>,
}

impl Secrets {
    pub(super) fn new(initial: Keystore) -> Self {
        Self { initial, written: BTreeMap::new() }
    }

    pub(super) fn of(&self, partition: u16) -> &Keystore {
        self.written.get(&partition).unwrap_or(&self.initial)
    }

    pub(super) fn of_mut(&mut self, partition: u16) -> &mut Keystore {
        self.written.entry(partition).or_insert_with(|| self.initial.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: ServerTime = ServerTime::from_ms(1_000);
    const SECRET: &str = "07070707";

    fn waitpoint(number: u128) -> WaitpointId {
        WaitpointId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn seeded(kid: &str) -> Keystore {
        let mut keystore = Keystore::default();
        keystore.install(kid.into(), SECRET.into());
        keystore
    }

    #[test]
    fn a_token_opens_its_own_waitpoint_only() {
        let keystore = seeded("k1");
        let token = keystore.mint(&waitpoint(1), "approve", AT).unwrap();
        let validate = |token: &str, number| keystore.validate(token, &waitpoint(number), "approve", AT, AT);
        assert_eq!(validate(&token, 1), Ok(()));
        assert_eq!(validate(&token, 2), Err(TokenError::Invalid));
        assert_eq!(validate("", 1), Err(TokenError::Missing));
        assert_eq!(validate("k1:short", 1), Err(TokenError::Invalid));
        assert_eq!(validate(&token.replace("k1", "k2"), 1), Err(TokenError::Invalid));
    }

    #[test]
    fn an_old_key_id_validates_to_the_last_millisecond_of_its_grace() {
        let mut keystore = seeded("k1");
        let token = keystore.mint(&waitpoint(1), "key", AT).unwrap();
        assert_eq!(keystore.rotate("k2", "08", 500, AT), Rotation::Rotated(Some("k1".into()), 0));
        let validate = |ms| keystore.validate(&token, &waitpoint(1), "key", AT, ServerTime::from_ms(ms));
        assert_eq!(validate(1_500), Ok(()));
        assert_eq!(validate(1_501), Err(TokenError::Expired));
    }

    #[test]
    fn a_returning_key_id_keeps_its_old_expiry_and_loses_its_secret_to_the_next_rotation() {
        let mut keystore = seeded("k1");
        keystore.rotate("k2", "08", 500, AT);
        keystore.rotate("k1", SECRET, 5_000, AT);
        let token = keystore.mint(&waitpoint(1), "key", AT).unwrap();
        let late = ServerTime::from_ms(2_000);
        assert_eq!(keystore.rotate("k3", "09", 5_000, late), Rotation::Rotated(Some("k1".into()), 1));
        assert_eq!(keystore.validate(&token, &waitpoint(1), "key", AT, late), Err(TokenError::Invalid));
    }

    #[test]
    fn a_key_id_with_a_colon_mints_tokens_that_never_validate() {
        let keystore = seeded("a:b");
        let token = keystore.mint(&waitpoint(1), "key", AT).unwrap();
        assert_eq!(keystore.validate(&token, &waitpoint(1), "key", AT, AT), Err(TokenError::Invalid));
    }
}
