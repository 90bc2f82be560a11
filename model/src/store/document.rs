//! The JSON documents and the packed text that suspensions store.
//!
//! Condition and policy are the client's own text, as `ff-backend-valkey/src/lib.rs` writes it
//! (`resume_condition_to_json`, `composite_node_to_json`, `resume_policy_to_json`). Documents that the
//! scripts encode (the tree, the lists) mean the same as here, but their members may come in another order.

use ff_core::contracts::{CompositeBody, CountKind, ResumeCondition, SignalMatcher};
use serde_json::{Value, json};

use super::{SuspendDone, Suspension, Terms};

impl Terms {
    /// `resume_condition_json`.
    pub fn condition_json(&self) -> String {
        let behavior = self.timeout_behavior.as_wire_str();
        let simple = |names: &[&str], mode: &str| {
            json!({
                "condition_type": "signal_set",
                "required_signal_names": names,
                "signal_match_mode": mode,
                "minimum_signal_count": 1,
                "timeout_behavior": behavior,
                "allow_operator_override": true,
            })
        };
        let document = match &self.condition {
            ResumeCondition::Single { matcher: SignalMatcher::ByName(name), .. } => simple(&[name], "any"),
            ResumeCondition::OperatorOnly => simple(&["__operator_only__"], "all"),
            ResumeCondition::TimeoutOnly => simple(&["__timeout_only__"], "all"),
            composite @ ResumeCondition::Composite(_) => json!({
                "v": 1,
                "composite": true,
                "timeout_behavior": behavior,
                "allow_operator_override": true,
                "condition_type": "composite",
                "required_signal_names": [],
                "signal_match_mode": "composite",
                "minimum_signal_count": 1,
                "tree": tree(composite, ""),
            }),
            _ => simple(&[], "any"),
        };
        document.to_string()
    }

    /// `tree_json` of a composite condition.
    pub fn tree_json(&self) -> String {
        tree(&self.condition, "").to_string()
    }

    /// `resume_policy_json`.
    pub fn policy_json(&self) -> String {
        let mut document = json!({
            "resume_target": "runnable",
            "close_waitpoint_on_resume": self.policy.close_waitpoint_on_resume,
            "consume_matched_signals": self.policy.consume_matched_signals,
            "retain_signal_buffer_until_closed": self.policy.retain_signal_buffer_until_closed,
        });
        if let Some(delay_ms) = self.policy.resume_delay_ms {
            document["resume_delay_ms"] = json!(delay_ms);
        }
        document.to_string()
    }
}

fn tree(node: &ResumeCondition, path: &str) -> Value {
    match node {
        ResumeCondition::Single { waitpoint_key, matcher } => {
            json!({ "kind": "Single", "path": path, "waitpoint_key": waitpoint_key, "matcher": matcher_value(matcher) })
        }
        ResumeCondition::Composite(CompositeBody::AllOf { members }) => {
            let child_path =
                |index| if path.is_empty() { format!("members[{index}]") } else { format!("{path}.members[{index}]") };
            let members: Vec<_> =
                members.iter().enumerate().map(|(index, member)| tree(member, &child_path(index))).collect();
            json!({ "kind": "AllOf", "path": path, "members": members })
        }
        ResumeCondition::Composite(CompositeBody::Count { n, count_kind, matcher, waitpoints }) => {
            let kind = match count_kind {
                CountKind::DistinctSignals => "DistinctSignals",
                CountKind::DistinctSources => "DistinctSources",
                _ => "DistinctWaitpoints",
            };
            json!({
                "kind": "Count",
                "path": path,
                "n": n,
                "count_kind": kind,
                "matcher": matcher.as_ref().map(matcher_value),
                "waitpoints": waitpoints,
            })
        }
        _ => json!({ "kind": "NeverBySignal", "path": path }),
    }
}

fn matcher_value(matcher: &SignalMatcher) -> Value {
    match matcher {
        SignalMatcher::ByName(name) => json!({ "kind": "ByName", "name": name }),
        _ => json!({ "kind": "Wildcard" }),
    }
}

impl Suspension {
    /// `buffered_signal_summary_json`, which nothing ever updates.
    pub const SIGNAL_SUMMARY_JSON: &'static str = r#"{"total_count":0,"matched_count":0,"signal_names":[]}"#;

    /// `additional_waitpoints_json`.
    pub fn additional_json(&self) -> String {
        let entries: Vec<_> = self
            .additional
            .iter()
            .map(|(id, key)| json!({ "waitpoint_id": id.to_string(), "waitpoint_key": key }))
            .collect();
        Value::Array(entries).to_string()
    }

    /// `all_satisfier_signals`, where the field exists.
    pub fn satisfiers_json(&self) -> Option<String> {
        let ids = self.satisfiers.as_ref()?.iter().map(|id| Value::String(id.to_string())).collect();
        Some(Value::Array(ids).to_string())
    }
}

impl SuspendDone {
    /// `outcome` of `ff:dedup:suspend:…`: tab separated.
    pub fn outcome(&self) -> String {
        let status = if self.already_satisfied { "ALREADY_SATISFIED" } else { "OK" };
        let Self { suspension, waitpoint, waitpoint_key, token, extras, .. } = self;
        let mut text = format!("{status}\t{suspension}\t{waitpoint}\t{waitpoint_key}\t{token}\t{}", extras.len());
        for (id, key, token) in extras {
            text.push_str(&format!("\t{id}\t{key}\t{token}"));
        }
        text
    }
}
