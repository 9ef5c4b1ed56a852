//! What does the gateway itself do to a request and its answer?
//!
//! [`shape`] looks at one request and one endpoint: what the endpoint cannot do is done here where it can be. The request may
//! change before it is written, and the answer's events pass through [`Filters`] before the client's surface writes them.
//! Whatever was done is told in [`Note`]s.
//!
//! Out of scope: wire formats (`dialects`), which endpoint is asked (`routing`), I/O. Spec of plugins: OpenRouter's.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    catalog::{Dialect, Endpoint, Provider, Quirk},
    chat::{ChatRequest, Event, Message, Part, Role},
    error::{Error, Result},
};

pub mod compress;
pub mod files;
mod filters;
#[cfg(test)]
mod filters_tests;
mod form;
pub mod heal;
#[cfg(test)]
mod heal_tests;
mod names;
pub mod pdf;
mod places;
mod plugins;
pub mod schema;
mod structured;
#[cfg(test)]
mod tests;
mod tools;

pub use filters::{Filter, Filters};
pub use form::Form;
pub use plugins::{PdfEngine, Plugins};

/// One request and the endpoint that it is written for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The request.
    pub request: &'a ChatRequest,
    /// What the client asked of the gateway itself.
    pub plugins: &'a Plugins,
    /// The way to the model.
    pub endpoint: &'a Endpoint,
    /// Who serves it.
    pub provider: &'a Provider,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The generation's id, from which ids are made.
    pub generation: &'a str,
    /// The request asks for the rest of an answer that another provider began.
    pub is_rest: bool,
}

impl Setting<'_> {
    /// The wire format of the endpoint.
    fn dialect(&self) -> Dialect {
        self.endpoint.dialect(self.provider)
    }

    /// Whether the provider has this quirk.
    fn has(&self, quirk: Quirk) -> bool {
        self.provider.has(quirk)
    }
}

/// What is done to the answer of one call.
#[derive(Debug, Default)]
pub struct Shape {
    /// What is done to its events.
    pub filters: Filters,
    /// The form that it has to have.
    pub form: Option<Form>,
    notes: Vec<Note>,
}

impl Shape {
    /// Looks at a whole answer; the events that the client gets instead, if they had to be mended.
    pub fn settle(&mut self, events: &[Event]) -> Option<Vec<Event>> {
        let form = self.form.as_mut()?;
        let mended = form.settle(events);
        self.notes.extend(form.take_notes());
        mended
    }

    /// Why a whole answer is not what was asked for, if it is not.
    pub fn violation(&self) -> Option<Error> {
        self.form.as_ref()?.violation()
    }

    /// Tells which parameters the endpoint does not take.
    pub fn tell_dropped(&mut self, names: &[&'static str]) {
        if !names.is_empty() {
            let summary = format!("The provider does not take {}", names.join(", "));
            self.notes.push(Note {
                data: Some(json!({"dropped": names})),
                ..Note::new("plugin", "unsupported-parameters", summary)
            });
        }
    }

    /// Tells which tools of the request nobody here runs.
    pub fn tell_left_out(&mut self, tools: &[&'static str]) {
        if !tools.is_empty() {
            let summary = format!(
                "Nobody here runs {}, which the model was not offered",
                tools.join(", ")
            );
            self.notes.push(Note {
                data: Some(json!({"dropped": tools})),
                ..Note::new("plugin", "unavailable-tools", summary)
            });
        }
    }

    /// What was done since this was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.filters.take_notes());
        notes
    }
}

/// Something that the gateway did, as the metadata's `pipeline` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The kind of step: `plugin`, `response_healing`, `context_compression`.
    pub kind: &'static str,
    /// Its name, also in the header `x-patchbay-pipeline`.
    pub name: &'static str,
    /// One sentence.
    pub summary: String,
    /// Details.
    pub data: Option<Value>,
    /// The answer is not what was asked for: told to every client.
    pub is_warning: bool,
}

impl Note {
    /// A step of this name.
    fn new(kind: &'static str, name: &'static str, summary: impl Into<String>) -> Self {
        Self {
            kind,
            name,
            summary: summary.into(),
            data: None,
            is_warning: false,
        }
    }

    /// As the metadata tells it.
    pub fn tell(&self) -> Value {
        let mut told = json!({"type": self.kind, "name": self.name, "summary": self.summary});
        if let (Some(object), Some(data)) = (told.as_object_mut(), &self.data) {
            object.insert("data".to_owned(), data.clone());
        }
        told
    }
}

/// What is to be done for this request at this endpoint: the request to write instead, if it changes, and what is done to
/// the answer.
///
/// # Errors
/// When something in the request cannot be made fit for any endpoint; the error names the field.
pub fn shape(setting: &Setting<'_>) -> Result<(Option<ChatRequest>, Shape)> {
    let mut request = Cow::Borrowed(setting.request);
    let mut shape = Shape::default();
    structured::ask(setting, &mut request, &mut shape);
    tools::arrange(setting, &mut request, &mut shape);
    places::find(setting, &mut request);
    files::read(setting, &mut request, &mut shape)?;
    names::say(setting, &mut request, &mut shape);
    compress::fit(setting, &mut request, &mut shape);
    let changed = match request {
        Cow::Owned(request) => Some(request),
        Cow::Borrowed(_) => None,
    };
    Ok((changed, shape))
}

/// Puts words of the gateway's behind the application's own instructions.
fn instruct(messages: &mut Vec<Message>, words: String) {
    let is_instruction =
        |message: &&mut Message| matches!(message.role, Role::System | Role::Developer);
    let leading = messages.iter_mut().take_while(is_instruction).last();
    match leading {
        Some(message) => message.parts.push(Part::text(words)),
        None => messages.insert(0, Message::text(Role::System, words)),
    }
}
