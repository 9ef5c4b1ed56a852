//! `max_cost`: the most that a request may be charged, in dollars.
//!
//! - Endpoints where the prompt alone costs more are left out; when none is left the request is refused and told what it could
//!   afford.
//! - Where the provider takes a limit on the answer, it is sent the tokens that the rest of the money buys.
//! - A stream that has cost what it may is ended by the gateway: finish reason `length`, native `max_cost`. Bytes only estimate
//!   tokens, so where the provider keeps to a limit of its own the gateway steps in at twice the estimate.
//! - Whatever a provider counts, no charge exceeds the amount (`bill`).

use serde_json::{Value, json, value::RawValue};

use super::{
    bill::{answers, counted},
    job::Job,
    tab::Seen,
};
use crate::{
    catalog::{Endpoint, Parameter},
    chat::{ChatRequest, estimate},
    credits::{
        money::Nanos,
        pricing::{OutputBounds, PriceTable},
    },
    error::{Error, ErrorType, Next, Result, Source},
};

/// Reads the field: dollars as a number or a decimal string, at most nine decimals, above zero.
///
/// # Errors
/// 400 with the path `max_cost`.
pub fn parse(raw: Option<&RawValue>) -> Result<Option<Nanos>> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
        return Ok(None);
    };
    let string = crate::json::from_str::<String>(text);
    let dollars = Nanos::from_dollars(string.as_deref().unwrap_or(text));
    match dollars {
        Ok(amount) if amount > Nanos::ZERO => Ok(Some(amount)),
        _ => Err(Error::invalid(
            "max_cost",
            "expected dollars above 0 as a number or a decimal string with at most nine decimals",
        )),
    }
}

/// What the money buys at one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    /// Not even the prompt and one token.
    TooDear,
    /// As much as the request may ask for anyway.
    Ample,
    /// So many tokens of each answer.
    Tokens(u64),
}

/// What `cap` buys at an endpoint.
fn budget(request: &ChatRequest, endpoint: &Endpoint, cap: Nanos, prompt_tokens: u64) -> Budget {
    let prices = &endpoint.prices;
    let nothing = OutputBounds {
        max_tokens: Some(0),
        ..OutputBounds::default()
    };
    let prompt = prices.estimate_hold(prompt_tokens, nothing);
    if !prompt.is_ok_and(|prompt| prompt <= cap) {
        return Budget::TooDear;
    }
    let Some(tokens) = prices.affordable_tokens(cap, prompt_tokens) else {
        return Budget::Ample;
    };
    let each = tokens / answers(request);
    let asked = request.max_tokens.unwrap_or(u64::MAX);
    let most = endpoint.max_completion_tokens.unwrap_or(u64::MAX);
    match each {
        0 => Budget::TooDear,
        each if each >= asked.min(most) => Budget::Ample,
        each => Budget::Tokens(each),
    }
}

/// What an endpoint can do for so much money, as a plan tells it: `{"serves", "max_tokens"}`, where no `max_tokens` means as
/// many as the request may have anyway.
pub fn told(request: &ChatRequest, endpoint: &Endpoint, cap: Nanos, prompt_tokens: u64) -> Value {
    let (serves, max_tokens) = match budget(request, endpoint, cap, prompt_tokens) {
        Budget::TooDear => (false, None),
        Budget::Ample => (true, None),
        Budget::Tokens(tokens) => (true, Some(tokens)),
    };
    json!({"serves": serves, "max_tokens": max_tokens})
}

/// Nobody in the plan can serve the prompt for so little.
fn refusal(job: &Job, cap: Nanos) -> Error {
    let routes = job
        .plan
        .attempts
        .iter()
        .map(|step| &step.route.endpoint.prices);
    let buys = |prices: &PriceTable| prices.affordable_prompt(cap, job.prompt_tokens);
    let affordable = routes.filter_map(buys).max().unwrap_or(0);
    let message = format!(
        "The prompt of this request, about {} tokens, costs more than max_cost of ${cap} at every endpoint. It buys {affordable} prompt tokens at the cheapest: send a shorter prompt or raise max_cost.",
        job.prompt_tokens
    );
    Error::new(
        Source::Client,
        Next::NextAttempt,
        ErrorType::PaymentRequired,
        message,
    )
    .with("limit_source", "max_cost")
    .with("affordable_tokens", affordable)
}

/// What one attempt may still cost.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// The money.
    cap: Nanos,
    /// Prices of the endpoint.
    prices: PriceTable,
    /// Estimated tokens of the prompt.
    prompt_tokens: u64,
    /// The provider was sent a limit that fits the money.
    is_limited: bool,
}

impl Allowance {
    /// What an endpoint may cost beyond what was `spent` before, and the limit on each answer to send it, where one is needed.
    /// Nothing where the request names no cap.
    ///
    /// # Errors
    /// When not even the prompt is affordable there; another endpoint may be cheaper.
    pub fn of(
        job: &Job,
        endpoint: &Endpoint,
        prompt_tokens: u64,
        spent: Nanos,
    ) -> Result<Option<(Self, Option<u64>)>> {
        let Some(whole) = job.wishes.max_cost else {
            return Ok(None);
        };
        let cap = whole.checked_sub(spent).unwrap_or_default();
        let is_limited = Self::limits(endpoint);
        let max_tokens = match budget(&job.request, endpoint, cap, prompt_tokens) {
            Budget::TooDear => return Err(refusal(job, whole)),
            Budget::Ample => None,
            Budget::Tokens(tokens) => is_limited.then_some(tokens),
        };
        let allowance = Self {
            cap,
            prices: endpoint.prices.clone(),
            prompt_tokens,
            is_limited,
        };
        Ok(Some((allowance, max_tokens)))
    }

    /// Whether the provider keeps to a limit that it is sent.
    fn limits(endpoint: &Endpoint) -> bool {
        endpoint.supports(Parameter::MaxTokens) || endpoint.supports(Parameter::MaxCompletionTokens)
    }

    /// Whether what was seen has cost as much.
    pub(super) fn is_spent(&self, seen: &Seen) -> bool {
        let bytes = seen.bytes / if self.is_limited { 2 } else { 1 };
        let usage = counted(seen.usage, self.prompt_tokens, estimate::text_tokens(bytes));
        let cost = self.prices.cost(&usage);
        !cost.is_ok_and(|charge| charge.total < self.cap)
    }
}
