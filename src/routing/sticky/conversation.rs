//! What makes two requests the same conversation.
//!
//! The name that the client gives (`session_id`, which `X-Session-Id` stands in for, else `prompt_cache_key`), else what a
//! conversation begins with: its first instructions and its first other message.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use crate::chat::{ChatRequest, Media, Message, Part, Role};

/// Bytes of one text that are looked at. Two conversations of one account that agree in so much, and in length, may share a
/// hint: that costs no more than a cold cache.
const LOOKED_AT: usize = 16 * 1_024;
/// Parts of a message that are looked at.
const MAX_PARTS: usize = 16;

/// A conversation of an account. The digest covers the account, so no two accounts share one, and it tells nothing of what
/// was said.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a request; nothing where it has neither a name nor a message.
    pub fn of(account: &str, request: &ChatRequest) -> Option<Self> {
        let mut digest = Fields(Sha256::new());
        digest.field(b"patchbay sticky 1");
        digest.field(account.as_bytes());
        let session = request.session_id.as_deref();
        if let Some(session) = session {
            digest.field(b"session");
            digest.field(session.as_bytes());
        } else if let Some(name) = request.prompt_cache_key.as_deref() {
            digest.field(b"prompt_cache_key");
            digest.field(name.as_bytes());
        } else {
            let is_instruction =
                |message: &&Message| matches!(message.role, Role::System | Role::Developer);
            let first = request.messages.iter().find(is_instruction);
            let other = request
                .messages
                .iter()
                .find(|message| !is_instruction(message));
            if first.is_none() && other.is_none() {
                return None;
            }
            for message in [first, other] {
                digest.field(b"message");
                if let Some(message) = message {
                    digest.message(message);
                }
            }
        }
        Some(Self(digest.0.finalize().into()))
    }

    /// The key in the store.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(71);
        text.push_str("sticky:");
        for byte in self.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A digest of fields, each with its length, so that no two lists of fields look alike.
struct Fields(Sha256);

impl Fields {
    fn field(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_le_bytes());
        self.0.update(bytes.get(..LOOKED_AT).unwrap_or(bytes));
    }

    fn message(&mut self, message: &Message) {
        self.field(match message.role {
            Role::System | Role::Developer => b"instructions",
            Role::User => b"user",
            Role::Assistant => b"assistant",
            Role::Tool => b"tool",
        });
        for part in message.parts.iter().take(MAX_PARTS) {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => self.field(text.as_bytes()),
            Part::Image { media, .. } | Part::File { media, .. } | Part::Video { media } => {
                let (Media::Inline { data: text, .. } | Media::Url(text) | Media::FileId(text)) =
                    media;
                self.field(b"media");
                self.field(text.as_bytes());
            }
            Part::Audio { data, .. } => self.field(data.as_bytes()),
            Part::ToolCall { id, .. } => self.field(id.as_bytes()),
            Part::ToolResult { content, .. } => {
                for part in content.iter().take(MAX_PARTS) {
                    self.part(part);
                }
            }
            Part::Reasoning(detail) => {
                self.field(detail.readable().unwrap_or_default().as_bytes());
            }
        }
    }
}
