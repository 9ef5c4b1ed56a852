//! `application/vnd.amazon.eventstream`: AWS's binary framing of streams, read from any chunking of bytes.
//!
//! A message is a prelude (its length, that of its headers, and their checksum), headers, a payload and a checksum over all of
//! it. In scope: framing, both checksums, a limit on the size of one message. Out of scope: what the payload means, signed
//! messages.
//! Spec: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use super::sse::MAX_EVENT_BYTES;
use crate::error::{Error, ErrorType, Result};

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
/// The prelude and the checksum of the message.
const LEAST: usize = PRELUDE + 4;
/// The most bytes of headers (P121).
const MAX_HEADER_BYTES: usize = 128 * 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The headers that are text; Bedrock sends no others.
    headers: Vec<(&'a str, &'a str)>,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The text of a header, empty where there is none.
    pub fn header(&self, name: &str) -> &'a str {
        let found = self.headers.iter().find(|(header, _)| *header == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The parser's state between chunks.
#[derive(Debug, Default)]
pub struct MessageParser {
    /// Bytes of the unfinished message.
    buffer: Vec<u8>,
}

impl MessageParser {
    /// Reads the next bytes and hands each complete message to `each`. Nothing is read of a prelude that has not all arrived
    /// (P120).
    ///
    /// # Errors
    /// When a checksum or a length is wrong, or when `each` fails.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&Message<'_>) -> Result<()>,
    ) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        let mut rest = self.buffer.as_slice();
        while let Some(total) = length(rest)? {
            let Some((message, more)) = rest.split_at_checked(total) else {
                break;
            };
            each(&read(message)?)?;
            rest = more;
        }
        let read = self.buffer.len().saturating_sub(rest.len());
        self.buffer.drain(..read);
        Ok(())
    }
}

/// The length of the message that begins here, once its prelude is there.
fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else {
        return Ok(None);
    };
    let (lengths, checksum) = prelude.split_at(8);
    if crc32(lengths) != number(checksum) {
        return Err(damaged("the checksum of a prelude is wrong"));
    }
    let (total, headers) = lengths.split_at(4);
    let (total, headers) = (size(total), size(headers));
    if total > MAX_EVENT_BYTES {
        return Err(damaged("a message is too large"));
    }
    if headers > MAX_HEADER_BYTES || total < headers.saturating_add(LEAST) {
        return Err(damaged("the lengths of a message are wrong"));
    }
    Ok(Some(total))
}

/// Reads a whole message, of which the prelude is known to be sound.
fn read(message: &[u8]) -> Result<Message<'_>> {
    let (content, checksum) = message
        .split_last_chunk::<4>()
        .ok_or_else(|| damaged("a message is too short"))?;
    if crc32(content) != u32::from_be_bytes(*checksum) {
        return Err(damaged("the checksum of a message is wrong"));
    }
    let sizes = content.get(4..8).unwrap_or_default();
    let (headers, payload) = content
        .get(PRELUDE..)
        .and_then(|body| body.split_at_checked(size(sizes)))
        .ok_or_else(|| damaged("the lengths of a message are wrong"))?;
    Ok(Message {
        headers: read_headers(headers).ok_or_else(|| damaged("a header cannot be read"))?,
        payload,
    })
}

/// The headers that are text. The values of the others are passed over by their lengths.
fn read_headers(mut bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut headers = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            9 => (16, rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if *kind == 7 {
            headers.push((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?));
        }
        bytes = rest;
    }
    Some(headers)
}

/// A big-endian number of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

fn size(bytes: &[u8]) -> usize {
    usize::try_from(number(bytes)).unwrap_or(usize::MAX)
}

const TABLE: [u32; 256] = table();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which checks the bounds"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xEDB8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
}

/// CRC-32 as gzip has it (RFC 1952).
fn crc32(bytes: &[u8]) -> u32 {
    let folded = bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        let entry = TABLE.get(usize::from(low ^ byte)).copied();
        entry.unwrap_or_default() ^ (crc >> 8)
    });
    !folded
}

fn damaged(what: &str) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The provider's event stream cannot be read: {what}"),
    )
}

#[cfg(test)]
pub(in crate::dialects) mod tests {
    use super::*;

    /// A message with these text headers.
    pub(in crate::dialects) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        framed(&head, payload)
    }

    fn framed(head: &[u8], payload: &[u8]) -> Vec<u8> {
        let total = u32::try_from(LEAST + head.len() + payload.len()).unwrap();
        let mut bytes = total.to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        let checksum = crc32(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(payload);
        let checksum = crc32(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }

    fn read_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<(String, Vec<u8>)>> {
        let mut parser = MessageParser::default();
        let mut seen = Vec::new();
        for piece in pieces {
            parser.feed(piece, |message| {
                seen.push((
                    message.header(":event-type").to_owned(),
                    message.payload.to_vec(),
                ));
                Ok(())
            })?;
        }
        Ok(seen)
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn messages_are_the_same_in_any_chunking() {
        // P120
        let mut bytes = message(&[(":event-type", "one"), ("x", "é")], b"{\"a\":1}");
        bytes.extend(message(&[], b""));
        bytes.extend(message(&[(":event-type", "three")], &[0; 300]));
        let whole = read_all([bytes.as_slice()]).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0], ("one".to_owned(), b"{\"a\":1}".to_vec()));
        for length in 1..40 {
            assert_eq!(read_all(bytes.chunks(length)).unwrap(), whole, "{length}");
        }
        let (cut, _) = bytes.split_at(bytes.len() - 1);
        assert_eq!(read_all([cut]).unwrap().len(), 2, "the last one is cut");
    }

    #[test]
    fn values_of_every_kind_are_passed_over() {
        let mut head = Vec::new();
        for (kind, length) in [
            (0_u8, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 4),
            (5, 8),
            (8, 8),
            (9, 16),
        ] {
            head.extend_from_slice(&[1, b'k', kind]);
            head.resize(head.len() + length, 0);
        }
        head.extend_from_slice(&[1, b'b', 6, 0, 2, 255, 255]);
        head.extend_from_slice(&[11]);
        head.extend_from_slice(b":event-type");
        head.extend_from_slice(&[7, 0, 1, b'e']);
        let seen = read_all([framed(&head, b"p").as_slice()]).unwrap();
        assert_eq!(seen, [("e".to_owned(), b"p".to_vec())]);
    }

    #[test]
    fn a_single_wrong_byte_is_noticed_wherever_it_is() {
        // P120
        let bytes = message(&[(":event-type", "one")], b"{}");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            assert!(read_all([wrong.as_slice()]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn other_bodies_and_oversized_messages_fail_at_their_prelude() {
        // P121
        let mut large = u32::try_from(MAX_EVENT_BYTES + 1)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        large.extend_from_slice(&[0; 4]);
        let checksum = crc32(&large);
        large.extend_from_slice(&checksum.to_be_bytes());
        for body in [b"<html>Bad gateway</html>".as_slice(), &large] {
            assert!(read_all([body]).is_err());
        }
        let short = framed(&[], b"");
        assert_eq!(short.len(), LEAST);
        assert!(read_all([framed(&[9, b'x'], b"").as_slice()]).is_err());
    }
}
