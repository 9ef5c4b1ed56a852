//! Patterns of slugs and ids: `*` stands for anything, also for nothing.

/// Whether a pattern means the whole text. Linear but for the stars' own tries.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("o1-pro", "o1-pro", true),
            ("o1-pro", "o1-pro-x", false),
            ("*-pro", "gpt-5-pro", true),
            ("*-pro", "gpt-5-pro-2", false),
            ("*codex*", "gpt-5-codex-mini", true),
            ("gpt-*-image", "gpt-4-x-image", true),
            ("*", "", true),
            ("*", "x", true),
            ("", "x", false),
            ("a/*", "a/1", true),
            ("a/*", "b/a/1", false),
            ("*1*0", "b/10", true),
            ("*/1", "a/1", true),
            ("a/1", "a/10", false),
            ("a*1", "a1", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
