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
        assert_eq!(
            stop_reason("stop").with_calls(true),
            FinishReason::ToolCalls
        );
        assert_eq!(stop_reason("stop").with_calls(false), FinishReason::Stop);
        assert_eq!(stop_reason("length").with_calls(true), FinishReason::Length);
        assert_eq!(
            stop_reason("content_filter").with_calls(true),
            FinishReason::ContentFilter
        );
    }
}
