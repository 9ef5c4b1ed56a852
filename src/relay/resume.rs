//! `provider.continue`: a stream that broke after the commit goes on at the next endpoint.
//!
//! The text that the client already has is sent as the beginning of the answer, to a host that takes one
//! ([`Quirk`](crate::catalog::Quirk)). Only plain text can be continued: not thoughts, tool calls, several answers or log
//! probabilities. Hosts refuse a beginning that ends with white space, so it is left out and taken off what comes next.

use super::{job::Job, tab::Tab, turn::Turn};
use crate::{
    catalog::Route,
    chat::{ChatRequest, Message, Role, estimate},
    credits::money::Nanos,
    dialects::{
        Inbound, Surface,
        splice::{Fields, ObjectWriter, put},
        surface::Writer,
    },
};

/// The most parts of one answer.
pub const MAX_PARTS: usize = 2;

/// The request for the rest of an answer.
pub struct Draft {
    request: ChatRequest,
    surface: Surface,
    raw: Option<Vec<u8>>,
    /// Estimated tokens of the prompt and the text so far.
    pub prompt_tokens: u64,
    /// White space that the client already has and the provider may repeat.
    pub repeated: String,
    /// The writer of the part before.
    pub writer: Option<Writer>,
    /// What the parts so far cost.
    pub spent: Nanos,
    /// It is an answer of a loop of tools, not the rest of one.
    turn: Option<Turn>,
}

impl Draft {
    /// The request that asks for what follows `text`, if the rest can be asked for.
    pub fn of(job: &Job, tab: &Tab, text: &str) -> Option<Self> {
        let request = &job.request;
        // Two beginnings after each other are more than hosts take.
        let begins = request
            .messages
            .last()
            .is_some_and(|m| m.role == Role::Assistant);
        let is_plain = request.n.unwrap_or(1) == 1 && request.logprobs != Some(true) && !begins;
        let beginning = text.trim_end();
        if !is_plain || beginning.is_empty() || tab.parts.len() >= MAX_PARTS {
            return None;
        }
        let written = estimate::text_tokens(text.len());
        let mut request = request.clone();
        request
            .messages
            .push(Message::text(Role::Assistant, beginning));
        request.max_tokens = request
            .max_tokens
            .map(|most| most.saturating_sub(written).max(1));
        Some(Self {
            // Both spell the beginning of an answer alike.
            raw: matches!(job.surface, Surface::ChatCompletions | Surface::Messages)
                .then(|| raw(&job.raw, beginning))
                .flatten(),
            surface: job.surface,
            request,
            prompt_tokens: job.prompt_tokens.saturating_add(written),
            repeated: text.get(beginning.len()..).unwrap_or_default().to_owned(),
            spent: tab.spent(),
            turn: None,
            writer: None,
        })
    }

    /// The request for an answer of a loop of tools.
    pub fn of_turn(request: ChatRequest, turn: Turn, spent: Nanos) -> Self {
        Self {
            surface: Surface::default(),
            raw: None,
            prompt_tokens: estimate::prompt_tokens(&request, ""),
            request,
            repeated: String::new(),
            spent,
            writer: None,
            turn: Some(turn),
        }
    }

    /// The request, for the next answer.
    pub fn into_request(self) -> ChatRequest {
        self.request
    }

    /// What the client sees of the answer, where it is one of a loop of tools.
    pub fn turn(&self) -> Option<&Turn> {
        self.turn.as_ref()
    }

    /// Whether it asks for the rest of an answer that somebody else began.
    pub fn is_rest(&self) -> bool {
        self.turn.is_none()
    }

    /// The request as the dialects take it.
    pub fn inbound(&self) -> Inbound<'_> {
        Inbound {
            request: &self.request,
            surface: self.surface,
            raw: self.raw.as_deref(),
        }
    }
}

/// Whether this endpoint can write the rest of an answer.
pub fn can_resume(route: &Route) -> bool {
    route.provider.takes_prefill() && !route.endpoint.refuses_prefill
}

/// The client's own body with the beginning of the answer behind its messages.
fn raw(body: &[u8], beginning: &str) -> Option<Vec<u8>> {
    let fields = Fields::parse(body).ok()?;
    let mut written = Vec::with_capacity(body.len() + beginning.len() + 64);
    let mut object = ObjectWriter::new(&mut written);
    for (key, value) in &fields.0 {
        if key == "messages" {
            let messages = value.get().trim_end().strip_suffix(']')?;
            let out = object.key(key);
            out.extend_from_slice(messages.as_bytes());
            out.extend_from_slice(b",{\"role\":\"assistant\",\"content\":");
            put(out, beginning);
            out.extend_from_slice(b"}]");
        } else {
            object.raw(key, value.get());
        }
    }
    object.end();
    Some(written)
}
