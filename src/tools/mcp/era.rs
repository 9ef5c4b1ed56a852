//! What a message says of the protocol it speaks: in `_meta`, and once more in headers for whatever stands between.
//!
//! A message is of the modern era where its `_meta` names a version, or its header one that the legacy era cannot have; everything
//! else is legacy. Header values compare as they are, but for white space around them; what HTTP cannot carry comes as
//! `=?base64?…?=`.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{
    CAPABILITIES, Era, LEGACY, MODERN, VERSION,
    message::{Fault, HEADER_MISMATCH, INVALID_REQUEST, Request, UNSUPPORTED_VERSION},
};

/// Finds a header by its lower-case name.
pub type Headers<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which parameter the header `Mcp-Name` repeats.
const NAMED: [(&str, &str); 6] = [
    ("tools/call", "name"),
    ("prompts/get", "name"),
    ("resources/read", "uri"),
    ("tasks/get", "taskId"),
    ("tasks/update", "taskId"),
    ("tasks/cancel", "taskId"),
];

/// Methods that the modern era brought.
const MODERN_METHODS: [&str; 2] = ["server/discover", "subscriptions/listen"];

/// The era of a message by its header and what its `_meta` says.
pub fn of(header: Option<&str>, method: &str, params: &Map<String, Value>) -> Era {
    let named = params.get("_meta").and_then(|meta| meta.get(VERSION));
    let header = header.map(str::trim);
    match (named, header) {
        (Some(_), _) => Era::Modern,
        (None, Some(version)) if is_past(version) => Era::Legacy,
        (None, Some(_)) => Era::Modern,
        (None, None) if MODERN_METHODS.contains(&method) => Era::Modern,
        (None, None) => Era::Legacy,
    }
}

/// Whether a version is older than the modern era.
fn is_past(version: &str) -> bool {
    version.starts_with("20") && version < MODERN
}

/// Whether the legacy era speaks what the header of a message names. Without one it is 2025-03-26.
///
/// # Errors
/// 400 for another version.
pub fn check_legacy(header: Option<&str>) -> Result<&'static str, Fault> {
    let Some(version) = header.map(str::trim) else {
        return Ok("2025-03-26");
    };
    let known = LEGACY.iter().find(|known| **known == version);
    known.copied().ok_or_else(|| {
        let known = LEGACY.join(", ");
        let message = format!(
            "Bad Request: Unsupported protocol version: {version} (supported versions: {known}, {MODERN})"
        );
        Fault::new(INVALID_REQUEST, message)
    })
}

/// Checks what every request of the modern era says of itself.
///
/// # Errors
/// 400: what is missing in `_meta`, a version that is not spoken, headers that say something else.
pub fn check_modern(request: &Request, header: Headers<'_>) -> Result<(), Fault> {
    let meta = request.params.get("_meta");
    let Some(meta) = meta.and_then(Value::as_object) else {
        return Err(Fault::params("params._meta is missing"));
    };
    let Some(version) = meta.get(VERSION).and_then(Value::as_str) else {
        return Err(Fault::params(format!(
            "params._meta[\"{VERSION}\"] is missing"
        )));
    };
    same(
        header("mcp-protocol-version"),
        "MCP-Protocol-Version",
        version,
    )?;
    if version != MODERN {
        let message = format!("Unsupported protocol version: {version}");
        let data = json!({"supported": [MODERN], "requested": version});
        return Err(Fault::new(UNSUPPORTED_VERSION, message).with(data));
    }
    if !meta.get(CAPABILITIES).is_some_and(Value::is_object) {
        let message = format!("params._meta[\"{CAPABILITIES}\"] is missing");
        return Err(Fault::params(message));
    }
    same(header("mcp-method"), "Mcp-Method", &request.method)?;
    let named = NAMED.iter().find(|(method, _)| *method == request.method);
    match named.and_then(|(_, field)| request.text(field)) {
        Some(name) => same(header("mcp-name"), "Mcp-Name", name),
        None => Ok(()),
    }
}

/// Checks the headers that repeat arguments, as the tool's schema asks for it by `x-mcp-header`.
///
/// # Errors
/// 400 where one says something else than the argument, or either is missing.
pub fn check_arguments(
    schema: &Value,
    arguments: &Map<String, Value>,
    header: Headers<'_>,
) -> Result<(), Fault> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, property) in properties {
        let argument = arguments.get(name).filter(|value| !value.is_null());
        let Some(suffix) = property.get("x-mcp-header").and_then(Value::as_str) else {
            if let Some(Value::Object(inner)) = argument {
                check_arguments(property, inner, header)?;
            }
            continue;
        };
        let sent = header(&format!("mcp-param-{}", suffix.to_ascii_lowercase()));
        let told = format!("Mcp-Param-{suffix}");
        match argument {
            Some(Value::String(text)) => same(sent, &told, text)?,
            Some(Value::Number(number)) => {
                let sent = sent.ok_or_else(|| missing(&told))?;
                if decoded(&sent).and_then(|text| text.parse::<f64>().ok()) != number.as_f64() {
                    return Err(mismatch(&told));
                }
            }
            Some(value) => same(sent, &told, &value.to_string())?,
            None if sent.is_some() => return Err(mismatch(&told)),
            None => {}
        }
    }
    Ok(())
}

fn same(sent: Option<String>, name: &str, value: &str) -> Result<(), Fault> {
    let sent = sent.ok_or_else(|| missing(name))?;
    if decoded(&sent).as_deref() == Some(value) {
        return Ok(());
    }
    Err(mismatch(name))
}

/// The value of a header; none where it claims to be base64 and is not.
fn decoded(sent: &str) -> Option<String> {
    let sent = sent.trim_matches([' ', '\t']);
    let coded = sent
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match coded {
        Some(coded) => String::from_utf8(BASE64_STANDARD.decode(coded).ok()?).ok(),
        None => Some(sent.to_owned()),
    }
}

fn missing(name: &str) -> Fault {
    Fault::new(
        HEADER_MISMATCH,
        format!("Header mismatch: {name} is missing"),
    )
}

fn mismatch(name: &str) -> Fault {
    let message = format!("Header mismatch: {name} says something else than the body");
    Fault::new(HEADER_MISMATCH, message)
}
