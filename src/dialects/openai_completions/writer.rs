//! Canonical events → `text_completion` objects, in one piece or streamed.

use super::{logprobs::old_form, request::echo};
use crate::{
    chat::{Choice, Completion, Delta, Event, FinishReason, ReasoningDetail},
    dialects::{
        openai_chat::client::{put_error, put_usage},
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put, put_array},
    },
    error::Error,
};

/// The end of every stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes one streamed answer.
#[derive(Debug)]
pub struct TextWriter {
    meta: Meta,
    options: WriterOptions,
    prompt: String,
    echoes: bool,
    choices: Vec<Progress>,
}

/// How far one of the answers has come.
#[derive(Debug, Default, Clone)]
struct Progress {
    is_started: bool,
    /// Characters of prompt and answer whose probabilities were told.
    offset: usize,
    ended: Option<(FinishReason, String)>,
}

/// What a chunk, or an answer, says of one choice.
#[derive(Debug, Default)]
struct Piece<'a> {
    text: &'a str,
    reasoning: Option<&'a str>,
    logprobs: Option<&'a serde_json::Value>,
    ended: Option<&'a (FinishReason, String)>,
}

impl TextWriter {
    /// A writer for the answer to the request of `raw`.
    pub fn new(meta: &Meta, options: WriterOptions, raw: &[u8]) -> Self {
        let (prompt, echoes) = echo(raw);
        Self {
            meta: meta.clone(),
            options,
            prompt,
            echoes,
            choices: Vec::new(),
        }
    }

    /// Appends what the client sees of one event: one chunk, or nothing.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Delta { choice, delta } if *choice < Completion::MAX_INDEX => {
                self.delta(*choice, delta, out);
            }
            Event::Finish {
                choice,
                reason,
                native,
                ..
            } if *choice < Completion::MAX_INDEX => {
                let ended = (*reason, native.clone());
                let has_ended = self.progress(*choice).is_some_and(|p| p.ended.is_some());
                // Some hosts repeat the end.
                if !has_ended {
                    self.begin(*choice, out);
                    let piece = Piece {
                        ended: Some(&ended),
                        ..Piece::default()
                    };
                    self.chunk(*choice, &piece, out);
                    if let Some(progress) = self.progress(*choice) {
                        progress.ended = Some(ended);
                    }
                }
            }
            _ => {}
        }
    }

    /// Appends the chunk with the usage, and the end of the stream.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        let ended = self.choices.first().and_then(|p| p.ended.clone());
        self.head(out, |object| {
            let piece = Piece {
                ended: ended.as_ref(),
                ..Piece::default()
            };
            put_array(object.key("choices"), [()], |out, ()| {
                put_piece(out, 0, &piece, &mut 0);
            });
            put_usage(object.key("usage"), report);
            object.optional("openrouter_metadata", report.routing.as_ref());
        });
        out.extend_from_slice(DONE);
    }

    /// Appends the failure of an answer that had begun, what was used until then, and the end of the stream.
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        self.head(out, |object| {
            put_error(object.key("error"), error);
            object.raw(
                "choices",
                r#"[{"text":"","index":0,"logprobs":null,"finish_reason":"error","native_finish_reason":null}]"#,
            );
            if let Some(report) = report {
                put_usage(object.key("usage"), report);
                object.optional("openrouter_metadata", report.routing.as_ref());
            }
        });
        out.extend_from_slice(DONE);
    }

    /// Goes on where another writer stopped: the prompt is told.
    pub fn resume(&mut self) {
        self.echoes = false;
    }

    fn delta(&mut self, choice: u32, delta: &Delta, out: &mut Vec<u8>) {
        let mut piece = Piece::default();
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => piece.text = text,
            Delta::Reasoning(detail) if !self.options.exclude_reasoning => {
                piece.reasoning = detail.readable();
                if piece.reasoning.is_none() {
                    return;
                }
            }
            Delta::Logprobs(logprobs) => piece.logprobs = Some(logprobs),
            _ => return,
        }
        self.begin(choice, out);
        self.chunk(choice, &piece, out);
    }

    /// Tells the prompt before the first piece, where the client wants it.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) {
        let length = self.prompt.chars().count();
        let is_first = match self.progress(choice) {
            Some(progress) if !progress.is_started => {
                progress.is_started = true;
                progress.offset = length;
                true
            }
            _ => false,
        };
        if is_first && self.echoes && !self.prompt.is_empty() {
            let prompt = std::mem::take(&mut self.prompt);
            let piece = Piece {
                text: &prompt,
                ..Piece::default()
            };
            self.chunk(choice, &piece, out);
            self.prompt = prompt;
        }
    }

    fn chunk(&mut self, choice: u32, piece: &Piece<'_>, out: &mut Vec<u8>) {
        let mut offset = self.progress(choice).map_or(0, |p| p.offset);
        self.head(out, |object| {
            put_array(object.key("choices"), [()], |out, ()| {
                put_piece(out, choice, piece, &mut offset);
            });
        });
        if let Some(progress) = self.progress(choice) {
            progress.offset = offset;
        }
    }

    fn head(&self, out: &mut Vec<u8>, rest: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.extend_from_slice(b"data: ");
        let mut object = ObjectWriter::new(out);
        put_head(&mut object, &self.meta);
        rest(&mut object);
        object.end();
        out.extend_from_slice(b"\n\n");
    }

    fn progress(&mut self, choice: u32) -> Option<&mut Progress> {
        let at = usize::try_from(choice).ok()?;
        if at >= self.choices.len() {
            self.choices.resize(at + 1, Progress::default());
        }
        self.choices.get_mut(at)
    }
}

/// The whole answer to the request of `raw` as one `text_completion`.
pub fn completion(
    meta: &Meta,
    completion: &Completion,
    report: &UsageReport,
    options: WriterOptions,
    raw: &[u8],
) -> Vec<u8> {
    let (prompt, echoes) = echo(raw);
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    put_head(&mut object, meta);
    object.field("system_fingerprint", &completion.system_fingerprint);
    let choices = (0..).zip(&completion.choices);
    put_array(object.key("choices"), choices, |out, (index, choice)| {
        let mut text = if echoes {
            prompt.clone()
        } else {
            String::new()
        };
        for words in [&choice.content, &choice.refusal].into_iter().flatten() {
            text.push_str(words);
        }
        let reasoning = reasoning(choice, options);
        let ended = choice
            .finish
            .map(|reason| (reason, choice.native_finish.clone().unwrap_or_default()));
        let piece = Piece {
            text: &text,
            reasoning: reasoning.as_deref(),
            logprobs: choice.logprobs.as_ref(),
            ended: ended.as_ref(),
        };
        put_piece(out, index, &piece, &mut prompt.chars().count());
    });
    put_usage(object.key("usage"), report);
    object.optional("openrouter_metadata", report.routing.as_ref());
    object.end();
    body
}

fn reasoning(choice: &Choice, options: WriterOptions) -> Option<String> {
    let words = choice
        .reasoning
        .iter()
        .filter_map(ReasoningDetail::readable);
    let words: Vec<&str> = words.filter(|_| !options.exclude_reasoning).collect();
    (!words.is_empty()).then(|| words.concat())
}

fn put_head(object: &mut ObjectWriter<'_>, meta: &Meta) {
    object.field("id", &meta.id);
    object.field("object", "text_completion");
    object.field("created", &meta.created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
}

fn put_piece(out: &mut Vec<u8>, index: u32, piece: &Piece<'_>, offset: &mut usize) {
    let mut choice = ObjectWriter::new(out);
    choice.field("text", piece.text);
    choice.field("index", &index);
    match piece.logprobs {
        Some(logprobs) => put(choice.key("logprobs"), &old_form(logprobs, offset)),
        None => choice.raw("logprobs", "null"),
    }
    let reason = piece.ended.map(|(reason, _)| reason.as_str());
    choice.field("finish_reason", &reason);
    choice.field(
        "native_finish_reason",
        &piece.ended.map(|(_, native)| native),
    );
    choice.optional("reasoning", piece.reasoning);
    choice.end();
}
