//! Why a chat-completions host stopped, in the canonical words.

use crate::chat::FinishReason;

/// Reads a host's `finish_reason`. OpenAI knows five words; compatible hosts pass on those of the engine behind them.
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" | "max_output_tokens"
        | "context_length" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "SAFETY" | "sensitive" | "refusal" | "content-filter"
        | "repetition_filter" => FinishReason::ContentFilter,
        // P93: these are failures, not ends.
        "error"
        | "insufficient_system_resource"
        | "network_error"
        | "abort"
        | "aborted"
        | "cancelled" => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

/// The same for an answer with tool calls: some hosts say `stop` although they want tools to run, and OpenAI says so where
/// a function was forced. Only `stop` is overridden (P52, P54).
pub(super) fn with_calls(native: &str, has_calls: bool) -> FinishReason {
    match stop_reason(native) {
        FinishReason::Stop if has_calls => FinishReason::ToolCalls,
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_compatible_hosts_are_known() {
        for (native, reason) in [
            ("stop", FinishReason::Stop),
            ("eos", FinishReason::Stop),
            ("length", FinishReason::Length),
            ("model_length", FinishReason::Length),
            ("tool_calls", FinishReason::ToolCalls),
            ("content_filter", FinishReason::ContentFilter),
            // P93
            ("error", FinishReason::Error),
            ("insufficient_system_resource", FinishReason::Error),
        ] {
            assert_eq!(stop_reason(native), reason, "{native}");
        }
    }

    #[test]
    fn only_stop_becomes_tool_calls() {
        // P52, P54
        assert_eq!(with_calls("stop", true), FinishReason::ToolCalls);
        assert_eq!(with_calls("stop", false), FinishReason::Stop);
        assert_eq!(with_calls("length", true), FinishReason::Length);
        assert_eq!(
            with_calls("content_filter", true),
            FinishReason::ContentFilter
        );
    }
}
