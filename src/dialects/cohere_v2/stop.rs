//! Why a generation ended.

use crate::chat::FinishReason;

/// The canonical word. A word that is not known counts as an ordinary end.
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        "MAX_TOKENS" | "ERROR_LIMIT" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "ERROR" | "TIMEOUT" => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_api_is_known() {
        for (native, reason) in [
            ("COMPLETE", FinishReason::Stop),
            ("STOP_SEQUENCE", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length),
            ("TOOL_CALL", FinishReason::ToolCalls),
            ("ERROR_TOXIC", FinishReason::ContentFilter),
            // P93
            ("ERROR", FinishReason::Error),
            ("TIMEOUT", FinishReason::Error),
        ] {
            assert_eq!(stop_reason(native), reason, "{native}");
        }
    }
}
