//! Images, documents, films and sound: formats that Converse has a word for, and a 400 with the field's path for the rest.
//!
//! Bytes travel inside the request. Addresses are not fetched here: only those of S3 have a form of their own.

use super::native::{Block, Document, Media as Native, Source};
use crate::{
    chat::Media,
    error::{Error, Next, Result},
};

/// MIME type → format.
const IMAGES: &[(&str, &str)] = &[
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];

const DOCUMENTS: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("text/plain", "txt"),
    ("application/json", "txt"),
];

const FILMS: &[(&str, &str)] = &[
    ("video/mp4", "mp4"),
    ("video/quicktime", "mov"),
    ("video/x-matroska", "mkv"),
    ("video/webm", "webm"),
    ("video/x-flv", "flv"),
    ("video/mpeg", "mpeg"),
    ("video/x-ms-wmv", "wmv"),
    ("video/3gpp", "three_gp"),
];

/// The client's words for sound are Converse's.
const SOUNDS: [&str; 9] = [
    "mp3", "wav", "flac", "ogg", "opus", "aac", "m4a", "mp4", "webm",
];

/// The longest name of a document.
const LONGEST_NAME: usize = 100;

/// The request asks for something that this dialect has no form for; another endpoint may take it.
pub(super) fn unsupported(path: String, message: impl Into<String>) -> Error {
    let mut error = Error::invalid(path, message);
    error.next = Next::NextAttempt;
    error
}

/// An image.
pub(super) fn image<'a>(media: &'a Media, path: &str) -> Result<Block<'a>> {
    native(media, IMAGES, || format!("{path}.image_url.url")).map(Block::Image)
}

/// A film.
pub(super) fn video<'a>(media: &'a Media, path: &str) -> Result<Block<'a>> {
    native(media, FILMS, || format!("{path}.video_url.url")).map(Block::Video)
}

/// Sound.
pub(super) fn audio<'a>(data: &'a str, format: &str, path: &str) -> Result<Block<'a>> {
    let known = SOUNDS.into_iter().find(|known| *known == format);
    let format = known.ok_or_else(|| {
        let message = format!("{format} sound is not supported by this endpoint");
        unsupported(format!("{path}.input_audio.format"), message)
    })?;
    let source = Source::Bytes(data);
    Ok(Block::Audio(Native { format, source }))
}

/// A document under a name that the API takes; an image sent as a file is an image.
pub(super) fn document<'a>(media: &'a Media, name: String, path: &str) -> Result<Block<'a>> {
    if let Media::Inline { mime, .. } = media
        && find(mime, IMAGES).is_some()
    {
        return image(media, path);
    }
    let Native { format, source } = match media {
        Media::Inline { mime, data } if essence(mime).starts_with("text/") => Native {
            format: find(mime, DOCUMENTS).unwrap_or("txt"),
            source: Source::Bytes(data),
        },
        media => native(media, DOCUMENTS, || format!("{path}.file.file_data"))?,
    };
    Ok(Block::Document(Document {
        format,
        name,
        source,
    }))
}

fn native<'a>(
    media: &'a Media,
    known: &[(&str, &'static str)],
    path: impl Fn() -> String,
) -> Result<Native<'a>> {
    let format = match media {
        Media::Inline { mime, .. } => find(mime, known),
        Media::Url(url) if url.starts_with("s3://") => {
            let (_, ending) = url.rsplit_once('.').unwrap_or_default();
            let ending = ending.to_ascii_lowercase();
            let is_its = |(_, format): &&(&str, &str)| {
                *format == ending || (*format == "jpeg" && ending == "jpg")
            };
            known.iter().find(is_its).map(|(_, format)| *format)
        }
        Media::Url(_) | Media::FileId(_) => {
            let message = "this endpoint takes data: URLs only";
            return Err(unsupported(path(), message));
        }
    };
    let source = match media {
        Media::Inline { data, .. } => Source::Bytes(data),
        Media::Url(uri) | Media::FileId(uri) => Source::S3Location { uri },
    };
    let names = || {
        let mut names: Vec<&str> = known.iter().map(|(_, format)| *format).collect();
        names.dedup();
        names.join(", ")
    };
    match format {
        Some(format) => Ok(Native { format, source }),
        None => Err(unsupported(
            path(),
            format!("this endpoint takes these formats only: {}", names()),
        )),
    }
}

fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

fn find(mime: &str, known: &[(&str, &'static str)]) -> Option<&'static str> {
    let essence = essence(mime);
    let row = known
        .iter()
        .find(|(mime, _)| essence.eq_ignore_ascii_case(mime));
    row.map(|(_, format)| *format)
}

/// The names of documents in one request: letters, digits, single spaces, hyphens and brackets, each name once.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// A name like the file's.
    pub fn name(&mut self, filename: Option<&str>) -> String {
        let filename = filename.unwrap_or_default();
        let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
        let taken = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
        let words: String = stem
            .chars()
            .map(|c| if taken(c) { c } else { ' ' })
            .take(LONGEST_NAME)
            .collect();
        let words: Vec<&str> = words.split_whitespace().collect();
        let plain = match words.as_slice() {
            [] => "Document".to_owned(),
            words => words.join(" "),
        };
        let mut name = plain.clone();
        let mut count = 1;
        while self.0.contains(&name) {
            count += 1;
            name = format!("{plain} ({count})");
        }
        self.0.push(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_plain_and_told_apart() {
        let mut names = Names::default();
        for (filename, name) in [
            (Some("Q3 report_final.v2.pdf"), "Q3 report final v2"),
            (Some("Q3 report_final.v2.docx"), "Q3 report final v2 (2)"),
            (None, "Document"),
            (Some("../.."), "Document (2)"),
            (Some("日本.pdf"), "Document (3)"),
            (Some("[a](b)"), "[a](b)"),
        ] {
            assert_eq!(names.name(filename), name, "{filename:?}");
        }
    }

    #[test]
    fn formats_without_a_word_go_to_another_endpoint() {
        let inline = |mime: &str| Media::Inline {
            mime: mime.into(),
            data: "AA==".into(),
        };
        assert!(image(&inline("image/JPG"), "m").is_ok());
        assert!(document(&inline("text/x-rust; charset=utf-8"), "a".into(), "m").is_ok());
        assert!(video(&Media::Url("s3://b/k.mp4".into()), "m").is_ok());
        for (found, param) in [
            (image(&inline("image/tiff"), "m"), "m.image_url.url"),
            (
                image(&Media::Url("https://a.example/b.png".into()), "m"),
                "m.image_url.url",
            ),
            (
                document(&inline("application/zip"), "a".into(), "m"),
                "m.file.file_data",
            ),
            (
                document(&Media::FileId("file-1".into()), "a".into(), "m"),
                "m.file.file_data",
            ),
            (audio("AA==", "midi", "m"), "m.input_audio.format"),
        ] {
            let error = found.unwrap_err();
            assert_eq!(
                (error.param.as_deref(), error.next),
                (Some(param), Next::NextAttempt)
            );
        }
    }
}
