//! Executions of tools over REST: `POST /tools/execute`, what is kept of them, guards.
//!
//! An answer is the envelope, whatever came of it; its error is `{code, message, …}`. Out of scope: the execution (`tools::execute`), the
//! catalog (`tools`).

mod guards;

use serde_json::{Map, Value, json};

use super::{
    Ids, World,
    caller::any_key,
    http::{Request, Response, check_depth},
    principal,
    toolbox::{Origin, Toolbox},
};
use crate::{
    credits::{
        money::Nanos,
        ops::{ExecutionState, ExecutionView, ToolList},
    },
    error::{Error, Result},
    json as reading,
    time::rfc3339,
    tools::{
        envelope::{Envelope, ToolError},
        execute::{Call, Confirm, ProviderWish},
    },
};
pub(super) use guards::handle as guards;

/// The header with the client's name for an execution.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Executions in one list, where the request does not say.
const USUAL_LIST: i64 = 50;

/// Answers `POST /tools/execute`.
pub(super) async fn execute<W: World>(world: &W, request: Request, ids: &Ids) -> Result<Response> {
    let key = match principal(world, &request).await {
        Ok(key) => key,
        Err(error) => {
            let headers = ["authorization", "x-api-key"];
            let is_named = headers.iter().any(|name| request.header(name).is_some());
            return refused(&error, is_named);
        }
    };
    let mut origin = Toolbox::<W>::origin(&request, &key);
    origin.request_id.clone_from(&ids.request);
    let name = request.header(IDEMPOTENCY_KEY);
    let body = request.body.await?;
    let call = check_depth(&body)
        .map_err(|error| ToolError::new("invalid_json", "client", error.message))
        .and_then(|()| read(&body, name.as_deref()));
    match call {
        Ok((call, intent)) => {
            let toolbox = Toolbox::open(world, &key, origin).await?;
            let call = Call {
                id: toolbox.id()?,
                surface: "rest",
                ..call
            };
            Ok(answer(&toolbox.carry_out(call, intent.as_deref()).await))
        }
        Err(error) => Ok(answer(&Envelope::failed("", "", error))),
    }
}

/// A request that did not get as far as an execution: who must not, is told so in the words of this route.
fn refused(error: &Error, is_named: bool) -> Result<Response> {
    let code = match error.status {
        401 if !is_named => "authentication_required",
        401 => "invalid_api_key",
        403 => "permission_denied",
        _ => return Err(error.clone()),
    };
    let envelope = Envelope::failed("", "", ToolError::new(code, "client", &error.message));
    Ok(answer(&envelope))
}

/// An envelope as a response.
pub(super) fn answer(envelope: &Envelope) -> Response {
    let mut response = Response::json(envelope.http_status(), envelope);
    if envelope.replayed {
        response.header("idempotent-replayed", "true");
    }
    let wait = envelope.error.as_ref().and_then(|error| error.retry_after);
    if let Some(seconds) = wait {
        response.header("retry-after", seconds.to_string());
    }
    if !envelope.id.is_empty() {
        response.header("x-execution-id", envelope.id.as_str());
    }
    response
}

/// Reads what is asked: the call, and what is wanted in words.
fn read(body: &[u8], name: Option<&str>) -> Result<(Call, Option<String>), ToolError> {
    let wrong = |code: &str, message: String| ToolError::new(code, "client", message);
    let body: Value =
        reading::from_slice(body).map_err(|error| wrong("invalid_json", error.to_string()))?;
    let Value::Object(body) = body else {
        let message = "The body is an object: {\"tool\": …, \"input\": {…}}".to_owned();
        return Err(wrong("invalid_json", message));
    };
    of_fields(body, name)
}

/// Reads what is asked in the fields of a request.
///
/// # Errors
/// With the field at fault.
pub(super) fn of_fields(
    mut body: Map<String, Value>,
    name: Option<&str>,
) -> Result<(Call, Option<String>), ToolError> {
    let text = |body: &Map<String, Value>, field: &str| match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ToolError::input(field, format!("{field} is a text"))),
    };
    let tool = text(&body, "tool")?.unwrap_or_default();
    let confirm = match text(&body, "confirm")? {
        None => Confirm::Never,
        Some(word) => Confirm::parse(&word).ok_or_else(|| {
            let message = "confirm is never, destructive, writes or always";
            ToolError::input("confirm", message)
        })?,
    };
    let dry_run = match body.get("dry_run") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => return Err(ToolError::input("dry_run", "dry_run is true or false")),
    };
    let in_body = text(&body, "idempotency_key")?;
    let idempotency_key = match name {
        Some(name) => Some(unquoted(name)?),
        None => in_body,
    };
    let intent = text(&body, "intent")?;
    let call = Call {
        confirmation: text(&body, "confirmation")?,
        provider: wish(body.get("provider"))?,
        input: body.remove("input").unwrap_or_default(),
        tool,
        idempotency_key,
        confirm,
        dry_run,
        ..Call::default()
    };
    Ok((call, intent))
}

/// What is wanted of providers: a slug, or an object.
fn wish(value: Option<&Value>) -> Result<ProviderWish, ToolError> {
    match value {
        None | Some(Value::Null) => Ok(ProviderWish::default()),
        Some(Value::String(slug)) => Ok(ProviderWish {
            prefer: vec![slug.clone()],
            ..ProviderWish::default()
        }),
        Some(object) => {
            let mut object = object.clone();
            // One slug is a list of one.
            if let Some(prefer) = object.get_mut("prefer")
                && prefer.is_string()
            {
                *prefer = json!([prefer.take()]);
            }
            if let Some(price) = object.get("max_price")
                && Nanos::from_dollars(&price.to_string()).is_err()
            {
                let message = "max_price is a number of dollars";
                return Err(ToolError::input("provider.max_price", message));
            }
            crate::json::from_str(&object.to_string())
                .map_err(|error| ToolError::input("provider", error.to_string()))
        }
    }
}

/// An idempotency key: bare, or the quoted string of RFC 8941.
///
/// # Errors
/// Where a quoted one does not end.
pub(super) fn unquoted(sent: &str) -> Result<String, ToolError> {
    let sent = sent.trim();
    let Some(rest) = sent.strip_prefix('"') else {
        return Ok(sent.to_owned());
    };
    let inside = rest.strip_suffix('"').ok_or_else(|| {
        let message = "The quoted Idempotency-Key has no end";
        ToolError::new("invalid_idempotency_key", "client", message)
    })?;
    Ok(inside.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Answers `GET /tools/executions`.
pub(super) async fn list<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    let state = match request.query("status") {
        None => None,
        Some(word) => Some(state(word)?),
    };
    let max = match request.query("limit") {
        None => USUAL_LIST,
        Some(text) => text
            .parse()
            .ok()
            .filter(|max| (1..=500).contains(max))
            .ok_or_else(|| Error::invalid("limit", "limit is 1 to 500"))?,
    };
    let list = ToolList {
        before: request.query("before").map(str::to_owned),
        // A management key sees what all keys did, any other what it did itself.
        key_hash: if key.management {
            request.query("key_hash").map(str::to_owned)
        } else {
            Some(key.hash)
        },
        parent: request.query("parent").map(str::to_owned),
        state,
        max,
    };
    let found = world.call(&key.account, &list).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == max);
    let next = found.last().filter(|_| is_full).map(|last| last.id.clone());
    let data: Vec<Value> = found.iter().map(told).collect();
    Ok(Response::json(200, &json!({"data": data, "next": next})))
}

fn state(word: &str) -> Result<ExecutionState> {
    let word = match word {
        "outcome_unknown" => "unknown",
        word => word,
    };
    ExecutionState::parse(word).ok_or_else(|| {
        let message =
            "status is sent, running, succeeded, failed, failed_clean, outcome_unknown or cancelled";
        Error::invalid("status", message)
    })
}

/// An execution in a list.
fn told(view: &ExecutionView) -> Value {
    let status = match view.state {
        ExecutionState::Unknown => "outcome_unknown",
        state => state.as_str(),
    };
    json!({
        "id": view.id,
        "tool": view.tool,
        "effect": view.effect.as_str(),
        "status": status,
        "created_at": rfc3339(view.began),
        "ended_at": view.ended.map(rfc3339),
        "cost": view.charged.to_json_number(),
        "key_hash": view.key_hash,
        "idempotency_key": view.idempotency_key.as_deref().and_then(|name| name.strip_prefix("key:")),
        "parent": view.parent,
        "surface": view.surface,
    })
}

/// Asks about a job as its key would.
///
/// # Errors
/// Where its key is gone, or a store is out.
pub async fn ask_about_job<W: World>(world: &W, account: &str, job: &ExecutionView) -> Result<()> {
    let key = world.key_in_d1(&job.key_hash).await?;
    let key = key.filter(|key| key.account == account);
    let Some(key) = key else {
        return Err(Error::internal(format!("the key of {} is gone", job.id)));
    };
    let toolbox = Toolbox::open(world, &key, Origin::default()).await?;
    match toolbox.look(&job.id).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::internal(error.message)),
    }
}

/// Answers `GET` and `DELETE /tools/executions/{id}`.
pub(super) async fn one<W: World>(
    world: &W,
    request: &Request,
    method: &str,
    id: &str,
) -> Result<Response> {
    let key = principal(world, request).await?;
    let origin = Toolbox::<W>::origin(request, &key);
    let toolbox = Toolbox::open(world, &key, origin).await?;
    let found = match method {
        "DELETE" => toolbox.cancel(id).await,
        _ => toolbox.look(id).await,
    };
    Ok(match found {
        // Reading what is kept succeeds, however the execution ended.
        Ok(envelope) => Response::json(200, &envelope),
        Err(error) => answer(&Envelope::failed(id, "", error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: Value, name: Option<&str>) -> Result<Call, ToolError> {
        read(body.to_string().as_bytes(), name).map(|(call, _)| call)
    }

    #[test]
    fn a_call_is_read_in_both_forms_of_provider_and_key() {
        let plain = call(
            json!({"tool": "a/b", "input": {"x": 1}, "provider": "a"}),
            None,
        )
        .unwrap();
        assert_eq!(
            (plain.tool.as_str(), &plain.input),
            ("a/b", &json!({"x": 1}))
        );
        assert_eq!(plain.provider.prefer, ["a"]);
        assert!(plain.provider.allow_fallbacks);
        for (sent, key) in [("k-1", "k-1"), ("\"k-1\"", "k-1"), ("\"a\\\"b\"", "a\"b")] {
            let read = call(json!({"tool": "a/b"}), Some(sent)).unwrap();
            assert_eq!(read.idempotency_key.as_deref(), Some(key), "{sent}");
        }
        let wish = json!({"prefer": "a", "allow_fallbacks": false, "max_price": 0.01, "max_latency_ms": 900});
        let wished = call(
            json!({"tool": "a/b", "provider": wish, "confirm": "writes", "dry_run": true}),
            None,
        );
        let wished = wished.unwrap();
        assert_eq!(wished.provider.max_price, Nanos::new(10_000_000).ok());
        assert_eq!((wished.confirm, wished.dry_run), (Confirm::Writes, true));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        for (body, code, param) in [
            (json!([]), "invalid_json", None),
            (json!({"tool": 1}), "invalid_request", Some("tool")),
            (
                json!({"tool": "a/b", "confirm": "sometimes"}),
                "invalid_request",
                Some("confirm"),
            ),
            (
                json!({"tool": "a/b", "dry_run": "yes"}),
                "invalid_request",
                Some("dry_run"),
            ),
            (
                json!({"tool": "a/b", "provider": {"prefers": "x"}}),
                "invalid_request",
                Some("provider"),
            ),
            (
                json!({"tool": "a/b", "provider": {"max_price": "x"}}),
                "invalid_request",
                Some("provider.max_price"),
            ),
        ] {
            let error = call(body.clone(), None).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.param.as_deref()),
                (code, param),
                "{body}"
            );
        }
        assert_eq!(
            call(json!({}), Some("\"x")).unwrap_err().code,
            "invalid_idempotency_key"
        );
        assert_eq!(read(b"{", None).unwrap_err().code, "invalid_json");
    }
}
