//! Why the model stopped: the provider's `finishReason` in the canonical word.
//!
//! Spec: <https://ai.google.dev/api/generate-content#FinishReason>

use crate::{
    chat::FinishReason,
    error::{Error, ErrorType},
};

/// The canonical word for a native one. A word that says neither success nor a known end is an error, never a success (P93).
pub fn stop_reason(native: &str) -> FinishReason {
    match native {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        _ => FinishReason::Error,
    }
}

/// The failure behind a finish reason that is an error. Another attempt may succeed: models write a malformed call by chance.
pub(super) fn failure(native: &str, message: Option<&str>) -> Error {
    let mut text = format!("The model stopped with {native}");
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        text.push_str(": ");
        text.push_str(message);
    }
    let mut error = Error::upstream(ErrorType::ProviderUnavailable, text);
    error.provider_code = Some(native.to_owned());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_native_word_has_its_canonical_one() {
        for (native, expected) in [
            ("STOP", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length), // P91
            ("SAFETY", FinishReason::ContentFilter),
            ("SPII", FinishReason::ContentFilter),
            ("IMAGE_SAFETY", FinishReason::ContentFilter),
            ("MALFORMED_FUNCTION_CALL", FinishReason::Error), // P93
            ("UNEXPECTED_TOOL_CALL", FinishReason::Error),
            ("NO_IMAGE", FinishReason::Error),
            ("OTHER", FinishReason::Error),
            ("FINISH_REASON_UNSPECIFIED", FinishReason::Error),
            ("A_WORD_OF_NEXT_YEAR", FinishReason::Error),
        ] {
            assert_eq!(stop_reason(native), expected, "{native}");
        }
    }
}
