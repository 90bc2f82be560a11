//! The hashes around suspensions, field by field, as the server holds them.
//!
//! A field that nobody wrote is left out; one that was cleared is there and empty. Times and counts are
//! decimal. Documents that the scripts encode themselves mean the same, but may order their members otherwise.

use ff_core::types::SignalId;

use super::{Condition, Keystore, MatchMode, SignalRecord, Stamp, Suspension, Waitpoint};

/// A hash's fields with their values, in no particular order.
pub type Fields = Vec<(String, String)>;

fn text(value: &Option<impl ToString>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn named(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Fields {
    pairs.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn flag(value: bool) -> String {
    if value { "1".into() } else { "0".into() }
}

impl Stamp {
    /// The field's value; none where there is no field.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Empty => Some(String::new()),
            Self::At(at) => Some(at.to_string()),
        }
    }
}

impl Suspension {
    /// The fields of `suspension:current` of an execution.
    pub fn fields(&self, execution: &str) -> Fields {
        let mut fields = named([
            ("suspension_id", self.id.to_string()),
            ("execution_id", execution.into()),
            ("attempt_index", self.attempt_index.to_string()),
            ("waitpoint_id", self.waitpoint.to_string()),
            ("waitpoint_key", self.waitpoint_key.clone()),
            ("additional_waitpoints_json", self.additional_json()),
            ("reason_code", self.reason.as_wire_str().into()),
            ("requested_by", self.requested_by.as_wire_str().into()),
            ("created_at", self.created_at.to_string()),
            ("timeout_at", text(&self.timeout_at)),
            ("timeout_behavior", self.timeout_behavior.map_or("", |behavior| behavior.as_wire_str()).into()),
            ("resume_condition_json", self.terms.condition_json()),
            ("resume_policy_json", self.terms.policy_json()),
            ("continuation_metadata_pointer", text(&self.continuation)),
            ("buffered_signal_summary_json", Self::SIGNAL_SUMMARY_JSON.into()),
            ("last_signal_at", text(&self.last_signal_at)),
            ("satisfied_at", text(&self.satisfied_at)),
            ("closed_at", text(&self.closed_at)),
            ("close_reason", self.close_reason.into()),
        ]);
        fields.extend(self.closer.iter().map(|signal| ("closer_signal_id".to_owned(), signal.to_string())));
        fields.extend(self.satisfiers_json().map(|json| ("all_satisfier_signals".to_owned(), json)));
        fields
    }
}

impl Waitpoint {
    /// The fields of the waitpoint's own hash; the name is that of the execution that it was created for.
    pub fn fields(&self, execution: &str) -> Fields {
        let mut fields = named([
            ("waitpoint_id", self.id.to_string()),
            ("execution_id", execution.into()),
            ("attempt_index", self.attempt_index.to_string()),
            ("suspension_id", text(&self.suspension)),
            ("waitpoint_key", self.key.clone()),
            ("waitpoint_token", self.token.clone()),
            ("state", self.state.as_str().into()),
            ("created_at", self.created_at.to_string()),
            ("activated_at", text(&self.activated_at)),
            ("expires_at", text(&self.expires_at)),
            ("signal_count", self.signal_count.to_string()),
            ("matched_signal_count", self.matched_signal_count.to_string()),
            ("last_signal_at", text(&self.last_signal_at)),
        ]);
        let closing = [
            ("satisfied_at", self.satisfied_at.text()),
            ("closed_at", self.closed_at.text()),
            ("close_reason", self.close_reason.map(str::to_owned)),
        ];
        fields.extend(closing.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))));
        fields
    }
}

impl Condition {
    /// The fields of a waitpoint's `:condition`.
    pub fn fields(&self) -> Fields {
        let kind = if self.mode == MatchMode::Composite { "composite" } else { "signal_set" };
        let mut fields = named([
            ("condition_type", kind.into()),
            ("match_mode", self.mode.as_str().into()),
            ("minimum_signal_count", self.minimum.to_string()),
            ("total_matchers", self.total.to_string()),
            ("satisfied_count", self.satisfied.to_string()),
            ("closed", flag(self.closed)),
            ("updated_at", self.updated_at.to_string()),
        ]);
        for (position, matcher) in self.matchers.iter().enumerate() {
            fields.push((format!("matcher:{position}:name"), matcher.name.clone()));
            fields.push((format!("matcher:{position}:satisfied"), flag(matcher.satisfied)));
            fields.push((format!("matcher:{position}:signal_id"), text(&matcher.signal)));
        }
        if let Some(terms) = &self.tree {
            fields.extend(named([("composite", "1".into()), ("tree_json", terms.tree_json())]));
        }
        fields.extend(self.closed_at.map(|at| ("closed_at".to_owned(), at.to_string())));
        fields.extend(self.closed_reason.map(|reason| ("closed_reason".to_owned(), reason.to_owned())));
        fields
    }
}

impl SignalRecord {
    /// The fields of a signal's own hash; the name is that of the execution that it was sent to.
    pub fn fields(&self, id: &SignalId, execution: &str) -> Fields {
        let mut fields = named([
            ("signal_id", id.to_string()),
            ("target_execution_id", execution.into()),
            ("target_waitpoint_id", self.waitpoint.to_string()),
            ("target_scope", self.scope.clone()),
            ("signal_name", self.name.clone()),
            ("signal_category", self.category.clone()),
            ("source_type", self.source_type.clone()),
            ("source_identity", self.source_identity.clone()),
            ("correlation_id", self.correlation_id.clone()),
            ("idempotency_key", self.idempotency_key.clone()),
            ("created_at", self.created_at.to_string()),
            ("accepted_at", self.accepted_at.to_string()),
            ("matched_waitpoint_id", self.waitpoint.to_string()),
            ("payload_encoding", self.payload_encoding.clone()),
        ]);
        fields.extend(self.effect.map(|effect| ("observed_effect".to_owned(), effect.to_owned())));
        fields
    }
}

impl Keystore {
    /// The fields of a partition's secrets.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.extend(self.current.iter().map(|kid| ("current_kid".to_owned(), kid.clone())));
        if let Some((kid, expires_at)) = &self.previous {
            fields.extend(named([("previous_kid", kid.clone()), ("previous_expires_at", expires_at.to_lua_string())]));
        }
        for (kid, held) in &self.kids {
            fields.extend(held.secret.iter().map(|secret| (format!("secret:{kid}"), secret.clone())));
            fields.extend(held.expires_at.map(|at| (format!("expires_at:{kid}"), at.to_lua_string())));
        }
        fields
    }
}
