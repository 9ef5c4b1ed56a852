//! Reasoning of other providers in the one opaque field that clients of Responses send back unread: `encrypted_content`.
//!
//! What hosts of Responses sealed travels as it is. Whatever else a provider signed or encrypted travels whole, as the
//! gateway's own text, so that it goes back to that provider as it came (P24, P83, P84).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::chat::{ReasoningDetail, ReasoningFormat};

/// What an opaque field of the gateway's own begins with.
const PREFIX: &str = "pb1.";

/// Do hosts of Responses give reasoning of this form?
pub(super) fn is_native(format: &ReasoningFormat) -> bool {
    match format {
        ReasoningFormat::OpenaiResponses => true,
        ReasoningFormat::Other(name) => name.ends_with("-responses-v1"),
        _ => false,
    }
}

/// Is this field the gateway's own?
pub(in crate::dialects::openai_responses) fn is_sealed(field: &str) -> bool {
    field.starts_with(PREFIX)
}

/// The blocks as one field.
pub(super) fn seal(blocks: &[ReasoningDetail]) -> String {
    let json = serde_json::to_vec(blocks).unwrap_or_default();
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// The blocks of such a field; nothing where it is somebody else's, or damaged.
pub(super) fn open(field: &str) -> Option<Vec<ReasoningDetail>> {
    let text = field.strip_prefix(PREFIX)?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    crate::json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ReasoningKind;

    #[test]
    fn blocks_come_back_as_they_left() {
        // P24, P84
        let signed = ReasoningKind::Text {
            text: Some("so …".into()),
            signature: Some("sig".into()),
        };
        let hidden = ReasoningKind::Encrypted { data: "x".into() };
        let blocks = [
            (signed, ReasoningFormat::AnthropicClaude, None),
            (
                hidden,
                ReasoningFormat::GoogleGemini,
                Some("call_1".to_owned()),
            ),
        ]
        .map(|(kind, format, id)| ReasoningDetail {
            kind,
            format,
            id,
            index: Some(3),
        });
        assert_eq!(open(&seal(&blocks)).unwrap(), blocks);
        assert_eq!(open("gAAAA"), None);
        assert_eq!(open("pb1.!"), None);
    }
}
