//! Seeding and rotating the waitpoint secrets of every partition.
//!
//! The real client works on several partitions at once; here they follow each other.

use ff_core::contracts::{
    RotateWaitpointHmacSecretAllArgs, RotateWaitpointHmacSecretAllEntry, RotateWaitpointHmacSecretAllResult,
    RotateWaitpointHmacSecretOutcome, SeedOutcome, SeedWaitpointHmacSecretArgs,
};
use ff_core::engine_error::{EngineError, ValidationKind, backend_context};
use ff_core::keys::IndexKeys;
use ff_core::partition::{Partition, PartitionFamily};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Done, Message, Reply, RotateSecret, Script};
use crate::port::Server;

/// What seeding found on one partition.
enum Found {
    Nothing,
    Same,
    OtherSecret,
    OtherKid(String),
}

impl<S: Server> ModelBackend<S> {
    /// One function call for each partition; what one of them refuses stands in its entry.
    pub(super) async fn rotate_secrets(
        &self,
        args: RotateWaitpointHmacSecretAllArgs,
    ) -> Result<RotateWaitpointHmacSecretAllResult, EngineError> {
        let mut entries = Vec::new();
        for partition in 0..self.partitions.num_flow_partitions {
            let script = Script::RotateSecret(Box::new(RotateSecret {
                partition,
                kid: args.new_kid.clone(),
                secret_hex: args.new_secret_hex.clone(),
                grace_ms: args.grace_ms,
            }));
            let context = during("rotate_waitpoint_hmac_secret_all: FCALL ff_rotate_waitpoint_hmac_secret");
            let new_kid = args.new_kid.clone();
            let result = match self.run_opaque(script).await {
                Ok(Done::Rotated(previous_kid, gc_count)) => {
                    Ok(RotateWaitpointHmacSecretOutcome::Rotated { previous_kid, new_kid, gc_count })
                }
                Ok(Done::Ok(_)) => Ok(RotateWaitpointHmacSecretOutcome::Noop { kid: new_kid }),
                Ok(other) => Err(error::unexpected_done(&other)),
                Err(refused) => Err(context(refused)),
            };
            entries.push(RotateWaitpointHmacSecretAllEntry::new(partition, result));
        }
        Ok(RotateWaitpointHmacSecretAllResult::new(entries))
    }

    /// Installs the secret wherever a partition has none; every partition is looked at before any answer.
    pub(super) async fn seed_secrets(&self, args: SeedWaitpointHmacSecretArgs) -> Result<SeedOutcome, EngineError> {
        let invalid = |detail: String| EngineError::Validation { kind: ValidationKind::InvalidInput, detail };
        if args.secret_hex.len() != 64 || !args.secret_hex.chars().all(|char| char.is_ascii_hexdigit()) {
            return Err(invalid("secret_hex must be 64 hex characters (256-bit secret)".into()));
        }
        if args.kid.is_empty() {
            return Err(invalid("kid must be non-empty".into()));
        }
        let mut all = Vec::new();
        for partition in 0..self.partitions.num_flow_partitions {
            all.push(self.seed_partition(partition, &args).await);
        }
        let (mut installed, mut matched, mut other_secret, mut other_kid) = (false, false, false, None);
        for found in all {
            match found? {
                Found::Nothing => installed = true,
                Found::Same => matched = true,
                Found::OtherSecret => other_secret = true,
                Found::OtherKid(kid) => other_kid = other_kid.or(Some(kid)),
            }
        }
        if let Some(stored) = other_kid {
            return Err(invalid(format!(
                "seed_waitpoint_hmac_secret: stored current_kid {stored:?} differs from supplied kid {:?}; use \
                 rotate_waitpoint_hmac_secret_all to change kid",
                args.kid
            )));
        }
        if installed {
            return Ok(SeedOutcome::Seeded { kid: args.kid });
        }
        Ok(SeedOutcome::AlreadySeeded { kid: args.kid, same_secret: matched && !other_secret })
    }

    async fn seed_partition(&self, partition: u16, args: &SeedWaitpointHmacSecretArgs) -> Result<Found, EngineError> {
        let key = IndexKeys::new(&Partition { family: PartitionFamily::Execution, index: partition })
            .waitpoint_hmac_secrets();
        let SeedWaitpointHmacSecretArgs { kid, secret_hex, .. } = args;
        let probe = format!("HGET {key} current_kid (seed probe)");
        let stored = self.secret_text(Message::CurrentKid(partition), probe).await?;
        let (current, context) = match stored {
            Some(stored) if stored != *kid => return Ok(Found::OtherKid(stored)),
            Some(stored) => {
                let probe = format!("HGET {key} secret:<kid> (seed probe)");
                match self.secret_text(Message::KidSecret(partition, stored), probe).await? {
                    Some(secret) if secret == *secret_hex => return Ok(Found::Same),
                    Some(_) => return Ok(Found::OtherSecret),
                    None => (false, format!("HSET {key} secret:<kid> (seed repair torn write)")),
                }
            }
            None => (true, format!("HSET {key} (seed install)")),
        };
        let (kid, secret_hex) = (kid.clone(), secret_hex.clone());
        let written = self.ask(Message::WriteSecret { partition, kid, secret_hex, current }).await;
        written.map_err(|unanswered| backend_context(unanswered, context))?;
        Ok(Found::Nothing)
    }

    async fn secret_text(&self, message: Message, context: String) -> Result<Option<String>, EngineError> {
        match self.ask(message).await.map_err(|unanswered| backend_context(unanswered, context))? {
            Reply::Text(text) => Ok(text),
            other => Err(error::unexpected(&other)),
        }
    }
}
