//! One conversation with a server: which era it speaks, its session, one request after the other.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value};

use super::{
    BEHIND_MS, Called, MAX_GREETING_BYTES, MAX_SESSION, Wire,
    reading::{Reading, Reply},
    request::{self, Speaks},
    result,
};
use crate::tools::{
    catalog::Class,
    connector::{self, Acted, Answer, Failure, Outcome, Outgoing, Watch},
    execute::SendError,
    mcp::{
        Era, LEGACY, MODERN, SERVER,
        message::{
            HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_CAPABILITY,
            UNSUPPORTED_VERSION,
        },
    },
};

/// A version older than those that our own server speaks; its tools are called in the same way.
const OLDEST: &str = "2024-11-05";
/// A person has to visit an address first: a code of 2025-11-25.
const URL_FIRST: i64 = -32_042;
/// There is no such resource: a code of the legacy era.
const NO_RESOURCE: i64 = -32_002;
/// The most characters of a text of the server in an error.
const MAX_MESSAGE: usize = 500;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// It was carried out, and its answer is too long to be read.
    TooLong,
    /// It failed, or nobody knows.
    Failed(Box<Failure>),
}

impl Trouble {
    fn new(class: Class, message: impl Into<String>, acted: Acted) -> Self {
        Self::Failed(Box::new(Failure {
            class,
            message: message.into(),
            code: None,
            param: None,
            status: 0,
            retry_after: None,
            acted,
        }))
    }

    /// Something other than a call was answered so that it means nothing.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(Class::Provider, message, Acted::No)
    }

    fn of(error: &SendError) -> Self {
        error
            .failure()
            .map_or(Self::TooLong, |failure| Self::Failed(Box::new(failure)))
    }

    /// The same where what was sent changes nothing.
    fn harmless(self) -> Self {
        match self {
            Self::Failed(mut failure) => {
                failure.acted = Acted::No;
                Self::Failed(failure)
            }
            Self::TooLong => Self::malformed("The server's answer is too long to be read"),
        }
    }
}

/// What a server answered.
struct Heard {
    answer: Answer,
    reply: Option<Reply>,
}

/// A conversation. What it needs to reach the server stands in a request without a body: the address, and the key.
pub struct Client<W> {
    wire: W,
    base: Outgoing,
    until_ms: u64,
    speaks: Option<Speaks>,
    /// The version to begin with, where one is known.
    protocol: Option<String>,
    next: u64,
    is_renewed: bool,
    has_switched: bool,
    /// What the server says of itself.
    server: Value,
}

impl<W: Wire> Client<W> {
    /// A conversation that ends in time, with a server that spoke this version when it was spoken to last.
    pub fn new(wire: W, base: Outgoing, protocol: Option<&str>, until_ms: u64) -> Self {
        Self {
            wire,
            base,
            until_ms,
            speaks: None,
            protocol: protocol.map(str::to_owned),
            next: 1,
            is_renewed: false,
            has_switched: false,
            server: Value::Null,
        }
    }

    /// Calls a tool. `Err` where it was carried out and its answer is too long.
    ///
    /// # Errors
    /// Where there is no answer, or it is an error of the protocol.
    pub async fn call(&mut self, called: &Called) -> Result<Outcome, Trouble> {
        let reply = self
            .ask("tools/call", called.params(), Some(called))
            .await?;
        Ok(result::outcome(reply))
    }

    /// The version that is spoken.
    pub(super) fn version(&self) -> String {
        let speaks = self.speaks.as_ref();
        speaks.map_or(String::new(), |speaks| speaks.version.clone())
    }

    /// What the server said of itself.
    pub(super) fn server(&mut self) -> Value {
        self.server.take()
    }

    /// Ends the session behind the answer, where there is one. The server may refuse: then it forgets by itself.
    pub fn close(&mut self) {
        let Some(speaks) = self.speaks.take().filter(|speaks| speaks.session.is_some()) else {
            return;
        };
        behind(&self.wire, request::end(&self.base, &speaks));
    }

    /// Sends a request; another session, or era, is begun once where the server wants it.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        params: Map<String, Value>,
        called: Option<&Called>,
    ) -> Result<Map<String, Value>, Trouble> {
        loop {
            let speaks = self.open().await?;
            let heard = self.post(&speaks, method, params.clone(), called).await?;
            if speaks.session.is_some() && heard.answer.status == 404 && !self.is_renewed {
                self.is_renewed = true;
                self.speaks = None;
                self.protocol = Some(speaks.version);
                continue;
            }
            let is_wanted = speaks.era == Era::Modern && !self.has_switched && is_legacy(&heard);
            if is_wanted {
                self.has_switched = true;
                let begun = self.initialize().await;
                if begun.is_ok() {
                    continue;
                }
                // The server was of the modern era after all.
                self.speaks = Some(speaks);
            }
            return told(heard, called.is_some());
        }
    }

    /// What is spoken, found out where it is not known.
    async fn open(&mut self) -> Result<Speaks, Trouble> {
        if let Some(speaks) = &self.speaks {
            return Ok(speaks.clone());
        }
        match self.protocol.as_deref() {
            Some(MODERN) => self.speaks = Some(Speaks::modern()),
            Some(_) => {
                if let Err((trouble, is_refused)) = self.initialize().await {
                    if !is_refused || self.has_switched {
                        return Err(trouble);
                    }
                    self.has_switched = true;
                    self.speaks = Some(Speaks::modern());
                }
            }
            None => self.discover().await?,
        }
        let nothing = || Trouble::malformed("No version of the protocol was agreed on");
        self.speaks.clone().ok_or_else(nothing)
    }

    /// Asks a server whose era is not known.
    async fn discover(&mut self) -> Result<(), Trouble> {
        let heard = self
            .post(&Speaks::modern(), "server/discover", Map::new(), None)
            .await?;
        let has = |list: Option<&Value>, version: &str| {
            let list = list.and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|one| one.as_str() == Some(version)))
        };
        let supported = match &heard.reply {
            Some(Reply::Result(result)) => result.get("supportedVersions"),
            Some(Reply::Error { code, data, .. }) if *code == UNSUPPORTED_VERSION => {
                data.get("supported")
            }
            // Who refuses us now would refuse us anyhow.
            _ if matches!(heard.answer.status, 401 | 402 | 403 | 429) => {
                return told(heard, false).map(drop);
            }
            _ => None,
        };
        if has(supported, MODERN) && matches!(heard.reply, Some(Reply::Result(_))) {
            if let Some(Reply::Result(result)) = heard.reply {
                let about = result.get("_meta").and_then(|meta| meta.get(SERVER));
                self.server = about.cloned().unwrap_or_default();
            }
            self.speaks = Some(Speaks::modern());
            return Ok(());
        }
        let is_known = |version: &&str| has(supported, version);
        if supported.is_some() && !LEGACY.iter().any(is_known) {
            let message = "The server speaks no version of the protocol that is spoken here";
            return Err(Trouble::malformed(message));
        }
        self.has_switched = true;
        self.initialize().await.map_err(|(trouble, _)| trouble)
    }

    /// Begins a session of the legacy era. An error says whether the server refused, as one of the other era would.
    async fn initialize(&mut self) -> Result<(), (Trouble, bool)> {
        let [newest, ..] = LEGACY;
        let nothing = Speaks::nothing();
        let params = request::greeting(newest);
        let heard = self.post(&nothing, "initialize", params, None).await;
        let heard = heard.map_err(|trouble| (trouble, false))?;
        let session = heard.answer.header("mcp-session-id").map(str::to_owned);
        let is_refused = (400..500).contains(&heard.answer.status)
            && !matches!(heard.answer.status, 401 | 402 | 403 | 429)
            || matches!(heard.reply, Some(Reply::Error { .. }));
        let mut result = told(heard, false).map_err(|trouble| (trouble, is_refused))?;
        let version = result.get("protocolVersion").and_then(Value::as_str);
        let known = LEGACY.into_iter().chain([OLDEST]);
        let Some(version) = known.into_iter().find(|known| version == Some(known)) else {
            let message = "The server speaks no version of the protocol that is spoken here";
            return Err((Trouble::malformed(message), false));
        };
        let is_session = |id: &String| {
            (1..=MAX_SESSION).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        if session.as_ref().is_some_and(|id| !is_session(id)) {
            let message = "The server's session id is malformed";
            return Err((Trouble::malformed(message), false));
        }
        if let Some(server) = result.remove("serverInfo") {
            self.server = server;
        }
        let speaks = Speaks {
            era: Era::Legacy,
            version: version.to_owned(),
            session,
        };
        // From here on there is a session to end.
        self.speaks = Some(speaks.clone());
        // What it answers to that says nothing that its next answer does not.
        let begun = self.told(&speaks, "notifications/initialized").await;
        begun.map_err(|trouble| (trouble, false))
    }

    /// Sends a notification.
    async fn told(&mut self, speaks: &Speaks, method: &str) -> Result<(), Trouble> {
        let mut outgoing = request::message(&self.base, speaks, None, method, Map::new());
        self.bound(&mut outgoing, true)?;
        let sent = self.wire.send(outgoing).await;
        match sent {
            Ok(_) | Err(SendError::TooLarge(_)) => Ok(()),
            Err(error) => Err(Trouble::of(&error).harmless()),
        }
    }

    async fn post(
        &mut self,
        speaks: &Speaks,
        method: &str,
        params: Map<String, Value>,
        called: Option<&Called>,
    ) -> Result<Heard, Trouble> {
        let id = self.next;
        self.next += 1;
        let mut outgoing = request::message(&self.base, speaks, Some(id), method, params);
        if speaks.era == Era::Modern {
            for (name, value) in called.into_iter().flat_map(Called::headers) {
                outgoing.set_header(&name, &value);
            }
        }
        let is_greeting = called.is_none() && method != "tools/list";
        self.bound(&mut outgoing, is_greeting)?;
        let reading = Rc::new(RefCell::new(Reading::of(Some(id))));
        outgoing.watch = Some(self.watch(speaks, &reading));
        let answer = self.wire.send(outgoing).await;
        let answer = answer.map_err(|error| match (Trouble::of(&error), called) {
            (trouble, Some(_)) => trouble,
            (trouble, None) => trouble.harmless(),
        })?;
        let reply = reading.borrow_mut().end(&answer).map_err(|fault| {
            let message = format!("The server cannot be understood: {fault}");
            Trouble::new(Class::Provider, message, acted(called.is_some()))
        })?;
        Ok(Heard { answer, reply })
    }

    /// How long a request may take and how much may be answered.
    fn bound(&self, outgoing: &mut Outgoing, is_greeting: bool) -> Result<(), Trouble> {
        if is_greeting {
            outgoing.max_bytes = outgoing.max_bytes.min(MAX_GREETING_BYTES);
        }
        let left = self.until_ms.saturating_sub(self.wire.now_ms());
        outgoing.timeout_ms = outgoing.timeout_ms.min(left);
        if left == 0 {
            let message = "There was no time left";
            return Err(Trouble::new(Class::Timeout, message, Acted::No));
        }
        Ok(())
    }

    /// Reads an event stream while it comes: it ends with the answer, whenever the server would end it, and what the server asks of
    /// us is refused at once, as it may wait for that.
    fn watch(&self, speaks: &Speaks, reading: &Rc<RefCell<Reading>>) -> Watch {
        let (wire, base) = (self.wire.clone(), self.base.clone());
        let (speaks, reading) = (speaks.clone(), Rc::clone(reading));
        Watch::new(move |piece| {
            let mut reading = reading.borrow_mut();
            let is_enough = reading.feed(piece);
            let asked = reading.asked();
            // Servers of the modern era ask in their results.
            if speaks.era == Era::Legacy && !is_enough {
                for (id, method) in asked {
                    behind(&wire, request::answer(&base, &speaks, &id, &method));
                }
            }
            is_enough
        })
    }
}

/// Sends what nobody waits for.
fn behind<W: Wire>(wire: &W, mut outgoing: Outgoing) {
    outgoing.timeout_ms = BEHIND_MS;
    outgoing.max_bytes = MAX_GREETING_BYTES;
    let port = wire.clone();
    wire.spawn(Box::pin(async move {
        // Whether it was heard changes nothing.
        drop(port.send(outgoing).await);
    }));
}

fn acted(may_act: bool) -> Acted {
    if may_act { Acted::Maybe } else { Acted::No }
}

/// Whether an answer to a request of the modern era is that of a server that does not know it.
fn is_legacy(heard: &Heard) -> bool {
    let code = match &heard.reply {
        Some(Reply::Error { code, data, .. }) => {
            if *code == UNSUPPORTED_VERSION {
                let known = data.get("supported").and_then(Value::as_array);
                let names = |one: &Value| one.as_str().is_some_and(|one| LEGACY.contains(&one));
                return known.is_some_and(|known| known.iter().any(names));
            }
            *code
        }
        _ => 0,
    };
    let is_modern = matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY)
        || (heard.answer.status == 404 && code == METHOD_NOT_FOUND);
    matches!(heard.answer.status, 400 | 404 | 405) && !is_modern
}

/// The result in an answer.
fn told(heard: Heard, may_act: bool) -> Result<Map<String, Value>, Trouble> {
    let Heard { answer, reply } = heard;
    let is_success = (200..300).contains(&answer.status);
    let (code, message) = match reply {
        Some(Reply::Result(result)) if is_success => return Ok(result),
        Some(Reply::Error { code, message, .. }) => (Some(code), message),
        _ => (None, String::new()),
    };
    let mut failure = match answer.status {
        200..300 => Failure {
            class: Class::Provider,
            message: "The server's answer has no result".to_owned(),
            code: None,
            param: None,
            status: answer.status,
            retry_after: None,
            acted: acted(may_act),
        },
        300..400 => Failure {
            class: Class::NotFound,
            message: "The server has moved: redirects are not followed".to_owned(),
            code: None,
            param: None,
            status: answer.status,
            retry_after: None,
            acted: Acted::No,
        },
        _ => connector::refusal(&answer),
    };
    if let Some(code) = code {
        let is_told = matches!(answer.status, 401 | 402 | 403 | 429);
        if let Some((class, acted)) = of_code(code).filter(|_| !is_told) {
            failure.class = class;
            failure.acted = acted;
        }
        failure.code = Some(code.to_string());
        if !message.is_empty() {
            failure.message = line(&message);
        }
    }
    if !may_act {
        failure.acted = Acted::No;
    }
    Err(Trouble::Failed(Box::new(failure)))
}

/// What a code of the protocol means; of the server's own nothing is known.
fn of_code(code: i64) -> Option<(Class, Acted)> {
    let class = match code {
        INVALID_PARAMS => Class::Invalid,
        METHOD_NOT_FOUND | NO_RESOURCE => Class::NotFound,
        // It wants to ask somebody, and nobody is offered.
        MISSING_CAPABILITY => Class::Refused,
        URL_FIRST => Class::Permission,
        -32_700 | -32_600 | HEADER_MISMATCH | UNSUPPORTED_VERSION => Class::Provider,
        _ => return None,
    };
    Some((class, Acted::No))
}

/// A text of the server as one line that is not too long.
pub(super) fn line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE)
        .collect();
    line.truncate(line.trim_end().len());
    line
}
