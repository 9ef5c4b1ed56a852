//! Reasoning of other providers in the blocks of this surface, which have room for Anthropic's alone.
//!
//! A block is `thinking` with a signature or `redacted_thinking` with data, and clients send both back unread. What another
//! provider signed travels in that opaque field with the name of its form, so that it goes back to that provider, and to
//! nobody who would refuse it (P24, P84, P87).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::super::ids::native_id;
use crate::chat::{ReasoningDetail, ReasoningFormat, ReasoningKind};

/// What an opaque field of the gateway's own begins with.
const PREFIX: &str = "pb1.";

/// What is known of a foreign block beside its words.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    #[serde(rename = "f")]
    format: ReasoningFormat,
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The signature, or the opaque data.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    /// The words are a summary.
    #[serde(rename = "k", default, skip_serializing_if = "std::ops::Not::not")]
    is_summary: bool,
}

/// The opaque field of a block: Anthropic's own as it is, everybody else's with its origin.
pub(super) fn seal(detail: &ReasoningDetail) -> String {
    let (seal, is_summary) = match &detail.kind {
        ReasoningKind::Text { signature, .. } => (signature.clone(), false),
        ReasoningKind::Encrypted { data } => (Some(data.clone()), false),
        ReasoningKind::Summary { .. } | ReasoningKind::ServerToolCall { .. } => (None, true),
    };
    if detail.format == ReasoningFormat::AnthropicClaude && !is_summary {
        return seal.unwrap_or_default();
    }
    let id = detail.id.as_deref().map(|id| match detail.format {
        // The id of a call, which the client knows by its native form.
        ReasoningFormat::GoogleGemini => native_id(id, 1),
        _ => id.to_owned(),
    });
    let stamp = Stamp {
        format: detail.format.clone(),
        id,
        seal: seal.filter(|seal| !seal.is_empty()),
        is_summary,
    };
    let json = serde_json::to_vec(&stamp).unwrap_or_default();
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}

fn open(field: &str) -> Option<Stamp> {
    let json = BASE64_URL_SAFE_NO_PAD
        .decode(field.strip_prefix(PREFIX)?)
        .ok()?;
    crate::json::from_slice(&json).ok()
}

/// A `thinking` block that comes back, and whether it can go to Anthropic as it is.
pub(super) fn thinking(text: String, signature: Option<String>) -> (ReasoningDetail, bool) {
    let signature = signature.filter(|signature| !signature.is_empty());
    let Some(stamp) = signature.as_deref().and_then(open) else {
        let is_signed = signature.is_some();
        let kind = ReasoningKind::Text {
            text: Some(text),
            signature,
        };
        return (
            detail(kind, ReasoningFormat::AnthropicClaude, None),
            is_signed,
        );
    };
    let kind = if stamp.is_summary {
        ReasoningKind::Summary { summary: text }
    } else {
        ReasoningKind::Text {
            text: Some(text),
            signature: stamp.seal,
        }
    };
    (detail(kind, stamp.format, stamp.id), false)
}

/// A `redacted_thinking` block that comes back, and whether it can go to Anthropic as it is.
pub(super) fn redacted(data: String) -> (ReasoningDetail, bool) {
    match open(&data) {
        Some(stamp) => {
            let data = stamp.seal.unwrap_or_default();
            let kind = ReasoningKind::Encrypted { data };
            (detail(kind, stamp.format, stamp.id), false)
        }
        None => {
            let kind = ReasoningKind::Encrypted { data };
            (detail(kind, ReasoningFormat::AnthropicClaude, None), true)
        }
    }
}

fn detail(kind: ReasoningKind, format: ReasoningFormat, id: Option<String>) -> ReasoningDetail {
    ReasoningDetail {
        kind,
        format,
        id,
        index: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anothers_block_comes_back_as_it_left() {
        // P84, P87: also by way of a client that knows Anthropic's blocks alone.
        let signed = |format| ReasoningDetail {
            kind: ReasoningKind::Text {
                text: Some("hm".into()),
                signature: Some("sig+/=".into()),
            },
            format,
            id: Some("rs_1".into()),
            index: None,
        };
        for format in [
            ReasoningFormat::OpenaiResponses,
            ReasoningFormat::Unknown,
            ReasoningFormat::Other("new".into()),
        ] {
            let there = signed(format);
            let (back, is_native) = thinking("hm".into(), Some(seal(&there)));
            assert_eq!((back, is_native), (there, false));
        }
        let gemini = ReasoningDetail {
            kind: ReasoningKind::Encrypted {
                data: "opaque".into(),
            },
            format: ReasoningFormat::GoogleGemini,
            id: Some("call.0:look".into()),
            index: None,
        };
        let (back, is_native) = redacted(seal(&gemini));
        assert_eq!(back.id, Some(native_id("call.0:look", 1)));
        assert_eq!(
            (&back.kind, &back.format, is_native),
            (&gemini.kind, &gemini.format, false)
        );
        let summary = ReasoningDetail {
            kind: ReasoningKind::Summary {
                summary: "short".into(),
            },
            format: ReasoningFormat::OpenaiResponses,
            id: None,
            index: None,
        };
        assert_eq!(thinking("short".into(), Some(seal(&summary))).0, summary);
    }

    #[test]
    fn anthropics_own_blocks_are_not_touched() {
        // P82: empty words with a signature are a block.
        let own = ReasoningDetail {
            kind: ReasoningKind::Text {
                text: Some(String::new()),
                signature: Some("EpAB".into()),
            },
            format: ReasoningFormat::AnthropicClaude,
            id: None,
            index: None,
        };
        assert_eq!(seal(&own), "EpAB");
        assert_eq!(thinking(String::new(), Some("EpAB".into())), (own, true));
        assert!(!thinking("x".into(), None).1, "nobody signed it");
        assert!(redacted("opaque".into()).1);
        // What only looks like the gateway's own is somebody else's.
        assert!(redacted("pb1.!!".into()).1);
    }
}
