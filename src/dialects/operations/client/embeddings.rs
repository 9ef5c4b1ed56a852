//! `POST /embeddings`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{json, put_cost, put_routing, text};
use crate::{
    chat::{Media, Part},
    dialects::{
        report::{Meta, UsageReport},
        splice::{ObjectWriter, put_array},
    },
    error::{Error, Result},
    operations::embeddings::{Embeddings, Encoding, Input, Vector},
};

/// The most inputs of one request.
const MAX_INPUTS: usize = 8_192;

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Body {
    input: Value,
    dimensions: Option<u32>,
    encoding_format: Option<String>,
    input_type: Option<String>,
}

/// Reads the body.
pub fn parse(raw: &[u8]) -> Result<Embeddings> {
    let body: Body = json(raw)?;
    let encoding = match body.encoding_format.as_deref() {
        None | Some("float") => Encoding::Numbers,
        Some("base64") => Encoding::Base64,
        Some(_) => {
            return Err(Error::invalid(
                "encoding_format",
                "expected \"float\" or \"base64\"",
            ));
        }
    };
    if body.dimensions == Some(0) {
        return Err(Error::invalid("dimensions", "expected at least 1"));
    }
    let inputs = inputs(body.input)?;
    if inputs.is_empty() {
        return Err(Error::invalid("input", "there is nothing to embed"));
    }
    if inputs.len() > MAX_INPUTS {
        return Err(Error::invalid(
            "input",
            format!("more than {MAX_INPUTS} inputs"),
        ));
    }
    Ok(Embeddings {
        inputs,
        dimensions: body.dimensions,
        encoding,
        input_type: body.input_type,
    })
}

fn inputs(input: Value) -> Result<Vec<Input>> {
    match input {
        Value::String(text) => Ok(vec![Input::Text(text)]),
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            Ok(vec![Input::Tokens(tokens("input", items)?)])
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(at, item)| one(&format!("input[{at}]"), item))
                .collect()
        }
        _ => Err(Error::invalid("input", "expected a string or an array")),
    }
}

fn one(path: &str, item: Value) -> Result<Input> {
    match item {
        Value::String(text) => Ok(Input::Text(text)),
        Value::Array(items) => Ok(Input::Tokens(tokens(path, items)?)),
        Value::Object(mut object) => {
            let Some(Value::Array(parts)) = object.remove("content") else {
                let path = format!("{path}.content");
                return Err(Error::invalid(path, "expected an array of content parts"));
            };
            let parts = parts.iter().enumerate();
            let parts = parts.map(|(at, value)| {
                let path = format!("{path}.content[{at}]");
                let object = value.as_object();
                let object = object.ok_or_else(|| Error::invalid(&path, "expected an object"))?;
                part(&path, object)
            });
            let parts = parts.collect::<Result<Vec<_>>>()?;
            if parts.is_empty() {
                return Err(Error::invalid(format!("{path}.content"), "it is empty"));
            }
            Ok(Input::Parts(parts))
        }
        _ => Err(Error::invalid(
            path,
            "expected a string, an array of tokens or an object",
        )),
    }
}

fn tokens(path: &str, items: Vec<Value>) -> Result<Vec<u32>> {
    let token = |(at, item): (usize, Value)| {
        let token = item.as_u64().and_then(|token| u32::try_from(token).ok());
        token.ok_or_else(|| Error::invalid(format!("{path}[{at}]"), "expected a token"))
    };
    items.into_iter().enumerate().map(token).collect()
}

fn part(path: &str, object: &Map<String, Value>) -> Result<Part> {
    let missing =
        |key: &str| Error::invalid(format!("{path}.{key}"), "missing, or of the wrong type");
    // The value stands under the part's own type, or under its address' usual name.
    let source = |keys: &[&str]| -> Result<Media> {
        let found = keys.iter().find_map(|key| object.get(*key));
        let url = match found {
            Some(Value::String(url)) => Some(url.as_str()),
            Some(Value::Object(inner)) => ["url", "data", "file_data"]
                .iter()
                .find_map(|key| text(inner, key)),
            _ => None,
        };
        url.map(media)
            .ok_or_else(|| missing(keys.first().copied().unwrap_or_default()))
    };
    match text(object, "type").unwrap_or_default() {
        "text" | "input_text" => {
            let text = text(object, "text").ok_or_else(|| missing("text"))?;
            Ok(Part::text(text))
        }
        "image_url" | "input_image" => Ok(Part::Image {
            media: source(&["image_url", "input_image"])?,
            detail: None,
            cache: None,
        }),
        "input_video" | "video_url" => Ok(Part::Video {
            media: source(&["input_video", "video_url"])?,
        }),
        "input_file" | "file" => Ok(Part::File {
            filename: None,
            media: source(&["input_file", "file"])?,
            cache: None,
        }),
        "input_audio" => {
            let audio = object.get("input_audio").and_then(Value::as_object);
            let field = |key: &str| audio.and_then(|audio| text(audio, key)).map(str::to_owned);
            Ok(Part::Audio {
                data: field("data").ok_or_else(|| missing("input_audio.data"))?,
                format: field("format").ok_or_else(|| missing("input_audio.format"))?,
            })
        }
        _ => Err(missing("type")),
    }
}

/// An address, or the bytes of a `data:` URL.
fn media(url: &str) -> Media {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((mime, data)) => Media::Inline {
            mime: mime.to_owned(),
            data: data.to_owned(),
        },
        None => Media::Url(url.to_owned()),
    }
}

/// Writes the answer.
pub fn write(vectors: &[Vector], meta: &Meta, report: &UsageReport) -> Vec<u8> {
    let length: usize = vectors.iter().map(|one| one.text().len() + 64).sum();
    let mut body = Vec::with_capacity(length + 512);
    let mut object = ObjectWriter::new(&mut body);
    object.field("id", &meta.id);
    object.field("object", "list");
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    put_array(
        object.key("data"),
        vectors.iter().enumerate(),
        |out, (at, vector)| {
            let mut item = ObjectWriter::new(out);
            item.field("object", "embedding");
            item.field("index", &at);
            match vector {
                Vector::Numbers(numbers) => item.raw("embedding", numbers.get()),
                Vector::Base64(text) | Vector::Bytes(text) => item.field("embedding", text),
            }
            item.end();
        },
    );
    let mut usage = ObjectWriter::new(object.key("usage"));
    usage.field("prompt_tokens", &report.usage.prompt);
    usage.field("total_tokens", &report.usage.prompt);
    put_cost(&mut usage, report);
    usage.end();
    put_routing(&mut object, report);
    object.end();
    body
}
