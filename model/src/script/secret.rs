//! `ff_rotate_waitpoint_hmac_secret`, and the plain write of whoever seeds a secret.

use super::{Answer, Refusal};
use crate::message::{Done, RotateSecret};
use crate::store::{Rotation, Store};
use crate::time::ServerTime;

/// The longest grace that stays a whole number.
const LONGEST_GRACE_MS: u64 = (1 << 53) - 1;

/// Lets another key id mint on one partition; the one before it validates for a while longer.
pub(super) fn rotate_secret(store: &mut Store, now: ServerTime, args: &RotateSecret) -> Answer {
    if args.kid.is_empty() || args.kid.contains(':') {
        return Err(Refusal::InvalidKid);
    }
    let hex = &args.secret_hex;
    if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::InvalidSecretHex);
    }
    if args.grace_ms > LONGEST_GRACE_MS {
        return Err(Refusal::InvalidGraceMs);
    }
    match store.secrets_mut(args.partition).rotate(&args.kid, hex, args.grace_ms, now) {
        Rotation::Rotated(previous, reaped) => Ok(Done::Rotated(previous, reaped)),
        Rotation::Unchanged => Ok(Done::Ok("noop")),
        Rotation::Conflict => Err(Refusal::RotationConflict(args.kid.clone())),
    }
}

/// Writes a key id's secret, and lets it mint where `current_kid` is written too.
pub(super) fn write(store: &mut Store, partition: u16, kid: &str, secret_hex: &str, current: bool) {
    let secrets = store.secrets_mut(partition);
    if current {
        secrets.install(kid.to_owned(), secret_hex.to_owned());
    } else {
        secrets.write_secret(kid.to_owned(), secret_hex.to_owned());
    }
}
