//! What the answer to an operation means, and what is in it.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{
    Answer, Missed, Outcome, Share, Success,
    failure::{Verdict, judge, malformed},
    job, page, raw, scrub,
    scrub::scrub_text,
    template::{self, Scope, at, plain},
    xml,
};
use crate::{
    credits::money::Nanos,
    tools::{
        catalog::{Json, Operation, Partial, Tool},
        price,
    },
};

/// The most warnings about items of one batch.
const MAX_MISSED: usize = 100;

/// A body, as far as it can be read without its row.
pub(super) enum Body {
    Nothing,
    Json(Value),
    Text,
    Bytes,
}

impl Body {
    pub(super) fn of(answer: &Answer) -> Self {
        let Ok(text) = std::str::from_utf8(&answer.body) else {
            return Self::Bytes;
        };
        if text.trim().is_empty() {
            return Self::Nothing;
        }
        // Some begin with a byte order mark.
        match crate::json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(value) => Self::Json(value),
            Err(_) => Self::Text,
        }
    }

    /// What rules look into.
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Json(value) => value,
            _ => &Value::Null,
        }
    }
}

/// What an answer means. Secrets of the call are nowhere in what is told.
pub fn read(
    tool: &Tool,
    input: &Value,
    answer: &Answer,
    secrets: &[String],
    now_ms: u64,
) -> Outcome {
    let body = Body::of(answer);
    let mut outcome = match judge(tool, answer, body.value(), now_ms) {
        Verdict::Failed(failure) => Outcome::Failure(failure.into()),
        Verdict::Empty => success(tool, input, answer, Body::of_empty(body)),
        Verdict::Fine => match job::begun(tool, input, body.value(), answer) {
            Some(outcome) => outcome,
            None => success(tool, input, answer, body),
        },
    };
    clear(&mut outcome, secrets);
    outcome
}

/// Takes the secrets out of all that is told.
pub fn clear(outcome: &mut Outcome, secrets: &[String]) {
    match outcome {
        Outcome::Success(success) => {
            scrub::scrub(&mut success.data, secrets);
            for value in [&mut success.result, &mut success.next]
                .into_iter()
                .flatten()
            {
                scrub::scrub(value, secrets);
            }
            for missed in &mut success.missed {
                scrub_text(&mut missed.message, secrets);
                if let Some(item) = &mut missed.item {
                    scrub::scrub(item, secrets);
                }
            }
        }
        Outcome::Failure(failure) => {
            scrub_text(&mut failure.message, secrets);
            for text in [&mut failure.code, &mut failure.param]
                .into_iter()
                .flatten()
            {
                scrub_text(text, secrets);
            }
        }
        Outcome::Running(running) => {
            if let Some(progress) = &mut running.progress {
                scrub::scrub(progress, secrets);
            }
        }
    }
}

impl Body {
    /// A body that says that there is nothing, in place of data.
    fn of_empty(body: Self) -> Self {
        match body {
            Self::Json(value) if value.is_object() => Self::Json(value),
            _ => Self::Nothing,
        }
    }
}

/// What a success holds.
pub(super) fn success(tool: &Tool, input: &Value, answer: &Answer, body: Body) -> Outcome {
    let operation = &tool.operation;
    let response = &operation.response;
    let mut data = match data(operation, answer, body) {
        Ok(data) => data,
        Err(what) => return Outcome::Failure(malformed(answer, what).into()),
    };
    for pointer in &response.empty {
        if at(&data, pointer).is_none() {
            template::put(&mut data, pointer, json!([]));
        }
    }
    let id = response
        .id
        .as_deref()
        .and_then(|place| match place.strip_prefix("header:") {
            Some(name) => answer.header(name).map(str::to_owned),
            None => at(&data, place).map(plain),
        });
    if let (Some(id), Value::Object(fields)) = (&id, &mut data)
        && fields.is_empty()
    {
        fields.insert("id".to_owned(), id.as_str().into());
    }
    let (share, missed) = response
        .partial
        .as_ref()
        .map(|row| partial(row, &data))
        .unwrap_or_default();
    let units = response
        .units
        .as_deref()
        .and_then(|pointer| price::count(at(&data, pointer)?));
    Outcome::Success(Box::new(Success {
        result: result(operation, &data),
        id,
        units: units.or_else(|| price::counted(operation, input, &data)),
        stated: stated(operation, answer),
        next: page::next(operation, input, &data, answer),
        share,
        missed,
        data,
    }))
}

/// The data in the provider's own form.
fn data(operation: &Operation, answer: &Answer, body: Body) -> Result<Value, &'static str> {
    let response = &operation.response;
    if let Some(told) = &response.binary {
        let sent = answer.header("content-type").filter(|_| told.is_empty());
        let mime_type = sent.unwrap_or(told);
        let mime_type = mime_type.split(';').next().unwrap_or_default().trim();
        if answer.body.is_empty() {
            return Err("the provider's answer is empty");
        }
        return Ok(json!({
            "mime_type": if mime_type.is_empty() { "application/octet-stream" } else { mime_type },
            "bytes": answer.body.len(),
            "base64": BASE64_STANDARD.encode(&answer.body),
        }));
    }
    if response.text || response.xml.is_some() {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        return match &response.xml {
            Some(row) => xml::read(row, &text).ok_or("the provider's answer is no XML"),
            None => Ok(json!({ "text": text })),
        };
    }
    match body {
        Body::Json(value) => Ok(value),
        Body::Nothing => Ok(Value::Object(Map::new())),
        Body::Text | Body::Bytes => Err("the provider's answer is no JSON"),
    }
}

/// The result in the form of its kind.
fn result(operation: &Operation, data: &Value) -> Option<Value> {
    let response = &operation.response;
    let template = response.result.as_ref().map(Json::value)?;
    let made = template::fill(template, Scope::of(data));
    let mut result = Map::new();
    if let Some(kind) = &response.kind {
        result.insert("kind".to_owned(), kind.as_str().into());
    }
    match made {
        Some(Value::Object(fields)) => result.extend(fields),
        Some(other) => return Some(other),
        None => {}
    }
    Some(result.into())
}

/// What the provider says that it cost, read as decimal text.
fn stated(operation: &Operation, answer: &Answer) -> Option<Nanos> {
    let pointer = operation.price.stated.as_deref()?;
    let text = match pointer.strip_prefix("header:") {
        Some(name) => answer.header(name)?,
        None => raw::number_at(std::str::from_utf8(&answer.body).ok()?, pointer)?,
    };
    price::stated(operation, text)
}

/// What of a batch was done, and what was not.
fn partial(row: &Partial, data: &Value) -> (Option<Share>, Vec<Missed>) {
    let list = |pointer: &str| at(data, pointer).and_then(Value::as_array);
    let failed = list(&row.failed).map_or(&[][..], Vec::as_slice);
    if failed.is_empty() {
        return (None, Vec::new());
    }
    let done = row.ok.as_deref().and_then(list).map_or(0, Vec::len);
    let missed = failed.iter().take(MAX_MISSED).map(|one| {
        let look =
            |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| at(one, pointer));
        let message = look(&row.message).map(plain);
        Missed {
            item: Some(look(&row.item).unwrap_or(one).clone()),
            message: message.unwrap_or_else(|| "it failed at the provider".to_owned()),
        }
    });
    let share = Share {
        done: done as u64,
        failed: failed.len() as u64,
    };
    (Some(share), missed.collect())
}
