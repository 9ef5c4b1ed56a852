//! Canonical events → chat-completion chunks, and the whole answer → one chat completion.
//!
//! The text is written straight into the caller's buffer: a chunk costs no tree and no allocation of its own. Every call
//! writes whole SSE events, so whatever is written later begins on a fresh line (P115).

use super::error::put_error;
use crate::{
    chat::{
        Choice, Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningKind, ToolCall,
        Usage,
    },
    credits::money::Nanos,
    dialects::splice::{ObjectWriter, put, put_array},
    error::Error,
};

/// The end of every stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What the gateway says about an answer, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The generation id (`gen-…`).
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The slug that was served.
    pub model: String,
    /// Display name of the provider.
    pub provider: String,
}

/// What the client wants left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterOptions {
    /// Reasoning is not returned (`reasoning.exclude`).
    pub exclude_reasoning: bool,
}

/// What was used and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageReport {
    /// Token counts.
    pub usage: Usage,
    /// What the account pays.
    pub cost: Nanos,
    /// The prompt's share.
    pub prompt_cost: Nanos,
    /// The completion's share.
    pub completion_cost: Nanos,
}

/// How a choice ended.
#[derive(Debug, Clone)]
struct Ended {
    choice: u32,
    reason: FinishReason,
    native: String,
}

/// Writes one streamed answer.
#[derive(Debug)]
pub struct ChunkWriter {
    meta: Meta,
    /// Everything of a chunk before its choices; the same for all chunks.
    head: Vec<u8>,
    /// Everything after the choices, from what the upstream said of itself.
    tail: Vec<u8>,
    options: WriterOptions,
    /// One bit per choice that already has its role.
    started: u128,
    ended: Vec<Ended>,
}

impl ChunkWriter {
    /// A writer for one answer.
    pub fn new(meta: &Meta, options: WriterOptions) -> Self {
        let created = meta.created.to_string();
        Self {
            head: head(meta, &created),
            meta: meta.clone(),
            tail: Vec::new(),
            options,
            started: 0,
            ended: Vec::new(),
        }
    }

    /// Appends what the client sees of one event: one chunk, or nothing.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start {
                service_tier,
                system_fingerprint,
                ..
            } => self.describe(service_tier.as_deref(), system_fingerprint.as_deref()),
            Event::Delta {
                delta: Delta::Reasoning(_),
                ..
            } if self.options.exclude_reasoning => {}
            Event::Delta { choice, delta } if *choice < Completion::MAX_INDEX => {
                let is_first = self.start(*choice);
                self.chunk(
                    *choice,
                    out,
                    |out| put_delta(out, delta, is_first),
                    |out| {
                        let logprobs = match delta {
                            Delta::Logprobs(value) => Some(value),
                            _ => None,
                        };
                        out.extend_from_slice(
                            b",\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":",
                        );
                        put(out, &logprobs);
                    },
                );
            }
            Event::Finish {
                choice,
                reason,
                native,
                ..
            } if *choice < Completion::MAX_INDEX => {
                let ended = Ended {
                    choice: *choice,
                    reason: *reason,
                    native: native.clone(),
                };
                let is_first = self.start(*choice);
                let delta: &[u8] = if is_first {
                    b"{\"role\":\"assistant\",\"content\":\"\"}"
                } else {
                    b"{}"
                };
                self.chunk(
                    *choice,
                    out,
                    |out| out.extend_from_slice(delta),
                    |out| put_ended(out, Some(&ended)),
                );
                self.ended.push(ended);
            }
            Event::Delta { .. }
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::Error(_)
            | Event::Done => {}
        }
    }

    /// Appends the chunk with the usage, and the end of the stream.
    ///
    /// The chunk has one choice that repeats how the answer ended; its delta has no `role`, which SDKs that add up deltas
    /// would append to the first one (P72).
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        let ended = self.ended.first().cloned();
        let choice = ended.as_ref().map_or(0, |ended| ended.choice);
        self.open(choice, out);
        out.extend_from_slice(b"{\"content\":\"\"}");
        put_ended(out, ended.as_ref());
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(b",\"usage\":");
        put_usage(out, report);
        out.extend_from_slice(b"}\n\n");
        out.extend_from_slice(DONE);
    }

    /// Appends the failure of an answer that had begun, what was used until then, and the end of the stream.
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"error\":");
        put_error(out, error);
        out.extend_from_slice(
            b",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\",\"native_finish_reason\":null,\"logprobs\":null}]",
        );
        if let Some(report) = report {
            out.extend_from_slice(b",\"usage\":");
            put_usage(out, report);
        }
        out.extend_from_slice(b"}\n\n");
        out.extend_from_slice(DONE);
    }

    /// Notes that a choice has its role; true for the first time.
    pub(in crate::dialects::openai_chat) fn start(&mut self, choice: u32) -> bool {
        let bit = 1_u128.checked_shl(choice).unwrap_or_default();
        let is_first = self.started & bit == 0;
        self.started |= bit;
        is_first
    }

    /// Notes how a choice ended whose last chunk somebody else wrote.
    pub(in crate::dialects::openai_chat) fn note_end(
        &mut self,
        choice: u32,
        reason: FinishReason,
        native: &str,
    ) {
        self.ended.push(Ended {
            choice,
            reason,
            native: native.to_owned(),
        });
    }

    /// Takes over the upstream's time of creation, as JSON text.
    pub(in crate::dialects::openai_chat) fn set_created(&mut self, created: &str) {
        self.head = head(&self.meta, created);
    }

    /// `data: {` and the gateway's own fields, without a comma at the end.
    pub(in crate::dialects::openai_chat) fn head(&self) -> &[u8] {
        &self.head
    }

    fn describe(&mut self, service_tier: Option<&str>, system_fingerprint: Option<&str>) {
        self.tail.clear();
        for (key, value) in [
            (&b",\"system_fingerprint\":"[..], system_fingerprint),
            (b",\"service_tier\":", service_tier),
        ] {
            if let Some(value) = value {
                self.tail.extend_from_slice(key);
                put(&mut self.tail, value);
            }
        }
    }

    /// Everything up to the value of `delta`.
    fn open(&self, choice: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        put(out, &choice);
        out.extend_from_slice(b",\"delta\":");
    }

    fn chunk(
        &self,
        choice: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Vec<u8>),
        rest: impl FnOnce(&mut Vec<u8>),
    ) {
        self.open(choice, out);
        delta(out);
        rest(out);
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(b"}\n\n");
    }
}

fn head(meta: &Meta, created: &str) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    let mut object = ObjectWriter::new(&mut head);
    object.field("id", &meta.id);
    object.field("object", "chat.completion.chunk");
    object.raw("created", created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    head
}

fn put_ended(out: &mut Vec<u8>, ended: Option<&Ended>) {
    out.extend_from_slice(b",\"finish_reason\":");
    put(out, &ended.map(|ended| ended.reason.as_str()));
    out.extend_from_slice(b",\"native_finish_reason\":");
    put(out, &ended.map(|ended| &ended.native));
    out.extend_from_slice(b",\"logprobs\":null");
}

/// One delta; absent fields are left out (P71).
fn put_delta(out: &mut Vec<u8>, delta: &Delta, is_first: bool) {
    let mut object = ObjectWriter::new(out);
    if is_first {
        object.field("role", "assistant");
    }
    match delta {
        Delta::Text(text) => object.field("content", text),
        Delta::Refusal(text) => object.field("refusal", text),
        Delta::Reasoning(detail) => {
            object.optional("reasoning", detail.readable());
            put_array(object.key("reasoning_details"), [detail], put_reasoning);
        }
        Delta::ToolCallStart { index, id, name } => {
            put_array(object.key("tool_calls"), [()], |out, ()| {
                let mut call = ObjectWriter::new(out);
                call.field("index", index);
                put_call(&mut call, id, name, "");
                call.end();
            });
        }
        Delta::ToolCallArguments { index, json } => {
            put_array(object.key("tool_calls"), [()], |out, ()| {
                let mut call = ObjectWriter::new(out);
                call.field("index", index);
                let mut function = ObjectWriter::new(call.key("function"));
                function.field("arguments", json);
                function.end();
                call.end();
            });
        }
        Delta::Image { url } => put_array(object.key("images"), [url], put_image),
        Delta::Audio(audio) => object.field("audio", audio),
        Delta::Annotation(annotation) => {
            put_array(object.key("annotations"), [annotation], |out, value| {
                put(out, value)
            });
        }
        Delta::Logprobs(_) => {}
    }
    object.end();
}

fn put_call(call: &mut ObjectWriter<'_>, id: &str, name: &str, arguments: &str) {
    call.field("id", id);
    call.field("type", "function");
    let mut function = ObjectWriter::new(call.key("function"));
    function.field("name", name);
    function.field("arguments", arguments);
    function.end();
}

fn put_image(out: &mut Vec<u8>, url: &String) {
    let mut image = ObjectWriter::new(out);
    image.field("type", "image_url");
    let mut inner = ObjectWriter::new(image.key("image_url"));
    inner.field("url", url);
    inner.end();
    image.end();
}

/// Appends a block of `reasoning_details`.
pub fn put_reasoning(out: &mut Vec<u8>, detail: &ReasoningDetail) {
    let mut object = ObjectWriter::new(out);
    match &detail.kind {
        ReasoningKind::Text { text, signature } => {
            object.field("type", "reasoning.text");
            object.optional("text", text.as_deref());
            object.optional("signature", signature.as_deref());
        }
        ReasoningKind::Summary { summary } => {
            object.field("type", "reasoning.summary");
            object.field("summary", summary);
        }
        ReasoningKind::Encrypted { data } => {
            object.field("type", "reasoning.encrypted");
            object.field("data", data);
        }
        ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            result,
        } => {
            object.field("type", "reasoning.server_tool_call");
            object.field("tool_name", tool_name);
            object.field("arguments", arguments);
            object.field("result", result);
        }
    }
    object.field("format", &detail.format);
    object.optional("id", detail.id.as_deref());
    object.optional("index", detail.index.as_ref());
    object.end();
}

/// The whole answer as one `chat.completion`.
pub fn completion(
    meta: &Meta,
    completion: &Completion,
    report: &UsageReport,
    options: WriterOptions,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    object.field("id", &meta.id);
    object.field("object", "chat.completion");
    object.field("created", &meta.created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    object.field("system_fingerprint", &completion.system_fingerprint);
    object.field("service_tier", &completion.service_tier);
    put_array(
        object.key("choices"),
        completion.choices.iter().enumerate(),
        |out, (index, choice)| {
            // Nobody can tell which of several answers a failure cut: the first one carries it.
            let error = completion.error.as_ref().filter(|_| index == 0);
            put_choice(out, index, choice, error, options);
        },
    );
    put_usage(object.key("usage"), report);
    object.end();
    body
}

fn put_choice(
    out: &mut Vec<u8>,
    index: usize,
    choice: &Choice,
    error: Option<&Error>,
    options: WriterOptions,
) {
    let mut object = ObjectWriter::new(out);
    object.field("index", &index);
    object.field("logprobs", &choice.logprobs);
    let reason = error.map_or(choice.finish, |_| Some(FinishReason::Error));
    object.field("finish_reason", &reason.map(FinishReason::as_str));
    object.field("native_finish_reason", &choice.native_finish);
    put_message(object.key("message"), choice, options);
    if let Some(error) = error {
        put_error(object.key("error"), error);
    }
    object.end();
}

fn put_message(out: &mut Vec<u8>, choice: &Choice, options: WriterOptions) {
    let mut message = ObjectWriter::new(out);
    message.field("role", "assistant");
    message.field("content", &choice.content);
    message.field("refusal", &choice.refusal);
    let reasoning: &[ReasoningDetail] = if options.exclude_reasoning {
        &[]
    } else {
        &choice.reasoning
    };
    let words: Vec<&str> = reasoning
        .iter()
        .filter_map(ReasoningDetail::readable)
        .collect();
    let words = (!words.is_empty()).then(|| words.concat());
    message.field("reasoning", &words);
    if !reasoning.is_empty() {
        put_array(message.key("reasoning_details"), reasoning, put_reasoning);
    }
    if !choice.tool_calls.is_empty() {
        put_array(
            message.key("tool_calls"),
            &choice.tool_calls,
            |out,
             ToolCall {
                 id,
                 name,
                 arguments,
             }| {
                let mut call = ObjectWriter::new(out);
                put_call(&mut call, id, name, arguments);
                call.end();
            },
        );
    }
    if !choice.images.is_empty() {
        put_array(message.key("images"), &choice.images, put_image);
    }
    message.optional("audio", choice.audio.as_ref());
    if !choice.annotations.is_empty() {
        message.field("annotations", &choice.annotations);
    }
    message.end();
}

/// Appends the `usage` object.
pub fn put_usage(out: &mut Vec<u8>, report: &UsageReport) {
    let usage = &report.usage;
    let mut object = ObjectWriter::new(out);
    object.field("prompt_tokens", &usage.prompt);
    object.field("completion_tokens", &usage.completion);
    object.field("total_tokens", &usage.total());
    put_dollars(object.key("cost"), report.cost);
    object.field("is_byok", &false);
    let mut prompt = ObjectWriter::new(object.key("prompt_tokens_details"));
    prompt.field("cached_tokens", &usage.cache_read);
    prompt.field("cache_write_tokens", &usage.cache_write());
    prompt.field("audio_tokens", &usage.audio_in);
    prompt.end();
    let mut cost = ObjectWriter::new(object.key("cost_details"));
    put_dollars(cost.key("upstream_inference_cost"), report.cost);
    put_dollars(
        cost.key("upstream_inference_prompt_cost"),
        report.prompt_cost,
    );
    put_dollars(
        cost.key("upstream_inference_completions_cost"),
        report.completion_cost,
    );
    cost.end();
    let mut completion = ObjectWriter::new(object.key("completion_tokens_details"));
    completion.field("reasoning_tokens", &usage.reasoning);
    completion.field("image_tokens", &usage.image_out);
    completion.field("audio_tokens", &usage.audio_out);
    completion.end();
    object.end();
}

/// An amount as an exact decimal JSON number.
fn put_dollars(out: &mut Vec<u8>, amount: Nanos) {
    out.extend_from_slice(amount.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::ReasoningFormat;

    fn meta() -> Meta {
        Meta {
            id: "gen-1".into(),
            created: 7,
            model: "a/b".into(),
            provider: "P\"q".into(),
        }
    }

    fn report() -> UsageReport {
        let nanos = |n: i64| Nanos::new(n).unwrap();
        UsageReport {
            usage: Usage {
                prompt: 135,
                cache_read: 100,
                completion: 5,
                ..Usage::default()
            },
            cost: nanos(158_400),
            prompt_cost: nanos(142_560),
            completion_cost: nanos(15_840),
        }
    }

    /// The chunks of a stream; checks that it ends as it has to.
    fn chunks(out: &[u8]) -> Vec<Value> {
        let text = std::str::from_utf8(out).unwrap();
        let mut events: Vec<&str> = text
            .strip_suffix("\n\n")
            .unwrap()
            .split("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap())
            .collect();
        assert_eq!(events.pop(), Some("[DONE]"));
        events
            .into_iter()
            .map(|event| serde_json::from_str(event).unwrap())
            .collect()
    }

    fn finish(reason: FinishReason, native: &str) -> Event {
        Event::Finish {
            choice: 0,
            reason,
            native: native.into(),
            stop_sequence: None,
        }
    }

    fn write(events: &[Event], options: WriterOptions) -> Vec<Value> {
        let mut out = Vec::new();
        let mut writer = ChunkWriter::new(&meta(), options);
        for event in events {
            writer.write(event, &mut out);
        }
        writer.finish(&report(), &mut out);
        chunks(&out)
    }

    fn call_events() -> Vec<Event> {
        let start = Delta::ToolCallStart {
            index: 0,
            id: "c1".into(),
            name: "f".into(),
        };
        let arguments = Delta::ToolCallArguments {
            index: 0,
            json: "{}".into(),
        };
        let thought = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, 0, "hm");
        vec![
            Event::delta(0, Delta::Reasoning(thought)),
            Event::delta(0, start),
            Event::delta(0, arguments),
            finish(FinishReason::ToolCalls, "tool_use"),
        ]
    }

    #[test]
    fn a_stream_has_its_role_once_and_ends_with_usage() {
        let seen = write(&call_events(), WriterOptions::default());
        let deltas: Vec<_> = seen
            .iter()
            .map(|chunk| chunk["choices"][0]["delta"].clone())
            .collect();
        let expected = [
            // P72: the role comes once, with the first delta.
            json!({"role": "assistant", "reasoning": "hm", "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0}]}),
            json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
                "function": {"name": "f", "arguments": ""}}]}),
            // P71: a continuation names nothing again.
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            json!({}),
            json!({"content": ""}),
        ];
        assert_eq!(deltas, expected);
        for chunk in &seen {
            assert_eq!(chunk["id"], "gen-1");
            assert_eq!(chunk["object"], "chat.completion.chunk");
            assert_eq!(chunk["provider"], "P\"q");
        }
        for ended in &seen[3..] {
            assert_eq!(ended["choices"][0]["finish_reason"], "tool_calls");
            assert_eq!(ended["choices"][0]["native_finish_reason"], "tool_use");
        }
        assert_eq!(seen[4]["usage"]["total_tokens"], 140);
        assert!(seen[3].get("usage").is_none());
    }

    #[test]
    fn excluded_reasoning_leaves_no_trace() {
        let options = WriterOptions {
            exclude_reasoning: true,
        };
        let seen = write(&call_events(), options);
        assert_eq!(seen[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(seen.iter().all(|chunk| !chunk.to_string().contains("hm")));

        let folded = Completion::from_events(call_events());
        let body = completion(&meta(), &folded, &report(), options);
        assert!(!String::from_utf8(body).unwrap().contains("hm"));
    }

    #[test]
    fn a_failure_after_the_beginning_is_told_in_band() {
        // P110, P111
        let mut out = Vec::new();
        let mut writer = ChunkWriter::new(&meta(), WriterOptions::default());
        writer.write(&Event::text("Hel"), &mut out);
        let error = Error::from_upstream_status(529, "Overloaded", None);
        writer.error(&error, Some(&report()), &mut out);
        let seen = chunks(&out);
        assert_eq!(seen[1]["error"]["code"], 529);
        assert_eq!(seen[1]["choices"][0]["finish_reason"], "error");
        assert_eq!(seen[1]["usage"]["completion_tokens"], 5);
    }

    #[test]
    fn costs_are_exact_decimals() {
        let mut out = Vec::new();
        put_usage(&mut out, &report());
        let text = String::from_utf8(out).unwrap();
        let expected = "{\"prompt_tokens\":135,\"completion_tokens\":5,\"total_tokens\":140,\"cost\":0.0001584,\"is_byok\":false,\
            \"prompt_tokens_details\":{\"cached_tokens\":100,\"cache_write_tokens\":0,\"audio_tokens\":0},\
            \"cost_details\":{\"upstream_inference_cost\":0.0001584,\"upstream_inference_prompt_cost\":0.00014256,\"upstream_inference_completions_cost\":0.00001584},\
            \"completion_tokens_details\":{\"reasoning_tokens\":0,\"image_tokens\":0,\"audio_tokens\":0}}";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_whole_answer_has_every_field_in_order() {
        let folded = Completion::from_events(call_events());
        let body = completion(&meta(), &folded, &report(), WriterOptions::default());
        let text = String::from_utf8(body).unwrap();
        // P73: content is null beside calls.
        let expected = "{\"id\":\"gen-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"a/b\",\"provider\":\"P\\\"q\",\
            \"system_fingerprint\":null,\"service_tier\":null,\"choices\":[{\"index\":0,\"logprobs\":null,\
            \"finish_reason\":\"tool_calls\",\"native_finish_reason\":\"tool_use\",\"message\":{\"role\":\"assistant\",\"content\":null,\
            \"refusal\":null,\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\",\
            \"format\":\"anthropic-claude-v1\",\"index\":0}],\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\
            \"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}],\"usage\":";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_whole_answer_that_broke_says_so_in_its_choice() {
        let error = Error::from_upstream_status(500, "boom", None);
        let folded = Completion::from_events([Event::text("Hel"), Event::Error(error)]);
        let body = completion(&meta(), &folded, &report(), WriterOptions::default());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let choice = &body["choices"][0];
        assert_eq!(choice["message"]["content"], "Hel");
        assert_eq!(choice["finish_reason"], "error");
        assert_eq!(choice["error"]["code"], 502);
    }
}
