//! JSON-RPC 2.0 as MCP uses it. Spec: <https://www.jsonrpc.org/specification>.

use serde_json::{Map, Value, json};

use crate::json;

/// The text is no JSON.
pub const PARSE_ERROR: i64 = -32_700;
/// The JSON is no message.
pub const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32_601;
/// The method cannot do anything with these parameters.
pub const INVALID_PARAMS: i64 = -32_602;
/// Something failed here.
pub const INTERNAL_ERROR: i64 = -32_603;
/// A header says something else than the body.
pub const HEADER_MISMATCH: i64 = -32_020;
/// The client cannot do what the request would need.
pub const MISSING_CAPABILITY: i64 = -32_021;
/// The version is not spoken here.
pub const UNSUPPORTED_VERSION: i64 = -32_022;

/// The most messages of a batch.
const MAX_BATCH: usize = 32;

/// One message of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notification {
        /// What happened.
        method: String,
        /// More of it.
        params: Map<String, Value>,
    },
    /// It answers a request of ours.
    Answer {
        /// The id of that request.
        id: Value,
        /// `{"result": …}` or `{"error": …}`.
        outcome: Value,
    },
}

/// A request of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Text or a number, told back with the answer.
    pub id: Value,
    /// What is asked.
    pub method: String,
    /// With what.
    pub params: Map<String, Value>,
}

impl Request {
    /// A parameter that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// A field of `_meta`.
    pub fn meta(&self, name: &str) -> Option<&Value> {
        self.params.get("_meta")?.get(name)
    }

    /// The arguments of a call; none are an empty object.
    ///
    /// # Errors
    /// Where they are no object.
    pub fn arguments(&self) -> Result<Map<String, Value>, Fault> {
        match self.params.get("arguments") {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(arguments)) => Ok(arguments.clone()),
            Some(_) => Err(Fault::params("arguments has to be an object")),
        }
    }
}

/// What a body holds.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// One message.
    One(Message),
    /// Several: 2025-03-26 alone knows that.
    Batch(Vec<Message>),
}

/// Why a message is answered with an error of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// HTTP status; the legacy era knows it for messages alone that are none.
    pub status: u16,
    /// The code of JSON-RPC.
    pub code: i64,
    /// A sentence.
    pub message: String,
    /// What the code promises beside it.
    pub data: Option<Value>,
}

impl Fault {
    /// A fault with HTTP status 400.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Parameters that cannot be used.
    pub fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// No such method: 404.
    pub fn method(method: &str) -> Self {
        Self {
            status: 404,
            ..Self::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))
        }
    }

    /// The same with data.
    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The message that tells it.
    pub fn render(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let (Some(data), Some(fields)) = (&self.data, error.as_object_mut()) {
            fields.insert("data".to_owned(), data.clone());
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }
}

/// Reads a body.
///
/// # Errors
/// The fault, and the id of the message where it has one.
pub fn parse(body: &[u8]) -> Result<Parsed, (Fault, Value)> {
    let value: Value = json::from_slice(body).map_err(|error| {
        let message = format!("Parse error: {error}");
        (Fault::new(PARSE_ERROR, message), Value::Null)
    })?;
    let Value::Array(batch) = value else {
        return message(value).map(Parsed::One);
    };
    if batch.is_empty() || batch.len() > MAX_BATCH {
        let message = format!("A batch has 1 to {MAX_BATCH} messages");
        return Err((Fault::new(INVALID_REQUEST, message), Value::Null));
    }
    let messages: Result<Vec<_>, _> = batch.into_iter().map(message).collect();
    messages.map(Parsed::Batch)
}

fn message(value: Value) -> Result<Message, (Fault, Value)> {
    let invalid = |why: &str, id: Value| (Fault::new(INVALID_REQUEST, why), id);
    let Value::Object(mut fields) = value else {
        return Err(invalid("A message is a JSON object", Value::Null));
    };
    let id = fields.remove("id");
    let told = match &id {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(invalid("jsonrpc has to be \"2.0\"", told));
    }
    if id.is_some() && told.is_null() {
        return Err(invalid("An id is text or a number", told));
    }
    let Some(method) = fields.remove("method") else {
        return match id {
            Some(id) if fields.contains_key("result") || fields.contains_key("error") => {
                fields.remove("jsonrpc");
                Ok(Message::Answer {
                    id,
                    outcome: Value::Object(fields),
                })
            }
            _ => Err(invalid(
                "A message has a method, a result or an error",
                told,
            )),
        };
    };
    let Value::String(method) = method else {
        return Err(invalid("method has to be text", told));
    };
    let params = match fields.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err((Fault::params("params has to be an object"), told)),
    };
    Ok(match id {
        Some(id) => Message::Request(Request { id, method, params }),
        None => Message::Notification { method, params },
    })
}
