//! The rows of well-known providers.

use patchbay::catalog::{Dialect, ReasoningStyle};

use crate::tests::committed;

#[test]
fn well_known_providers_are_called_in_their_own_way() {
    let rows = committed();
    for (slug, dialect, url, style) in [
        (
            "deepseek",
            Dialect::OpenaiChat,
            "https://api.deepseek.com",
            ReasoningStyle::Thinking,
        ),
        (
            "xai",
            Dialect::OpenaiChat,
            "https://api.x.ai/v1",
            ReasoningStyle::Effort,
        ),
        (
            "groq",
            Dialect::OpenaiChat,
            "https://api.groq.com/openai/v1",
            ReasoningStyle::Effort,
        ),
        (
            "mistral",
            Dialect::OpenaiChat,
            "https://api.mistral.ai/v1",
            ReasoningStyle::Effort,
        ),
        (
            "together",
            Dialect::OpenaiChat,
            "https://api.together.xyz/v1",
            ReasoningStyle::Enabled,
        ),
        (
            "fireworks",
            Dialect::OpenaiChat,
            "https://api.fireworks.ai/inference/v1",
            ReasoningStyle::EffortOrNone,
        ),
        (
            "deepinfra",
            Dialect::OpenaiChat,
            "https://api.deepinfra.com/v1/openai",
            ReasoningStyle::EffortOrNone,
        ),
        (
            "cerebras",
            Dialect::OpenaiChat,
            "https://api.cerebras.ai/v1",
            ReasoningStyle::Effort,
        ),
        (
            "perplexity",
            Dialect::OpenaiChat,
            "https://api.perplexity.ai",
            ReasoningStyle::Effort,
        ),
        (
            "moonshotai",
            Dialect::OpenaiChat,
            "https://api.moonshot.ai/v1",
            ReasoningStyle::Thinking,
        ),
        (
            "alibaba",
            Dialect::OpenaiChat,
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            ReasoningStyle::EnableThinking,
        ),
        (
            "z-ai",
            Dialect::OpenaiChat,
            "https://api.z.ai/api/paas/v4",
            ReasoningStyle::Thinking,
        ),
        (
            "minimax",
            Dialect::AnthropicMessages,
            "https://api.minimax.io/anthropic",
            ReasoningStyle::Effort,
        ),
        (
            "novita",
            Dialect::OpenaiChat,
            "https://api.novita.ai/openai",
            ReasoningStyle::EnableThinking,
        ),
        (
            "nebius",
            Dialect::OpenaiChat,
            "https://api.tokenfactory.nebius.com/v1",
            ReasoningStyle::Effort,
        ),
        (
            "huggingface",
            Dialect::OpenaiChat,
            "https://router.huggingface.co/v1",
            ReasoningStyle::Effort,
        ),
        (
            "nvidia",
            Dialect::OpenaiChat,
            "https://integrate.api.nvidia.com/v1",
            ReasoningStyle::TemplateKwargs,
        ),
        (
            "cohere",
            Dialect::CohereV2,
            "https://api.cohere.com",
            ReasoningStyle::Effort,
        ),
    ] {
        let row = rows
            .providers
            .iter()
            .find(|row| row.value.provider.slug == slug);
        let provider = &row.unwrap_or_else(|| panic!("no {slug}")).value.provider;
        let known = (
            provider.dialect,
            provider.base_url.as_str(),
            provider.reasoning_style,
        );
        assert_eq!(known, (dialect, url, style), "{slug}");
    }
}
