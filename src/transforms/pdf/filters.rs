//! What is done to the bytes of streams: Flate, the ASCII filters, predictors. A stream with another filter is no text.

use miniz_oxide::inflate::{
    DecompressError, TINFLStatus, decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit,
};

use super::{
    Unreadable,
    object::{Dict, Object, hex_digit, is_space, pairs, whole},
};

/// The bytes of a stream, unfolded into at most `room` bytes; nothing where a filter is not known.
///
/// # Errors
/// When there are more.
pub(super) fn decode(
    bytes: &[u8],
    names: &[String],
    parameters: &[Option<Dict>],
    room: usize,
) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut data = bytes.to_vec();
    for (at, name) in names.iter().enumerate() {
        data = match name.as_str() {
            "FlateDecode" | "Fl" => {
                let unfolded = inflate(&data, room)?;
                match parameters.get(at).and_then(Option::as_ref) {
                    Some(parameters) => unpredicted(unfolded, parameters),
                    None => unfolded,
                }
            }
            "ASCIIHexDecode" | "AHx" => {
                let digits = data.iter().take_while(|byte| **byte != b'>');
                pairs(
                    &digits
                        .filter_map(|byte| hex_digit(*byte))
                        .collect::<Vec<_>>(),
                )
            }
            "ASCII85Decode" | "A85" => ascii85(&data),
            _ => return Ok(None),
        };
    }
    if data.len() > room {
        return Err(Unreadable::TooMuch);
    }
    Ok(Some(data))
}

fn inflate(data: &[u8], room: usize) -> Result<Vec<u8>, Unreadable> {
    let read = |result: Result<Vec<u8>, DecompressError>| match result {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.status == TINFLStatus::HasMoreOutput => Err(Unreadable::TooMuch),
        // What there is of a broken stream is better than nothing.
        Err(error) => Ok(error.output),
    };
    let unfolded = read(decompress_to_vec_zlib_with_limit(data, room))?;
    if unfolded.is_empty() && !data.is_empty() {
        return read(decompress_to_vec_with_limit(data, room));
    }
    Ok(unfolded)
}

/// Undoes the predictors of PNG, with which tables of numbers are folded better.
fn unpredicted(data: Vec<u8>, parameters: &Dict) -> Vec<u8> {
    let number = |key: &str, default: usize| {
        let number = parameters.get(key).and_then(Object::number);
        number.and_then(whole).unwrap_or(default)
    };
    if number("Predictor", 1) < 10 {
        return data;
    }
    let bits = number("Colors", 1).saturating_mul(number("BitsPerComponent", 8));
    let row = bits.saturating_mul(number("Columns", 1)).div_ceil(8);
    let pixel = bits.div_ceil(8).max(1);
    if row == 0 || row > data.len() {
        return data;
    }
    let mut before = vec![0_u8; row];
    let mut plain = Vec::with_capacity(data.len());
    for line in data.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else {
            break;
        };
        let mut own = Vec::with_capacity(row);
        for (at, byte) in line.iter().enumerate() {
            let left = at.checked_sub(pixel);
            let of = |line: &[u8], at: Option<usize>| {
                at.and_then(|at| line.get(at)).copied().unwrap_or(0)
            };
            let (a, b, c) = (of(&own, left), of(&before, Some(at)), of(&before, left));
            let predicted = match kind {
                1 => a,
                2 => b,
                3 => u8::midpoint(a, b),
                4 => paeth(a, b, c),
                _ => 0,
            };
            own.push(byte.wrapping_add(predicted));
        }
        plain.extend_from_slice(&own);
        own.resize(row, 0);
        before = own;
    }
    plain
}

fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let (x, y, z) = (i16::from(a), i16::from(b), i16::from(c));
    let guess = x + y - z;
    let off = |value: i16| guess.abs_diff(value);
    if off(x) <= off(y) && off(x) <= off(z) {
        a
    } else if off(y) <= off(z) {
        b
    } else {
        c
    }
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 5 * 4);
    let mut group: Vec<u32> = Vec::with_capacity(5);
    let flush = |group: &mut Vec<u32>, out: &mut Vec<u8>| {
        let count = group.len();
        if count > 1 {
            group.resize(5, 84);
            let value = group.iter().fold(0_u32, |value, digit| {
                value.wrapping_mul(85).wrapping_add(*digit)
            });
            out.extend(value.to_be_bytes().into_iter().take(count - 1));
        }
        group.clear();
    };
    let data = data.strip_prefix(b"<~").unwrap_or(data);
    for byte in data.iter().copied().filter(|byte| !is_space(*byte)) {
        match byte {
            b'z' if group.is_empty() => out.extend([0; 4]),
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    flush(&mut group, &mut out);
                }
            }
            _ => break,
        }
    }
    flush(&mut group, &mut out);
    out
}
