//! Token counts as chat-completions hosts report them, in the canonical inclusive convention.
//!
//! `prompt_tokens` includes cached tokens and `completion_tokens` includes reasoning; hosts that count otherwise are found by
//! their own total, or declared by a quirk.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{chat::Usage, credits::money::Nanos};

/// xAI bills in ticks of 1e-10 dollars.
const TICKS_PER_NANO: i64 = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek.
    #[serde(deserialize_with = "count")]
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot, Together.
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
    /// Mistral.
    #[serde(deserialize_with = "count")]
    num_cached_tokens: Option<u64>,
    /// Claude behind compatible hosts.
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    /// Some hosts keep it out of the details.
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
    /// A number of dollars, or an object with a `total_cost`.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    /// OpenRouter: what a key of the caller's own costs beside it.
    #[serde(borrow)]
    cost_details: Option<&'a RawValue>,
    is_byok: Option<bool>,
    cost_in_usd_ticks: Option<i64>,
    /// OpenRouter.
    #[serde(alias = "server_tool_use_details")]
    server_tool_use: Option<ServerTools>,
    /// Perplexity.
    #[serde(deserialize_with = "count")]
    num_search_queries: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    #[serde(deserialize_with = "count")]
    web_search_requests: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    audio_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    image_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    #[serde(deserialize_with = "count")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    ephemeral_1h_input_tokens: Option<u64>,
}

/// A count, `null`, or something that is no count (which is then unknown, not zero).
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.and_then(|number| {
        let text = number.to_string();
        // Some hosts count in floats: 12.0.
        text.strip_suffix(".0").unwrap_or(&text).parse().ok()
    }))
}

/// Reads a `usage` object; nothing where it has no counts, which is not the same as zero (P21).
pub(super) fn read(json: &str, reasoning_outside: bool) -> Option<Usage> {
    let wire: Wire<'_> = crate::json::from_str(json).ok()?;
    let prompt_details = wire.prompt_tokens_details.unwrap_or_default();
    let completion_details = wire.completion_tokens_details.unwrap_or_default();
    let prompt_unknown = wire.prompt_tokens.is_none() && wire.completion_tokens.is_some();
    let (mut prompt, mut completion) = match (wire.prompt_tokens, wire.completion_tokens) {
        (None, None) => (wire.total_tokens?, 0),
        (prompt, completion) => (prompt.unwrap_or_default(), completion.unwrap_or_default()),
    };

    let cache_read = [
        prompt_details.cached_tokens,
        wire.prompt_cache_hit_tokens,
        wire.cached_tokens,
        wire.num_cached_tokens,
        wire.cache_read_input_tokens,
    ]
    .into_iter()
    .flatten()
    .max()
    .unwrap_or_default();
    let lifetimes = wire.cache_creation.unwrap_or_default();
    let one_hour = lifetimes.ephemeral_1h_input_tokens.unwrap_or_default();
    let written = [
        prompt_details.cache_write_tokens,
        wire.cache_creation_input_tokens,
        lifetimes
            .ephemeral_5m_input_tokens
            .map(|five| five.saturating_add(one_hour)),
    ]
    .into_iter()
    .flatten()
    .max()
    .unwrap_or_default();

    let cached = cache_read.saturating_add(written);
    let sum = prompt.saturating_add(completion);
    let excludes_cache =
        cached > prompt || (cached > 0 && wire.total_tokens == Some(sum.saturating_add(cached)));
    if excludes_cache {
        prompt = prompt.saturating_add(cached);
    }
    // Mistral counts sound apart from the prompt that it is in.
    let audio = prompt_details.audio_tokens.unwrap_or_default();
    if audio > 0 && wire.total_tokens == Some(sum.saturating_add(audio)) {
        prompt = prompt.saturating_add(audio);
    }
    let mut reasoning = completion_details
        .reasoning_tokens
        .or(wire.reasoning_tokens)
        .unwrap_or_default();
    let is_whole_sum = wire.total_tokens == Some(sum);
    if is_whole_sum && reasoning <= completion.saturating_add(2 + completion / 50) {
        // Some hosts count the same reasoning a second time, and a few tokens otherwise.
        reasoning = reasoning.min(completion);
    }
    let upstream_cost = cost(wire.cost, wire.cost_in_usd_ticks).map(|cost| {
        let beside = wire.cost_details.filter(|_| wire.is_byok == Some(true));
        let beside =
            beside.and_then(|raw| crate::json::from_str::<CostDetails<'_>>(raw.get()).ok());
        let beside = beside.and_then(|details| self::cost(details.upstream_inference_cost, None));
        cost.saturating_add(beside.unwrap_or_default())
    });
    // P12: a host that usually leaves reasoning out is believed only where its own total does not say otherwise.
    if reasoning > completion || (reasoning_outside && !is_whole_sum) {
        completion = completion.saturating_add(reasoning);
    }
    Some(Usage {
        prompt,
        cache_read,
        cache_write_5m: written.saturating_sub(one_hour),
        cache_write_1h: one_hour.min(written),
        completion,
        reasoning,
        // A part is never more than the whole, whatever a host says.
        audio_in: audio.min(prompt),
        audio_out: completion_details
            .audio_tokens
            .unwrap_or_default()
            .min(completion),
        image_out: completion_details
            .image_tokens
            .unwrap_or_default()
            .min(completion),
        upstream_cost,
        searches: wire
            .server_tool_use
            .and_then(|tools| tools.web_search_requests)
            .or(wire.num_search_queries),
        prompt_unknown,
        ..Usage::default()
    })
}

/// P23: what the host says it charged, in nano-dollars.
pub(in crate::dialects) fn cost(cost: Option<&RawValue>, ticks: Option<i64>) -> Option<i64> {
    #[derive(Deserialize)]
    struct Total<'a> {
        #[serde(borrow)]
        total_cost: &'a RawValue,
    }
    if let Some(ticks) = ticks {
        let nanos = ticks.div_euclid(TICKS_PER_NANO);
        let more = i64::from(ticks.rem_euclid(TICKS_PER_NANO) > 0);
        return nanos.checked_add(more);
    }
    let text = cost?.get();
    let number = match crate::json::from_str::<Total<'_>>(text) {
        Ok(total) => total.total_cost.get(),
        Err(_) => text.trim_matches('"'),
    };
    let amount = Nanos::from_dollars_rounded_up(number).ok()?;
    Some(amount.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        read(json, false).unwrap()
    }

    #[test]
    fn zero_is_reported_and_absent_is_not() {
        // P21
        let zero = "{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}";
        assert_eq!(usage(zero), Usage::default());
        assert_eq!(read("{}", false), None);
        assert_eq!(read("{\"prompt_tokens\":null}", false), None);
        let answer_alone = usage("{\"completion_tokens\":5}");
        assert_eq!(
            (answer_alone.completion, answer_alone.prompt_unknown),
            (5, true)
        );
    }

    #[test]
    fn cached_tokens_are_a_part_of_the_prompt() {
        // P05
        for json in [
            "{\"prompt_tokens\":100,\"completion_tokens\":9,\"total_tokens\":109,\"prompt_tokens_details\":{\"cached_tokens\":90}}",
            "{\"prompt_tokens\":100,\"completion_tokens\":9,\"total_tokens\":109,\"prompt_cache_hit_tokens\":90,\"prompt_cache_miss_tokens\":10}",
            "{\"prompt_tokens\":100,\"completion_tokens\":9,\"cached_tokens\":90}",
            "{\"prompt_tokens\":100.0,\"completion_tokens\":9,\"num_cached_tokens\":90,\"prompt_tokens_details\":null}",
            // P03, P04: a host that counts them apart, found out by its total or by the impossible.
            "{\"prompt_tokens\":10,\"completion_tokens\":9,\"total_tokens\":109,\"cache_read_input_tokens\":90}",
            "{\"prompt_tokens\":10,\"completion_tokens\":9,\"cache_read_input_tokens\":90}",
        ] {
            let usage = usage(json);
            assert_eq!(
                (usage.prompt, usage.cache_read, usage.completion),
                (100, 90, 9),
                "{json}"
            );
        }
    }

    #[test]
    fn lifetimes_of_cache_writes_stay_apart() {
        // P18
        let json = "{\"prompt_tokens\":100,\"completion_tokens\":1,\"cache_creation_input_tokens\":70,\
            \"cache_creation\":{\"ephemeral_5m_input_tokens\":20,\"ephemeral_1h_input_tokens\":50}}";
        let usage = usage(json);
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (20, 50));
        assert_eq!(usage.prompt, 100);
    }

    #[test]
    fn reasoning_outside_the_completion_is_added_once() {
        // P11, P12
        let outside = "{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":45,\"completion_tokens_details\":{\"reasoning_tokens\":30}}";
        let inside = "{\"prompt_tokens\":10,\"completion_tokens\":35,\"total_tokens\":45,\"completion_tokens_details\":{\"reasoning_tokens\":30}}";
        for (json, quirk) in [
            (outside, true),
            (outside, false),
            (inside, true),
            (inside, false),
        ] {
            let usage = read(json, quirk).unwrap();
            assert_eq!(
                (usage.completion, usage.reasoning, usage.total()),
                (35, 30, 45)
            );
        }
    }

    #[test]
    fn reasoning_that_is_counted_twice_is_charged_once() {
        // P11: as recorded of MiniMax; and of a gateway whose reasoning is outside although its total leaves it out, too.
        for (completion, reasoning, charged) in [(365, 369, 365), (20, 21, 20), (10, 37, 47)] {
            let total = 100 + completion;
            let usage = usage(&format!(
                "{{\"prompt_tokens\":100,\"completion_tokens\":{completion},\"total_tokens\":{total},\
                \"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}"
            ));
            assert_eq!(usage.completion, charged);
            assert_eq!(usage.reasoning, reasoning.min(charged));
        }
    }

    #[test]
    fn sound_outside_the_prompt_is_added() {
        let json = "{\"prompt_tokens\":11,\"completion_tokens\":15,\"total_tokens\":401,\
            \"prompt_tokens_details\":{\"audio_tokens\":375,\"cached_tokens\":9}}";
        let usage = usage(json);
        assert_eq!(
            (usage.prompt, usage.audio_in, usage.total()),
            (386, 375, 401)
        );
    }

    #[test]
    fn the_hosts_own_bill_is_kept() {
        // P23
        for (cost, nanos) in [
            ("\"cost\":0.00014856", 148_560),
            ("\"cost\":0.0000000011", 2),
            ("\"cost\":\"0.5\"", 500_000_000),
            (
                "\"cost\":0.5,\"cost_details\":{\"upstream_inference_cost\":null},\"is_byok\":true",
                500_000_000,
            ),
            (
                "\"cost\":0.05,\"cost_details\":{\"upstream_inference_cost\":1},\"is_byok\":true",
                1_050_000_000,
            ),
            (
                "\"cost\":0.5,\"cost_details\":{\"upstream_inference_cost\":0.4},\"is_byok\":false",
                500_000_000,
            ),
            (
                "\"cost\":{\"total_cost\":0.006,\"request_cost\":0.005}",
                6_000_000,
            ),
            ("\"cost_in_usd_ticks\":4211", 422),
        ] {
            let usage = usage(&format!("{{\"prompt_tokens\":1,{cost}}}"));
            assert_eq!(usage.upstream_cost, Some(nanos), "{cost}");
        }
    }
}
