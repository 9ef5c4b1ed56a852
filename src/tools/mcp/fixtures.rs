//! What the official conformance suite calls: tools, resources and prompts that play a script.
//!
//! They are data (`tests/mcp/fixtures.json`), brought by a variable of a deployment that allows faults; no other deployment has them.
//! A script is a list of steps: `progress`, `log`, `wait`, `requires`, `ask`, `change`, `result`. `ask` is the same exchange in both
//! eras: questions in the result that come back with answers, or requests on the stream of the call. In texts, `{/pointer}` stands for
//! a place in `{"arguments": …, "answers": …}`. Out of scope: waiting and sending (`api::mcp`).

use serde_json::{Map, Value, json};

use super::{
    Era,
    message::{Fault, MISSING_CAPABILITY, Request},
    write,
};

/// Signs a state that clients carry, and opens what was signed.
pub trait Seal {
    /// The text with its signature.
    fn seal(&self, text: &str) -> String;
    /// The text, where the signature is right.
    fn open(&self, sealed: &str) -> Option<String>;
}

/// The fixtures.
#[derive(Debug, Clone)]
pub struct Fixtures(Value);

/// What a script does next.
#[derive(Debug, PartialEq)]
pub enum Move {
    /// It sends a notification.
    Say(Value),
    /// It waits, in milliseconds.
    Wait(u64),
    /// It asks the client, in the legacy era: what, and the request's method and parameters.
    Ask(String, Value),
    /// A list of this kind changed.
    Change(String),
    /// It ends.
    End(Value),
}

impl Fixtures {
    /// The fixtures of a text; none where it is not what it should be.
    pub fn read(text: &str) -> Option<Self> {
        crate::json::from_str(text).ok().map(Self)
    }

    /// What the server can do.
    pub fn capabilities(&self, era: Era) -> Value {
        let name = match era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        at(at(&self.0, "capabilities"), name).clone()
    }

    fn rows(&self, kind: &str, era: Era) -> impl Iterator<Item = &Value> {
        let hidden = match era {
            Era::Legacy => "modern",
            Era::Modern => "legacy",
        };
        let rows = self.0.get(kind).and_then(Value::as_array);
        rows.into_iter()
            .flatten()
            .filter(move |row| at(row, "era") != hidden)
    }

    /// The answer to `tools/list`, `prompts/list`, `resources/list` or `resources/templates/list`.
    pub fn list(&self, kind: &str, field: &str, era: Era) -> Value {
        let shown: Vec<&Value> = self.rows(kind, era).map(|row| at(row, "is")).collect();
        let mut result = json!({field: shown});
        write::cached(era, &mut result, 60_000, "private");
        result
    }

    /// The schema of a tool.
    pub fn schema(&self, name: &str, era: Era) -> Option<&Value> {
        let mut tools = self.rows("tools", era).map(|row| at(row, "is"));
        tools
            .find(|tool| at(tool, "name") == name)?
            .get("inputSchema")
    }

    /// What a resource holds.
    ///
    /// # Errors
    /// Where there is none at this address: -32602 in the modern era, -32002 before.
    pub fn contents(&self, era: Era, uri: &str) -> Result<Value, Fault> {
        let of_row = |row: &Value| match at(at(row, "is"), "uriTemplate").as_str() {
            None => (at(at(row, "is"), "uri") == uri).then(|| at(row, "content").clone()),
            Some(template) => {
                let (before, rest) = template.split_once('{')?;
                let (name, after) = rest.split_once('}')?;
                let value = uri.strip_prefix(before)?.strip_suffix(after)?;
                Some(filled(
                    at(row, "content"),
                    &json!({"uri": uri, name: value}),
                ))
            }
        };
        let mut rows = self
            .rows("resources", era)
            .chain(self.rows("templates", era));
        let content = rows.find_map(of_row).ok_or_else(|| {
            let mut fault = Fault::params(format!("Resource not found: {uri}"));
            if era == Era::Legacy {
                fault.code = -32_002;
            }
            fault.with(json!({"uri": uri}))
        })?;
        let mut result = json!({"contents": [content]});
        write::cached(era, &mut result, 60_000, "private");
        Ok(result)
    }

    /// The script of a tool or a prompt, begun by a request.
    ///
    /// # Errors
    /// Where there is no such thing, or what the request brings of an earlier round is not what it was given.
    pub fn play(
        &self,
        kind: &str,
        era: Era,
        request: &Request,
        seal: &impl Seal,
    ) -> Result<Play, Fault> {
        let name = request.text("name").unwrap_or_default();
        let mut rows = self.rows(kind, era);
        let row = rows.find(|row| at(at(row, "is"), "name") == name);
        let row = row.ok_or_else(|| super::meta::unknown(name))?;
        let steps = at(row, "play").as_array().cloned().unwrap_or_default();
        let mut answers: Map<String, Value> = match request.text("requestState") {
            Some(state) if era == Era::Modern => {
                let opened = seal
                    .open(state)
                    .and_then(|text| crate::json::from_str(&text).ok());
                opened.ok_or_else(|| Fault::params("requestState is not what was given"))?
            }
            _ => Map::new(),
        };
        match request.params.get("inputResponses") {
            None => {}
            Some(Value::Object(given)) if given.values().all(Value::is_object) => {
                answers.extend(given.clone());
            }
            Some(_) => {
                return Err(Fault::params(
                    "inputResponses has to be an object of objects",
                ));
            }
        }
        Ok(Play {
            era,
            steps: steps.into_iter(),
            token: request.meta("progressToken").cloned(),
            capabilities: request
                .meta(super::CAPABILITIES)
                .cloned()
                .unwrap_or_default(),
            logs: era == Era::Legacy || request.meta(super::LOG_LEVEL).is_some(),
            arguments: Value::Object(request.arguments()?),
            answers,
            waiting: Vec::new(),
        })
    }
}

/// A script that plays.
#[derive(Debug)]
pub struct Play {
    era: Era,
    steps: std::vec::IntoIter<Value>,
    token: Option<Value>,
    capabilities: Value,
    logs: bool,
    arguments: Value,
    answers: Map<String, Value>,
    /// Questions of the legacy era that are still to be asked, the last first.
    waiting: Vec<(String, Value)>,
}

impl Play {
    /// What comes next.
    ///
    /// # Errors
    /// Where the client lacks what the script needs.
    pub fn next(&mut self, seal: &impl Seal) -> Result<Move, Fault> {
        loop {
            if let Some((name, request)) = self.waiting.pop() {
                return Ok(Move::Ask(name, request));
            }
            let Some(step) = self.steps.next() else {
                return Ok(Move::End(json!({"content": []})));
            };
            if let Some(next) = self.step(&step, seal)? {
                return Ok(next);
            }
        }
    }

    /// Keeps the answer to a question of the legacy era.
    pub fn answered(&mut self, name: &str, answer: Value) {
        self.answers.insert(name.to_owned(), answer);
    }

    fn filled(&self, value: &Value) -> Value {
        let context = json!({"arguments": self.arguments, "answers": self.answers});
        filled(value, &context)
    }

    fn step(&mut self, step: &Value, seal: &impl Seal) -> Result<Option<Move>, Fault> {
        if let Some(done) = at(step, "progress").as_f64() {
            let token = self.token.as_ref();
            let total = at(step, "total").as_f64();
            return Ok(token.map(|token| Move::Say(write::progress(token, done, total, ""))));
        }
        if let Some(text) = at(step, "log").as_str() {
            let message = json!({"level": "info", "data": text});
            let said = write::notification("notifications/message", message);
            return Ok(self.logs.then_some(Move::Say(said)));
        }
        if let Some(ms) = at(step, "wait").as_u64() {
            return Ok(Some(Move::Wait(ms)));
        }
        if let Some(kind) = at(step, "change").as_str() {
            return Ok(Some(Move::Change(kind.to_owned())));
        }
        if let Some(capability) = at(step, "requires").as_str() {
            return self.require(capability).map(|()| None);
        }
        if let Some(result) = step.get("result") {
            return Ok(Some(Move::End(self.filled(result))));
        }
        self.ask(step, seal)
    }

    fn require(&self, capability: &str) -> Result<(), Fault> {
        if self.era == Era::Legacy || self.capabilities.get(capability).is_some() {
            return Ok(());
        }
        let message = format!("The client did not declare the capability {capability}");
        let needed = json!({"requiredCapabilities": {capability: {}}});
        Err(Fault::new(MISSING_CAPABILITY, message).with(needed))
    }

    /// Asks for what is not answered yet; of a client that cannot answer all, what it can where the step is `optional`.
    fn ask(&mut self, step: &Value, seal: &impl Seal) -> Result<Option<Move>, Fault> {
        let Some(questions) = at(step, "ask").as_object() else {
            return Err(Fault::params("the script has a step of no kind"));
        };
        let mut open = Map::new();
        for (name, request) in questions {
            if self.answers.contains_key(name) {
                continue;
            }
            let method = at(request, "method").as_str().unwrap_or_default();
            let capability = method.split('/').next().unwrap_or_default();
            match self.require(capability) {
                Ok(()) => open.insert(name.clone(), self.filled(request)),
                Err(_) if at(step, "optional") == true => continue,
                Err(fault) => return Err(fault),
            };
        }
        if open.is_empty() {
            return Ok(None);
        }
        if self.era == Era::Legacy {
            self.waiting = open.into_iter().rev().collect();
            return Ok(None);
        }
        let mut result = json!({"resultType": "input_required", "inputRequests": open});
        if let (Value::Bool(true), Some(fields)) = (at(step, "state"), result.as_object_mut()) {
            let answers = Value::Object(self.answers.clone()).to_string();
            fields.insert("requestState".to_owned(), seal.seal(&answers).into());
        }
        Ok(Some(Move::End(result)))
    }
}

fn at<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A value whose texts are filled in.
fn filled(value: &Value, context: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(filled_text(text, context)),
        Value::Array(items) => items.iter().map(|item| filled(item, context)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, field)| (name.clone(), filled(field, context)));
            Value::Object(fields.collect())
        }
        _ => value.clone(),
    }
}

fn filled_text(text: &str, context: &Value) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{/") {
        let Some((pointer, after)) = after.split_once('}') else {
            break;
        };
        whole.push_str(before);
        match context.pointer(&format!("/{pointer}")) {
            Some(Value::String(found)) => whole.push_str(found),
            Some(found) => whole.push_str(&found.to_string()),
            None => {}
        }
        rest = after;
    }
    whole.push_str(rest);
    whole
}
