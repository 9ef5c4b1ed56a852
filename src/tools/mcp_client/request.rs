//! Messages to a server, each a POST of its own, with the headers that repeat what is in them.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use crate::tools::{
    connector::{Outgoing, template},
    mcp::{CAPABILITIES, Era, MODERN, VERSION},
};

/// The field of `_meta` that names the client.
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// What an encoded value begins and ends with.
const CODED: (&str, &str) = ("=?base64?", "?=");

/// What was agreed on with a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speaks {
    pub era: Era,
    /// The version; empty before it is agreed on.
    pub version: String,
    /// The session of the legacy era, where the server wants one.
    pub session: Option<String>,
}

impl Speaks {
    pub(super) fn modern() -> Self {
        Self {
            era: Era::Modern,
            version: MODERN.to_owned(),
            session: None,
        }
    }

    /// As a client of the legacy era begins.
    pub(super) fn nothing() -> Self {
        Self {
            era: Era::Legacy,
            version: String::new(),
            session: None,
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Called {
    /// The tool's name, as the server writes it.
    pub name: String,
    /// The arguments, as the server names them.
    pub arguments: Value,
    /// More fields of `_meta`.
    pub meta: Map<String, Value>,
    /// Headers that repeat arguments: names, and templates over the arguments.
    pub headers: Vec<(String, String)>,
}

impl Called {
    /// The parameters of `tools/call`.
    pub(super) fn params(&self) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert("name".to_owned(), self.name.as_str().into());
        params.insert("arguments".to_owned(), self.arguments.clone());
        if !self.meta.is_empty() {
            params.insert("_meta".to_owned(), self.meta.clone().into());
        }
        params
    }

    /// The headers of the modern era.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let scope = template::Scope::of(&self.arguments);
        let told = self.headers.iter().filter_map(|(name, template)| {
            let value = template::text(template, scope)?;
            Some((name.clone(), fit(&value)))
        });
        [("mcp-name".to_owned(), fit(&self.name))]
            .into_iter()
            .chain(told)
            .collect()
    }
}

/// Who asks, and what it offers: nothing.
pub(super) fn greeting(version: &str) -> Map<String, Value> {
    let mut params = Map::new();
    params.insert("protocolVersion".to_owned(), version.into());
    params.insert("capabilities".to_owned(), json!({}));
    params.insert("clientInfo".to_owned(), client());
    params
}

fn client() -> Value {
    json!({"name": "patchbay", "version": env!("CARGO_PKG_VERSION")})
}

/// A request, or a notification where there is no id.
pub(super) fn message(
    base: &Outgoing,
    speaks: &Speaks,
    id: Option<u64>,
    method: &str,
    mut params: Map<String, Value>,
) -> Outgoing {
    if speaks.era == Era::Modern {
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert(VERSION.to_owned(), speaks.version.as_str().into());
            meta.insert(CLIENT.to_owned(), client());
            meta.insert(CAPABILITIES.to_owned(), json!({}));
        }
    }
    let mut told = json!({"jsonrpc": "2.0", "method": method});
    if let Some(fields) = told.as_object_mut() {
        fields.extend(id.map(|id| ("id".to_owned(), id.into())));
        if !params.is_empty() {
            fields.insert("params".to_owned(), params.into());
        }
    }
    let mut outgoing = post(base, speaks, &told);
    if speaks.era == Era::Modern {
        outgoing.set_header("mcp-method", method);
    }
    outgoing
}

/// The answer to a request of the server: it is not offered here; a `ping` is answered.
pub(super) fn answer(base: &Outgoing, speaks: &Speaks, id: &Value, method: &str) -> Outgoing {
    let told = if method == "ping" {
        json!({"jsonrpc": "2.0", "id": id, "result": {}})
    } else {
        let error = json!({"code": -32_601, "message": "This client does not offer it"});
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    };
    post(base, speaks, &told)
}

fn post(base: &Outgoing, speaks: &Speaks, told: &Value) -> Outgoing {
    let mut outgoing = around(base, speaks);
    outgoing.method = "POST".to_owned();
    outgoing.body = Some(told.to_string().into_bytes());
    outgoing.set_header("content-type", "application/json");
    outgoing.set_header("accept", "application/json, text/event-stream");
    outgoing
}

/// The end of a session.
pub(super) fn end(base: &Outgoing, speaks: &Speaks) -> Outgoing {
    let mut outgoing = around(base, speaks);
    outgoing.method = "DELETE".to_owned();
    outgoing
}

fn around(base: &Outgoing, speaks: &Speaks) -> Outgoing {
    let mut outgoing = base.clone();
    if !speaks.version.is_empty() {
        outgoing.set_header("mcp-protocol-version", &speaks.version);
    }
    if let Some(session) = &speaks.session {
        outgoing.set_header("mcp-session-id", session);
    }
    outgoing
}

/// A value as a header can carry it.
pub(super) fn fit(value: &str) -> String {
    let (start, end) = CODED;
    let is_plain = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    let is_coded = value.starts_with(start) && value.ends_with(end);
    let is_padded = value.trim_matches([' ', '\t']).len() != value.len();
    if value.bytes().all(is_plain) && !is_coded && !is_padded {
        value.to_owned()
    } else {
        format!("{start}{}{end}", BASE64_STANDARD.encode(value))
    }
}
