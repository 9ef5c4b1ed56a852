//! What a message asks for: a tool with its input, an intent in words, or the answer to what a task wanted to know.
//!
//! A data part with `tool` runs it; one with `intent`, or text, is routed; one with `confirm` or `confirmation` answers a task that waits, and
//! so do words of yes and no. Files are nothing that tools take.

use serde_json::{Map, Value, json};

use super::{Fault, Kind, Version, fault::shown};
use crate::json::set;

/// The longest id that a client may choose.
const MAX_ID: usize = 255;
/// The most parts of a message.
const MAX_PARTS: usize = 100;
/// What is taken for a yes, and for a no.
const YES: [&str; 6] = ["yes", "y", "ok", "confirm", "approve", "go ahead"];
const NO: [&str; 6] = ["no", "n", "cancel", "decline", "reject", "stop"];

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// The fields of a request to execute a tool: `tool`, `input` and what else REST takes.
    Run(Map<String, Value>),
    /// What somebody wants, in words.
    Intent(String),
    /// The answer to a task that waits for one.
    Answer {
        /// Yes or no.
        is_yes: bool,
    },
    /// Other words to a task that waits.
    Words(String),
}

/// A message, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The client's id of it: the same message is carried out once.
    pub id: String,
    /// The conversation.
    pub context: Option<String>,
    /// The task that it goes on with.
    pub task: Option<String>,
    /// What it asks for.
    pub wish: Wish,
    /// The client does not wait for the end.
    pub is_immediate: bool,
    /// How many messages of the history it wants; all where absent.
    pub history: Option<usize>,
    /// The message, as 1.0 spells it.
    pub message: Value,
}

/// Reads the parameters of a message that is sent.
///
/// # Errors
/// With the path of what is wrong.
pub fn read(params: &Value, version: Version) -> Result<Asked, Fault> {
    let sent = params.get("message").and_then(Value::as_object);
    let sent = sent.ok_or_else(|| Fault::param("message", "an object is expected"))?;
    let id = name(sent, "messageId")?;
    let id = id.ok_or_else(|| Fault::param("message.messageId", "a message has an id"))?;
    let (context, task) = (name(sent, "contextId")?, name(sent, "taskId")?);
    match sent.get("role").and_then(Value::as_str) {
        Some("ROLE_USER" | "user") => {}
        _ => {
            return Err(Fault::param(
                "message.role",
                "a message to an agent is the user's",
            ));
        }
    }
    let parts = sent.get("parts").and_then(Value::as_array);
    let parts = parts.filter(|parts| !parts.is_empty() && parts.len() <= MAX_PARTS);
    let parts = parts.ok_or_else(|| {
        Fault::param(
            "message.parts",
            &format!("1 to {MAX_PARTS} parts are expected"),
        )
    })?;
    let parts = parts
        .iter()
        .enumerate()
        .map(|(at, part)| self::part(part, at, version))
        .collect::<Result<Vec<Value>, Fault>>()?;
    let settings = params.get("configuration");
    let setting = |name: &str| settings.and_then(|settings| settings.get(name));
    accepts(setting("acceptedOutputModes"))?;
    for push in ["taskPushNotificationConfig", "pushNotificationConfig"] {
        if setting(push).is_some_and(|config| !config.is_null()) {
            return Err(no_push());
        }
    }
    let mut message = json!({"messageId": id, "role": "ROLE_USER", "parts": parts});
    if let Some(metadata) = sent.get("metadata").filter(|metadata| metadata.is_object()) {
        set(&mut message, "metadata", metadata.clone());
    }
    Ok(Asked {
        wish: wish(&parts, task.is_some())?,
        id,
        context,
        task,
        is_immediate: match version {
            Version::V1 => setting("returnImmediately").and_then(Value::as_bool) == Some(true),
            Version::V03 => setting("blocking").and_then(Value::as_bool) == Some(false),
        },
        history: history(setting("historyLength"))?,
        message,
    })
}

/// There are none: results are asked for, or streamed.
pub fn no_push() -> Fault {
    Fault::new(
        Kind::PushNotificationNotSupported,
        "There are no push notifications here: stream, or ask for the task",
    )
}

/// A number of messages.
///
/// # Errors
/// Where it is none.
pub fn history(sent: Option<&Value>) -> Result<Option<usize>, Fault> {
    let Some(sent) = sent.filter(|sent| !sent.is_null()) else {
        return Ok(None);
    };
    let number = sent.as_u64().or_else(|| sent.as_str()?.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    let wrong = || Fault::param("historyLength", "a number of 0 or more is expected");
    number.map(Some).ok_or_else(wrong)
}

fn name(of: &Map<String, Value>, field: &str) -> Result<Option<String>, Fault> {
    let is_good = |text: &&str| text.len() <= MAX_ID && !text.chars().any(char::is_control);
    match of.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(sent) => {
            let text = sent.as_str().filter(is_good);
            let wrong = || {
                let path = format!("message.{field}");
                Fault::param(&path, &format!("a name of 1 to {MAX_ID} bytes is expected"))
            };
            text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
        }
    }
}

/// A part as 1.0 spells it.
fn part(sent: &Value, at: usize, version: Version) -> Result<Value, Fault> {
    let path = format!("message.parts[{at}]");
    let no_files = || {
        Fault::new(
            Kind::ContentTypeNotSupported,
            format!("{path}: tools take data and text, not files"),
        )
    };
    if version == Version::V03 {
        return match sent.get("kind").and_then(Value::as_str) {
            Some("text") if sent.get("text").is_some_and(Value::is_string) => {
                Ok(json!({"text": sent.get("text")}))
            }
            Some("data") if sent.get("data").is_some_and(Value::is_object) => {
                Ok(json!({"data": sent.get("data"), "mediaType": "application/json"}))
            }
            Some("file") => Err(no_files()),
            _ => Err(Fault::param(
                &path,
                "a part of kind text or data is expected",
            )),
        };
    }
    let has = |name: &str| sent.get(name).is_some_and(|value| !value.is_null());
    let said = ["text", "data", "raw", "url"];
    match said.iter().filter(|name| has(name)).count() {
        1 if has("raw") || has("url") => Err(no_files()),
        1 if has("data") || sent.get("text").is_some_and(Value::is_string) => Ok(sent.clone()),
        _ => Err(Fault::param(
            &path,
            "exactly one of text, data, raw and url is expected",
        )),
    }
}

fn accepts(modes: Option<&Value>) -> Result<(), Fault> {
    let Some(modes) = modes
        .and_then(Value::as_array)
        .filter(|modes| !modes.is_empty())
    else {
        return Ok(());
    };
    let fits = |mode: &str| {
        let mode = mode.split(';').next().unwrap_or_default().trim();
        matches!(
            mode,
            "*/*"
                | "application/*"
                | "application/json"
                | "text/*"
                | "text/plain"
                | "text"
                | "data"
        )
    };
    if modes.iter().filter_map(Value::as_str).any(fits) {
        return Ok(());
    }
    let message = "acceptedOutputModes: results are application/json";
    Err(Fault::new(Kind::ContentTypeNotSupported, message))
}

fn wish(parts: &[Value], is_answer: bool) -> Result<Wish, Fault> {
    let data = parts.iter().find_map(|part| part.get("data")?.as_object());
    if let Some(data) = data {
        let mut data = Value::Object(data.clone());
        whole(&mut data);
        return of_data(data.as_object().unwrap_or(&Map::new()), is_answer);
    }
    let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
    let text = texts.collect::<Vec<_>>().join("\n");
    let text = text.trim();
    if let Ok(Value::Object(data)) = crate::json::from_str(text) {
        return of_data(&data, is_answer);
    }
    if !is_answer {
        return match text {
            "" => Err(Fault::param("message.parts", "the message says nothing")),
            text => Ok(Wish::Intent(text.to_owned())),
        };
    }
    let word = text.trim_end_matches(['.', '!']).to_lowercase();
    let known = |words: &[&str]| words.contains(&word.as_str());
    match (known(&YES), known(&NO)) {
        (is_yes, is_no) if is_yes || is_no => Ok(Wish::Answer { is_yes }),
        _ if text.is_empty() => Err(Fault::param("message.parts", "the message says nothing")),
        _ => Ok(Wish::Words(text.to_owned())),
    }
}

/// A task that waits for a yes was told something else.
pub fn no_answer(words: &str) -> Fault {
    let told = format!(
        "{} is neither yes nor no: send {{\"confirm\": true}} or false as data",
        shown(words)
    );
    Fault::param("message.parts", &told)
}

/// Clients whose messages are of protobuf write all numbers with a point: those that are whole lose it, as tools were told of integers.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            let digits = number.to_string();
            let digits = digits.strip_suffix(".0").unwrap_or_default();
            if let Ok(whole) = digits.parse::<i64>() {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(fields) => fields.values_mut().for_each(whole),
        _ => {}
    }
}

fn of_data(data: &Map<String, Value>, is_answer: bool) -> Result<Wish, Fault> {
    if let Some(is_yes) = data
        .get("confirm")
        .and_then(Value::as_bool)
        .filter(|_| is_answer)
    {
        return Ok(Wish::Answer { is_yes });
    }
    if data.get("tool").is_some_and(Value::is_string) {
        return Ok(Wish::Run(data.clone()));
    }
    match data.get("intent") {
        // What else is said (an input, limits) belongs to the intent.
        Some(Value::String(_)) if data.len() > 1 => Ok(Wish::Run(data.clone())),
        Some(Value::String(intent)) => Ok(Wish::Intent(intent.clone())),
        _ => Err(Fault::param(
            "message.parts",
            "data with `tool` and `input`, data with `intent`, or text is expected",
        )),
    }
}
