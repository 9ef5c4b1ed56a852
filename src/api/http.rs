//! Requests and responses as the API sees them: no platform types.

use std::{borrow::Cow, rc::Rc};

use futures::{future::LocalBoxFuture, stream::LocalBoxStream};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    credits::money::MAX_NANOS,
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    json,
};

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;
/// The deepest nesting of a JSON body.
pub const MAX_JSON_DEPTH: usize = 64;
/// The longest `X-Request-Id` that is honoured.
pub const MAX_REQUEST_ID: usize = 128;
/// What an error's `metadata.headers` may add to its answer.
const RATE_LIMIT_HEADERS: [&str; 3] = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// Finds a header by its lower-case name.
pub type HeaderLookup = Box<dyn Fn(&str) -> Option<String>>;

/// A request. The body is read only by the handlers that want it.
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Scheme, host and port that it was sent to, such as `https://gateway.example`.
    pub origin: String,
    /// Path without the query.
    pub path: String,
    /// Decoded query pairs in order.
    pub query: Vec<(String, String)>,
    /// Looks a header up by its lower-case name.
    pub header: HeaderLookup,
    /// The body, at most [`MAX_BODY_BYTES`]; longer ones fail with 413 before they are read to their end.
    pub body: LocalBoxFuture<'static, Result<Vec<u8>>>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        (self.header)(name)
    }

    /// A query parameter's value.
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number in the query, `otherwise` where there is none; D1 takes numbers as JavaScript has them.
    ///
    /// # Errors
    /// 400 where it is none, or not within `least` and 2^53 − 1.
    pub fn whole(&self, name: &str, least: i64, otherwise: i64) -> Result<i64> {
        let Some(text) = self.query(name) else {
            return Ok(otherwise);
        };
        let number = text.parse().ok();
        number
            .filter(|number| (least..=MAX_NANOS).contains(number))
            .ok_or_else(|| {
                let message = format!("{name} is a whole number from {least} to {MAX_NANOS}");
                Error::invalid(name, message)
            })
    }

    /// The body as a JSON object of a known shape.
    ///
    /// # Errors
    /// 400 where it is not, 413 where it is too long.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        object(&self.body.await?)
    }

    /// The same for a body that may be left out.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn json_or_default<T: DeserializeOwned + Default>(self) -> Result<T> {
        let body = self.body.await?;
        if body.is_empty() {
            return Ok(T::default());
        }
        object(&body)
    }
}

/// Reads a JSON object. A struct would be read from a list of its values too.
fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    check_depth(body)?;
    if body.trim_ascii_start().first() == Some(&b'[') {
        let message = "The body has to be a JSON object";
        return Err(Error::invalid("body", message));
    }
    json::from_slice(body).map_err(|error| Error::invalid("body", error.to_string()))
}

/// What follows the head of a response.
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text that many responses share.
    Shared(Rc<str>),
    /// Bytes as they come; dropping the stream ends the work behind it.
    Stream(LocalBoxStream<'static, Vec<u8>>),
}

/// A response.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A JSON response.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::json_bytes(status, bytes),
            Err(error) => Self::error(
                &Error::internal(error.to_string()),
                Surface::default(),
                None,
            ),
        }
    }

    /// A response of JSON text.
    pub fn json_bytes(status: u16, bytes: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: Body::Bytes(bytes),
        }
    }

    /// A response of shared JSON text.
    pub fn json_shared(text: Rc<str>) -> Self {
        Self {
            body: Body::Shared(text),
            ..Self::json_bytes(200, Vec::new())
        }
    }

    /// An error in the envelope of the format that the client speaks; `id` names the request.
    pub fn error(error: &Error, surface: Surface, id: Option<&str>) -> Self {
        let (status, body) = surface.error_body(error, id);
        let mut response = Self::json_bytes(status, body);
        if let Some(seconds) = error.retry_after {
            response.header("retry-after", seconds.to_string());
        }
        for name in RATE_LIMIT_HEADERS {
            let told = error
                .metadata
                .get("headers")
                .and_then(|told| told.get(name));
            if let Some(value) = told.and_then(Value::as_str) {
                response.header(name, value);
            }
        }
        response
    }

    /// Adds a header.
    pub fn header(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }
}

/// Refuses JSON that is nested deeper than [`MAX_JSON_DEPTH`], before anything is built from it.
///
/// # Errors
/// 400 with the depth.
pub fn check_depth(body: &[u8]) -> Result<()> {
    let mut depth = 0usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_JSON_DEPTH {
                    let message = format!("The body is nested deeper than {MAX_JSON_DEPTH} levels");
                    return Err(Error::invalid("body", message));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => json::skip_string(&mut bytes),
            _ => {}
        }
    }
    Ok(())
}

/// The body is longer than [`MAX_BODY_BYTES`].
pub fn too_large() -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PayloadTooLarge,
        format!("Request payload too large: the limit is {MAX_BODY_BYTES} bytes"),
    )
}

/// The request id to echo: the client's own where it is short and printable.
pub fn request_id(sent: Option<String>, otherwise: &str) -> String {
    sent.filter(|id| {
        !id.is_empty()
            && id.len() <= MAX_REQUEST_ID
            && id.bytes().all(|byte| byte.is_ascii_graphic())
    })
    .unwrap_or_else(|| otherwise.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_limited_and_strings_do_not_count() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(check_depth(&nested(MAX_JSON_DEPTH)).is_ok());
        assert_eq!(
            check_depth(&nested(MAX_JSON_DEPTH + 1)).unwrap_err().status,
            400
        );
        let text = format!(r#"{{"a":"{}\"[","b":[]}}"#, "[".repeat(1_000));
        assert!(check_depth(text.as_bytes()).is_ok());
        // Quotes and escapes at every place of a word.
        for before in 0..9 {
            let text = format!(
                r#"["{}\"[[","{}[["]"#,
                "x".repeat(before),
                "y".repeat(before)
            );
            let deep = format!("{text}{}", "[".repeat(MAX_JSON_DEPTH + 1));
            assert!(check_depth(text.as_bytes()).is_ok(), "{text}");
            assert!(check_depth(deep.as_bytes()).is_err(), "{deep}");
        }
        let after_string = format!(r#"{{"a":"\\"}}{}"#, "[".repeat(MAX_JSON_DEPTH + 1));
        assert!(check_depth(after_string.as_bytes()).is_err());
    }

    fn request(body: Result<Vec<u8>>) -> Request {
        let query = [("a", "1"), ("b", ""), ("a", "2")];
        Request {
            method: "POST".into(),
            origin: "http://localhost".into(),
            path: "/".into(),
            query: query.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            header: Box::new(|name| (name == "x-title").then(|| "T".to_owned())),
            body: Box::pin(async move { body }),
        }
    }

    #[test]
    fn headers_and_query_parameters_are_found_by_name() {
        let request = request(Ok(Vec::new()));
        assert_eq!(request.header("x-title").as_deref(), Some("T"));
        assert_eq!(request.header("cookie"), None);
        assert_eq!(
            (request.query("a"), request.query("b")),
            (Some("1"), Some(""))
        );
        assert_eq!(request.query("c"), None);
    }

    #[test]
    fn a_body_is_json_of_the_shape_asked_for_or_the_error_says_why_not() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Named {
            name: String,
        }
        let read =
            |body: Result<Vec<u8>>| futures::executor::block_on(request(body).json::<Named>());
        let name = "x".to_owned();
        assert_eq!(read(Ok(b" {\"name\":\"x\"}".to_vec())), Ok(Named { name }));
        for (body, status) in [
            (Ok(b"{\"name\":".to_vec()), 400),
            (Ok(b"{}".to_vec()), 400),
            // The fields in order.
            (Ok(b" [\"x\"]".to_vec()), 400),
            (Ok("[".repeat(100_000).into_bytes()), 400),
            (Err(too_large()), 413),
        ] {
            assert_eq!(read(body).unwrap_err().status, status);
        }
    }

    #[test]
    fn an_error_says_when_to_come_back() {
        let mut error = Error::from_upstream_status(429, "slow down", None);
        let header = |response: &Response, name: &str| {
            let found = response.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let response = Response::error(&error, Surface::default(), None);
        assert_eq!(response.status, 429);
        assert_eq!(header(&response, "retry-after"), None);
        error.retry_after = Some(7);
        let response = Response::error(&error, Surface::default(), None);
        assert_eq!(header(&response, "retry-after").as_deref(), Some("7"));
        let kind = header(&response, "content-type");
        assert_eq!(kind.as_deref(), Some("application/json"));
    }

    #[test]
    fn unterminated_strings_and_stray_brackets_do_not_confuse_the_depth() {
        for text in ["\"[[[", "\"\\", "]]]]", "\\\"[", ""] {
            assert!(check_depth(text.as_bytes()).is_ok(), "{text}");
        }
        let stray = format!("{}{}", "]".repeat(9), "[".repeat(MAX_JSON_DEPTH + 1));
        assert!(check_depth(stray.as_bytes()).is_err());
    }

    #[test]
    fn a_request_id_is_echoed_only_when_it_is_sane() {
        let id = |text: &str| request_id(Some(text.to_owned()), "own");
        assert_eq!(id("req-1"), "req-1");
        assert_eq!(id(&"x".repeat(MAX_REQUEST_ID)), "x".repeat(MAX_REQUEST_ID));
        for bad in ["", "a b", "a\nb", &"x".repeat(MAX_REQUEST_ID + 1)] {
            assert_eq!(id(bad), "own");
        }
    }
}
