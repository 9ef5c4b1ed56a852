//! Operations beside conversation, on the same way: one hold, attempts with fallback, one settlement.
//!
//! An answer in one piece may take several calls of one provider (`dialects::operations::requests`), made one after the other: the
//! attempt is as good as the last of them. Sound is handed on as it comes; its first bytes commit the request as a stream's first content
//! does. A sound that breaks off is charged as delivered, and the row says that it broke.
//! Out of scope: what is asked and answered (`operations`), how it is spelt (`dialects::operations`).

use std::{collections::VecDeque, rc::Rc};

use futures::{StreamExt, future::LocalBoxFuture};
use serde_json::{Map, Value};

use super::{
    attempt::{Around, Attempt, target},
    flow::stalled,
    job::Job,
    limits::IDLE_MS,
    measure::Ended,
    ports::{Platform, UpstreamCall, UpstreamResponse},
    run::Running,
    watch::Denied,
};
use crate::{
    catalog::{Dialect, Provider, Route},
    dialects::{NativeRequest, operations},
    error::{Error, ErrorType, Next, Result, Source},
    operations::{Answered, Ask},
    routing::{Credential, Step},
};

/// Whom to call, with whose key, and the client's own fields for it.
type To = (Rc<Provider>, Credential, Option<Rc<Map<String, Value>>>);

/// Calls of one provider that are still to be made.
#[derive(Default)]
pub(super) struct Calls {
    to: Option<To>,
    requests: VecDeque<NativeRequest>,
}

impl Calls {
    /// Makes the next one.
    pub(super) fn next<P: Platform>(
        &mut self,
        platform: &P,
    ) -> Option<LocalBoxFuture<'static, Result<UpstreamResponse<P::Body>>>> {
        let (provider, credential, options) = self.to.as_ref()?;
        let request = self.requests.pop_front()?;
        // A form cannot take further fields of somebody else's.
        let is_json = request
            .headers
            .iter()
            .all(|(name, _)| *name != "content-type");
        let options = options.as_deref().filter(|_| is_json);
        Some(platform.send(UpstreamCall {
            provider: Rc::clone(provider),
            credential: credential.clone(),
            request: request.with_options(options),
        }))
    }
}

/// Whether the answer is sound rather than JSON.
pub(super) fn is_sound(job: &Job) -> bool {
    matches!(job.ask.as_deref(), Some(Ask::Speech(_)))
}

/// The dialect of the provider's errors.
pub(super) fn error_dialect(job: &Job, route: &Route) -> Dialect {
    match &job.ask {
        Some(ask) => operations::error_dialect(ask, &target(route)),
        None => route.dialect(),
    }
}

/// The provider under the base URL of the operation.
fn provider_of(ask: &Ask, route: &Route) -> Rc<Provider> {
    let wire = route.provider.wire(ask.operation());
    match wire.and_then(|wire| wire.base_url.clone()) {
        None => Rc::clone(&route.provider),
        Some(base_url) => Rc::new(Provider {
            base_url,
            ..(*route.provider).clone()
        }),
    }
}

impl<'a, P: Platform> Attempt<'a, P> {
    /// Calls the endpoint of this step for an operation.
    pub(super) fn operate(
        around: &Around<P>,
        job: &'a Job,
        planned: &Step,
        credential: Credential,
    ) -> Result<Self> {
        let route = &planned.route;
        let ask = job.ask.as_deref();
        let ask = ask.ok_or_else(|| Error::internal("the job asks for no operation"))?;
        affordable(job, ask, route)?;
        let mut rest = Calls {
            to: Some((provider_of(ask, route), credential, planned.options.clone())),
            requests: operations::requests(ask, &target(route))?.into(),
        };
        let dispatched = around.platform.now_ms();
        let prompt_tokens = job.prompt_tokens;
        let at = around
            .tab
            .borrow_mut()
            .begin(planned, prompt_tokens, Vec::new(), dispatched);
        around.platform.attempt_begins(route);
        let call = rest.next(&around.platform);
        let call = call.ok_or_else(|| Error::internal("an operation without a call"))?;
        Ok(Self::called(at, dispatched, job, route, call, rest))
    }
}

/// `max_cost` leaves out endpoints where the request will probably cost more.
fn affordable(job: &Job, ask: &Ask, route: &Route) -> Result<()> {
    let Some(cap) = job.wishes.max_cost else {
        return Ok(());
    };
    let cost = route.endpoint.prices.cost(&ask.expected());
    if cost.is_ok_and(|charge| charge.total <= cap) {
        return Ok(());
    }
    let message = format!("This request costs more than max_cost of ${cap} at every endpoint");
    let next = Next::NextAttempt;
    let error = Error::new(Source::Client, next, ErrorType::PaymentRequired, message);
    Err(error.with("limit_source", "max_cost"))
}

impl<P: Platform> Running<'_, P> {
    /// Reads and checks an operation's answer.
    pub(super) fn operated(
        &mut self,
        job: &Job,
        attempt: &Attempt<'_, P>,
        last: Vec<u8>,
    ) -> Result<Answered> {
        let now = self.platform.now_ms();
        let ask = job.ask.as_deref();
        let ask = ask.ok_or_else(|| Error::internal("the job asks for no operation"))?;
        let mut bodies = attempt.answers.clone();
        bodies.push(last);
        let mut tab = self.tab();
        tab.arrived(now);
        let answered = operations::answer(ask, &target(attempt.route()), &bodies)?;
        if let Some(seen) = tab.seen_mut(attempt.at) {
            seen.operated(answered.usage, true, now);
            seen.upstream_id.clone_from(&answered.upstream_id);
        }
        Ok(answered)
    }

    /// Settles an operation's answer and hands it to the client.
    pub(super) async fn hand_over_operation(
        &mut self,
        job: &Job,
        answered: &Answered,
    ) -> Result<(), Denied> {
        self.granted().await?;
        self.serving_ended(Ended::Answered { as_stream: false });
        let report = self.settle().await;
        let meta = self.tab().meta();
        let written = job
            .ask
            .as_deref()
            .map(|ask| operations::client::write(ask, answered, &meta, &report));
        let tokens = (report.usage.prompt, report.usage.completion);
        self.answer(written.unwrap_or_default(), tokens).await;
        Ok(())
    }

    /// Carries sound from its first bytes to its end.
    pub(super) async fn carry_sound(
        &mut self,
        job: &Job,
        attempt: Attempt<'_, P>,
    ) -> Result<(), Denied> {
        let at = attempt.at;
        let (Some((mut body, mut bytes)), Some(Ask::Speech(ask))) =
            (attempt.into_sound(), job.ask.as_deref())
        else {
            return Ok(());
        };
        self.granted().await?;
        let mut length = 0u64;
        let failure = loop {
            length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let now = self.platform.now_ms();
            if let Some(seen) = self.tab().seen_mut(at) {
                seen.operated(ask.used(length), false, now);
            }
            self.write(bytes).await;
            let by = now.saturating_add(IDLE_MS).min(self.end_ms);
            bytes = match self.wait(by, body.next()).await? {
                Some(Some(Ok(next))) => next,
                Some(Some(Err(error))) => break Some(error),
                Some(None) => break None,
                None => break Some(stalled("between_events", IDLE_MS)),
            };
        };
        match failure {
            None => {
                self.platform.release(body);
                let now = self.platform.now_ms();
                if let Some(seen) = self.tab().seen_mut(at) {
                    seen.operated(ask.used(length), true, now);
                }
                self.attempt_ended(at, Ended::Answered { as_stream: true });
            }
            Some(error) => {
                drop(body);
                self.attempt_ended(at, Ended::Failed(&error));
                let mut tab = self.tab();
                tab.break_part(&error);
                tab.fail(error.to_string());
            }
        }
        self.settle().await;
        Ok(())
    }
}
