//! Tools by what somebody wants, in words: `POST /tools/route`, and `{"intent": …}` or the tool `auto/route` at `POST /tools/execute`.
//!
//! What is chosen and why is always told. What would write is confirmed first, however the key is set: a machine chose both the tool and the input.
//! Out of scope: the choice (`tools::intent`), the execution (`tools::execute`).

use futures::FutureExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    World, beliefs,
    http::{Request, Response},
    inner, principal,
    toolbox::Toolbox,
};
use crate::{
    error::{Error, Result},
    identity::KeyRecord,
    tools::{
        catalog::{Effect, Tool, ToolView},
        envelope::{Envelope, Status, ToolError},
        execute::{Call, Confirm},
        intent::{
            fill::{self, Filled},
            meaning::{self, Meaning},
            memory,
            router::{Candidate, Routed},
            text::Features,
        },
        schema,
    },
};

/// The variable that names the model which fills inputs in.
const MODEL: &str = "TOOLS_INTENT_MODEL";
/// The variable that names the model whose vectors decide what words leave open.
const EMBEDDINGS: &str = "TOOLS_INTENT_EMBEDDINGS";
/// ToolRoute's name for a tool that is chosen.
const AUTO: &str = "auto/route";
/// The same as a function is called.
const AUTO_WIRE: &str = "auto__route";
/// The longest intent, in characters.
const MOST_CHARS: usize = 4_000;

/// What somebody wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// In words.
    pub intent: String,
    /// What of the input is known.
    pub input: Value,
    /// Only these tools or capabilities, where there are any.
    pub tools: Vec<String>,
}

/// What is to be remembered where it succeeds.
pub(super) struct Lesson {
    deed: String,
    features: Vec<u32>,
}

/// What became of an intent.
pub(super) enum Resolved {
    /// This is to be executed; how it came to be is told with its envelope.
    Call(Box<Call>, Value, Lesson),
    /// Nothing is.
    Answer(Box<Envelope>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteBody {
    intent: String,
    #[serde(default)]
    input: Option<Map<String, Value>>,
    #[serde(default)]
    tools: Vec<String>,
    #[serde(default)]
    fill: bool,
}

/// Answers `POST /tools/route`: what would be chosen, and why. Nothing is executed; a model is asked for the input only with `fill`.
pub(super) async fn route<W: World>(world: &W, request: Request) -> Result<Response> {
    let key = principal(world, &request).await?;
    let origin = Toolbox::<W>::origin(&request, &key);
    let body: RouteBody = request.json().await?;
    let asked = Asked {
        intent: checked(&body.intent).map_err(|error| Error::invalid("intent", error.message))?,
        input: Value::Object(body.input.unwrap_or_default()),
        tools: body.tools,
    };
    let toolbox = Toolbox::open(world, &key, origin).await?;
    let routed = choose(world, &key, &toolbox.view, &asked).await;
    let mut told = routed.explain();
    if let (Some(chosen), Value::Object(told)) = (routed.chosen(), &mut told) {
        let schema = schema_of(&toolbox.view, chosen);
        let by_rule = fill::by_rule(&schema, &asked.intent, &asked.input);
        let written = match (by_rule, body.fill) {
            (Some(input), _) => Written::by_rule(input),
            (None, true) => by_model(world, &key, chosen, &schema, &asked).await,
            (None, false) => Written::default(),
        };
        told.insert(
            "input".to_owned(),
            written.input.clone().unwrap_or_default(),
        );
        told.insert("filled".to_owned(), written.told());
        told.insert("input_schema".to_owned(), schema);
        told.insert(
            "needs_confirmation".to_owned(),
            (chosen.deed.effect != Effect::Read).into(),
        );
    }
    if let Value::Object(told) = &mut told {
        told.insert("intent".to_owned(), asked.intent.into());
    }
    Ok(Response::json(200, &told))
}

/// Whether a tool of this name is the one that chooses another.
pub(super) fn is_auto(tool: &str) -> bool {
    [AUTO, AUTO_WIRE].contains(&tool)
}

/// The tool that was chosen and its input, as an envelope tells them: what a confirmation of it is for.
pub(super) fn chosen(envelope: &Envelope) -> Option<(String, Map<String, Value>)> {
    let routing = envelope.routing.as_ref()?;
    let tool = routing.pointer("/intent/tool")?.as_str()?;
    Some((tool.to_owned(), routing.get("input")?.as_object()?.clone()))
}

/// What a body of `POST /tools/execute` wants in words, if it does.
///
/// # Errors
/// Where that cannot be read.
pub(super) fn asked(
    tool: &str,
    intent: Option<&str>,
    input: &Value,
) -> Result<Option<Asked>, ToolError> {
    let by_tool = || {
        input
            .get("task")
            .or_else(|| input.get("intent"))
            .and_then(Value::as_str)
    };
    let (words, mut input) = match (intent, tool) {
        (Some(words), _) => (words, input.clone()),
        (None, name) if is_auto(name) => {
            let message = "auto/route takes what is wanted as its task: {\"task\": \"…\"}";
            let words = by_tool().ok_or_else(|| ToolError::input("/task", message))?;
            let mut rest = input.clone();
            if let Some(rest) = rest.as_object_mut() {
                rest.remove("task");
                rest.remove("intent");
            }
            (words, rest)
        }
        (None, _) => return Ok(None),
    };
    if input.is_null() {
        input = json!({});
    }
    if !input.is_object() {
        return Err(ToolError::input(
            "input",
            "The input is an object with what is known of the tool's arguments",
        ));
    }
    let named = !tool.is_empty() && !is_auto(tool);
    Ok(Some(Asked {
        intent: checked(words)?,
        input,
        tools: if named {
            vec![tool.to_owned()]
        } else {
            Vec::new()
        },
    }))
}

fn checked(intent: &str) -> Result<String, ToolError> {
    let intent = intent.trim();
    if intent.is_empty() || intent.chars().count() > MOST_CHARS {
        return Err(ToolError::input(
            "intent",
            "intent says in 1 to 4,000 characters what is wanted",
        ));
    }
    Ok(intent.to_owned())
}

/// Turns an intent into a call. `call` is what the client said beside it.
pub(super) async fn resolve<W: World>(
    world: &W,
    key: &KeyRecord,
    view: &ToolView,
    asked: &Asked,
    call: Call,
) -> Resolved {
    let routed = choose(world, key, view, asked).await;
    let mut routing = json!({"intent": routed.explain()});
    let refuse = |code: &str, message: String, routing: Value| {
        let mut envelope =
            Envelope::failed(&call.id, AUTO, ToolError::new(code, "client", message));
        envelope.routing = Some(routing);
        Resolved::Answer(Box::new(envelope))
    };
    let Some(chosen) = routed.chosen() else {
        return refuse("tool_not_found", routed.reason(), routing);
    };
    let schema = schema_of(view, chosen);
    let written = match fill::by_rule(&schema, &asked.intent, &asked.input) {
        Some(input) => Written::by_rule(input),
        None => by_model(world, key, chosen, &schema, asked).await,
    };
    if let Some(routing) = routing.as_object_mut() {
        routing.insert("filled".to_owned(), written.told());
        routing.insert(
            "input".to_owned(),
            written.input.clone().unwrap_or_default(),
        );
    }
    let Some(input) = written.input else {
        return refuse("missing_input", written.problem, routing);
    };
    let confirm = match (chosen.deed.effect, call.confirm) {
        (Effect::Read, confirm) | (_, confirm @ (Confirm::Writes | Confirm::Always)) => confirm,
        (_, Confirm::Never | Confirm::Destructive) => Confirm::Writes,
    };
    let mut provider = call.provider.clone();
    if provider.prefer.is_empty() && chosen.deed.is_capability {
        provider.prefer.clone_from(&routed.named);
    }
    let lesson = Lesson {
        deed: chosen.deed.name.clone(),
        features: memory::features(&Features::of(&asked.intent), account_key(world, key)),
    };
    let call = Call {
        tool: chosen.deed.name.clone(),
        input,
        confirm,
        provider,
        ..call
    };
    Resolved::Call(Box::new(call), routing, lesson)
}

/// Tells with the envelope how its call came to be, and remembers the intent where it succeeded.
pub(super) fn conclude<W: World>(
    world: &W,
    key: &KeyRecord,
    lesson: Lesson,
    mut routing: Value,
    envelope: &mut Envelope,
) {
    if let (Some(routing), Some(choice)) = (routing.as_object_mut(), envelope.routing.take()) {
        routing.insert("choice".to_owned(), choice);
    }
    envelope.routing = Some(routing);
    if envelope.status != Status::Succeeded || envelope.replayed || lesson.features.is_empty() {
        return;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    world
        .memory()
        .intents
        .add(&key.account, &lesson.deed, &lesson.features);
    let (task, account, id) = (world.clone(), key.account.clone(), envelope.id.clone());
    let keep = async move {
        let kept =
            memory::remember(&task, &account, &lesson.deed, &lesson.features, &id, now).await;
        if let Err(error) = kept {
            task.report(&format!("an intent could not be remembered: {error}"));
        }
    };
    world.spawn(keep.boxed_local());
}

/// The key that the features of an account's intents are mixed with.
fn account_key<W: World>(world: &W, key: &KeyRecord) -> u64 {
    let secrets = ["SESSION_SECRET", "BYOK_MASTER_KEY", "OPERATOR_TOKEN"];
    let secret = secrets.iter().find_map(|name| world.var(name));
    memory::account_key(&key.account, &secret.unwrap_or_default())
}

async fn choose<W: World>(world: &W, key: &KeyRecord, view: &ToolView, asked: &Asked) -> Routed {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    if memory.intents.is_stale(&key.account, now_ms) {
        match memory::known(world, &key.account).await {
            Ok(intents) => memory.intents.adopt(&key.account, intents, now_ms),
            Err(error) => world.report(&format!("remembered intents could not be read: {error}")),
        }
    }
    beliefs::know(world, &key.account).await;
    let router = memory.intents.router(view.catalog());
    let (index, remembered) = memory
        .intents
        .index(&key.account, &router, account_key(world, key));
    let among = |tool: &Tool| {
        let capability = tool.operation.capability.as_deref();
        let is = |name: &String| {
            *name == tool.id
                || *name == tool.wire_name
                || capability == Some(name.as_str())
                || *name == tool.provider.slug
        };
        asked.tools.is_empty() || asked.tools.iter().any(is)
    };
    let mut routed = router.route(&asked.intent, &index, remembered, view, &among);
    if routed.is_open()
        && let Some(model) = world.var(EMBEDDINGS)
    {
        let meaning = by_meaning(world, key, model, &asked.intent, &routed).await;
        routed.settle(meaning);
    }
    routed
}

/// Has a model compare the words with the candidates, as a request for embeddings of whoever asks.
async fn by_meaning<W: World>(
    world: &W,
    key: &KeyRecord,
    model: String,
    intent: &str,
    routed: &Routed,
) -> Meaning {
    let body = meaning::body(&model, intent, &routed.candidates);
    let mut meaning = Meaning {
        model,
        ..Meaning::default()
    };
    match inner::embed(world, key, &body).await {
        Ok((answer, generation)) => {
            meaning.cost = answer.pointer("/usage/cost").cloned();
            meaning.generation = Some(generation);
            meaning.read(&answer, routed.candidates.len());
        }
        Err(error) => meaning.problem = Some(error.message),
    }
    meaning
}

/// The schema of what a deed takes.
fn schema_of(view: &ToolView, chosen: &Candidate) -> Value {
    let of_capability = view
        .catalog()
        .capability(&chosen.deed.name)
        .filter(|_| chosen.deed.is_capability);
    match (of_capability, chosen.deed.members.first()) {
        (Some(capability), _) => capability.input.value().clone(),
        (None, Some(tool)) => tool.operation.input.value().clone(),
        (None, None) => json!({}),
    }
}

/// An input, and who wrote it.
#[derive(Default)]
struct Written {
    input: Option<Value>,
    by: &'static str,
    model: Option<String>,
    generation: Option<String>,
    cost: Option<Value>,
    problem: String,
}

impl Written {
    fn by_rule(input: Value) -> Self {
        Self {
            input: Some(input),
            by: "rule",
            ..Self::default()
        }
    }

    fn told(&self) -> Value {
        json!({"by": self.by, "model": self.model, "generation": self.generation, "cost": self.cost, "problem": (!self.problem.is_empty()).then_some(&self.problem)})
    }
}

/// Has a model write the input, as a chat request of whoever asks.
async fn by_model<W: World>(
    world: &W,
    key: &KeyRecord,
    chosen: &Candidate,
    schema: &Value,
    asked: &Asked,
) -> Written {
    let Some(model) = world.var(MODEL) else {
        let problem = format!(
            "{} takes more than the request says by itself: send its input, as input_schema of POST /tools/route tells",
            chosen.deed.name
        );
        return Written {
            problem,
            ..Written::default()
        };
    };
    let mut written = Written {
        by: "model",
        model: Some(model.clone()),
        ..Written::default()
    };
    let about = chosen
        .deed
        .members
        .first()
        .map(|tool| tool.description())
        .unwrap_or_default();
    let body = fill::prompt(
        &model,
        &chosen.deed.name,
        &about,
        schema,
        &asked.intent,
        &asked.input,
    );
    let answer = match inner::ask(world, key, &body).await {
        Ok(said) => {
            (written.generation, written.cost) = (Some(said.generation), said.cost);
            said.text
        }
        Err(error) => {
            written.problem = format!("The model that fills inputs in failed: {error}");
            return written;
        }
    };
    match fill::read(&answer, &asked.input) {
        Filled::Input(input) => match schema::validate(schema, &input) {
            Ok(()) => written.input = Some(input),
            Err(wrong) => {
                written.problem = format!(
                    "What the model wrote does not suit the tool: {} {}",
                    wrong.param, wrong.message
                )
            }
        },
        Filled::Missing(names) => {
            written.problem = format!("The request does not say: {}", names.join(", "))
        }
        Filled::Unreadable => {
            written.problem = "The model that fills inputs in wrote no input".to_owned()
        }
    }
    written
}
