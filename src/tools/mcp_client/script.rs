//! A server that answers as a test says, and what it was sent.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::{FutureExt, future::LocalBoxFuture};
use serde_json::{Value, json};

use super::{Wire, request::fit};
use crate::tools::{
    connector::{Answer, Outgoing},
    execute::SendError,
};

/// A request, as the server sees it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub verb: String,
    pub headers: Vec<(String, String)>,
    /// The message; null where there is none.
    pub body: Value,
    pub timeout_ms: u64,
}

impl Sent {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub fn is_modern(&self) -> bool {
        self.header("mcp-protocol-version") == Some("2026-07-28")
    }

    pub fn result(&self, result: Value) -> Reply {
        json_answer(
            200,
            &json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}),
        )
    }

    pub fn error(&self, status: u16, code: i64, data: Value) -> Reply {
        let error = json!({"code": code, "message": "as the server says it", "data": data});
        json_answer(
            status,
            &json!({"jsonrpc": "2.0", "id": self.body["id"], "error": error}),
        )
    }
}

pub(super) type Reply = Result<Answer, SendError>;

pub(super) fn json_answer(status: u16, body: &Value) -> Reply {
    answer(status, "application/json", body.to_string())
}

pub(super) fn answer(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
    Ok(Answer {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.into(),
    })
}

/// Messages as a stream of events.
pub(super) fn events(messages: &[Value]) -> Reply {
    let text: String = messages
        .iter()
        .map(|message| format!("event: message\ndata: {message}\n\n"))
        .collect();
    answer(200, "text/event-stream; charset=utf-8", text)
}

pub(super) fn with(reply: Reply, name: &str, value: &str) -> Reply {
    reply.map(|mut answer| {
        answer.headers.push((name.to_owned(), value.to_owned()));
        answer
    })
}

type Says = Box<dyn Fn(&Sent) -> Reply>;

#[derive(Clone)]
pub(super) struct Script(Rc<Inner>);

struct Inner {
    says: Says,
    sent: RefCell<Vec<Sent>>,
    now_ms: Cell<u64>,
    /// How long an answer takes.
    takes_ms: u64,
    /// How much of a stream came before whoever reads it had enough.
    read: Cell<usize>,
}

impl Script {
    pub fn new(says: impl Fn(&Sent) -> Reply + 'static) -> Self {
        Self::slow(10, says)
    }

    pub fn slow(takes_ms: u64, says: impl Fn(&Sent) -> Reply + 'static) -> Self {
        Self(Rc::new(Inner {
            says: Box::new(says),
            sent: RefCell::default(),
            now_ms: Cell::new(1_000_000),
            takes_ms,
            read: Cell::default(),
        }))
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.0.sent.borrow().clone()
    }

    /// What was sent: methods of messages, or of HTTP where there was none.
    pub fn methods(&self) -> Vec<String> {
        let sent = self.0.sent.borrow();
        let name = |sent: &Sent| match sent.method() {
            "" if sent.body.is_null() => sent.verb.clone(),
            "" => "answer".to_owned(),
            method => method.to_owned(),
        };
        sent.iter().map(name).collect()
    }

    pub fn read(&self) -> usize {
        self.0.read.get()
    }
}

impl Wire for Script {
    fn now_ms(&self) -> u64 {
        self.0.now_ms.get()
    }

    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Reply> {
        let body = request.body.as_deref().unwrap_or(b"null");
        let sent = Sent {
            verb: request.method.clone(),
            headers: request.headers.clone(),
            body: crate::json::from_slice(body).unwrap(),
            timeout_ms: request.timeout_ms,
        };
        for (_, value) in &sent.headers {
            assert!(value.is_ascii() && *value == fit(value) || value.starts_with("=?base64?"));
        }
        self.0.now_ms.set(self.0.now_ms.get() + self.0.takes_ms);
        self.0.sent.borrow_mut().push(sent.clone());
        let mut reply = (self.0.says)(&sent);
        if let (Ok(answer), Some(watch)) = (&mut reply, &request.watch)
            && answer.is_stream()
        {
            let mut came = 0;
            for piece in answer.body.chunks(7) {
                came += piece.len();
                if watch.sees(piece) {
                    break;
                }
            }
            answer.body.truncate(came);
            self.0.read.set(came);
        }
        if let Ok(answer) = &reply
            && answer.body.len() > request.max_bytes
        {
            reply = Err(SendError::TooLarge(answer.status));
        }
        async { reply }.boxed_local()
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        // Nothing here waits.
        assert!(task.now_or_never().is_some());
    }
}

/// A server of the modern era: tools as it lists them, and what a call answers.
pub(super) fn modern(call: impl Fn(&Sent) -> Reply + 'static) -> Script {
    Script::new(move |sent| {
        assert!(sent.is_modern() && sent.header("mcp-method") == Some(sent.method()));
        let meta = &sent.body["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert_eq!(
            meta["io.modelcontextprotocol/clientCapabilities"],
            json!({})
        );
        match sent.method() {
            "server/discover" => sent.result(json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "modern", "title": "Modern", "version": "1"}},
            })),
            "tools/list" | "tools/call" => call(sent),
            _ => sent.error(404, -32_601, Value::Null),
        }
    })
}

/// A server of the legacy era with this session id, strict about it.
pub(super) fn legacy(
    session: Option<&'static str>,
    call: impl Fn(&Sent) -> Reply + 'static,
) -> Script {
    Script::new(move |sent| match sent.method() {
        "initialize" => {
            assert_eq!(sent.header("mcp-session-id"), None);
            let begun = sent.result(json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "legacy", "version": "1"},
            }));
            match session {
                Some(id) => with(begun, "mcp-session-id", id),
                None => begun,
            }
        }
        _ if sent.is_modern() => json_answer(
            400,
            &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32_000, "message": "Bad Request: Server not initialized"}}),
        ),
        _ if sent.header("mcp-session-id") != session => {
            answer(404, "text/plain", "no such session")
        }
        "notifications/initialized" => answer(202, "", ""),
        "" if sent.verb == "DELETE" => answer(200, "", ""),
        "" => answer(202, "", ""),
        _ => {
            assert_eq!(sent.header("mcp-protocol-version"), Some("2025-06-18"));
            call(sent)
        }
    })
}
