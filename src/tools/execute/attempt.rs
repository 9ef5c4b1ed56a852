//! One request of a provider: made, given a token, sent, read. And what its failure means for the execution.

use serde_json::Value;

use super::{Attempt, ToolPort, plan::Candidate, remote};
use crate::{
    access::token::Grant,
    credits::ops::ExecutionState,
    tools::{
        catalog::{Class, Effect, RetryKind},
        connector::{self, Acted, Answer, Context, Failure, Outcome, Outgoing, Problem},
    },
    usage::observed::Observed,
};

/// What a request is made for.
pub(super) enum Ask<'a> {
    /// The operation itself, with its input.
    Operation,
    /// How far its job is.
    Poll(&'a connector::JobState),
    /// Its job's end.
    Cancel(&'a connector::JobState),
}

/// What became of it.
pub(super) enum Did {
    /// An answer that means something.
    Outcome(Outcome),
    /// It was carried out, and its answer is too long to be read.
    TooLong,
    /// No request could be made.
    Problem(Problem),
}

/// Sends one request and reads its answer. The attempt is noted where something was sent.
pub(super) async fn attempt<P: ToolPort>(
    port: &P,
    way: &Candidate,
    ask: &Ask<'_>,
    upstream_key: &[u8; 32],
    deadline_ms: u64,
    attempts: &mut Vec<Attempt>,
) -> Did {
    let began_ms = port.now_ms();
    let did = sent(port, way, ask, upstream_key, deadline_ms).await;
    let (status, error, class) = match &did {
        Did::Problem(_) => return did,
        Did::TooLong => (200, Some("the answer is too long".to_owned()), None),
        Did::Outcome(Outcome::Failure(failure)) => (
            failure.status,
            Some(failure.message.clone()),
            Some(failure.class),
        ),
        Did::Outcome(_) => (200, None, None),
    };
    let (ended_ms, latency_ms) = (port.now_ms(), port.now_ms().saturating_sub(began_ms));
    let ended_at = i64::try_from(ended_ms).unwrap_or(i64::MAX);
    let (id, category) = (way.tool.id.as_str(), way.tool.category());
    let observed = match class {
        Some(class) => {
            let own_key = way.own.is_some();
            Observed::failed(id, category, ended_at, latency_ms, class.as_str(), own_key)
        }
        None => Observed::succeeded(id, category, ended_at, latency_ms, 0),
    };
    let noted = Attempt {
        tool: way.tool.id.clone(),
        status,
        latency_ms,
        observed,
        is_private: way.tool.provider.owner.is_some(),
        error: error.map(|text| scrubbed(way, &text)),
        class,
    };
    if !matches!(ask, Ask::Cancel(_)) {
        port.attempted(&way.tool, way.own.is_some(), &noted);
    }
    attempts.push(noted);
    did
}

async fn sent<P: ToolPort>(
    port: &P,
    way: &Candidate,
    ask: &Ask<'_>,
    upstream_key: &[u8; 32],
    deadline_ms: u64,
) -> Did {
    let var = |name: &str| port.var(name);
    let grant = match way.credentials.grant(&way.tool.provider, &var) {
        Ok(grant) => grant,
        Err(problem) => return Did::Problem(problem),
    };
    let Some(grant) = grant else {
        return exchanged(port, way, ask, upstream_key, None, deadline_ms).await;
    };
    if way.tool.provider.source.is_imported()
        && let Err(why) = port.admits(&grant.url).await
    {
        let why = format!("Nothing was sent: where its tokens are issued: {why}");
        return Did::Outcome(failed(Class::Unavailable, &why, Acted::No));
    }
    with_token(port, way, ask, upstream_key, &grant, deadline_ms).await
}

/// With a token that is remembered; once more with a new one where it is refused, which carried nothing out.
async fn with_token<P: ToolPort>(
    port: &P,
    way: &Candidate,
    ask: &Ask<'_>,
    upstream_key: &[u8; 32],
    grant: &Grant,
    deadline_ms: u64,
) -> Did {
    let tokens = port.tokens();
    let send = async |token: &str| {
        Ok(exchanged(port, way, ask, upstream_key, Some(token), deadline_ms).await)
    };
    let status = |did: &Did| match did {
        Did::Outcome(Outcome::Failure(failure)) => failure.status,
        _ => 200,
    };
    match tokens.call(&port.issuer(), grant, send, status).await {
        Ok(did) => did,
        Err(error) => Did::Outcome(Outcome::Failure(Box::new(Failure {
            class: Class::Auth,
            message: error.message,
            code: None,
            param: None,
            status: 0,
            retry_after: None,
            acted: Acted::No,
        }))),
    }
}

async fn exchanged<P: ToolPort>(
    port: &P,
    way: &Candidate,
    ask: &Ask<'_>,
    upstream_key: &[u8; 32],
    token: Option<&str>,
    deadline_ms: u64,
) -> Did {
    if let (Ask::Operation, Some(remote)) = (ask, &way.tool.provider.remote) {
        return remote::exchanged(port, way, remote, upstream_key, token, deadline_ms).await;
    }
    let var = |name: &str| port.var(name);
    let now_ms = port.now_ms();
    let cx = Context {
        credentials: &way.credentials,
        token,
        idempotency: Some(upstream_key),
        now_ms,
        var: &var,
    };
    let made = match ask {
        Ask::Operation => connector::prepare(&way.tool, &way.input, &cx),
        Ask::Poll(job) => connector::poll(&way.tool, job, &cx),
        Ask::Cancel(job) => connector::cancel(&way.tool, job, &cx).and_then(|made| {
            let cannot = || Problem::Misconfigured("Its provider cannot stop it".to_owned());
            made.ok_or_else(cannot)
        }),
    };
    let mut request = match made {
        Ok(request) => request,
        Err(problem) => return Did::Problem(problem),
    };
    // What is sent so late that nobody waits for its answer might be done twice.
    if now_ms + request.timeout_ms > deadline_ms {
        request.timeout_ms = deadline_ms.saturating_sub(now_ms);
        if request.timeout_ms == 0 {
            return Did::Outcome(failed(Class::Timeout, "There was no time left", Acted::No));
        }
    }
    let answer = match send(port, request).await {
        Ok(answer) => answer,
        Err(Lost::TooLong) => return Did::TooLong,
        Err(Lost::Failed(outcome)) => return Did::Outcome(outcome),
    };
    let (now_ms, tool, input) = (port.now_ms(), &way.tool, &way.input);
    let mut secrets = way.credentials.secrets(&tool.provider);
    secrets.extend(token.map(str::to_owned));
    Did::Outcome(match ask {
        Ask::Operation => connector::read(tool, input, &answer, &secrets, now_ms),
        Ask::Poll(job) => connector::read_poll(tool, job, input, &answer, &secrets, now_ms),
        Ask::Cancel(_) => match connector::read_cancel(tool, &answer, &secrets, now_ms) {
            Ok(()) => Outcome::Success(Box::default()),
            Err(failure) => Outcome::Failure(Box::new(failure)),
        },
    })
}

enum Lost {
    TooLong,
    Failed(Outcome),
}

async fn send<P: ToolPort>(port: &P, request: Outgoing) -> Result<Answer, Lost> {
    port.send(request)
        .await
        .map_err(|error| match error.failure() {
            Some(failure) => Lost::Failed(Outcome::Failure(Box::new(failure))),
            None => Lost::TooLong,
        })
}

pub(super) fn failed(class: Class, message: &str, acted: Acted) -> Outcome {
    Outcome::Failure(Box::new(Failure {
        class,
        message: message.to_owned(),
        code: None,
        param: None,
        status: 0,
        retry_after: None,
        acted,
    }))
}

/// A text without the secrets of the call.
pub(super) fn scrubbed(way: &Candidate, text: &str) -> String {
    let mut value = Value::from(text);
    connector::scrub(&mut value, &way.credentials.secrets(&way.tool.provider));
    value.as_str().unwrap_or_default().to_owned()
}

/// How an execution stands after a failure of its request.
pub(super) fn state_after(way: &Candidate, failure: &Failure) -> ExecutionState {
    let passes = matches!(
        failure.class,
        Class::Auth | Class::Quota | Class::RateLimited | Class::Unavailable | Class::Timeout
    );
    let is_read = way.tool.operation.effect == Effect::Read;
    match failure.acted {
        Acted::Maybe if is_read => ExecutionState::FailedClean,
        Acted::Maybe => ExecutionState::Unknown,
        Acted::No if passes => ExecutionState::FailedClean,
        Acted::No if is_read && failure.class == Class::Provider => ExecutionState::FailedClean,
        Acted::No => ExecutionState::Failed,
    }
}

/// Whether the next way may do better, for what changes nothing.
pub(super) fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        Class::Auth
            | Class::Permission
            | Class::Quota
            | Class::RateLimited
            | Class::Unavailable
            | Class::Timeout
            | Class::Provider
    )
}

/// Whether the same request may be sent once more by the same way: it changes nothing, or the provider knows its key.
pub(super) fn may_repeat(way: &Candidate, failure: &Failure) -> bool {
    let operation = &way.tool.operation;
    let harmless = operation.effect == Effect::Read || operation.retry.kind != RetryKind::None;
    let passing = matches!(
        failure.class,
        Class::Provider | Class::Timeout | Class::Unavailable
    );
    harmless && passing && failure.retry_after.is_none()
}
