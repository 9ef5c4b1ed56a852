//! Files that an endpoint does not read: their text is taken out here (`file-parser`).
//!
//! PDF documents go to the model where it takes them, unless the client names another engine. What was read comes back as
//! annotations beside the answer. Texts of other kinds are put into the message as they are.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Filter, Note, PdfEngine, Setting, Shape, pdf};
use crate::{
    catalog::Modality,
    chat::{ChatRequest, Delta, Event, FinishReason, Media, Part},
    error::{Error, Result},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the gateway can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pdf,
    Text,
}

/// Whether the gateway can read every file of a request, and there is one.
pub fn are_readable(request: &ChatRequest) -> bool {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let mut files = parts
        .filter(|part| matches!(part, Part::File { .. }))
        .peekable();
    files.peek().is_some() && files.all(|part| kind(part).is_some())
}

fn kind(part: &Part) -> Option<Kind> {
    let Part::File {
        filename,
        media: Media::Inline { mime, .. },
        ..
    } = part
    else {
        return None;
    };
    let name = filename.as_deref().unwrap_or_default().to_ascii_lowercase();
    match mime.as_str() {
        "application/pdf" => Some(Kind::Pdf),
        "application/octet-stream" if name.ends_with(".pdf") => Some(Kind::Pdf),
        "application/json" | "application/xml" | "application/yaml" | "application/x-yaml" => {
            Some(Kind::Text)
        }
        mime if mime.starts_with("text/") => Some(Kind::Text),
        _ => None,
    }
}

/// Puts the text of files in their place.
///
/// # Errors
/// 400 with the path of a file that cannot be read.
pub(super) fn read(
    setting: &Setting<'_>,
    request: &mut Cow<'_, ChatRequest>,
    shape: &mut Shape,
) -> Result<()> {
    let reads_here = match setting.plugins.pdf {
        PdfEngine::Native => false,
        PdfEngine::Text => true,
        PdfEngine::Auto => !setting.endpoint.reads(Modality::File),
    };
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    if !reads_here || !parts.any(|part| kind(part).is_some()) {
        return Ok(());
    }
    let mut annotations = Vec::new();
    let mut pages = 0;
    for (at, message) in request.to_mut().messages.iter_mut().enumerate() {
        for (place, part) in message.parts.iter_mut().enumerate() {
            let Some(kind) = kind(part) else {
                continue;
            };
            let found = extract(part, kind).map_err(|told| {
                Error::invalid(
                    format!("messages[{at}].content[{place}].file.file_data"),
                    told,
                )
            })?;
            pages += found.pages;
            annotations.push(found.annotation);
            *part = found.part;
        }
    }
    let count = annotations.len();
    let summary = format!("The gateway read {count} files, {pages} pages of PDF");
    let data = json!({"engine": "pdf-text", "files": count, "pages": pages});
    shape.notes.push(Note {
        data: Some(data),
        ..Note::new("plugin", "file-parser", summary)
    });
    if !setting.is_rest {
        shape.filters.push(Annotate(annotations));
    }
    Ok(())
}

/// A file that was read.
struct Found {
    part: Part,
    pages: usize,
    annotation: Value,
}

fn extract(part: &Part, kind: Kind) -> Result<Found, String> {
    let Part::File {
        filename,
        media: Media::Inline { data, .. },
        cache,
    } = part
    else {
        return Err("expected a file with its data".to_owned());
    };
    if data.len() / 4 * 3 > pdf::MAX_BYTES {
        return Err(pdf::Unreadable::TooLarge.to_string());
    }
    let bytes = BASE64
        .decode(data.trim())
        .map_err(|error| format!("the data is not base64: {error}"))?;
    let name = filename.as_deref().unwrap_or("file");
    let (text, pages) = match kind {
        Kind::Text => (String::from_utf8_lossy(&bytes).into_owned(), 0),
        Kind::Pdf => {
            let pages = pdf::text(&bytes).map_err(|why| why.to_string())?;
            let texts = pages.iter().enumerate().map(|(at, text)| {
                let text = text.trim();
                format!("[page {}]\n{text}", at + 1)
            });
            (texts.collect::<Vec<_>>().join("\n\n"), pages.len())
        }
    };
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let annotation = json!({"type": "file", "file": {
        "hash": hash, "name": name, "content": [{"type": "text", "text": text}],
    }});
    let label = name.replace(['"', '\n', '<', '>'], "'");
    Ok(Found {
        part: Part::Text {
            text: format!("<file name=\"{label}\">\n{text}\n</file>"),
            cache: *cache,
        },
        pages,
        annotation,
    })
}

/// Adds what was read of the files before the end of the first choice, unless that is a failure that another endpoint may not
/// have: annotations are content.
#[derive(Debug)]
struct Annotate(Vec<Value>);

impl Filter for Annotate {
    fn filter(&mut self, events: &mut Vec<Event>) {
        if self.0.is_empty() {
            return;
        }
        let is_end = |event: &Event| matches!(event, Event::Finish { choice: 0, reason, .. } if *reason != FinishReason::Error);
        if let Some(end) = events.iter().position(is_end) {
            let told = self.0.drain(..);
            let told = told.map(|value| Event::delta(0, Delta::Annotation(value)));
            events.splice(end..end, told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{Message, Role},
        transforms::{
            shape,
            tests::{Rows, setting_of},
        },
    };

    fn file(name: &str, mime: &str, bytes: &[u8]) -> Part {
        Part::File {
            filename: Some(name.into()),
            media: Media::Inline {
                mime: mime.into(),
                data: BASE64.encode(bytes),
            },
            cache: None,
        }
    }

    fn request(part: Part) -> ChatRequest {
        ChatRequest {
            messages: vec![Message {
                role: Role::User,
                name: None,
                parts: vec![Part::text("What does it say?"), part],
            }],
            ..ChatRequest::default()
        }
    }

    fn shaped(part: Part, rows: &Rows) -> Result<(Option<ChatRequest>, Shape)> {
        let request = request(part);
        setting_of(&request, rows, shape)
    }

    #[test]
    fn a_file_goes_to_the_model_that_reads_it_and_is_read_for_the_others() {
        let text_only = Rows::default();
        let mut reads = Rows::default();
        reads.endpoint.input_modalities.push(Modality::File);
        for (rows, engine, is_read) in [
            (&text_only, PdfEngine::Auto, true),
            (&reads, PdfEngine::Auto, false),
            (&reads, PdfEngine::Text, true),
            (&text_only, PdfEngine::Native, false),
        ] {
            let mut rows = rows.clone();
            rows.plugins.pdf = engine;
            let (changed, _) = shaped(file("a.csv", "text/csv", b"a,b\n1,2"), &rows).unwrap();
            let text = changed.map(|request| request.messages[0].parts[1].clone());
            let expected = Part::text("<file name=\"a.csv\">\na,b\n1,2\n</file>");
            assert_eq!(text, is_read.then_some(expected), "{engine:?}");
        }
    }

    #[test]
    fn what_was_read_comes_back_as_an_annotation() {
        let (_, mut shape) = shaped(file("a.txt", "text/plain", b"hi"), &Rows::default()).unwrap();
        let end = Event::Finish {
            choice: 0,
            reason: FinishReason::Stop,
            native: "stop".into(),
            stop_sequence: None,
        };
        let mut events = vec![Event::text("It says hi."), end, Event::Done];
        shape.filters.filter(&mut events);
        let Event::Delta {
            delta: Delta::Annotation(told),
            ..
        } = &events[1]
        else {
            panic!("{events:?}");
        };
        assert_eq!(told["file"]["content"][0]["text"], "hi");
        assert_eq!(told["file"]["hash"].as_str().unwrap().len(), 64);
        assert_eq!(shape.take_notes()[0].name, "file-parser");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_path() {
        let broken = Part::File {
            filename: None,
            media: Media::Inline {
                mime: "application/pdf".into(),
                data: "%%%".into(),
            },
            cache: None,
        };
        for (part, told) in [
            (broken, "base64"),
            (file("a.pdf", "application/pdf", b"hello"), "not a PDF"),
        ] {
            let error = shaped(part, &Rows::default()).unwrap_err();
            assert_eq!(
                error.param.as_deref(),
                Some("messages[0].content[1].file.file_data")
            );
            assert!(error.message.contains(told), "{}", error.message);
        }
    }

    #[test]
    fn only_bytes_that_are_here_can_be_read() {
        let url = Part::File {
            filename: None,
            media: Media::Url("https://example.invalid/a.pdf".into()),
            cache: None,
        };
        for (part, readable) in [
            (file("a.pdf", "application/pdf", b""), true),
            (file("a.PDF", "application/octet-stream", b""), true),
            (file("a.docx", "application/msword", b""), false),
            (url, false),
            (Part::text("no file"), false),
        ] {
            assert_eq!(are_readable(&request(part.clone())), readable, "{part:?}");
        }
    }
}
