//! Forms with files: `multipart/form-data`, read and written.
//!
//! A small parser of what HTTP clients send (RFC 7578): parts with a name, perhaps a file name, and bytes. Out of scope: nested
//! forms, transfer encodings (RFC 7578 deprecates them), the limit on the body (`api::http`).

use std::borrow::Cow;

use crate::{
    dialects::NativeRequest,
    error::{Error, Result},
};

/// The most parts of a form.
const MAX_PARTS: usize = 64;
/// The longest head of a part, in bytes.
const MAX_HEAD: usize = 4_096;
/// The longest boundary, in bytes.
const MAX_BOUNDARY: usize = 70;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name.
    pub name: String,
    /// The file's name, where it is a file.
    pub filename: Option<String>,
    /// What it holds.
    pub data: &'a [u8],
}

/// Reads a form. `content_type` is the whole header, which names the boundary.
///
/// # Errors
/// 400 where it is no form.
pub fn parse<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>> {
    let boundary = boundary(content_type)
        .filter(|text| !text.is_empty() && text.len() <= MAX_BOUNDARY)
        .ok_or_else(|| invalid("the content-type names no boundary"))?;
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = delimiter.as_bytes();
    let first = delimiter.get(2..).unwrap_or_default();
    // The first delimiter may stand at the very beginning, without its line end.
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => after(body, delimiter).ok_or_else(|| invalid("the boundary is not in it"))?,
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let line = rest.iter().position(|byte| *byte == b'\n');
        let (padding, content) = line
            .and_then(|at| rest.split_at_checked(at + 1))
            .ok_or_else(cut)?;
        if !padding.iter().all(|byte| byte.is_ascii_whitespace()) {
            return Err(invalid(
                "a boundary is followed by something else than a line end",
            ));
        }
        let end = position(content, delimiter).ok_or_else(cut)?;
        let (part, tail) = content.split_at_checked(end).ok_or_else(cut)?;
        parts.push(read(part)?);
        if parts.len() > MAX_PARTS {
            return Err(invalid("it has too many parts"));
        }
        rest = tail.get(delimiter.len()..).unwrap_or_default();
    }
}

fn read(part: &[u8]) -> Result<Part<'_>> {
    // A part without a head begins with an empty line.
    let (head, data) = match part.strip_prefix(b"\r\n") {
        Some(data) => (&b""[..], data),
        None => {
            let window = part.get(..MAX_HEAD).unwrap_or(part);
            let end = position(window, b"\r\n\r\n").ok_or_else(|| invalid("a part has no head"))?;
            let (head, data) = part.split_at_checked(end).unwrap_or_default();
            (head, data.get(4..).unwrap_or_default())
        }
    };
    let head = std::str::from_utf8(head).map_err(|_| invalid("a part's head is no text"))?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let disposition = disposition.unwrap_or_default();
    let name = parameter(disposition, "name").ok_or_else(|| invalid("a part has no name"))?;
    Ok(Part {
        name: name.into_owned(),
        filename: parameter(disposition, "filename").map(Cow::into_owned),
        data,
    })
}

fn boundary(content_type: &str) -> Option<Cow<'_, str>> {
    let (kind, _) = content_type.split_once(';')?;
    let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    is_form
        .then(|| parameter(content_type, "boundary"))
        .flatten()
}

/// A parameter of a header's value, quoted or not.
fn parameter<'a>(value: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let (_, mut rest) = value.split_once(';')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        let is_wanted = name.trim().eq_ignore_ascii_case(wanted);
        let (text, tail) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut is_escaped = false;
                let end = quoted.find(|c: char| {
                    let ends = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                })?;
                let (text, tail) = quoted.split_at_checked(end)?;
                let text = if text.contains('\\') {
                    Cow::Owned(text.replace("\\\"", "\"").replace("\\\\", "\\"))
                } else {
                    Cow::Borrowed(text)
                };
                (text, tail.strip_prefix('"').unwrap_or_default())
            }
            None => {
                let (text, tail) = after.split_once(';').unwrap_or((after, ""));
                (Cow::Borrowed(text.trim()), tail)
            }
        };
        if is_wanted {
            return Some(text);
        }
        rest = tail.trim_start().trim_start_matches(';');
    }
}

fn after<'a>(bytes: &'a [u8], pattern: &[u8]) -> Option<&'a [u8]> {
    let at = position(bytes, pattern)?;
    bytes.get(at + pattern.len()..)
}

/// Where a pattern stands. Its first byte is a carriage return, which sound seldom repeats.
fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = pattern.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(pattern) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn invalid(why: &str) -> Error {
    Error::invalid(
        "body",
        format!("The body is not multipart/form-data: {why}"),
    )
}

fn cut() -> Error {
    invalid("it ends in the middle of a part")
}

/// Writes a form.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<(String, Vec<u8>)>,
}

impl Writer {
    /// Adds a field.
    pub fn text(&mut self, name: &str, value: &str) {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        self.parts.push((head, value.as_bytes().to_vec()));
    }

    /// Adds a file.
    pub fn file(&mut self, name: &str, filename: &str, data: &[u8]) {
        // What could end the head or the quotes is left out: hosts look at the ending only.
        let plain = |c: &char| !c.is_control() && !matches!(c, '"' | '\\');
        let filename: String = filename.chars().filter(plain).collect();
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        self.parts.push((head, data.to_vec()));
    }

    /// The form as a request.
    pub fn post(self, path: &str) -> NativeRequest {
        let boundary = self.boundary();
        let length = self
            .parts
            .iter()
            .map(|(head, data)| head.len() + data.len() + 64);
        let mut body = Vec::with_capacity(length.sum::<usize>() + 64);
        for (head, data) in &self.parts {
            for bytes in [
                b"--".as_slice(),
                boundary.as_bytes(),
                b"\r\n",
                head.as_bytes(),
                data,
                b"\r\n",
            ] {
                body.extend_from_slice(bytes);
            }
        }
        for bytes in [b"--".as_slice(), boundary.as_bytes(), b"--\r\n"] {
            body.extend_from_slice(bytes);
        }
        let content_type = format!("multipart/form-data; boundary={boundary}");
        NativeRequest {
            path: path.to_owned(),
            headers: vec![("content-type", content_type)],
            body,
            dropped: Vec::new(),
        }
    }

    /// A boundary that none of the parts holds.
    fn boundary(&self) -> String {
        let mut number = 0u32;
        loop {
            let boundary = format!("patchbay-form-{number:08x}");
            let delimiter = format!("\r\n--{boundary}");
            let is_in = |data: &[u8]| position(data, delimiter.as_bytes()).is_some();
            if !self.parts.iter().any(|(_, data)| is_in(data)) {
                return boundary;
            }
            number = number.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    #[test]
    fn fields_and_files_are_read_whatever_their_bytes() {
        let body = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--XX  \r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\"; c.wav\"\r\nContent-Type: audio/wav\r\n\r\n\r\n--X\r\n\x00\xff--XX\r\n--XX--\r\nepilogue";
        let parts = parse(TYPE, body).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].name.as_str(), parts[0].data),
            ("model", &b"whisper"[..])
        );
        assert_eq!(parts[1].filename.as_deref(), Some("a \"b\"; c.wav"));
        assert_eq!(parts[1].data, b"\r\n--X\r\n\x00\xff--XX");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let evil = b"\r\n--patchbay-form-00000000\r\nnot a part".to_vec();
        let mut form = Writer::default();
        form.text("model", "m");
        form.text("empty", "");
        form.file("file", "so\"und\r\n.mp3", &evil);
        let request = form.post("/x");
        let (_, content_type) = &request.headers[0];
        let parts = parse(content_type, &request.body).unwrap();
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["model", "empty", "file"]);
        assert_eq!(parts[2].data, evil);
        assert_eq!(parts[2].filename.as_deref(), Some("sound.mp3"));
    }

    #[test]
    fn a_form_that_is_none_is_refused_and_never_panics() {
        let good = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--XX--";
        assert_eq!(parse(TYPE, good).unwrap().len(), 1);
        for end in 0..good.len() - 2 {
            assert!(parse(TYPE, &good[..end]).is_err(), "{end}");
        }
        for wrong in [
            "multipart/form-data",
            "application/json; boundary=XX",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"open",
            "",
        ] {
            assert!(parse(wrong, good).is_err(), "{wrong}");
        }
        assert!(parse("multipart/form-data; charset=x; boundary=\"XX\"", good).is_ok());
        let unnamed = b"--XX\r\nContent-Disposition: form-data\r\n\r\nb\r\n--XX--";
        let text = b"--XXyz\r\n\r\n\r\n--XX--";
        let many = [b"--XX\r\n\r\n".to_vec(), b"x\r\n--XX--".to_vec()].concat();
        for wrong in [&unnamed[..], &text[..], &many[..], b""] {
            assert!(parse(TYPE, wrong).is_err());
        }
        let part = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
        let mut body = part.repeat(MAX_PARTS + 1);
        body.extend_from_slice(b"--XX--");
        assert!(parse(TYPE, &body).is_err());
    }
}
