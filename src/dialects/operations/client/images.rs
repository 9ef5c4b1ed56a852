//! `POST /images`, and `POST /images/generations` as OpenAI's SDKs say it.

use serde::Deserialize;
use serde_json::Value;

use super::{json, put_cost, put_routing, stream::event, text};
use crate::{
    dialects::{
        report::{Meta, UsageReport},
        splice::{ObjectWriter, put_array},
    },
    error::{Error, Result},
    operations::images::{self, Image, Images, MAX_IMAGES, Size, USUAL_SIDE},
};

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Body {
    prompt: String,
    n: Option<u32>,
    size: Option<String>,
    resolution: Option<String>,
    aspect_ratio: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    output_compression: Option<u32>,
    input_references: Option<Vec<Value>>,
    seed: Option<i64>,
    stream: Option<bool>,
    partial_images: Option<u32>,
    response_format: Option<String>,
}

const QUALITIES: [&str; 8] = [
    "auto", "low", "medium", "high", "xhigh", "max", "standard", "hd",
];
/// The most unfinished images of one.
const MAX_PARTIAL: u32 = 3;
const BACKGROUNDS: [&str; 3] = ["auto", "transparent", "opaque"];
const FORMATS: [&str; 5] = ["png", "jpeg", "jpg", "webp", "svg"];

/// Reads the body.
pub fn parse(raw: &[u8]) -> Result<Images> {
    let body: Body = json(raw)?;
    let n = body.n.unwrap_or(1);
    if !(1..=MAX_IMAGES).contains(&n) {
        return Err(Error::invalid("n", format!("expected 1 to {MAX_IMAGES}")));
    }
    if body.partial_images.is_some_and(|count| count > MAX_PARTIAL) {
        let message = format!("expected 0 to {MAX_PARTIAL}");
        return Err(Error::invalid("partial_images", message));
    }
    let as_url = match body.response_format.as_deref() {
        None | Some("b64_json") => false,
        Some("url") => true,
        Some(_) => {
            return Err(Error::invalid(
                "response_format",
                "expected \"b64_json\" or \"url\"",
            ));
        }
    };
    if body.output_compression.is_some_and(|percent| percent > 100) {
        return Err(Error::invalid("output_compression", "expected 0 to 100"));
    }
    one_of("quality", body.quality.as_deref(), &QUALITIES)?;
    one_of("background", body.background.as_deref(), &BACKGROUNDS)?;
    one_of("output_format", body.output_format.as_deref(), &FORMATS)?;
    let is_given = |word: &String| word != "auto";
    let aspect_ratio = body.aspect_ratio.filter(is_given);
    let size = size(
        body.size.filter(is_given).as_deref(),
        body.resolution.filter(is_given).as_deref(),
        aspect_ratio.as_deref(),
    )?;
    Ok(Images {
        prompt: body.prompt,
        n,
        size,
        aspect_ratio,
        quality: body.quality.filter(is_given),
        background: body.background.filter(is_given),
        output_format: body.output_format,
        output_compression: body.output_compression,
        seed: body.seed,
        references: references(body.input_references.unwrap_or_default())?,
        as_url,
        stream: body.stream == Some(true),
        partial_images: body.partial_images,
    })
}

fn one_of(name: &str, word: Option<&str>, words: &[&str]) -> Result<()> {
    match word {
        Some(word) if !words.contains(&word) => {
            let message = format!("expected one of {}", words.join(", "));
            Err(Error::invalid(name, message))
        }
        _ => Ok(()),
    }
}

/// The size that the three fields mean together, where they say one.
fn size(
    size: Option<&str>,
    resolution: Option<&str>,
    aspect_ratio: Option<&str>,
) -> Result<Option<Size>> {
    let shape = match aspect_ratio {
        Some(text) => Some(images::shape(text).ok_or_else(|| {
            Error::invalid("aspect_ratio", "expected a ratio such as 16:9, or auto")
        })?),
        None => None,
    };
    let pixels = size.and_then(Size::parse);
    if let Some(pixels) = pixels {
        let is_same = |shape: (u32, u32)| {
            let (across, down) = (u64::from(pixels.width), u64::from(pixels.height));
            // Within a twentieth: sizes are multiples of something.
            let (a, b) = (across * u64::from(shape.1), down * u64::from(shape.0));
            a.abs_diff(b) * 20 <= a.max(b)
        };
        if resolution.is_some() || !shape.is_none_or(is_same) {
            let message = "a size in pixels contradicts resolution or aspect_ratio";
            return Err(Error::invalid("size", message));
        }
        return Ok(Some(pixels));
    }
    let tier = match (size, resolution) {
        (Some(word), None) => Some(("size", word)),
        (None, Some(word)) => Some(("resolution", word)),
        (Some(size), Some(resolution)) if size == resolution => Some(("size", size)),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("size", "it contradicts resolution"));
        }
        (None, None) => None,
    };
    let Some((name, word)) = tier else {
        return Ok(None);
    };
    let side = match word {
        "512" => 512,
        "768" => 768,
        "1K" => USUAL_SIDE,
        "1.5K" => 1_536,
        "2K" => 2_048,
        "4K" => 4_096,
        _ => {
            let message = "expected a size such as 1024x1024, or one of 512, 768, 1K, 1.5K, 2K, 4K";
            return Err(Error::invalid(name, message));
        }
    };
    let (across, down) = shape.unwrap_or((1, 1));
    Ok(Some(Size::of_shape(side, across, down)))
}

fn references(items: Vec<Value>) -> Result<Vec<String>> {
    let one = |(at, item): (usize, Value)| {
        let object = item.as_object();
        let inner = object.and_then(|object| object.get("image_url"));
        let url = match inner {
            Some(Value::String(url)) => Some(url.as_str()),
            Some(Value::Object(inner)) => text(inner, "url"),
            _ => None,
        };
        url.map(str::to_owned).ok_or_else(|| {
            let path = format!("input_references[{at}].image_url");
            Error::invalid(path, "expected the address of an image or a data: URL")
        })
    };
    items.into_iter().enumerate().map(one).collect()
}

/// Writes the answer.
pub fn write(ask: &Images, made: &[Image], meta: &Meta, report: &UsageReport) -> Vec<u8> {
    let length = |image: &Image| image.base64().map_or(0, str::len) + 64;
    let length: usize = made.iter().map(length).sum();
    let mut body = Vec::with_capacity(length + 512);
    let mut object = ObjectWriter::new(&mut body);
    object.field("id", &meta.id);
    object.field("created", &meta.created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    put_array(object.key("data"), made, |out, image| {
        let mut item = ObjectWriter::new(out);
        put_image(&mut item, ask, image);
        item.end();
    });
    put_usage(&mut object, report, false);
    put_routing(&mut object, report);
    object.end();
    body
}

fn put_image(item: &mut ObjectWriter<'_>, ask: &Images, image: &Image) {
    match image {
        Image::Address(url) => item.field("url", url),
        Image::Inline { base64, mime } if ask.as_url => {
            item.field("url", &format!("data:{mime};base64,{base64}"));
        }
        Image::Inline { base64, .. } => item.field("b64_json", base64),
    }
    item.optional("media_type", image.mime());
}

/// `as_event`: OpenAI's events call tokens otherwise than answers in one piece do here; both names are told.
fn put_usage(object: &mut ObjectWriter<'_>, report: &UsageReport, as_event: bool) {
    let usage = &report.usage;
    let mut counts = ObjectWriter::new(object.key("usage"));
    counts.field("prompt_tokens", &usage.prompt);
    counts.field("completion_tokens", &usage.completion);
    counts.field("total_tokens", &usage.total());
    if as_event {
        counts.field("input_tokens", &usage.prompt);
        counts.field("output_tokens", &usage.completion);
    }
    put_cost(&mut counts, report);
    let mut details = ObjectWriter::new(counts.key("completion_tokens_details"));
    details.field("image_tokens", &usage.image_out);
    details.end();
    counts.end();
}

/// Appends the event of an unfinished image.
pub fn put_partial(out: &mut Vec<u8>, ask: &Images, index: u32, image: &Image, meta: &Meta) {
    let name = "image_generation.partial_image";
    event(out, name, |object| {
        put_image(object, ask, image);
        object.field("partial_image_index", &index);
        object.field("created_at", &meta.created);
    });
}

/// Appends the events of finished images; the last one tells what all of them used.
pub fn put_completed(
    out: &mut Vec<u8>,
    ask: &Images,
    made: &[Image],
    meta: &Meta,
    report: &UsageReport,
) {
    for (at, image) in made.iter().enumerate() {
        event(out, "image_generation.completed", |object| {
            put_image(object, ask, image);
            object.field("created_at", &meta.created);
            object.field("id", &meta.id);
            object.field("model", &meta.model);
            object.field("provider", &meta.provider);
            if at + 1 == made.len() {
                put_usage(object, report, true);
                put_routing(object, report);
            }
        });
    }
}
