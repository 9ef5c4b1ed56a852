//! How are operations beside conversation spelt? One folder per wire format, one file per operation in it, and `client/` for ours.
//!
//! Each file has `request` (canonical → native) and `answer` (native → canonical). A request that is more than a provider takes
//! at once becomes several; their answers are joined in order.
//! Out of scope: who is asked (`routing`), sending (`relay`), what an error answer means (the chat dialects' `error`).

pub mod client;
mod cohere;
mod google;
pub mod multipart;
mod openai;
pub mod stream;
mod voyage;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, value::RawValue};

use super::{NativeRequest, Target};
use crate::{
    catalog::{Dialect, Endpoint, OperationDialect, OperationWire},
    chat::Usage,
    credits::pricing::Price,
    error::{Error, ErrorType, Next, Result},
    operations::{
        Answer, Answered, Ask,
        embeddings::{Input, Vector},
        images::Image,
        rerank::{Document, Ranked, Rerank},
    },
};

/// How the target's provider wants to be asked.
///
/// # Errors
/// When it cannot be asked at all.
pub fn wire(ask: &Ask, target: &Target<'_>) -> Result<OperationWire> {
    let wire = target.provider.wire(ask.operation());
    let wire = wire.ok_or_else(|| unsayable("model", "This provider serves no such operation"))?;
    Ok(wire.into_owned())
}

/// The chat dialect whose errors this provider's look like.
pub fn error_dialect(ask: &Ask, target: &Target<'_>) -> Dialect {
    wire(ask, target).map_or(Dialect::OpenaiChat, |wire| wire.dialect.of_errors())
}

/// Writes a request as this target wants it: one call, or several whose answers belong together.
///
/// # Errors
/// When the request cannot be said to this target; another may understand it.
pub fn requests(ask: &Ask, target: &Target<'_>) -> Result<Vec<NativeRequest>> {
    let wire = wire(ask, target)?;
    let id = target.endpoint.upstream_model_id.as_str();
    let one = |request: Result<NativeRequest>| request.map(|request| vec![request]);
    match ask {
        Ask::Embeddings(ask) => {
            let most = wire.max_inputs.unwrap_or(usize::MAX).max(1);
            let calls = ask.inputs.chunks(most).map(|inputs| match wire.dialect {
                OperationDialect::Openai => openai::embeddings::request(ask, inputs, &wire, id),
                OperationDialect::Cohere => cohere::embeddings::request(ask, inputs, id),
                OperationDialect::Google => google::embeddings::request(ask, inputs, &wire, id),
                OperationDialect::Voyage => voyage::embeddings::request(ask, inputs, id),
            });
            calls.collect()
        }
        Ask::Rerank(ask) => {
            if wire
                .max_inputs
                .is_some_and(|most| ask.documents.len() > most)
            {
                // Scores of two calls could not be compared.
                return Err(unsayable(
                    "documents",
                    "This provider takes fewer documents",
                ));
            }
            one(match wire.dialect {
                OperationDialect::Openai => openai::rerank::request(ask, id),
                OperationDialect::Cohere => cohere::rerank::request(ask, id),
                OperationDialect::Voyage => voyage::rerank::request(ask, id),
                OperationDialect::Google => Err(unsayable("model", "Google ranks no documents")),
            })
        }
        Ask::Images(ask) => match wire.dialect {
            OperationDialect::Openai => {
                let most = wire.max_inputs.and_then(|most| u32::try_from(most).ok());
                let most = most.unwrap_or(u32::MAX).max(1);
                let full = (0..ask.n / most).map(|_| most);
                let rest = Some(ask.n % most).filter(|rest| *rest > 0);
                let calls = full.chain(rest);
                calls
                    .map(|n| openai::images::request(ask, n, &wire, id))
                    .collect()
            }
            OperationDialect::Google => google::images::requests(ask, &wire, id),
            OperationDialect::Cohere | OperationDialect::Voyage => {
                Err(unsayable("model", "This provider makes no images"))
            }
        },
        Ask::Speech(ask) => one(match wire.dialect {
            OperationDialect::Openai => openai::speech::request(ask, &wire, id),
            _ => Err(unsayable("model", "This provider does not speak")),
        }),
        Ask::Transcription(ask) => one(match wire.dialect {
            OperationDialect::Openai => {
                openai::transcription::request(ask, &wire, target.endpoint, id)
            }
            OperationDialect::Cohere => cohere::transcription::request(ask, id),
            _ => Err(unsayable("model", "This provider does not listen")),
        }),
    }
}

/// Reads what a provider answered to [`requests`], body by body.
///
/// # Errors
/// When a body is no answer, or one to another request.
pub fn answer(ask: &Ask, target: &Target<'_>, bodies: &[Vec<u8>]) -> Result<Answered> {
    let wire = wire(ask, target)?;
    let mut joined: Option<Answered> = None;
    for body in bodies {
        let read = match (ask, wire.dialect) {
            (Ask::Embeddings(_), OperationDialect::Openai) => {
                openai::embeddings::answer(body, &wire)
            }
            (Ask::Embeddings(_), OperationDialect::Cohere) => cohere::embeddings::answer(body),
            (Ask::Embeddings(_), OperationDialect::Google) => google::embeddings::answer(body),
            (Ask::Embeddings(_), OperationDialect::Voyage) => voyage::embeddings::answer(body),
            (Ask::Rerank(ask), _) => openai::rerank::answer(body, ask),
            (Ask::Images(ask), OperationDialect::Google) => google::images::answer(body, ask),
            (Ask::Images(ask), _) => openai::images::answer(body, ask),
            (Ask::Transcription(_), _) => openai::transcription::answer(body),
            (Ask::Speech(ask), _) => openai::speech::answer(body, ask),
        }?;
        joined = Some(match joined {
            None => read,
            Some(before) => join(before, read),
        });
    }
    let answered = joined.ok_or_else(|| Error::internal("no body to read"))?;
    finished(ask, target, answered)
}

/// Checks an answer that came as events, and fills in what the provider did not count.
///
/// # Errors
/// When it is no answer to the request.
pub fn streamed(ask: &Ask, target: &Target<'_>, reader: stream::Reader) -> Result<Answered> {
    finished(ask, target, reader.whole()?)
}

/// Images that were left out of an answer are not charged.
pub fn recount(ask: &Ask, answered: &mut Answered) {
    if let (Ask::Images(ask), Answer::Images(images)) = (ask, &answered.answer) {
        let made = u64::try_from(images.len()).unwrap_or(u64::MAX);
        answered.usage.units = ask.units(made);
    }
}

fn finished(ask: &Ask, target: &Target<'_>, mut answered: Answered) -> Result<Answered> {
    check(ask, &answered.answer)?;
    if let (Ask::Embeddings(ask), Answer::Embeddings(vectors)) = (ask, &mut answered.answer) {
        let encoded = std::mem::take(vectors)
            .into_iter()
            .map(|one| one.encoded(ask.encoding));
        let encoded = encoded.collect::<Option<_>>();
        *vectors = encoded.ok_or_else(|| unusable("The provider sent a vector that is none"))?;
    }
    complete(ask, target.endpoint, &mut answered);
    Ok(answered)
}

fn join(before: Answered, after: Answered) -> Answered {
    let answer = match (before.answer, after.answer) {
        (Answer::Embeddings(mut all), Answer::Embeddings(more)) => {
            all.extend(more);
            Answer::Embeddings(all)
        }
        (Answer::Images(mut all), Answer::Images(more)) => {
            all.extend(more);
            Answer::Images(all)
        }
        (_, last) => last,
    };
    let (a, b) = (before.usage, after.usage);
    Answered {
        answer,
        usage: Usage {
            prompt: a.prompt.saturating_add(b.prompt),
            completion: a.completion.saturating_add(b.completion),
            image_out: a.image_out.saturating_add(b.image_out),
            units: a.units.plus(&b.units),
            upstream_cost: a
                .upstream_cost
                .zip(b.upstream_cost)
                .map(|(a, b)| a.saturating_add(b)),
            estimated: a.estimated || b.estimated,
            prompt_unknown: a.prompt_unknown || b.prompt_unknown,
            ..a
        },
        upstream_id: before.upstream_id.or(after.upstream_id),
    }
}

/// Fills in what the provider did not count: what is sold here is estimated, the rest stays unknown.
fn complete(ask: &Ask, endpoint: &Endpoint, answered: &mut Answered) {
    let expected = ask.expected();
    let usage = &mut answered.usage;
    let made = match &answered.answer {
        Answer::Images(images) => u64::try_from(images.len()).unwrap_or(u64::MAX),
        _ => 0,
    };
    if let Ask::Images(ask) = ask {
        usage.units = ask.units(made);
    }
    if usage.units.searches == 0 {
        usage.units.searches = expected.units.searches;
    }
    if matches!(ask, Ask::Transcription(_)) && usage.units.audio_in_ms == 0 {
        usage.units.audio_in_ms = expected.units.audio_in_ms;
        let hour = endpoint
            .prices
            .units
            .as_ref()
            .and_then(|units| units.audio_in_hour);
        usage.estimated |= hour.is_some();
    }
    let is_unknown = std::mem::take(&mut usage.prompt_unknown);
    let prices = &endpoint.prices;
    if is_unknown && (prices.prompt > Price::FREE || prices.completion > Price::FREE) {
        usage.estimated = true;
        usage.prompt = expected.prompt;
        usage.audio_in = expected.audio_in;
        if let Ask::Images(ask) = ask
            && usage.completion == 0
        {
            usage.completion = expected.completion.saturating_mul(made) / u64::from(ask.n.max(1));
            usage.image_out = usage.completion;
        }
    }
}

/// Whether the answer is one to this request.
fn check(ask: &Ask, answer: &Answer) -> Result<()> {
    match (ask, answer) {
        (Ask::Embeddings(ask), Answer::Embeddings(vectors))
            if vectors.len() != ask.inputs.len() =>
        {
            let (asked, got) = (ask.inputs.len(), vectors.len());
            return Err(unusable(format!(
                "The provider answered {asked} inputs with {got} vectors"
            )));
        }
        (Ask::Images(_), Answer::Images(images)) if images.is_empty() => {
            return Err(unusable("The provider's answer has no image in it"));
        }
        _ => {}
    }
    Ok(())
}

/// This target cannot be asked for that; another may.
fn unsayable(param: &str, message: impl Into<String>) -> Error {
    let mut error = Error::invalid(param, message);
    error.next = Next::NextAttempt;
    error
}

/// The provider's answer is no answer.
fn unusable(message: impl Into<String>) -> Error {
    Error::upstream(ErrorType::ProviderUnavailable, message)
}

/// Reads a body as JSON of a shape; an error under status 200 is that error.
fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let inside = body
        .trim_ascii_start()
        .strip_prefix(b"{")
        .unwrap_or_default();
    if inside.trim_ascii_start().starts_with(b"\"error\"") {
        return Err(super::error(Dialect::OpenaiChat, 502, body));
    }
    crate::json::from_slice(body).map_err(|error| {
        unusable(format!("The provider's answer cannot be read: {error}")).with_raw(body)
    })
}

/// A JSON request.
fn post(path: impl Into<String>, body: Map<String, Value>) -> NativeRequest {
    NativeRequest {
        path: path.into(),
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        dropped: Vec::new(),
    }
}

/// Puts a field into a body where there is a value.
fn put(body: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(key.to_owned(), value.into());
    }
}

/// The inputs as texts, where all of them are.
fn texts(inputs: &[Input]) -> Option<Vec<&str>> {
    let mut texts = Vec::with_capacity(inputs.len());
    for input in inputs {
        match input {
            Input::Text(text) => texts.push(text.as_str()),
            Input::Tokens(_) | Input::Parts(_) => return None,
        }
    }
    Some(texts)
}

/// The texts of the documents, where none has an image.
fn documents(ask: &Rerank) -> Result<Vec<&str>> {
    let text = |(at, one): (usize, &'_ Document)| match (&one.text, &one.image) {
        (Some(_), None) => Ok(()),
        _ => Err(unsayable(
            &format!("documents[{at}].image"),
            "This provider ranks texts only",
        )),
    };
    ask.documents.iter().enumerate().try_for_each(text)?;
    let texts = ask.documents.iter().filter_map(|one| one.text.as_deref());
    Ok(texts.collect())
}

/// A vector as a provider spells it: numbers, or base64.
fn vector(json: &RawValue, is_bytes: bool) -> Result<Vector> {
    let text = json.get();
    if text.starts_with('[') {
        return Ok(Vector::Numbers(json.to_owned()));
    }
    let text: String = crate::json::from_str(text)
        .map_err(|_| unusable("The provider sent neither numbers nor base64 for a vector"))?;
    Ok(if is_bytes {
        Vector::Bytes(text)
    } else {
        Vector::Base64(text)
    })
}

/// Images that can be shown; the others are left out.
fn images<'a>(found: impl IntoIterator<Item = &'a str>) -> Vec<Image> {
    found.into_iter().filter_map(Image::decode).collect()
}

/// Documents in the provider's order; a place that the request has no document for is no answer.
fn ranked(ask: &Rerank, mut found: Vec<Ranked>) -> Result<Answer> {
    if found.iter().any(|one| one.index >= ask.documents.len()) {
        return Err(unusable(
            "The provider ranked a document that it was not given",
        ));
    }
    let score = |one: &Ranked| one.score.as_f64().unwrap_or(f64::NEG_INFINITY);
    found.sort_by(|a, b| score(b).total_cmp(&score(a)));
    if let Some(top) = ask.top_n.and_then(|top| usize::try_from(top).ok()) {
        found.truncate(top);
    }
    Ok(Answer::Rerank(found))
}
