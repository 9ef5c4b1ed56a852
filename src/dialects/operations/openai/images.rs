//! Images: `POST /images/generations`, and `/images/edits` with images to start from.
//!
//! Base64 is asked for: an address at a provider would be gone, or out of the client's reach, when it is looked up. Some hosts
//! answer with addresses all the same.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{post, put, read, unsayable},
    Counts,
};
use crate::{
    catalog::{OperationQuirk, OperationWire},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        images::{Image, Images},
    },
};

/// Unfinished images for a client that wants a stream and does not say how many: each costs.
const USUAL_PARTIAL: u32 = 1;

/// Writes the request for `n` of the images.
pub fn request(ask: &Images, n: u32, wire: &OperationWire, id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    body.insert("prompt".into(), ask.prompt.as_str().into());
    if n != 1 {
        body.insert("n".into(), n.into());
    }
    let has_shape = ask.size.is_some() || ask.aspect_ratio.is_some();
    let size = ask.pixels();
    if wire.has(OperationQuirk::AspectRatio) {
        let shape = ask.size.map(|size| size.shape());
        put(
            &mut body,
            "aspect_ratio",
            ask.aspect_ratio.clone().or(shape),
        );
    } else if wire.has(OperationQuirk::WidthAndHeight) && has_shape {
        body.insert("width".into(), size.width.into());
        body.insert("height".into(), size.height.into());
    } else if has_shape {
        let size = match ask.size {
            Some(size) => size.to_string(),
            None => nearest(size.width, size.height).to_owned(),
        };
        body.insert("size".into(), size.into());
    }
    let mut dropped = Vec::new();
    if wire.has(OperationQuirk::ImageFinish) {
        put(&mut body, "quality", quality(ask));
        put(&mut body, "background", ask.background.clone());
        put(&mut body, "output_format", ask.output_format.clone());
        put(&mut body, "output_compression", ask.output_compression);
    } else {
        let finish = [
            ("quality", ask.quality.is_some()),
            ("background", ask.background.is_some()),
            ("output_format", ask.output_format.is_some()),
            ("output_compression", ask.output_compression.is_some()),
        ];
        dropped.extend(
            finish
                .iter()
                .filter(|(_, is_sent)| *is_sent)
                .map(|(name, _)| *name),
        );
        put(&mut body, "seed", ask.seed);
    }
    if !wire.has(OperationQuirk::AlwaysBase64) {
        let word = if wire.has(OperationQuirk::Base64Word) {
            "base64"
        } else {
            "b64_json"
        };
        body.insert("response_format".into(), word.into());
    }
    let path = if ask.references.is_empty() {
        "/images/generations"
    } else if wire.has(OperationQuirk::ImageEdits) {
        body.insert("images".into(), references(ask, wire));
        "/images/edits"
    } else {
        return Err(unsayable(
            "input_references",
            "This provider makes images of a prompt only",
        ));
    };
    // Of several images the events could not be told apart.
    if ask.stream && ask.n <= 1 && wire.has(OperationQuirk::StreamedImages) {
        body.insert("stream".into(), true.into());
        let partial = ask.partial_images.unwrap_or(USUAL_PARTIAL);
        body.insert("partial_images".into(), partial.into());
    }
    let mut request = post(path, body);
    request.dropped = dropped;
    Ok(request)
}

fn references(ask: &Images, wire: &OperationWire) -> Value {
    let one = |url: &String| {
        if wire.has(OperationQuirk::AspectRatio) {
            json!({"type": "image_url", "url": url})
        } else {
            json!({"image_url": url})
        }
    };
    ask.references.iter().map(one).collect()
}

/// Sizes come from a short list here: the one of the same orientation.
fn nearest(width: u32, height: u32) -> &'static str {
    if width.saturating_mul(5) > height.saturating_mul(6) {
        "1536x1024"
    } else if height.saturating_mul(5) > width.saturating_mul(6) {
        "1024x1536"
    } else {
        "1024x1024"
    }
}

fn quality(ask: &Images) -> Option<&str> {
    ask.quality.as_deref().map(|word| match word {
        "hd" | "xhigh" | "max" => "high",
        "standard" => "medium",
        word => word,
    })
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    data: Option<Vec<Item>>,
    /// Hyperbolic.
    images: Option<Vec<Item>>,
    #[serde(borrow)]
    usage: Option<Counts<'a>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "image", alias = "image_base64")]
    b64_json: Option<String>,
    url: Option<String>,
}

impl Item {
    /// The image, where there is one that can be shown.
    fn image(&self) -> Option<Image> {
        let inline = self.b64_json.as_deref().and_then(Image::decode);
        let url = self.url.as_deref();
        inline.or_else(|| match url {
            Some(url) if url.starts_with("data:") => Image::decode(url),
            url => url.and_then(Image::at),
        })
    }
}

/// Reads the answer.
pub fn answer(body: &[u8], _ask: &Images) -> Result<Answered> {
    let body: Body<'_> = read(body)?;
    let items = body.data.or(body.images).unwrap_or_default();
    let found = items.iter().filter_map(Item::image).collect();
    let mut usage = body.usage.unwrap_or_default().usage();
    usage.image_out = usage.completion;
    Ok(Answered {
        answer: Answer::Images(found),
        usage,
        upstream_id: body.id,
    })
}

/// Reads the event of a finished image.
pub fn completed(event: &[u8]) -> Result<Answered> {
    #[derive(Deserialize)]
    struct Counted<'a> {
        #[serde(borrow)]
        usage: Option<Counts<'a>>,
    }
    let item: Item = read(event)?;
    let Counted { usage } = read(event)?;
    let mut usage = usage.unwrap_or_default().usage();
    usage.image_out = usage.completion;
    Ok(Answered {
        answer: Answer::Images(item.image().into_iter().collect()),
        usage,
        upstream_id: None,
    })
}
