//! Filter rules: which generations a destination wants, by fields and operators of a closed set.
//!
//! Rules form groups, each joined by its own `and` or `or`; a generation goes where any group holds, and everywhere where there is
//! none. A rule on a field that is absent holds for `not_exists` and for negations only. Patterns are those of [`regex`](crate::regex),
//! bounded in steps; beyond them a rule does not hold.
//! Spec: OpenRouter's `ObservabilityFilterRulesConfig`; how groups are joined is ours, the reference does not say.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::trace::Record;
use crate::{
    credits::money::Nanos,
    error::{Error, Result},
    regex::{Budget, Regex},
};

/// The most groups, and the most rules of one.
const MAX: usize = 20;
/// The longest value of a rule.
const MAX_VALUE: usize = 1_000;
/// The most of a text that is searched, in bytes.
const MAX_SEARCHED: usize = 65_536;
/// The steps of one search: enough for any text of that length, unless the pattern is made to take long.
const MAX_STEPS: u64 = 1_000_000;

const FIELDS: [&str; 12] = [
    "model",
    "provider",
    "session_id",
    "user_id",
    "api_key_name",
    "finish_reason",
    "input",
    "output",
    "total_cost",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
];
const NUMBERS: [&str; 4] = [
    "total_cost",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
];
const OPERATORS: [&str; 13] = [
    "equals",
    "not_equals",
    "contains",
    "not_contains",
    "regex",
    "starts_with",
    "ends_with",
    "gt",
    "lt",
    "gte",
    "lte",
    "exists",
    "not_exists",
];

#[derive(Debug, Clone)]
enum Test {
    Exists(bool),
    Equals(String, bool),
    Contains(String, bool),
    Matches(Rc<Regex>),
    StartsWith(String),
    EndsWith(String),
    /// Against a number with nine decimals, as whole billionths.
    Compares(i64, fn(&i64, &i64) -> bool),
}

#[derive(Debug, Clone)]
struct Rule {
    field: &'static str,
    test: Test,
}

#[derive(Debug, Clone)]
struct Group {
    is_or: bool,
    rules: Vec<Rule>,
}

/// Checked rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    enabled: bool,
    groups: Vec<Group>,
}

impl Rules {
    /// Reads rules; what is returned beside them is how they are kept and shown.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn read(sent: &Value) -> Result<(Self, Value)> {
        let body = object(sent, "filter_rules", &["enabled", "groups"])?;
        let enabled = match body.get("enabled") {
            None => true,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => return Err(wrong("filter_rules.enabled", "enabled is true or false")),
        };
        let list = body.get("groups").and_then(Value::as_array);
        let list = list.ok_or_else(|| wrong("filter_rules.groups", "groups is a list"))?;
        if list.len() > MAX {
            return Err(wrong(
                "filter_rules.groups",
                &format!("At most {MAX} groups"),
            ));
        }
        let mut groups = Vec::new();
        let mut kept = Vec::new();
        for (at, sent) in list.iter().enumerate() {
            let (group, shown) = group(sent, &format!("filter_rules.groups[{at}]"))?;
            groups.push(group);
            kept.push(shown);
        }
        Ok((
            Self { enabled, groups },
            json!({"enabled": enabled, "groups": kept}),
        ))
    }

    /// Whether a rule looks at what was asked or answered.
    pub fn read_content(&self) -> bool {
        let mut rules = self.groups.iter().flat_map(|group| &group.rules);
        self.enabled && rules.any(|rule| matches!(rule.field, "input" | "output"))
    }

    /// Whether a generation goes there.
    pub fn admit(&self, record: &Record) -> bool {
        if !self.enabled || self.groups.is_empty() {
            return true;
        }
        self.groups.iter().any(|group| {
            let mut rules = group.rules.iter();
            if group.is_or {
                rules.any(|rule| rule.holds(record))
            } else {
                rules.all(|rule| rule.holds(record))
            }
        })
    }
}

impl Rule {
    fn holds(&self, record: &Record) -> bool {
        if let Test::Compares(bound, compare) = &self.test {
            return number(self.field, record).is_some_and(|value| compare(&value, bound));
        }
        let Some(text) = text(self.field, record) else {
            return matches!(
                self.test,
                Test::Exists(false) | Test::Equals(_, false) | Test::Contains(_, false)
            );
        };
        let text = text
            .get(..text.floor_char_boundary(MAX_SEARCHED))
            .unwrap_or_default();
        match &self.test {
            Test::Exists(wanted) => *wanted,
            Test::Equals(value, wanted) => (text == value) == *wanted,
            Test::Contains(value, wanted) => text.contains(value.as_str()) == *wanted,
            Test::Matches(pattern) => {
                pattern.is_match(text, &mut Budget::new(MAX_STEPS)) == Ok(true)
            }
            Test::StartsWith(value) => text.starts_with(value.as_str()),
            Test::EndsWith(value) => text.ends_with(value.as_str()),
            Test::Compares(..) => false,
        }
    }
}

/// A field's value as text; `None` where it is absent or empty.
fn text(field: &str, record: &Record) -> Option<String> {
    let row = &record.generation.row;
    let text = match field {
        "model" => row.model.clone(),
        "provider" => row.provider.clone()?,
        "session_id" => row.origin.session_id.clone()?,
        "user_id" => row.origin.external_user.clone()?,
        "api_key_name" => record.key_name.clone(),
        "finish_reason" => row.finish_reason.clone()?,
        "input" => plain(record.content.input.as_ref()?),
        "output" => plain(record.content.output.as_ref()?),
        "total_cost" => record.cost().to_string(),
        "total_tokens" => row.usage.total().to_string(),
        "prompt_tokens" => row.usage.prompt.to_string(),
        _ => row.usage.completion.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A number in billionths.
fn number(field: &str, record: &Record) -> Option<i64> {
    let usage = &record.generation.row.usage;
    let count = |count: u64| i64::try_from(count).ok()?.checked_mul(1_000_000_000);
    match field {
        "total_cost" => Some(record.cost().get()),
        "total_tokens" => count(usage.total()),
        "prompt_tokens" => count(usage.prompt),
        "completion_tokens" => count(usage.completion),
        _ => None,
    }
}

fn wrong(path: &str, message: &str) -> Error {
    Error::invalid(path, message)
}

fn object<'a>(value: &'a Value, path: &str, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let map = value
        .as_object()
        .ok_or_else(|| wrong(path, "expected an object"))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(wrong(
            &format!("{path}.{key}"),
            &format!("There is no field {key}"),
        )),
        None => Ok(map),
    }
}

fn group(sent: &Value, path: &str) -> Result<(Group, Value)> {
    let body = object(sent, path, &["logic", "rules"])?;
    let is_or = match body.get("logic").map(|logic| logic.as_str()) {
        None | Some(Some("and")) => false,
        Some(Some("or")) => true,
        Some(_) => return Err(wrong(&format!("{path}.logic"), "logic is and or or")),
    };
    let list = body.get("rules").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty() && list.len() <= MAX);
    let list = list.ok_or_else(|| {
        wrong(
            &format!("{path}.rules"),
            &format!("rules is a list of 1 to {MAX}"),
        )
    })?;
    let rules: Result<Vec<Rule>> = list
        .iter()
        .enumerate()
        .map(|(at, sent)| rule(sent, &format!("{path}.rules[{at}]")))
        .collect();
    let logic = if is_or { "or" } else { "and" };
    let shown = json!({"logic": logic, "rules": list});
    Ok((
        Group {
            is_or,
            rules: rules?,
        },
        shown,
    ))
}

fn rule(sent: &Value, path: &str) -> Result<Rule> {
    let body = object(sent, path, &["field", "operator", "value"])?;
    let one_of = |name: &str, words: &[&'static str]| {
        let word = body.get(name).and_then(Value::as_str);
        let found = words.iter().find(|known| Some(**known) == word);
        found.copied().ok_or_else(|| {
            let message = format!("{name} is one of {}", words.join(", "));
            wrong(&format!("{path}.{name}"), &message)
        })
    };
    let field = one_of("field", &FIELDS)?;
    let operator = one_of("operator", &OPERATORS)?;
    let at = format!("{path}.value");
    let value = match body.get("value") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => return Err(wrong(&at, "value is a text or a number")),
    };
    if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
        return Err(wrong(&at, "value is too long"));
    }
    let needed = || {
        value
            .clone()
            .ok_or_else(|| wrong(&at, &format!("{operator} needs a value")))
    };
    let is_number = NUMBERS.contains(&field);
    let billionths = || {
        let text = needed()?;
        Nanos::from_dollars(&text).map(Nanos::get).map_err(|_| {
            wrong(
                &at,
                "value is a number below nine million with at most nine decimals",
            )
        })
    };
    let compared = |compare: fn(&i64, &i64) -> bool| {
        if !is_number {
            let message = format!("{operator} is for {}", NUMBERS.join(", "));
            return Err(wrong(&format!("{path}.operator"), &message));
        }
        Ok(Test::Compares(billionths()?, compare))
    };
    let test = match operator {
        "exists" => Test::Exists(true),
        "not_exists" => Test::Exists(false),
        "gt" => compared(i64::gt)?,
        "lt" => compared(i64::lt)?,
        "gte" => compared(i64::ge)?,
        "lte" => compared(i64::le)?,
        "equals" if is_number => Test::Compares(billionths()?, i64::eq),
        "not_equals" if is_number => Test::Compares(billionths()?, i64::ne),
        "equals" => Test::Equals(needed()?, true),
        "not_equals" => Test::Equals(needed()?, false),
        "contains" => Test::Contains(needed()?, true),
        "not_contains" => Test::Contains(needed()?, false),
        "starts_with" => Test::StartsWith(needed()?),
        "ends_with" => Test::EndsWith(needed()?),
        _ => {
            let compiled = Regex::trusted(&needed()?);
            let compiled = compiled.map_err(|error| wrong(&at, &error.to_string()))?;
            Test::Matches(Rc::new(compiled))
        }
    };
    Ok(Rule { field, test })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
