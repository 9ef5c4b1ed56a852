//! A refused hold in words: what the account can afford, or what is wrong with the key.

mod rules;

use std::rc::Rc;

use super::{
    bill::{answers, output_bounds},
    job::Job,
};
use crate::{
    catalog::Endpoint,
    chat::Usage,
    credits::{money::Nanos, ops::Refusal},
    error::{Error, ErrorType, Next, Source},
};

/// What the explanation needs of the job.
pub struct Words {
    max_tokens: Option<u64>,
    answers: u64,
    prompt_tokens: u64,
    /// What an operation beside conversation will probably use.
    expected: Option<Usage>,
    /// The endpoints that may serve, and those that may once the request asks for fewer tokens.
    endpoints: Vec<Rc<Endpoint>>,
}

impl Words {
    /// The words for a refusal of this job.
    pub fn of(job: &Job) -> Self {
        let excluded = job.plan.excluded.iter();
        let others = excluded.filter(|(_, reason)| reason.depends_on_length());
        let routes = job.plan.attempts.iter().map(|step| &step.route);
        let routes = routes.chain(others.map(|(route, _)| route));
        Self {
            max_tokens: job.request.max_tokens,
            answers: answers(&job.request),
            prompt_tokens: job.prompt_tokens,
            expected: job.ask.as_ref().map(|ask| ask.expected()),
            endpoints: routes.map(|route| Rc::clone(&route.endpoint)).collect(),
        }
    }

    /// The refusal as an error.
    pub fn explain(&self, refusal: &Refusal) -> Error {
        let key = |message: &str| refused(ErrorType::Authentication, message);
        match refusal {
            Refusal::InsufficientCredits {
                available,
                in_flight,
            } => {
                let error = self.payment(*available, "Add credits");
                if *in_flight {
                    let mut error = rules::exhausted(error);
                    error.message.push_str(
                        " Requests in flight hold the rest of the balance: when they end, more is there.",
                    );
                    error
                } else {
                    error.with("limit_source", "openrouter_credits")
                }
            }
            Refusal::InFlightBudget {
                budget,
                held,
                too_heavy,
            } => rules::in_flight(*budget, *held, *too_heavy),
            Refusal::Budget(state) => rules::budget(state),
            Refusal::TooSoon(soon) => rules::too_soon(soon),
            Refusal::SecretReplaced => {
                key("This API key was replaced by another: send the new one")
            }
            Refusal::KeyLimit {
                remaining,
                resets_at,
            } => {
                let error = self.payment(
                    *remaining,
                    "The limit of this API key is reached: raise it or wait for its reset",
                );
                let error = error.with("limit_source", "openrouter_key_limit");
                match resets_at {
                    Some(at) => error.with("resets_at", *at),
                    None => error,
                }
            }
            Refusal::KeyUnknown | Refusal::KeyDeleted => key("No such API key"),
            Refusal::KeyDisabled => key("This API key is disabled"),
            Refusal::KeyExpired => key("This API key has expired"),
            Refusal::Finished { outcome } => refused(
                ErrorType::Conflict,
                format!(
                    "The request with this id has already ended ({})",
                    outcome.as_str()
                ),
            ),
        }
    }

    /// The largest `max_tokens` with which this request is granted out of `available`; `None` where no number helps.
    fn affordable(&self, available: Nanos) -> Option<u64> {
        let mut least = None;
        for Endpoint {
            prices,
            max_completion_tokens: cap,
            ..
        } in self.endpoints.iter().map(Rc::as_ref)
        {
            let longest = output_bounds(self.answers, Some(u64::MAX), *cap);
            let longest = prices.estimate_hold(self.prompt_tokens, longest);
            if longest.is_ok_and(|amount| amount <= available) {
                continue;
            }
            let tokens = prices.affordable_tokens(available, self.prompt_tokens)? / self.answers;
            least = Some(least.map_or(tokens, |least: u64| least.min(tokens)));
        }
        least.filter(|tokens| *tokens > 0)
    }

    fn payment(&self, available: Nanos, remedy: &str) -> Error {
        if let Some(expected) = &self.expected {
            let costs = self
                .endpoints
                .iter()
                .filter_map(|one| one.prices.cost(expected).ok());
            let needed = costs.map(|charge| charge.total).max().unwrap_or_default();
            let message = format!(
                "Insufficient credits: this request may cost ${needed}, and ${available} is left. {remedy}."
            );
            return refused(ErrorType::PaymentRequired, message);
        }
        let affordable = self.affordable(available);
        let message = match (self.max_tokens, affordable) {
            (Some(wanted), Some(afford)) => format!(
                "This request requires more credits, or fewer max_tokens. You requested up to {wanted} tokens, but can only afford {afford}. {remedy}, or send max_tokens of {afford} or less."
            ),
            (None, Some(afford)) => format!(
                "This request requires more credits, or max_tokens. You can only afford {afford} tokens of output. {remedy}, or send max_tokens of {afford} or less."
            ),
            (_, None) => format!("Insufficient credits for the prompt of this request. {remedy}."),
        };
        let error = refused(ErrorType::PaymentRequired, message);
        match affordable {
            Some(afford) => error.with("affordable_tokens", afford),
            None => error,
        }
    }
}

/// The refusal of a hold over nothing as an error.
pub fn explain(refusal: &Refusal) -> Error {
    let words = Words {
        max_tokens: None,
        answers: 1,
        prompt_tokens: 0,
        expected: None,
        endpoints: Vec::new(),
    };
    words.explain(refusal)
}

fn refused(kind: ErrorType, message: impl Into<String>) -> Error {
    Error::new(Source::Client, Next::Final, kind, message)
}
