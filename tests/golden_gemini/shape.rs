//! What of a native request is compared.
//!
//! Left out are ids of calls (the product always sends them), defaults, and the few fields that the gateway does not speak.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::reader::type_word;

/// Top-level fields that are not compared: settings of safety are never invented or passed on, the model is in the path.
const NOT_COMPARED: [&str; 2] = ["safetySettings", "model"];

/// Without nulls, empty objects at the top, and values that say the default.
pub fn clean(mut native: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|_, value| !value.is_null());
                object.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut native);
    native
}

/// What is compared.
pub fn shape(native: &Value) -> Value {
    let mut shape = native.clone();
    let object = shape.as_object_mut().unwrap();
    object.retain(|key, _| !NOT_COMPARED.contains(&key.as_str()));
    if let Some(system) = object.remove("systemInstruction") {
        let texts: Vec<Value> = parts(&system).iter().filter_map(part_shape).collect();
        if !texts.is_empty() {
            object.insert("systemInstruction".to_owned(), Value::Array(texts));
        }
    }
    object.insert("contents".to_owned(), turns(&native["contents"]));
    for tool in native["tools"].as_array().into_iter().flatten() {
        for declaration in tool["functionDeclarations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let schema = ["parameters", "parametersJsonSchema"]
                .iter()
                .find_map(|key| declaration.get(*key));
            let name = declaration["name"].as_str().unwrap();
            let mut kept = json!({"schema": schema.map(lower_types)});
            // Some clients send an empty description.
            if declaration
                .get("description")
                .is_some_and(|text| *text != "")
            {
                kept["description"] = declaration["description"].clone();
            }
            object.insert(format!("function {name}"), kept);
        }
        for (kind, _) in tool.as_object().unwrap() {
            object.insert(format!("tool {kind}"), json!(true));
        }
    }
    object.remove("tools");
    if let Some(config) = object.remove("generationConfig") {
        let config = config_shape(config);
        if config != json!({}) {
            object.insert("generationConfig".to_owned(), config);
        }
    }
    sorted(&shape)
}

fn parts(content: &Value) -> Vec<Value> {
    match &content["parts"] {
        Value::Array(parts) => parts.clone(),
        Value::Null => Vec::new(),
        part => vec![part.clone()],
    }
}

/// Turns: neighbours of one role are one turn.
fn turns(contents: &Value) -> Value {
    let mut turns: Vec<(Value, Vec<Value>)> = Vec::new();
    for content in contents.as_array().unwrap() {
        let parts: Vec<Value> = parts(content).iter().filter_map(part_shape).collect();
        let role = match &content["role"] {
            Value::Null => json!("user"),
            role => role.clone(),
        };
        match turns.last_mut() {
            Some((last, all)) if *last == role => all.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    json!(turns)
}

fn part_shape(part: &Value) -> Option<Value> {
    let mut part = part.clone();
    if part["thought"] == false {
        part.as_object_mut()?.remove("thought");
    }
    if part == json!({"text": ""}) {
        return None;
    }
    for kind in ["functionCall", "functionResponse"] {
        if let Some(call) = part.get_mut(kind) {
            call.as_object_mut()?.remove("id");
        }
    }
    if let Some(file) = part.get_mut("fileData") {
        // The provider knows the type of its own files, and finds out that of others.
        file.as_object_mut()?.remove("mimeType");
    }
    Some(part)
}

fn config_shape(mut config: Value) -> Value {
    let object = config.as_object_mut().unwrap();
    if object.get("candidateCount") == Some(&json!(1)) {
        object.remove("candidateCount");
    }
    for key in ["responseSchema", "responseJsonSchema"] {
        if let Some(schema) = object.remove(key) {
            object.insert("schema".to_owned(), lower_types(&schema));
        }
    }
    if let Some(level) = config.pointer_mut("/thinkingConfig/thinkingLevel") {
        *level = json!(level.as_str().unwrap().to_lowercase());
    }
    config
}

/// OpenAPI types are spelt in capitals, those of JSON Schema are not; identifiers are not needed.
fn lower_types(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "$schema")
            .map(|(key, value)| match value {
                Value::String(word) if key == "type" => (key.clone(), json!(word.to_lowercase())),
                Value::Number(number) if key == "type" => (key.clone(), type_word(number).into()),
                value => (key.clone(), lower_types(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower_types).collect(),
        other => other.clone(),
    }
}

/// The path of the first difference, without the recorded values.
pub fn difference(recorded: &Value, ours: &Value) -> Option<String> {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter()
                .find_map(|key| match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(a, b).map(|rest| format!(".{key}{rest}")),
                    (Some(_), None) => Some(format!(".{key} is missing")),
                    _ => Some(format!(".{key} is too much")),
                })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (a, b))| difference(a, b).map(|rest| format!("[{at}]{rest}")))
        }
        (Value::Array(a), Value::Array(b)) => {
            Some(format!(" has {} items, not {}", b.len(), a.len()))
        }
        (a, b) => (a != b).then(|| " differs".to_owned()),
    }
}

/// Keys in order, numbers by value.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<&String, &Value> = object.iter().collect();
            ordered
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}
