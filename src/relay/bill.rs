//! What a request costs: the bill for the account, the usage row beside it, and what the client is told of it.
//!
//! - Delivered content is paid, also where the stream broke or the client left (P25, P45). An answer that reached its end is
//!   paid by what the provider counted, content or not. Everything else is free (P29, P30).
//! - The provider's own counts are taken at their word once the answer is complete, zero included (P21). Before that, and where it
//!   reported none, the gateway counts what was delivered and says so in the row (P31). A prompt that alone went uncounted, as
//!   Gemini does with some images, is the gateway's estimate too.
//! - Only the endpoint that served is priced, at its own price (P27, P35).

use serde_json::value::RawValue;

use super::{
    job::Job,
    limits::HOLD_LIFETIME_MS,
    ports::{Bill, Hold},
    tab::{Tab, signed},
};
use crate::{
    chat::{ChatRequest, FinishReason, Usage, estimate},
    credits::{
        money::Nanos,
        ops,
        pricing::{Charge, OutputBounds, PriceTable},
    },
    dialects::openai_chat::client::UsageReport,
    error::{Error, Result},
    usage::{self, UsageRow},
};

/// What is known about the length of the output: a request for `answers` answers may write so many times its limit.
pub fn output_bounds(
    answers: u64,
    max_tokens: Option<u64>,
    model_cap: Option<u64>,
) -> OutputBounds {
    OutputBounds {
        max_tokens: max_tokens.map(|limit| limit.saturating_mul(answers)),
        model_cap: model_cap.map(|cap| cap.saturating_mul(answers)),
        typical: None,
    }
}

/// How many answers a request asks for.
pub fn answers(request: &ChatRequest) -> u64 {
    u64::from(request.n.unwrap_or(1).max(1))
}

impl Tab {
    /// The hold for this request: enough for the dearest endpoint that may serve.
    ///
    /// # Errors
    /// When no account could hold that much.
    pub fn hold(&self, job: &Job) -> Result<Hold> {
        let mut amount = Nanos::ZERO;
        for step in &job.plan.attempts {
            let endpoint = &step.route.endpoint;
            let request = &job.request;
            let cap = endpoint.max_completion_tokens;
            let output = output_bounds(answers(request), request.max_tokens, cap);
            let needed = endpoint.prices.estimate_hold(job.prompt_tokens, output);
            let needed = needed.map_err(|_| {
                Error::invalid(
                    "max_tokens",
                    "The request would cost more than any account can hold",
                )
            })?;
            amount = amount.max(needed);
        }
        Ok(Hold {
            account: self.origin.account.clone(),
            call: ops::Hold {
                id: self.id.clone(),
                key_hash: self.origin.key_hash.clone(),
                amount,
                ttl_ms: signed(HOLD_LIFETIME_MS),
                row: self.row(Usage::default(), None),
            },
        })
    }

    /// The bill and what the client is told of it. Once the request has ended the same bill comes out every time.
    pub fn bill(&self) -> (Bill, UsageReport) {
        let account = self.origin.account.clone();
        let usage = self.usage();
        let priced = self.route.as_ref().filter(|_| self.is_payable(&usage));
        let charge = priced.map(|route| (route, route.endpoint.prices.cost(&usage)));
        if let Some((route, Ok(charge))) = charge {
            let report = report(usage, &charge, &route.endpoint.prices);
            let call = ops::Settle {
                id: self.id.clone(),
                amount: charge.total,
                row: self.row(usage, Some(charge)),
            };
            return (Bill::Settle { account, call }, report);
        }
        let otherwise = match charge {
            Some(_) => "the provider's counts are beyond any price",
            None => "nothing was delivered",
        };
        let usage = self.seen.usage.unwrap_or_default();
        let call = ops::Void {
            id: self.id.clone(),
            key_hash: self.origin.key_hash.clone(),
            reason: self.error.clone().unwrap_or_else(|| otherwise.to_owned()),
            row: self.row(usage, None),
        };
        let report = UsageReport {
            usage,
            ..UsageReport::default()
        };
        (Bill::Void { account, call }, report)
    }

    fn is_payable(&self, usage: &Usage) -> bool {
        let seen = &self.seen;
        let failed = self.error.is_some() || matches!(seen.finish, Some((FinishReason::Error, _)));
        let ended = self.concluded && self.is_complete() && !failed;
        seen.delivered.is_some() || (ended && (seen.content || usage.completion > 0))
    }

    fn usage(&self) -> Usage {
        let seen = &self.seen;
        match seen.usage {
            Some(usage) if self.is_complete() && !usage.prompt_unknown => usage,
            Some(usage) if self.is_complete() => Usage {
                prompt: self.prompt_estimate.saturating_add(usage.prompt),
                estimated: true,
                ..usage
            },
            reported => {
                let mut usage = reported.unwrap_or_default();
                if usage.prompt == 0 {
                    usage.prompt = self.prompt_estimate;
                    usage.estimated = true;
                }
                let in_order = self.concluded && self.error.is_none();
                let whole = in_order.then_some(seen.bytes);
                let written = estimate::text_tokens(whole.or(seen.delivered).unwrap_or(0));
                if written > usage.completion {
                    usage.completion = written;
                    usage.estimated = true;
                }
                usage
            }
        }
    }

    fn row(&self, usage: Usage, charge: Option<Charge>) -> Box<RawValue> {
        let route = self.route.as_ref();
        let seen = &self.seen;
        let since = |from: u64, to: u64| signed(to.saturating_sub(from));
        let finish = seen.finish.as_ref();
        let mut attempts = self.attempts.clone();
        if let Some(last) = attempts.last_mut()
            && seen.upstream_id.is_some()
        {
            last.upstream_id.clone_from(&seen.upstream_id);
        }
        let row = UsageRow {
            request_id: self.origin.request_id.clone(),
            created_at: signed(self.started_ms),
            api_type: "completions".into(),
            model: self.meta().model,
            provider: route.map(|route| route.provider.name.clone()),
            endpoint: route.map(|route| route.endpoint.tag.clone()),
            streamed: self.streamed,
            cancelled: !self.concluded && route.is_some(),
            upstream_id: seen.upstream_id.clone(),
            finish_reason: finish.map(|(reason, _)| reason.as_str().into()),
            native_finish_reason: finish.map(|(_, native)| native.clone()),
            usage,
            latency_ms: seen.first_content_ms.map(|at| since(self.started_ms, at)),
            generation_ms: seen.first_content_ms.map(|at| since(at, seen.last_ms)),
            error: self.error.clone(),
            origin: usage::Origin {
                http_referer: self.origin.referer.clone(),
                app_title: self.origin.title.clone(),
                user_agent: self.origin.user_agent.clone(),
                session_id: self.session_id.clone(),
                external_user: self.user.clone(),
            },
            attempts,
            response_cache_source_id: None,
            charge,
        };
        // Plain data: writing it cannot fail.
        row.into_raw().unwrap_or_default()
    }
}

fn report(usage: Usage, charge: &Charge, prices: &PriceTable) -> UsageReport {
    let prompt_only = Usage {
        completion: 0,
        reasoning: 0,
        audio_out: 0,
        image_out: 0,
        ..usage
    };
    let prompt_cost = prices
        .cost(&prompt_only)
        .map_or(Nanos::ZERO, |part| part.total.min(charge.total));
    UsageReport {
        usage,
        cost: charge.total,
        prompt_cost,
        completion_cost: charge.total.checked_sub(prompt_cost).unwrap_or_default(),
        cache_discount: charge.cache_discount,
    }
}
