//! Operations that call models, and those that only say what would happen.

use serde_json::json;

use super::document::{Operation, Who::Caller, operation};
use crate::dialects::Surface;

pub fn operations() -> Vec<Operation> {
    let chat =
        json!({"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello!"}]});
    let message = json!({"model": "anthropic/claude-sonnet-4.5", "max_tokens": 256, "messages": [{"role": "user", "content": "Hello!"}]});
    let headers = "{
        // A name of the client's own for the request; it comes back.
        // Up to 128 characters are honoured.
        X-Request-Id?: string,
        // The page of the app that asks, for its ranking.
        HTTP-Referer?: string,
        // The app's name.
        X-Title?: string,
        // Requests of one session go to one endpoint.
        X-Session-Id?: string,
        // `enabled` adds `openrouter_metadata` to the answer.
        X-OpenRouter-Metadata?: 'enabled' | 'disabled'
    }";
    let talk = |path, summary, surface, takes: &str, example, answer: &str, event| {
        operation("POST", path, Caller, "Inference", summary)
            .headers(headers)
            .takes(takes)
            .example(example)
            .answers(200, answer)
            .streams(event)
            .calls_models(surface)
    };
    let work = |path, summary, takes: &str, example| {
        operation("POST", path, Caller, "Inference", summary)
            .headers(headers)
            .takes(takes)
            .example(example)
            .calls_models(Surface::ChatCompletions)
    };
    let images = json!({"model": "openai/gpt-image-1", "prompt": "A lighthouse in fog"});
    let sound =
        json!({"model": "openai/whisper-1", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    vec![
        talk("/chat/completions", "Complete a chat", Surface::ChatCompletions, "ChatRequest", chat.clone(), "ChatCompletion", "ChatChunk"),
        talk("/completions", "Complete a text", Surface::Completions, "CompletionRequest", json!({"model": "openai/gpt-5-mini", "prompt": "Once upon a time"}), "Completion", "Completion"),
        talk("/messages", "Create a message, as Anthropic's API has it", Surface::Messages, "MessagesRequest", message.clone(), "Message", "MessagesEvent"),
        talk("/responses", "Create a response, as OpenAI's newer API has it", Surface::Responses, "ResponsesRequest", json!({"model": "openai/gpt-5-mini", "input": "Hello!"}), "Response", "ResponsesEvent"),
        operation("POST", "/messages/count_tokens", Caller, "Inference", "Count the tokens of a message")
            .says("By the provider where it counts, else by the gateway's estimate: the header x-patchbay-token-count says which. Nothing is charged.")
            .takes("MessagesRequest")
            .example(message)
            .answers(200, "{input_tokens: int(0..)}")
            .calls_models(Surface::Messages),
        work("/embeddings", "Embed", "EmbeddingsRequest", json!({"model": "openai/text-embedding-3-small", "input": "Hello!"}))
            .answers(200, "Embeddings"),
        work("/rerank", "Rank documents", "RerankRequest", json!({"model": "cohere/rerank-v3.5", "query": "tea", "documents": ["coffee", "tea"]}))
            .answers(200, "Rerank"),
        work("/images", "Make images", "ImagesRequest", images.clone())
            .answers(200, "Images")
            .streams("ImagesEvent"),
        work("/images/generations", "Make images, where OpenAI's SDKs look for it", "ImagesRequest", images)
            .answers(200, "Images")
            .streams("ImagesEvent"),
        work("/audio/speech", "Speak a text", "SpeechRequest", json!({"model": "openai/gpt-4o-mini-tts", "input": "Hello!", "voice": "alloy"}))
            .says("The answer is the sound, as it is made, in the form that response_format names.")
            .answers_as(200, "audio/*", "string"),
        work("/audio/transcriptions", "Transcribe a recording", "TranscriptionRequest", sound)
            .takes_as("multipart/form-data", "TranscriptionForm")
            .answers(200, "Transcription")
            .streams("TranscriptionEvent"),
        operation("POST", "/route", Caller, "Inference", "Explain how a chat completion would be routed now")
            .says("Nothing is run or charged.")
            .takes("ChatRequest")
            .example(chat)
            .answers(200, "{data: RoutePlan}")
            .calls_models(Surface::ChatCompletions),
    ]
}
