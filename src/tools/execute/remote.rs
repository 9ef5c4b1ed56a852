//! One call of a tool at somebody's MCP server, in place of one request.
//!
//! Until `tools/call` is sent nothing can have been done; after that an answer that does not come, or means nothing, leaves a write
//! unknown. What a server says in a result that is an error is its word that it failed.

use serde_json::{Map, Value};

use super::{
    ToolPort,
    attempt::{Did, failed},
    plan::Candidate,
};
use crate::tools::{
    catalog::{Class, Effect, IdempotencyForm, Operation, Remote},
    connector::{self, Acted, Context, Outcome},
    mcp::IDEMPOTENCY,
    mcp_client::{Called, Client, Trouble},
};

/// Calls the tool.
pub(super) async fn exchanged<P: ToolPort>(
    port: &P,
    way: &Candidate,
    remote: &Remote,
    upstream_key: &[u8; 32],
    token: Option<&str>,
    deadline_ms: u64,
) -> Did {
    let tool = &way.tool;
    let var = |name: &str| port.var(name);
    let cx = Context {
        credentials: &way.credentials,
        token,
        idempotency: Some(upstream_key),
        now_ms: port.now_ms(),
        var: &var,
    };
    let base = match connector::remote(tool, remote, &cx) {
        Ok(base) => base,
        Err(problem) => return Did::Problem(problem),
    };
    let until_ms = deadline_ms.min(cx.now_ms + base.timeout_ms);
    if until_ms <= cx.now_ms {
        return Did::Outcome(failed(Class::Timeout, "There was no time left", Acted::No));
    }
    let called = called(&tool.operation, &way.input, upstream_key);
    let mut client = Client::new(port.clone(), base, remote.protocol.as_deref(), until_ms);
    let answered = client.call(&called).await;
    client.close();
    let mut outcome = match answered {
        Ok(outcome) => outcome,
        Err(Trouble::Failed(failure)) => Outcome::Failure(failure),
        Err(Trouble::TooLong) => return Did::TooLong,
    };
    let mut secrets = way.credentials.secrets(&tool.provider);
    secrets.extend(token.map(str::to_owned));
    connector::clear(&mut outcome, &secrets);
    Did::Outcome(outcome)
}

/// The call with the server's own names.
fn called(operation: &Operation, input: &Value, upstream_key: &[u8; 32]) -> Called {
    let request = &operation.request;
    let arguments = input.as_object().into_iter().flatten();
    let own = |name: &String| request.rename.get(name).unwrap_or(name).clone();
    let arguments: Map<String, Value> = arguments
        .map(|(name, value)| (own(name), value.clone()))
        .collect();
    let mut meta = Map::new();
    // Servers that know the field, as this gateway does, carry a name out once. To others it is a field they do not know.
    if operation.effect != Effect::Read {
        let key = connector::idempotency_key(upstream_key, IdempotencyForm::Hex);
        meta.insert(IDEMPOTENCY.to_owned(), key.into());
    }
    Called {
        name: operation.remote.clone().unwrap_or_default(),
        arguments: arguments.into(),
        meta,
        headers: request.headers.clone().into_iter().collect(),
    }
}
