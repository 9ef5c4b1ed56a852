//! HMAC-SHA256 (RFC 2104), and comparing codes without telling by time where they differ.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// The code of a message under a key.
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let hashed: [u8; 32];
    let key = if key.len() > BLOCK {
        hashed = Sha256::digest(key).into();
        hashed.as_slice()
    } else {
        key
    };
    let padded = |with: u8| -> [u8; BLOCK] {
        std::array::from_fn(|at| key.get(at).copied().unwrap_or_default() ^ with)
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether two texts are the same. How long it takes depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, cases 2 and 6.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let code = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex(&code),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = hmac(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(
            hex(&long),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn only_the_same_bytes_are_the_same() {
        assert!(same(b"", b"") && same(b"abc", b"abc"));
        for (a, b) in [("abc", "abd"), ("abc", "ab"), ("", "a")] {
            assert!(!same(a.as_bytes(), b.as_bytes()));
        }
    }
}
