//! Reasoning: what a client asks for, and the blocks that travel out and back (`reasoning_details`).
//!
//! Blocks are carried with their signatures and opaque data unmodified, because providers verify them on the next turn
//! (P81–P85). The shape is OpenRouter's `reasoning_details`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How hard to think, weakest first.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// The `reasoning` object of a request, with the older spellings folded in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReasoningRequest {
    /// Effort; at most one of effort and budget is given.
    pub effort: Option<Effort>,
    /// Token budget.
    pub max_tokens: Option<u64>,
    /// Think, but do not return the thoughts.
    #[serde(default)]
    pub exclude: bool,
    /// `true` alone means medium effort; `false` means none.
    pub enabled: Option<bool>,
    /// `auto`, `concise` or `detailed`.
    pub summary: Option<String>,
}

impl Effort {
    /// The part of an answer's tokens that an effort stands for, in percent.
    fn share(self) -> u64 {
        match self {
            Effort::None => 0,
            Effort::Minimal => 10,
            Effort::Low => 20,
            Effort::Medium => 50,
            Effort::High => 80,
            Effort::Xhigh | Effort::Max => 95,
        }
    }

    /// The thinking budget that an effort stands for in an answer of at most `max_tokens`, for upstreams that take tokens:
    /// a share of the answer, from 1,024 to 128,000. Nothing for `none`.
    pub fn budget(self, max_tokens: u64) -> Option<u64> {
        let budget = max_tokens.saturating_mul(self.share()) / 100;
        (self != Effort::None).then(|| budget.clamp(1_024, 128_000))
    }

    /// The effort whose share of `max_tokens` is nearest to a budget, for upstreams that take efforts; the lower of two.
    pub fn of_budget(budget: u64, max_tokens: u64) -> Effort {
        let percent = budget.saturating_mul(100) / max_tokens.max(1);
        [
            Effort::Minimal,
            Effort::Low,
            Effort::Medium,
            Effort::High,
            Effort::Xhigh,
        ]
        .into_iter()
        .min_by_key(|effort| effort.share().abs_diff(percent))
        .unwrap_or(Effort::Medium)
    }
}

/// What a `reasoning` object comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningWish {
    /// Whatever the model does of its own.
    Default,
    /// No reasoning.
    Off,
    /// This much effort; never [`Effort::None`].
    Effort(Effort),
    /// This many tokens.
    Budget(u64),
}

impl ReasoningRequest {
    /// What is asked for, with the spellings folded together.
    pub fn wish(&self) -> ReasoningWish {
        match (self.enabled, self.effort, self.max_tokens) {
            (Some(false), _, _) | (_, Some(Effort::None), _) | (_, None, Some(0)) => {
                ReasoningWish::Off
            }
            (_, Some(effort), _) => ReasoningWish::Effort(effort),
            (_, None, Some(budget)) => ReasoningWish::Budget(budget),
            (Some(true), None, None) => ReasoningWish::Effort(Effort::Medium),
            (None, None, None) => ReasoningWish::Default,
        }
    }
}

/// Which provider's form a block has; a block is sent back only to endpoints of the same form (P87).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum ReasoningFormat {
    /// Anthropic thinking and redacted thinking.
    #[default]
    #[serde(rename = "anthropic-claude-v1")]
    AnthropicClaude,
    /// Gemini thought parts and thought signatures.
    #[serde(rename = "google-gemini-v1")]
    GoogleGemini,
    /// OpenAI Responses reasoning items.
    #[serde(rename = "openai-responses-v1")]
    OpenaiResponses,
    /// Plain text of open models (`reasoning_content`).
    #[serde(rename = "unknown")]
    Unknown,
    /// A format this gateway has no rules for.
    #[serde(untagged)]
    Other(String),
}

/// What a reasoning block holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ReasoningKind {
    /// Thinking in words, with the provider's signature (which may come alone, in the last delta).
    #[serde(rename = "reasoning.text")]
    Text {
        /// The words.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The provider's signature over the words.
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A summary of hidden thinking.
    #[serde(rename = "reasoning.summary")]
    Summary {
        /// The summary.
        summary: String,
    },
    /// Opaque thinking: Anthropic `redacted_thinking`, Gemini `thoughtSignature`, OpenAI `encrypted_content`.
    #[serde(rename = "reasoning.encrypted")]
    Encrypted {
        /// Opaque data.
        data: String,
    },
    /// A server tool that ran inside the reasoning.
    #[serde(rename = "reasoning.server_tool_call")]
    ServerToolCall {
        /// Which tool.
        tool_name: String,
        /// With what.
        arguments: Option<Value>,
        /// What came out.
        result: Option<Value>,
    },
}

impl ReasoningKind {
    /// With what a server tool was called.
    pub fn arguments(&self) -> Option<&Value> {
        match self {
            Self::ServerToolCall { arguments, .. } => arguments.as_ref(),
            _ => None,
        }
    }
}

/// One reasoning block, or a delta of one: deltas with the same `index` belong to one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReasoningDetail {
    /// What it holds.
    #[serde(flatten)]
    pub kind: ReasoningKind,
    /// Whose form it has.
    #[serde(default)]
    pub format: ReasoningFormat,
    /// The provider's id of the block; for a signature on a Gemini function call, the id of the tool call.
    #[serde(default)]
    pub id: Option<String>,
    /// The block's position in the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

impl ReasoningDetail {
    /// A delta or block of text.
    pub fn text(format: ReasoningFormat, index: u32, text: impl Into<String>) -> Self {
        Self {
            kind: ReasoningKind::Text {
                text: Some(text.into()),
                signature: None,
            },
            format,
            id: None,
            index: Some(index),
        }
    }

    /// The part of the block that a person may read.
    pub fn readable(&self) -> Option<&str> {
        match &self.kind {
            ReasoningKind::Text { text, .. } => text.as_deref(),
            ReasoningKind::Summary { summary } => Some(summary),
            ReasoningKind::Encrypted { .. } | ReasoningKind::ServerToolCall { .. } => None,
        }
    }

    /// Appends a delta of the same block. Returns the delta when it belongs to another block.
    pub fn absorb(&mut self, delta: ReasoningDetail) -> Option<ReasoningDetail> {
        if self.index != delta.index || self.index.is_none() {
            return Some(delta);
        }
        match (&mut self.kind, &delta.kind) {
            (
                ReasoningKind::Text { text, signature },
                ReasoningKind::Text {
                    text: more,
                    signature: signed,
                },
            ) => {
                append(text, more.as_deref());
                append(signature, signed.as_deref());
            }
            (ReasoningKind::Summary { summary }, ReasoningKind::Summary { summary: more }) => {
                summary.push_str(more);
            }
            (ReasoningKind::Encrypted { data }, ReasoningKind::Encrypted { data: more }) => {
                data.push_str(more);
            }
            _ => return Some(delta),
        }
        if self.id.is_none() {
            self.id = delta.id;
        }
        None
    }
}

fn append(into: &mut Option<String>, more: Option<&str>) {
    if let Some(more) = more {
        into.get_or_insert_default().push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_budgets_convert_both_ways() {
        // P90
        for (effort, budget) in [
            (Effort::None, None),
            (Effort::Minimal, Some(2_000)),
            (Effort::Low, Some(4_000)),
            (Effort::Medium, Some(10_000)),
            (Effort::High, Some(16_000)),
            (Effort::Max, Some(19_000)),
        ] {
            assert_eq!(effort.budget(20_000), budget, "{effort:?}");
        }
        assert_eq!(Effort::Low.budget(1_000), Some(1_024));
        assert_eq!(Effort::High.budget(1_000_000), Some(128_000));
        assert_eq!(Effort::of_budget(2_000, 20_000), Effort::Minimal);
        assert_eq!(Effort::of_budget(7_000, 20_000), Effort::Low);
        assert_eq!(Effort::of_budget(50_000, 20_000), Effort::Xhigh);
        assert_eq!(Effort::of_budget(1, 0), Effort::Xhigh);
    }

    #[test]
    fn the_reasoning_object_comes_to_one_wish() {
        let wish = |json: &str| {
            serde_json::from_str::<ReasoningRequest>(json)
                .unwrap()
                .wish()
        };
        assert_eq!(wish("{}"), ReasoningWish::Default);
        assert_eq!(wish(r#"{"exclude":true}"#), ReasoningWish::Default);
        assert_eq!(
            wish(r#"{"enabled":true}"#),
            ReasoningWish::Effort(Effort::Medium)
        );
        assert_eq!(
            wish(r#"{"enabled":true,"max_tokens":9}"#),
            ReasoningWish::Budget(9)
        );
        assert_eq!(
            wish(r#"{"effort":"xhigh"}"#),
            ReasoningWish::Effort(Effort::Xhigh)
        );
        for off in [
            r#"{"enabled":false,"effort":"high"}"#,
            r#"{"effort":"none"}"#,
            r#"{"max_tokens":0}"#,
        ] {
            assert_eq!(wish(off), ReasoningWish::Off, "{off}");
        }
    }
}
