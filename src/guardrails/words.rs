//! Settings in the words of the wire: bodies that create and change, read field by field so that an error names the field, and the
//! object that is told.

use serde_json::{Map, Value, json};

use super::{
    detect::Builtin,
    settings::{Action, BuiltinFilter, ContentFilter, DataRegion, ScanScope, Settings},
};
use crate::{
    credits::{money::Nanos, periods::Reset},
    error::{Error, Result},
    regex::{PatternError, Regex},
};

/// The most entries of a list.
const MAX_ENTRIES: usize = 1_000;
/// The longest entry of a list, in bytes.
const MAX_ENTRY: usize = 256;
/// The most filters of an account's own in one guardrail.
const MAX_FILTERS: usize = 100;
/// The most states of all its patterns together.
const MAX_STATES: usize = 2 * crate::regex::MAX_STATES;
/// The longest mark, in bytes.
const MAX_LABEL: usize = 64;

/// Fields of settings that an account's privacy knows.
const OF_PRIVACY: [&str; 18] = [
    "allowed_models",
    "ignored_models",
    "allowed_providers",
    "ignored_providers",
    "allowed_tools",
    "ignored_tools",
    "allowed_data_regions",
    "enforce_zdr",
    "enforce_zdr_anthropic",
    "enforce_zdr_openai",
    "enforce_zdr_google",
    "enforce_zdr_xai",
    "enforce_zdr_other",
    "enable_free_model_training",
    "enable_paid_model_training",
    "enable_free_model_publication",
    "allow_safety_retention_google",
    "allow_safety_retention_other",
];

/// Which fields a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Those of a guardrail.
    Guardrail,
    /// Those of an account's privacy.
    Privacy,
}

/// Puts what a body says into settings: what is absent stays, `null` clears.
///
/// # Errors
/// 400 with the path of the field.
pub fn read(settings: &mut Settings, body: &Map<String, Value>, of: Fields) -> Result<()> {
    for (field, value) in body {
        if of == Fields::Privacy && !OF_PRIVACY.contains(&field.as_str()) {
            return Err(unknown(field));
        }
        set(settings, field, value)?;
    }
    if let Some(all) = body.get("enforce_zdr") {
        let all = flag("enforce_zdr", all)?;
        for (field, place) in groups(settings) {
            if !body.contains_key(field) {
                *place = all;
            }
        }
    }
    if settings.limit.is_some() != settings.reset_interval.is_some() {
        let field = if settings.limit.is_some() {
            "reset_interval"
        } else {
            "limit_usd"
        };
        let message = "limit_usd and reset_interval belong together: send both, or null for both";
        return Err(Error::invalid(field, message));
    }
    Ok(())
}

fn groups(settings: &mut Settings) -> [(&'static str, &mut Option<bool>); 5] {
    [
        ("enforce_zdr_anthropic", &mut settings.enforce_zdr_anthropic),
        ("enforce_zdr_openai", &mut settings.enforce_zdr_openai),
        ("enforce_zdr_google", &mut settings.enforce_zdr_google),
        ("enforce_zdr_xai", &mut settings.enforce_zdr_xai),
        ("enforce_zdr_other", &mut settings.enforce_zdr_other),
    ]
}

fn set(settings: &mut Settings, field: &str, value: &Value) -> Result<()> {
    match field {
        "limit_usd" => settings.limit = limit(value)?,
        "reset_interval" => settings.reset_interval = interval(value)?,
        "include_byok_in_budgets" => {
            settings.include_byok_in_budgets = flag(field, value)?.unwrap_or(false);
        }
        "allowed_models" => settings.allowed_models = words(field, value)?,
        "ignored_models" => settings.ignored_models = words(field, value)?,
        "allowed_providers" => settings.allowed_providers = words(field, value)?,
        "ignored_providers" => settings.ignored_providers = words(field, value)?,
        "allowed_tools" => settings.allowed_tools = words(field, value)?,
        "ignored_tools" => settings.ignored_tools = words(field, value)?,
        "allowed_data_regions" => settings.allowed_data_regions = regions(value)?,
        "enforce_zdr" => {}
        "enable_free_model_training" => settings.enable_free_model_training = flag(field, value)?,
        "enable_paid_model_training" => settings.enable_paid_model_training = flag(field, value)?,
        "enable_free_model_publication" => {
            settings.enable_free_model_publication = flag(field, value)?;
        }
        "allow_safety_retention_google" => {
            settings.allow_safety_retention_google = flag(field, value)?;
        }
        "allow_safety_retention_other" => {
            settings.allow_safety_retention_other = flag(field, value)?;
        }
        "content_filters" => settings.content_filters = filters(value)?,
        "content_filter_builtins" => settings.content_filter_builtins = builtins(value)?,
        _ => match groups(settings)
            .into_iter()
            .find(|(name, _)| *name == field)
        {
            Some((_, place)) => *place = flag(field, value)?,
            None => return Err(unknown(field)),
        },
    }
    Ok(())
}

fn unknown(field: &str) -> Error {
    Error::invalid(field, format!("There is no field {field}"))
}

fn limit(value: &Value) -> Result<Option<Nanos>> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => {
            return Err(Error::invalid(
                "limit_usd",
                "limit_usd is an amount of dollars or null",
            ));
        }
    };
    let amount = Nanos::from_dollars(&text);
    let amount = amount.map_err(|error| Error::invalid("limit_usd", error.to_string()))?;
    if amount <= Nanos::ZERO {
        return Err(Error::invalid("limit_usd", "limit_usd is more than 0"));
    }
    Ok(Some(amount))
}

fn interval(value: &Value) -> Result<Option<Reset>> {
    if value.is_null() {
        return Ok(None);
    }
    let known = value.as_str().and_then(Reset::parse);
    let wrong = "reset_interval is daily, weekly, monthly or null";
    known
        .map(Some)
        .ok_or_else(|| Error::invalid("reset_interval", wrong))
}

fn flag(field: &str, value: &Value) -> Result<Option<bool>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        _ => Err(Error::invalid(
            field,
            format!("{field} is true, false or null"),
        )),
    }
}

fn list<'a>(field: &str, value: &'a Value, most: usize) -> Result<&'a [Value]> {
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) if items.len() <= most => Ok(items),
        Value::Array(_) => {
            let message = format!("{field} has at most {most} entries");
            Err(Error::invalid(field, message))
        }
        _ => Err(Error::invalid(field, format!("{field} is a list or null"))),
    }
}

/// A list of names, each once; nothing where it is empty.
fn words(field: &str, value: &Value) -> Result<Option<Vec<String>>> {
    let mut words: Vec<String> = Vec::new();
    for (at, item) in list(field, value, MAX_ENTRIES)?.iter().enumerate() {
        let word = item.as_str().map(str::trim);
        let word = word.filter(|word| !word.is_empty() && word.len() <= MAX_ENTRY);
        let wrong = || {
            let message = format!("Each entry is a name of at most {MAX_ENTRY} bytes");
            Error::invalid(format!("{field}[{at}]"), message)
        };
        let word = word.ok_or_else(wrong)?;
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok((!words.is_empty()).then_some(words))
}

fn regions(value: &Value) -> Result<Option<Vec<DataRegion>>> {
    let field = "allowed_data_regions";
    if value.is_null() {
        return Ok(None);
    }
    let mut regions = Vec::new();
    for (at, item) in list(field, value, DataRegion::ALL.len())?
        .iter()
        .enumerate()
    {
        let word = item.as_str().unwrap_or_default();
        let region = DataRegion::ALL.into_iter().find(|one| one.as_str() == word);
        let wrong = "A region is europe, us or global";
        regions.push(region.ok_or_else(|| Error::invalid(format!("{field}[{at}]"), wrong))?);
    }
    if regions.is_empty() {
        let message = "allowed_data_regions names a region at least; null allows all";
        return Err(Error::invalid(field, message));
    }
    Ok(Some(regions))
}

/// A field of an entry, with its path.
fn entry<'a>(item: &'a Value, path: &str, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let wrong = || Error::invalid(path, "Each entry is an object");
    let object = item.as_object().ok_or_else(wrong)?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let message = format!("There is no field {key}. Known: {}", known.join(", "));
            Err(Error::invalid(format!("{path}.{key}"), message))
        }
        None => Ok(object),
    }
}

fn action(object: &Map<String, Value>, path: &str) -> Result<Action> {
    let word = object.get("action").and_then(Value::as_str);
    word.and_then(Action::parse).ok_or_else(|| {
        let message = "action is redact, block or flag";
        Error::invalid(format!("{path}.action"), message)
    })
}

fn filters(value: &Value) -> Result<Vec<ContentFilter>> {
    let field = "content_filters";
    let mut filters: Vec<ContentFilter> = Vec::new();
    let mut states = 0;
    for (at, item) in list(field, value, MAX_FILTERS)?.iter().enumerate() {
        let path = format!("{field}[{at}]");
        let object = entry(item, &path, &["pattern", "action", "label"])?;
        let pattern = object.get("pattern").and_then(Value::as_str);
        let pattern = pattern.filter(|pattern| !pattern.is_empty());
        let place = format!("{path}.pattern");
        let wrong = || Error::invalid(place.clone(), "pattern is a regular expression");
        let pattern = pattern.ok_or_else(wrong)?;
        let refused = |error: PatternError| invalid_pattern(&place, &error);
        states += Regex::new(pattern).map_err(refused)?.states();
        if states > MAX_STATES {
            return Err(refused(PatternError::TooLarge));
        }
        filters.push(ContentFilter {
            pattern: pattern.to_owned(),
            action: action(object, &path)?,
            label: label(object.get("label"), &path)?,
        });
    }
    Ok(filters)
}

fn invalid_pattern(path: &str, error: &PatternError) -> Error {
    let mut refused = Error::invalid(path, error.to_string());
    refused.provider_code = None;
    refused.with("code", "invalid_regex_pattern")
}

fn label(value: Option<&Value>, path: &str) -> Result<Option<String>> {
    let path = format!("{path}.label");
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(Error::invalid(path, "label is a string or null")),
    };
    if text.is_empty() || text.len() > MAX_LABEL || text.chars().any(char::is_control) {
        let message = format!("A label has 1 to {MAX_LABEL} bytes");
        return Err(Error::invalid(path, message));
    }
    Ok(Some(text.to_owned()))
}

fn builtins(value: &Value) -> Result<Vec<BuiltinFilter>> {
    let field = "content_filter_builtins";
    let mut filters: Vec<BuiltinFilter> = Vec::new();
    for (at, item) in list(field, value, MAX_FILTERS)?.iter().enumerate() {
        let path = format!("{field}[{at}]");
        // The label is told, and comes back from clients that send what they read.
        let object = entry(item, &path, &["slug", "action", "scan_scope", "label"])?;
        let word = object
            .get("slug")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let slug = Builtin::parse(word).ok_or_else(|| {
            let message = match word {
                "person-name" | "address" => format!(
                    "{word} takes a model that recognises names, which this gateway does not have: use content_filters for those you know"
                ),
                _ => format!("slug is one of {}", Builtin::ALL.map(Builtin::as_str).join(", ")),
            };
            Error::invalid(format!("{path}.slug"), message)
        })?;
        let scan_scope = match object.get("scan_scope") {
            None | Some(Value::Null) => ScanScope::default(),
            Some(word) => word.as_str().and_then(ScanScope::parse).ok_or_else(|| {
                let message = "scan_scope is user_only or all_messages";
                Error::invalid(format!("{path}.scan_scope"), message)
            })?,
        };
        if filters.iter().any(|known| known.slug == slug) {
            let message = format!("{word} is named twice");
            return Err(Error::invalid(format!("{path}.slug"), message));
        }
        filters.push(BuiltinFilter {
            slug,
            action: action(object, &path)?,
            scan_scope,
        });
    }
    Ok(filters)
}

/// The settings as they are told.
pub fn told(settings: &Settings, of: Fields) -> Map<String, Value> {
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| {
        if of == Fields::Guardrail || OF_PRIVACY.contains(&name) {
            told.insert(name.to_owned(), value);
        }
    };
    let limit = settings.limit.map(Nanos::to_json_number);
    let limit = limit.and_then(|number| crate::json::from_str(number.get()).ok());
    put("limit_usd", limit.unwrap_or_default());
    let interval = settings.reset_interval.map(Reset::as_str);
    put("reset_interval", interval.into());
    put(
        "include_byok_in_budgets",
        settings.include_byok_in_budgets.into(),
    );
    put("allowed_models", json!(settings.allowed_models));
    put("ignored_models", json!(settings.ignored_models));
    put("allowed_providers", json!(settings.allowed_providers));
    put("ignored_providers", json!(settings.ignored_providers));
    put("allowed_tools", json!(settings.allowed_tools));
    put("ignored_tools", json!(settings.ignored_tools));
    put("allowed_data_regions", json!(settings.allowed_data_regions));
    let groups = groups(&mut settings.clone()).map(|(name, on)| (name, *on));
    let all = groups.iter().all(|(_, on)| *on == Some(true));
    put("enforce_zdr", all.into());
    for (name, on) in groups {
        put(name, on.into());
    }
    for (name, on) in [
        (
            "enable_free_model_training",
            settings.enable_free_model_training,
        ),
        (
            "enable_paid_model_training",
            settings.enable_paid_model_training,
        ),
        (
            "enable_free_model_publication",
            settings.enable_free_model_publication,
        ),
        (
            "allow_safety_retention_google",
            settings.allow_safety_retention_google,
        ),
        (
            "allow_safety_retention_other",
            settings.allow_safety_retention_other,
        ),
    ] {
        put(name, on.into());
    }
    let own = settings.content_filters.iter();
    let own = own.map(|filter| json!({"pattern": filter.pattern, "action": filter.action, "label": filter.mark()}));
    put("content_filters", own.collect());
    let builtins = settings.content_filter_builtins.iter();
    let builtins = builtins.map(|filter| {
        json!({
            "slug": filter.slug.as_str(),
            "action": filter.action,
            "scan_scope": filter.scan_scope,
            "label": filter.slug.mark(),
        })
    });
    put("content_filter_builtins", builtins.collect());
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: Value) -> Result<Settings> {
        let mut settings = Settings::default();
        read(&mut settings, body.as_object().unwrap(), Fields::Guardrail)?;
        Ok(settings)
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let long = "a".repeat(crate::regex::MAX_PATTERN + 1);
        for (body, path) in [
            (json!({"limit": 5}), "limit"),
            (
                json!({"limit_usd": -1, "reset_interval": "daily"}),
                "limit_usd",
            ),
            (
                json!({"limit_usd": 0, "reset_interval": "daily"}),
                "limit_usd",
            ),
            (
                json!({"limit_usd": "1e400", "reset_interval": "daily"}),
                "limit_usd",
            ),
            (
                json!({"limit_usd": 0.0000000001, "reset_interval": "daily"}),
                "limit_usd",
            ),
            (json!({"limit_usd": true}), "limit_usd"),
            (json!({"limit_usd": 5}), "reset_interval"),
            (json!({"reset_interval": "daily"}), "limit_usd"),
            (
                json!({"limit_usd": 5, "reset_interval": "hourly"}),
                "reset_interval",
            ),
            (json!({"allowed_models": "openai/gpt"}), "allowed_models"),
            (json!({"allowed_models": ["a", 1]}), "allowed_models[1]"),
            (json!({"ignored_providers": [""]}), "ignored_providers[0]"),
            (json!({"allowed_data_regions": []}), "allowed_data_regions"),
            (
                json!({"allowed_data_regions": ["mars"]}),
                "allowed_data_regions[0]",
            ),
            (json!({"enforce_zdr_xai": 1}), "enforce_zdr_xai"),
            (json!({"enforce_zdr": "yes"}), "enforce_zdr"),
            (json!({"enforce_zdr_meta": true}), "enforce_zdr_meta"),
            (json!({"content_filters": [1]}), "content_filters[0]"),
            (
                json!({"content_filters": [{"action": "block"}]}),
                "content_filters[0].pattern",
            ),
            (
                json!({"content_filters": [{"pattern": "a"}]}),
                "content_filters[0].action",
            ),
            (
                json!({"content_filters": [{"pattern": "a", "action": "deny"}]}),
                "content_filters[0].action",
            ),
            (
                json!({"content_filters": [{"pattern": "a", "action": "flag", "scope": 1}]}),
                "content_filters[0].scope",
            ),
            (
                json!({"content_filters": [{"pattern": "a", "action": "flag", "label": ""}]}),
                "content_filters[0].label",
            ),
            (
                json!({"content_filters": [{"pattern": "(a+)+", "action": "flag"}]}),
                "content_filters[0].pattern",
            ),
            (
                json!({"content_filters": [{"pattern": "a", "action": "flag"}, {"pattern": long, "action": "flag"}]}),
                "content_filters[1].pattern",
            ),
            (
                json!({"content_filter_builtins": [{"slug": "person-name", "action": "block"}]}),
                "content_filter_builtins[0].slug",
            ),
            (
                json!({"content_filter_builtins": [{"slug": "iban", "action": "block"}]}),
                "content_filter_builtins[0].slug",
            ),
            (
                json!({"content_filter_builtins": [{"slug": "email", "action": "block", "scan_scope": "system"}]}),
                "content_filter_builtins[0].scan_scope",
            ),
            (
                json!({"content_filter_builtins": [{"slug": "email", "action": "flag"}, {"slug": "email", "action": "block"}]}),
                "content_filter_builtins[1].slug",
            ),
        ] {
            let error = parse(body.clone()).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(path)),
                "{body}"
            );
        }
        let error = parse(json!({"content_filters": [{"pattern": "(?=a)", "action": "flag"}]}));
        assert_eq!(error.unwrap_err().metadata["code"], "invalid_regex_pattern");
    }

    #[test]
    fn patterns_of_a_guardrail_are_bounded_together() {
        let one = json!({"pattern": "(?:a{1000}){60}", "action": "flag"});
        let filters = |count: usize| parse(json!({"content_filters": vec![one.clone(); count]}));
        assert!(filters(4).is_ok());
        let error = filters(5).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("content_filters[4].pattern"));
    }

    #[test]
    fn the_old_switch_means_every_group_that_the_body_does_not_name() {
        let settings = parse(json!({"enforce_zdr": true, "enforce_zdr_google": false})).unwrap();
        assert_eq!(settings.enforce_zdr_anthropic, Some(true));
        assert_eq!(settings.enforce_zdr_google, Some(false));
        assert_eq!(settings.enforce_zdr_other, Some(true));
    }

    #[test]
    fn what_is_told_can_be_sent_again() {
        let body = json!({
            "limit_usd": 12.5, "reset_interval": "weekly", "include_byok_in_budgets": true,
            "allowed_models": ["openai/*", "openai/*"], "allowed_data_regions": ["europe"],
            "enforce_zdr_openai": true, "enable_paid_model_training": false,
            "content_filters": [{"pattern": r"\bACME-\d+\b", "action": "redact"}],
            "content_filter_builtins": [{"slug": "email", "action": "block", "scan_scope": "user_only"}],
        });
        let settings = parse(body).unwrap();
        assert_eq!(settings.allowed_models.as_deref().map(<[_]>::len), Some(1));
        let mut told = told(&settings, Fields::Guardrail);
        assert_eq!(told["content_filters"][0]["label"], "[REDACTED]");
        assert_eq!(told["content_filter_builtins"][0]["label"], "[EMAIL]");
        told.remove("enforce_zdr");
        let mut again = parse(Value::Object(told)).unwrap();
        again.content_filters[0].label = None;
        assert_eq!(again, settings);
        let mut cleared = settings;
        let clear = json!({"limit_usd": null, "reset_interval": null, "allowed_models": [], "content_filters": null});
        read(&mut cleared, clear.as_object().unwrap(), Fields::Guardrail).unwrap();
        assert_eq!((cleared.limit, cleared.allowed_models), (None, None));
        assert!(cleared.content_filters.is_empty());
    }

    #[test]
    fn privacy_knows_neither_budgets_nor_filters() {
        for field in ["limit_usd", "content_filters", "name"] {
            let body = json!({ field: null });
            let mut settings = Settings::default();
            let error = read(&mut settings, body.as_object().unwrap(), Fields::Privacy);
            assert_eq!(error.unwrap_err().param.as_deref(), Some(field));
        }
    }
}
