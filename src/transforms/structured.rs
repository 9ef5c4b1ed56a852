//! How an endpoint is asked for an answer of a form: natively, by a tool that it has to call, or in words.
//!
//! | the endpoint has | a schema is asked for by |
//! |---|---|
//! | structured outputs | its own field |
//! | tools and a choice among them, and the request has none | a tool whose arguments are the answer |
//! | anything else | words behind the instructions, and its own field for any JSON where it has one |
//!
//! However it was asked, the answer is looked at ([`Form`]).

use std::borrow::Cow;

use serde_json::Value;

use super::{Filter, Form, Note, Setting, Shape, instruct};
use crate::{
    catalog::{Dialect, Parameter, Quirk},
    chat::{
        ChatRequest, Delta, Event, FinishReason, JsonSchema, Part, ReasoningWish, ResponseFormat,
        Role, Tool, ToolChoice,
    },
};

const OBJECT_ONLY: &str = "Write one JSON object as your whole answer. No words stand before or after it, and no code fence around it.";
const SCHEMA: &str = "Write one JSON value as your whole answer, valid against the JSON Schema below. No words stand before or after it, and no code fence around it.";

/// Arranges for the form of the answer.
pub(super) fn ask(setting: &Setting<'_>, request: &mut Cow<'_, ChatRequest>, shape: &mut Shape) {
    let heals = setting.plugins.healing != Some(false);
    if setting.is_rest {
        return;
    }
    let Some(form) = Form::of(request.response_format.as_ref(), heals) else {
        return;
    };
    shape.form = Some(form);
    let any_json = setting.endpoint.supports(Parameter::ResponseFormat);
    match request.response_format.clone() {
        Some(ResponseFormat::JsonSchema(wanted)) if !is_native(setting) => {
            if let Some(name) = tool_name(setting, request, &wanted) {
                shape.notes.push(asked("as the arguments of a tool"));
                shape.filters.push(Unwrap::new(name.clone()));
                force(request.to_mut(), name, wanted);
                return;
            }
            shape.notes.push(asked("in the instructions"));
            let request = request.to_mut();
            request.response_format = any_json.then_some(ResponseFormat::JsonObject);
            instruct(
                &mut request.messages,
                format!("{SCHEMA}\n{}", wanted.schema),
            );
        }
        Some(ResponseFormat::JsonObject) if !any_json => {
            shape.notes.push(asked("in the instructions"));
            let request = request.to_mut();
            request.response_format = None;
            instruct(&mut request.messages, OBJECT_ONLY.to_owned());
        }
        _ => {}
    }
}

fn asked(how: &str) -> Note {
    let summary =
        format!("The provider has no field for the form of the answer: it was asked for {how}");
    Note::new("plugin", "structured-output", summary)
}

/// Whether the endpoint enforces schemas.
fn is_native(setting: &Setting<'_>) -> bool {
    let lacks_field = setting.dialect() == Dialect::OpenaiChat && setting.has(Quirk::NoJsonSchema);
    setting.endpoint.supports(Parameter::StructuredOutputs) && !lacks_field
}

/// The name of the tool whose arguments are the answer, where one can be forced.
fn tool_name(setting: &Setting<'_>, request: &ChatRequest, wanted: &JsonSchema) -> Option<String> {
    let endpoint = setting.endpoint;
    let can_force = endpoint.supports(Parameter::Tools)
        && endpoint.supports(Parameter::ToolChoice)
        && !setting.has(Quirk::ToolChoiceAutoOnly);
    // Hosts refuse a forced tool beside reasoning.
    let wish = request.reasoning.as_ref().map(|wish| wish.wish());
    let thinks = match &endpoint.reasoning {
        None => false,
        Some(can) => can.mandatory || wish.is_some_and(|wish| wish != ReasoningWish::Off),
    };
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    let has_tools = !request.tools.is_empty()
        || parts.any(|part| matches!(part, Part::ToolCall { .. } | Part::ToolResult { .. }));
    let begins = request
        .messages
        .last()
        .is_some_and(|last| last.role == Role::Assistant);
    // Arguments are objects.
    let is_object = wanted.schema.get("type").and_then(Value::as_str) == Some("object");
    if !can_force || thinks || has_tools || begins || !is_object {
        return None;
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = wanted.name.chars().map(|c| if fits(c) { c } else { '_' });
    Some(name.take(64).collect())
}

fn force(request: &mut ChatRequest, name: String, wanted: JsonSchema) {
    let description = wanted.description;
    request.response_format = None;
    request.tool_choice = Some(ToolChoice::Function(name.clone()));
    request.tools = vec![Tool {
        name,
        description: Some(description.unwrap_or_else(|| "Takes the answer.".to_owned())),
        parameters: Some(wanted.schema),
        strict: None,
        cache: None,
    }];
}

/// Turns the call of the forced tool into the text that the client asked for.
#[derive(Debug)]
struct Unwrap {
    tool: String,
    choices: Vec<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    id: u32,
    /// The place of the call among the choice's calls.
    call: Option<u32>,
    /// Words beside the call; they are the answer only where no call comes.
    words: String,
}

impl Unwrap {
    fn new(tool: String) -> Self {
        Self {
            tool,
            choices: Vec::new(),
        }
    }

    fn choice(&mut self, id: u32) -> Option<&mut Choice> {
        let at = match self.choices.iter().position(|one| one.id == id) {
            Some(at) => at,
            None => {
                self.choices.push(Choice {
                    id,
                    ..Choice::default()
                });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(at)
    }

    fn pass(&mut self, event: Event, out: &mut Vec<Event>) {
        let tool = std::mem::take(&mut self.tool);
        match event {
            Event::Delta { choice: id, delta } => {
                if let Some(choice) = self.choice(id) {
                    out.extend(
                        choice
                            .pass(&tool, delta)
                            .map(|delta| Event::delta(id, delta)),
                    );
                }
            }
            Event::Finish {
                choice: id,
                reason,
                native,
                stop_sequence,
            } => {
                let choice = self.choice(id);
                let was_called = choice.as_ref().is_some_and(|one| one.call.is_some());
                out.extend(choice.and_then(Choice::flush));
                out.push(Event::Finish {
                    choice: id,
                    reason: match reason {
                        FinishReason::ToolCalls if was_called => FinishReason::Stop,
                        reason => reason,
                    },
                    native,
                    stop_sequence,
                });
            }
            event => out.push(event),
        }
        self.tool = tool;
    }
}

impl Choice {
    fn pass(&mut self, tool: &str, delta: Delta) -> Option<Delta> {
        match delta {
            Delta::ToolCallStart { index, name, .. } => {
                if self.call.is_none() && name == tool {
                    self.call = Some(index);
                }
                None
            }
            Delta::ToolCallArguments { index, json } if self.call == Some(index) => {
                Some(Delta::Text(json))
            }
            Delta::ToolCallArguments { .. } => None,
            Delta::Text(text) => {
                if self.call.is_none() {
                    self.words.push_str(&text);
                }
                None
            }
            delta => Some(delta),
        }
    }

    /// The words, where they are the answer.
    fn flush(&mut self) -> Option<Event> {
        let words = std::mem::take(&mut self.words);
        let is_answer = self.call.is_none() && !words.is_empty();
        is_answer.then(|| Event::delta(self.id, Delta::Text(words)))
    }
}

impl Filter for Unwrap {
    fn filter(&mut self, events: &mut Vec<Event>) {
        for event in std::mem::take(events) {
            self.pass(event, events);
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        events.extend(self.choices.iter_mut().filter_map(Choice::flush));
    }
}
