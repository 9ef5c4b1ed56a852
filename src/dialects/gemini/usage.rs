//! Token counts: from the provider's `usageMetadata` to the canonical, inclusive convention.
//!
//! Gemini reports thoughts and the prompt tokens of its own tools apart from the rest, and cached tokens as a part of the
//! prompt. Spec: <https://ai.google.dev/api/generate-content#UsageMetadata>

use super::wire::{ModalityCount, UsageMetadata};
use crate::chat::Usage;

impl UsageMetadata {
    /// Takes over what a later report says; counts are cumulative, so nothing is added up (P14).
    pub(super) fn update(&mut self, later: UsageMetadata) {
        replace(&mut self.prompt_token_count, later.prompt_token_count);
        replace(
            &mut self.cached_content_token_count,
            later.cached_content_token_count,
        );
        replace(
            &mut self.candidates_token_count,
            later.candidates_token_count,
        );
        replace(&mut self.thoughts_token_count, later.thoughts_token_count);
        replace(
            &mut self.tool_use_prompt_token_count,
            later.tool_use_prompt_token_count,
        );
        replace(&mut self.total_token_count, later.total_token_count);
        replace(&mut self.prompt_tokens_details, later.prompt_tokens_details);
        replace(&mut self.cache_tokens_details, later.cache_tokens_details);
        replace(
            &mut self.candidates_tokens_details,
            later.candidates_tokens_details,
        );
        replace(
            &mut self.tool_use_prompt_tokens_details,
            later.tool_use_prompt_tokens_details,
        );
    }

    /// The canonical counts, or nothing where no count was reported at all (P15, P21).
    pub(super) fn canonical(&self) -> Option<Usage> {
        let counts = [
            self.prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.total_token_count,
        ];
        if counts.iter().all(Option::is_none) {
            return None;
        }
        let count = Option::unwrap_or_default;
        let prompt =
            count(self.prompt_token_count).saturating_add(count(self.tool_use_prompt_token_count));
        let candidates = count(self.candidates_token_count);
        let thoughts = count(self.thoughts_token_count);
        // Some hosts count the thoughts among the candidates: their total gives them away (P12).
        let included = candidates >= thoughts
            && self.total_token_count == Some(prompt.saturating_add(candidates));
        let completion = if included {
            candidates
        } else {
            candidates.saturating_add(thoughts)
        };
        let sound_in = modality(&self.prompt_tokens_details, "AUDIO")
            .saturating_add(modality(&self.tool_use_prompt_tokens_details, "AUDIO"));
        Some(Usage {
            prompt,
            cache_read: count(self.cached_content_token_count).min(prompt),
            completion,
            reasoning: thoughts,
            // Cached sound is priced as a cache read, so it is not counted as sound again (P17).
            audio_in: sound_in.saturating_sub(modality(&self.cache_tokens_details, "AUDIO")),
            audio_out: modality(&self.candidates_tokens_details, "AUDIO"),
            image_out: modality(&self.candidates_tokens_details, "IMAGE"),
            prompt_unknown: self.prompt_token_count.is_none(),
            ..Usage::default()
        })
    }
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

fn modality(details: &Option<Vec<ModalityCount>>, wanted: &str) -> u64 {
    details
        .iter()
        .flatten()
        .filter(|count| count.modality == wanted)
        .map(|count| count.token_count)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(metadata: serde_json::Value) -> Option<Usage> {
        serde_json::from_value::<UsageMetadata>(metadata)
            .unwrap()
            .canonical()
    }

    #[test]
    fn thoughts_are_part_of_the_completion() {
        // P11
        let usage = usage(json!({"promptTokenCount": 40, "candidatesTokenCount": 150, "thoughtsTokenCount": 8000, "totalTokenCount": 8190})).unwrap();
        assert_eq!((usage.completion, usage.reasoning), (8150, 8000));
        assert_eq!(usage.total(), 8190);
    }

    #[test]
    fn thoughts_that_the_candidates_already_hold_are_not_added_twice() {
        // P12
        let usage = usage(json!({"promptTokenCount": 40, "candidatesTokenCount": 150, "thoughtsTokenCount": 100, "totalTokenCount": 190})).unwrap();
        assert_eq!((usage.completion, usage.reasoning), (150, 100));
    }

    #[test]
    fn cached_tokens_are_a_part_of_the_prompt() {
        // P13
        let usage = usage(json!({"promptTokenCount": 100_000, "cachedContentTokenCount": 90_000, "candidatesTokenCount": 1, "totalTokenCount": 100_001})).unwrap();
        assert_eq!((usage.prompt, usage.cache_read), (100_000, 90_000));
    }

    #[test]
    fn a_budget_spent_on_thinking_alone_is_still_usage() {
        // P15
        let usage = usage(
            json!({"promptTokenCount": 7, "thoughtsTokenCount": 1024, "totalTokenCount": 1031}),
        )
        .unwrap();
        assert_eq!((usage.prompt, usage.completion), (7, 1024));
    }

    #[test]
    fn absent_counts_are_not_zeros() {
        // P21
        assert_eq!(usage(json!({})), None);
        assert_eq!(usage(json!({"serviceTier": "standard"})), None);
        assert_eq!(
            usage(json!({"promptTokenCount": 0, "totalTokenCount": 0})),
            Some(Usage::default())
        );
        let answer_alone = usage(json!({"candidatesTokenCount": 18})).unwrap();
        assert_eq!(
            (answer_alone.completion, answer_alone.prompt_unknown),
            (18, true)
        );
    }

    #[test]
    fn sound_is_split_after_the_cache() {
        // P17
        let usage = usage(json!({
            "promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 1290, "totalTokenCount": 2290,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 500}, {"modality": "TEXT", "tokenCount": 100}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]
        }))
        .unwrap();
        assert_eq!((usage.audio_in, usage.image_out), (300, 1290));
    }

    #[test]
    fn the_prompts_of_the_providers_own_tools_count_as_prompt() {
        let usage = usage(json!({"promptTokenCount": 25, "candidatesTokenCount": 26, "thoughtsTokenCount": 38, "toolUsePromptTokenCount": 1130, "totalTokenCount": 1219})).unwrap();
        assert_eq!((usage.prompt, usage.total()), (1155, 1219));
    }
}
