//! Server-sent events, read from any chunking of bytes.
//!
//! In scope: framing as the HTML standard has it (LF, CRLF and lone CR line ends, `data:` with and without a space, several
//! data lines, comments, a BOM), with a limit on the size of one event. Out of scope: what the data means.
//! Spec: <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>

use crate::error::{Error, ErrorType, Result};

/// The most bytes that one event may hold; an upstream that exceeds it has failed (P121).
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// One event. Lines are decoded as whole lines, so a character split across chunks is never damaged (P117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, empty where there was none.
    pub event: &'a str,
    /// The `data:` lines joined by line feeds. Not necessarily UTF-8; JSON parsers check that.
    pub data: &'a [u8],
}

/// The parser's state between chunks.
#[derive(Debug, Default)]
pub struct SseParser {
    /// Bytes of the unfinished line.
    line: Vec<u8>,
    event: String,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF that follows belongs to the same line end (P118).
    after_cr: bool,
    past_first_line: bool,
}

impl SseParser {
    /// Reads the next bytes and hands each complete event to `each`.
    ///
    /// # Errors
    /// When one event exceeds [`MAX_EVENT_BYTES`], or when `each` fails.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            if self.line.is_empty() {
                self.take_line(head, &mut each)?;
            } else {
                self.line.extend_from_slice(head);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, &mut each)?;
                self.line = line;
                self.line.clear();
            }
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => rest,
            };
        }
        self.line.extend_from_slice(bytes);
        self.check_size(0)
    }

    /// The stream ended: an event without its final blank line is still delivered, because some servers omit it.
    ///
    /// # Errors
    /// When `each` fails.
    pub fn finish(&mut self, mut each: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut each)?;
        }
        self.dispatch(&mut each)
    }

    fn take_line(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let line = match line {
            [0xEF, 0xBB, 0xBF, rest @ ..] if !self.past_first_line => rest,
            line => line,
        };
        self.past_first_line = true;
        if line.is_empty() {
            return self.dispatch(each);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon.and_then(|at| line.split_at_checked(at)) {
            Some((field, [_, b' ', value @ ..] | [_, value @ ..])) => (field, value),
            _ => (line, &[][..]),
        };
        match field {
            b"data" => {
                self.check_size(value.len())?;
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.event.clear();
                self.event.push_str(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        let result = if self.has_data {
            each(Frame {
                event: &self.event,
                data: &self.data,
            })
        } else {
            Ok(())
        };
        self.event.clear();
        self.data.clear();
        self.has_data = false;
        result
    }

    fn check_size(&self, more: usize) -> Result<()> {
        let size = self.line.len().saturating_add(self.data.len());
        if size.saturating_add(more) > MAX_EVENT_BYTES {
            return Err(Error::upstream(
                ErrorType::ProviderUnavailable,
                format!("The provider sent one event of more than {MAX_EVENT_BYTES} bytes"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let mut seen = Vec::new();
        let mut each = |frame: Frame<'_>| {
            let data = String::from_utf8(frame.data.to_vec()).unwrap();
            seen.push((frame.event.to_owned(), data));
            Ok(())
        };
        for chunk in chunks {
            parser.feed(chunk, &mut each).unwrap();
        }
        parser.finish(&mut each).unwrap();
        seen
    }

    const STREAM: &[u8] = "\u{feff}: hello\r\nevent: a\r\ndata: {\"x\":\"é€😀\"}\r\n\r\ndata:one\rdata: two\r\rid: 7\n\n:\n\nevent: b\ndata\n\ndata: last".as_bytes();

    #[test]
    fn every_line_end_comment_and_field_form_is_read() {
        // P118, P119
        let seen = read(&[STREAM]);
        let expected = [
            ("a", "{\"x\":\"é€😀\"}"),
            ("", "one\ntwo"),
            ("b", ""),
            ("", "last"),
        ];
        assert_eq!(
            seen,
            expected.map(|(event, data)| (event.to_owned(), data.to_owned()))
        );
    }

    #[test]
    fn any_chunking_gives_the_same_events() {
        // P117, P118
        let whole = read(&[STREAM]);
        for split in 0..STREAM.len() {
            assert_eq!(
                read(&[&STREAM[..split], &STREAM[split..]]),
                whole,
                "split at {split}"
            );
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(read(&bytes), whole);
    }

    #[test]
    fn an_event_without_end_is_an_error_not_a_leak() {
        // P121
        let mut parser = SseParser::default();
        let chunk = vec![b'x'; 1024 * 1024];
        parser.feed(b"data: ", |_| Ok(())).unwrap();
        let failed =
            (0..=MAX_EVENT_BYTES / chunk.len()).any(|_| parser.feed(&chunk, |_| Ok(())).is_err());
        assert!(failed);
    }
}
