//! The binding of HTTP and JSON (1.0): methods as paths below `/a2a`.

use serde_json::{Map, Value};

use super::{
    super::{
        Ids, World,
        http::{Request, Response, check_depth},
    },
    AT, Reply, challenge, refused, run, stream,
};
use crate::{
    json,
    tools::a2a::{Fault, Kind, Method, Version, renamed},
};

/// The media type of 1.0.1; earlier clients take plain JSON only.
const MEDIA_TYPE: &str = "application/a2a+json";

/// What stands behind the address of the binding.
pub(super) fn below(path: &str) -> Option<&str> {
    let below = path.strip_prefix(AT)?.strip_prefix('/')?;
    (!below.is_empty()).then_some(below)
}

/// The method of a path, and the task that it names.
fn method<'a>(http: &str, below: &'a str) -> Result<(Method, Option<&'a str>), Fault> {
    let unknown = || Fault::new(Kind::MethodNotFound, "There is no such method");
    let segments: Vec<&str> = below.split('/').collect();
    let found = match (http, segments.as_slice()) {
        ("POST", ["message:send"]) => (Method::Send, None),
        ("POST", ["message:stream"]) => (Method::Stream, None),
        ("GET", ["tasks"]) => (Method::List, None),
        ("GET", ["extendedAgentCard"]) => (Method::Card, None),
        (_, ["tasks", _, "pushNotificationConfigs", ..]) => (Method::Push, None),
        ("GET" | "POST", ["tasks", task]) => match (http, task.split_once(':')) {
            ("POST", Some((id, "cancel"))) => (Method::Cancel, Some(id)),
            // The prose of the specification says POST, its definitions say GET.
            (_, Some((id, "subscribe"))) => (Method::Subscribe, Some(id)),
            ("GET", None) => (Method::Get, Some(*task)),
            _ => return Err(unknown()),
        },
        _ => return Err(unknown()),
    };
    Ok(found)
}

/// Answers a request.
pub(super) async fn answer<W: World>(
    world: &W,
    mut request: Request,
    below: &str,
    ids: &Ids,
) -> Response {
    let accept = request.header("accept").unwrap_or_default();
    let body = std::mem::replace(&mut request.body, Box::pin(async { Ok(Vec::new()) }));
    let header = request.header("a2a-version");
    let asked = match header.as_deref().map(str::trim) {
        // This binding is told of in 1.0 only: who says nothing means that.
        None | Some("") => Ok(Version::V1),
        sent => Version::of(sent),
    };
    let replied = async {
        let version = asked?;
        let (method, id) = method(&request.method, below)?;
        let params = params(&request, body, id).await?;
        run(world, &request, ids, method, &params, version).await
    };
    let (status, value) = match replied.await {
        Ok(Reply::Value(value)) => (200, value),
        Ok(Reply::Events(events)) => {
            return stream(events, |event| {
                event.unwrap_or_else(|fault| fault.rest(Version::V1))
            });
        }
        Err(fault) => {
            let mut response = Response::json(fault.http_status(), &fault.rest(Version::V1));
            challenge(&mut response, &fault);
            return response;
        }
    };
    let mut response = Response::json(status, &value);
    if accept.contains(MEDIA_TYPE) {
        response.headers.retain(|(name, _)| name != "content-type");
        response.header("content-type", MEDIA_TYPE);
    }
    response
}

/// The parameters: the body's, the query's and the path's.
async fn params(
    request: &Request,
    body: futures::future::LocalBoxFuture<'static, crate::error::Result<Vec<u8>>>,
    id: Option<&str>,
) -> Result<Value, Fault> {
    let mut params = Map::new();
    if request.method == "POST" {
        let body = body
            .await
            .and_then(|body| check_depth(&body).map(|()| body));
        let body = body.map_err(|error| refused(&error))?;
        if !body.iter().all(u8::is_ascii_whitespace) {
            params = json::from_slice(&body).map_err(|error| {
                Fault::new(Kind::Parse, format!("The body is no JSON object: {error}"))
            })?;
        }
    } else {
        let sent = request.query.iter();
        params.extend(sent.map(|(name, value)| (name.clone(), value.as_str().into())));
    }
    if let Some(id) = id {
        params.insert("id".to_owned(), id.into());
    }
    Ok(Value::Object(renamed(params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_methods() {
        for (http, path, expected) in [
            ("POST", "message:send", Some((Method::Send, None))),
            ("POST", "message:stream", Some((Method::Stream, None))),
            ("GET", "message:send", None),
            ("GET", "tasks", Some((Method::List, None))),
            ("GET", "tasks/exec-1", Some((Method::Get, Some("exec-1")))),
            ("POST", "tasks/exec-1", None),
            (
                "POST",
                "tasks/exec-1:cancel",
                Some((Method::Cancel, Some("exec-1"))),
            ),
            ("GET", "tasks/exec-1:cancel", None),
            (
                "GET",
                "tasks/exec-1:subscribe",
                Some((Method::Subscribe, Some("exec-1"))),
            ),
            (
                "POST",
                "tasks/exec-1:subscribe",
                Some((Method::Subscribe, Some("exec-1"))),
            ),
            (
                "POST",
                "tasks/exec-1/pushNotificationConfigs",
                Some((Method::Push, None)),
            ),
            (
                "GET",
                "tasks/exec-1/pushNotificationConfigs/c",
                Some((Method::Push, None)),
            ),
            ("GET", "extendedAgentCard", Some((Method::Card, None))),
            ("DELETE", "tasks/exec-1", None),
            ("GET", "else", None),
        ] {
            assert_eq!(method(http, path).ok(), expected, "{http} {path}");
        }
    }

    #[test]
    fn the_binding_is_below_its_address() {
        assert_eq!(below("/a2a/message:send"), Some("message:send"));
        for path in ["/a2a", "/a2a/", "/a2ax/message:send", "/api/v1/a2a"] {
            assert_eq!(below(path), None, "{path}");
        }
    }
}
