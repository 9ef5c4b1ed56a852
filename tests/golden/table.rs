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

pub static OPENAI: Api = openai("openai.chat", &[]);

const fn messages(name: &'static str, quirks: &'static [Quirk]) -> Api {
    Api {
        name,
        dialect: Dialect::AnthropicMessages,
        quirks,
    }
}

static ANTHROPIC: Api = messages("anthropic.messages", &[]);

/// Hosts that speak Anthropic messages.
static MESSAGES: [Api; 3] = [
    messages("azure.anthropic_messages", &[]),
    messages("vertex.anthropic_rawPredict", &[]),
    messages("opencode-zen.messages", &[Quirk::UnsignedThinking]),
];

const fn gemini(name: &'static str) -> Api {
    Api {
        name,
        dialect: Dialect::Gemini,
        quirks: &[],
    }
}

static GEMINI: Api = gemini("google.generateContent");

/// Hosts that speak Gemini.
static VERTEX: Api = gemini("vertex.generateContent");

const fn responses(name: &'static str, quirks: &'static [Quirk]) -> Api {
    Api {
        name,
        dialect: Dialect::OpenaiResponses,
        quirks,
    }
}

/// Hosts that speak OpenAI Responses.
pub static RESPONSES: [Api; 10] = [
    responses("openai.responses", &[]),
    responses("xai.responses", &[Quirk::XaiReasoning]),
    responses("azure.responses", &[Quirk::AzureReasoning]),
    responses("bedrock.responses", &[]),
    responses("chatgpt-codex.responses", &[]),
    responses("deepseek.responses", &[]),
    responses("github-copilot.responses", &[]),
    responses("llamacpp.responses", &[]),
    responses("mistralrs.responses", &[]),
    responses("openrouter.responses", &[]),
];
static BEDROCK: Api = Api {
    name: "bedrock.converse",
    dialect: Dialect::BedrockConverse,
    quirks: &[],
};

static COHERE_V2: Api = Api {
    name: "cohere.v2_chat",
    dialect: Dialect::CohereV2,
    quirks: &[],
};

/// Hosts that speak chat completions in their own ways.
pub static COMPATIBLE: [Api; 41] = [
    openai("ai21.chat", &[]),
    openai("aihubmix.chat", &[]),
    openai("alibaba.chat", &[]),
    openai("anthropic.chat", &[]),
    openai("avian.chat", &[]),
    openai("azure.chat", &[]),
    openai("bedrock.chat", &[]),
    openai("cerebras.chat", &[]),
    openai("cloudflare.chat", &[]),
    openai("cohere.chat", &[]),
    openai("crusoe.chat", &[]),
    openai("databricks.chat", &[]),
    openai("deepseek.chat", &[]),
    openai("doubleword.chat", &[]),
    openai("fireworks.chat", &[]),
    openai("github-copilot.chat", &[]),
    openai("github-models.chat", &[]),
    openai("google.chat", &[]),
    openai("groq.chat", &[]),
    openai("heroku.chat", &[]),
    openai("huggingface.chat", &[]),
    openai("hyperbolic.chat", &[]),
    openai("llamacpp.chat", &[]),
    openai("minimax.chat", &[Quirk::ThinkTags]),
    openai("mistral.chat", &[]),
    openai("mistralrs.chat", &[]),
    openai("moonshot.chat", &[]),
    openai("nebius.chat", &[]),
    openai("novita.chat", &[Quirk::ThinkTags]),
    openai("ollama.chat", &[]),
    openai("opencode-zen.chat", &[]),
    openai("openrouter.chat", &[]),
    openai("perplexity.chat", &[Quirk::ThinkTags]),
    openai("portkey.chat", &[]),
    openai("sambanova.chat", &[]),
    openai("snowflake.chat", &[]),
    openai("together.chat", &[]),
    openai("venice.chat", &[]),
    openai("vercel-gateway.chat", &[]),
    openai("xai.chat", &[Quirk::ReasoningOutsideCompletion]),
    openai("zai.chat", &[]),
];

/// Every API of the table.
pub fn all() -> impl Iterator<Item = &'static Api> {
    let alone = [&OPENAI, &ANTHROPIC, &GEMINI, &VERTEX, &BEDROCK, &COHERE_V2];
    alone
        .into_iter()
        .chain(&MESSAGES)
        .chain(&COMPATIBLE)
        .chain(&RESPONSES)
}

#[test]
fn answers_of_openai() {
    check_answers("openai.chat", std::slice::from_ref(&OPENAI));
}

#[test]
fn answers_of_anthropic() {
    check_answers("anthropic.messages", std::slice::from_ref(&ANTHROPIC));
}

#[test]
fn answers_of_hosts_of_anthropic_messages() {
    check_answers("compatible.messages", &MESSAGES);
}

#[test]
fn answers_of_gemini() {
    check_answers("google.generateContent", std::slice::from_ref(&GEMINI));
}

#[test]
fn answers_of_cohere() {
    check_answers("cohere.v2_chat", std::slice::from_ref(&COHERE_V2));
}

#[test]
fn answers_of_bedrock() {
    check_answers("bedrock.converse", std::slice::from_ref(&BEDROCK));
}

#[test]
fn answers_of_gemini_on_vertex() {
    check_answers("vertex.generateContent", std::slice::from_ref(&VERTEX));
}

#[test]
fn answers_of_compatible_hosts() {
    check_answers("compatible.chat", &COMPATIBLE);
}

#[test]
fn answers_of_hosts_of_responses() {
    check_answers("openai.responses", &RESPONSES);
}
