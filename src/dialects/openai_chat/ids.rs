//! Tool-call ids for hosts that take only short ones.

use sha2::{Digest, Sha256};

/// How many characters a short id has.
const SHORT: usize = 9;

/// Is this id one of them already?
pub(super) fn is_short(id: &str) -> bool {
    id.len() == SHORT && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The id as such a host takes it: always the same for the same id, so that calls and results keep their pairs and the
/// provider's cache its prefix (P69).
pub(super) fn short_id(id: &str) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if is_short(id) {
        return id.to_owned();
    }
    let hash = Sha256::digest(id.as_bytes());
    hash.iter()
        .take(SHORT)
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect()
}
