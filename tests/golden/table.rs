//! The APIs of the table.

use patchbay::catalog::{Dialect, Quirk};

use super::answers::check_answers;

/// One API of the recordings and how it is read.
pub struct Api {
    /// Its name in the index; the snapshot is `<name>.json`.
    pub name: &'static str,
    /// Its dialect.
    pub dialect: Dialect,
    /// What its hosts do differently.
    pub quirks: &'static [Quirk],
}

const fn openai(name: &'static str, quirks: &'static [Quirk]) -> Api {
    Api {
        name,
        dialect: Dialect::OpenaiChat,
        quirks,
    }
}

pub const OPENAI: Api = openai("openai.chat", &[]);

const fn messages(name: &'static str, quirks: &'static [Quirk]) -> Api {
    Api {
        name,
        dialect: Dialect::AnthropicMessages,
        quirks,
    }
}

const ANTHROPIC: Api = messages("anthropic.messages", &[]);

/// Hosts that speak Anthropic messages.
const MESSAGES: [Api; 3] = [
    messages("azure.anthropic_messages", &[]),
    messages("vertex.anthropic_rawPredict", &[]),
    messages("opencode-zen.messages", &[Quirk::UnsignedThinking]),
];

const GEMINI: Api = Api {
    name: "google.generateContent",
    dialect: Dialect::Gemini,
    quirks: &[],
};

/// Hosts that speak chat completions in their own ways.
pub const COMPATIBLE: [Api; 24] = [
    openai("ai21.chat", &[]),
    openai("aihubmix.chat", &[]),
    openai("alibaba.chat", &[]),
    openai("avian.chat", &[]),
    openai("azure.chat", &[]),
    openai("cerebras.chat", &[]),
    openai("cloudflare.chat", &[]),
    openai("crusoe.chat", &[]),
    openai("deepseek.chat", &[]),
    openai("doubleword.chat", &[]),
    openai("fireworks.chat", &[]),
    openai("groq.chat", &[]),
    openai("huggingface.chat", &[]),
    openai("hyperbolic.chat", &[]),
    openai("minimax.chat", &[Quirk::ThinkTags]),
    openai("mistral.chat", &[]),
    openai("moonshot.chat", &[]),
    openai("novita.chat", &[Quirk::ThinkTags]),
    openai("openrouter.chat", &[]),
    openai("perplexity.chat", &[Quirk::ThinkTags]),
    openai("together.chat", &[]),
    openai("vercel-gateway.chat", &[]),
    openai("xai.chat", &[Quirk::ReasoningOutsideCompletion]),
    openai("zai.chat", &[]),
];

#[test]
fn answers_of_openai() {
    check_answers("openai.chat", &[OPENAI]);
}

#[test]
fn answers_of_anthropic() {
    check_answers("anthropic.messages", &[ANTHROPIC]);
}

#[test]
fn answers_of_hosts_of_anthropic_messages() {
    check_answers("compatible.messages", &MESSAGES);
}

#[test]
fn answers_of_gemini() {
    check_answers("google.generateContent", &[GEMINI]);
}

#[test]
fn answers_of_compatible_hosts() {
    check_answers("compatible.chat", &COMPATIBLE);
}
