//! Why a Responses host stopped, in the canonical words.

use crate::chat::FinishReason;

/// Reads a host's `status`, or the reason of an incomplete answer where there is one.
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        // P95
        "incomplete" | "max_output_tokens" | "max_tokens" | "length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "failed" | "cancelled" | "error" => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_met_its_limit_is_not_complete() {
        // P95
        for (native, has_calls, reason) in [
            ("completed", false, FinishReason::Stop),
            ("completed", true, FinishReason::ToolCalls),
            ("max_output_tokens", false, FinishReason::Length),
            ("max_output_tokens", true, FinishReason::Length),
            ("incomplete", false, FinishReason::Length),
            ("content_filter", false, FinishReason::ContentFilter),
            ("failed", false, FinishReason::Error),
        ] {
            assert_eq!(
                stop_reason(native).with_calls(has_calls),
                reason,
                "{native}"
            );
        }
    }
}
