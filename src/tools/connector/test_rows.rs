//! Rows of tests: a provider with one operation, and calls of it with a key.

use serde_json::{Value, json};
use std::rc::Rc;

use super::{
    Answer, Context, Credentials, Failure, Outcome, Outgoing, Problem, Success, prepare, read,
    scrub::scrub,
};
use crate::tools::catalog::{Tool, ToolCatalog, ToolProvider};

/// The key of the tests.
pub const KEY: &str = "sk-secret-0123456789";

/// Fields of one value over those of another, objects within objects too.
fn over(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (name, value) in more {
                over(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

/// A provider with what is said of it here, and one operation `run`.
pub fn tool(provider: Value, operation: Value) -> Rc<Tool> {
    let mut one = json!({
        "name": "run",
        "input": {"type": "object"},
        "request": {"method": "POST", "path": "/run"},
    });
    over(&mut one, operation);
    let mut row = json!({
        "slug": "acme",
        "name": "Acme",
        "base_url": "https://api.acme.example/v1",
        "secret": "ACME_KEY",
        "auth": {"kind": "bearer"},
    });
    over(&mut row, provider);
    row["operation"] = json!([one]);
    let provider: ToolProvider = crate::json::from_value(&row).unwrap();
    let catalog = ToolCatalog::new("1", vec![Rc::new(provider)], Vec::new());
    Rc::clone(catalog.get("acme/run").unwrap())
}

/// A deployment with these variables.
pub fn vars(of: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let found = of.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

/// The request of a call by the operator's key.
pub fn sent(tool: &Tool, input: &Value) -> Result<Outgoing, Problem> {
    sent_with(tool, input, KEY)
}

/// The same with another key.
pub fn sent_with(tool: &Tool, input: &Value, key: &str) -> Result<Outgoing, Problem> {
    let var = vars(&[]);
    let credentials = Credentials::of(tool, Some(key), &var)?;
    let cx = Context {
        credentials: &credentials,
        token: Some("token-1"),
        idempotency: Some(&[7; 32]),
        now_ms: 1_800_000_000_000,
        var: &var,
    };
    prepare(tool, input, &cx)
}

/// A header of a request.
pub fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a str> {
    let found = outgoing.headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

/// The body of a request as text.
pub fn body(outgoing: &Outgoing) -> &str {
    std::str::from_utf8(outgoing.body.as_deref().unwrap_or_default()).unwrap()
}

/// An answer.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    let headers = headers.iter();
    Answer {
        status,
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_ref().to_vec(),
    }
}

/// What an answer means.
pub fn outcome(tool: &Tool, input: &Value, answer: &Answer) -> Outcome {
    read(tool, input, answer, &[KEY.to_owned()], 1_800_000_000_000)
}

pub fn success(tool: &Tool, input: &Value, answer: &Answer) -> Success {
    match outcome(tool, input, answer) {
        Outcome::Success(success) => *success,
        other => panic!("no success: {other:?}"),
    }
}

pub fn failure(tool: &Tool, answer: &Answer) -> Failure {
    match outcome(tool, &json!({}), answer) {
        Outcome::Failure(failure) => *failure,
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn secrets_are_taken_out_of_names_too() {
    let mut value = json!({"a": [{ KEY: 1 }, format!("x {KEY}")]});
    scrub(&mut value, &[KEY.to_owned()]);
    assert_eq!(value, json!({"a": [{"[secret]": 1}, "x [secret]"]}));
}
