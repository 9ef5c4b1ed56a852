//! Content parts of messages, as chat-completions hosts take them.

use crate::{
    chat::{CacheMark, Media, Part},
    dialects::{
        cache_control::Marks,
        splice::{ObjectWriter, put},
    },
};

/// Appends one part, with its mark as the host takes it.
pub(super) fn put_part(out: &mut Vec<u8>, part: &Part, cache: Option<CacheMark>, marks: Marks) {
    let mut object = ObjectWriter::new(out);
    match part {
        Part::Text { text, .. } => {
            object.field("type", "text");
            object.field("text", text);
        }
        Part::Image { media, detail, .. } => {
            object.field("type", "image_url");
            let mut image = ObjectWriter::new(object.key("image_url"));
            put_url(image.key("url"), media);
            image.optional("detail", detail.as_deref());
            image.end();
        }
        Part::File {
            filename, media, ..
        } => put_file(&mut object, filename.as_deref(), media),
        Part::Audio { data, format } => {
            object.field("type", "input_audio");
            let mut audio = ObjectWriter::new(object.key("input_audio"));
            audio.field("data", data);
            audio.field("format", format);
            audio.end();
        }
        Part::Video { media } => {
            object.field("type", "video_url");
            let mut video = ObjectWriter::new(object.key("video_url"));
            put_url(video.key("url"), media);
            video.end();
        }
        Part::Refusal(refusal) => {
            object.field("type", "refusal");
            object.field("refusal", refusal);
        }
        // These stand beside the content, never in it.
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Reasoning(_) => {
            object.field("type", "text");
            object.field("text", "");
        }
    }
    if let Some(mark) = cache {
        marks.put(&mut object, mark);
    }
    object.end();
}

fn put_file(object: &mut ObjectWriter<'_>, filename: Option<&str>, media: &Media) {
    object.field("type", "file");
    let mut file = ObjectWriter::new(object.key("file"));
    if let Media::FileId(id) = media {
        file.field("file_id", id);
    } else {
        // OpenAI wants a name beside data.
        file.field("filename", filename.unwrap_or("document.pdf"));
        put_url(file.key("file_data"), media);
    }
    file.end();
}

fn put_url(out: &mut Vec<u8>, media: &Media) {
    match media {
        Media::Inline { mime, data } => {
            let start = out.len();
            put(out, &format!("data:{mime};base64,"));
            // Base64 needs no escapes, so it goes in before the closing quote as it is.
            if data
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
            {
                out.pop();
                out.extend_from_slice(data.as_bytes());
                out.push(b'"');
            } else {
                out.truncate(start);
                put(out, &format!("data:{mime};base64,{data}"));
            }
        }
        Media::Url(url) | Media::FileId(url) => put(out, url),
    }
}
