//! Output items → canonical events, whether they come in pieces or whole.
//!
//! Every item is known by its place in the output (ids change between events at some hosts). Whatever a piece has told is not
//! told again by the events that repeat it whole, and what no piece has told is caught up from them; so an answer in one piece
//! is read by the same code as a stream. A call of a `custom` tool, whose input is plain text, is the call of a function with
//! the one argument `input`.

use serde_json::{Map, Value, json};

use super::{answer::Answer, namespace, stop, usage};
use crate::{
    catalog::Quirk,
    chat::{Delta, Event, ReasoningDetail, ReasoningFormat, ReasoningKind},
    dialects::{openai_chat::in_band, splice::put},
    error::{Error, ErrorType, Result},
};

/// What a built-in tool gave back; everything else of its item is what it was asked.
const RESULTS: [&str; 5] = ["output", "outputs", "results", "result", "error"];

/// Which item an event is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At<'a> {
    /// Its place.
    pub(super) output: Option<u64>,
    /// Its id.
    pub(super) id: Option<&'a str>,
}

/// Which text of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A message's text, by content index.
    Text(u32),
    /// A refusal, by content index.
    Refusal(u32),
    /// A summary of reasoning, by its index.
    Summary(u32),
    /// Reasoning in words, by content index.
    Thought(u32),
    /// A function's arguments.
    Arguments,
    /// A custom tool's input.
    Input,
}

/// How much of a text was told.
#[derive(Debug)]
struct Told {
    piece: Piece,
    bytes: usize,
    /// The block of reasoning.
    block: u32,
    annotations: usize,
    logprobs: bool,
}

#[derive(Debug)]
struct Item {
    at: u64,
    id: Option<String>,
    texts: Vec<Told>,
    /// Its index among the calls.
    call: Option<u32>,
    /// All that it can tell was told.
    is_complete: bool,
}

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Decoder {
    format: ReasoningFormat,
    has_begun: bool,
    model: Option<String>,
    tier: Option<String>,
    items: Vec<Item>,
    calls: u32,
    blocks: u32,
}

impl Decoder {
    /// For a host with these quirks.
    pub(super) fn new(quirks: &[Quirk]) -> Self {
        Self {
            format: Quirk::reasoning_items(quirks),
            has_begun: false,
            model: None,
            tier: None,
            items: Vec::new(),
            calls: 0,
            blocks: 0,
        }
    }

    /// The answer begins, or says something new of itself.
    pub(super) fn begin(&mut self, answer: &Answer<'_>, events: &mut Vec<Event>) {
        let model = answer.model.as_deref().map(str::to_owned);
        let tier = answer.tier();
        let is_news =
            (tier.is_some() && tier != self.tier) || (model.is_some() && model != self.model);
        if self.has_begun && !is_news {
            return;
        }
        self.has_begun = true;
        self.model = model.or(self.model.take());
        self.tier = tier.or(self.tier.take());
        events.push(Event::Start {
            id: answer.id.as_deref().map(str::to_owned),
            model: self.model.clone(),
            service_tier: self.tier.clone(),
            system_fingerprint: None,
        });
    }

    /// The answer ends; items that no event has told are read from it.
    pub(super) fn end(&mut self, answer: &Answer<'_>, events: &mut Vec<Event>) -> Result<()> {
        self.begin(answer, events);
        let output = answer.output.as_deref().unwrap_or_default();
        let is_open = self.items.iter().any(|item| !item.is_complete);
        // Some hosts leave items out of one of the two lists: then a place in one is none in the other.
        if self.items.is_empty() || (is_open && self.items.len() == output.len()) {
            for (at, item) in (0..).zip(output) {
                let item: Value =
                    crate::json::from_str(item.get()).map_err(super::answer::unreadable)?;
                let at = At {
                    output: Some(at),
                    id: None,
                };
                self.item_ends(at, &item, events);
            }
        }
        self.close_calls(events);
        if let Some(usage) = answer.usage.and_then(|json| usage::read(json.get())) {
            events.push(Event::Usage(usage));
        }
        let failed = matches!(answer.status.as_deref(), Some("failed" | "cancelled"));
        if let Some(error) = answer.error.as_ref().filter(|error| !error.is_null()) {
            events.push(Event::Error(in_band(error)));
            return Ok(());
        }
        if failed {
            let message = "The provider failed to finish its answer";
            let error = Error::upstream(ErrorType::ProviderUnavailable, message);
            events.push(Event::Error(error));
            return Ok(());
        }
        let native = answer.native_reason();
        events.push(Event::Finish {
            choice: 0,
            reason: stop::stop_reason(native).with_calls(self.calls > 0),
            native: native.to_owned(),
            stop_sequence: None,
        });
        events.push(Event::Done);
        Ok(())
    }

    /// An item begins. Its texts are still to come, even where it has some already.
    pub(super) fn item_begins(&mut self, at: At<'_>, item: &Value, events: &mut Vec<Event>) {
        let id = text(item, "id").filter(|id| !id.is_empty());
        let slot = self.slot(At { id, ..at });
        self.call_begins(slot, item, events);
    }

    /// An item is complete.
    pub(super) fn item_ends(&mut self, at: At<'_>, item: &Value, events: &mut Vec<Event>) {
        let id = text(item, "id").filter(|id| !id.is_empty());
        let at = At { id, ..at };
        let slot = self.slot(at);
        let known = self.items.get_mut(slot);
        if known.is_none_or(|item| std::mem::replace(&mut item.is_complete, true)) {
            return;
        }
        let list = |key: &str| {
            (0..).zip(
                item.get(key)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            )
        };
        match text(item, "type").unwrap_or_default() {
            "message" => {
                for (index, part) in list("content") {
                    self.part_ends(at, index, part, events);
                }
            }
            "function_call" => {
                self.call_begins(slot, item, events);
                let arguments = text(item, "arguments").filter(|text| !text.trim().is_empty());
                let is_empty = !self.has_told(slot, Piece::Arguments);
                // P55
                let arguments = arguments.or(is_empty.then_some("{}")).unwrap_or_default();
                self.complete(at, Piece::Arguments, arguments, events);
            }
            "custom_tool_call" => {
                self.call_begins(slot, item, events);
                self.complete(
                    at,
                    Piece::Input,
                    text(item, "input").unwrap_or_default(),
                    events,
                );
                let has_input = self.has_told(slot, Piece::Input);
                let end = if has_input { "\"}" } else { "{\"input\":\"\"}" };
                self.call_arguments(slot, end, events);
            }
            "reasoning" => {
                for (index, part) in list("summary") {
                    let words = text(part, "text").unwrap_or_default();
                    self.complete(at, Piece::Summary(index), words, events);
                }
                for (index, part) in list("content") {
                    let words = text(part, "text").unwrap_or_default();
                    self.complete(at, Piece::Thought(index), words, events);
                }
                if let Some(data) = text(item, "encrypted_content").filter(|data| !data.is_empty())
                {
                    let kind = ReasoningKind::Encrypted {
                        data: data.to_owned(),
                    };
                    self.block(slot, kind, events);
                }
            }
            "image_generation_call" if text(item, "result").is_some() => {
                let format = text(item, "output_format").unwrap_or("png");
                let data = text(item, "result").unwrap_or_default();
                let url = format!("data:image/{format};base64,{data}");
                events.push(Event::delta(0, Delta::Image { url }));
            }
            kind => self.built_in(slot, kind, item, events),
        }
    }

    /// A part of a message is complete.
    pub(super) fn part_ends(
        &mut self,
        at: At<'_>,
        index: u32,
        part: &Value,
        events: &mut Vec<Event>,
    ) {
        match text(part, "type").unwrap_or_default() {
            "refusal" => {
                let words = text(part, "refusal").unwrap_or_default();
                self.complete(at, Piece::Refusal(index), words, events);
            }
            "output_text" | "text" => {
                let words = text(part, "text").unwrap_or_default();
                self.complete(at, Piece::Text(index), words, events);
                let told = self.told(at, Piece::Text(index));
                let (known, has_logprobs) =
                    told.map_or((0, false), |told| (told.annotations, told.logprobs));
                let annotations = part.get("annotations").and_then(Value::as_array);
                for annotation in annotations.into_iter().flatten().skip(known) {
                    self.annotation(at, index, annotation.clone(), events);
                }
                if let Some(logprobs) = part.get("logprobs").filter(|_| !has_logprobs) {
                    self.logprobs(at, index, logprobs.clone(), events);
                }
            }
            _ => {}
        }
    }

    /// The next piece of a text.
    pub(super) fn add(&mut self, at: At<'_>, piece: Piece, more: &str, events: &mut Vec<Event>) {
        if !more.is_empty() {
            let slot = self.slot(at);
            self.tell(slot, piece, more, events);
        }
    }

    /// A text as a whole: what was not told of it yet is told.
    pub(super) fn complete(
        &mut self,
        at: At<'_>,
        piece: Piece,
        whole: &str,
        events: &mut Vec<Event>,
    ) {
        let slot = self.slot(at);
        let known = self.find(slot, piece).map_or(0, |told| told.bytes);
        if let Some(rest) = whole.get(known..).filter(|rest| !rest.is_empty()) {
            self.tell(slot, piece, rest, events);
        }
    }

    /// A citation.
    pub(super) fn annotation(
        &mut self,
        at: At<'_>,
        index: u32,
        annotation: Value,
        events: &mut Vec<Event>,
    ) {
        if let Some(told) = self.told(at, Piece::Text(index)) {
            told.annotations += 1;
        }
        events.push(Event::delta(0, Delta::Annotation(nested(annotation))));
    }

    /// Log probabilities of what was told last.
    pub(super) fn logprobs(
        &mut self,
        at: At<'_>,
        index: u32,
        logprobs: Value,
        events: &mut Vec<Event>,
    ) {
        if logprobs.as_array().is_none_or(Vec::is_empty) {
            return;
        }
        if let Some(told) = self.told(at, Piece::Text(index)) {
            told.logprobs = true;
        }
        events.push(Event::delta(
            0,
            Delta::Logprobs(json!({"content": logprobs})),
        ));
    }

    fn tell(&mut self, slot: usize, piece: Piece, words: &str, events: &mut Vec<Event>) {
        let is_new = self.find(slot, piece).is_none();
        let block = match self.find(slot, piece) {
            Some(told) => {
                told.bytes += words.len();
                told.block
            }
            None => self.open(slot, piece, words.len()),
        };
        let id = || self.items.get(slot).and_then(|item| item.id.clone());
        let words = || words.to_owned();
        let delta = match piece {
            Piece::Text(_) => Delta::Text(words()),
            Piece::Refusal(_) => Delta::Refusal(words()),
            Piece::Summary(_) => Delta::Reasoning(ReasoningDetail {
                kind: ReasoningKind::Summary { summary: words() },
                format: self.format.clone(),
                id: id(),
                index: Some(block),
            }),
            // Nobody signs reasoning in plain words: it may go back to whoever takes such words.
            Piece::Thought(_) => Delta::Reasoning(ReasoningDetail {
                id: id(),
                ..ReasoningDetail::text(ReasoningFormat::Unknown, block, words())
            }),
            Piece::Arguments => return self.call_arguments(slot, &words(), events),
            Piece::Input => {
                if is_new {
                    self.call_arguments(slot, "{\"input\":\"", events);
                }
                return self.call_arguments(slot, &escaped(&words()), events);
            }
        };
        events.push(Event::delta(0, delta));
    }

    fn open(&mut self, slot: usize, piece: Piece, bytes: usize) -> u32 {
        let block = self.blocks;
        if matches!(piece, Piece::Summary(_) | Piece::Thought(_)) {
            self.blocks += 1;
        }
        if let Some(item) = self.items.get_mut(slot) {
            item.texts.push(Told {
                piece,
                bytes,
                block,
                annotations: 0,
                logprobs: false,
            });
        }
        block
    }

    fn call_begins(&mut self, slot: usize, item: &Value, events: &mut Vec<Event>) {
        let kind = text(item, "type").unwrap_or_default();
        let Some(known) = self.items.get_mut(slot) else {
            return;
        };
        if known.call.is_some() || !matches!(kind, "function_call" | "custom_tool_call") {
            return;
        }
        let index = self.calls;
        self.calls += 1;
        known.call = Some(index);
        let call_id = text(item, "call_id").filter(|id| !id.is_empty());
        let id = call_id
            .or(known.id.as_deref())
            .map_or_else(|| format!("call_{index}"), str::to_owned);
        let name = text(item, "name").unwrap_or_default();
        let name = namespace::joined(text(item, "namespace"), name);
        events.push(Event::delta(0, Delta::ToolCallStart { index, id, name }));
    }

    /// Pieces of arguments for which no call began are nobody's.
    fn call_arguments(&mut self, slot: usize, json: &str, events: &mut Vec<Event>) {
        let Some(index) = self.items.get(slot).and_then(|item| item.call) else {
            return;
        };
        let json = json.to_owned();
        events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
    }

    /// P55: a call that ended without arguments has none.
    fn close_calls(&mut self, events: &mut Vec<Event>) {
        for item in &self.items {
            let is_bare = item.texts.is_empty() && !item.is_complete;
            if let Some(index) = item.call.filter(|_| is_bare) {
                let json = "{}".to_owned();
                events.push(Event::delta(0, Delta::ToolCallArguments { index, json }));
            }
        }
    }

    /// An item of a tool that ran at the provider.
    fn built_in(&mut self, slot: usize, kind: &str, item: &Value, events: &mut Vec<Event>) {
        let (mut asked, mut came) = (Map::new(), Map::new());
        for (key, value) in item.as_object().into_iter().flatten() {
            match key.as_str() {
                "id" | "type" | "status" => {}
                _ if value.is_null() => {}
                key if RESULTS.contains(&key) => drop(came.insert(key.to_owned(), value.clone())),
                key => drop(asked.insert(key.to_owned(), value.clone())),
            }
        }
        let object = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
        let kind = ReasoningKind::ServerToolCall {
            tool_name: kind.strip_suffix("_call").unwrap_or(kind).to_owned(),
            arguments: object(asked),
            result: object(came),
        };
        self.block(slot, kind, events);
    }

    /// A block of reasoning that comes in one piece.
    fn block(&mut self, slot: usize, kind: ReasoningKind, events: &mut Vec<Event>) {
        let detail = ReasoningDetail {
            kind,
            format: self.format.clone(),
            id: self.items.get(slot).and_then(|item| item.id.clone()),
            index: Some(self.blocks),
        };
        self.blocks += 1;
        events.push(Event::delta(0, Delta::Reasoning(detail)));
    }

    /// The item that an event is about, new where it is not known.
    fn slot(&mut self, at: At<'_>) -> usize {
        let known = self.items.iter().position(|item| match at.output {
            Some(output) => item.at == output,
            None => at.id.is_some() && item.id.as_deref() == at.id,
        });
        if let Some(known) = known {
            return known;
        }
        let next = self
            .items
            .iter()
            .map(|item| item.at + 1)
            .max()
            .unwrap_or_default();
        self.items.push(Item {
            at: at.output.unwrap_or(next),
            id: at.id.map(str::to_owned),
            texts: Vec::new(),
            call: None,
            is_complete: false,
        });
        self.items.len() - 1
    }

    fn find(&mut self, slot: usize, piece: Piece) -> Option<&mut Told> {
        let item = self.items.get_mut(slot)?;
        item.texts.iter_mut().find(|told| told.piece == piece)
    }

    /// What was told of a text, be it nothing.
    fn told(&mut self, at: At<'_>, piece: Piece) -> Option<&mut Told> {
        let slot = self.slot(at);
        if !self.has_told(slot, piece) {
            self.open(slot, piece, 0);
        }
        self.find(slot, piece)
    }

    fn has_told(&mut self, slot: usize, piece: Piece) -> bool {
        self.find(slot, piece).is_some()
    }
}

/// A string field.
fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The inside of a JSON string.
fn escaped(words: &str) -> String {
    let mut json = Vec::with_capacity(words.len() + 2);
    put(&mut json, words);
    let json = String::from_utf8(json).unwrap_or_default();
    let inner = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// `{type, …}` as chat completions have it: `{type, <type>: {…}}`.
fn nested(annotation: Value) -> Value {
    let Value::Object(mut fields) = annotation else {
        return annotation;
    };
    let Some(Value::String(kind)) = fields.shift_remove("type") else {
        return Value::Object(fields);
    };
    if fields.get(&kind).is_some_and(Value::is_object) {
        fields.insert("type".to_owned(), Value::String(kind));
        return Value::Object(fields);
    }
    json!({"type": kind.clone(), kind: fields})
}
