//! A refused hold in words: what the account can afford, or what is wrong with the key.

use futures::{FutureExt, future::LocalBoxFuture};

use super::run::Job;
use crate::{
    credits::{
        money::Nanos,
        ops::{HoldReply, Refusal},
    },
    error::{Error, ErrorType, Next, Result, Source},
};

/// Reads the account's answer to the hold of `job`.
pub fn read(
    job: &Job,
    asked: LocalBoxFuture<'static, Result<HoldReply>>,
) -> LocalBoxFuture<'static, Result<()>> {
    let words = Words::of(job);
    asked
        .map(move |reply| match reply? {
            HoldReply::Granted { .. } => Ok(()),
            HoldReply::Refused(refusal) => Err(words.explain(&refusal)),
        })
        .boxed_local()
}

/// What the explanation needs of the job.
struct Words {
    max_tokens: Option<u64>,
    /// Prompt tokens and the price table of each endpoint that may serve.
    prompt_tokens: u64,
    prices: Vec<std::rc::Rc<crate::catalog::Endpoint>>,
}

impl Words {
    fn of(job: &Job) -> Self {
        Self {
            max_tokens: job.request.max_tokens,
            prompt_tokens: job.prompt_tokens,
            prices: job
                .plan
                .attempts
                .iter()
                .map(|route| std::rc::Rc::clone(&route.endpoint))
                .collect(),
        }
    }

    /// Tokens that `available` buys at the dearest endpoint: a request with this `max_tokens` is granted.
    fn affordable(&self, available: Nanos) -> Option<u64> {
        let each = self.prices.iter().filter_map(|endpoint| {
            endpoint
                .prices
                .affordable_tokens(available, self.prompt_tokens)
        });
        each.min()
    }

    fn explain(&self, refusal: &Refusal) -> Error {
        let key = |message: &str| {
            Error::new(
                Source::Client,
                Next::Final,
                ErrorType::Authentication,
                message,
            )
        };
        match refusal {
            Refusal::InsufficientCredits { available } => self
                .payment(*available, "Add credits or send fewer max_tokens")
                .with("limit_source", "openrouter_credits"),
            Refusal::KeyLimit {
                remaining,
                resets_at,
            } => {
                let remedy = "The limit of this API key is reached: raise it or wait for its reset";
                let mut error = self
                    .payment(*remaining, remedy)
                    .with("limit_source", "openrouter_key_limit");
                if let Some(at) = resets_at {
                    error = error.with("resets_at", *at);
                }
                error
            }
            Refusal::KeyUnknown | Refusal::KeyDeleted => key("No such API key"),
            Refusal::KeyDisabled => key("This API key is disabled"),
            Refusal::KeyExpired => key("This API key has expired"),
            Refusal::Finished { outcome } => Error::new(
                Source::Client,
                Next::Final,
                ErrorType::Conflict,
                format!(
                    "The request with this id has already ended ({})",
                    outcome.as_str()
                ),
            ),
        }
    }

    fn payment(&self, available: Nanos, remedy: &str) -> Error {
        let affordable = self.affordable(available);
        let message = match (self.max_tokens, affordable) {
            (Some(wanted), Some(afford)) => format!(
                "This request requires more credits, or fewer max_tokens. You requested up to {wanted} tokens, but can only afford {afford}. {remedy}."
            ),
            (None, Some(afford)) => format!(
                "This request requires more credits. Your balance affords {afford} output tokens of it: send max_tokens to ask for no more. {remedy}."
            ),
            (_, None) => format!("Insufficient credits. {remedy}."),
        };
        let error = Error::new(
            Source::Client,
            Next::Final,
            ErrorType::PaymentRequired,
            message,
        );
        match affordable {
            Some(afford) => error.with("affordable_tokens", afford),
            None => error,
        }
    }
}
