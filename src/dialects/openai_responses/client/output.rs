//! The output items of an answer, as they grow from canonical events, and the events that tell how they grow.
//!
//! Items are told one after another, as clients of Responses expect: an item ends before the next begins. Only calls whose
//! arguments are not whole yet stay open beside others. What is told in pieces is kept too, because the last event of a
//! stream repeats the whole answer.

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::{echo::Echo, sealed, thinking::Thinking, web_search};
use crate::{
    chat::{Delta, ReasoningDetail, ReasoningFormat, ReasoningKind},
    dialects::ran::Ran,
};

/// Where the events go.
pub(super) trait Sink {
    /// Takes one event; `fields` are those beside `type` and `sequence_number`.
    fn event(&mut self, kind: &str, fields: &[(&str, Field<'_>)]);
}

/// A field of an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Text(&'a str),
    Number(usize),
    Json(&'a Value),
}

/// Nobody listens: the items alone are wanted.
pub(super) struct Nobody;

impl Sink for Nobody {
    fn event(&mut self, _: &str, _: &[(&str, Field<'_>)]) {}
}

/// The items of one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    /// What ids are made of.
    base: String,
    items: Vec<Item>,
    /// The item that pieces are added to, if it is no call.
    open: Option<usize>,
}

#[derive(Debug, Clone)]
struct Item {
    id: String,
    kind: Kind,
    is_done: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Message(Vec<Words>),
    Reasoning(Thinking),
    Call(Call),
    /// Told in one piece.
    Whole(Value),
}

#[derive(Debug, Clone, Default)]
struct Words {
    is_refusal: bool,
    text: String,
    annotations: Vec<Value>,
    logprobs: Vec<Value>,
    is_done: bool,
}

#[derive(Debug, Clone)]
struct Call {
    index: u32,
    call_id: String,
    name: String,
    namespace: Option<String>,
    arguments: String,
    is_custom: bool,
}

impl Output {
    /// For the answer of this generation.
    pub(super) fn new(id: &str) -> Self {
        Self {
            base: id.strip_prefix("gen-").unwrap_or(id).to_owned(),
            ..Self::default()
        }
    }

    /// Adds a piece of the answer.
    pub(super) fn push(&mut self, delta: &Delta, echo: &Echo, sink: &mut impl Sink) {
        match delta {
            Delta::Text(text) if text.is_empty() => {}
            Delta::Text(text) => self.words(text, false, sink),
            Delta::Refusal(text) => self.words(text, true, sink),
            Delta::Reasoning(detail) => self.reasoning(detail, sink),
            Delta::ToolCallStart { index, id, name } => {
                self.close_open(sink);
                self.close_whole_calls(sink);
                let special = echo.special(name);
                let call = Call {
                    index: *index,
                    call_id: id.clone(),
                    name: special.map_or(name, |tool| &tool.name).clone(),
                    namespace: special.and_then(|tool| tool.namespace.clone()),
                    arguments: String::new(),
                    is_custom: special.is_some_and(|tool| tool.is_custom),
                };
                let prefix = if call.is_custom { "ctc" } else { "fc" };
                self.begin(prefix, Kind::Call(call), sink);
            }
            Delta::ToolCallArguments { index, json } => self.arguments(*index, json, sink),
            Delta::Image { url } => self.image(url, sink),
            Delta::Annotation(annotation) => self.annotation(annotation, sink),
            Delta::Logprobs(logprobs) => self.logprobs(logprobs, sink),
            // Responses have no place for sound.
            Delta::Audio(_) => {}
        }
    }

    /// Ends whatever is open.
    pub(super) fn end(&mut self, sink: &mut impl Sink) {
        self.close_open(sink);
        for at in 0..self.items.len() {
            self.close_call(at, sink);
        }
    }

    /// The items as the whole answer has them; `cut` is how an answer that did not end in order ended.
    pub(super) fn items(&self, cut: bool) -> Vec<Value> {
        let last = self.items.len().saturating_sub(1);
        let items = self.items.iter().enumerate();
        items
            .map(|(at, item)| {
                item.value(if cut && at == last {
                    "incomplete"
                } else {
                    "completed"
                })
            })
            .collect()
    }

    fn begin(&mut self, prefix: &str, kind: Kind, sink: &mut impl Sink) -> usize {
        let at = self.items.len();
        let own_id = match &kind {
            Kind::Reasoning(thinking) if sealed::is_native(&thinking.format) => {
                thinking.own_id.clone()
            }
            _ => None,
        };
        let id = own_id.unwrap_or_else(|| format!("{prefix}_{}_{at}", self.base));
        self.begin_as(id, kind, sink)
    }

    fn begin_as(&mut self, id: String, kind: Kind, sink: &mut impl Sink) -> usize {
        let at = self.items.len();
        let item = Item {
            id,
            kind,
            is_done: false,
        };
        let value = item.beginning();
        sink.event(
            "response.output_item.added",
            &[
                ("output_index", Field::Number(at)),
                ("item", Field::Json(&value)),
            ],
        );
        self.items.push(item);
        at
    }

    fn finish_item(&mut self, at: usize, sink: &mut impl Sink) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        item.is_done = true;
        let value = item.value("completed");
        sink.event(
            "response.output_item.done",
            &[
                ("output_index", Field::Number(at)),
                ("item", Field::Json(&value)),
            ],
        );
    }

    /// The open message, a new one where none is open.
    fn message(&mut self, sink: &mut impl Sink) -> usize {
        if let Some(at) = self.open
            && let Some(Item {
                kind: Kind::Message(_),
                ..
            }) = self.items.get(at)
        {
            return at;
        }
        self.close_open(sink);
        self.close_whole_calls(sink);
        let at = self.begin("msg", Kind::Message(Vec::new()), sink);
        self.open = Some(at);
        at
    }

    /// The open part of a message's content, a new one where the kind changes.
    fn part(&mut self, is_refusal: bool, sink: &mut impl Sink) -> (usize, usize) {
        let at = self.message(sink);
        let Some(Item {
            id,
            kind: Kind::Message(parts),
            ..
        }) = self.items.get_mut(at)
        else {
            return (at, 0);
        };
        if let Some(last) = parts.last().filter(|last| !last.is_done)
            && last.is_refusal == is_refusal
        {
            return (at, parts.len() - 1);
        }
        let id = id.clone();
        close_part(&id, at, parts, sink);
        let part = Words {
            is_refusal,
            ..Words::default()
        };
        let (index, value) = (parts.len(), part.value());
        parts.push(part);
        part_event("response.content_part.added", &id, at, index, &value, sink);
        (at, index)
    }

    fn words(&mut self, text: &str, is_refusal: bool, sink: &mut impl Sink) {
        let (at, index) = self.part(is_refusal, sink);
        let Some(Item {
            id,
            kind: Kind::Message(parts),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if let Some(part) = parts.get_mut(index) {
            part.text.push_str(text);
        }
        let none = json!([]);
        let fields = [
            ("item_id", Field::Text(id)),
            ("output_index", Field::Number(at)),
            ("content_index", Field::Number(index)),
            ("delta", Field::Text(text)),
            ("logprobs", Field::Json(&none)),
        ];
        if is_refusal {
            sink.event(
                "response.refusal.delta",
                fields.get(..4).unwrap_or_default(),
            );
        } else {
            sink.event("response.output_text.delta", &fields);
        }
    }

    /// Log probabilities of the text so far: a piece without words.
    fn logprobs(&mut self, logprobs: &Value, sink: &mut impl Sink) {
        let tokens = logprobs.get("content").filter(|tokens| tokens.is_array());
        let Some(tokens) = tokens else { return };
        let (at, index) = self.part(false, sink);
        let Some(Item {
            id,
            kind: Kind::Message(parts),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if let Some(part) = parts.get_mut(index) {
            part.logprobs
                .extend(tokens.as_array().into_iter().flatten().cloned());
        }
        sink.event(
            "response.output_text.delta",
            &[
                ("item_id", Field::Text(id)),
                ("output_index", Field::Number(at)),
                ("content_index", Field::Number(index)),
                ("delta", Field::Text("")),
                ("logprobs", Field::Json(tokens)),
            ],
        );
    }

    /// A citation belongs to the text before it, even where that has ended.
    fn annotation(&mut self, annotation: &Value, sink: &mut impl Sink) {
        let annotation = flat(annotation);
        let written = self
            .items
            .iter()
            .rposition(|item| matches!(item.kind, Kind::Message(_)));
        let (at, index) = match (written, self.open) {
            (Some(at), open) if open != Some(at) => (at, 0),
            _ => self.part(false, sink),
        };
        let Some(Item {
            id,
            kind: Kind::Message(parts),
            is_done,
        }) = self.items.get_mut(at)
        else {
            return;
        };
        let Some(part) = parts.get_mut(index) else {
            return;
        };
        let number = part.annotations.len();
        if !*is_done {
            sink.event(
                "response.output_text.annotation.added",
                &[
                    ("item_id", Field::Text(id)),
                    ("output_index", Field::Number(at)),
                    ("content_index", Field::Number(index)),
                    ("annotation_index", Field::Number(number)),
                    ("annotation", Field::Json(&annotation)),
                ],
            );
        }
        part.annotations.push(annotation);
    }

    fn arguments(&mut self, index: u32, json: &str, sink: &mut impl Sink) {
        let calls = self.items.iter_mut().enumerate();
        let mut calls = calls.filter_map(|(at, item)| match &mut item.kind {
            Kind::Call(call) if call.index == index && !item.is_done => Some((at, &item.id, call)),
            _ => None,
        });
        let Some((at, id, call)) = calls.next() else {
            return;
        };
        call.arguments.push_str(json);
        // The input of a custom tool is inside the arguments: it is told once it is whole.
        if !call.is_custom {
            sink.event(
                "response.function_call_arguments.delta",
                &[
                    ("item_id", Field::Text(id)),
                    ("output_index", Field::Number(at)),
                    ("delta", Field::Text(json)),
                ],
            );
        }
    }

    fn image(&mut self, url: &str, sink: &mut impl Sink) {
        self.close_open(sink);
        self.close_whole_calls(sink);
        let (head, data) = url.split_once(";base64,").unwrap_or(("", url));
        let mut item = json!({"type": "image_generation_call", "result": data});
        if let (Some(format), Some(item)) = (head.strip_prefix("data:image/"), item.as_object_mut())
        {
            item.insert("output_format".to_owned(), format.into());
        }
        let at = self.begin("ig", Kind::Whole(item), sink);
        if let Some(item) = self.items.get(at) {
            sink.event(
                "response.image_generation_call.completed",
                &[
                    ("item_id", Field::Text(&item.id)),
                    ("output_index", Field::Number(at)),
                ],
            );
        }
        self.finish_item(at, sink);
    }

    fn reasoning(&mut self, detail: &ReasoningDetail, sink: &mut impl Sink) {
        if let Some(ran) = Ran::of(detail) {
            return self.web_search(&ran, detail, sink);
        }
        if let ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            result,
        } = &detail.kind
        {
            self.close_open(sink);
            self.close_whole_calls(sink);
            let item = built_in(
                tool_name,
                arguments.as_ref(),
                result.as_ref(),
                &detail.format,
            );
            let at = self.begin("st", Kind::Whole(item), sink);
            return self.finish_item(at, sink);
        }
        let at = self.thinking(detail, sink);
        let Some(Item {
            id,
            kind: Kind::Reasoning(thinking),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        thinking.add(id, at, detail, sink);
    }

    /// A search or a page that somebody ran inside the answer. It is told when it has come to its end.
    fn web_search(&mut self, ran: &Ran, detail: &ReasoningDetail, sink: &mut impl Sink) {
        self.close_open(sink);
        self.close_whole_calls(sink);
        let own = detail
            .id
            .as_ref()
            .filter(|_| sealed::is_native(&detail.format));
        let at = self.items.len();
        let id = match own {
            Some(id) => id.clone(),
            None => web_search::id(&self.base, at),
        };
        let item = web_search::item(ran, own.and(detail.kind.arguments()));
        let at = self.begin_as(id, Kind::Whole(item), sink);
        if let Some(item) = self.items.get(at) {
            let place = [
                ("item_id", Field::Text(&item.id)),
                ("output_index", Field::Number(at)),
            ];
            for stage in ["in_progress", "searching", "completed"] {
                sink.event(&format!("response.web_search_call.{stage}"), &place);
            }
        }
        self.finish_item(at, sink);
    }

    /// The open reasoning item that a block belongs to, or a new one: blocks of one item share its id, and a block without
    /// one is an item of its own.
    fn thinking(&mut self, detail: &ReasoningDetail, sink: &mut impl Sink) -> usize {
        if let Some(at) = self.open
            && let Some(Item {
                kind: Kind::Reasoning(thinking),
                ..
            }) = self.items.get(at)
        {
            let same_block = thinking.last_index == detail.index;
            let same_item = thinking.own_id == detail.id && (detail.id.is_some() || same_block);
            if same_item {
                return at;
            }
        }
        self.close_open(sink);
        self.close_whole_calls(sink);
        let thinking = Thinking::new(detail);
        let at = self.begin("rs", Kind::Reasoning(thinking), sink);
        self.open = Some(at);
        at
    }

    fn close_open(&mut self, sink: &mut impl Sink) {
        let Some(at) = self.open.take() else { return };
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        match &mut item.kind {
            Kind::Message(parts) => close_part(&item.id, at, parts, sink),
            Kind::Reasoning(thinking) => thinking.close_part(&item.id, at, sink),
            Kind::Call(_) | Kind::Whole(_) => {}
        }
        self.finish_item(at, sink);
    }

    /// Ends the calls whose arguments are whole.
    fn close_whole_calls(&mut self, sink: &mut impl Sink) {
        for at in 0..self.items.len() {
            let is_whole = self.items.get(at).is_some_and(|item| match &item.kind {
                Kind::Call(call) => crate::json::from_str::<IgnoredAny>(&call.arguments).is_ok(),
                _ => false,
            });
            if is_whole {
                self.close_call(at, sink);
            }
        }
    }

    fn close_call(&mut self, at: usize, sink: &mut impl Sink) {
        let Some(item) = self.items.get_mut(at).filter(|item| !item.is_done) else {
            return;
        };
        let Kind::Call(call) = &mut item.kind else {
            return;
        };
        // P55
        if call.arguments.trim().is_empty() {
            call.arguments = "{}".to_owned();
        }
        let place = [
            ("item_id", Field::Text(&item.id)),
            ("output_index", Field::Number(at)),
        ];
        let [id, index] = place;
        if call.is_custom {
            let input = call.input();
            sink.event(
                "response.custom_tool_call_input.delta",
                &[id, index, ("delta", Field::Text(&input))],
            );
            sink.event(
                "response.custom_tool_call_input.done",
                &[id, index, ("input", Field::Text(&input))],
            );
        } else {
            let name = ("name", Field::Text(&call.name));
            let arguments = ("arguments", Field::Text(&call.arguments));
            sink.event(
                "response.function_call_arguments.done",
                &[id, index, name, arguments],
            );
        }
        self.finish_item(at, sink);
    }
}

/// Ends the open part of a message.
fn close_part(id: &str, at: usize, parts: &mut [Words], sink: &mut impl Sink) {
    let index = parts.len().saturating_sub(1);
    let Some(part) = parts.last_mut().filter(|part| !part.is_done) else {
        return;
    };
    part.is_done = true;
    let logprobs = Value::Array(part.logprobs.clone());
    let place = [
        ("item_id", Field::Text(id)),
        ("output_index", Field::Number(at)),
        ("content_index", Field::Number(index)),
    ];
    let [id_field, output, content] = place;
    let text = Field::Text(&part.text);
    if part.is_refusal {
        sink.event(
            "response.refusal.done",
            &[id_field, output, content, ("refusal", text)],
        );
    } else {
        let logprobs = ("logprobs", Field::Json(&logprobs));
        sink.event(
            "response.output_text.done",
            &[id_field, output, content, ("text", text), logprobs],
        );
    }
    part_event(
        "response.content_part.done",
        id,
        at,
        index,
        &part.value(),
        sink,
    );
}

fn part_event(kind: &str, id: &str, at: usize, index: usize, part: &Value, sink: &mut impl Sink) {
    sink.event(
        kind,
        &[
            ("item_id", Field::Text(id)),
            ("output_index", Field::Number(at)),
            ("content_index", Field::Number(index)),
            ("part", Field::Json(part)),
        ],
    );
}

impl Call {
    /// The plain text inside the arguments.
    fn input(&self) -> String {
        let arguments: Option<Value> = crate::json::from_str(&self.arguments).ok();
        let input = arguments
            .as_ref()
            .and_then(|arguments| arguments.get("input")?.as_str());
        input.unwrap_or(&self.arguments).to_owned()
    }
}

impl Words {
    fn value(&self) -> Value {
        if self.is_refusal {
            return json!({"type": "refusal", "refusal": self.text});
        }
        json!({
            "type": "output_text", "text": self.text,
            "annotations": self.annotations, "logprobs": self.logprobs,
        })
    }
}

impl Call {
    /// The item with the tool's namespace, if it has one.
    fn within(&self, mut item: Value) -> Value {
        if let (Some(namespace), Some(fields)) = (&self.namespace, item.as_object_mut()) {
            fields.insert("namespace".to_owned(), namespace.as_str().into());
        }
        item
    }
}

impl Item {
    /// The item before it has anything.
    fn beginning(&self) -> Value {
        match &self.kind {
            Kind::Whole(item) => {
                let mut bare = item.clone();
                if let Some(bare) = bare.as_object_mut() {
                    bare.remove("result");
                    // A failure is told at the end.
                    bare.remove("status");
                }
                self.labelled(bare, "in_progress")
            }
            _ => self.value("in_progress"),
        }
    }

    fn value(&self, status: &str) -> Value {
        let value = match &self.kind {
            Kind::Message(parts) => {
                let content: Vec<Value> = parts.iter().map(Words::value).collect();
                json!({"type": "message", "role": "assistant", "content": content})
            }
            Kind::Reasoning(thinking) => thinking.value(),
            Kind::Call(call) if call.is_custom => {
                let input = if status == "in_progress" {
                    String::new()
                } else {
                    call.input()
                };
                call.within(json!({"type": "custom_tool_call", "call_id": call.call_id, "name": call.name, "input": input}))
            }
            Kind::Call(call) => call.within(json!({
                "type": "function_call", "call_id": call.call_id, "name": call.name,
                "arguments": call.arguments,
            })),
            Kind::Whole(item) => item.clone(),
        };
        self.labelled(value, status)
    }

    fn labelled(&self, value: Value, status: &str) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), self.id.as_str().into());
        object.insert("status".to_owned(), status.into());
        if let Value::Object(fields) = value {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

/// `{type, <type>: {…}}`, as chat completions have it, with all fields at one level.
fn flat(annotation: &Value) -> Value {
    let kind = annotation.get("type").and_then(Value::as_str);
    match kind.and_then(|kind| Some((kind, annotation.get(kind)?.as_object()?))) {
        Some((kind, inner)) => {
            let mut fields = Map::new();
            fields.insert("type".to_owned(), kind.into());
            fields.extend(inner.clone());
            Value::Object(fields)
        }
        None => annotation.clone(),
    }
}

/// The item of a tool that ran at the provider, or in the gateway.
fn built_in(
    name: &str,
    arguments: Option<&Value>,
    result: Option<&Value>,
    format: &ReasoningFormat,
) -> Value {
    if !sealed::is_native(format) {
        let name = name.strip_prefix("openrouter:").unwrap_or(name);
        return json!({"type": format!("openrouter:{name}"), "arguments": arguments, "result": result});
    }
    let has_suffix = name.starts_with("mcp_");
    let kind = if has_suffix {
        name.to_owned()
    } else {
        format!("{name}_call")
    };
    let mut fields = Map::new();
    fields.insert("type".to_owned(), kind.into());
    for object in [arguments, result]
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
    {
        fields.extend(object.clone());
    }
    Value::Object(fields)
}
