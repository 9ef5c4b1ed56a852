//! Images, documents, sound and films → `inlineData` and `fileData`.
//!
//! What can be sent: bytes of the types that Gemini reads, and addresses that Gemini fetches itself: YouTube, `gs:`, files of
//! its own Files API, and public `https:` addresses (recorded with Gemini 2.5; older models answer 400). The gateway fetches
//! nothing. Spec: <https://ai.google.dev/gemini-api/docs/file-input-methods>

use std::borrow::Cow;

use super::body::PartData;
use crate::{
    chat::{Media, Part},
    error::{Error, Result},
};

/// Converts a part that holds media; `path` leads to the part in the client's request.
///
/// # Errors
/// When Gemini cannot read it, with the path of the field at fault (P108).
pub(super) fn data<'a>(part: &'a Part, path: &str) -> Result<Option<PartData<'a>>> {
    let (media, field, filename) = match part {
        Part::Image { media, .. } => (media, "image_url.url", None),
        Part::Video { media } => (media, "video_url.url", None),
        Part::File {
            media, filename, ..
        } => (media, "file.file_data", filename.as_deref()),
        Part::Audio { data, format } => return audio(data, format, path).map(Some),
        _ => return Ok(None),
    };
    let at = || format!("{path}.{field}");
    match media {
        Media::Inline { mime, data } => {
            let mime_type = inline_type(mime, filename)
                .ok_or_else(|| unreadable(at(), &format!("content of type {mime}")))?;
            Ok(Some(PartData::InlineData {
                mime_type,
                data: data.as_str(),
            }))
        }
        Media::Url(url) => address(url, part, filename).map(Some).ok_or_else(|| {
            Error::invalid(
                at(),
                "this model takes data: URLs and addresses that begin with https:// or gs://",
            )
        }),
        Media::FileId(id) => file_id(id).map(Some).ok_or_else(|| {
            let at = format!("{path}.file.file_id");
            unreadable(at, "a file id of another provider")
        }),
    }
}

fn unreadable(at: String, what: &str) -> Error {
    Error::invalid(at, format!("this model cannot read {what}"))
}

/// The type under which Gemini reads these bytes. Any kind of text is plain text to it.
fn inline_type<'a>(mime: &'a str, filename: Option<&str>) -> Option<Cow<'a, str>> {
    let bare = mime.split(';').next().unwrap_or(mime).trim();
    let bare = match bare {
        "" | "application/octet-stream" => return filename.and_then(by_extension).map(Cow::from),
        "image/jpg" => "image/jpeg",
        "application/x-pdf" => "application/pdf",
        bare => bare,
    };
    let read = match bare.split_once('/')? {
        ("image", kind) => matches!(kind, "png" | "jpeg" | "webp" | "heic" | "heif"),
        ("audio" | "video" | "text", _) => true,
        ("application", "pdf") => true,
        ("application", kind) if is_text(kind) => return Some("text/plain".into()),
        _ => false,
    };
    read.then(|| bare.into())
}

fn is_text(kind: &str) -> bool {
    const KINDS: [&str; 8] = [
        "json",
        "xml",
        "yaml",
        "x-yaml",
        "javascript",
        "x-javascript",
        "x-python",
        "x-ndjson",
    ];
    KINDS.contains(&kind) || kind.ends_with("+json") || kind.ends_with("+xml")
}

fn address<'a>(url: &'a str, part: &Part, filename: Option<&str>) -> Option<PartData<'a>> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("gs://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let path = rest.split(['?', '#']).next().unwrap_or(rest);
    let youtube = host == "youtu.be" || host == "youtube.com" || host.ends_with(".youtube.com");
    let guessed = by_extension(path).or_else(|| filename.and_then(by_extension));
    let mime_type = match part {
        _ if youtube => Some("video/mp4"),
        Part::File { .. } if guessed.is_none() && host != FILES_HOST => Some("application/pdf"),
        _ => guessed,
    };
    Some(PartData::FileData {
        mime_type,
        file_uri: url.into(),
    })
}

const FILES_HOST: &str = "generativelanguage.googleapis.com";

/// A file of the provider's own Files API.
fn file_id(id: &str) -> Option<PartData<'_>> {
    let name = id.strip_prefix("files/")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!name.is_empty() && name.chars().all(plain)).then(|| PartData::FileData {
        mime_type: None,
        file_uri: format!("https://{FILES_HOST}/v1beta/files/{name}").into(),
    })
}

fn by_extension(name: &str) -> Option<&'static str> {
    let extension = name.rsplit('/').next()?.rsplit_once('.')?.1;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" | "json" | "xml" | "yaml" | "yml" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

fn audio<'a>(data: &'a str, format: &str, path: &str) -> Result<PartData<'a>> {
    let mime_type = match format {
        "wav" => "audio/wav",
        "mp3" | "mpeg" => "audio/mp3",
        "aiff" => "audio/aiff",
        "aac" => "audio/aac",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        _ => {
            let what = format!("sound in the format {format}");
            return Err(unreadable(format!("{path}.input_audio.format"), &what));
        }
    };
    Ok(PartData::InlineData {
        mime_type: mime_type.into(),
        data,
    })
}
