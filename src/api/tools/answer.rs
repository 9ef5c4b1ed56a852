//! One call of a function that a model wrote: it is carried out, and the model is told what came of it.

use std::rc::Rc;

use futures::{FutureExt, channel::oneshot};
use serde_json::{Value, json};

use super::super::{World, intents, toolbox::Toolbox};
use crate::{
    credits::money::Nanos,
    tools::{
        catalog::{Effect, Refused, Tool},
        envelope::{Envelope, Status, ToolError},
        execute::{Call, Confirm},
        export::{meta, without_nulls},
        listing::Filter,
        told::{self, Tokens},
    },
};

/// How many tools a search tells of, where it does not say.
const FOUND: u64 = 8;
/// The most that it tells of.
const MOST_FOUND: u64 = 20;
/// The most schemas of one call.
const MOST_SCHEMAS: usize = 10;

/// Answers the calls of one request.
pub(super) struct Desk<W> {
    /// What it runs tools with.
    pub toolbox: Rc<Toolbox<W>>,
    /// Only these tools, by their ids.
    pub only: Option<Vec<String>>,
    /// What the client wants confirmed at the least.
    pub confirm: Confirm,
    /// Who may confirm.
    pub tokens: Tokens,
}

/// One call.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// The function.
    pub name: String,
    /// Its arguments.
    pub input: Value,
    /// A confirmation that the client gives.
    pub token: Option<String>,
    /// What the execution is called: the same is never carried out twice.
    pub idempotency_key: Option<String>,
}

/// What came of a call.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// What the model is told.
    pub told: String,
    /// It is no success.
    pub is_error: bool,
    /// The execution, where there was one.
    pub envelope: Option<Envelope>,
}

impl Answered {
    /// A call that could not be carried out.
    pub fn refused(code: &str, message: &str) -> Self {
        Self {
            told: told::refused(code, message),
            is_error: true,
            envelope: None,
        }
    }

    fn says(value: &Value) -> Self {
        Self {
            told: value.to_string(),
            ..Self::default()
        }
    }

    /// Whether somebody has to confirm it.
    pub fn is_pending(&self) -> bool {
        let status = self.envelope.as_ref().map(|envelope| envelope.status);
        status == Some(Status::ConfirmationRequired)
    }

    /// What it cost.
    pub fn cost(&self) -> Nanos {
        let envelope = self.envelope.as_ref().filter(|envelope| !envelope.replayed);
        envelope.map_or(Nanos::ZERO, |envelope| envelope.usage.cost)
    }
}

/// The code of what is no tool for this key.
const NOT_FOUND: &str = "tool_not_found";

/// What a name stands for.
enum Target {
    Tool(Rc<Tool>),
    /// Whatever serves this capability best.
    Capability {
        name: String,
        input: Value,
        effect: Effect,
    },
    /// Whatever fits what is wanted in words.
    Chosen,
}

impl<W: World> Desk<W> {
    /// Whether a function is one of ours.
    pub fn knows(&self, name: &str) -> bool {
        // What is refused is ours too.
        let unknown = |(code, _)| code == NOT_FOUND;
        meta::is_meta(name) || !self.target(name).is_err_and(unknown)
    }

    /// Whether a call changes nothing.
    pub fn is_read(&self, name: &str, input: &Value) -> bool {
        let inner = || {
            input
                .get("tool")
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = match name {
            meta::SEARCH | meta::SCHEMA => return true,
            meta::EXECUTE | meta::CONFIRM => inner(),
            name => name,
        };
        match self.target(name) {
            Ok(Target::Tool(tool)) => tool.operation.effect == Effect::Read,
            Ok(Target::Capability { effect, .. }) => effect == Effect::Read,
            Ok(Target::Chosen) => false,
            // Nothing will be run.
            Err(_) => true,
        }
    }

    /// The id of what a call runs, and whether running it twice would matter.
    pub fn subject(&self, name: &str, input: &Value) -> (String, bool) {
        let inner = || {
            input
                .get("tool")
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = match name {
            meta::EXECUTE | meta::CONFIRM => inner(),
            name => name,
        };
        match self.target(name) {
            Ok(Target::Tool(tool)) => (tool.id.clone(), !tool.operation.is_harmless()),
            Ok(Target::Capability { name, effect, .. }) => (name, effect != Effect::Read),
            Ok(Target::Chosen) => (name.to_owned(), true),
            Err(_) => (name.to_owned(), false),
        }
    }

    /// Carries a call out.
    pub async fn answer(&self, asked: Asked) -> Answered {
        let Asked {
            name,
            mut input,
            token,
            idempotency_key,
        } = asked;
        match name.as_str() {
            meta::SEARCH => return self.search(&input),
            meta::SCHEMA => return self.schemas(&input),
            _ => {}
        }
        let (name, input, token) = match name.as_str() {
            meta::EXECUTE | meta::CONFIRM => {
                let tool = input.get("tool").and_then(Value::as_str).map(str::to_owned);
                let inner = input
                    .get_mut("input")
                    .map(Value::take)
                    .filter(Value::is_object);
                let (Some(tool), Some(inner)) = (tool, inner) else {
                    return Answered::refused(
                        "invalid_request",
                        "Expected the name of a tool (tool) and an object with its input (input)",
                    );
                };
                let own = input
                    .get("token")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                match (name.as_str(), self.tokens, own) {
                    (meta::CONFIRM, Tokens::Hidden, _) => {
                        return Answered::refused(
                            "confirmation_invalid",
                            "Only the client can confirm. Tell the user what has to be confirmed",
                        );
                    }
                    (meta::CONFIRM, Tokens::Shown, None) => {
                        return Answered::refused(
                            "invalid_request",
                            "Expected the token of the confirmation (token)",
                        );
                    }
                    (meta::CONFIRM, Tokens::Shown, own) => (tool, inner, own),
                    _ => (tool, inner, token),
                }
            }
            _ => (name, input, token),
        };
        self.execute(&name, input, token, idempotency_key).await
    }

    async fn execute(
        &self,
        name: &str,
        mut input: Value,
        confirmation: Option<String>,
        idempotency_key: Option<String>,
    ) -> Answered {
        let target = match self.target(name) {
            Ok(target) => target,
            Err((code, told)) => return Answered::refused(code, &told),
        };
        let tool = match &target {
            Target::Tool(tool) => {
                without_nulls(tool.operation.input.value(), &mut input);
                tool.id.clone()
            }
            Target::Capability {
                name,
                input: schema,
                ..
            } => {
                without_nulls(schema, &mut input);
                name.clone()
            }
            Target::Chosen => name.to_owned(),
        };
        let envelope = match self.toolbox.id() {
            Ok(id) => {
                let call = Call {
                    id,
                    tool,
                    input,
                    idempotency_key,
                    confirmation,
                    confirm: self.confirm,
                    surface: "openai",
                    ..Call::default()
                };
                self.carry_out(call).await
            }
            Err(error) => Envelope::failed(
                "",
                &tool,
                ToolError::new("internal_error", "gateway", error.message),
            ),
        };
        let (told, is_error) = told::of(&envelope, self.tokens);
        Answered {
            told,
            is_error,
            envelope: Some(envelope),
        }
    }

    /// Runs a call beside the request: one that was sent is settled and recorded, whoever stops listening.
    async fn carry_out(&self, call: Call) -> Envelope {
        let (sender, receiver) = oneshot::channel();
        let toolbox = Rc::clone(&self.toolbox);
        let (id, tool) = (call.id.clone(), call.tool.clone());
        let work = async move { drop(sender.send(toolbox.carry_out(call, None).await)) };
        self.toolbox.world().spawn(work.boxed_local());
        let lost = |_| {
            let error = ToolError::new(
                "internal_error",
                "gateway",
                "The execution ended without an answer",
            );
            Envelope::failed(&id, &tool, error)
        };
        receiver.await.unwrap_or_else(lost)
    }

    fn allows(&self, id: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.iter().any(|one| one == id))
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// Why nothing: a code, and words for the model.
    fn target(&self, name: &str) -> Result<Target, (&'static str, String)> {
        let view = &self.toolbox.view;
        // It chooses among all that the key may call.
        if intents::is_auto(name) && self.only.is_none() {
            return Ok(Target::Chosen);
        }
        match view.get(name) {
            Ok((tool, _)) if self.allows(&tool.id) => Ok(Target::Tool(Rc::clone(tool))),
            Ok(_) => Err((NOT_FOUND, format!("There is no tool {name:?} here"))),
            Err(refused) => {
                let capability = view.catalog().capability(name);
                let mut serving = view
                    .of_capability(name)
                    .filter(|tool| self.allows(&tool.id));
                match (capability, serving.next()) {
                    (Some(capability), Some(first)) => {
                        let effects = serving.map(|tool| tool.operation.effect);
                        Ok(Target::Capability {
                            name: name.to_owned(),
                            input: capability.input.value().clone(),
                            effect: effects.fold(first.operation.effect, Ord::max),
                        })
                    }
                    _ => {
                        let code = match &refused {
                            Refused::Denied(denied) => denied.by.code,
                            _ => NOT_FOUND,
                        };
                        Err((code, refused.to_string()))
                    }
                }
            }
        }
    }

    fn search(&self, input: &Value) -> Answered {
        let word = |name: &str| input.get(name).and_then(Value::as_str).map(str::to_owned);
        let filter = Filter {
            words: word("query"),
            category: word("category").filter(|word| !word.is_empty()),
            names: self.only.clone(),
            ..Filter::default()
        };
        let limit = input
            .get("limit")
            .and_then(Value::as_u64)
            .unwrap_or(FOUND)
            .clamp(1, MOST_FOUND);
        let tools = self.toolbox.view.tools();
        let found = filter.select(tools.iter().map(|(tool, _)| tool.as_ref()));
        let total = found.len();
        let limit = usize::try_from(limit).unwrap_or_default();
        let shown = found.into_iter().filter_map(|at| tools.get(at)).take(limit);
        let shown: Vec<Value> = shown.map(|(tool, _)| short(tool)).collect();
        Answered::says(&json!({"tools": shown, "found": total}))
    }

    fn schemas(&self, input: &Value) -> Answered {
        let one = input.get("tool").into_iter();
        let listed = input.get("tools").and_then(Value::as_array);
        let names = listed
            .into_iter()
            .flatten()
            .chain(one)
            .filter_map(Value::as_str);
        let told: Vec<Value> = names
            .take(MOST_SCHEMAS)
            .map(|name| match self.target(name) {
                Ok(Target::Tool(tool)) => json!({
                    "tool": tool.id, "description": tool.description(), "effect": tool.operation.effect.as_str(),
                    "input_schema": tool.operation.input.value(),
                }),
                Ok(Target::Capability { name, input, effect }) => {
                    json!({"tool": name, "effect": effect.as_str(), "input_schema": input})
                }
                Ok(Target::Chosen) => json!({"tool": name}),
                Err((_, why)) => json!({"tool": name, "error": why}),
            })
            .collect();
        if told.is_empty() {
            return Answered::refused("invalid_request", "Expected names of tools (tools)");
        }
        Answered::says(&json!({"tools": told}))
    }
}

/// A tool as a search tells of it.
fn short(tool: &Tool) -> Value {
    let schema = tool.operation.input.value();
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<&String> = properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    json!({
        "tool": tool.id, "title": tool.operation.title, "description": tool.description(), "category": tool.category(),
        "effect": tool.operation.effect.as_str(), "input": names, "required": schema.get("required"),
    })
}
