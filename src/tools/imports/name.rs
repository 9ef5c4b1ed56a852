//! Names that every client takes: `[a-z0-9_]`, no longer than the wire allows, no two alike.
//!
//! Rules: the wire name `provider__operation` has at most [`MAX_WIRE_NAME`] characters, and properties of inputs are
//! `[A-Za-z0-9_]{1,64}` (OpenAI's, Anthropic's and Gemini's functions).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::tools::catalog::index::{MAX_WIRE_NAME, WIRE};

/// The longest slug of a source: it leaves names their room.
pub const MAX_SLUG: usize = 24;
/// The longest name of a property.
pub const MAX_PROPERTY: usize = 64;
/// Digits of a digest that tell shortened names apart.
const DIGITS: usize = 6;

/// Whether this can be a source's slug: lower case letters, digits and single underscores, a letter first.
pub fn is_slug(text: &str) -> bool {
    (2..=MAX_SLUG).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('_')
        && !text.contains(WIRE)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A slug made of whatever this is called; nothing where no letter of it is left.
pub fn slug(text: &str) -> Option<String> {
    let mut made = words(text);
    made.truncate(MAX_SLUG);
    let made = made.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let made = made.trim_end_matches('_').to_owned();
    is_slug(&made).then_some(made)
}

/// The name of an operation of this source: made of what it is called there, short enough for the wire, and like none of `taken`,
/// which it joins. It depends on nothing but its own text while no two are alike.
pub fn operation(slug: &str, text: &str, taken: &mut BTreeSet<String>) -> String {
    let longest = MAX_WIRE_NAME.saturating_sub(slug.len() + WIRE.len());
    let mut made = words(text);
    if !made.starts_with(|c: char| c.is_ascii_lowercase()) {
        made = format!("operation_{made}").trim_end_matches('_').to_owned();
    }
    if made.len() > longest {
        made = with_digest(&made, text, longest);
    }
    let mut round = 0_u32;
    while taken.contains(&made) {
        round += 1;
        made = with_digest(&made, &format!("{text}\0{round}"), longest);
    }
    taken.insert(made.clone());
    made
}

/// The name of a property of an input, like none of `taken`, which it joins.
pub fn property(text: &str, taken: &mut BTreeSet<String>) -> String {
    let fit = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => c,
        _ => '_',
    };
    let mut made: String = text.chars().map(fit).collect();
    if made != text {
        made = made.trim_matches('_').to_owned();
    }
    // Some clients take no digit first.
    if made.is_empty() || made.starts_with(|c: char| c.is_ascii_digit()) {
        made.insert_str(0, "field_");
        made.truncate(made.trim_end_matches('_').len());
    }
    if made.len() > MAX_PROPERTY {
        made = with_digest(&made, text, MAX_PROPERTY);
    }
    let mut round = 0_u32;
    while taken.contains(&made) {
        round += 1;
        made = with_digest(&made, &format!("{text}\0{round}"), MAX_PROPERTY);
    }
    taken.insert(made.clone());
    made
}

/// Words of lower case letters and digits with single underscores between: `listUsers`, `list-users` and `GET /list/users` alike.
fn words(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let is_hump =
            c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (is_hump || !c.is_ascii_alphanumeric()) && !made.is_empty() && !made.ends_with('_') {
            made.push('_');
        }
        if c.is_ascii_alphanumeric() {
            made.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    made.truncate(made.trim_end_matches('_').len());
    made
}

/// A name of at most so many characters that ends in digits of the digest of `of`.
fn with_digest(name: &str, of: &str, longest: usize) -> String {
    let digest = Sha256::digest(of);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.get(..DIGITS).unwrap_or_default();
    let room = longest.saturating_sub(DIGITS + 1);
    let kept = name.get(..room.min(name.len())).unwrap_or_default();
    format!("{}_{digits}", kept.trim_end_matches('_'))
}
