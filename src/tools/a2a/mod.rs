//! A2A: how agents of others ask for tools as tasks. Version 1.0 and, beside it under the same address, 0.3.
//!
//! | file | what |
//! |---|---|
//! | `card` | who we are and what we can do |
//! | `fault` | what is refused, in the words of each binding |
//! | `message` | what a message asks for |
//! | `task` | a task from its first message to its artifacts |
//!
//! One form inside: that of 1.0. What 0.3 spells otherwise (`kind`, states and roles in lower case) is turned where it comes in and where it goes
//! out. Out of scope: carrying tasks out (`api::a2a`, [`super::execute`]). Spec: <https://a2a-protocol.org/v1.0.1/specification/>.

pub mod card;
pub mod fault;
pub mod message;
pub mod task;

use serde_json::{Map, Value, json};

pub use fault::{Fault, Kind};

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.0.
    V1,
    /// 0.3.
    V03,
}

impl Version {
    /// The version of a header `A2A-Version`; one that is empty or absent is 0.3, as the specification has it.
    ///
    /// # Errors
    /// Where we do not speak it.
    pub fn of(header: Option<&str>) -> Result<Self, Fault> {
        match header.map_or("", str::trim) {
            "" | "0.3" | "0.3.0" => Ok(Self::V03),
            "1" | "1.0" | "1.0.0" | "1.0.1" => Ok(Self::V1),
            other => Err(Fault::new(
                Kind::VersionNotSupported,
                format!("Version {other} is not spoken here; 1.0 and 0.3 are"),
            )),
        }
    }
}

/// What a client asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A message, answered when the task ended or wants something.
    Send,
    /// A message, answered by events.
    Stream,
    /// A task.
    Get,
    /// Tasks.
    List,
    /// The end of a task.
    Cancel,
    /// The events of a task from now on.
    Subscribe,
    /// Anything about push notifications.
    Push,
    /// The card for those who may call.
    Card,
}

/// The method of this name over JSON-RPC, and whose name it is: no two versions share one.
pub fn method(name: &str) -> Option<(Version, Method)> {
    let found = match name {
        "SendMessage" => (Version::V1, Method::Send),
        "SendStreamingMessage" => (Version::V1, Method::Stream),
        "GetTask" => (Version::V1, Method::Get),
        "ListTasks" => (Version::V1, Method::List),
        "CancelTask" => (Version::V1, Method::Cancel),
        "SubscribeToTask" => (Version::V1, Method::Subscribe),
        "GetExtendedAgentCard" => (Version::V1, Method::Card),
        "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig" => (Version::V1, Method::Push),
        "message/send" => (Version::V03, Method::Send),
        "message/stream" => (Version::V03, Method::Stream),
        "tasks/get" => (Version::V03, Method::Get),
        "tasks/cancel" => (Version::V03, Method::Cancel),
        "tasks/resubscribe" => (Version::V03, Method::Subscribe),
        "agent/getAuthenticatedExtendedCard" => (Version::V03, Method::Card),
        _ if name.starts_with("tasks/pushNotificationConfig/") => (Version::V03, Method::Push),
        _ => return None,
    };
    Some(found)
}

/// A request over JSON-RPC.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpc {
    /// Its id: text, a number or null.
    pub id: Value,
    /// Whose words it is in.
    pub version: Version,
    /// What it asks.
    pub method: Method,
    /// Its parameters.
    pub params: Value,
}

/// Reads a request.
///
/// # Errors
/// With the request's id, as far as it is known, and what is wrong.
pub fn parse(body: &[u8]) -> Result<Rpc, (Value, Version, Fault)> {
    let refused =
        |id: Value, kind, message: &str| Err((id, Version::V1, Fault::new(kind, message)));
    let Ok(mut body) = crate::json::from_slice::<Value>(body) else {
        return refused(Value::Null, Kind::Parse, "The body is not JSON");
    };
    let id = body.get("id").cloned().unwrap_or_default();
    if !matches!(id, Value::Null | Value::String(_) | Value::Number(_)) {
        return refused(
            Value::Null,
            Kind::InvalidRequest,
            "id: a string or a number",
        );
    }
    if body.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refused(id, Kind::InvalidRequest, "jsonrpc: \"2.0\" is expected");
    }
    let Some(name) = body.get("method").and_then(Value::as_str) else {
        return refused(id, Kind::InvalidRequest, "method: a string is expected");
    };
    let Some((version, method)) = method(name) else {
        let message = format!(
            "There is no method {}",
            crate::tools::a2a::fault::shown(name)
        );
        return refused(id, Kind::MethodNotFound, &message);
    };
    let params = body.get_mut("params").map(Value::take).unwrap_or_default();
    if !matches!(params, Value::Object(_) | Value::Null) {
        let fault = Fault::new(Kind::InvalidParams, "params: an object is expected");
        return Err((id, version, fault));
    }
    Ok(Rpc {
        id,
        version,
        method,
        params,
    })
}

/// Fields under the names of JSON: who reads the JSON of protobuf takes those of the definitions (`message_id`) too.
pub fn renamed(fields: Map<String, Value>) -> Map<String, Value> {
    let fields = fields.into_iter().map(|(name, value)| {
        let value = match value {
            // What is in there is the client's own.
            value if matches!(name.as_str(), "data" | "metadata") => value,
            Value::Object(inner) => Value::Object(renamed(inner)),
            Value::Array(items) => items.into_iter().map(renamed_item).collect(),
            value => value,
        };
        (camel_case(&name), value)
    });
    fields.collect()
}

fn renamed_item(item: Value) -> Value {
    match item {
        Value::Object(inner) => Value::Object(renamed(inner)),
        item => item,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut told = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        told.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        told.push_str(letters.as_str());
    }
    told
}

/// An answer over JSON-RPC.
pub fn result(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

#[cfg(test)]
mod tests;
