//! Executions afterwards: one that is kept, a job that is asked about again, a job that is stopped.

use super::{
    Call, OwnKey, Payer, ToolPort,
    admit::replay,
    attempt::{self, Ask, Did},
    finish::{self, End, Told},
    kept::{Kept, KeptJob},
    plan::Candidate,
    run::is_final,
};
use crate::{
    credits::ops::{ExecutionState, ExecutionView, ToolGet},
    tools::{
        catalog::ToolView,
        connector::{Credentials, Outcome},
        envelope::{Envelope, ToolError},
    },
};

/// How long a question about a job may take.
const POLL_MS: u64 = 60_000;

/// One execution as it stands; a job is asked about first.
///
/// # Errors
/// Where there is none of this id, or the account cannot be asked.
pub async fn look<P: ToolPort>(
    port: &P,
    view: &ToolView,
    payer: &Payer,
    own: &[OwnKey],
    id: &str,
) -> Result<Envelope, ToolError> {
    let found = find(port, payer, id).await?;
    match job(&found, view, own, port) {
        None => Ok(replay(&found, false)),
        Some((way, kept)) => {
            let ask = Ask::Poll(&kept.state);
            Ok(asked(port, payer, &found, &way, &kept, ask).await)
        }
    }
}

/// Stops a job where its provider can.
///
/// # Errors
/// Where there is none of this id, it has ended, or its provider cannot stop it.
pub async fn cancel<P: ToolPort>(
    port: &P,
    view: &ToolView,
    payer: &Payer,
    own: &[OwnKey],
    id: &str,
) -> Result<Envelope, ToolError> {
    let found = find(port, payer, id).await?;
    let cannot = |why: &str| ToolError::new("not_cancellable", "client", why);
    let Some((way, kept)) = job(&found, view, own, port) else {
        let why = "Only what still runs at its provider can be stopped";
        return Err(cannot(why));
    };
    let row = way.tool.operation.response.job.as_ref();
    if row.is_none_or(|job| job.cancel.is_none()) {
        return Err(cannot("Its provider cannot stop it"));
    }
    let ask = Ask::Cancel(&kept.state);
    Ok(asked(port, payer, &found, &way, &kept, ask).await)
}

async fn find<P: ToolPort>(port: &P, payer: &Payer, id: &str) -> Result<ExecutionView, ToolError> {
    let get = ToolGet { id: id.to_owned() };
    match port.ledger(&payer.account, &get).await {
        // What a key did is its own affair.
        Ok(Some(found)) if found.key_hash == payer.key_hash => Ok(found),
        Ok(_) => {
            let message =
                format!("No execution {id} is kept for this account: they are kept for a day");
            Err(ToolError::new("execution_not_found", "client", message))
        }
        Err(error) => {
            port.report(&format!("{id}: {error}"));
            let message = "The account cannot be asked right now: try again";
            Err(ToolError::new("gateway_unavailable", "gateway", message))
        }
    }
}

/// What is needed to ask about a job, where it may still run.
fn job<P: ToolPort>(
    found: &ExecutionView,
    view: &ToolView,
    own: &[OwnKey],
    port: &P,
) -> Option<(Candidate, KeptJob)> {
    let open = matches!(
        found.state,
        ExecutionState::Running | ExecutionState::Unknown
    );
    if !open || found.ended.is_some() {
        return None;
    }
    let kept = Kept::read(found.answer.as_ref()?.get())?.job?;
    let tool = view.catalog().get(&found.tool)?;
    let key = match &kept.own {
        Some(id) => Some(own.iter().find(|key| key.id == *id)?),
        None => None,
    };
    let var = |name: &str| port.var(name);
    let credentials = Credentials::of(tool, key.map(|key| key.secret.as_str()), &var).ok()?;
    let way = Candidate {
        tool: tool.clone(),
        input: kept.input.clone(),
        credentials,
        own: key.cloned(),
        ceiling: kept.list,
        list: kept.list,
    };
    Some((way, kept))
}

async fn asked<P: ToolPort>(
    port: &P,
    payer: &Payer,
    found: &ExecutionView,
    way: &Candidate,
    kept: &KeptJob,
    ask: Ask<'_>,
) -> Envelope {
    port.detach();
    let mut attempts = Vec::new();
    let deadline_ms = port.now_ms() + POLL_MS;
    let none = [0; 32];
    let did = attempt::attempt(port, way, &ask, &none, deadline_ms, &mut attempts).await;
    let end = match (did, ask) {
        (Did::Outcome(Outcome::Success(_)), Ask::Cancel(_)) => End::Cancelled,
        (Did::Outcome(Outcome::Success(success)), _) => End::Done(success),
        (Did::TooLong, _) => End::TooLong,
        (Did::Outcome(Outcome::Failure(failure)), Ask::Poll(_)) if is_final(&failure) => {
            End::Failed(failure)
        }
        // The job goes on whatever became of the question.
        _ => return replay(found, false),
    };
    let call = Call {
        id: found.id.clone(),
        tool: found.tool.clone(),
        input: kept.input.clone(),
        surface: surface(&kept.surface),
        ..Call::default()
    };
    let told = Told {
        call: &call,
        payer,
        way,
        before: None,
        attempts: &attempts,
        began_ms: kept.began_ms,
        routing: None,
        warnings: Vec::new(),
    };
    finish::finish(port, told, end).await
}

fn surface(word: &str) -> &'static str {
    ["mcp", "a2a", "openai", "composite"]
        .into_iter()
        .find(|known| *known == word)
        .unwrap_or("rest")
}
