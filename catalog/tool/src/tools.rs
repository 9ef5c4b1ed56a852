//! `tools/*.toml`: providers of tools as people write them, made into their canonical form. Form: `catalog/tools/README.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use patchbay::tools::catalog::{Capability, Operation, ToolProvider};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::rows::{Fault, Place, Row, text};
use crate::tools_check;

/// The folder of tools.
pub const FOLDER: &str = "tools";
/// The capabilities.
const CAPABILITIES: &str = "capabilities.toml";

/// All rows of tools.
#[derive(Debug, Default)]
pub struct Tools {
    /// Providers, each with the places of its operations.
    pub providers: Vec<(Row<ToolProvider>, Vec<Place>)>,
    /// Capabilities.
    pub capabilities: Vec<Row<Capability>>,
}

/// Reads and checks the tools of the catalog's folder; none where it has no such folder.
pub fn load(dir: &Path, faults: &mut Vec<Fault>) -> Result<Tools, Fault> {
    let folder = dir.join(FOLDER);
    let mut tools = Tools::default();
    if !folder.exists() {
        return Ok(tools);
    }
    let wrong = |error: std::io::Error| Fault::of_file(&folder, error);
    let entries: Result<Vec<_>, _> = fs::read_dir(&folder).map_err(wrong)?.collect();
    let mut files: Vec<PathBuf> = entries
        .map_err(wrong)?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    let before = faults.len();
    for file in files {
        let source = text(&file)?;
        if file.file_name().is_some_and(|name| name == CAPABILITIES) {
            capabilities(&file, &source, &mut tools, faults);
        } else {
            tools.providers.extend(provider(&file, &source, faults));
        }
    }
    // A row that could not be read makes others look wrong that point to it.
    if faults.len() == before {
        tools_check::check(&tools, faults);
    }
    Ok(tools)
}

fn capabilities(file: &Path, source: &str, tools: &mut Tools, faults: &mut Vec<Fault>) {
    let rows = match document(file, source) {
        Ok(mut document) => take_list(&mut document, "capability"),
        Err(fault) => return faults.push(fault),
    };
    let places = headings(file, source, "[[capability]]");
    for (mut row, place) in rows.into_iter().zip(places) {
        let read = parsed(&mut row, "input").and_then(|()| typed(row));
        match read {
            Ok(value) => tools.capabilities.push(Row { value, place }),
            Err(why) => faults.push(Fault::of_row(&place, why)),
        }
    }
}

fn provider(
    file: &Path,
    source: &str,
    faults: &mut Vec<Fault>,
) -> Option<(Row<ToolProvider>, Vec<Place>)> {
    let mut document = match document(file, source) {
        Ok(document) => document,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let place = Place {
        file: file.to_owned(),
        line: 1,
    };
    let operations = take_list(&mut document, "operation");
    let places = headings(file, source, "[[operation]]");
    let provider = canonical_provider(&mut document).and_then(|()| typed(document));
    let mut provider: ToolProvider = match provider {
        Ok(provider) => provider,
        Err(why) => {
            faults.push(Fault::of_row(&place, why));
            return None;
        }
    };
    if operations.len() != places.len() {
        faults.push(Fault::of_file(
            file,
            "each operation is written as [[operation]] at the start of a line",
        ));
        return None;
    }
    for (mut row, place) in operations.into_iter().zip(&places) {
        let name = row
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned();
        let read = canonical_operation(&mut row).and_then(|()| typed::<Operation>(row));
        match read {
            Ok(operation) => provider.operation.push(Rc::new(operation)),
            Err(why) => faults.push(Fault::of_row(place, format!("{name}: {why}"))),
        }
    }
    let row = Row {
        value: provider,
        place,
    };
    Some((row, places))
}

/// A file as JSON.
fn document(file: &Path, source: &str) -> Result<Value, Fault> {
    let table: toml::Table = source.parse().map_err(|error: toml::de::Error| {
        let line = error.span().and_then(|span| source.get(..span.start));
        Fault {
            file: file.to_owned(),
            line: line.map(|before| before.matches('\n').count() + 1),
            why: error.message().to_owned(),
        }
    })?;
    serde_json::to_value(table).map_err(|error| Fault::of_file(file, error))
}

/// Where these headings stand.
fn headings(file: &Path, source: &str, heading: &str) -> Vec<Place> {
    let lines = source.lines().enumerate();
    let headings = lines.filter(|(_, line)| line.trim() == heading);
    let place = |(at, _)| Place {
        file: file.to_owned(),
        line: at + 1,
    };
    headings.map(place).collect()
}

fn take_list(value: &mut Value, name: &str) -> Vec<Value> {
    let list = value.as_object_mut().and_then(|fields| fields.remove(name));
    match list {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    // As the Worker reads it: from text.
    serde_json::from_str(&value.to_string()).map_err(|error| {
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

/// A JSON text becomes what it says.
fn parsed(of: &mut Value, name: &str) -> Result<(), String> {
    let Some(value) = of.get_mut(name) else {
        return Ok(());
    };
    let Value::String(text) = value else {
        return Err(format!("{name} is a JSON text between '''"));
    };
    let read: Value =
        serde_json::from_str(text).map_err(|error| format!("{name} is no JSON: {error}"))?;
    *value = read;
    Ok(())
}

/// One becomes a list of one.
fn listed(of: &mut Value, names: &[&str]) {
    for name in names {
        if let Some(value) = of.get_mut(*name)
            && !value.is_array()
        {
            let one = value.take();
            *value = json!([one]);
        }
    }
}

fn canonical_errors(of: &mut Value) {
    let Some(rules) = of.get_mut("errors").and_then(Value::as_array_mut) else {
        return;
    };
    for rule in rules {
        listed(rule, &["message", "code", "param"]);
        if let Some(when) = rule.get_mut("when") {
            listed(when, &["status"]);
        }
    }
}

fn canonical_provider(provider: &mut Value) -> Result<(), String> {
    canonical_errors(provider);
    Ok(())
}

fn canonical_operation(operation: &mut Value) -> Result<(), String> {
    for name in ["input", "output", "normal", "composite"] {
        parsed(operation, name)?;
    }
    for name in ["undo", "before"] {
        if let Some(row) = operation.get_mut(name) {
            parsed(row, "input").map_err(|why| format!("{name}.{why}"))?;
        }
    }
    canonical_errors(operation);
    canonical_retry(operation)?;
    canonical_price(operation);
    if let Some(request) = operation.get_mut("request") {
        parsed(request, "params").map_err(|why| format!("request.{why}"))?;
        canonical_body(request).map_err(|why| format!("request.body: {why}"))?;
    }
    if let Some(response) = operation.get_mut("response") {
        parsed(response, "result").map_err(|why| format!("response.{why}"))?;
        match response.get_mut("binary") {
            Some(binary @ Value::Bool(true)) => *binary = json!(""),
            Some(binary @ Value::Bool(false)) => *binary = Value::Null,
            _ => {}
        }
        if let Some(job) = response.get_mut("job") {
            listed(job, &["error", "done", "failed", "pending"]);
        }
    }
    Ok(())
}

fn canonical_retry(operation: &mut Value) -> Result<(), String> {
    let is_read = operation.get("effect").and_then(Value::as_str) == Some("read");
    let Some(fields) = operation.as_object_mut() else {
        return Err("an operation is a table".to_owned());
    };
    let usual = json!({"kind": if is_read { "safe" } else { "none" }});
    let retry = match fields.remove("retry") {
        None => usual,
        Some(Value::String(kind)) if kind == "safe" || kind == "none" => json!({ "kind": kind }),
        Some(Value::Object(mut key)) => {
            key.insert("kind".to_owned(), "key".into());
            key.into()
        }
        Some(_) => return Err("retry is \"safe\", \"none\" or a table".to_owned()),
    };
    fields.insert("retry".to_owned(), retry);
    Ok(())
}

/// A case of a price is a condition and what is otherwise then, in one table.
fn canonical_price(operation: &mut Value) {
    let cases = operation
        .get_mut("price")
        .and_then(|price| price.get_mut("when"));
    for case in cases.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(fields) = case.as_object_mut() else {
            continue;
        };
        let of_price = ["call", "unit", "included", "chars", "hold"];
        let (price, when): (Map<_, _>, Map<_, _>) = std::mem::take(fields)
            .into_iter()
            .partition(|(name, _)| of_price.contains(&name.as_str()));
        *fields = price;
        fields.insert("when".to_owned(), when.into());
    }
}

fn canonical_body(request: &mut Value) -> Result<(), String> {
    let Some(body) = request.get_mut("body") else {
        return Ok(());
    };
    let made = match body.take() {
        Value::String(kind) => json!({ "kind": kind }),
        Value::Object(mut fields) => {
            let content_type = fields.remove("content_type");
            let (name, value) = fields.into_iter().next().ok_or("it is empty")?;
            let mut made = match (name.as_str(), value) {
                ("text", field) => json!({"kind": "text", "field": field}),
                ("template" | "form", template) => {
                    let kind = if name == "form" { "form" } else { "json" };
                    let mut made = json!({"kind": kind, "template": template});
                    parsed(&mut made, "template")?;
                    made
                }
                _ => return Err(format!("{name} is none of text, template, form")),
            };
            if let (Some(content_type), Some(fields)) = (content_type, made.as_object_mut()) {
                fields.insert("content_type".to_owned(), content_type);
            }
            made
        }
        _ => return Err("it is a word or a table".to_owned()),
    };
    *body = made;
    Ok(())
}
