//! Token counts as Responses hosts report them: inclusive on both sides, as the canonical convention is.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{chat::Usage, dialects::openai_chat::stated_cost};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// OpenRouter and the like: dollars.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    /// xAI.
    cost_in_usd_ticks: Option<i64>,
    server_side_tool_usage_details: Option<ServerTools>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_calls: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

/// Reads a `usage` object; nothing where it has no counts, which is not the same as zero (P21).
pub(super) fn read(json: &str) -> Option<Usage> {
    let wire: Wire<'_> = crate::json::from_str(json).ok()?;
    if wire.input_tokens.is_none() && wire.output_tokens.is_none() {
        return None;
    }
    let input = wire.input_tokens_details.unwrap_or_default();
    let output = wire.output_tokens_details.unwrap_or_default();
    let prompt = wire.input_tokens.unwrap_or_default();
    let reasoning = output.reasoning_tokens.unwrap_or_default();
    let mut completion = wire.output_tokens.unwrap_or_default();
    // P12: a part is never more than the whole.
    if reasoning > completion {
        completion = completion.saturating_add(reasoning);
    }
    let cache_read = input.cached_tokens.unwrap_or_default().min(prompt);
    Some(Usage {
        prompt,
        cache_read,
        cache_write_5m: input
            .cache_write_tokens
            .unwrap_or_default()
            .min(prompt.saturating_sub(cache_read)),
        completion,
        reasoning,
        audio_in: input.audio_tokens.unwrap_or_default().min(prompt),
        audio_out: output.audio_tokens.unwrap_or_default().min(completion),
        image_out: output.image_tokens.unwrap_or_default().min(completion),
        upstream_cost: stated_cost(wire.cost, wire.cost_in_usd_ticks),
        searches: wire
            .server_side_tool_usage_details
            .and_then(|tools| tools.web_search_calls),
        prompt_unknown: wire.input_tokens.is_none(),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_inclusive_and_absent_ones_are_not_zero() {
        // P05, P11, P21
        let usage = read(
            "{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":60,\"cache_write_tokens\":10},\
             \"output_tokens\":50,\"output_tokens_details\":{\"reasoning_tokens\":40},\"total_tokens\":150}",
        )
        .unwrap();
        assert_eq!(
            (usage.prompt, usage.completion, usage.total()),
            (100, 50, 150)
        );
        assert_eq!(
            (usage.cache_read, usage.cache_write(), usage.reasoning),
            (60, 10, 40)
        );
        assert_eq!(read("{}"), None);
        assert_eq!(read("{\"input_tokens\":null}"), None);
        assert!(read("{\"output_tokens\":3}").unwrap().prompt_unknown);
    }

    #[test]
    fn the_hosts_own_bill_is_kept() {
        // P23
        let ticks = read("{\"input_tokens\":1,\"cost_in_usd_ticks\":4211}").unwrap();
        assert_eq!(ticks.upstream_cost, Some(422));
        let dollars = read("{\"input_tokens\":1,\"cost\":0.0000468}").unwrap();
        assert_eq!(dollars.upstream_cost, Some(46_800));
    }
}
