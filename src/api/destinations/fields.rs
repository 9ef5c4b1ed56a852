//! The bodies that create and change a destination, read field by field: an error names the field.

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    observability::{
        kind::{KINDS, Kind},
        rules::Rules,
        sample,
    },
};

/// The most API keys of a filter.
const MAX_HASHES: usize = 100;
/// The most generations that one request names.
const MAX_GENERATIONS: usize = 1_000;
/// The lowest rate, in millionths: 0.0001.
const LEAST_RATE: i64 = 100;

/// What a body says. An absent field is `None`; a filter that is `null` is `Some(None)`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) config: Option<Map<String, Value>>,
    pub(super) enabled: Option<bool>,
    /// In millionths.
    pub(super) sampling_rate: Option<i64>,
    pub(super) privacy_mode: Option<bool>,
    pub(super) api_key_hashes: Option<Option<Vec<String>>>,
    pub(super) filter_rules: Option<Option<Value>>,
    pub(super) cost: Option<bool>,
    pub(super) cost_allocation: Option<bool>,
    pub(super) identity: Option<bool>,
    pub(super) request_context: Option<bool>,
}

/// The type and the rest of a body that creates.
///
/// # Errors
/// 400 with the field.
pub(super) fn read_new(mut body: Map<String, Value>) -> Result<(&'static Kind, Change)> {
    let kind = match body.remove("type") {
        Some(Value::String(name)) => Kind::of(&name).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            Error::invalid("type", format!("type is one of {}", names.join(", ")))
        })?,
        Some(_) => return Err(Error::invalid("type", "type is a string")),
        None => return Err(Error::invalid("type", "type is missing")),
    };
    let change = read_change(body)?;
    for (field, is_there) in [
        ("name", change.name.is_some()),
        ("config", change.config.is_some()),
    ] {
        if !is_there {
            return Err(Error::invalid(field, format!("{field} is missing")));
        }
    }
    Ok((kind, change))
}

/// A body that changes.
///
/// # Errors
/// 400 with the field.
pub(super) fn read_change(body: Map<String, Value>) -> Result<Change> {
    let mut change = Change::default();
    for (field, value) in body {
        let name = field.as_str();
        match name {
            "name" => {
                let text = value
                    .as_str()
                    .ok_or_else(|| Error::invalid(name, "name is a string"))?;
                change.name = Some(text.to_owned());
            }
            "config" => match value {
                Value::Object(config) => change.config = Some(config),
                _ => return Err(Error::invalid(name, "config is an object")),
            },
            "enabled" => change.enabled = Some(flag(name, &value)?),
            "privacy_mode" => change.privacy_mode = Some(flag(name, &value)?),
            "sampling_rate" => change.sampling_rate = Some(millionths(&value)?),
            "api_key_hashes" => change.api_key_hashes = Some(hashes(&value)?),
            "filter_rules" => {
                change.filter_rules = Some(match &value {
                    Value::Null => None,
                    rules => Some(Rules::read(rules)?.1),
                });
            }
            "broadcast_generation_cost" => change.cost = Some(flag(name, &value)?),
            "broadcast_generation_cost_allocation" => {
                change.cost_allocation = Some(flag(name, &value)?);
            }
            "broadcast_generation_identity" => change.identity = Some(flag(name, &value)?),
            "broadcast_generation_request_context" => {
                change.request_context = Some(flag(name, &value)?);
            }
            "workspace_id" | "regions" => {
                if !value.is_null() {
                    let message = format!("This gateway does not know {name} yet: send null");
                    return Err(Error::invalid(name, message));
                }
            }
            "type" => {
                let message = "The type of a destination cannot be changed: create another";
                return Err(Error::invalid(name, message));
            }
            _ => return Err(Error::invalid(name, format!("There is no field {name}"))),
        }
    }
    Ok(change)
}

/// The generations that a body names; `None` for all.
///
/// # Errors
/// 400 with the field.
pub(super) fn generations(body: &[u8]) -> Result<Option<Vec<String>>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let body: Map<String, Value> =
        crate::json::from_slice(body).map_err(|error| Error::invalid("body", error.to_string()))?;
    let mut named = None;
    for (field, value) in body {
        if field != "generation_ids" {
            return Err(Error::invalid(
                field.as_str(),
                format!("There is no field {field}"),
            ));
        }
        named = match &value {
            Value::Null => None,
            Value::Array(items) if !items.is_empty() && items.len() <= MAX_GENERATIONS => {
                let ids: Option<Vec<String>> = items
                    .iter()
                    .map(|id| id.as_str().map(str::to_owned))
                    .collect();
                Some(ids.ok_or_else(|| Error::invalid(field.as_str(), "Each entry is a string"))?)
            }
            _ => {
                let message = format!("generation_ids is a list of 1 to {MAX_GENERATIONS} strings");
                return Err(Error::invalid(field.as_str(), message));
            }
        };
    }
    Ok(named)
}

/// A rate as a JSON number.
pub(super) fn rate(millionths: i64) -> Value {
    let text = format!(
        "{}.{:06}",
        millionths / sample::ALL,
        millionths % sample::ALL
    );
    text.parse::<f64>().unwrap_or(1.0).into()
}

fn millionths(value: &Value) -> Result<i64> {
    let wrong = || {
        Error::invalid(
            "sampling_rate",
            "sampling_rate is a number from 0.0001 to 1",
        )
    };
    let rate = value.as_f64().ok_or_else(wrong)?;
    if !(0.0001..=1.0).contains(&rate) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number from 100 to a million"
    )]
    let millionths = (rate * 1e6).round() as i64;
    Ok(millionths.clamp(LEAST_RATE, sample::ALL))
}

fn flag(field: &str, value: &Value) -> Result<bool> {
    value
        .as_bool()
        .ok_or_else(|| Error::invalid(field, format!("{field} is true or false")))
}

/// `null` for all keys, else 1 to 100 hashes, each once.
fn hashes(value: &Value) -> Result<Option<Vec<String>>> {
    let field = "api_key_hashes";
    let items = match value {
        Value::Null => return Ok(None),
        Value::Array(items) if !items.is_empty() && items.len() <= MAX_HASHES => items,
        _ => {
            let message = format!("{field} has 1 to {MAX_HASHES} hashes; null lifts the filter");
            return Err(Error::invalid(field, message));
        }
    };
    let mut hashes: Vec<String> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let is_hash = |text: &&str| {
            text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let hash = item.as_str().filter(is_hash).ok_or_else(|| {
            Error::invalid(
                format!("{field}[{at}]"),
                "The hash of an API key is 64 hex digits in lower case",
            )
        })?;
        if !hashes.iter().any(|known| known == hash) {
            hashes.push(hash.to_owned());
        }
    }
    Ok(Some(hashes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let with = |field: &str, value: Value| {
            let mut body = body(json!({"type": "webhook", "name": "n", "config": {}}));
            body.insert(field.to_owned(), value);
            body
        };
        for (sent, param) in [
            (body(json!({})), "type"),
            (body(json!({"type": "webhook", "config": {}})), "name"),
            (body(json!({"type": "webhook", "name": "n"})), "config"),
            (with("type", json!("smoke-signals")), "type"),
            (with("type", json!(5)), "type"),
            (with("config", json!([])), "config"),
            (with("enabled", json!("yes")), "enabled"),
            (with("enabled", json!(null)), "enabled"),
            (with("sampling_rate", json!(0)), "sampling_rate"),
            (with("sampling_rate", json!(1.1)), "sampling_rate"),
            (with("sampling_rate", json!("1")), "sampling_rate"),
            (with("api_key_hashes", json!([])), "api_key_hashes"),
            (with("api_key_hashes", json!(["x"])), "api_key_hashes[0]"),
            (with("workspace_id", json!("w")), "workspace_id"),
            (
                with("filter_rules", json!({"groups": 1})),
                "filter_rules.groups",
            ),
            (with("colour", json!("red")), "colour"),
        ] {
            let error = read_new(sent.clone()).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(param)),
                "{sent:?}"
            );
        }
        let error = read_change(body(json!({"type": "s3"}))).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("type"));
    }

    #[test]
    fn rates_are_kept_to_the_millionth() {
        for (sent, kept) in [
            (json!(1), 1_000_000),
            (json!(0.0001), 100),
            (json!(0.25), 250_000),
            (json!(0.333_333_3), 333_333),
        ] {
            assert_eq!(millionths(&sent).unwrap(), kept);
        }
        assert_eq!(rate(1_000_000), json!(1.0));
        assert_eq!(rate(100), json!(0.0001));
    }

    #[test]
    fn which_generations_are_meant() {
        assert_eq!(generations(b" \n").unwrap(), None);
        assert_eq!(generations(b"{}").unwrap(), None);
        assert_eq!(
            generations(br#"{"generation_ids":["a"]}"#).unwrap(),
            Some(vec!["a".to_owned()])
        );
        for (sent, param) in [
            (r#"{"generation_ids":[]}"#, "generation_ids"),
            (r#"{"generation_ids":[1]}"#, "generation_ids"),
            (r#"{"ids":[]}"#, "ids"),
            ("[]", "body"),
        ] {
            assert_eq!(
                generations(sent.as_bytes()).unwrap_err().param.as_deref(),
                Some(param)
            );
        }
    }
}
