//! What is refused: one error, told over JSON-RPC and over HTTP, in either version.

use serde_json::{Value, json};

use super::Version;

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON.
    Parse,
    /// It is no request.
    InvalidRequest,
    /// Nobody knows the method.
    MethodNotFound,
    /// A parameter is missing or wrong.
    InvalidParams,
    /// We failed.
    Internal,
    /// No such task, or not for this account.
    TaskNotFound,
    /// The task ended, or cannot be stopped.
    TaskNotCancelable,
    /// There are no push notifications.
    PushNotificationNotSupported,
    /// What is asked cannot be done with this task.
    UnsupportedOperation,
    /// A form of input or output that we do not have.
    ContentTypeNotSupported,
    /// Another version than we speak.
    VersionNotSupported,
    /// Who asks is not known.
    Unauthenticated,
    /// Who asks may not.
    PermissionDenied,
    /// The account cannot be asked right now.
    Unavailable,
}

/// Code over JSON-RPC, HTTP status, gRPC's word for it, and the reason of the protocol's own errors.
type Told = (i64, u16, &'static str, Option<&'static str>);

impl Kind {
    fn told(self) -> Told {
        match self {
            Self::Parse => (-32700, 400, "INVALID_ARGUMENT", None),
            Self::InvalidRequest => (-32600, 400, "INVALID_ARGUMENT", None),
            Self::MethodNotFound => (-32601, 404, "NOT_FOUND", None),
            Self::InvalidParams => (-32602, 400, "INVALID_ARGUMENT", None),
            Self::Internal => (-32603, 500, "INTERNAL", None),
            Self::TaskNotFound => (-32001, 404, "NOT_FOUND", Some("TASK_NOT_FOUND")),
            Self::TaskNotCancelable => (
                -32002,
                400,
                "FAILED_PRECONDITION",
                Some("TASK_NOT_CANCELABLE"),
            ),
            Self::PushNotificationNotSupported => (
                -32003,
                400,
                "FAILED_PRECONDITION",
                Some("PUSH_NOTIFICATION_NOT_SUPPORTED"),
            ),
            Self::UnsupportedOperation => (
                -32004,
                400,
                "FAILED_PRECONDITION",
                Some("UNSUPPORTED_OPERATION"),
            ),
            Self::ContentTypeNotSupported => (
                -32005,
                400,
                "INVALID_ARGUMENT",
                Some("CONTENT_TYPE_NOT_SUPPORTED"),
            ),
            Self::VersionNotSupported => (
                -32009,
                400,
                "FAILED_PRECONDITION",
                Some("VERSION_NOT_SUPPORTED"),
            ),
            // The protocol leaves who may ask to HTTP.
            Self::Unauthenticated => (-32600, 401, "UNAUTHENTICATED", None),
            Self::PermissionDenied => (-32600, 403, "PERMISSION_DENIED", None),
            Self::Unavailable => (-32603, 503, "UNAVAILABLE", None),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub kind: Kind,
    /// A sentence for people.
    pub message: String,
}

impl Fault {
    /// A refusal in these words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A parameter that is missing or wrong.
    pub fn param(path: &str, message: &str) -> Self {
        Self::new(Kind::InvalidParams, format!("{path}: {message}"))
    }

    /// A task that this account does not have.
    pub fn no_task(id: &str) -> Self {
        Self::new(
            Kind::TaskNotFound,
            format!("There is no task {}", shown(id)),
        )
    }

    /// The HTTP status over the binding of HTTP and JSON.
    pub fn http_status(&self) -> u16 {
        self.kind.told().1
    }

    /// The HTTP status over JSON-RPC: 200, but where HTTP itself has the word for it.
    pub fn rpc_status(&self) -> u16 {
        match self.kind {
            Kind::Unauthenticated | Kind::PermissionDenied | Kind::Unavailable => {
                self.http_status()
            }
            _ => 200,
        }
    }

    fn details(&self) -> Option<Value> {
        let reason = self.kind.told().3?;
        Some(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "a2a-protocol.org",
        }]))
    }

    /// The answer over JSON-RPC.
    pub fn rpc(&self, id: &Value, version: Version) -> Value {
        let mut error = json!({"code": self.kind.told().0, "message": self.message});
        if version == Version::V1
            && let Some(details) = self.details()
            && let Some(error) = error.as_object_mut()
        {
            error.insert("data".to_owned(), details);
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }

    /// The answer over HTTP and JSON: 1.0 says a `google.rpc.Status`, 0.3 the error of JSON-RPC.
    pub fn rest(&self, version: Version) -> Value {
        let (code, http, word, _) = self.kind.told();
        match version {
            Version::V03 => json!({"code": code, "message": self.message}),
            Version::V1 => json!({"error": {
                "code": http,
                "status": word,
                "message": self.message,
                "details": self.details().unwrap_or_else(|| json!([])),
            }}),
        }
    }
}

/// A client's own word as it is repeated: short, and in one line.
pub fn shown(word: &str) -> String {
    let short: String = word.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("`{short}`")
}
