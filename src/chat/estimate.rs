//! How many tokens a request probably has, before any provider has counted them.
//!
//! Used to size holds and to exclude endpoints whose window is too small; to charge only where a provider did not count, and
//! then the usage row says so. Text counts a token per four bytes (most tokenizers need fewer for English, more for other
//! scripts, whose UTF-8 is longer too); media count flat.

use super::request::{ChatRequest, Media, Part};

/// Bytes of text that make about one token.
pub const BYTES_PER_TOKEN: usize = 4;
/// Tokens of an image at a usual size.
pub const IMAGE_TOKENS: u64 = 1_000;
/// Bytes of a document that make about one token; PDF text is compressed, and pages are read as images too.
pub const DOCUMENT_BYTES_PER_TOKEN: usize = 16;
/// Bytes of compressed sound or film that make about one token.
pub const STREAM_BYTES_PER_TOKEN: usize = 512;
/// Tokens that frame each message.
pub const MESSAGE_TOKENS: u64 = 4;

/// Tokens in `bytes` of text.
pub fn text_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// Tokens of the whole prompt: messages, tools and schemas.
pub fn prompt_tokens(request: &ChatRequest) -> u64 {
    let messages = request.messages.iter().map(|message| {
        let parts = message.parts.iter().map(part_tokens);
        parts.fold(MESSAGE_TOKENS, u64::saturating_add)
    });
    let tools = request.tools.iter().map(|tool| {
        let schema = tool
            .parameters
            .as_ref()
            .map_or(0, |schema| schema.to_string().len());
        let words = tool.description.as_deref().map_or(0, str::len);
        text_tokens(tool.name.len() + words + schema)
    });
    messages.chain(tools).fold(0, u64::saturating_add)
}

/// Tokens of one part.
pub fn part_tokens(part: &Part) -> u64 {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => text_tokens(text.len()),
        Part::Image { .. } => IMAGE_TOKENS,
        Part::File { media, .. } => media_tokens(media, DOCUMENT_BYTES_PER_TOKEN),
        Part::Audio { data, .. } => stream_tokens(data.len(), STREAM_BYTES_PER_TOKEN),
        Part::Video { media } => media_tokens(media, STREAM_BYTES_PER_TOKEN),
        Part::ToolCall {
            name, arguments, ..
        } => text_tokens(name.len() + arguments.len()),
        Part::ToolResult { content, .. } => {
            content.iter().map(part_tokens).fold(0, u64::saturating_add)
        }
        Part::Reasoning(detail) => text_tokens(detail.readable().map_or(0, str::len)),
    }
}

fn media_tokens(media: &Media, bytes_per_token: usize) -> u64 {
    match media {
        Media::Inline { data, .. } => stream_tokens(data.len(), bytes_per_token),
        Media::Url(_) | Media::FileId(_) => IMAGE_TOKENS,
    }
}

fn stream_tokens(base64_bytes: usize, bytes_per_token: usize) -> u64 {
    let bytes = base64_bytes / 4 * 3;
    u64::try_from(bytes.div_ceil(bytes_per_token)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role};

    #[test]
    fn media_do_not_count_as_their_base64_text() {
        let image = Part::Image {
            media: Media::Inline {
                mime: "image/png".into(),
                data: "A".repeat(1_000_000),
            },
            detail: None,
            cache: None,
        };
        let request = ChatRequest {
            messages: vec![
                Message::text(Role::User, "12345678"),
                Message {
                    role: Role::User,
                    name: None,
                    parts: vec![image],
                },
            ],
            ..ChatRequest::default()
        };
        assert_eq!(
            prompt_tokens(&request),
            2 + IMAGE_TOKENS + 2 * MESSAGE_TOKENS
        );
    }
}
