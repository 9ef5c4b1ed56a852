//! The end of an execution: what is charged, what the object is told, what the client is told. Nothing that goes out holds a secret.

use std::rc::Rc;

use futures::FutureExt;
use serde_json::{Value, json};

use super::{
    Attempt, Call, Payer, Record, ToolPort,
    admit::Admitted,
    attempt::{self, scrubbed},
    digest,
    kept::{Kept, KeptJob},
    margin::{MARGIN, Margin},
    plan::Candidate,
    run::of_problem,
    summary,
};
use crate::{
    credits::{
        money::Nanos,
        ops::{ExecutionState, JOB_ASK_MS, ToolEnd, ToolEnded},
    },
    tools::{
        catalog::{Class, RetryKind},
        connector::{self, Failure, Problem, Running, Success},
        envelope::{Envelope, Status, ToolError, Undo, Usage, Warning},
        price,
    },
};

/// The pauses between tries to tell the object; the last ones are made behind the answer.
const RETRIES_MS: [u64; 6] = [50, 250, 1_000, 4_000, 16_000, 30_000];
/// So many of them are made before the client is answered.
const TRIES_BEFORE: usize = 2;
/// The most that a failed part of a batch is told of.
const MAX_MISSED: usize = 100;

/// How the requests of an execution ended.
pub(super) enum End {
    /// It was done.
    Done(Box<Success>),
    /// It was done, and the answer is too long to be read.
    TooLong,
    /// The provider works on it.
    Runs(Box<Running>),
    /// It was not done, or nobody knows.
    Failed(Box<Failure>),
    /// Nothing was sent.
    Problem(Problem),
    /// It was stopped.
    Cancelled,
}

/// What is known at the end.
pub(super) struct Told<'a> {
    pub call: &'a Call,
    pub payer: &'a Payer,
    pub way: &'a Candidate,
    /// What was there before.
    pub before: Option<Value>,
    pub attempts: &'a [Attempt],
    pub began_ms: u64,
    pub routing: Option<Value>,
    pub warnings: Vec<Warning>,
}

/// What would be done.
pub(super) fn dry(call: &Call, admitted: &Admitted) -> Envelope {
    let Some(first) = admitted.plan.candidates.first() else {
        return Envelope::default();
    };
    let ceiling = admitted.plan.candidates.iter().map(|one| one.ceiling).max();
    let ceiling = ceiling.unwrap_or_default();
    let recipients = digest::recipients(&first.tool.operation, &first.input).len();
    let plan: Vec<Value> = admitted
        .plan
        .candidates
        .iter()
        .map(|one| json!({"tool": one.tool.id, "byok": one.own.is_some(), "input": one.input}))
        .collect();
    Envelope {
        id: call.id.clone(),
        tool: first.tool.id.clone(),
        provider: first.tool.provider.slug.clone(),
        status: Status::DryRun,
        data: Some(json!({
            "would": summary::summary(&first.tool, &first.input, ceiling),
            "effects": summary::effects(&first.tool, recipients),
            "cost_ceiling": ceiling.to_json_number(),
            "plan": plan,
        })),
        warnings: admitted.warnings.clone(),
        routing: admitted.plan.routing.clone(),
        ..Envelope::default()
    }
}

/// Charges, records and answers.
pub(super) async fn finish<P: ToolPort>(port: &P, told: Told<'_>, end: End) -> Envelope {
    let way = told.way;
    let margin = Margin::parse(port.var(MARGIN).as_deref()).unwrap_or_default();
    let mut envelope = Envelope {
        id: told.call.id.clone(),
        tool: way.tool.id.clone(),
        provider: way.tool.provider.slug.clone(),
        routing: told.routing.clone(),
        warnings: told.warnings.clone(),
        attribution: way.tool.provider.attribution.clone(),
        usage: Usage {
            byok: way.own.is_some(),
            latency_ms: port.now_ms().saturating_sub(told.began_ms),
            ..Usage::default()
        },
        ..Envelope::default()
    };
    let mut list = Nanos::ZERO;
    let mut made = None;
    let mut job = None;
    let state = match &end {
        End::Done(success) => {
            list = listed(port, &told, margin, success, &mut envelope);
            made.clone_from(&success.id);
            succeed(&told, success, &mut envelope);
            ExecutionState::Succeeded
        }
        End::TooLong => {
            let bare = Success::default();
            list = listed(port, &told, margin, &bare, &mut envelope);
            envelope.status = Status::Succeeded;
            let message = "It was done, and the answer was too long to be read";
            envelope
                .warnings
                .push(Warning::new("result_too_large", message));
            ExecutionState::Succeeded
        }
        End::Runs(running) => {
            envelope.status = Status::Running;
            envelope.data = Some(json!({"execution": told.call.id, "progress": running.progress}));
            job = Some(KeptJob {
                state: running.job.clone(),
                input: way.input.clone(),
                own: way.own.as_ref().map(|own| own.id.clone()),
                list: way.list,
                began_ms: told.began_ms,
                surface: told.call.surface.to_owned(),
            });
            ExecutionState::Running
        }
        End::Failed(failure) => fail(port, way, failure, &mut envelope),
        End::Problem(problem) => {
            envelope.status = Status::Failed;
            let mut error = of_problem(problem);
            error.message = scrubbed(way, &error.message);
            envelope.error = Some(error);
            ExecutionState::FailedClean
        }
        End::Cancelled => {
            envelope.status = Status::Cancelled;
            ExecutionState::Cancelled
        }
    };
    clear(way, &mut envelope);
    let charge = if way.own.is_some() { Nanos::ZERO } else { list };
    envelope.usage.cost = charge;
    let error = envelope.error.as_ref().map(|error| error.message.clone());
    let record = Record {
        id: &told.call.id,
        tool: &way.tool.id,
        provider: &way.tool.provider.slug,
        surface: told.call.surface,
        began_ms: told.began_ms,
        latency_ms: envelope.usage.latency_ms,
        status: envelope.status,
        error: error.as_deref(),
        upstream_id: made.as_deref(),
        charge,
        own_key: way.own.as_ref().map(|own| own.id.as_str()),
        list_cost: way.own.as_ref().map(|_| list),
        attempts: told.attempts,
    };
    let row = |record: &Record<'_>| {
        port.usage_row(record).unwrap_or_else(|error| {
            port.report(&format!("{}: {error}", told.call.id));
            Default::default()
        })
    };
    // Where another execution of the same name was charged, this one is not.
    let free = Record {
        charge: Nanos::ZERO,
        ..record
    };
    let free_row = (charge > Nanos::ZERO && told.call.is_named()).then(|| row(&free));
    let row = row(&record);
    let kept = Kept {
        envelope: envelope.clone(),
        job,
    };
    let call = ToolEnd {
        id: told.call.id.clone(),
        key_hash: told.payer.key_hash.clone(),
        state,
        charge,
        byok: if way.own.is_some() { list } else { Nanos::ZERO },
        row,
        free_row,
        answer: kept.write(),
        reason: error.unwrap_or_default(),
        ttl_ms: JOB_ASK_MS.min(i64::try_from(port.longest_hold_ms()).unwrap_or(JOB_ASK_MS)),
    };
    if let Some(ended) = tell(port, &told.payer.account, call).await {
        envelope.usage.cost = ended.charged;
        envelope.usage.balance_remaining = Some(ended.balance);
    }
    envelope
}

/// What a success is charged by its row and the margin, and its units. Never more than was held: that is what was shown, confirmed and wished
/// for, whatever a provider says afterwards.
fn listed<P: ToolPort>(
    port: &P,
    told: &Told<'_>,
    margin: Margin,
    success: &Success,
    envelope: &mut Envelope,
) -> Nanos {
    let (operation, input) = (&told.way.tool.operation, &told.way.input);
    let counted = price::counted(operation, input, &success.data);
    envelope.usage.units = success.units.or(counted);
    if told.way.credentials.is_keyless(&told.way.tool.provider) {
        return Nanos::ZERO;
    }
    let came_to = margin.on(price::charge(operation, input, success));
    if came_to > told.way.list {
        port.report(&format!(
            "{}: {} came to ${came_to}, and its row holds ${}: the rest is yours",
            told.call.id, told.way.tool.id, told.way.list
        ));
    }
    came_to.min(told.way.list)
}

fn succeed(told: &Told<'_>, success: &Success, envelope: &mut Envelope) {
    let way = told.way;
    envelope.status = Status::Succeeded;
    envelope.data = Some(success.data.clone());
    envelope.result.clone_from(&success.result);
    envelope.next.clone_from(&success.next);
    for missed in success.missed.iter().take(MAX_MISSED) {
        envelope.warnings.push(Warning {
            item: missed.item.clone(),
            ..Warning::new("partial_failure", missed.message.clone())
        });
    }
    let undo = connector::undo(&way.tool, &way.input, &success.data, told.before.as_ref());
    envelope.undo = undo.map(|undo| Undo {
        tool: format!("{}/{}", way.tool.provider.slug, undo.operation),
        input: undo.input,
        class: undo.class.as_str().to_owned(),
        note: undo.note,
    });
}

/// What a failure means: the state of the execution, and what the client is told.
fn fail<P: ToolPort>(
    port: &P,
    way: &Candidate,
    failure: &Failure,
    envelope: &mut Envelope,
) -> ExecutionState {
    let state = attempt::state_after(way, failure);
    let provider = &way.tool.provider;
    let own = way.own.as_ref();
    let (code, message) = match failure.class {
        _ if state == ExecutionState::Unknown => (
            "outcome_unknown",
            format!(
                "Nobody knows whether {} did it: {}",
                provider.name, failure.message
            ),
        ),
        // Nobody was asked: there is no token for it.
        Class::Auth if own.is_some() && failure.status == 0 => (
            "byok_rejected",
            format!(
                "Your own key {} does not do: {}",
                own.map(|own| own.label.as_str()).unwrap_or_default(),
                failure.message
            ),
        ),
        Class::Auth if own.is_some() => (
            "byok_rejected",
            format!(
                "{} refused your own key {}: check it, or replace it",
                provider.name,
                own.map(|own| own.label.as_str()).unwrap_or_default()
            ),
        ),
        Class::Auth => (
            "provider_error",
            format!("{} refused the operator's key", provider.name),
        ),
        Class::Quota => (
            "provider_quota_exhausted",
            format!("{}: the plan is used up", provider.name),
        ),
        Class::Invalid => ("invalid_request", failure.message.clone()),
        Class::Permission => ("permission_denied", failure.message.clone()),
        Class::NotFound => ("not_found", failure.message.clone()),
        Class::Conflict => ("conflict", failure.message.clone()),
        Class::RateLimited => ("rate_limit_exceeded", failure.message.clone()),
        Class::Timeout => ("provider_timeout", failure.message.clone()),
        Class::Unavailable => ("provider_unavailable", failure.message.clone()),
        Class::Refused => ("refused", failure.message.clone()),
        Class::Provider | Class::Empty => ("provider_error", failure.message.clone()),
    };
    if own.is_none() && matches!(failure.class, Class::Auth | Class::Quota) {
        let why = scrubbed(way, &failure.message);
        let class = failure.class.as_str();
        port.report(&format!(
            "the operator's key at {}: {class}: {why}",
            provider.slug
        ));
    }
    let mut error = ToolError::new(code, failure.class.as_str(), message);
    error.param = failure
        .param
        .as_ref()
        .map(|param| format!("/{}", param.trim_start_matches('/')));
    error.provider_status = Some(failure.status).filter(|status| *status > 0);
    error.provider_code.clone_from(&failure.code);
    error.retry_after = failure.retry_after;
    if state == ExecutionState::Unknown {
        let keyed = way.tool.operation.retry.kind == RetryKind::Key;
        let advice = if keyed {
            "Send it again with the same Idempotency-Key: the provider carries it out once"
        } else {
            "It is not sent again under the same Idempotency-Key: look at the provider first"
        };
        error.details = Some(json!({"may_send_again": keyed, "advice": advice}));
    }
    envelope.status = match state {
        ExecutionState::Unknown => Status::Unknown,
        _ => Status::Failed,
    };
    envelope.error = Some(error);
    state
}

/// Takes every secret out of what goes out.
fn clear(way: &Candidate, envelope: &mut Envelope) {
    let secrets = way.credentials.secrets(&way.tool.provider);
    if secrets.is_empty() {
        return;
    }
    let values = [&mut envelope.data, &mut envelope.result, &mut envelope.next];
    for value in values.into_iter().flatten() {
        connector::scrub(value, &secrets);
    }
    if let Some(undo) = &mut envelope.undo {
        connector::scrub(&mut undo.input, &secrets);
    }
    for warning in &mut envelope.warnings {
        warning.message = scrubbed(way, &warning.message);
        if let Some(item) = &mut warning.item {
            connector::scrub(item, &secrets);
        }
    }
    if let Some(error) = &mut envelope.error {
        error.message = scrubbed(way, &error.message);
        error.provider_code = error.provider_code.take().map(|code| scrubbed(way, &code));
    }
}

/// Tells the object until it has heard. What is not told is charged and recorded when it is: the ledger takes it late.
pub(super) async fn tell<P: ToolPort>(port: &P, account: &str, call: ToolEnd) -> Option<ToolEnded> {
    let mut pauses = RETRIES_MS.into_iter();
    for _ in 0..=TRIES_BEFORE {
        match port.ledger(account, &call).await {
            Ok(ended) => return Some(ended),
            Err(error) => port.report(&format!("{} could not be recorded yet: {error}", call.id)),
        }
        port.sleep(pauses.next().unwrap_or(1_000)).await;
    }
    let (behind, account) = (port.clone(), account.to_owned());
    let call = Rc::new(call);
    port.spawn(
        async move {
            for pause in pauses {
                match behind.ledger(&account, &*call).await {
                    Ok(_) => return,
                    Err(error) => {
                        behind.report(&format!("{} is not recorded: {error}", call.id));
                    }
                }
                behind.sleep(pause).await;
            }
        }
        .boxed_local(),
    );
    None
}
