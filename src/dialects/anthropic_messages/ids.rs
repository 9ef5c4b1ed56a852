//! Ids in the characters that the API takes.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// How many characters of a digest tell two ids apart that look alike without their odd characters.
const DIGEST: usize = 8;

/// The native id of the `count`th call under `id`, from 1: always the same for the same two (P69). Ids that the API takes
/// stay as they are.
pub(super) fn native_id(id: &str, count: usize) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut native: String = id
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    if count > 1 || id.is_empty() || !id.chars().all(is_plain) {
        native.push('_');
        native.push_str(&digest(&format!("{count} {id}"), DIGEST));
    }
    native
}

/// The client's end user, told to the provider without telling who it is.
pub(super) fn user_id(user: &str) -> String {
    digest(&format!("patchbay user {user}"), 64)
}

pub(in crate::dialects) fn digest(text: &str, length: usize) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(length);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_plain_without_becoming_equal() {
        // P69
        assert_eq!(native_id("toolu_01-A", 1), "toolu_01-A");
        let again = native_id("toolu_01-A", 2);
        assert!(again.starts_with("toolu_01-A_") && again != native_id("toolu_01-A", 3));
        let dotted = native_id("functions.get:0", 1);
        assert!(dotted.starts_with("functions_get_0_"));
        assert_ne!(dotted, native_id("functions:get.0", 1));
        assert_eq!(dotted, native_id("functions.get:0", 1));
        let all = [native_id("", 1), native_id("é", 1), dotted];
        for id in all {
            assert!(
                !id.is_empty()
                    && id
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
            );
        }
    }
}
