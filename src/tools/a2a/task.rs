//! A task: one execution as A2A sees it, from the first message to its artifacts.
//!
//! A task's id is that of its first execution. It is kept as [`Task`] in the account's object, and told in the words of either version.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Version;
use crate::{
    json::set,
    time::rfc3339,
    tools::envelope::{Envelope, Status},
};

/// The most messages that a task keeps; the newest stay.
const MAX_HISTORY: usize = 50;
/// The name of the artifact with the envelope.
const RESULT: &str = "result";
/// The code of an intent that says too little.
const MISSING: &str = "missing_input";

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being carried out.
    Working,
    /// Done.
    Completed,
    /// Not done; or nobody knows.
    Failed,
    /// Stopped by the client.
    Canceled,
    /// It waits for a yes.
    InputRequired,
    /// The client said no.
    Rejected,
    /// The account has to bring a key of the provider's.
    AuthRequired,
}

impl State {
    /// All of them, with their words in 0.3; 1.0 has the same in capitals, after `TASK_STATE_`.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Working, "working"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Canceled, "canceled"),
        (Self::InputRequired, "input-required"),
        (Self::Rejected, "rejected"),
        (Self::AuthRequired, "auth-required"),
    ];

    /// The word on the wire.
    pub fn word(self, version: Version) -> String {
        let found = Self::ALL.iter().find(|(state, _)| *state == self);
        let word = found.map_or("unknown", |(_, word)| word);
        match version {
            Version::V03 => word.to_owned(),
            Version::V1 => format!("TASK_STATE_{}", word.replace('-', "_").to_uppercase()),
        }
    }

    /// The state of this word, in either version.
    pub fn parse(word: &str) -> Option<Self> {
        let plain = word.strip_prefix("TASK_STATE_").unwrap_or(word);
        let plain = plain.replace('_', "-").to_lowercase();
        let found = Self::ALL.iter().find(|(_, known)| *known == plain);
        found.map(|(state, _)| *state)
    }

    /// Nothing more happens.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Canceled | Self::Rejected
        )
    }

    /// The client's turn: nothing happens until it says something.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }
}

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id: that of its first execution.
    pub id: String,
    /// The execution that it stands for: another one after a confirmation.
    pub execution: String,
    /// The conversation.
    pub context: String,
    /// How it stands.
    pub state: State,
    /// Since when: unix milliseconds.
    pub at: i64,
    /// What the agent says of it: parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Value>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Value>,
    /// The client's messages, the oldest first.
    #[serde(default)]
    pub history: Vec<Value>,
    /// What was asked for, while it may have to be asked again: the fields of a request to execute a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Map<String, Value>>,
    /// The token of the confirmation that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Task {
    /// A task that begins.
    pub fn begun(
        id: &str,
        context: String,
        message: Value,
        call: Map<String, Value>,
        at: i64,
    ) -> Self {
        Self {
            id: id.to_owned(),
            execution: id.to_owned(),
            context,
            state: State::Working,
            at,
            said: Vec::new(),
            artifacts: Vec::new(),
            history: vec![message],
            call: Some(call),
            token: None,
        }
    }

    /// Adds a message of the client's.
    pub fn heard(&mut self, message: Value) {
        self.history.push(message);
        let excess = self.history.len().saturating_sub(MAX_HISTORY);
        self.history.drain(..excess);
    }

    /// Takes in how the execution stands.
    pub fn follow(&mut self, envelope: &Envelope, at: i64) {
        (self.state, self.at) = (state(envelope), at);
        self.said = said(envelope);
        self.token = None;
        match self.state {
            State::InputRequired => {
                let confirmation = envelope.confirmation.as_ref();
                self.token = confirmation.map(|confirmation| confirmation.token.clone());
            }
            State::Working | State::AuthRequired => {}
            State::Completed | State::Failed | State::Canceled | State::Rejected => {
                self.call = None;
                self.artifacts = artifacts(envelope);
            }
        }
    }

    /// What is wanted after these words: what was, and they, where only something was missing; nothing where the task does not wait for words.
    pub fn reworded(&self, words: &str) -> Option<String> {
        let intent = self.call.as_ref()?.get("intent")?.as_str()?;
        if self.token.is_some() {
            return None;
        }
        let mut codes = self
            .said
            .iter()
            .map(|part| part.pointer("/data/error/code"));
        let is_missing = codes.any(|code| code.is_some_and(|code| code == MISSING));
        Some(match is_missing {
            true => format!("{intent}\n{words}"),
            false => words.to_owned(),
        })
    }

    /// Ends the task by the client's wish.
    pub fn end(&mut self, state: State, why: &str, at: i64) {
        (self.state, self.at) = (state, at);
        self.said = vec![json!({"text": why})];
        (self.call, self.token) = (None, None);
    }

    /// The task on the wire, with the last so many messages of its history, and with artifacts where they are wanted.
    pub fn told(&self, version: Version, history: Option<usize>, artifacts: bool) -> Value {
        let from = self
            .history
            .len()
            .saturating_sub(history.unwrap_or(usize::MAX));
        let messages = self.history.iter().skip(from);
        let messages: Vec<Value> = messages.map(|sent| self.message(sent, version)).collect();
        let mut told = json!({
            "id": self.id,
            "contextId": self.context,
            "status": self.status(version),
        });
        if artifacts {
            let all = self.artifacts.iter().map(|each| artifact(each, version));
            set(&mut told, "artifacts", all.collect::<Value>());
        }
        if history != Some(0) {
            set(&mut told, "history", messages);
        }
        if version == Version::V03 {
            set(&mut told, "kind", "task");
        }
        told
    }

    /// The event that says how the task stands.
    pub fn status_update(&self, version: Version) -> Value {
        let update =
            json!({"taskId": self.id, "contextId": self.context, "status": self.status(version)});
        match version {
            Version::V1 => json!({"statusUpdate": update}),
            Version::V03 => {
                let mut update = update;
                set(&mut update, "kind", "status-update");
                set(
                    &mut update,
                    "final",
                    self.state.is_over() || self.state.is_waiting(),
                );
                update
            }
        }
    }

    /// The events with what came of it.
    pub fn artifact_updates(&self, version: Version) -> Vec<Value> {
        let told = |each: &Value| {
            let mut update = json!({
                "taskId": self.id, "contextId": self.context,
                "artifact": artifact(each, version), "append": false, "lastChunk": true,
            });
            match version {
                Version::V1 => json!({"artifactUpdate": update}),
                Version::V03 => {
                    set(&mut update, "kind", "artifact-update");
                    update
                }
            }
        };
        self.artifacts.iter().map(told).collect()
    }

    fn status(&self, version: Version) -> Value {
        let mut status = json!({"state": self.state.word(version), "timestamp": rfc3339(self.at)});
        if !self.said.is_empty() {
            let message = json!({
                "messageId": format!("{}-{}", self.id, self.at),
                "role": "ROLE_AGENT",
                "parts": self.said,
            });
            set(&mut status, "message", self.message(&message, version));
        }
        status
    }

    /// A message of this task, from the words of 1.0.
    fn message(&self, kept: &Value, version: Version) -> Value {
        let mut message = kept.clone();
        set(&mut message, "contextId", self.context.as_str());
        set(&mut message, "taskId", self.id.as_str());
        if version == Version::V03 {
            let role = if kept.get("role").is_some_and(|role| *role == "ROLE_AGENT") {
                "agent"
            } else {
                "user"
            };
            set(&mut message, "role", role);
            set(&mut message, "kind", "message");
            set(&mut message, "parts", parts(kept.get("parts"), version));
        }
        message
    }
}

/// An event or an answer with the whole task: 1.0 says which of several things it is by a field around it.
pub fn wrapped(task: Value, version: Version) -> Value {
    match version {
        Version::V1 => json!({"task": task}),
        Version::V03 => task,
    }
}

fn state(envelope: &Envelope) -> State {
    let wants_key = envelope
        .error
        .as_ref()
        .is_some_and(|error| matches!(error.code.as_str(), "byok_required" | "byok_rejected"));
    match envelope.status {
        Status::Succeeded | Status::DryRun => State::Completed,
        Status::Running => State::Working,
        Status::ConfirmationRequired => State::InputRequired,
        Status::Cancelled => State::Canceled,
        // Nothing was begun: other words, or more of them, may do.
        Status::Failed if unclear(envelope).is_some() => State::InputRequired,
        Status::Failed if wants_key => State::AuthRequired,
        Status::Failed
        | Status::Unknown
        | Status::Compensated
        | Status::PartiallyCompensated
        | Status::CompensationFailed => State::Failed,
    }
}

/// Why what was wanted in words could not be carried out: no tool suits, or it has to know more.
fn unclear(envelope: &Envelope) -> Option<&str> {
    envelope.routing.as_ref()?.get("intent")?;
    let code = envelope.error.as_ref()?.code.as_str();
    matches!(code, "tool_not_found" | MISSING).then_some(code)
}

/// What the agent says of how the execution stands.
fn said(envelope: &Envelope) -> Vec<Value> {
    if let Some(confirmation) = &envelope.confirmation {
        let text = format!(
            "{} Answer yes or no, or send {{\"confirm\": true}} as data.",
            confirmation.summary
        );
        let data = json!({"confirmation": confirmation});
        return vec![
            json!({"text": text}),
            json!({"data": data, "mediaType": "application/json"}),
        ];
    }
    envelope.error.as_ref().map_or_else(Vec::new, |error| {
        let mut data = json!({"error": error, "outcome": envelope.status.as_str()});
        let mut text = error.message.clone();
        if unclear(envelope).is_some() {
            text.push_str(". Say it in other words, or send data with `tool` and `input`.");
            set(&mut data, "routing", envelope.routing.clone());
        }
        vec![
            json!({"text": text}),
            json!({"data": data, "mediaType": "application/json"}),
        ]
    })
}

/// The envelope, and bytes as a file beside it.
fn artifacts(envelope: &Envelope) -> Vec<Value> {
    if envelope.data.is_none() && envelope.result.is_none() && envelope.steps.is_none() {
        return Vec::new();
    }
    let mut envelope = envelope.to_value();
    let mut all = Vec::new();
    if let Some(data) = envelope.get_mut("data").and_then(Value::as_object_mut)
        && let Some(Value::String(bytes)) = data.remove("base64")
    {
        let kind = data
            .get("mime_type")
            .cloned()
            .unwrap_or_else(|| "application/octet-stream".into());
        let file = json!({"raw": bytes, "mediaType": kind});
        all.push(json!({"artifactId": "file", "name": "file", "parts": [file]}));
    }
    let whole = json!({"data": envelope, "mediaType": "application/json"});
    let name = envelope.get("tool").cloned().unwrap_or_default();
    all.insert(
        0,
        json!({"artifactId": RESULT, "name": name, "parts": [whole]}),
    );
    all
}

fn artifact(kept: &Value, version: Version) -> Value {
    let mut artifact = kept.clone();
    set(&mut artifact, "parts", parts(kept.get("parts"), version));
    artifact
}

/// Parts from the words of 1.0.
fn parts(kept: Option<&Value>, version: Version) -> Value {
    if version == Version::V1 {
        return kept.cloned().unwrap_or_default();
    }
    let all = kept
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let told = |part: &Value| match (part.get("text"), part.get("data"), part.get("raw")) {
        (Some(text), _, _) => json!({"kind": "text", "text": text}),
        (_, Some(data), _) => json!({"kind": "data", "data": data}),
        (_, _, raw) => {
            json!({"kind": "file", "file": {"bytes": raw, "mimeType": part.get("mediaType")}})
        }
    };
    all.iter().map(told).collect()
}
