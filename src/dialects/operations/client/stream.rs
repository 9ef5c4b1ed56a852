//! Answers as events, for clients that asked for `stream`: OpenAI's events of images and of transcripts.
//!
//! A provider that knows no events, or answered with none, gives the same events, all at the end. What was used and what it cost is in the last
//! event of the answer; `[DONE]` follows. A failure is an event `error` in the place of the rest.

use crate::{
    dialects::operations::stream::Piece,
    dialects::{
        openai_chat::client::put_error,
        report::{Meta, UsageReport},
        splice::ObjectWriter,
    },
    error::Error,
    operations::{Answer, Answered, Ask},
};

use super::{images, transcription};

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Appends an event of this name.
pub(super) fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    for text in ["event: ", name, "\ndata: "] {
        out.extend_from_slice(text.as_bytes());
    }
    let mut object = ObjectWriter::new(out);
    object.field("type", name);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

/// The events of what has come so far.
pub fn pieces(ask: &Ask, pieces: &[Piece], meta: &Meta) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match (ask, piece) {
            (_, Piece::Text(text)) => transcription::put_delta(&mut out, text),
            (Ask::Images(ask), Piece::Partial { index, image }) => {
                images::put_partial(&mut out, ask, *index, image, meta);
            }
            (_, Piece::Partial { .. }) => {}
        }
    }
    out
}

/// The end of an answer. `was_told`: the client has read its pieces.
pub fn end(
    ask: &Ask,
    answered: &Answered,
    meta: &Meta,
    report: &UsageReport,
    was_told: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    match (ask, &answered.answer) {
        (Ask::Images(ask), Answer::Images(made)) => {
            images::put_completed(&mut out, ask, made, meta, report);
        }
        (Ask::Transcription(ask), Answer::Transcription(transcript)) => {
            if !was_told {
                transcription::put_delta(&mut out, &transcript.text);
            }
            transcription::put_done(&mut out, ask, transcript, report);
        }
        _ => {}
    }
    out.extend_from_slice(DONE);
    out
}

/// The end of an answer that broke.
pub fn error(error: &Error) -> Vec<u8> {
    let mut out = Vec::new();
    event(&mut out, "error", |object| {
        put_error(object.key("error"), error);
    });
    out.extend_from_slice(DONE);
    out
}
