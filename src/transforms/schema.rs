//! Checks a value against a JSON Schema: what language models are asked for, bounded in depth and work.
//!
//! Draft 2020-12 without remote references, `unevaluated…`, dynamic references and formats; of the older drafts `definitions`, a
//! list under `items` with `additionalItems`, and OpenAPI's `nullable`. What cannot be decided (an unknown reference, a pattern
//! beyond [`regex`](crate::regex), work beyond the bound) is taken as valid: a check must not refuse what it does not understand.
//! Spec: <https://json-schema.org/draft/2020-12>.

use std::{collections::HashMap, rc::Rc};

use serde_json::{Map, Number, Value};

use crate::regex::{Budget, Regex};

/// The most steps of one check.
const MAX_STEPS: u32 = 200_000;
/// The most steps that all searches of one check take.
const MAX_SEARCHED: u64 = 1_000_000;
/// The most characters of a pattern, and states that it compiles to: a schema may have many.
const MAX_PATTERN: usize = 2_000;
const MAX_STATES: usize = 20_000;
/// The deepest nesting of schemas and values together.
const MAX_DEPTH: u32 = 96;

/// Where a value is not what its schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer into the value; empty for the value itself.
    pub path: String,
    /// Why.
    pub message: String,
}

/// The first violation in a value, if there is one.
pub fn check(schema: &Value, value: &Value) -> Option<Violation> {
    let mut checker = Checker {
        root: schema,
        steps: 0,
        depth: 0,
        path: Vec::new(),
        patterns: HashMap::new(),
        searches: Budget::new(MAX_SEARCHED),
    };
    checker.schema(schema, value).err()
}

type Checked = Result<(), Violation>;

struct Checker<'s> {
    root: &'s Value,
    steps: u32,
    depth: u32,
    path: Vec<String>,
    patterns: HashMap<&'s str, Option<Rc<Regex>>>,
    searches: Budget,
}

impl<'s> Checker<'s> {
    fn fail(&self, message: impl Into<String>) -> Checked {
        let escaped = self.path.iter().map(|step| {
            let step = step.replace('~', "~0").replace('/', "~1");
            format!("/{step}")
        });
        Err(Violation {
            path: escaped.collect(),
            message: message.into(),
        })
    }

    fn fits(&mut self, schema: &'s Value, value: &Value) -> bool {
        self.schema(schema, value).is_ok()
    }

    fn at(&mut self, step: impl ToString, schema: &'s Value, value: &Value) -> Checked {
        self.path.push(step.to_string());
        let checked = self.schema(schema, value);
        self.path.pop();
        checked
    }

    fn schema(&mut self, schema: &'s Value, value: &Value) -> Checked {
        let schema = match schema {
            Value::Bool(false) => return self.fail("nothing is allowed here"),
            Value::Object(schema) => schema,
            _ => return Ok(()),
        };
        if self.depth >= MAX_DEPTH || self.steps >= MAX_STEPS {
            return Ok(());
        }
        self.steps += 1;
        self.depth += 1;
        let checked = self.keywords(schema, value);
        self.depth -= 1;
        checked
    }

    fn keywords(&mut self, schema: &'s Map<String, Value>, value: &Value) -> Checked {
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && let Some(target) = resolve(self.root, target)
        {
            self.schema(target, value)?;
        }
        self.general(schema, value)?;
        self.combined(schema, value)?;
        match value {
            Value::Object(object) => self.object(schema, object),
            Value::Array(items) => self.array(schema, items),
            Value::String(text) => self.string(schema, text),
            Value::Number(number) => self.number(schema, number),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn general(&self, schema: &Map<String, Value>, value: &Value) -> Checked {
        let told = match schema.get("type") {
            Some(Value::String(name)) if !is_type(name, value) => Some(name.clone()),
            Some(Value::Array(names)) => {
                let mut names = names.iter().filter_map(Value::as_str);
                let all: Vec<&str> = names.clone().collect();
                (!names.any(|name| is_type(name, value))).then(|| all.join(" or "))
            }
            _ => None,
        };
        if let Some(told) = told {
            return self.fail(format!("expected {told}, got {}", type_of(value)));
        }
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.iter().any(|one| equal(one, value))
        {
            return self.fail("it is none of the allowed values");
        }
        match schema.get("const") {
            Some(only) if !equal(only, value) => self.fail("it is not the one allowed value"),
            _ => Ok(()),
        }
    }

    fn combined(&mut self, schema: &'s Map<String, Value>, value: &Value) -> Checked {
        for one in list(schema, "allOf") {
            self.schema(one, value)?;
        }
        let any = list(schema, "anyOf");
        if !any.is_empty() {
            let mut first = None;
            let fits = any.iter().any(|one| match self.schema(one, value) {
                Ok(()) => true,
                Err(violation) => {
                    first.get_or_insert(violation);
                    false
                }
            });
            // Of one alternative the own reason is the best one.
            match first {
                Some(violation) if !fits && any.len() == 1 => return Err(violation),
                _ if !fits => return self.fail("it fits none of the alternatives"),
                _ => {}
            }
        }
        let one_of = list(schema, "oneOf");
        if !one_of.is_empty() {
            let fitting = one_of.iter().filter(|one| self.fits(one, value)).count();
            if fitting != 1 && self.steps < MAX_STEPS {
                return self.fail(format!("it fits {fitting} alternatives instead of one"));
            }
        }
        if let Some(not) = schema.get("not")
            && self.steps < MAX_STEPS
            && self.depth < MAX_DEPTH
            && self.fits(not, value)
        {
            return self.fail("it is what it must not be");
        }
        if let Some(condition) = schema.get("if") {
            let branch = if self.fits(condition, value) {
                "then"
            } else {
                "else"
            };
            if let Some(branch) = schema.get(branch) {
                self.schema(branch, value)?;
            }
        }
        Ok(())
    }

    fn object(&mut self, schema: &'s Map<String, Value>, object: &Map<String, Value>) -> Checked {
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return self.fail(format!("{name:?} is missing"));
            }
        }
        self.count(
            schema,
            ("minProperties", "maxProperties"),
            object.len(),
            "properties",
        )?;
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (name, value) in object {
            let mut is_known = false;
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                is_known = true;
                self.at(name, schema, value)?;
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                match self.matches(pattern, name) {
                    Some(true) => {
                        is_known = true;
                        self.at(name, schema, value)?;
                    }
                    Some(false) => {}
                    None => is_known = true,
                }
            }
            if let Some(names) = schema.get("propertyNames") {
                self.at(name, names, &Value::from(name.as_str()))?;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !is_known => {
                    return self.fail(format!("{name:?} is not allowed"));
                }
                Some(rest) if !is_known => self.at(name, rest, value)?,
                _ => {}
            }
        }
        for (name, needed) in schema
            .get("dependentRequired")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(name, _)| object.contains_key(*name))
        {
            let mut needed = needed
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            if let Some(missing) = needed.find(|needed| !object.contains_key(*needed)) {
                return self.fail(format!("{missing:?} is missing beside {name:?}"));
            }
        }
        Ok(())
    }

    fn array(&mut self, schema: &'s Map<String, Value>, items: &[Value]) -> Checked {
        self.count(schema, ("minItems", "maxItems"), items.len(), "items")?;
        let (places, rest) = match schema.get("items") {
            Some(Value::Array(places)) => (places.as_slice(), schema.get("additionalItems")),
            rest => (list(schema, "prefixItems"), rest),
        };
        for (at, item) in items.iter().enumerate() {
            match places.get(at).or(rest) {
                Some(Value::Bool(false)) => return self.fail("it has too many items"),
                Some(schema) => self.at(at, schema, item)?,
                None => {}
            }
        }
        if let Some(wanted) = schema.get("contains") {
            let count = items.iter().filter(|item| self.fits(wanted, item)).count();
            let limit = |key: &str| schema.get(key).and_then(Value::as_u64).map(to_usize);
            let least = limit("minContains").unwrap_or(1);
            if count < least || limit("maxContains").is_some_and(|most| count > most) {
                return self.fail(format!("{count} of its items are of the wanted kind"));
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            for (at, item) in items.iter().enumerate() {
                let before = items.get(..at).unwrap_or_default();
                self.steps = self
                    .steps
                    .saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
                if self.steps >= MAX_STEPS {
                    break;
                }
                if before.iter().any(|other| equal(other, item)) {
                    return self.fail(format!("item {at} is there twice"));
                }
            }
        }
        Ok(())
    }

    /// Whether a pattern matches somewhere in a text; nothing where that cannot be decided.
    fn matches(&mut self, pattern: &'s str, text: &str) -> Option<bool> {
        let compiled = self.patterns.entry(pattern).or_insert_with(|| {
            let is_short = pattern.len() <= MAX_PATTERN;
            let compiled = is_short.then(|| Regex::trusted(pattern).ok()).flatten();
            compiled
                .filter(|regex| regex.states() <= MAX_STATES)
                .map(Rc::new)
        });
        let regex = compiled.clone()?;
        regex.is_match(text, &mut self.searches).ok()
    }

    fn string(&mut self, schema: &'s Map<String, Value>, text: &str) -> Checked {
        if schema.contains_key("minLength") || schema.contains_key("maxLength") {
            self.count(
                schema,
                ("minLength", "maxLength"),
                text.chars().count(),
                "characters",
            )?;
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        let matches = pattern.and_then(|pattern| self.matches(pattern, text));
        match (matches, pattern) {
            (Some(false), Some(pattern)) => self.fail(format!("it does not match {pattern:?}")),
            _ => Ok(()),
        }
    }

    fn number(&self, schema: &Map<String, Value>, number: &Number) -> Checked {
        let Some(value) = number.as_f64() else {
            return Ok(());
        };
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        // Draft 4 says with a flag what later drafts say with a number.
        let excludes = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let too_small = limit("minimum")
            .is_some_and(|least| value < least || (value == least && excludes("exclusiveMinimum")))
            || limit("exclusiveMinimum").is_some_and(|least| value <= least);
        let too_great = limit("maximum")
            .is_some_and(|most| value > most || (value == most && excludes("exclusiveMaximum")))
            || limit("exclusiveMaximum").is_some_and(|most| value >= most);
        if too_small || too_great {
            let word = if too_small { "small" } else { "great" };
            return self.fail(format!("{number} is too {word}"));
        }
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0) {
            let ratio = value / step;
            let off = (ratio - ratio.round()).abs();
            if off > 1e-9 * ratio.abs().max(1.0) {
                return self.fail(format!("{number} is no multiple of {step}"));
            }
        }
        Ok(())
    }

    fn count(
        &self,
        schema: &Map<String, Value>,
        (least, most): (&str, &str),
        count: usize,
        of: &str,
    ) -> Checked {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        let is_below = limit(least).is_some_and(|least| (count as f64) < least);
        let is_above = limit(most).is_some_and(|most| count as f64 > most);
        if is_below || is_above {
            let word = if is_below { "few" } else { "many" };
            return self.fail(format!("{count} {of} are too {word}"));
        }
        Ok(())
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn list<'s>(schema: &'s Map<String, Value>, key: &str) -> &'s [Value] {
    schema
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The schema that a local reference names.
fn resolve<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() || pointer.starts_with('/') {
        let plain = pointer.replace("%25", "%").replace("%22", "\"");
        return root.pointer(&plain);
    }
    let groups = ["$defs", "definitions"].into_iter();
    groups
        .filter_map(|key| root.get(key)?.as_object())
        .flat_map(|group| group.values())
        .find(|schema| schema.get("$anchor").and_then(Value::as_str) == Some(pointer))
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => match value {
            Value::Number(number) => {
                number.is_i64()
                    || number.is_u64()
                    || number.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            _ => false,
        },
        // A word of somebody's own says nothing that could be checked.
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Equality in which 1 and 1.0 are one number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_keyword_admits_and_refuses() {
        for (schema, good, bad) in [
            (
                json!({"type": "integer"}),
                vec![json!(1), json!(2.0)],
                vec![json!(1.5), json!("1")],
            ),
            (
                json!({"type": ["string", "null"]}),
                vec![json!("a"), json!(null)],
                vec![json!(1)],
            ),
            (
                json!({"type": "string", "nullable": true}),
                vec![json!(null)],
                vec![json!(1)],
            ),
            (
                json!({"enum": ["a", 1]}),
                vec![json!("a"), json!(1.0)],
                vec![json!("b")],
            ),
            (
                json!({"const": {"a": [1]}}),
                vec![json!({"a": [1]})],
                vec![json!({"a": [2]})],
            ),
            (
                json!({"properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}),
                vec![json!({"a": "x"}), json!(5)],
                vec![json!({}), json!({"a": 1}), json!({"a": "x", "b": 1})],
            ),
            (
                json!({"additionalProperties": {"type": "number"}}),
                vec![json!({"x": 1})],
                vec![json!({"x": "1"})],
            ),
            (
                json!({"patternProperties": {"^n_": {"type": "number"}}, "additionalProperties": false}),
                vec![json!({"n_a": 1})],
                vec![json!({"n_a": "1"}), json!({"a": 1})],
            ),
            (
                json!({"propertyNames": {"maxLength": 2}}),
                vec![json!({"ab": 1})],
                vec![json!({"abc": 1})],
            ),
            (
                json!({"minProperties": 1, "maxProperties": 2}),
                vec![json!({"a": 1})],
                vec![json!({})],
            ),
            (
                json!({"dependentRequired": {"a": ["b"]}}),
                vec![json!({"b": 1}), json!({"a": 1, "b": 1})],
                vec![json!({"a": 1})],
            ),
            (
                json!({"items": {"type": "number"}}),
                vec![json!([1, 2])],
                vec![json!([1, "2"])],
            ),
            (
                json!({"prefixItems": [{"type": "string"}], "items": false}),
                vec![json!(["a"]), json!([])],
                vec![json!([1]), json!(["a", 1])],
            ),
            (
                json!({"items": [{"type": "string"}], "additionalItems": false}),
                vec![json!(["a"])],
                vec![json!(["a", 1])],
            ),
            (
                json!({"minItems": 1, "maxItems": 2, "uniqueItems": true}),
                vec![json!([1, 2])],
                vec![json!([]), json!([1, 2, 3]), json!([1, 1.0])],
            ),
            (
                json!({"contains": {"type": "string"}}),
                vec![json!([1, "a"])],
                vec![json!([1])],
            ),
            (
                json!({"minLength": 2, "maxLength": 3}),
                vec![json!("äö")],
                vec![json!("ä"), json!("abcd")],
            ),
            (
                json!({"pattern": "^\\d{3}-[a-f]+$"}),
                vec![json!("123-abc")],
                vec![json!("12-abc"), json!("123-xyz")],
            ),
            (
                json!({"minimum": 1, "exclusiveMaximum": 3}),
                vec![json!(1), json!(2.9)],
                vec![json!(0.5), json!(3)],
            ),
            (
                json!({"minimum": 1, "exclusiveMinimum": true}),
                vec![json!(2)],
                vec![json!(1)],
            ),
            (
                json!({"multipleOf": 0.1}),
                vec![json!(0.3), json!(7)],
                vec![json!(0.25)],
            ),
            (
                json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}),
                vec![json!("a"), json!(6)],
                vec![json!(4)],
            ),
            (
                json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}),
                vec![json!(4), json!(5.5)],
                vec![json!(6), json!(1.5)],
            ),
            (
                json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
                vec![json!(1)],
                vec![json!(3)],
            ),
            (
                json!({"not": {"type": "string"}}),
                vec![json!(1)],
                vec![json!("a")],
            ),
            (
                json!({"if": {"properties": {"k": {"const": 1}}}, "then": {"required": ["v"]}, "else": {"required": ["w"]}}),
                vec![json!({"k": 1, "v": 1}), json!({"k": 2, "w": 1})],
                vec![json!({"k": 1}), json!({"k": 2})],
            ),
            (
                json!({"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "required": ["v"]}}, "$ref": "#/$defs/n"}),
                vec![json!({"v": 1, "next": {"v": 2}})],
                vec![json!({"v": 1, "next": {}})],
            ),
            (
                json!({"definitions": {"a": {"$anchor": "x", "type": "null"}}, "$ref": "#x"}),
                vec![json!(null)],
                vec![json!(1)],
            ),
            (json!(true), vec![json!(1)], vec![]),
            (json!(false), vec![], vec![json!(1)]),
        ] {
            for value in good {
                assert_eq!(check(&schema, &value), None, "{schema} {value}");
            }
            for value in bad {
                assert!(check(&schema, &value).is_some(), "{schema} {value}");
            }
        }
    }

    #[test]
    fn patterns_that_explode_elsewhere_are_decided_and_many_searches_end() {
        let schema = json!({"items": {"pattern": "^((a|aa)+)+$"}});
        let long = "a".repeat(5_000);
        assert_eq!(check(&schema, &json!([long, "a"])), None);
        let violation = check(&schema, &json!(["a", format!("{long}b")])).unwrap();
        assert_eq!(violation.path, "/1");
        // Beyond the bound of all searches together nothing is refused any more.
        let mut texts = vec![json!(long); 2_000];
        texts.push(json!("b"));
        assert_eq!(check(&schema, &json!(texts)), None);
        let names = json!({"patternProperties": {"^(x+x+)+y$": false}});
        assert!(check(&names, &json!({"xxxy": 1})).is_some());
        assert_eq!(check(&names, &json!({"x".repeat(400): 1})), None);
    }

    #[test]
    fn a_violation_says_where() {
        let schema =
            json!({"properties": {"a/b": {"items": {"properties": {"c": {"type": "string"}}}}}});
        let violation = check(&schema, &json!({"a/b": [{}, {"c": 1}]})).unwrap();
        assert_eq!(violation.path, "/a~1b/1/c");
        assert_eq!(violation.message, "expected string, got number");
    }

    #[test]
    fn what_cannot_be_decided_is_valid() {
        for schema in [
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#/nowhere"}),
            json!({"type": "colour"}),
            json!({"pattern": "(?<=a)b"}),
            json!({"format": "email"}),
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        ] {
            assert_eq!(check(&schema, &json!("x")), None, "{schema}");
        }
    }
}
