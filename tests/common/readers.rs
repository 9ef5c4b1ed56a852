//! Which test binary reads the recordings of an API; the gap test (`tests/golden/coverage.rs`) holds the list against the index.
//!
//! An API is added here together with the table that reads it, and leaves `tests/golden/left_out.toml`.

/// An API of the index and the test binary that reads all its cases.
pub const READERS: &[(&str, &str)] = &[
    ("ai21.chat", "golden"),
    ("aihubmix.chat", "golden"),
    ("alibaba.chat", "golden"),
    ("anthropic.chat", "golden"),
    ("anthropic.messages", "golden"),
    ("avian.chat", "golden"),
    ("azure.anthropic_messages", "golden"),
    ("azure.chat", "golden"),
    ("azure.responses", "golden"),
    ("bedrock.chat", "golden"),
    ("bedrock.converse", "golden"),
    ("bedrock.responses", "golden"),
    ("cerebras.chat", "golden"),
    ("chatgpt-codex.responses", "golden"),
    ("cloudflare.chat", "golden"),
    ("cohere.chat", "golden"),
    ("cohere.v2_chat", "golden"),
    ("crusoe.chat", "golden"),
    ("databricks.chat", "golden"),
    ("deepseek.chat", "golden"),
    ("deepseek.responses", "golden"),
    ("doubleword.chat", "golden"),
    ("fireworks.chat", "golden"),
    ("github-copilot.chat", "golden"),
    ("github-copilot.responses", "golden"),
    ("github-models.chat", "golden"),
    ("google.chat", "golden"),
    ("google.generateContent", "golden"),
    ("groq.chat", "golden"),
    ("heroku.chat", "golden"),
    ("huggingface.chat", "golden"),
    ("hyperbolic.chat", "golden"),
    ("llamacpp.chat", "golden"),
    ("llamacpp.responses", "golden"),
    ("minimax.chat", "golden"),
    ("mistral.chat", "golden"),
    ("mistralrs.chat", "golden"),
    ("mistralrs.responses", "golden"),
    ("moonshot.chat", "golden"),
    ("nebius.chat", "golden"),
    ("novita.chat", "golden"),
    ("ollama.chat", "golden"),
    ("openai.chat", "golden"),
    ("openai.responses", "golden"),
    ("opencode-zen.chat", "golden"),
    ("opencode-zen.messages", "golden"),
    ("openrouter.chat", "golden"),
    ("openrouter.responses", "golden"),
    ("perplexity.chat", "golden"),
    ("portkey.chat", "golden"),
    ("sambanova.chat", "golden"),
    ("snowflake.chat", "golden"),
    ("together.chat", "golden"),
    ("venice.chat", "golden"),
    ("vercel-gateway.chat", "golden"),
    ("vertex.anthropic_rawPredict", "golden"),
    ("vertex.generateContent", "golden"),
    ("xai.chat", "golden"),
    ("xai.responses", "golden"),
    ("zai.chat", "golden"),
];

/// Fails unless these are the APIs that the list says this binary reads. Each binary calls it with the names in its own table.
pub fn check_reader(binary: &str, apis: &[&str]) {
    let mut listed: Vec<&str> = READERS
        .iter()
        .filter(|(_, reader)| *reader == binary)
        .map(|(api, _)| *api)
        .collect();
    let mut read = apis.to_vec();
    listed.sort_unstable();
    read.sort_unstable();
    assert_eq!(
        read, listed,
        "tests/common/readers.rs and the table of {binary}"
    );
}
