//! Keys for providers that carry out a key's request once: derived, so that a repeat has the same one, in the form that each wants.

use crate::tools::catalog::IdempotencyForm;

/// Digits of base32hex (RFC 4648 §7), in lower case as Google wants ids.
const BASE32HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// A digest in a provider's form.
pub fn form(digest: &[u8; 32], form: IdempotencyForm) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    match form {
        IdempotencyForm::Hex => hex(digest),
        IdempotencyForm::Uuid => {
            let mut bytes: [u8; 16] =
                std::array::from_fn(|at| digest.get(at).copied().unwrap_or(0));
            // Version and variant of a random UUID (RFC 9562 §5.4): some providers check them.
            if let Some(byte) = bytes.get_mut(6) {
                *byte = (*byte & 0x0f) | 0x40;
            }
            if let Some(byte) = bytes.get_mut(8) {
                *byte = (*byte & 0x3f) | 0x80;
            }
            let parts = [0..4, 4..6, 6..8, 8..10, 10..16];
            let parts = parts.map(|range| hex(bytes.get(range).unwrap_or_default()));
            parts.join("-")
        }
        IdempotencyForm::Base32hex => {
            let mut bits = 0_u32;
            let mut count = 0;
            let mut text = String::new();
            // As many bytes as 26 digits take.
            for byte in digest.iter().take(17) {
                bits = (bits << 8) | u32::from(*byte);
                count += 8;
                while count >= 5 && text.len() < 26 {
                    count -= 5;
                    let digit = usize::try_from((bits >> count) & 31).unwrap_or(0);
                    text.push(char::from(BASE32HEX.get(digit).copied().unwrap_or(b'0')));
                }
                bits &= (1 << count) - 1;
            }
            text
        }
    }
}
