//! Looks whether an answer has the form that was asked for (`response_format`), and mends a whole answer where it can.
//!
//! A stream is only watched: what has left cannot be mended. What is not of the form is told, never kept silent.

use serde_json::{Value, json};

use super::{
    Note,
    heal::{self, Expect, Outcome},
    schema,
};
use crate::{
    chat::{Delta, Event, FinishReason, ResponseFormat},
    error::{Error, ErrorType},
};

/// The most bytes of an answer that are looked at.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most answers of one request that are looked at.
const MAX_CHOICES: usize = 128;

/// The form of one answer.
#[derive(Debug)]
pub struct Form {
    schema: Option<Value>,
    expect: Expect,
    heals: bool,
    choices: Vec<Written>,
    bytes: usize,
    notes: Vec<Note>,
    violation: Option<String>,
}

/// What one choice has written.
#[derive(Debug, Default, Clone)]
struct Written {
    text: String,
    /// It called tools or refused.
    is_other: bool,
    finish: Option<FinishReason>,
}

/// What is to be said of a choice's text.
enum Finding {
    Fits,
    Mended(heal::Healed),
    Violates { path: String, message: String },
}

impl Form {
    /// The form that this format asks for, if it is one that can be looked at. `heals`: whole answers are mended.
    pub fn of(format: Option<&ResponseFormat>, heals: bool) -> Option<Self> {
        let schema = match format? {
            ResponseFormat::JsonObject => None,
            ResponseFormat::JsonSchema(wanted) => Some(wanted.schema.clone()),
            ResponseFormat::Text | ResponseFormat::Other(_) => return None,
        };
        let expect = schema.as_ref().map_or(Expect::Object, Expect::of);
        Some(Self {
            schema,
            expect,
            heals,
            choices: Vec::new(),
            bytes: 0,
            notes: Vec::new(),
            violation: None,
        })
    }

    /// Looks at the next events of a stream.
    pub fn watch(&mut self, events: &[Event]) {
        for event in events {
            let Some(choice) = self.note(event) else {
                continue;
            };
            let Some(written) = self.choices.get(choice).cloned() else {
                continue;
            };
            if let Finding::Violates { path, message } = self.judge(&written, false) {
                self.violated(choice, &path, &message, written.finish);
            }
        }
    }

    /// Looks at a whole answer; the events that the client gets instead, if the answer was mended.
    pub fn settle(&mut self, events: &[Event]) -> Option<Vec<Event>> {
        for event in events {
            self.note(event);
        }
        let mut mended: Vec<(usize, String)> = Vec::new();
        for (choice, written) in self.choices.clone().iter().enumerate() {
            if written.finish.is_none() {
                continue;
            }
            match self.judge(written, self.heals) {
                Finding::Fits => {}
                Finding::Mended(healed) => {
                    self.healed(choice, &healed);
                    mended.push((choice, healed.json));
                }
                Finding::Violates { path, message } => {
                    self.violated(choice, &path, &message, written.finish);
                }
            }
        }
        (!mended.is_empty()).then(|| replace(events, mended))
    }

    /// Why an answer that was not cut is not of the form.
    pub fn violation(&self) -> Option<Error> {
        let message = self.violation.as_deref()?;
        Some(Error::upstream(ErrorType::Unprocessable, message))
    }

    /// What there is to tell since this was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Notes an event; the choice that it ends.
    fn note(&mut self, event: &Event) -> Option<usize> {
        let choice = match event {
            Event::Delta { choice, .. } | Event::Finish { choice, .. } => *choice,
            _ => return None,
        };
        let at = usize::try_from(choice)
            .ok()
            .filter(|at| *at < MAX_CHOICES)?;
        if self.choices.len() <= at {
            self.choices.resize(at + 1, Written::default());
        }
        let written = self.choices.get_mut(at)?;
        match event {
            Event::Delta {
                delta: Delta::Text(text),
                ..
            } => {
                self.bytes = self.bytes.saturating_add(text.len());
                if self.bytes <= MAX_BYTES {
                    written.text.push_str(text);
                }
            }
            Event::Delta {
                delta: Delta::Refusal(_) | Delta::ToolCallStart { .. },
                ..
            } => written.is_other = true,
            Event::Finish { reason, .. } => {
                written.finish = Some(*reason);
                return Some(at);
            }
            _ => {}
        }
        None
    }

    fn judge(&self, written: &Written, heals: bool) -> Finding {
        let ended = matches!(
            written.finish,
            Some(FinishReason::Stop | FinishReason::Length)
        );
        if written.is_other || !ended || self.bytes > MAX_BYTES {
            return Finding::Fits;
        }
        let wrong = match crate::json::from_str::<Value>(&written.text) {
            Ok(value) => match self.wrong(&value) {
                None => return Finding::Fits,
                Some(wrong) => wrong,
            },
            Err(error) => (String::new(), format!("it is not valid JSON: {error}")),
        };
        if heals
            && let Outcome::Healed(healed) = heal::heal(&written.text, self.expect)
            && let Ok(value) = crate::json::from_str::<Value>(&healed.json)
            && self.wrong(&value).is_none()
        {
            return Finding::Mended(healed);
        }
        let (path, message) = wrong;
        Finding::Violates { path, message }
    }

    /// Where a value is not of the form, and why.
    fn wrong(&self, value: &Value) -> Option<(String, String)> {
        match &self.schema {
            None if value.is_object() => None,
            None => Some((String::new(), "it is not a JSON object".to_owned())),
            Some(schema) => {
                let violation = schema::check(schema, value)?;
                Some((violation.path, violation.message))
            }
        }
    }

    fn healed(&mut self, choice: usize, healed: &heal::Healed) {
        let repairs = &healed.repairs;
        let summary = format!("The answer's JSON was repaired: {}", repairs.join(", "));
        let data = json!({"choice": choice, "repairs": repairs});
        self.notes.push(Note {
            data: Some(data),
            ..Note::new("response_healing", "response-healing", summary)
        });
    }

    fn violated(&mut self, choice: usize, path: &str, message: &str, end: Option<FinishReason>) {
        let is_cut = end == Some(FinishReason::Length);
        let place = if path.is_empty() { "" } else { " at " };
        let cut = if is_cut {
            " (a token limit cut it)"
        } else {
            ""
        };
        let summary = format!(
            "The answer does not have the form that was asked for{place}{path}: {message}{cut}"
        );
        if !is_cut {
            self.violation.get_or_insert_with(|| summary.clone());
        }
        let data = json!({"choice": choice, "valid": false, "path": path, "message": message});
        self.notes.push(Note {
            data: Some(data),
            is_warning: true,
            ..Note::new("plugin", "structured-output", summary)
        });
    }
}

/// The events with these texts instead of those of their choices.
fn replace(events: &[Event], mut texts: Vec<(usize, String)>) -> Vec<Event> {
    let mut replaced = Vec::with_capacity(events.len());
    let mut placed: Vec<u32> = Vec::new();
    for event in events {
        if let Event::Delta {
            choice,
            delta: Delta::Text(_),
        } = event
        {
            let at = usize::try_from(*choice).ok();
            if let Some(found) = texts.iter().position(|(one, _)| Some(*one) == at) {
                let (_, text) = texts.swap_remove(found);
                replaced.push(Event::delta(*choice, Delta::Text(text)));
                placed.push(*choice);
                continue;
            }
            if placed.contains(choice) {
                continue;
            }
        }
        replaced.push(event.clone());
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Completion, JsonSchema};

    fn form(schema: Value, heals: bool) -> Form {
        let wanted = ResponseFormat::JsonSchema(JsonSchema {
            name: "answer".into(),
            description: None,
            schema,
            strict: None,
        });
        Form::of(Some(&wanted), heals).unwrap()
    }

    fn age(heals: bool) -> Form {
        let schema = json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
        form(schema, heals)
    }

    fn answer(pieces: &[&str], reason: FinishReason) -> Vec<Event> {
        let mut events: Vec<Event> = pieces.iter().map(|text| Event::text(*text)).collect();
        events.push(Event::Finish {
            choice: 0,
            reason,
            native: "stop".into(),
            stop_sequence: None,
        });
        events.push(Event::Done);
        events
    }

    #[test]
    fn a_whole_answer_is_kept_mended_or_told() {
        for (text, mended, is_violation, note) in [
            ("{\"age\": 3}", None, false, None),
            (" {\"age\": 3}\n", None, false, None),
            (
                "```json\n{\"age\": 3,}\n```",
                Some("{\"age\":3}"),
                false,
                Some("response-healing"),
            ),
            (
                "{\"age\": \"three\"}",
                None,
                true,
                Some("structured-output"),
            ),
            ("I do not know.", None, true, Some("structured-output")),
            ("{\"name\": 1,}", None, true, Some("structured-output")),
        ] {
            let mut form = age(true);
            let events = answer(&[text], FinishReason::Stop);
            let settled = form.settle(&events);
            let content = settled.map(|events| {
                Completion::from_events(events).choices[0]
                    .content
                    .clone()
                    .unwrap()
            });
            assert_eq!(content.as_deref(), mended, "{text}");
            assert_eq!(form.violation().is_some(), is_violation, "{text}");
            let notes: Vec<_> = form.take_notes().iter().map(|note| note.name).collect();
            assert_eq!(notes, Vec::from_iter(note), "{text}");
        }
    }

    #[test]
    fn without_healing_nothing_changes_and_the_violation_is_told() {
        let mut form = age(false);
        assert!(
            form.settle(&answer(&["{\"age\": 3,}"], FinishReason::Stop))
                .is_none()
        );
        assert!(form.violation().is_some());
    }

    #[test]
    fn a_stream_is_told_at_its_end_and_only_where_it_is_wrong() {
        for (pieces, warned) in [(["{\"age\"", ": 3}"], false), (["{\"age\"", ": 3"], true)] {
            let mut form = age(true);
            let events = answer(&pieces, FinishReason::Stop);
            let (first, rest) = events.split_at(1);
            form.watch(first);
            assert!(form.take_notes().is_empty());
            form.watch(rest);
            assert_eq!(form.take_notes().iter().any(|note| note.is_warning), warned);
        }
    }

    #[test]
    fn what_a_limit_cut_is_told_but_is_nobodys_violation() {
        let mut form = form(json!({"type": "array", "minItems": 9}), true);
        form.settle(&answer(&["[1, 2"], FinishReason::Length));
        assert!(form.violation().is_none());
        assert!(form.take_notes()[0].summary.contains("token limit"));
    }

    #[test]
    fn calls_and_refusals_are_not_of_the_form_and_need_not_be() {
        let mut form = age(true);
        let mut events = answer(&[], FinishReason::Stop);
        events.insert(0, Event::delta(0, Delta::Refusal("No.".into())));
        assert!(form.settle(&events).is_none() && form.violation().is_none());
    }

    #[test]
    fn each_of_several_answers_is_mended_for_itself() {
        let mut form = age(true);
        let one = |choice, text: &str| Event::delta(choice, Delta::Text(text.into()));
        let end = |choice| Event::Finish {
            choice,
            reason: FinishReason::Stop,
            native: "stop".into(),
            stop_sequence: None,
        };
        let events = [
            one(0, "{\"age\": 1}"),
            one(1, "{'age'"),
            one(1, ": 2}"),
            end(0),
            end(1),
            Event::Done,
        ];
        let mended = Completion::from_events(form.settle(&events).unwrap());
        let content = |at: usize| mended.choices[at].content.clone().unwrap();
        assert_eq!(
            (content(0).as_str(), content(1).as_str()),
            ("{\"age\": 1}", "{\"age\":2}")
        );
    }
}
