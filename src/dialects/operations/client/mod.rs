//! The clients' own spelling: OpenRouter's, which is OpenAI's for embeddings, images, speech and transcription, and Cohere's for
//! rerank.
//!
//! `parse` reads a body into what routing needs and what is asked; `write` makes an answer of what came back. A wrong field is
//! named by its path. Spec: <https://openrouter.ai/docs/api-reference>.

mod embeddings;
mod images;
mod rerank;
mod speech;
pub mod stream;
mod transcription;

#[cfg(test)]
mod tests;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    catalog::Operation,
    chat::ChatRequest,
    credits::money::Nanos,
    dialects::{
        openai_chat::client::explain,
        report::{Meta, UsageReport},
        splice::ObjectWriter,
    },
    error::{Error, Result},
    operations::{Answer, Answered, Ask},
};

/// The most characters of a session id and of a user.
const MAX_NAME: usize = 256;

/// A request as the rest of the gateway takes it.
#[derive(Debug)]
pub struct Parsed {
    /// Models, preferences and names: a request without a conversation.
    pub envelope: ChatRequest,
    /// What is asked.
    pub ask: Ask,
}

/// Reads a client's body. `content_type` is the whole header.
///
/// # Errors
/// 400 with the path of the first field that is wrong.
pub fn parse(operation: Operation, content_type: &str, raw: &[u8]) -> Result<Parsed> {
    if operation == Operation::Transcription && transcription::is_form(content_type) {
        return transcription::parse_form(content_type, raw);
    }
    let envelope = envelope(json(raw)?)?;
    let ask = match operation {
        Operation::Embeddings => Ask::Embeddings(embeddings::parse(raw)?),
        Operation::Rerank => Ask::Rerank(rerank::parse(raw)?),
        Operation::Images => Ask::Images(images::parse(raw)?),
        Operation::Speech => Ask::Speech(speech::parse(raw)?),
        Operation::Transcription => Ask::Transcription(transcription::parse(raw)?),
        Operation::Chat => {
            return Err(Error::internal("conversations have a surface of their own"));
        }
    };
    Ok(Parsed { envelope, ask })
}

/// The fields that the reader knows, as a JSON Schema: the API's document has to name the same.
#[cfg(test)]
pub fn known_fields(operation: Operation) -> Value {
    let of = match operation {
        Operation::Embeddings => schemars::schema_for!(embeddings::Body),
        Operation::Rerank => schemars::schema_for!(rerank::Body),
        Operation::Images => schemars::schema_for!(images::Body),
        Operation::Speech => schemars::schema_for!(speech::Body),
        Operation::Transcription | Operation::Chat => {
            schemars::schema_for!(transcription::Body)
        }
    };
    let common = schemars::schema_for!(Common).to_value();
    let options = schemars::schema_for!(transcription::Options).to_value();
    let mut all = of.to_value();
    let mut each = vec![common];
    each.extend((operation == Operation::Transcription).then_some(options));
    all["allOf"] = each.into();
    all
}

/// Writes an answer in one piece, which is one to what was asked.
pub fn write(ask: &Ask, answered: &Answered, meta: &Meta, report: &UsageReport) -> Vec<u8> {
    match (ask, &answered.answer) {
        (Ask::Rerank(ask), Answer::Rerank(ranked)) => rerank::write(ask, ranked, meta, report),
        (Ask::Images(ask), Answer::Images(images)) => images::write(ask, images, meta, report),
        (Ask::Transcription(ask), Answer::Transcription(transcript)) => {
            transcription::write(ask, transcript, report)
        }
        (_, Answer::Embeddings(vectors)) => embeddings::write(vectors, meta, report),
        _ => Vec::new(),
    }
}

/// What all operations share.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Default, Deserialize)]
struct Common {
    model: Option<String>,
    models: Option<Vec<String>>,
    provider: Option<Box<RawValue>>,
    max_cost: Option<Box<RawValue>>,
    user: Option<String>,
    session_id: Option<String>,
    trace: Option<Value>,
}

fn envelope(common: Common) -> Result<ChatRequest> {
    let mut models = common.models.unwrap_or_default();
    let model = match common.model {
        Some(model) => model,
        None if models.is_empty() => return Err(Error::invalid("model", "missing field `model`")),
        None => models.remove(0),
    };
    for (name, text) in [("user", &common.user), ("session_id", &common.session_id)] {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > MAX_NAME {
            return Err(Error::invalid(
                name,
                format!("longer than {MAX_NAME} characters"),
            ));
        }
    }
    let trace = common.trace.filter(Value::is_object);
    let extra = trace.map(|trace| ("trace".to_owned(), trace));
    Ok(ChatRequest {
        model,
        models,
        extra: extra.into_iter().collect(),
        provider: common.provider.filter(|raw| raw.get() != "null"),
        max_cost: common.max_cost,
        user: common.user,
        session_id: common.session_id,
        ..ChatRequest::default()
    })
}

/// Reads JSON of a known shape; an error names its path.
fn json<T: DeserializeOwned>(raw: &[u8]) -> Result<T> {
    crate::json::from_slice(raw).map_err(|error| explain(raw, &error))
}

/// A field of a JSON value as text.
fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// Appends what every `usage` ends with: cost and its details.
fn put_cost(object: &mut ObjectWriter<'_>, report: &UsageReport) {
    put_dollars(object.key("cost"), report.cost);
    object.field("is_byok", &report.is_byok);
    let mut details = ObjectWriter::new(object.key("cost_details"));
    put_dollars(details.key("upstream_inference_cost"), report.list_cost);
    details.end();
}

/// An amount as an exact decimal JSON number.
fn put_dollars(out: &mut Vec<u8>, amount: Nanos) {
    out.extend_from_slice(amount.to_string().as_bytes());
}

/// Appends the routing, for a client that wants to be told.
fn put_routing(object: &mut ObjectWriter<'_>, report: &UsageReport) {
    object.optional("openrouter_metadata", report.routing.as_ref());
}
