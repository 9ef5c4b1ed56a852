//! The forms of keys and tokens that providers publish, and texts that look random behind words that announce a secret.

use std::ops::Range;

/// One pattern of all forms; the last finds a word and a value behind it.
pub(super) const FORMS: &str = concat!(
    // This gateway's and its kin's.
    r"\bsk-(?:pb|or)-v1-[0-9a-f]{64}\b",
    r"|\bsk-ant-[a-z]{3,8}\d{2}-[A-Za-z0-9_-]{80,}",
    r"|\bsk-(?:(?:proj|svcacct|admin)-)?[A-Za-z0-9_-]{8,}T3BlbkFJ[A-Za-z0-9_-]{8,}",
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b",
    r"|\bglpat-[A-Za-z0-9_-]{20,}",
    r"|\bAIza[A-Za-z0-9_-]{35}|\bGOCSPX-[A-Za-z0-9_-]{28}|\bya29\.[A-Za-z0-9_-]{30,}",
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}\b|\bwhsec_[A-Za-z0-9+/=]{24,}",
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{20,}|\bxapp-\d-[A-Za-z0-9-]{20,}",
    r"|https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}",
    r"|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgE[A-Za-z0-9_-]{50,}",
    r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}",
    r"|\bhf_[A-Za-z0-9]{30,}\b|\bgsk_[A-Za-z0-9]{40,}\b|\bxai-[A-Za-z0-9]{60,}\b|\bpplx-[A-Za-z0-9]{40,}\b|\br8_[A-Za-z0-9]{30,}\b",
    r"|\bdapi[0-9a-f]{32}\b|\bATATT3[A-Za-z0-9_=-]{60,}|\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9]{40,}",
    r"|\blin_api_[A-Za-z0-9]{32,}\b|\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b|\bdo[port]_v1_[0-9a-f]{64}\b",
    r"|\b\d{8,10}:AA[A-Za-z0-9_-]{33}|\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b",
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
    r"|-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?-----END (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----",
    r#"|(?i:api[_-]?key|secret|token|passw(?:or)?d|passphrase|access[_-]?key|credentials?)["']?\s{0,3}(?:=>|:=|[:=])\s{0,3}["']?[A-Za-z0-9+/_=.~!@#$%^*-]{16,}"#,
);

/// The shortest value behind a telling word.
const SHORTEST: usize = 16;

/// What of a match is the secret: all of it, or the value behind a telling word where it looks random.
pub(super) fn exact(found: &str, range: Range<usize>) -> Option<Range<usize>> {
    let Some(value) = value(found) else {
        return Some(range);
    };
    is_random(value).then(|| range.end - value.len()..range.end)
}

/// The value, where the match begins with a telling word.
fn value(found: &str) -> Option<&str> {
    const WORDS: [&str; 11] = [
        "api_key",
        "api-key",
        "apikey",
        "secret",
        "token",
        "password",
        "passwd",
        "passphrase",
        "access",
        "credential",
        "credentials",
    ];
    let lower = found.to_ascii_lowercase();
    if !WORDS.iter().any(|word| lower.starts_with(word)) {
        return None;
    }
    let at = found.find([':', '='])?;
    let value = found
        .get(at..)?
        .trim_start_matches([':', '=', '>', ' ', '\t', '\n', '\r', '"', '\'']);
    Some(value)
}

/// Whether a text has digits and letters, and little repeats: more than three bits in each character.
fn is_random(text: &str) -> bool {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum();
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.len() >= SHORTEST && has_digit && has_letter && bits > 3.0
}
