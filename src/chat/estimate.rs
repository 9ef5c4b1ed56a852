//! How many tokens a request probably has, before any provider has counted them.
//!
//! Used to size holds and to exclude endpoints whose window is too small; to charge only where a provider did not count, and
//! then the usage row says so. Text counts a token per four bytes (most tokenizers need fewer for English, more for other
//! scripts, whose UTF-8 is longer too). What providers put around it differs by family of models ([`Framing`]); its figures,
//! and what is left of the error, were measured on recorded requests (`tests/golden/estimates.rs`).

use super::{
    image_size,
    request::{ChatRequest, Media, Message, Part, ResponseFormat},
};

/// Bytes of text that make about one token.
pub const BYTES_PER_TOKEN: usize = 4;
/// Tokens of an image whose size is not known.
pub const IMAGE_TOKENS: u64 = 1_000;
/// Pixels that make about one token.
const PIXELS_PER_TOKEN: u64 = 750;
/// The least and the most tokens of an image of known size: large ones are made smaller.
const IMAGE_BOUNDS: (u64, u64) = (100, 1_600);
/// Bytes of a document that make about one token; PDF text is compressed, and pages are read as images too.
pub const DOCUMENT_BYTES_PER_TOKEN: usize = 16;
/// The least tokens of a document: one page.
const PAGE_TOKENS: u64 = 700;
/// Bytes of compressed sound or film that make about one token.
pub const STREAM_BYTES_PER_TOKEN: usize = 512;

/// What a family's providers add to the text of a request, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Framing {
    /// Around the whole; some have instructions of their own.
    request: u64,
    /// Around each message.
    message: u64,
    /// Instructions on how to call tools, where there are any.
    tools: u64,
    /// Around each tool.
    tool: u64,
}

impl Framing {
    /// By the catalog's word for a tokenizer.
    fn of(tokenizer: &str) -> Self {
        let (request, message, tools, tool) = match tokenizer {
            "GPT" => (4, 3, 10, 5),
            "Claude" => (6, 3, 400, 20),
            "Gemini" | "Gemma" => (0, 1, 10, 0),
            "Grok" => (130, 4, 100, 60),
            "DeepSeek" => (0, 3, 170, 50),
            "Mistral" => (6, 3, 40, 20),
            "Qwen" | "Qwen3" => (3, 4, 150, 20),
            "Llama2" | "Llama3" | "Llama4" => (12, 4, 100, 0),
            "Cohere" => (0, 1, 0, 5),
            _ => (0, 4, 50, 15),
        };
        Self {
            request,
            message,
            tools,
            tool,
        }
    }
}

/// Tokens in `bytes` of text.
pub fn text_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// What of a prompt can be measured without knowing the model: messages, tools and schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptSize {
    /// Tokens of everything that is said.
    content: u64,
    messages: u64,
    tools: u64,
}

impl PromptSize {
    /// Measures a request.
    pub fn of(request: &ChatRequest) -> Self {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let tools = request.tools.iter().map(|tool| {
            let schema = tool
                .parameters
                .as_ref()
                .map_or(0, |schema| schema.to_string().len());
            let words = tool.description.as_deref().map_or(0, str::len);
            text_tokens(tool.name.len() + words + schema)
        });
        let form = match &request.response_format {
            Some(ResponseFormat::JsonSchema(form)) => text_tokens(form.schema.to_string().len()),
            _ => 0,
        };
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        Self {
            content: parts
                .map(part_tokens)
                .chain(tools)
                .fold(form, u64::saturating_add),
            messages: count(request.messages.len()),
            tools: count(request.tools.len()),
        }
    }

    /// Tokens for a model with this tokenizer (the catalog's word).
    pub fn tokens(self, tokenizer: &str) -> u64 {
        let framing = Framing::of(tokenizer);
        let instructions = if self.tools == 0 { 0 } else { framing.tools };
        [
            framing.request,
            instructions,
            framing.message.saturating_mul(self.messages),
            framing.tool.saturating_mul(self.tools),
        ]
        .into_iter()
        .fold(self.content, u64::saturating_add)
    }
}

/// Tokens of the whole prompt for a model with this tokenizer (the catalog's word).
pub fn prompt_tokens(request: &ChatRequest, tokenizer: &str) -> u64 {
    PromptSize::of(request).tokens(tokenizer)
}

/// Tokens of one message, for a model whose tokenizer is not known.
pub fn message_tokens(message: &Message) -> u64 {
    let parts = message.parts.iter().map(part_tokens);
    parts.fold(Framing::of("").message, u64::saturating_add)
}

/// Tokens of one part.
pub fn part_tokens(part: &Part) -> u64 {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => text_tokens(text.len()),
        Part::Image { media, .. } => image_tokens(media),
        Part::File { media, .. } => document_tokens(media),
        Part::Audio { data, .. } => stream_tokens(data.len(), STREAM_BYTES_PER_TOKEN),
        Part::Video { media } => match media {
            Media::Inline { data, .. } => stream_tokens(data.len(), STREAM_BYTES_PER_TOKEN),
            Media::Url(_) | Media::FileId(_) => IMAGE_TOKENS,
        },
        Part::ToolCall {
            name, arguments, ..
        } => text_tokens(name.len() + arguments.len()),
        Part::ToolResult { content, .. } => {
            content.iter().map(part_tokens).fold(0, u64::saturating_add)
        }
        Part::Reasoning(detail) => text_tokens(detail.readable().map_or(0, str::len)),
    }
}

fn image_tokens(media: &Media) -> u64 {
    let Media::Inline { data, .. } = media else {
        return IMAGE_TOKENS;
    };
    let (least, most) = IMAGE_BOUNDS;
    image_size::of_base64(data).map_or(IMAGE_TOKENS, |(width, height)| {
        (width.saturating_mul(height) / PIXELS_PER_TOKEN).clamp(least, most)
    })
}

fn document_tokens(media: &Media) -> u64 {
    match media {
        Media::Inline { mime, data } if mime.starts_with("text/") => {
            stream_tokens(data.len(), BYTES_PER_TOKEN)
        }
        Media::Inline { mime, .. } if mime.starts_with("image/") => image_tokens(media),
        Media::Inline { data, .. } => {
            stream_tokens(data.len(), DOCUMENT_BYTES_PER_TOKEN).max(PAGE_TOKENS)
        }
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
    use crate::chat::Role;

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
        assert_eq!(prompt_tokens(&request, "Other"), 2 + IMAGE_TOKENS + 2 * 4);
    }

    #[test]
    fn tools_cost_what_the_family_puts_around_them() {
        let tool = crate::chat::Tool {
            name: "look".into(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        };
        let request = ChatRequest {
            messages: vec![Message::text(Role::User, "hi")],
            tools: vec![tool.clone(), tool],
            ..ChatRequest::default()
        };
        assert_eq!(prompt_tokens(&request, "Claude"), 6 + 3 + 1 + 400 + 2 * 21);
        assert_eq!(
            prompt_tokens(&request, "no such family"),
            4 + 1 + 50 + 2 * 16
        );
    }

    #[test]
    fn a_text_file_counts_as_its_text_and_a_page_as_a_page() {
        let file = |mime: &str, bytes: usize| Media::Inline {
            mime: mime.into(),
            data: "A".repeat(bytes / 3 * 4),
        };
        assert_eq!(document_tokens(&file("text/plain", 3_000)), 750);
        assert_eq!(document_tokens(&file("application/pdf", 300)), PAGE_TOKENS);
        assert_eq!(document_tokens(&file("application/pdf", 48_000)), 3_000);
    }
}
