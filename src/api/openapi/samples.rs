//! Samples of a schema: values that it allows, drawn by chance from a seed. Also the paths of the fields that it names.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Chance from a seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Where references lead.
pub fn resolve<'a>(schema: &'a Value, types: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let name = reference.rsplit('/').next().unwrap();
            let found = types.get(name);
            resolve(
                found.unwrap_or_else(|| panic!("there is no type {name}")),
                types,
            )
        }
        None => schema,
    }
}

/// A value that a schema allows.
pub fn sample(schema: &Value, types: &Value, chance: &mut Chance, depth: usize) -> Value {
    let schema = resolve(schema, types);
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    for key in ["enum", "anyOf", "oneOf"] {
        if let Some(each) = schema.get(key).and_then(Value::as_array) {
            let one = &each[chance.below(each.len())];
            return if key == "enum" {
                one.clone()
            } else {
                sample(one, types, chance, depth)
            };
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds[chance.below(kinds.len())].as_str(),
        Some(kind) => kind.as_str(),
        None => return [json!(null), json!({}), json!("x"), json!([1])][chance.below(4)].clone(),
    };
    match kind.unwrap() {
        "null" => Value::Null,
        "boolean" => json!(chance.below(2) == 0),
        "integer" => json!(whole(schema, chance)),
        "number" => real(schema, chance),
        "string" => text(schema, chance).into(),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
            let most = schema["maxItems"]
                .as_u64()
                .unwrap_or(3)
                .min(least as u64 + 2) as usize;
            let many = least + chance.below(most - least + 1);
            let many = if depth > 6 { least } else { many };
            (0..many)
                .map(|_| sample(&schema["items"], types, chance, depth + 1))
                .collect()
        }
        "object" => object(schema, types, chance, depth),
        kind => panic!("samples of {kind}"),
    }
}

fn object(schema: &Value, types: &Value, chance: &mut Chance, depth: usize) -> Value {
    let mut fields = Map::new();
    let required = schema["required"].as_array();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|all| all.contains(&json!(name)));
        if is_required || (depth < 6 && chance.below(3) == 0) {
            fields.insert(name.clone(), sample(inner, types, chance, depth + 1));
        }
    }
    if schema.get("properties").is_none()
        && let Some(inner) = schema
            .get("additionalProperties")
            .filter(|inner| inner.is_object())
        && chance.below(2) == 0
    {
        fields.insert("key".into(), sample(inner, types, chance, depth + 1));
    }
    fields.into()
}

fn whole(schema: &Value, chance: &mut Chance) -> i64 {
    let low = schema["minimum"].as_i64().unwrap_or(-3);
    let high = schema["maximum"].as_i64().unwrap_or(low + 9);
    match chance.below(4) {
        0 => low,
        1 => high,
        _ => low + chance.below((high - low + 1).min(9) as usize) as i64,
    }
}

fn real(schema: &Value, chance: &mut Chance) -> Value {
    let above = schema["exclusiveMinimum"].as_f64().map(|low| low + 0.25);
    let low = above.or(schema["minimum"].as_f64()).unwrap_or(0.0);
    let high = schema["maximum"].as_f64().unwrap_or(low + 2.0);
    let at = chance.below(5) as f64 / 4.0;
    json!(low + (high - low) * at)
}

fn text(schema: &Value, chance: &mut Chance) -> String {
    if schema["contentEncoding"] == "base64" {
        return "UklGRg==".into();
    }
    if schema["contentMediaType"] == "application/json" {
        return ["{}", "", "{\"a\": [1]}"][chance.below(3)].into();
    }
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("date-time"), _) => return "2031-01-31T00:00:00Z".into(),
        (Some("date"), _) => return "2031-01-31".into(),
        (Some("uri"), _) => return "https://example.com/a".into(),
        (_, Some(pattern)) if pattern.starts_with("^web_") => return "web_search_preview".into(),
        (_, Some(pattern)) if pattern.ends_with("_tool_result$") => {
            return "web_search_tool_result".into();
        }
        (_, Some(pattern)) if pattern.starts_with("^[0-9]+") => {
            return ["5", "0.25", "0.000000001"][chance.below(3)].into();
        }
        (_, Some("^[0-9a-f]{64}$")) => return "a".repeat(64),
        (_, Some(pattern)) if pattern.contains("data:") => {
            return [
                "https://example.com/a.png",
                "data:image/png;base64,iVBORw0KGgo=",
            ][chance.below(2)]
            .into();
        }
        (_, Some(pattern)) if pattern.contains("https://") => {
            return "https://example.com/a".into();
        }
        (_, Some(pattern)) => panic!("samples of {pattern}"),
        _ => {}
    }
    let least = schema["minLength"].as_u64().unwrap_or(0);
    let words = if least == 0 {
        ["", "x", "two words", "ß\n\"{"]
    } else {
        ["x", "9", "two words", "ß\n\"{"]
    };
    words[chance.below(4)].into()
}

/// The paths of all fields that a schema names, such as `messages[].content[].text`; and the paths below which anything goes.
pub fn paths(schema: &Value, types: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut named, mut open) = (BTreeSet::new(), BTreeSet::new());
    walk(schema, types, "", 0, &mut named, &mut open);
    (named, open)
}

fn walk(
    schema: &Value,
    types: &Value,
    path: &str,
    depth: usize,
    named: &mut BTreeSet<String>,
    open: &mut BTreeSet<String>,
) {
    if depth > 12 {
        return;
    }
    let schema = resolve(schema, types);
    let mut says = false;
    for key in ["anyOf", "oneOf", "allOf"] {
        for inner in schema[key].as_array().into_iter().flatten() {
            says = true;
            walk(inner, types, path, depth + 1, named, open);
        }
    }
    if !schema["items"].is_null() {
        says = true;
        walk(
            &schema["items"],
            types,
            &format!("{path}[]"),
            depth + 1,
            named,
            open,
        );
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        says = true;
        let dot = if path.is_empty() { "" } else { "." };
        let at = format!("{path}{dot}{name}");
        named.insert(at.clone());
        walk(inner, types, &at, depth + 1, named, open);
    }
    let kind = &schema["type"];
    let is_any = schema.is_boolean()
        || (kind.is_null() && schema.get("enum").is_none() && schema.get("const").is_none());
    let takes_more = schema["additionalProperties"] == true && !path.is_empty();
    let is_object = kind == "object"
        || kind
            .as_array()
            .is_some_and(|kinds| kinds.contains(&json!("object")));
    if takes_more || (!says && (is_any || is_object)) {
        open.insert(path.to_owned());
    }
}
