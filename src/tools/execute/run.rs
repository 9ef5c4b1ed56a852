//! Running one execution from the call to its envelope.
//!
//! What a read fails at is tried with the next way; what changes the world is tried once, and once more only where the provider carries out a
//! key once. What was admitted is told to the account's object whatever happens: [`super::finish`].

use super::{
    Attempt, Call, OwnKey, Payer, ToolPort,
    admit::{self, Admitted, Door},
    attempt::{self, Ask, Did},
    finish::{self, End},
    plan::{self, Candidate},
};
use crate::tools::{
    catalog::{Effect, ToolView},
    connector::{self, Failure, Outcome, Problem, Running},
    envelope::{Envelope, ToolError, Warning},
};

/// The pause before the same request is sent once more.
const PAUSE_MS: u64 = 250;

/// Executes a call for whoever pays, over what the key sees of the catalog and with the provider keys that its account brought. What a client
/// can cause is told in the envelope.
pub async fn run<P: ToolPort>(
    port: &P,
    view: &ToolView,
    payer: &Payer,
    own: &[OwnKey],
    call: Call,
) -> Envelope {
    let began_ms = port.now_ms();
    let mut envelope = executed(port, view, payer, own, &call, began_ms).await;
    if !envelope.replayed {
        envelope.usage.latency_ms = port.now_ms().saturating_sub(began_ms);
    }
    envelope
}

async fn executed<P: ToolPort>(
    port: &P,
    view: &ToolView,
    payer: &Payer,
    own: &[OwnKey],
    call: &Call,
    began_ms: u64,
) -> Envelope {
    if let Err(error) = plan::check_key(call.idempotency_key.as_deref()) {
        return Envelope::failed(&call.id, &call.tool, error);
    }
    let planned = match plan::plan(port, view, own, call) {
        Ok(planned) => planned,
        Err((tool, error)) => return Envelope::failed(&call.id, &tool, error),
    };
    let admitted = match admit::admit(port, payer, call, planned).await {
        Door::Open(admitted) => admitted,
        Door::Closed(envelope) => return *envelope,
    };
    if call.dry_run {
        return finish::dry(call, &admitted);
    }
    // From here on what happens is recorded, whether or not the client waits for it.
    port.detach();
    let mut work = Work {
        port,
        view,
        upstream_key: plan::upstream_key(&payer.account, call),
        admitted,
        attempts: Vec::new(),
        before: None,
    };
    let Some((way, end)) = work.done().await else {
        let error = ToolError::new("internal_error", "gateway", "no way was planned");
        return Envelope::failed(&call.id, &call.tool, error);
    };
    let Work {
        admitted,
        attempts,
        before,
        ..
    } = work;
    let told = finish::Told {
        call,
        payer,
        way: &way,
        before,
        attempts: &attempts,
        began_ms,
        routing: admitted.plan.routing,
        warnings: admitted.warnings,
    };
    finish::finish(port, told, end).await
}

/// An execution under way.
struct Work<'a, P> {
    port: &'a P,
    view: &'a ToolView,
    upstream_key: [u8; 32],
    admitted: Admitted,
    attempts: Vec<Attempt>,
    /// What was there before, for whoever undoes it.
    before: Option<serde_json::Value>,
}

impl<P: ToolPort> Work<'_, P> {
    /// Tries one way after the other. Only a plan without any answers nothing, and none was admitted.
    async fn done(&mut self) -> Option<(Candidate, End)> {
        let ways = self.admitted.plan.candidates.clone();
        let mut last: Option<(Candidate, End)> = None;
        let count = ways.len();
        for (at, way) in ways.into_iter().enumerate() {
            let is_last = at + 1 == count;
            if at == 0 {
                self.look_before(&way).await;
            }
            let end = self.by(&way, is_last).await;
            let goes_on = match &end {
                End::Failed(failure) => attempt::is_passing(failure),
                End::Problem(Problem::Misconfigured(_)) => true,
                _ => false,
            };
            let is_read = way.tool.operation.effect == Effect::Read;
            let ends = !goes_on || !is_read;
            if ends {
                return Some((way, end));
            }
            last = Some((way, end));
        }
        last
    }

    /// One way, and once more where the same request may be repeated and nothing else is left to try.
    async fn by(&mut self, way: &Candidate, is_last: bool) -> End {
        let mut repeated = false;
        loop {
            let did = attempt::attempt(
                self.port,
                way,
                &Ask::Operation,
                &self.upstream_key,
                self.admitted.deadline_ms,
                &mut self.attempts,
            )
            .await;
            match did {
                Did::Problem(problem) => return End::Problem(problem),
                Did::TooLong => return End::TooLong,
                Did::Outcome(Outcome::Success(success)) => return End::Done(success),
                Did::Outcome(Outcome::Running(running)) => return self.wait(way, *running).await,
                Did::Outcome(Outcome::Failure(failure)) => {
                    let again = is_last && !repeated && attempt::may_repeat(way, &failure);
                    if !again || self.is_late() {
                        return End::Failed(failure);
                    }
                    repeated = true;
                    self.port.sleep(PAUSE_MS).await;
                }
            }
        }
    }

    fn is_late(&self) -> bool {
        self.port.now_ms() + PAUSE_MS >= self.admitted.deadline_ms
    }

    /// Asks for a job as long as its row allows within one call.
    async fn wait(&mut self, way: &Candidate, mut running: Running) -> End {
        let job = way.tool.operation.response.job.as_ref();
        let until_ms = self.port.now_ms() + job.map_or(0, |job| job.max_ms);
        loop {
            if self.port.now_ms() + running.after_ms > until_ms {
                return End::Runs(Box::new(running));
            }
            self.port.sleep(running.after_ms).await;
            let did = attempt::attempt(
                self.port,
                way,
                &Ask::Poll(&running.job),
                &self.upstream_key,
                self.admitted.deadline_ms,
                &mut self.attempts,
            )
            .await;
            match did {
                Did::Outcome(Outcome::Success(success)) => return End::Done(success),
                Did::Outcome(Outcome::Running(further)) => running = *further,
                Did::Outcome(Outcome::Failure(failure)) if is_final(&failure) => {
                    return End::Failed(failure);
                }
                Did::TooLong => return End::TooLong,
                // The job goes on whatever became of a question about it.
                Did::Outcome(Outcome::Failure(_)) | Did::Problem(_) => {
                    return End::Runs(Box::new(running));
                }
            }
        }
    }

    /// Reads what would be changed, where undoing needs it.
    async fn look_before(&mut self, way: &Candidate) {
        let Some((operation, input)) = connector::before(&way.tool, &way.input) else {
            return;
        };
        let Some(sibling) = self.view.catalog().sibling(&way.tool, &operation) else {
            return;
        };
        let reading = Candidate {
            tool: std::rc::Rc::clone(sibling),
            input,
            ..way.clone()
        };
        let did = attempt::attempt(
            self.port,
            &reading,
            &Ask::Operation,
            &self.upstream_key,
            self.admitted.deadline_ms,
            &mut self.attempts,
        )
        .await;
        match did {
            Did::Outcome(Outcome::Success(success)) => self.before = Some(success.data),
            _ => self.admitted.warnings.push(Warning::new(
                "not_undoable",
                "What was there before could not be read: it cannot be put back",
            )),
        }
    }
}

/// Whether a failed question about a job was answered, and so says that the job failed.
pub(super) fn is_final(failure: &Failure) -> bool {
    failure.status > 0
}

/// A problem with a request, as an error.
pub(super) fn of_problem(problem: &Problem) -> ToolError {
    match problem {
        Problem::Input { param, message } => ToolError::input(param.clone(), message.clone()),
        Problem::Misconfigured(what) => ToolError::new("adapter_error", "gateway", what.clone()),
    }
}
