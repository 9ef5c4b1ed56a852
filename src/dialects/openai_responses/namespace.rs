//! Tools in a namespace: Responses has them (agents put theirs there), no other format has.
//!
//! A canonical tool's name is namespace and name in one word; calls that go back to a client who sent the namespace are taken apart
//! again (`client::echo`). <https://platform.openai.com/docs/api-reference/responses>

/// The one word.
pub(super) fn joined(namespace: Option<&str>, name: &str) -> String {
    // A function that a search for tools found is a namespace of its own.
    match namespace.filter(|namespace| !namespace.is_empty() && *namespace != name) {
        None => name.to_owned(),
        Some(namespace) if namespace.ends_with("__") => format!("{namespace}{name}"),
        Some(namespace) => format!("{namespace}__{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_name_is_one_word_with_its_namespace() {
        for (namespace, expected) in [
            (None, "read"),
            (Some(""), "read"),
            (Some("read"), "read"),
            (Some("files"), "files__read"),
            (Some("mcp__files__"), "mcp__files__read"),
        ] {
            assert_eq!(joined(namespace, "read"), expected);
        }
    }
}
