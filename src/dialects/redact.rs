//! Secrets that upstreams quote in their errors: the operator's keys and organisation ids are cut before anybody reads them.

/// How such names begin; what follows is cut.
const PREFIXES: [&str; 15] = [
    "sk-",
    "org-",
    "proj_",
    "gsk_",
    "xai-",
    "AIza",
    "pplx-",
    "hf_",
    "fw_",
    "csk-",
    "nvapi-",
    "AKIA",
    "ASIA",
    "ABSK",
    "bedrock-api-key-",
];

/// The least length of a whole name; shorter ones are words.
const LEAST: usize = 12;

/// The text without secrets; nothing where there are none.
pub fn secrets(text: &str) -> Option<String> {
    if !PREFIXES.iter().any(|prefix| text.contains(prefix)) {
        return None;
    }
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*');
    let mut told = String::with_capacity(text.len());
    let mut has_changed = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if belongs(first) {
            rest.find(|c| !belongs(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let found = PREFIXES.iter().find(|prefix| word.starts_with(**prefix));
        match found.filter(|_| word.len() >= LEAST) {
            Some(prefix) => {
                has_changed = true;
                told.push_str(prefix);
                told.push('…');
            }
            None => told.push_str(word),
        }
        rest = tail;
    }
    has_changed.then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_organisations_are_cut_and_words_are_not() {
        for (text, told) in [
            (
                "Incorrect API key provided: sk-proj-abc_DEF123***xyz.",
                Some("Incorrect API key provided: sk-…."),
            ),
            (
                "Rate limit in organization org-AbCdEf123456 on é",
                Some("Rate limit in organization org-… on é"),
            ),
            (
                "{\"key\":\"AIzaSyA1234567890\",\"x\":\"gsk_0123456789ab\"}",
                Some("{\"key\":\"AIza…\",\"x\":\"gsk_…\"}"),
            ),
            ("an org-wide task-list at desk-level-two", None),
            ("nothing", None),
        ] {
            assert_eq!(secrets(text).as_deref(), told, "{text}");
        }
    }
}
