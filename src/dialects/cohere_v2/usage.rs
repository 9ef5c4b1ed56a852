//! Token counts.
//!
//! Cohere counts twice: `tokens` is what the model read and wrote, with a preamble and marks of its own, `billed_units` is what
//! it charges for. The gateway charges what is charged for, so those are the counts; `tokens` stands in where they are missing.
//! `cached_tokens` counts from the beginning of the prompt, where the unbilled preamble is, so only what reaches beyond the
//! preamble is a cached part of the billed prompt.

use serde::{Deserialize, Deserializer};

use crate::chat;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    billed_units: Option<Counts>,
    tokens: Option<Counts>,
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

/// A count; the API's own type for it is a float.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.and_then(|number| {
        let text = number.to_string();
        text.strip_suffix(".0").unwrap_or(&text).parse().ok()
    }))
}

impl Usage {
    /// In the canonical convention; nothing where nothing was counted (P21).
    pub(super) fn read(&self) -> Option<chat::Usage> {
        let tokens = self.tokens.unwrap_or_default();
        let billed = self.billed_units.unwrap_or_default();
        let prompt = billed.input_tokens.or(tokens.input_tokens);
        let completion = billed.output_tokens.or(tokens.output_tokens);
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let prompt_unknown = prompt.is_none();
        let (prompt, completion) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
        let unbilled = tokens.input_tokens.unwrap_or(prompt).saturating_sub(prompt);
        let cached = self.cached_tokens.unwrap_or_default();
        Some(chat::Usage {
            prompt,
            cache_read: cached.saturating_sub(unbilled).min(prompt),
            completion,
            reasoning: tokens.reasoning_tokens.unwrap_or_default().min(completion),
            prompt_unknown,
            ..chat::Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<chat::Usage> {
        serde_json::from_str::<Usage>(json).unwrap().read()
    }

    #[test]
    fn what_is_billed_is_counted() {
        let usage = read(
            r#"{"billed_units":{"input_tokens":262.0,"output_tokens":59},
                "tokens":{"input_tokens":499,"output_tokens":70,"reasoning_tokens":20},"cached_tokens":480}"#,
        );
        // 237 tokens of the prompt are Cohere's own, so 243 of the cached ones are billed.
        let expected = chat::Usage {
            prompt: 262,
            cache_read: 243,
            completion: 59,
            reasoning: 20,
            ..chat::Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn absent_counts_are_not_zero() {
        // P21
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"billed_units":{}}"#), None);
        let tokens = read(r#"{"tokens":{"input_tokens":5,"output_tokens":2}}"#).unwrap();
        assert_eq!((tokens.prompt, tokens.completion), (5, 2));
    }
}
