//! Before anything is sent: asking the account's object, and what its answer means to the caller.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;

use super::{
    Call, Payer, Record, ToolPort, digest,
    kept::Kept,
    plan::{self, Candidate, Plan},
    refusal, summary,
};
use crate::{
    credits::{
        money::Nanos,
        ops::{Confirm, ExecutionState, ExecutionView, Hold, ToolBegin, ToolBegun},
    },
    tools::{
        catalog::{Effect, RetryKind},
        envelope::{Confirmation, Envelope, Status, ToolError, Warning},
    },
};

/// The variable with what is confirmed where neither key nor account says: `never`, `destructive`, `writes` or `always`.
pub const CONFIRM: &str = "TOOLS_CONFIRM";
/// How long an execution may take beside its requests.
const GRACE_MS: u64 = 5_000;
/// The longest that an execution is waited for.
const MAX_MS: u64 = 600_000;

/// An execution that may be sent.
pub(super) struct Admitted {
    pub plan: Plan,
    /// Nothing is sent so late that its answer would come later than this, unix milliseconds.
    pub deadline_ms: u64,
    pub warnings: Vec<Warning>,
}

/// What the object said.
pub(super) enum Door {
    Open(Admitted),
    /// This is the answer.
    Closed(Box<Envelope>),
}

/// Asks whether a planned execution may be sent.
pub(super) async fn admit<P: ToolPort>(
    port: &P,
    payer: &Payer,
    call: &Call,
    mut plan: Plan,
) -> Door {
    let token = match port.random() {
        Ok(random) => BASE64_URL_SAFE_NO_PAD.encode(random),
        Err(error) => {
            port.report(&format!("{}: {error}", call.id));
            let error = ToolError::new("internal_error", "gateway", "There is no randomness");
            return closed(call, &plan, error);
        }
    };
    // A second time where the object wants another tool than was planned, as it was sent or confirmed before.
    for _ in 0..2 {
        let now_ms = port.now_ms();
        let ttl_ms = lifetime_ms(&plan).min(port.longest_hold_ms());
        let begin = match begin(port, payer, call, &plan, &token, ttl_ms) {
            Ok(begin) => begin,
            Err(error) => return closed(call, &plan, error),
        };
        let asked = port.ledger(&payer.account, &begin).await;
        // Asking again with the same id changes nothing.
        let asked = match asked {
            Ok(begun) => Ok(begun),
            Err(_) => port.ledger(&payer.account, &begin).await,
        };
        let begun = match asked {
            Ok(begun) => begun,
            Err(error) => {
                port.report(&format!("{}: {error}", call.id));
                let message = "The account cannot be asked right now: nothing was sent, try again";
                let error = ToolError {
                    retry_after: Some(1),
                    ..ToolError::new("gateway_unavailable", "gateway", message)
                };
                return closed(call, &plan, error);
            }
        };
        match begun {
            ToolBegun::Granted { repeats, .. } => {
                return Door::Open(Admitted {
                    deadline_ms: now_ms + ttl_ms,
                    warnings: repeated(repeats),
                    plan,
                });
            }
            ToolBegun::Pinned { tool } => {
                plan.pin(&tool);
                if plan.candidates.is_empty() {
                    let message = format!(
                        "This was begun or confirmed with {tool}, which cannot be called now"
                    );
                    let error = ToolError::new("conflict", "gateway", message);
                    return Door::Closed(Box::new(Envelope::failed(&call.id, &tool, error)));
                }
            }
            other => return answered(port, call, &plan, other, &token),
        }
    }
    let error = ToolError::new("internal_error", "gateway", "The account changed its mind");
    closed(call, &plan, error)
}

fn closed(call: &Call, plan: &Plan, error: ToolError) -> Door {
    let tool = plan.candidates.first().map(|first| first.tool.id.as_str());
    let envelope = Envelope::failed(&call.id, tool.unwrap_or(&call.tool), error);
    Door::Closed(Box::new(Envelope {
        routing: plan.routing.clone(),
        ..envelope
    }))
}

fn repeated(repeats: i64) -> Vec<Warning> {
    let told = || {
        Warning::new(
            "repeated",
            format!(
                "The same was sent {repeats} times in the last minute: send an Idempotency-Key with each intended execution"
            ),
        )
    };
    (repeats > 0).then(told).into_iter().collect()
}

/// What the object is asked.
fn begin<P: ToolPort>(
    port: &P,
    payer: &Payer,
    call: &Call,
    plan: &Plan,
    token: &str,
    ttl_ms: u64,
) -> Result<ToolBegin, ToolError> {
    let internal = |what: &str| ToolError::new("internal_error", "gateway", what);
    let first = plan
        .candidates
        .first()
        .ok_or_else(|| internal("no way was planned"))?;
    let operation = &first.tool.operation;
    let most = |of: fn(&Candidate) -> Nanos| plan.candidates.iter().map(of).max();
    let own = plan.candidates.iter().filter(|one| one.own.is_some());
    let record = Record {
        id: &call.id,
        tool: &first.tool.id,
        provider: &first.tool.provider.slug,
        surface: call.surface,
        began_ms: port.now_ms(),
        latency_ms: 0,
        status: Status::Unknown,
        error: None,
        upstream_id: None,
        charge: Nanos::ZERO,
        own_key: first.own.as_ref().map(|own| own.id.as_str()),
        list_cost: None,
        attempts: &[],
    };
    let row = port
        .usage_row(&record)
        .map_err(|error| internal(&error.to_string()))?;
    let default_confirm = port.var(CONFIRM);
    let default_confirm = default_confirm.as_deref().and_then(Confirm::parse);
    Ok(ToolBegin {
        hold: Hold {
            id: call.id.clone(),
            key_hash: payer.key_hash.clone(),
            amount: most(|one| one.ceiling).unwrap_or_default(),
            ttl_ms: i64::try_from(ttl_ms).unwrap_or(i64::MAX),
            row,
            secret: payer.secret.clone(),
            member: payer.member.clone(),
            byok: own.map(|one| one.list).max().unwrap_or_default(),
            ..Hold::default()
        },
        tool: first.tool.id.clone(),
        fingerprint: digest::fingerprint(call),
        idempotency_key: plan::name(call),
        effect: operation.effect,
        resend: operation.effect == Effect::Read || operation.retry.kind != RetryKind::None,
        recipients: digest::recipients(operation, &first.input),
        confirm: call.confirm,
        default_confirm: default_confirm.unwrap_or(Confirm::Destructive),
        confirmation: call.confirmation.as_deref().map(digest::of_token),
        offer: digest::of_token(token),
        parent: call.step.as_ref().map(|step| step.parent.clone()),
        holder: call.step.as_ref().and_then(|step| step.holder.clone()),
        surface: call.surface.to_owned(),
        dry_run: call.dry_run,
    })
}

/// How long the execution may be under way: all its requests one after the other.
fn lifetime_ms(plan: &Plan) -> u64 {
    let one = |way: &Candidate| {
        let operation = &way.tool.operation;
        let job = operation.response.job.as_ref();
        let timeout = operation.timeout_ms(&way.tool.provider);
        timeout + job.map_or(0, |job| job.max_ms + timeout)
    };
    let sum: u64 = plan.candidates.iter().map(one).sum();
    let first = plan.candidates.first().map_or(0, one);
    // The first may be asked twice, and something may be read before it.
    (sum + 2 * first + GRACE_MS).min(MAX_MS)
}

/// The envelope of an answer that lets nothing through.
fn answered<P: ToolPort>(
    port: &P,
    call: &Call,
    plan: &Plan,
    begun: ToolBegun,
    token: &str,
) -> Door {
    let now_ms = port.now_ms();
    match begun {
        ToolBegun::Replay(view) => Door::Closed(Box::new(replay(&view, true))),
        ToolBegun::InProgress { id, retry_after_s } => {
            let message =
                format!("{id} is under way under this idempotency key: ask again in a moment");
            let error = ToolError {
                retry_after: Some(retry_after_s),
                details: Some(json!({"execution": id})),
                ..ToolError::new("idempotency_in_progress", "client", message)
            };
            closed(call, plan, error)
        }
        ToolBegun::Mismatch { id } => {
            let message = format!(
                "This idempotency key stands for another tool, input or provider wish ({id})"
            );
            let error = ToolError {
                details: Some(json!({"execution": id})),
                ..ToolError::new("idempotency_mismatch", "client", message)
            };
            closed(call, plan, error)
        }
        ToolBegun::Guarded(hit) => closed(call, plan, refusal::of_guard(&hit, now_ms)),
        ToolBegun::Refused(refused) => closed(call, plan, refusal::of_hold(&refused)),
        ToolBegun::Confirm {
            expires_at,
            reason,
            problem,
        } => asked(call, plan, token, (expires_at, reason, problem)),
        ToolBegun::Granted { .. } | ToolBegun::Pinned { .. } => {
            let error = ToolError::new("internal_error", "gateway", "An answer was read twice");
            closed(call, plan, error)
        }
    }
}

fn asked(
    call: &Call,
    plan: &Plan,
    token: &str,
    (expires_at, reason, problem): (i64, String, Option<String>),
) -> Door {
    let Some(first) = plan.candidates.first() else {
        let error = ToolError::new("internal_error", "gateway", "no way was planned");
        return closed(call, plan, error);
    };
    let ceiling = plan.candidates.iter().map(|one| one.ceiling).max();
    let cost_ceiling = ceiling.unwrap_or_default();
    let recipients = digest::recipients(&first.tool.operation, &first.input).len();
    let error = problem.map(|problem| {
        let why = match problem.as_str() {
            "expired" => "its time is over",
            "used" => "it was used before",
            "other_arguments" => "it was given for other arguments",
            "price" => "it was given at a lower price",
            _ => "it is not known for this key",
        };
        ToolError {
            details: Some(json!({"reason": problem})),
            ..ToolError::new(
                "confirmation_invalid",
                "client",
                format!("The confirmation does not do: {why}. Confirm anew"),
            )
        }
    });
    Door::Closed(Box::new(Envelope {
        id: call.id.clone(),
        tool: first.tool.id.clone(),
        provider: first.tool.provider.slug.clone(),
        status: Status::ConfirmationRequired,
        error,
        routing: plan.routing.clone(),
        confirmation: Some(Confirmation {
            token: token.to_owned(),
            expires_at,
            summary: summary::summary(&first.tool, &first.input, cost_ceiling),
            effects: summary::effects(&first.tool, recipients),
            cost_ceiling,
            reason,
        }),
        ..Envelope::default()
    }))
}

/// What is kept of an execution as its answer.
pub(super) fn replay(view: &ExecutionView, replayed: bool) -> Envelope {
    let kept = view.answer.as_ref().and_then(|kept| Kept::read(kept.get()));
    let mut envelope = kept.map_or_else(|| bare(view), |kept| kept.envelope);
    envelope.replayed = replayed;
    // A stored answer of a job still says that it runs.
    if envelope.status == Status::Running && view.state == ExecutionState::Unknown {
        envelope.warnings.push(Warning::new(
            "overdue",
            "It runs for longer than expected, or was never asked about",
        ));
    }
    envelope
}

/// The envelope of an execution that left none.
fn bare(view: &ExecutionView) -> Envelope {
    let error = |code: &str, message: &str| Some(ToolError::new(code, "gateway", message));
    let (status, error) = match view.state {
        ExecutionState::Succeeded => (Status::Succeeded, None),
        ExecutionState::Sent => (Status::Running, None),
        ExecutionState::Running => (Status::Running, None),
        ExecutionState::Cancelled => (Status::Cancelled, None),
        ExecutionState::Failed | ExecutionState::FailedClean => {
            let message = "It failed, and its answer was not kept";
            (Status::Failed, error("provider_error", message))
        }
        ExecutionState::Unknown => {
            let message = "It was sent, or was about to be, and told no end: look at the provider before you send it again under another key";
            (Status::Unknown, error("outcome_unknown", message))
        }
    };
    let provider = view.tool.split_once('/').map_or("", |(slug, _)| slug);
    let mut envelope = Envelope {
        id: view.id.clone(),
        tool: view.tool.clone(),
        provider: provider.to_owned(),
        status,
        error,
        ..Envelope::default()
    };
    envelope.usage.cost = view.charged;
    envelope
}
