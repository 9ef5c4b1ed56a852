//! Images: `:generateContent` of the Gemini models that paint, one call an image; `:predict` of the Imagen models.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{images, post, put, read, unsayable};
use crate::{
    catalog::{OperationQuirk, OperationWire},
    chat::Usage,
    dialects::NativeRequest,
    error::{Error, ErrorType, Result},
    operations::{Answer, Answered, images::Images},
};

/// Writes the calls.
pub fn requests(ask: &Images, wire: &OperationWire, id: &str) -> Result<Vec<NativeRequest>> {
    let shape = ask.size.map(|size| size.shape());
    let shape = ask.aspect_ratio.clone().or(shape);
    if wire.has(OperationQuirk::Predict) {
        return predict(ask, shape, id).map(|call| vec![call]);
    }
    let mut parts = vec![json!({"text": ask.prompt})];
    for (at, url) in ask.references.iter().enumerate() {
        parts.push(reference(url).ok_or_else(|| {
            unsayable(
                &format!("input_references[{at}]"),
                "This provider takes images as data: URLs only",
            )
        })?);
    }
    let mut config = Map::new();
    config.insert("responseModalities".into(), json!(["TEXT", "IMAGE"]));
    if let Some(shape) = shape {
        config.insert("imageConfig".into(), json!({"aspectRatio": shape}));
    }
    put(&mut config, "seed", ask.seed);
    let mut body = Map::new();
    body.insert("contents".into(), json!([{"role": "user", "parts": parts}]));
    body.insert("generationConfig".into(), config.into());
    let call = post(format!("/models/{id}:generateContent"), body);
    let times = usize::try_from(ask.n.max(1)).unwrap_or(1);
    Ok(vec![call; times])
}

fn reference(url: &str) -> Option<Value> {
    let (mime, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some(json!({"inlineData": {"mimeType": mime, "data": data}}))
}

fn predict(ask: &Images, shape: Option<String>, id: &str) -> Result<NativeRequest> {
    if !ask.references.is_empty() {
        return Err(unsayable(
            "input_references",
            "This model makes images of a prompt only",
        ));
    }
    let mut parameters = Map::new();
    parameters.insert("sampleCount".into(), ask.n.max(1).into());
    put(&mut parameters, "aspectRatio", shape);
    let mut body = Map::new();
    body.insert("instances".into(), json!([{"prompt": ask.prompt}]));
    body.insert("parameters".into(), parameters.into());
    Ok(post(format!("/models/{id}:predict"), body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(default)]
    predictions: Vec<Prediction>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Counts>,
    response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    inline_data: Option<Inline>,
}

#[derive(Deserialize)]
struct Inline {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    bytes_base64_encoded: Option<String>,
    rai_filtered_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

/// Words of an answer that was withheld for what it shows.
const WITHHELD: [&str; 5] = [
    "SAFETY",
    "IMAGE_SAFETY",
    "PROHIBITED_CONTENT",
    "IMAGE_PROHIBITED_CONTENT",
    "BLOCKLIST",
];

/// Reads the answer.
pub fn answer(body: &[u8], _ask: &Images) -> Result<Answered> {
    let body: Body = read(body)?;
    let painted = body
        .candidates
        .iter()
        .flat_map(|one| &one.content)
        .flat_map(|one| &one.parts);
    let painted = painted.filter_map(|part| part.inline_data.as_ref().map(|one| one.data.as_str()));
    let predicted = body
        .predictions
        .iter()
        .filter_map(|one| one.bytes_base64_encoded.as_deref());
    let found = images(painted.chain(predicted));
    if found.is_empty() {
        let finish = body
            .candidates
            .iter()
            .find_map(|one| one.finish_reason.as_deref());
        let filtered = body
            .predictions
            .iter()
            .find_map(|one| one.rai_filtered_reason.as_deref());
        let blocked = body.prompt_feedback.and_then(|one| one.block_reason);
        let finish = finish.filter(|word| WITHHELD.contains(word));
        if let Some(why) = blocked.as_deref().or(filtered).or(finish) {
            let message = format!("The provider refused to make this image: {why}");
            let mut error = Error::upstream(ErrorType::ContentPolicyViolation, message);
            error.provider_code = finish.map(str::to_owned);
            return Err(error);
        }
    }
    let counts = body.usage_metadata;
    let written = counts
        .as_ref()
        .and_then(|counts| counts.candidates_token_count);
    let thought = counts
        .as_ref()
        .and_then(|counts| counts.thoughts_token_count);
    let prompt = counts.and_then(|counts| counts.prompt_token_count);
    Ok(Answered {
        answer: Answer::Images(found),
        usage: Usage {
            prompt: prompt.unwrap_or(0),
            prompt_unknown: prompt.is_none(),
            completion: written.unwrap_or(0).saturating_add(thought.unwrap_or(0)),
            reasoning: thought.unwrap_or(0),
            image_out: written.unwrap_or(0),
            ..Usage::default()
        },
        upstream_id: body.response_id,
    })
}
