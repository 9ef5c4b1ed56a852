//! Carrying a chain out, and going on after a crash.
//!
//! A chain's state is kept before its first step, before the first undo and at its end. Begun again under the same name it goes on: steps that
//! were carried out answer from their records, and a chain that was being undone is undone to its end. One that ended answers as it ended.
//! One at a time carries it on: whoever keeps its state holds it, each step is admitted for its holder alone, and who lost it stops.

use std::collections::BTreeMap;

use futures::{StreamExt, future::join_all, stream};
use serde_json::{Map, Value, json};

use super::{
    kept::{Holding, Kept, KeptDeed, begun},
    order::waves,
    row::{Composite, Deed, Each, MAX_CALLS, MAX_EACH, StepRow},
    undo::{Done, compensate},
};
use crate::{
    credits::{money::Nanos, ops::Lease},
    error::Result,
    json::set,
    tools::{
        catalog::Effect,
        connector::{
            condition::holds,
            template::{Piece, Scope, at, fill, pieces, plain},
        },
        envelope::{Envelope, Status, ToolError, Warning},
        execute::{Call, Step},
    },
};

/// How many items of a list a step reads at the same time.
const BESIDE: usize = 5;

/// How long a chain is held between two steps, in milliseconds; a step that is admitted holds it as long as it may take.
const GAP_MS: i64 = 15_000;
/// How long while a model is asked.
const CHAT_MS: i64 = 120_000;

/// What a chain needs of the world.
pub trait Runner {
    /// Carries out a step.
    fn tool(&self, call: Call) -> impl Future<Output = Envelope>;

    /// Asks a model, in the words of chat completions, and answers its text and what it cost. The same question of the same chain is charged once
    /// where its answer is still remembered.
    fn chat(&self, body: Value) -> impl Future<Output = Result<(String, Nanos), ToolError>>;

    /// What is known of a tool, or of the tools of a capability.
    fn deed(&self, tool: &str) -> Option<Deed>;

    /// A new id for an execution.
    ///
    /// # Errors
    /// Where there is no randomness.
    fn id(&self) -> Result<String>;

    /// Ends after so many milliseconds.
    fn wait(&self, ms: u64) -> impl Future<Output = ()>;

    /// Keeps the state of a chain, unless one that is over is kept or another one carries it on; answers what is kept.
    fn keep(
        &self,
        id: &str,
        kept: &Kept,
        is_new: bool,
        lease: Lease,
    ) -> impl Future<Output = Result<Holding>>;

    /// Reports a failure to the operator's log.
    fn report(&self, message: &str);
}

/// How the steps of a chain stand.
#[derive(Default)]
struct Progress {
    /// What templates see of them.
    seen: Map<String, Value>,
    /// What is told of them.
    told: BTreeMap<usize, Value>,
    done: Vec<Done>,
    warnings: Vec<Warning>,
    cost: Nanos,
    byok: bool,
    calls: usize,
}

/// How a step ended.
enum Ended {
    /// The chain goes on.
    Well,
    /// The chain stops here, as this execution stands: it waits, or runs, or must not go on.
    Stopped(Box<Envelope>),
    /// The chain failed.
    Failed(Box<ToolError>),
}

/// Carries a chain out. `call.id` names it: the same for every try of what is to happen once. `digest` is that of what is asked for. Its step's
/// holder, where there is one, is who carries it on.
pub async fn run<R: Runner>(runner: &R, chain: &Composite, call: Call, digest: &str) -> Envelope {
    let given = call.step.as_ref().and_then(|step| step.holder.clone());
    let holder = given.map_or_else(|| runner.id(), Ok);
    let holder = match holder {
        Ok(holder) => holder,
        Err(error) => return Envelope::failed(&call.id, &call.tool, unavailable(error.message)),
    };
    let call = Call {
        step: Some(Step {
            parent: call.id.clone(),
            index: String::new(),
            holder: Some(holder),
        }),
        ..call
    };
    let failed = |error: ToolError| Envelope::failed(&call.id, &call.tool, error);
    let begun = begun(&call, digest);
    let lease = lease(&call, GAP_MS);
    let Holding { kept, busy_ms } = match runner.keep(&call.id, &begun, true, lease).await {
        Ok(holding) => holding,
        Err(error) => return failed(unavailable(error.message)),
    };
    if kept.digest() != digest {
        let message = "This idempotency key was used for another request";
        return failed(ToolError::new("idempotency_mismatch", "client", message));
    }
    if let Some(ms) = busy_ms {
        return failed(busy(&call.id, ms));
    }
    match kept {
        Kept::Over { envelope, .. } => Envelope {
            replayed: true,
            ..*envelope
        },
        Kept::Undoing { done, error, .. } => {
            let done = done.into_iter().map(|deed| Done {
                index: deed.index,
                envelope: deed.envelope,
                changes: true,
            });
            let progress = Progress {
                done: done.collect(),
                ..Progress::default()
            };
            take_back(runner, &call, digest, progress, *error).await
        }
        Kept::Running { .. } => steps(runner, chain, call, digest).await,
    }
}

/// The place of a step, or of an undo, in its chain.
pub(super) fn place(chain: &Call, index: String) -> Step {
    Step {
        parent: chain.id.clone(),
        index,
        holder: chain.step.as_ref().and_then(|step| step.holder.clone()),
    }
}

fn lease(call: &Call, ms: i64) -> Lease {
    let holder = call.step.as_ref().and_then(|step| step.holder.clone());
    Lease {
        holder: holder.unwrap_or_default(),
        ms,
    }
}

fn unavailable(message: String) -> ToolError {
    ToolError::new("gateway_unavailable", "gateway", message)
}

fn busy(id: &str, ms: i64) -> ToolError {
    let seconds = u32::try_from(ms.max(1_000).saturating_add(999) / 1_000).unwrap_or(u32::MAX);
    let message = format!("{id} is under way under this idempotency key: ask again in a moment");
    ToolError {
        retry_after: Some(seconds),
        ..ToolError::new("idempotency_in_progress", "client", message)
    }
}

/// Gives up a chain that is not over: the next request of its name goes on with it at once.
async fn release<R: Runner>(runner: &R, call: &Call, digest: &str) {
    let state = begun(call, digest);
    let kept = runner.keep(&call.id, &state, false, lease(call, 0));
    if let Err(error) = kept.await {
        runner.report(&format!("chain {} was not given up: {error}", call.id));
    }
}

async fn steps<R: Runner>(runner: &R, chain: &Composite, call: Call, digest: &str) -> Envelope {
    let changes = |step: &StepRow| {
        let deed = step.tool.as_deref().and_then(|tool| runner.deed(tool));
        step.tool.is_some() && deed.is_none_or(|deed| deed.effect != Effect::Read)
    };
    let mut progress = Progress::default();
    for step in chain.irreversible(|tool| runner.deed(tool)) {
        let message = format!("Step {step} cannot be undone if a later step fails");
        progress
            .warnings
            .push(Warning::new("irreversible_step", message));
    }
    for wave in waves(chain, changes) {
        // A model is asked by nobody else meanwhile; tools are held by their own admission.
        if wave.iter().any(|step| step.chat.is_some()) {
            let lease = lease(&call, CHAT_MS);
            match runner
                .keep(&call.id, &begun(&call, digest), false, lease)
                .await
            {
                Ok(Holding { busy_ms: None, .. }) => {}
                Ok(Holding { busy_ms, .. }) => {
                    let step =
                        Envelope::failed("", "", busy(&call.id, busy_ms.unwrap_or_default()));
                    return progress.stopped(&call, step);
                }
                Err(error) => {
                    let step = Envelope::failed("", "", unavailable(error.message));
                    return progress.stopped(&call, step);
                }
            }
        }
        // What each step sees is what was there before the wave.
        let root = json!({"input": call.input, "steps": progress.seen});
        let room = MAX_CALLS.saturating_sub(progress.calls);
        let running = wave
            .iter()
            .map(|step| one(runner, step, &call, &root, changes(step), room));
        let results = join_all(running).await;
        let mut end = Ended::Well;
        for (step, result) in wave.iter().zip(results) {
            let place = chain
                .steps
                .iter()
                .position(|one| one.id == step.id)
                .unwrap_or_default();
            let ended = progress.take(place, step, result);
            if matches!(end, Ended::Well) {
                end = ended;
            }
        }
        match end {
            Ended::Well => {}
            Ended::Stopped(envelope) => {
                release(runner, &call, digest).await;
                return progress.stopped(&call, *envelope);
            }
            Ended::Failed(error) => return fail(runner, &call, digest, progress, *error).await,
        }
    }
    let root = json!({"input": call.input, "steps": progress.seen});
    let result = match &chain.output {
        Some(output) => made(output, Scope::of(&root)),
        None => Some(Value::Object(progress.results())),
    };
    let envelope = Envelope {
        status: Status::Succeeded,
        result,
        ..progress.envelope(&call)
    };
    over(runner, &call, digest, envelope).await
}

/// What came of a step: one execution, or one for each item, or none.
struct Ran {
    executions: Vec<(String, Envelope)>,
    /// It ran over items.
    is_list: bool,
    /// It was passed over.
    is_skipped: bool,
    changes: bool,
    /// A model's answer.
    said: Option<Result<(Value, Nanos), ToolError>>,
    warning: Option<Warning>,
}

async fn one<R: Runner>(
    runner: &R,
    step: &StepRow,
    chain: &Call,
    root: &Value,
    changes: bool,
    room: usize,
) -> Ran {
    let mut ran = Ran {
        executions: Vec::new(),
        is_list: step.each.is_some(),
        is_skipped: false,
        changes,
        said: None,
        warning: None,
    };
    if !step.when.iter().all(|when| holds(when, root)) {
        ran.is_skipped = true;
        return ran;
    }
    if let Some(template) = &step.chat {
        let body = spoken(template, root);
        ran.said = Some(runner.chat(body).await.map(|(text, cost)| {
            let json = crate::json::from_str::<Value>(fenced(&text)).ok();
            (json!({"text": text, "json": json.filter(|json| json.is_object() || json.is_array())}), cost)
        }));
        return ran;
    }
    let Some(tool) = &step.tool else { return ran };
    let input = |here: &Value| {
        let scope = Scope {
            root,
            here,
            ..Scope::of(root)
        };
        made(&step.input, scope).unwrap_or_else(|| json!({}))
    };
    let call = |index: String, input: Value| Call {
        id: runner
            .id()
            .unwrap_or_else(|_| format!("{}-{index}", chain.id)),
        tool: tool.clone(),
        input,
        confirm: chain.confirm,
        surface: "composite",
        dry_run: chain.dry_run,
        step: Some(place(chain, index)),
        ..Call::default()
    };
    let Some(each) = &step.each else {
        let made = confirmed(runner, chain, call(step.id.clone(), input(root))).await;
        ran.executions.push((step.id.clone(), made));
        return ran;
    };
    let (items, left) = items(root, each, room);
    if left > 0 {
        let message = format!(
            "Step {} left out {left} items: it takes {} at the most",
            step.id,
            items.len()
        );
        ran.warning = Some(Warning::new("items_left_out", message));
    }
    let calls = items.iter().enumerate().map(|(n, item)| {
        let mut here = root.clone();
        set(&mut here, "item", item.clone());
        let index = format!("{}.{n}", step.id);
        (index.clone(), call(index, input(&here)))
    });
    let running =
        calls.map(|(index, call)| async { (index, confirmed(runner, chain, call).await) });
    let beside = if changes { 1 } else { BESIDE };
    let mut running = stream::iter(running).buffered(beside);
    while let Some((index, envelope)) = running.next().await {
        let goes_on = envelope.status == Status::Succeeded || step.optional;
        ran.executions.push((index, envelope));
        // What would change something after a failure is not begun.
        if changes && !goes_on {
            break;
        }
    }
    ran
}

/// What a template makes. Other than in rows of providers, a sentence stays where a part of it is missing.
fn made(template: &Value, scope: Scope<'_>) -> Option<Value> {
    match template {
        Value::String(text) if is_sentence(text) => Some(sentence(text, scope).into()),
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| made(item, scope));
            Some(items.collect())
        }
        Value::Object(fields) if !fields.keys().any(|name| name.starts_with('$')) => {
            let fields = fields.iter();
            let fields =
                fields.filter_map(|(name, value)| Some((name.clone(), made(value, scope)?)));
            Some(Value::Object(fields.collect()))
        }
        other => fill(other, scope),
    }
}

/// More than one placeholder alone, which stands for a value of any kind.
fn is_sentence(text: &str) -> bool {
    pieces(text).nth(1).is_some()
}

fn sentence(text: &str, scope: Scope<'_>) -> String {
    let said = pieces(text).map(|piece| match piece {
        Piece::Literal(text) => text.to_owned(),
        Piece::Here(pointer) => at(scope.here, pointer).map(plain).unwrap_or_default(),
        Piece::Root(pointer) => at(scope.root, pointer).map(plain).unwrap_or_default(),
        Piece::This => plain(scope.here),
        Piece::Key(_) => String::new(),
    });
    said.collect()
}

/// A conversation: what is said in it is text, whatever was found.
fn spoken(template: &Value, root: &Value) -> Value {
    let mut body = made(template, Scope::of(root)).unwrap_or_default();
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    for message in messages.into_iter().flatten() {
        let text = message.get("content").map(plain).unwrap_or_default();
        set(message, "content", text);
    }
    body
}

/// The items of a list, and how many are too many.
fn items(root: &Value, each: &Each, room: usize) -> (Vec<Value>, usize) {
    let list = at(root, &each.of).and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let most = each.max.min(MAX_EACH).min(room);
    (
        list.iter().take(most).cloned().collect(),
        list.len().saturating_sub(most),
    )
}

/// Carries a step out; the token of the chain's request is for the step that asked for it.
async fn confirmed<R: Runner>(runner: &R, chain: &Call, call: Call) -> Envelope {
    let asked = runner.tool(call.clone()).await;
    let Some(token) = chain
        .confirmation
        .clone()
        .filter(|_| asked.status == Status::ConfirmationRequired)
    else {
        return asked;
    };
    let answered = runner
        .tool(Call {
            confirmation: Some(token),
            ..call
        })
        .await;
    let is_for_another = answered
        .error
        .as_ref()
        .is_some_and(|error| error.code == "confirmation_invalid");
    if is_for_another { asked } else { answered }
}

/// The text within a fence, where a model put one around its JSON.
fn fenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"));
    inside
        .and_then(|inside| inside.strip_suffix("```"))
        .unwrap_or(text)
        .trim()
}

impl Progress {
    fn take(&mut self, place: usize, step: &StepRow, ran: Ran) -> Ended {
        self.warnings.extend(ran.warning);
        if ran.is_skipped {
            self.told
                .insert(place, json!({"id": step.id, "status": "skipped"}));
            return Ended::Well;
        }
        if let Some(said) = ran.said {
            return self.heard(place, step, said);
        }
        let mut end = Ended::Well;
        let (mut told, mut seen) = (Vec::new(), Vec::new());
        for (index, envelope) in ran.executions {
            self.calls += 1;
            self.cost = self
                .cost
                .checked_add(envelope.usage.cost)
                .unwrap_or(self.cost);
            self.byok |= envelope.usage.byok;
            told.push(tell(&index, &envelope));
            seen.push(view(&envelope));
            let ended = self.judge(step, &index, &envelope);
            if matches!(end, Ended::Well) {
                end = ended;
            }
            self.done.push(Done {
                index,
                envelope,
                changes: ran.changes,
            });
        }
        let (told, seen) = if ran.is_list {
            (
                json!({"id": step.id, "items": told}),
                json!({"items": seen}),
            )
        } else {
            (
                told.pop().unwrap_or_default(),
                seen.pop().unwrap_or_default(),
            )
        };
        self.told.insert(place, told);
        self.seen.insert(step.id.clone(), seen);
        end
    }

    fn judge(&mut self, step: &StepRow, index: &str, envelope: &Envelope) -> Ended {
        let code = envelope
            .error
            .as_ref()
            .map_or("", |error| error.code.as_str());
        match envelope.status {
            Status::Succeeded => Ended::Well,
            Status::ConfirmationRequired | Status::Running => {
                Ended::Stopped(Box::new(envelope.clone()))
            }
            // Somebody else carries the same chain out, or the name means something else.
            _ if matches!(code, "idempotency_in_progress" | "idempotency_mismatch") => {
                Ended::Stopped(Box::new(envelope.clone()))
            }
            _ => {
                let error = envelope.error.clone().unwrap_or_else(|| {
                    ToolError::new(
                        "provider_error",
                        "provider",
                        format!("It ended as {}", envelope.status.as_str()),
                    )
                });
                if step.optional && envelope.status == Status::Failed {
                    let message = format!("Step {index} failed: {}", error.message);
                    self.warnings.push(Warning::new("step_failed", message));
                    return Ended::Well;
                }
                let message = format!("Step {index} failed: {}", error.message);
                Ended::Failed(Box::new(ToolError { message, ..error }))
            }
        }
    }

    fn heard(
        &mut self,
        place: usize,
        step: &StepRow,
        said: Result<(Value, Nanos), ToolError>,
    ) -> Ended {
        self.calls += 1;
        match said {
            Ok((said, cost)) => {
                self.cost = self.cost.checked_add(cost).unwrap_or(self.cost);
                self.told.insert(place, json!({"id": step.id, "status": "succeeded", "result": said, "usage": {"cost": cost.to_json_number()}}));
                self.seen.insert(
                    step.id.clone(),
                    json!({"status": "succeeded", "result": said}),
                );
                Ended::Well
            }
            Err(error) => {
                self.told.insert(
                    place,
                    json!({"id": step.id, "status": "failed", "error": error}),
                );
                let message = format!("Step {} failed: {}", step.id, error.message);
                if step.optional {
                    self.warnings.push(Warning::new("step_failed", message));
                    return Ended::Well;
                }
                Ended::Failed(Box::new(ToolError { message, ..error }))
            }
        }
    }

    /// The results of the steps by their names.
    fn results(&self) -> Map<String, Value> {
        let result = |seen: &Value| seen.get("result").or_else(|| seen.get("items")).cloned();
        let results = self
            .seen
            .iter()
            .map(|(id, seen)| (id.clone(), result(seen).unwrap_or_default()));
        results.collect()
    }

    fn envelope(&self, call: &Call) -> Envelope {
        let mut envelope = Envelope {
            id: call.id.clone(),
            tool: call.tool.clone(),
            provider: super::PROVIDER.to_owned(),
            warnings: self.warnings.clone(),
            steps: Some(self.told.values().cloned().collect()),
            ..Envelope::default()
        };
        (envelope.usage.cost, envelope.usage.byok) = (self.cost, self.byok);
        envelope.usage.units = None;
        let balances = self
            .done
            .iter()
            .filter_map(|done| done.envelope.usage.balance_remaining);
        envelope.usage.balance_remaining = balances.min();
        envelope
    }

    /// The chain waits for what one of its steps waits for.
    fn stopped(&self, call: &Call, step: Envelope) -> Envelope {
        Envelope {
            status: step.status,
            error: step.error,
            confirmation: step.confirmation,
            ..self.envelope(call)
        }
    }
}

/// What is told of an execution: all of its envelope, under the step's name.
fn tell(index: &str, envelope: &Envelope) -> Value {
    let mut told = envelope.to_value();
    if let Some(told) = told.as_object_mut() {
        let execution = told
            .insert("id".to_owned(), index.into())
            .unwrap_or_default();
        told.insert("execution".to_owned(), execution);
    }
    told
}

/// What templates see of an execution.
fn view(envelope: &Envelope) -> Value {
    json!({
        "status": envelope.status.as_str(),
        "result": envelope.result,
        "data": envelope.data,
        "error": envelope.error,
    })
}

/// A chain that failed: what was done is taken back, and that it is being taken back is kept first.
async fn fail<R: Runner>(
    runner: &R,
    call: &Call,
    digest: &str,
    progress: Progress,
    error: ToolError,
) -> Envelope {
    let deeds = progress
        .done
        .iter()
        .filter(|done| done.changes && done.envelope.status != Status::Failed);
    let deeds: Vec<KeptDeed> = deeds
        .map(|done| KeptDeed {
            index: done.index.clone(),
            envelope: Envelope {
                data: None,
                result: None,
                ..done.envelope.clone()
            },
        })
        .collect();
    if !deeds.is_empty() {
        let kept = Kept::Undoing {
            digest: digest.to_owned(),
            tool: call.tool.clone(),
            done: deeds,
            error: Box::new(error.clone()),
        };
        // Nothing is taken back before that is kept: whoever came after would do what is missing, and take what is done for done.
        let stopped = match runner
            .keep(&call.id, &kept, false, lease(call, GAP_MS))
            .await
        {
            Ok(Holding { busy_ms: None, .. }) => None,
            Ok(Holding { busy_ms, .. }) => Some(busy(&call.id, busy_ms.unwrap_or_default())),
            Err(failure) => Some(ToolError {
                details: Some(json!({ "cause": error })),
                ..unavailable(format!(
                    "{}. It is to be undone, and that could not be kept: {failure}",
                    error.message
                ))
            }),
        };
        if let Some(error) = stopped {
            return progress.stopped(call, Envelope::failed("", "", error));
        }
    }
    take_back(runner, call, digest, progress, error).await
}

async fn take_back<R: Runner>(
    runner: &R,
    call: &Call,
    digest: &str,
    mut progress: Progress,
    error: ToolError,
) -> Envelope {
    let undone = compensate(runner, call, &progress.done).await;
    for envelope in &undone.envelopes {
        progress.cost = progress
            .cost
            .checked_add(envelope.usage.cost)
            .unwrap_or(progress.cost);
    }
    if let Some(waits) = undone.waits {
        return progress.stopped(call, waits);
    }
    let mut error = error;
    if let Some(told) = undone.told() {
        error.details = Some(json!({"compensation": told, "cause": error.details}));
    }
    let envelope = Envelope {
        status: undone.status(),
        error: Some(error),
        ..progress.envelope(call)
    };
    over(runner, call, digest, envelope).await
}

/// Keeps how a chain ended. One whose steps can be tried again without harm is not over: the same name goes on with it.
async fn over<R: Runner>(runner: &R, call: &Call, digest: &str, envelope: Envelope) -> Envelope {
    if envelope.status == Status::Failed || call.dry_run {
        release(runner, call, digest).await;
        return envelope;
    }
    let kept = Kept::Over {
        digest: digest.to_owned(),
        envelope: Box::new(envelope.clone()),
    };
    if let Err(failure) = runner
        .keep(&call.id, &kept, false, lease(call, GAP_MS))
        .await
    {
        runner.report(&format!(
            "how chain {} ended was not kept: {failure}",
            call.id
        ));
    }
    envelope
}
