//! Golden table: every recorded exchange of the dialects through the product's own functions.
//!
//! Answers: native bytes → canonical events (whole, byte by byte, at the recorded and at random splits: always the same) →
//! chat completion by the client writer → summary, held against `tests/golden/<api>.json`. Summaries keep structure, counts,
//! usage and digests, never recorded text. `UPDATE_GOLDEN=1 cargo test --test golden` rewrites them; read what changed.

#[cfg(test)]
mod common;

#[cfg(test)]
mod golden {
    mod answers;
    mod anthropic_requests;
    mod bedrock_requests;
    mod cohere_requests;
    mod completions;
    mod counts;
    mod coverage;
    mod estimates;
    mod event_order;
    #[path = "../golden_gemini/reader.rs"]
    mod gemini_reader;
    mod openai_requests;
    mod operations;
    mod responses;
    mod responses_pass;
    mod responses_requests;
    mod summary;
    mod table;
}
