//! `ff_rotate_waitpoint_hmac_secret`.

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
