//! How large an image is, out of the first bytes of its file: PNG, GIF, WebP, JPEG.
//!
//! Nothing is decoded but sizes; what cannot be read has none.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};

/// Base64 characters that are looked at: a JPEG may have a preview and profiles before its size.
const LOOKED_AT: usize = 256 * 1024;

/// Width and height of an image in base64.
pub(super) fn of_base64(data: &str) -> Option<(u64, u64)> {
    let end = data.len().min(LOOKED_AT) / 4 * 4;
    let bytes = BASE64.decode(data.get(..end)?).ok()?;
    of_bytes(&bytes)
}

fn of_bytes(bytes: &[u8]) -> Option<(u64, u64)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => webp(bytes),
        [0xff, 0xd8, ..] => jpeg(bytes),
        _ => None,
    }
}

fn webp(bytes: &[u8]) -> Option<(u64, u64)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((
            little(bytes, 26, 2)? & 0x3fff,
            little(bytes, 28, 2)? & 0x3fff,
        )),
        _ => None,
    }
}

/// From segment to segment up to the one that begins the picture.
fn jpeg(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut at = 2_usize;
    loop {
        let marker = match (bytes.get(at)?, bytes.get(at + 1)?) {
            // Padding between segments.
            (0xff, 0xff) => {
                at += 1;
                continue;
            }
            (0xff, marker) => *marker,
            _ => return None,
        };
        // C4, C8 and CC are tables and extensions, the others of this range begin pictures.
        if (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some((big(bytes, at + 7, 2)?, big(bytes, at + 5, 2)?));
        }
        let length = usize::try_from(big(bytes, at + 2, 2)?).ok()?;
        at = at.checked_add(2)?.checked_add(length.max(2))?;
    }
}

fn big(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

fn little(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let bytes = bytes.iter().rev();
    Some(bytes.fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stand_in_the_first_bytes_of_every_format() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\x20\0\0\x02\x58\x08\x02";
        assert_eq!(of_base64(&BASE64.encode(png)), Some((800, 600)));
        assert_eq!(of_bytes(b"GIF89a\x20\x03\x58\x02"), Some((800, 600)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc0\0\x11\x08\x02\x58\x03\x20\x03";
        assert_eq!(of_bytes(jpeg), Some((800, 600)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x1f\x03\0\x57\x02\0";
        assert_eq!(of_bytes(extended), Some((800, 600)));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x1f\xc3\x95\0";
        assert_eq!(of_bytes(lossless), Some((800, 600)));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x20\x03\x58\x02";
        assert_eq!(of_bytes(lossy), Some((800, 600)));
    }

    #[test]
    fn what_is_cut_or_no_image_has_no_size() {
        for bytes in [
            &b""[..],
            b"\x89PNG",
            b"\xff\xd8\xff",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"%PDF-1.7",
        ] {
            assert_eq!(of_bytes(bytes), None);
        }
        assert_eq!(of_base64("not base64!"), None);
    }
}
