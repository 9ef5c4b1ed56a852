//! Images and documents: what Anthropic takes, and a 400 with the field's path for what it does not.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::native::{Block, CacheControl, Source};
use crate::{
    chat::Media,
    error::{Error, Next, Result},
};

const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Padding is optional: clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The request asks for something that this dialect has no form for; another endpoint may take it.
pub(super) fn unsupported(path: String, message: impl Into<String>) -> Error {
    let mut error = Error::invalid(path, message);
    error.next = Next::NextAttempt;
    error
}

/// An image.
pub(super) fn image<'a>(
    media: &'a Media,
    cache_control: Option<CacheControl>,
    path: &str,
) -> Result<Block<'a>> {
    let source = match media {
        Media::Inline { mime, data } => match image_type(mime) {
            Some(media_type) => Source::Base64 { media_type, data },
            None => {
                return Err(unsupported(
                    format!("{path}.image_url.url"),
                    format!("{mime} images are not supported: expected JPEG, PNG, GIF or WebP"),
                ));
            }
        },
        Media::Url(url) => address(url, || format!("{path}.image_url.url"))?,
        Media::FileId(file_id) => Source::File { file_id },
    };
    Ok(Block::Image {
        source,
        cache_control,
    })
}

/// A document; an image sent as a file is an image.
pub(super) fn document<'a>(
    media: &'a Media,
    title: Option<&'a str>,
    cache_control: Option<CacheControl>,
    path: &str,
) -> Result<Block<'a>> {
    let here = || format!("{path}.file.file_data");
    let source = match media {
        Media::Inline { mime, data } => {
            let essence = mime.split(';').next().unwrap_or_default().trim();
            if let Some(media_type) = image_type(essence) {
                return Ok(Block::Image {
                    source: Source::Base64 { media_type, data },
                    cache_control,
                });
            }
            match essence {
                "application/pdf" => Source::Base64 {
                    media_type: Cow::Borrowed("application/pdf"),
                    data,
                },
                text if text.starts_with("text/") || text == "application/json" => Source::Text {
                    media_type: "text/plain",
                    data: plain_text(data, here)?,
                },
                other => {
                    return Err(unsupported(
                        here(),
                        format!("{other} documents are not supported: expected PDF or text"),
                    ));
                }
            }
        }
        Media::Url(url) => address(url, here)?,
        Media::FileId(file_id) => Source::File { file_id },
    };
    Ok(Block::Document {
        source,
        title: title.filter(|title| !title.is_empty()),
        cache_control,
    })
}

/// The type of an image that is taken, in the API's spelling.
fn image_type(mime: &str) -> Option<Cow<'_, str>> {
    if mime.eq_ignore_ascii_case("image/jpg") {
        return Some(Cow::Borrowed("image/jpeg"));
    }
    let known = IMAGES.iter().find(|known| mime.eq_ignore_ascii_case(known));
    known.map(|known| Cow::Borrowed(*known))
}

fn address(url: &str, path: impl Fn() -> String) -> Result<Source<'_>> {
    if url.starts_with("https://") {
        return Ok(Source::Url { url });
    }
    Err(unsupported(
        path(),
        "only https: addresses and data: URLs are supported",
    ))
}

fn plain_text(data: &str, path: impl Fn() -> String) -> Result<String> {
    let bytes = BASE64
        .decode(data.trim())
        .map_err(|_| Error::invalid(path(), "expected base64"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unsupported(path(), "expected a text document in UTF-8"))?;
    if text.trim().is_empty() {
        return Err(Error::invalid(path(), "the document is empty"));
    }
    Ok(text)
}
