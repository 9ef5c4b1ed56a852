//! The answer of a server: one JSON text, or a stream of events in which notifications and requests of its own come before it.

use serde_json::{Map, Value};

use super::{MAX_ASKED, MAX_EVENTS};
use crate::{
    dialects::sse::{Frame, SseParser},
    json,
    tools::connector::Answer,
};

/// The most messages that one text holds: 2025-03-26 knows batches.
const MAX_BATCH: usize = 64;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// It has a result.
    Result(Map<String, Value>),
    /// It is an error of the protocol.
    Error {
        code: i64,
        message: String,
        data: Value,
    },
}

/// A request of the server: its id and method.
pub(super) type Asked = (Value, String);

/// Reads an answer piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Of the request; a notification has none.
    id: Option<u64>,
    parser: SseParser,
    /// How many bytes were read.
    fed: usize,
    events: usize,
    reply: Option<Reply>,
    /// An error that names no request: the server could not read ours.
    orphan: Option<Reply>,
    asked: Vec<Asked>,
    /// How many of its requests were seen.
    seen: usize,
    fault: Option<&'static str>,
}

impl Reading {
    /// For the answer to this request.
    pub(super) fn of(id: Option<u64>) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Reads a piece of an event stream: whether there is nothing more to wait for.
    pub(super) fn feed(&mut self, piece: &[u8]) -> bool {
        self.fed += piece.len();
        let mut found: Vec<Value> = Vec::new();
        let mut events = self.events;
        let mut parser = std::mem::take(&mut self.parser);
        let fed = parser.feed(piece, |frame| {
            events += 1;
            found.extend(told(&frame));
            Ok(())
        });
        self.parser = parser;
        self.events = events;
        if fed.is_err() {
            self.fault = Some("one event of its stream is too long");
        }
        self.take(found);
        if self.events > MAX_EVENTS && self.reply.is_none() {
            self.fault = Some("its stream has too many events and no answer");
        }
        self.reply.is_some() || self.fault.is_some()
    }

    /// What the server asked since this was asked last.
    pub(super) fn asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    /// The reply, once the whole answer is there.
    pub(super) fn end(&mut self, answer: &Answer) -> Result<Option<Reply>, &'static str> {
        let is_done = self.reply.is_some() || self.fault.is_some();
        if answer.is_stream() && !is_done {
            let rest = answer.body.get(self.fed..).unwrap_or_default();
            if !self.feed(rest) {
                let mut last = Vec::new();
                let parser = std::mem::take(&mut self.parser);
                let mut parser = parser;
                // Handing events over cannot fail.
                let _ = parser.finish(|frame| {
                    last.extend(told(&frame));
                    Ok(())
                });
                self.take(last);
            }
        } else if !answer.is_stream() {
            let text = answer.body.strip_prefix(b"\xEF\xBB\xBF");
            let value = json::from_slice(text.unwrap_or(&answer.body));
            self.take(value.ok());
        }
        match (self.reply.take(), self.fault) {
            (Some(reply), _) => Ok(Some(reply)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(self.orphan.take()),
        }
    }

    fn take(&mut self, found: impl IntoIterator<Item = Value>) {
        for value in found {
            match value {
                Value::Array(batch) => batch
                    .into_iter()
                    .take(MAX_BATCH)
                    .for_each(|one| self.message(one)),
                one => self.message(one),
            }
        }
    }

    fn message(&mut self, value: Value) {
        let Value::Object(mut fields) = value else {
            return;
        };
        let id = fields.remove("id").filter(|id| !id.is_null());
        if let Some(Value::String(method)) = fields.remove("method") {
            let is_id = |id: &Value| id.is_string() || id.is_number();
            if let Some(id) = id.filter(is_id)
                && self.seen < MAX_ASKED
            {
                self.seen += 1;
                self.asked.push((id, method));
            }
            return;
        }
        let reply = match (fields.remove("result"), fields.remove("error")) {
            (Some(Value::Object(result)), _) => Reply::Result(result),
            (None, Some(error)) if error.is_object() => {
                let text = |name: &str| error.get(name).and_then(Value::as_str);
                Reply::Error {
                    code: error
                        .get("code")
                        .and_then(Value::as_i64)
                        .unwrap_or_default(),
                    message: text("message").unwrap_or_default().to_owned(),
                    data: error.get("data").cloned().unwrap_or_default(),
                }
            }
            _ => return,
        };
        match (id, self.id) {
            // The first one counts.
            (Some(id), Some(own)) if id.as_u64() == Some(own) => {
                self.reply.get_or_insert(reply);
            }
            (None, _) if matches!(reply, Reply::Error { .. }) => self.orphan = Some(reply),
            _ => {}
        }
    }
}

/// The message in an event; others, such as the one that only names an id to begin again at, hold none.
fn told(frame: &Frame<'_>) -> Option<Value> {
    let is_message = frame.event.is_empty() || frame.event == "message";
    json::from_slice(frame.data).ok().filter(|_| is_message)
}
