//! The real server's keys, read back in one pipeline, and how they differ from the model's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use claimlab_model::number::Score;
use claimlab_model::projection::{Key, Keys, Place, Type, Value};
use claimlab_model::time::ServerTime;
use redis::{Pipeline, RedisResult, cmd};

use super::exclusion;

/// One disagreement about the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Its field or member, or what of it differs.
    pub field: String,
    /// What the model holds; none is absent.
    pub model: Option<String>,
    /// What the server holds; none is absent.
    pub server: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side =
            |value: &Option<String>| value.as_ref().map_or_else(|| "absent".to_owned(), |text| format!("{text:?}"));
        write!(f, "{} {}: model {}, server {}", self.key, self.field, side(&self.model), side(&self.server))
    }
}

/// One execution as the model expects it, and what to read for the comparison.
pub struct Expectation {
    /// Keys that could exist.
    pub possible: Vec<(String, Type)>,
    /// Keys that do exist in the model.
    pub keys: Keys,
    /// The execution's id, as a member of indexes.
    pub member: String,
    /// Its places in the model.
    pub places: BTreeMap<String, Place>,
}

/// Reads everything that the expectations name and lists what differs.
///
/// # Errors
/// When the server cannot be read.
pub fn compare(connection: &mut redis::Connection, expected: &[Expectation]) -> RedisResult<Vec<Difference>> {
    let mut pipeline = Pipeline::new();
    for one in expected {
        for (name, kind) in &one.possible {
            match kind {
                Type::Text => pipeline.cmd("GET").arg(name),
                Type::Hash => pipeline.cmd("HGETALL").arg(name),
                Type::ExpiringHash => pipeline.cmd("HGETALL").arg(name).cmd("PEXPIRETIME").arg(name),
                Type::Set => pipeline.cmd("SMEMBERS").arg(name),
                Type::Sorted => pipeline.cmd("ZRANGE").arg(name).arg(0).arg(-1).arg("WITHSCORES"),
            };
        }
        for (name, place) in &one.places {
            match place {
                Place::Sorted(_) => pipeline.cmd("ZSCORE").arg(name).arg(&one.member),
                Place::Set(_) => pipeline.cmd("SISMEMBER").arg(name).arg(&one.member),
            };
        }
    }
    let mut replies = pipeline.query::<Vec<redis::Value>>(connection)?.into_iter();
    let mut next = || replies.next().unwrap_or(redis::Value::Nil);
    let mut differences = Vec::new();
    for one in expected {
        for (name, kind) in &one.possible {
            let value = match kind {
                Type::Text => redis::from_redis_value::<Option<Vec<u8>>>(next())?.map(Value::Text),
                Type::Hash | Type::ExpiringHash => {
                    let fields: BTreeMap<String, String> = redis::from_redis_value(next())?;
                    (!fields.is_empty()).then_some(Value::Hash(fields))
                }
                Type::Set => {
                    let members: BTreeSet<String> = redis::from_redis_value(next())?;
                    (!members.is_empty()).then_some(Value::Set(members))
                }
                Type::Sorted => {
                    let members: Vec<(String, f64)> = redis::from_redis_value(next())?;
                    (!members.is_empty()).then(|| Value::Sorted(sorted(&members)))
                }
            };
            let expires_at = match kind {
                Type::ExpiringHash => expiry(redis::from_redis_value(next())?),
                _ => None,
            };
            let found = value.map(|value| Key { value, expires_at });
            differ(name, one.keys.get(name), found.as_ref(), &mut differences);
        }
        for (name, place) in &one.places {
            let found = match place {
                Place::Sorted(_) => {
                    let score: Option<String> = redis::from_redis_value(next())?;
                    Place::Sorted(score.and_then(|score| Score::from_text(&score)))
                }
                Place::Set(_) => Place::Set(redis::from_redis_value::<i64>(next())? == 1),
            };
            if found != *place && exclusion::excluded(name, "*").is_none() {
                differences.push(Difference {
                    key: name.clone(),
                    field: one.member.clone(),
                    model: place_text(place),
                    server: place_text(&found),
                });
            }
        }
    }
    Ok(differences)
}

/// Reads every key of the server and lists what differs from all of the model's; a key past its expiry
/// is looked at too, which drops it.
///
/// # Errors
/// When the server cannot be read.
pub fn compare_all(
    connection: &mut redis::Connection,
    now: ServerTime,
    mut expected: Keys,
) -> RedisResult<Vec<Difference>> {
    let mut names: BTreeSet<String> = cmd("KEYS").arg("*").query(connection)?;
    names.extend(expected.keys().cloned());
    expected.retain(|_, key| key.expires_at.is_none_or(|expires| expires >= now));
    let mut differences = Vec::new();
    let names: Vec<String> = names.into_iter().filter(|name| exclusion::excluded(name, "*").is_none()).collect();
    for chunk in names.chunks(512) {
        let mut types = Pipeline::new();
        for name in chunk {
            types.cmd("TYPE").arg(name).cmd("PEXPIRETIME").arg(name);
        }
        let kinds: Vec<(String, i64)> = types.query(connection)?;
        let mut values = Pipeline::new();
        for (name, (kind, _)) in chunk.iter().zip(&kinds) {
            match kind.as_str() {
                "hash" => values.cmd("HGETALL").arg(name),
                "set" => values.cmd("SMEMBERS").arg(name),
                "zset" => values.cmd("ZRANGE").arg(name).arg(0).arg(-1).arg("WITHSCORES"),
                "string" => values.cmd("GET").arg(name),
                _ => values.cmd("ECHO").arg(kind),
            };
        }
        let found: Vec<redis::Value> = values.query(connection)?;
        for ((name, (kind, expires)), value) in chunk.iter().zip(kinds).zip(found) {
            let value = match kind.as_str() {
                "hash" => Some(Value::Hash(redis::from_redis_value(value)?)),
                "set" => Some(Value::Set(redis::from_redis_value(value)?)),
                "zset" => Some(Value::Sorted(sorted(&redis::from_redis_value::<Vec<(String, f64)>>(value)?))),
                "none" => None,
                _ => Some(Value::Text(redis::from_redis_value(value)?)),
            };
            let found = value.map(|value| Key { value, expires_at: expiry(expires) });
            differ(name, expected.get(name), found.as_ref(), &mut differences);
        }
    }
    Ok(differences)
}

fn sorted(members: &[(String, f64)]) -> BTreeMap<String, Score> {
    let score = |score: &f64| Score::from_text(&score.to_string()).unwrap_or_default();
    members.iter().map(|(member, of)| (member.clone(), score(of))).collect()
}

/// `PEXPIRETIME` answers a negative number for a key without expiry or no key.
fn expiry(ms: i64) -> Option<ServerTime> {
    (ms >= 0).then(|| ServerTime::from_ms(ms))
}

fn place_text(place: &Place) -> Option<String> {
    match place {
        Place::Sorted(score) => score.map(|score| score.to_lua_string()),
        Place::Set(member) => member.then(|| "member".to_owned()),
    }
}

/// Lists the differences of one key, field by field, but for what is excluded.
fn differ(name: &str, model: Option<&Key>, server: Option<&Key>, into: &mut Vec<Difference>) {
    if model == server || exclusion::excluded(name, "*").is_some() {
        return;
    }
    let mut note = |field: &str, model: Option<String>, server: Option<String>| {
        if model != server && exclusion::excluded(name, field).is_none() {
            into.push(Difference { key: name.to_owned(), field: field.to_owned(), model, server });
        }
    };
    let expires = |key: Option<&Key>| key.and_then(|key| key.expires_at).map(|at| at.to_string());
    note("(expiry)", expires(model), expires(server));
    let (model, server) = (model.map(|key| &key.value), server.map(|key| &key.value));
    if model.is_none() || server.is_none() {
        note("(key)", model.map(|value| format!("{value:?}")), server.map(|value| format!("{value:?}")));
        return;
    }
    let (of_model, of_server) = (entries(model), entries(server));
    let fields: BTreeSet<&String> = of_model.keys().chain(of_server.keys()).collect();
    for field in fields {
        let (model, server) = (of_model.get(field), of_server.get(field));
        // The scripts encode documents with their members in any order.
        let same_document = is_document(field) && document(model).is_some() && document(model) == document(server);
        if !same_document {
            note(field, model.cloned(), server.cloned());
        }
    }
}

fn is_document(field: &str) -> bool {
    field.ends_with("_json") || field == "all_satisfier_signals"
}

fn document(text: Option<&String>) -> Option<serde_json::Value> {
    serde_json::from_str(text?).ok()
}

fn entries(value: Option<&Value>) -> BTreeMap<String, String> {
    match value {
        None => BTreeMap::new(),
        Some(Value::Text(text)) => [("(value)".to_owned(), String::from_utf8_lossy(text).into_owned())].into(),
        Some(Value::Hash(fields)) => fields.clone(),
        Some(Value::Set(members)) => members.iter().map(|member| (member.clone(), "member".into())).collect(),
        Some(Value::Sorted(members)) => {
            members.iter().map(|(member, score)| (member.clone(), score.to_lua_string())).collect()
        }
    }
}
