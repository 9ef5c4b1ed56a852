//! A task from its message to its end, whatever binding asked.
//!
//! The task is kept before its execution begins, so that the same message finds it, and again when it ended. An execution outlives whoever
//! waits for it; where an isolate died over one, its record in the account's object says what became of it.

use std::rc::Rc;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{World, executions, toolbox::Toolbox},
    Event, page, refused,
};
use crate::{
    credits::{
        accounts::Accounts,
        ledger::{MAX_TASK_BYTES, MAX_TASK_PAGE},
        ops::{TaskGet, TaskList, TaskPut},
    },
    time::parse_rfc3339,
    tools::{
        a2a::{
            Fault, Kind, Version,
            fault::shown,
            message::{Asked, Wish, history, no_answer},
            task::{State, Task, wrapped},
        },
        catalog::ToolView,
        envelope::Status,
        execute::Call,
    },
};

/// Tasks of a page, where the client does not say.
const USUAL_PAGE: i64 = 50;
/// How often a task is looked at for who follows it, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// For how long it is, in milliseconds: then the stream ends, and the client may ask again.
const FOLLOW_MS: u64 = 600_000;
/// After this time an execution that nobody knows of never began, in milliseconds.
const NEVER_BEGAN_MS: i64 = 120_000;

/// What one request does with tasks.
pub(super) struct Desk<W> {
    toolbox: Rc<Toolbox<W>>,
    key: String,
}

impl<W> Clone for Desk<W> {
    fn clone(&self) -> Self {
        Self {
            toolbox: Rc::clone(&self.toolbox),
            key: self.key.clone(),
        }
    }
}

/// A task, and the execution that it waits for.
type Begun = (Task, Option<Wanted>);

/// What is to be executed, and what is wanted in words.
type Wanted = (Call, Option<String>);

impl<W: World> Desk<W> {
    pub(super) fn new(toolbox: Rc<Toolbox<W>>) -> Self {
        let key = toolbox.key().hash.clone();
        Self { toolbox, key }
    }

    pub(super) fn view(&self) -> &ToolView {
        &self.toolbox.view
    }

    fn now(&self) -> i64 {
        i64::try_from(self.toolbox.world().now_ms()).unwrap_or(i64::MAX)
    }

    /// A message, answered when its task ended, or wants something, or at once where the client does not wait.
    pub(super) async fn send(&self, asked: Asked) -> Result<Task, Fault> {
        let is_immediate = asked.is_immediate;
        let (task, call) = self.begin(asked).await?;
        let Some(call) = call else {
            return Ok(task);
        };
        if is_immediate {
            let (desk, begun) = (self.clone(), task.clone());
            self.toolbox.world().spawn(Box::pin(async move {
                desk.end(begun, call).await;
            }));
            return Ok(task);
        }
        Ok(self.end(task, call).await)
    }

    /// A message, answered by the events of its task.
    pub(super) async fn stream(
        &self,
        asked: Asked,
        version: Version,
    ) -> Result<UnboundedReceiver<Event>, Fault> {
        let (task, call) = self.begin(asked).await?;
        let (events, told) = unbounded();
        tell(&events, wrapped(task.told(version, None, true), version));
        let desk = self.clone();
        match call {
            // The execution does not end with the stream: others may ask for its task.
            Some(call) => self.toolbox.world().spawn(Box::pin(async move {
                let task = desk.end(task, call).await;
                desk.follow(task, version, &events, true).await;
            })),
            None if task.state == State::Working => {
                self.toolbox.world().spawn(Box::pin(async move {
                    desk.follow(task, version, &events, false).await;
                }))
            }
            None => {}
        }
        Ok(told)
    }

    /// The events of a task from now on.
    pub(super) async fn subscribe(
        &self,
        id: &str,
        version: Version,
    ) -> Result<UnboundedReceiver<Event>, Fault> {
        let task = self.look(id).await?;
        if task.state.is_over() {
            let message = "The task is over: there is nothing more to follow";
            return Err(Fault::new(Kind::UnsupportedOperation, message));
        }
        let (events, told) = unbounded();
        tell(&events, wrapped(task.told(version, None, true), version));
        let desk = self.clone();
        self.toolbox.world().spawn(Box::pin(async move {
            desk.follow(task, version, &events, false).await;
        }));
        Ok(told)
    }

    /// Tells how a task goes on, until it is over or the client's turn.
    async fn follow(
        &self,
        mut task: Task,
        version: Version,
        events: &UnboundedSender<Event>,
        mut is_new: bool,
    ) {
        let mut waited = 0;
        loop {
            if is_new {
                for artifact in task.artifact_updates(version) {
                    tell(events, artifact);
                }
                tell(events, task.status_update(version));
            }
            let is_still = task.state == State::Working || (!is_new && task.state.is_waiting());
            if !is_still || events.is_closed() || waited >= FOLLOW_MS {
                return;
            }
            self.toolbox.world().sleep(LOOK_MS).await;
            waited += LOOK_MS;
            match self.look(&task.id).await {
                Ok(seen) => {
                    is_new = seen.at != task.at || seen.state != task.state;
                    task = seen;
                }
                Err(fault) => {
                    let _ = events.unbounded_send(Err(fault));
                    return;
                }
            }
        }
    }

    /// Finds or makes the task of a message, and says what has to be executed for it.
    async fn begin(&self, asked: Asked) -> Result<Begun, Fault> {
        if let Some(id) = &asked.task {
            let task = self.look(id).await?;
            return self.go_on(task, asked).await;
        }
        let id = self.id_of(&asked.id);
        let context = asked
            .context
            .unwrap_or_else(|| id.replacen("exec", "ctx", 1));
        let fields = match asked.wish {
            Wish::Run(fields) => fields,
            Wish::Intent(intent) => intent_fields(intent),
            Wish::Answer { .. } | Wish::Words(_) => {
                return Err(Fault::param(
                    "message.taskId",
                    "an answer names the task that waits for it",
                ));
            }
        };
        let call = self.call(&fields, &id, &asked.id)?;
        let mut task = Task::begun(&id, context, asked.message, fields, self.now());
        task.execution = self.toolbox.kept_as(&call.0);
        if let Some(fields) = &mut task.call {
            // Whatever the client answers, it is answered about this.
            let name = call.0.idempotency_key.clone().map(Value::from);
            fields.insert("idempotency_key".to_owned(), name.unwrap_or_default());
        }
        let put = TaskPut {
            is_new: true,
            ..self.put(&task)?
        };
        let kept = self.ask(&put).await?;
        if kept.is_put {
            return Ok((task, Some(call)));
        }
        // The same message again: its task as it stands.
        Ok((self.refreshed(read(&kept.text)?).await?, None))
    }

    /// What a message means to a task that there is.
    async fn go_on(&self, mut task: Task, asked: Asked) -> Result<Begun, Fault> {
        if asked
            .context
            .as_ref()
            .is_some_and(|context| *context != task.context)
        {
            return Err(Fault::param(
                "message.contextId",
                "the task belongs to another conversation",
            ));
        }
        if task
            .history
            .iter()
            .any(|sent| sent.get("messageId").and_then(Value::as_str) == Some(asked.id.as_str()))
        {
            return Ok((task, None));
        }
        if !task.state.is_waiting() {
            let message = format!(
                "Task {} does not wait for a message: begin another one",
                shown(&task.id)
            );
            return Err(Fault::new(Kind::UnsupportedOperation, message));
        }
        task.heard(asked.message);
        let mut fields = task.call.clone().unwrap_or_default();
        match asked.wish {
            Wish::Answer { is_yes: false } => {
                task.end(
                    State::Rejected,
                    "It was not confirmed: nothing was done.",
                    self.now(),
                );
                return Ok((self.keep(task).await?, None));
            }
            Wish::Answer { is_yes: true } => {
                if let Some(token) = task.token.take() {
                    fields.insert("confirmation".to_owned(), token.into());
                }
            }
            // Other words: what was to be confirmed is no longer what is asked.
            Wish::Run(other) => fields = other,
            Wish::Intent(intent) => fields = intent_fields(intent),
            Wish::Words(words) => {
                let intent = task.reworded(&words);
                fields = intent_fields(intent.ok_or_else(|| no_answer(&words))?);
            }
        }
        let id = self.toolbox.id().map_err(|error| refused(&error))?;
        let call = self.call(&fields, &id, &asked.id)?;
        fields.remove("confirmation");
        let name = call.0.idempotency_key.clone().map(Value::from);
        fields.insert("idempotency_key".to_owned(), name.unwrap_or_default());
        (task.state, task.at) = (State::Working, self.now());
        let execution = self.toolbox.kept_as(&call.0);
        (task.call, task.execution, task.said) = (Some(fields), execution, Vec::new());
        Ok((self.keep(task).await?, Some(call)))
    }

    /// Carries a task out, and keeps how it ended.
    async fn end(&self, mut task: Task, (call, intent): Wanted) -> Task {
        let world = self.toolbox.world();
        let envelope = self.toolbox.carry_out(call, intent.as_deref()).await;
        task.follow(&envelope, self.now());
        match self.keep(task.clone()).await {
            Ok(kept) => kept,
            Err(fault) => {
                world.report(&format!("task {} was not kept: {}", task.id, fault.message));
                task
            }
        }
    }

    /// A task as it stands.
    pub(super) async fn look(&self, id: &str) -> Result<Task, Fault> {
        let get = TaskGet {
            id: id.to_owned(),
            key_hash: self.key.clone(),
        };
        let text = self.ask(&get).await?;
        let text = text.ok_or_else(|| Fault::no_task(id))?;
        self.refreshed(read(&text)?).await
    }

    /// Brings a task up to date that is being carried out.
    async fn refreshed(&self, mut task: Task) -> Result<Task, Fault> {
        if task.state != State::Working {
            return Ok(task);
        }
        let age = self.now().saturating_sub(task.at);
        match self.toolbox.look(&task.execution).await {
            Ok(envelope) if envelope.status == Status::Running => Ok(task),
            Ok(envelope) => {
                task.follow(&envelope, self.now());
                self.keep(task).await
            }
            Err(error) if error.code != "execution_not_found" => {
                Err(Fault::new(Kind::Unavailable, error.message))
            }
            Err(_) if age < NEVER_BEGAN_MS => Ok(task),
            Err(_) => {
                task.end(
                    State::Failed,
                    "It never began: nothing was done. Send a new message.",
                    self.now(),
                );
                self.keep(task).await
            }
        }
    }

    /// Ends a task by the client's wish.
    pub(super) async fn cancel(&self, id: &str) -> Result<Task, Fault> {
        let mut task = self.look(id).await?;
        let no = |why: &str| Err(Fault::new(Kind::TaskNotCancelable, why));
        if task.state.is_over() {
            return no("The task is over");
        }
        if task.state.is_waiting() {
            task.end(
                State::Canceled,
                "It was cancelled: nothing was done.",
                self.now(),
            );
            return self.keep(task).await;
        }
        match self.toolbox.cancel(&task.execution).await {
            Ok(envelope) => {
                task.follow(&envelope, self.now());
                self.keep(task).await
            }
            Err(error) => no(&error.message),
        }
    }

    /// Tasks of the key, those that changed last first.
    pub(super) async fn list(&self, params: &Value, version: Version) -> Result<Value, Fault> {
        let text = |name: &str| {
            params
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let size = match params.get("pageSize") {
            None | Some(Value::Null) => USUAL_PAGE,
            Some(sent) => {
                let size = sent.as_i64().or_else(|| sent.as_str()?.parse().ok());
                let fits = size.filter(|size| (1..=MAX_TASK_PAGE).contains(size));
                fits.ok_or_else(|| {
                    Fault::param("pageSize", &format!("1 to {MAX_TASK_PAGE} is expected"))
                })?
            }
        };
        let state = text("status").map(|word| {
            let state =
                State::parse(word).ok_or_else(|| Fault::param("status", "no such state"))?;
            Ok(state.word(Version::V03))
        });
        let after = text("statusTimestampAfter").map(|time| {
            let utc = time.strip_suffix("+00:00").map(|time| format!("{time}Z"));
            parse_rfc3339(utc.as_deref().unwrap_or(time)).ok_or_else(|| {
                Fault::param("statusTimestampAfter", "a time of RFC 3339 is expected")
            })
        });
        let behind = text("pageToken").map(|token| {
            let (at, id) = token.split_once('.').unwrap_or_default();
            let at = at
                .parse()
                .map_err(|_| Fault::param("pageToken", "no token of a page of ours"))?;
            Ok((at, id.to_owned()))
        });
        let found = self
            .ask(&TaskList {
                key_hash: self.key.clone(),
                context: text("contextId").map(str::to_owned),
                state: state.transpose()?,
                after: after.transpose()?,
                behind: behind.transpose()?,
                limit: size,
            })
            .await?;
        let history = history(params.get("historyLength"))?;
        let artifacts = params.get("includeArtifacts");
        let artifacts = artifacts.is_some_and(|wish| *wish == true || *wish == "true");
        let tasks = found
            .texts
            .iter()
            .map(|text| Ok(read(text)?.told(version, history, artifacts)));
        let tasks: Vec<Value> = tasks.collect::<Result<_, Fault>>()?;
        let next = found.last.map(|(at, id)| format!("{at}.{id}"));
        Ok(page(&tasks, size, found.total, next))
    }

    /// The id of a message's task: the same message of the same key has the same.
    fn id_of(&self, message: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("a2a\0{}\0{message}", self.key));
        let digest = digest.finalize();
        let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("exec-{}", hex.collect::<String>())
    }

    fn call(&self, fields: &Map<String, Value>, id: &str, message: &str) -> Result<Wanted, Fault> {
        let call = executions::of_fields(fields.clone(), None);
        let (call, intent) = call.map_err(|error| {
            let path = error.param.as_deref().unwrap_or("tool");
            Fault::param(&format!("message.parts: {path}"), &error.message)
        })?;
        let name = call.idempotency_key.clone();
        let call = Call {
            id: id.to_owned(),
            surface: "a2a",
            idempotency_key: name.or_else(|| Some(self.id_of(message))),
            ..call
        };
        Ok((call, intent))
    }

    fn put(&self, task: &Task) -> Result<TaskPut, Fault> {
        let text = |task: &Task| {
            let text = serde_json::to_string(task);
            text.map_err(|error| Fault::new(Kind::Internal, error.to_string()))
        };
        let mut whole = text(task)?;
        if whole.len() > MAX_TASK_BYTES {
            let told = json!({"text": "The result was too long to be kept; it was in the answer."});
            whole = text(&Task {
                artifacts: Vec::new(),
                said: vec![told],
                history: Vec::new(),
                ..task.clone()
            })?;
        }
        Ok(TaskPut {
            lease: None,
            id: task.id.clone(),
            key_hash: self.key.clone(),
            context: task.context.clone(),
            state: task.state.word(Version::V03),
            is_over: task.state.is_over(),
            at: task.at,
            is_new: false,
            text: whole,
        })
    }

    /// Keeps a task; where it had ended meanwhile, as it ended then.
    async fn keep(&self, task: Task) -> Result<Task, Fault> {
        let kept = self.ask(&self.put(&task)?).await?;
        if kept.is_put {
            Ok(task)
        } else {
            read(&kept.text)
        }
    }

    async fn ask<C: crate::credits::ops::Call>(&self, call: &C) -> Result<C::Reply, Fault> {
        let account = &self.toolbox.key().account;
        let reply = Accounts::call(self.toolbox.world(), account, call).await;
        reply.map_err(|error| refused(&error))
    }
}

/// An intent as the fields of a request.
fn intent_fields(intent: String) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("intent".to_owned(), intent.into());
    fields
}

fn read(text: &str) -> Result<Task, Fault> {
    crate::json::from_str(text).map_err(|error| Fault::new(Kind::Internal, error.to_string()))
}

/// Tells an event to whoever listens; that nobody does is no failure.
fn tell(events: &UnboundedSender<Event>, event: Value) {
    let _ = events.unbounded_send(Ok(event));
}
