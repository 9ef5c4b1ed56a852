//! The request of an operation: where each field of the input goes.
//!
//! A field that path, headers or a template use is not sent a second time. Keys stand only where the row puts them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Context, Outgoing, Problem,
    address::Places,
    auth::{authorize, into_body, parts},
    encode, idempotency,
    template::{self, Scope},
};
use crate::{
    server_tools::Address,
    tools::catalog::{
        Arrays, Body, BodyKind, Json, Method, Operation, Remote, Request, RetryKind, Tool,
    },
};

/// Who calls, in every request; the variable says whom to write to.
const CONTACT: &str = "TOOLS_CONTACT";

impl Outgoing {
    /// Sets a header, in the place of one of the same name.
    pub(in crate::tools) fn set_header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.to_owned()));
    }
}

/// The request that carries out an operation with an input that fits its schema.
///
/// # Errors
/// Where a field cannot be sent, or the deployment or key is not as the provider needs it.
pub fn prepare(tool: &Tool, input: &Value, cx: &Context<'_>) -> Result<Outgoing, Problem> {
    let operation = &tool.operation;
    let request = &operation.request;
    check_urls(request, input)?;
    let mut places = Places {
        tool,
        cx,
        fields: input,
        used: BTreeSet::new(),
    };
    let mut url = places.base(None)?;
    url.push_str(&places.path(&request.path)?);
    let mut used = places.used;
    let body = body_of(request);
    for template in request.headers.values() {
        template::mentions(&Value::from(template.as_str()), &mut used);
    }
    for template in [request.params.as_ref(), body.template.as_ref()] {
        template::mentions(template.map_or(&Value::Null, Json::value), &mut used);
    }
    let mut rest: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    rest.retain(|name, value| !used.contains(name) && !value.is_null());
    let key_part = parts(tool, cx);
    let scope = Scope {
        key: Some(&key_part),
        ..Scope::of(input)
    };

    let takes_all = request.query.is_none() && body.kind == BodyKind::None;
    let mut query = Map::new();
    for (name, value) in &tool.provider.query {
        query.extend(template::text(value, scope).map(|text| (name.clone(), text.into())));
    }
    let is_queried = |name: &String| match &request.query {
        Some(names) => names.contains(name),
        None => takes_all,
    };
    let mut queried = Map::new();
    rest.retain(|name, value| {
        let is_queried = is_queried(name);
        if is_queried {
            queried.insert(name.clone(), value.take());
        }
        !is_queried
    });
    let constants = constants(request);
    if body.kind == BodyKind::None {
        query.extend(constants.clone());
    }
    query.extend(renamed(queried, request));
    if let Some(Value::Object(made)) = request
        .params
        .as_ref()
        .and_then(|it| template::fill(it.value(), scope))
    {
        query.extend(made);
    }
    encode::append(&mut url, &encode::pairs(&query, request.query_arrays));

    let scope = Scope {
        rest: Some(&rest),
        ..scope
    };
    let mut outgoing = bare(tool, request.method, url, cx);
    let (bytes, content_type) = write_body(tool, cx, &body, scope, constants)?;
    if bytes.is_some() && !content_type.is_empty() {
        outgoing.set_header("content-type", &content_type);
    }
    outgoing.body = bytes;
    for (name, template) in &request.headers {
        if let Some(value) = template::text(template, scope) {
            outgoing.set_header(name, &value);
        }
    }
    if let Some((name, value)) =
        derived(operation, cx).and_then(|(retry, key)| Some((retry.header.as_deref()?, key)))
    {
        outgoing.set_header(name, &value);
    }
    finish(tool, cx, outgoing)
}

/// What every request to an MCP server has: its address, and the key. The server's messages go into it.
///
/// # Errors
/// Where the deployment or the key is not as the provider needs it.
pub fn remote(tool: &Tool, remote: &Remote, cx: &Context<'_>) -> Result<Outgoing, Problem> {
    finish(tool, cx, bare(tool, Method::Post, remote.url.clone(), cx))
}

/// A request with what all calls of a provider have but its key.
pub(super) fn bare(tool: &Tool, method: Method, url: String, cx: &Context<'_>) -> Outgoing {
    let (provider, operation) = (&tool.provider, &tool.operation);
    let max_bytes = operation.max_bytes(provider);
    let mut outgoing = Outgoing {
        method: method.as_str().to_owned(),
        url,
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        timeout_ms: operation.timeout_ms(provider),
        is_guarded: provider.source.is_imported(),
        ..Outgoing::default()
    };
    let agent = concat!("patchbay/", env!("CARGO_PKG_VERSION"));
    match (cx.var)(CONTACT) {
        Some(contact) => outgoing.set_header("user-agent", &format!("{agent} ({contact})")),
        None => outgoing.set_header("user-agent", agent),
    }
    let response = &operation.response;
    let is_json = response.binary.is_none() && !response.text && response.xml.is_none();
    outgoing.set_header("accept", if is_json { "application/json" } else { "*/*" });
    let key_part = parts(tool, cx);
    let scope = Scope {
        key: Some(&key_part),
        ..Scope::of(&Value::Null)
    };
    for (name, template) in &provider.headers {
        if let Some(value) = template::text(template, scope) {
            outgoing.set_header(name, &value);
        }
    }
    outgoing
}

/// The request with its key, each header fit to be sent.
pub(super) fn finish(
    tool: &Tool,
    cx: &Context<'_>,
    mut outgoing: Outgoing,
) -> Result<Outgoing, Problem> {
    authorize(tool, cx, &mut outgoing)?;
    for (name, value) in &outgoing.headers {
        let is_fit = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
        if !value.bytes().all(is_fit) {
            let message =
                format!("the header {name} would hold other than visible ASCII characters");
            return Err(Problem::input("", message));
        }
    }
    Ok(outgoing)
}

/// The body as the row says, or as the method has it.
fn body_of(request: &Request) -> Body {
    request.body.clone().unwrap_or_else(|| Body {
        kind: match request.method {
            Method::Get | Method::Delete => BodyKind::None,
            Method::Post | Method::Put | Method::Patch => BodyKind::Json,
        },
        ..Body::default()
    })
}

fn constants(request: &Request) -> Map<String, Value> {
    let constants = request.constants.as_ref().map(Json::value);
    constants
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// Fields under the vendor's names; a pointer makes objects.
fn renamed(fields: Map<String, Value>, request: &Request) -> Map<String, Value> {
    let mut made = Value::Object(Map::new());
    for (name, value) in fields {
        match request.rename.get(&name) {
            Some(pointer) if pointer.starts_with('/') => template::put(&mut made, pointer, value),
            other => {
                let name = other.unwrap_or(&name);
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                template::put(&mut made, &pointer, value);
            }
        }
    }
    match made {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The key that the provider knows this execution by.
fn derived<'a>(
    operation: &'a Operation,
    cx: &Context<'_>,
) -> Option<(&'a crate::tools::catalog::Retry, String)> {
    let retry = &operation.retry;
    let digest = cx.idempotency.filter(|_| retry.kind == RetryKind::Key)?;
    let mut key = idempotency::form(digest, retry.form);
    key.truncate(retry.max.unwrap_or(usize::MAX));
    Some((retry, key))
}

/// The body's bytes and its type.
fn write_body(
    tool: &Tool,
    cx: &Context<'_>,
    body: &Body,
    scope: Scope<'_>,
    constants: Map<String, Value>,
) -> Result<(Option<Vec<u8>>, String), Problem> {
    let request = &tool.operation.request;
    let told = |usual: &str| {
        body.content_type
            .clone()
            .unwrap_or_else(|| usual.to_owned())
    };
    let rest = scope.rest.cloned().unwrap_or_default();
    let own = match (&body.template, body.kind) {
        (_, BodyKind::None) => return Ok((None, String::new())),
        (_, BodyKind::Text) => {
            let field = body.field.as_deref().unwrap_or_default();
            let text = rest.get(field).or_else(|| scope.root.get(field));
            let text = text.map(template::plain).unwrap_or_default();
            return Ok((Some(text.into_bytes()), told("text/plain; charset=utf-8")));
        }
        (Some(template), _) => {
            template::fill(template.value(), scope).unwrap_or_else(|| Value::Object(Map::new()))
        }
        (None, _) => Value::Object(renamed(rest, request)),
    };
    let mut value = merged(constants, own);
    if let Some((retry, key)) = derived(&tool.operation, cx)
        && let Some(field) = retry.field.as_deref()
        && template::at(&value, field).is_none()
    {
        template::put(&mut value, field, key.into());
    }
    if let Value::Object(fields) = &mut value {
        into_body(tool, cx, fields)?;
    }
    if body.kind == BodyKind::Form {
        let arrays = request.form_arrays.unwrap_or(Arrays::Index);
        let text = encode::pairs(value.as_object().unwrap_or(&Map::new()), arrays);
        return Ok((
            Some(text.into_bytes()),
            told("application/x-www-form-urlencoded"),
        ));
    }
    Ok((
        Some(value.to_string().into_bytes()),
        told("application/json"),
    ))
}

/// Constants under what the caller said; objects are merged.
fn merged(constants: Map<String, Value>, own: Value) -> Value {
    let Value::Object(own) = own else {
        return own;
    };
    let mut made = constants;
    for (name, value) in own {
        let before = made.remove(&name);
        let value = match before {
            Some(Value::Object(before)) => merged(before, value),
            _ => value,
        };
        made.insert(name, value);
    }
    Value::Object(made)
}

/// Addresses that the vendor is to fetch lead to the public web: nobody reaches into the vendor's network, or ours, through us.
fn check_urls(request: &Request, input: &Value) -> Result<(), Problem> {
    for name in &request.urls {
        let given = input.get(name).filter(|value| !value.is_null());
        let all = match given {
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        for url in all {
            let address = Address::parse(&template::plain(url));
            let told = |why: String| Problem::input(name, why);
            let address = address.map_err(|why| told(why.to_string()))?;
            if !address.is_public() {
                return Err(told("only public hosts can be fetched".to_owned()));
            }
        }
    }
    Ok(())
}
