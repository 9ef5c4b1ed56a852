//! What a request costs: the bill for the account, the usage row beside it, and what the client is told of it.
//!
//! - Delivered content is paid, also where the stream broke or the client left (P25, P45). An answer that reached its end is
//!   paid by what the provider counted, content or not. Everything else is free (P29, P30).
//! - The provider's own counts are taken at their word once the answer is complete, zero included (P21). Before that, and where it
//!   reported none, the gateway counts what was delivered and says so in the row (P31). A prompt that alone went uncounted, as
//!   Gemini does with some images, is the gateway's estimate too.
//! - Only what served is priced, at its own price (P27, P35): one endpoint, or each that wrote a part of the answer; and where the provider
//!   says that a cheaper tier served than the one asked for, at that tier's. The attempt that lost a race is the operator's to pay.
//! - No charge exceeds the request's own `max_cost`.

use serde_json::value::RawValue;

use super::{
    job::Job,
    limits::HOLD_LIFETIME_MS,
    ports::{Bill, Hold},
    resume::MAX_PARTS,
    tab::{Tab, Try, signed},
};
use crate::{
    catalog::{Endpoint, Operation, WebSearch},
    chat::{ChatRequest, FinishReason, Units, Usage, estimate},
    credits::{
        ledger::MAX_TOKENS,
        money::{MoneyError, Nanos},
        ops,
        pricing::{Charge, OutputBounds, Part, PriceTable},
    },
    dialects::report::{PartReport, ServerToolUse, UsageReport},
    error::{Error, Result},
    guardrails::DataRegion,
    routing::{Credential, Step},
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
        // The same without the fee for own keys, and what those may be used for.
        let (mut bare, mut byok) = (Nanos::ZERO, Nanos::ZERO);
        let mut tokens = 0u64;
        for step in &job.plan.attempts {
            let endpoint = &step.route.endpoint;
            let request = &job.request;
            let cap = endpoint.max_completion_tokens;
            let output = output_bounds(answers(request), request.max_tokens, cap);
            // A continuation sends the prompt once more, and a loop of tools several times.
            let prompt = job.prompt_tokens << u32::from(job.wishes.resume);
            let prompt = job
                .kit
                .as_ref()
                .map_or(prompt, |kit| kit.expected_prompt(prompt));
            let needed = match &self.expected {
                Some(usage) => endpoint.prices.cost(usage).map(|charge| charge.total),
                None => endpoint.prices.estimate_hold(prompt, output),
            };
            let beyond = |_| {
                Error::invalid(
                    "max_tokens",
                    "The request would cost more than any account can hold",
                )
            };
            let list = needed.map_err(beyond)?;
            let search = self.expected_search(endpoint);
            let needed = match step.credential {
                Credential::Operator => list,
                Credential::Own(_) => job.own_key_fee.of(list).map_err(beyond)?,
            };
            let needed = needed.checked_add(search).map_err(beyond)?;
            amount = amount.max(needed);
            if step.credential.is_own() {
                byok = byok.max(list);
                bare = bare.max(search);
            } else {
                bare = bare.max(needed);
            }
            let taken = match &self.expected {
                Some(usage) => usage.total(),
                None => prompt.saturating_add(output.realistic()),
            };
            tokens = tokens.max(taken);
        }
        if let Some(kit) = &job.kit {
            let fees = kit.expected_fees();
            amount = amount.checked_add(fees).unwrap_or(amount);
            bare = bare.checked_add(fees).unwrap_or(bare);
        }
        if let Some(cap) = job.wishes.max_cost {
            amount = amount.min(cap);
            bare = bare.min(cap);
        }
        let routes = || job.plan.attempts.iter();
        let is_free =
            |step: &Step| !step.credential.is_own() && is_free(&step.route.endpoint.model);
        Ok(Hold {
            account: self.origin.account.clone(),
            call: ops::Hold {
                id: self.id.clone(),
                key_hash: self.origin.key_hash.clone(),
                amount,
                ttl_ms: signed(HOLD_LIFETIME_MS),
                row: self.row(Usage::default(), None, &[]),
                secret: self.origin.secret.clone(),
                member: self.origin.member.clone(),
                tokens: counted_tokens(tokens),
                byok,
                byok_fee: amount.checked_sub(bare).unwrap_or_default(),
                free: routes().next().is_some() && routes().all(is_free),
            },
        })
    }

    /// The bill and what the client is told of it. Once the request has ended the same bill comes out every time.
    pub fn bill(&self) -> (Bill, UsageReport) {
        let account = self.origin.account.clone();
        let parts = self.payable_parts();
        let charge = (!parts.is_empty()).then(|| self.charge(&parts));
        if let Some(Ok((charge, report, own))) = charge {
            let call = ops::Settle {
                id: self.id.clone(),
                amount: charge.total,
                tokens: counted_tokens(report.usage.total()),
                byok: own.list,
                byok_fee: own.fee.min(charge.total),
                row: self.row(report.usage, Some(charge), &report.parts),
            };
            return (Bill::Settle { account, call }, report);
        }
        let otherwise = match charge {
            Some(_) => "the provider's counts are beyond any price",
            None => "nothing was delivered",
        };
        let usage = self.current().and_then(|one| one.seen.usage);
        let usage = usage.unwrap_or_default();
        let call = ops::Void {
            id: self.id.clone(),
            key_hash: self.origin.key_hash.clone(),
            reason: self.error.clone().unwrap_or_else(|| otherwise.to_owned()),
            row: self.row(usage, None, &[]),
        };
        let report = UsageReport {
            usage,
            is_byok: self.current().is_some_and(|one| one.credential.is_own()),
            hedge_cost: self.hedge_cost(),
            ..UsageReport::default()
        };
        (Bill::Void { account, call }, report)
    }

    /// The parts of the answer that are paid for, with what was used for each.
    fn payable_parts(&self) -> Vec<(&Try, Usage)> {
        let last = self.parts.last();
        let parts = self.parts.iter().filter_map(|at| {
            let one = self.tries.get(*at)?;
            let is_last = last == Some(at);
            let usage = self.usage(one, is_last);
            self.is_payable(one, &usage, is_last)
                .then_some((one, usage))
        });
        parts.collect()
    }

    /// One charge for all parts: their lines one after the other, rounded once.
    fn charge(&self, parts: &[(&Try, Usage)]) -> Result<(Charge, UsageReport, OwnUse), MoneyError> {
        let mut own = OwnUse::default();
        let mut report = UsageReport {
            hedge_cost: self.hedge_cost(),
            ..UsageReport::default()
        };
        let mut native = ServerToolUse::default();
        let mut charges = Vec::with_capacity(parts.len());
        for (one, usage) in parts {
            let prices = one.prices(usage);
            let mut charge = prices.cost(usage)?;
            if let Some((searches, price)) = self.native_searches(one, usage) {
                let fee = Charge::of_units(&[(Part::WebSearch, searches, price)])?;
                native.web_search_requests += searches;
                native.cost = native.cost.checked_add(fee.total)?;
                charge = Charge::join(vec![charge, fee])?;
            }
            // The account paid the provider itself; the operator takes a share (P48).
            let charge = match one.credential {
                Credential::Operator => charge,
                Credential::Own(_) => {
                    let fee = charge.at_share(self.own_key_fee)?;
                    own.list = own.list.checked_add(fee.list()?)?;
                    own.fee = own.fee.checked_add(fee.total)?;
                    fee
                }
            };
            report.is_byok = one.credential.is_own();
            report.prompt_cost = report
                .prompt_cost
                .checked_add(prompt_cost(prices, usage)?)?;
            report.usage = sum(&report.usage, usage);
            if self.parts.len() > 1 {
                report.parts.push(PartReport {
                    provider: one.route.provider.name.clone(),
                    usage: *usage,
                    cost: charge.total,
                });
            }
            charges.push(charge);
        }
        let mut fees = native.cost;
        if native.web_search_requests > 0 {
            report.server_tools = Some(native);
        }
        if let Some(used) = &self.used {
            let charge = used.charge()?;
            fees = fees.checked_add(charge.total)?;
            let mut told = used.report(&charge);
            told.web_search_requests += native.web_search_requests;
            told.cost = fees;
            report.server_tools = Some(told);
            charges.push(charge);
        }
        let mut charge = Charge::join(charges)?;
        if parts.len() > MAX_PARTS {
            charge = charge.merged();
        }
        if let Some(cap) = self.max_cost {
            charge = charge.capped(cap);
        }
        report.cost = charge.total;
        report.cache_discount = charge.cache_discount;
        let with_own = parts.iter().any(|(one, _)| one.credential.is_own());
        report.list_cost = if with_own {
            charge.list()?
        } else {
            charge.total
        };
        let tokens = report.list_cost.checked_sub(fees)?.max(Nanos::ZERO);
        report.prompt_cost = report.prompt_cost.min(tokens);
        report.completion_cost = tokens.checked_sub(report.prompt_cost)?;
        Ok((charge, report, own))
    }

    fn is_payable(&self, one: &Try, usage: &Usage, is_last: bool) -> bool {
        let seen = &one.seen;
        let failed = self.error.is_some() || matches!(seen.finish, Some((FinishReason::Error, _)));
        let ended = is_last && self.concluded && seen.is_complete() && !failed;
        // What the gateway's tools were run for is delivered with the answer that they led to, or to the client that watches.
        let led_on = seen.led_on && (self.streamed || (self.concluded && self.error.is_none()));
        seen.delivered.is_some() || led_on || (ended && (seen.content || usage.completion > 0))
    }

    /// What was used for a part: the provider's own counts where its answer is whole, else at least what was delivered.
    pub(super) fn usage(&self, one: &Try, is_last: bool) -> Usage {
        let seen = &one.seen;
        match seen.usage {
            Some(usage) if seen.is_complete() && !seen.cut && !usage.prompt_unknown => usage,
            Some(usage) if seen.is_complete() && !seen.cut => Usage {
                prompt: one.prompt_tokens.saturating_add(usage.prompt),
                estimated: true,
                ..usage
            },
            reported => {
                let in_order = is_last && self.concluded && self.error.is_none();
                let whole = in_order.then_some(seen.bytes);
                let bytes = whole.or(seen.delivered).unwrap_or(0);
                counted(reported, one.prompt_tokens, estimate::text_tokens(bytes))
            }
        }
    }

    /// What the aborted attempt of a race may have cost the operator: its prompt and what it had written, or a usual answer
    /// where closing the connection does not stop the provider.
    pub fn upstream_estimate(&self, at: usize) -> Nanos {
        let Some(one) = self.tries.get(at) else {
            return Nanos::ZERO;
        };
        if one.credential.is_own() {
            return Nanos::ZERO;
        }
        let seen = &one.seen;
        let written = if one.route.provider.can_cancel {
            estimate::text_tokens(seen.bytes)
        } else {
            let cap = one.route.endpoint.max_completion_tokens;
            output_bounds(1, None, cap).realistic()
        };
        let usage = counted(seen.usage, one.prompt_tokens, written);
        let usage = self.expected.unwrap_or(usage);
        let charge = one.prices(&usage).cost(&usage);
        charge.map_or(Nanos::ZERO, |charge| charge.total)
    }

    /// What the parts delivered so far cost.
    pub fn spent(&self) -> Nanos {
        let parts = self.payable_parts();
        let charge = self.charge(&parts);
        charge.map_or(Nanos::ZERO, |(charge, ..)| charge.total)
    }

    /// The search of an endpoint, where it runs one for this request.
    fn search_of<'e>(&self, endpoint: &'e Endpoint) -> Option<&'e WebSearch> {
        let search = endpoint.web_search.as_ref();
        search.filter(|search| self.native.is_some() || search.always)
    }

    /// The price of a search at this endpoint, for this request.
    fn search_price(&self, search: &WebSearch) -> Nanos {
        let asked = self.native.as_ref();
        search.price(asked.and_then(|asked| asked.context_size.as_deref()))
    }

    /// What the searches of an endpoint's provider will probably cost.
    fn expected_search(&self, endpoint: &Endpoint) -> Nanos {
        let search = self.search_of(endpoint);
        search.map_or(Nanos::ZERO, |search| self.search_price(search))
    }

    /// What the provider of a part is paid for its searches: how many, and the price of one. Its own count decides; where it
    /// has none, the searches that it told of, or that it named sources.
    fn native_searches(&self, one: &Try, usage: &Usage) -> Option<(u64, Nanos)> {
        let search = self.search_of(&one.route.endpoint)?;
        let seen = &one.seen;
        // What the gateway found itself may be cited too.
        let has_sources = seen.cites && self.used.is_none() && usage.searches.is_none();
        let units = search.units(usage.searches.unwrap_or(seen.searches), has_sources);
        (units > 0).then(|| (units, self.search_price(search)))
    }

    /// What the request comes to so far, delivered or not, and its tokens.
    pub fn so_far(&self) -> (Nanos, u64) {
        let tries = self.parts.iter().filter_map(|at| self.tries.get(*at));
        let parts: Vec<(&Try, Usage)> = tries.map(|one| (one, self.usage(one, true))).collect();
        let tokens = parts
            .iter()
            .map(|(_, usage)| usage.total())
            .fold(0, u64::saturating_add);
        let charge = self.charge(&parts);
        (
            charge.map_or(Nanos::ZERO, |(charge, ..)| charge.total),
            tokens,
        )
    }

    /// What the attempts that lost a race may have cost the operator.
    pub fn hedge_cost(&self) -> Option<Nanos> {
        let lost = self.tries.iter().filter_map(|one| one.record.hedge_cost);
        lost.reduce(|sum, one| sum.checked_add(one).unwrap_or(sum))
    }

    fn row(&self, usage: Usage, charge: Option<Charge>, parts: &[PartReport]) -> Box<RawValue> {
        let current = self.current();
        let route = current.map(|one| &one.route);
        let since = |from: u64, to: u64| signed(to.saturating_sub(from));
        let finish = current.and_then(|one| one.seen.finish.as_ref());
        let first = self.parts.first().and_then(|at| self.tries.get(*at));
        let began = first.or(current).and_then(|one| one.seen.first_content_ms);
        let ended = current.map_or(0, |one| one.seen.last_ms);
        let own_key = current.and_then(|one| one.credential.own());
        let (referer, title) = (&self.origin.referer, &self.origin.title);
        let images = self.parts.iter().filter_map(|at| self.tries.get(*at));
        let images = images.map(|one| one.seen.images).sum();
        let made = u32::try_from(usage.units.images).unwrap_or(u32::MAX);
        let counted = |what| charge.as_ref().is_some_and(|charge| charge.count(what) > 0);
        let web_search_engine = if counted(Part::WebSearch) {
            Some(self.engine.unwrap_or("native").to_owned())
        } else {
            None
        };
        let row = UsageRow {
            member: self.origin.member.clone(),
            app: usage::app::named(referer.as_deref(), title.as_deref()),
            preset: self.origin.preset.clone(),
            router: self.origin.router.clone(),
            guardrails: self.origin.guardrails.clone(),
            service_tier: current.and_then(|one| one.seen.tier.clone()),
            data_region: route
                .map(|route| DataRegion::of(&route.provider))
                .filter(|region| *region != DataRegion::Global)
                .map(|region| region.as_str().to_owned()),
            surface: (self.operation == Operation::Chat).then(|| self.surface.to_owned()),
            media: usage::MediaCounts {
                completion: made.max(images),
                ..self.media
            },
            web_search_engine,
            request_id: self.origin.request_id.clone(),
            created_at: signed(self.started_ms),
            api_type: self.operation.api_type().into(),
            model: self.meta().model,
            provider: route.map(|route| route.provider.name.clone()),
            endpoint: route.map(|route| route.endpoint.tag.clone()),
            streamed: self.streamed,
            cancelled: !self.concluded && route.is_some(),
            upstream_id: current.and_then(|one| one.seen.upstream_id.clone()),
            finish_reason: finish.map(|(reason, _)| reason.as_str().into()),
            native_finish_reason: finish.map(|(_, native)| native.clone()),
            usage,
            latency_ms: began.map(|at| since(self.started_ms, at)),
            generation_ms: began.map(|at| since(at, ended)),
            error: self.error.clone(),
            origin: usage::Origin {
                http_referer: self.origin.referer.clone(),
                app_title: self.origin.title.clone(),
                user_agent: self.origin.user_agent.clone(),
                session_id: self.session_id.clone(),
                external_user: self.user.clone(),
                trace: self.trace.clone(),
            },
            attempts: self.records(parts),
            response_cache_source_id: None,
            own_key: own_key.map(|key| key.id.clone()),
            list_cost: charge
                .as_ref()
                .filter(|_| own_key.is_some())
                .and_then(|charge| charge.list().ok()),
            charge,
        };
        // Plain data: writing it cannot fail.
        row.into_raw().unwrap_or_default()
    }

    fn records(&self, parts: &[PartReport]) -> Vec<usage::Attempt> {
        let records = self.tries.iter().enumerate().map(|(at, one)| {
            let mut record = one.record.clone();
            if let Some(id) = &one.seen.upstream_id {
                record.upstream_id = Some(id.clone());
            }
            record.service_tier.clone_from(&one.seen.tier);
            let part = self.parts.iter().position(|part| *part == at);
            let part = part.and_then(|part| parts.get(part));
            record.part = part.map(|part| usage::Part {
                usage: part.usage,
                cost: part.cost,
            });
            record
        });
        records.collect()
    }
}

/// What the account's own provider keys were used for, and the operator's fee for it.
#[derive(Default)]
struct OwnUse {
    list: Nanos,
    fee: Nanos,
}

/// Whether a model is a free one, which has limits of its own.
fn is_free(model: &str) -> bool {
    model.ends_with(":free")
}

/// Tokens as the account counts them.
fn counted_tokens(tokens: u64) -> i64 {
    signed(tokens).min(MAX_TOKENS)
}

/// Counts of an answer that is not whole: what the provider reported so far, but no less than the gateway's own count.
pub fn counted(reported: Option<Usage>, prompt_tokens: u64, written: u64) -> Usage {
    let mut usage = reported.unwrap_or_default();
    if usage.prompt == 0 {
        usage.prompt = prompt_tokens;
        usage.estimated = true;
    }
    if written > usage.completion {
        usage.completion = written;
        usage.estimated = true;
    }
    usage
}

fn prompt_cost(prices: &PriceTable, usage: &Usage) -> Result<Nanos, MoneyError> {
    let prompt_only = Usage {
        completion: 0,
        reasoning: 0,
        audio_out: 0,
        image_out: 0,
        units: Units::default(),
        upstream_cost: None,
        ..*usage
    };
    prices.cost(&prompt_only).map(|charge| charge.total)
}

fn sum(a: &Usage, b: &Usage) -> Usage {
    let upstream_cost = match (a.upstream_cost, b.upstream_cost) {
        (Some(a), Some(b)) => a.checked_add(b),
        (a, b) => a.or(b),
    };
    Usage {
        prompt: a.prompt.saturating_add(b.prompt),
        cache_read: a.cache_read.saturating_add(b.cache_read),
        cache_write_5m: a.cache_write_5m.saturating_add(b.cache_write_5m),
        cache_write_1h: a.cache_write_1h.saturating_add(b.cache_write_1h),
        completion: a.completion.saturating_add(b.completion),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        audio_in: a.audio_in.saturating_add(b.audio_in),
        audio_out: a.audio_out.saturating_add(b.audio_out),
        image_out: a.image_out.saturating_add(b.image_out),
        upstream_cost,
        searches: a.searches.or(b.searches),
        units: a.units.plus(&b.units),
        estimated: a.estimated || b.estimated,
        prompt_unknown: a.prompt_unknown || b.prompt_unknown,
    }
}
