//! The rows of well-known providers.

use patchbay::catalog::{Dialect, ReasoningStyle, SearchUnit};

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

#[test]
fn providers_that_search_say_so_with_a_price_and_how_they_are_asked() {
    let snapshot = crate::files::snapshot(committed()).unwrap();
    let responses = Some(Dialect::OpenaiResponses);
    for (provider, id, price, per, dialect) in [
        (
            "anthropic",
            "claude-sonnet-4-5",
            10_000_000,
            SearchUnit::Search,
            None,
        ),
        (
            "azure-anthropic",
            "claude-sonnet-4-5",
            10_000_000,
            SearchUnit::Search,
            None,
        ),
        (
            "google-vertex-anthropic",
            "claude-sonnet-5",
            10_000_000,
            SearchUnit::Search,
            None,
        ),
        ("openai", "gpt-5", 10_000_000, SearchUnit::Search, responses),
        (
            "openai",
            "gpt-4o-search-preview",
            25_000_000,
            SearchUnit::Request,
            None,
        ),
        (
            "azure",
            "gpt-4.1-mini",
            14_000_000,
            SearchUnit::Search,
            responses,
        ),
        (
            "google-ai-studio",
            "gemini-2.5-flash",
            35_000_000,
            SearchUnit::Answer,
            None,
        ),
        (
            "google-vertex",
            "gemini-3-flash-preview",
            14_000_000,
            SearchUnit::Search,
            None,
        ),
        ("xai", "grok-4.3", 5_000_000, SearchUnit::Search, None),
        ("perplexity", "sonar", 5_000_000, SearchUnit::Request, None),
        (
            "perplexity",
            "sonar-pro",
            6_000_000,
            SearchUnit::Request,
            None,
        ),
    ] {
        let mut ways = snapshot.endpoints.iter();
        let way = ways.find(|way| way.provider == provider && way.upstream_model_id == id);
        let search = way.and_then(|way| way.web_search.as_ref());
        let search = search.unwrap_or_else(|| panic!("{provider} {id}"));
        assert_eq!(
            (search.price.get(), search.per, search.dialect),
            (price, per, dialect),
            "{provider} {id}"
        );
    }
    // Models that search whether they are asked to or not are charged for it whether they are asked to or not.
    for way in &snapshot.endpoints {
        if let Some(search) = &way.web_search {
            assert_eq!(
                search.always,
                search.per == SearchUnit::Request,
                "{}",
                way.tag
            );
        }
    }
}
