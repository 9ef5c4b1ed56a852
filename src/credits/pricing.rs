//! From usage to a charge: exact prices, one division, one rounding up to the nano-dollar per request.
//!
//! In scope: prices, price tables with long-context tiers, the charge and its explanation, the size of a hold.
//! Out of scope: where prices come from (`catalog`), what a balance does with a charge ([`super::ledger`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decimal::{self, Excess};
use super::discount::{self, Discount};
use super::money::{MAX_NANOS, MoneyError, Nanos};
use super::share::{Share, WHOLE};
use super::units::UnitPrices;
use crate::chat::Usage;

/// Units that a [`Price`] buys.
pub const UNITS_PER_PRICE: u64 = 1_000_000;

/// Every number of units that a price is for divides this: a million, the milliseconds of an hour, one.
const COMMON: u64 = 18_000_000;

/// Parts of a nano-dollar in which lines are summed: every price and every discount is a whole number of them.
const SCALE: i128 = COMMON as i128 * discount::WHOLE as i128;

/// Output that a hold covers when neither the request nor the model's history says how much is usual.
pub const DEFAULT_TYPICAL_OUTPUT: u64 = 1_024;

/// The most output tokens that a hold covers. Clients ask for a model's theoretical maximum and use a fraction of it;
/// what an answer costs beyond its hold is still charged.
pub const MAX_HELD_OUTPUT: u64 = 16_384;

/// A price in nano-dollars per million units: an exact integer for every price known (`$0.0375` per million is 37,500,000).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Price(i64);

impl Price {
    /// Free.
    pub const FREE: Self = Self(0);

    /// A price of `nanos` nano-dollars per million units.
    ///
    /// # Errors
    /// Below zero or above [`MAX_NANOS`].
    pub const fn new(nanos: i64) -> Result<Self, MoneyError> {
        if nanos < 0 || nanos > MAX_NANOS {
            Err(MoneyError::OutOfRange)
        } else {
            Ok(Self(nanos))
        }
    }

    /// Nano-dollars per million units.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads dollars per million units, at most nine decimals (`"2.5"`).
    ///
    /// # Errors
    /// When the text is no decimal number, is too precise, negative or out of range.
    pub fn from_dollars_per_million(text: &str) -> Result<Self, MoneyError> {
        Self::from_wide(decimal::parse(text, 9, Excess::Refuse)?)
    }

    /// Reads dollars per single unit, at most fifteen decimals (`"0.0000025"`).
    ///
    /// # Errors
    /// When the text is no decimal number, is too precise, negative or out of range.
    pub fn from_dollars_per_unit(text: &str) -> Result<Self, MoneyError> {
        Self::from_wide(decimal::parse(text, 15, Excess::Refuse)?)
    }

    /// Dollars per single unit in full, as model lists publish it (`0.0000025`).
    pub fn dollars_per_unit(self) -> String {
        decimal::format(i128::from(self.0), 15)
    }

    fn from_wide(nanos: i128) -> Result<Self, MoneyError> {
        i64::try_from(nanos)
            .map_err(|_| MoneyError::OutOfRange)
            .and_then(Self::new)
    }
}

impl TryFrom<i64> for Price {
    type Error = MoneyError;
    fn try_from(nanos: i64) -> Result<Self, MoneyError> {
        Self::new(nanos)
    }
}

impl From<Price> for i64 {
    fn from(price: Price) -> i64 {
        price.0
    }
}

/// Dollars per million units in full.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal::format(i128::from(self.0), 9))
    }
}

/// What one endpoint charges.
///
/// A missing price is not free: cache prices fall back to the prompt price (a one-hour write first to the five-minute
/// price), modality and reasoning prices to the price of the text they are part of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// Fresh prompt tokens.
    pub prompt: Price,
    /// Completion tokens.
    pub completion: Price,
    /// Prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Price>,
    /// Prompt tokens written to a five-minute cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<Price>,
    /// Prompt tokens written to a one-hour cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Price>,
    /// Reasoning tokens, where they cost other than completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Price>,
    /// Fresh audio prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_in: Option<Price>,
    /// Audio completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_out: Option<Price>,
    /// Image completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_out: Option<Price>,
    /// A fixed amount per request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Nanos>,
    /// Prices of what is not counted in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Box<UnitPrices>>,
    /// What the provider says it charged is the price, where it says so. The prices here are for holds, and for answers that
    /// broke off before it could.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stated: bool,
    /// What is taken off all of these prices, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_ppm: Option<Discount>,
    /// Long-context prices, applied in order: a later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// Prices that replace those of the table for the whole request once its prompt is long enough.
///
/// An absent price is inherited from the table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Applies when the prompt has strictly more tokens than this, cache reads and writes included.
    pub min_prompt_tokens: u64,
    /// Fresh prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Price>,
    /// Completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Price>,
    /// Prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Price>,
    /// Prompt tokens written to a five-minute cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<Price>,
    /// Prompt tokens written to a one-hour cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Price>,
    /// Reasoning tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Price>,
    /// Fresh audio prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_in: Option<Price>,
    /// Audio completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_out: Option<Price>,
}

/// What a line of a charge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fresh prompt tokens.
    Prompt,
    /// Fresh audio prompt tokens.
    AudioIn,
    /// Prompt tokens read from the cache.
    CacheRead,
    /// Prompt tokens written to a five-minute cache.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Prompt tokens written to a one-hour cache.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Completion tokens that no other line counts.
    Completion,
    /// Reasoning tokens.
    Reasoning,
    /// Audio completion tokens.
    AudioOut,
    /// Image completion tokens.
    ImageOut,
    /// Images made, at a price each.
    Images,
    /// Pixels of images made.
    Pixels,
    /// Milliseconds of sound listened to.
    AudioInMs,
    /// Milliseconds of sound made.
    AudioOutMs,
    /// Characters spoken.
    Characters,
    /// Search units of a rerank.
    SearchUnits,
    /// The request itself.
    Request,
    /// What the provider says it charged.
    Stated,
    /// Searches of the web.
    WebSearch,
    /// Results of a search beyond those that its price includes.
    WebSearchResult,
    /// Pages of the web.
    WebFetch,
    /// What the request's own `max_cost` takes off: the one line below zero.
    MaxCost,
}

/// One line of a charge: `quantity × price / per` nano-dollars, before the charge's single rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What is counted.
    pub what: Part,
    /// How many.
    pub quantity: u64,
    /// Nano-dollars for `per` units.
    pub price: i64,
    /// Units that `price` buys: a million tokens, an hour of milliseconds, or one request.
    pub per: u64,
    /// The share of it that is charged, where the account's own provider key served; absent for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What was taken off the price, in millionths; absent for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_ppm: Option<Discount>,
}

impl Line {
    /// A line of things that are counted one by one.
    pub fn each(what: Part, quantity: u64, price: i64) -> Self {
        Self {
            what,
            quantity,
            price,
            per: 1,
            share: None,
            discount_ppm: None,
        }
    }

    fn is_cache(&self) -> bool {
        matches!(
            self.what,
            Part::CacheRead | Part::CacheWrite5m | Part::CacheWrite1h
        )
    }

    /// The line in parts of a nano-dollar, [`SCALE`] of them: what the charge sums before it divides.
    fn scaled(&self) -> Option<i128> {
        let factor = COMMON.checked_div(self.per)?;
        i128::from(self.quantity)
            .checked_mul(i128::from(self.price))?
            .checked_mul(i128::from(factor))?
            .checked_mul(discount::kept(self.discount_ppm))
    }

    /// What is charged of the line, in parts of [`WHOLE`] of [`Line::scaled`].
    fn charged(&self) -> Option<i128> {
        let parts = self.share.map_or(WHOLE, Share::parts);
        self.scaled()?.checked_mul(i128::from(parts))
    }
}

/// What a request costs, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charge {
    /// The amount to settle.
    pub total: Nanos,
    /// The quantities and prices that make it, parts of zero quantity left out.
    pub lines: Vec<Line>,
    /// The highest long-context threshold that the prompt passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u64>,
    /// What the provider's prompt cache saved: the charge of the same tokens without a cache, less this one. Below zero
    /// where writing the cache cost more than it saved. Absent where no cache was at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_discount: Option<Nanos>,
}

impl Charge {
    /// Sums the lines, divides once and rounds up once. `fresh` is what a prompt token costs without a cache.
    fn of(lines: Vec<Line>, tier: Option<u64>, fresh: Price) -> Result<Self, MoneyError> {
        let total = sum(&lines)?;
        let mut cache_discount = None;
        if lines.iter().any(Line::is_cache) {
            let uncached = lines.iter().map(|line| Line {
                price: if line.is_cache() {
                    fresh.get()
                } else {
                    line.price
                },
                ..*line
            });
            let uncached: Vec<Line> = uncached.collect();
            // Counts that no account could pay without a cache can be a charge with one.
            let uncached = sum(&uncached).and_then(|uncached| uncached.checked_sub(total));
            cache_discount = uncached.ok();
        }
        Ok(Self {
            total,
            lines,
            tier,
            cache_discount,
        })
    }

    /// One charge for several, which are parts of one request.
    ///
    /// # Errors
    /// When it would exceed [`MAX_NANOS`].
    pub fn join(charges: Vec<Self>) -> Result<Self, MoneyError> {
        let tier = charges.iter().filter_map(|charge| charge.tier).max();
        let discounts = charges.iter().filter_map(|charge| charge.cache_discount);
        let cache_discount = discounts.reduce(|sum, one| sum.checked_add(one).unwrap_or(sum));
        let lines: Vec<Line> = charges
            .into_iter()
            .flat_map(|charge| charge.lines)
            .collect();
        Ok(Self {
            total: sum(&lines)?,
            lines,
            tier,
            cache_discount,
        })
    }

    /// A charge for things that are counted one by one: what, how many, at which price each.
    ///
    /// # Errors
    /// When it would exceed [`MAX_NANOS`].
    pub fn of_units(units: &[(Part, u64, Nanos)]) -> Result<Self, MoneyError> {
        let line = |one: &(Part, u64, Nanos)| Line::each(one.0, one.1, one.2.get());
        let lines: Vec<Line> = units.iter().map(line).collect();
        Ok(Self {
            total: sum(&lines)?,
            lines,
            ..Self::default()
        })
    }

    /// The same charge with one line where several count the same at the same price: requests of many parts stay short.
    #[must_use]
    pub fn merged(mut self) -> Self {
        let mut lines: Vec<Line> = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let key = |one: &Line| (one.what, one.price, one.per, one.share, one.discount_ppm);
            match lines.iter_mut().find(|known| key(known) == key(&line)) {
                Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
                None => lines.push(line),
            }
        }
        self.lines = lines;
        self
    }

    /// How often something was counted.
    pub fn count(&self, what: Part) -> u64 {
        let lines = self.lines.iter().filter(|line| line.what == what);
        lines.map(|line| line.quantity).fold(0, u64::saturating_add)
    }

    /// The charge, but no more than `cap`.
    #[must_use]
    pub fn capped(mut self, cap: Nanos) -> Self {
        if self.total > cap {
            let beyond = cap.get() - self.total.get();
            self.lines.push(Line::each(Part::MaxCost, 1, beyond));
            self.total = cap;
        }
        self
    }

    /// Whether the lines make the total: holds for every charge, also one read back from a usage row.
    pub fn explains_itself(&self) -> bool {
        self.sum() == Ok(self.total)
    }

    /// What the lines come to, whatever the total says.
    ///
    /// # Errors
    /// When that is beyond any price.
    pub fn sum(&self) -> Result<Nanos, MoneyError> {
        sum(&self.lines)
    }

    /// The same, charging only a share of each line: the account's own provider key served. Divided and rounded up once, from
    /// the exact sum of the lines. What the cache saved stays at list prices: the account saved it at the provider.
    ///
    /// # Errors
    /// When the exact sum is beyond any price.
    pub fn at_share(mut self, share: Share) -> Result<Self, MoneyError> {
        for line in &mut self.lines {
            line.share = Some(share);
        }
        self.total = sum(&self.lines)?;
        Ok(self)
    }

    /// What the lines come to at list prices, whatever share of them is charged.
    ///
    /// # Errors
    /// When that is beyond any price.
    pub fn list(&self) -> Result<Nanos, MoneyError> {
        let scaled = total(&self.lines, |line| match line.what {
            Part::MaxCost => Some(0),
            _ => line.scaled(),
        })?;
        Nanos::from_wide(decimal::div_ceil(scaled, SCALE))
    }
}

fn sum(lines: &[Line]) -> Result<Nanos, MoneyError> {
    let parts = total(lines, Line::charged)?;
    Nanos::from_wide(decimal::div_ceil(parts, SCALE * i128::from(WHOLE)))
}

fn total(lines: &[Line], of: impl Fn(&Line) -> Option<i128>) -> Result<i128, MoneyError> {
    lines
        .iter()
        .try_fold(0i128, |sum, line| sum.checked_add(of(line)?))
        .ok_or(MoneyError::OutOfRange)
}

/// What is known about the length of an answer before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputBounds {
    /// The request's own limit.
    pub max_tokens: Option<u64>,
    /// The most the model can write.
    pub model_cap: Option<u64>,
    /// What the model usually writes.
    pub typical: Option<u64>,
}

impl OutputBounds {
    /// The output that a hold covers: the request's limit, else the usual length, within the model's and the hold's cap.
    pub fn realistic(&self) -> u64 {
        let wanted = self
            .max_tokens
            .or(self.typical)
            .unwrap_or(DEFAULT_TYPICAL_OUTPUT);
        wanted
            .min(self.model_cap.unwrap_or(u64::MAX))
            .min(MAX_HELD_OUTPUT)
    }
}

impl PriceTable {
    /// Whether nothing is ever charged under this table.
    pub fn is_free(&self) -> bool {
        let tiers_free = self.tiers.iter().all(|tier| {
            [
                tier.prompt,
                tier.completion,
                tier.cache_read,
                tier.cache_write_5m,
                tier.cache_write_1h,
                tier.reasoning,
                tier.audio_in,
                tier.audio_out,
            ]
            .into_iter()
            .all(is_free)
        });
        tiers_free
            && self.units.as_ref().is_none_or(|units| units.is_free())
            && self.prompt == Price::FREE
            && self.completion == Price::FREE
            && self.request.is_none_or(|request| request == Nanos::ZERO)
            && [
                self.cache_read,
                self.cache_write_5m,
                self.cache_write_1h,
                self.reasoning,
                self.audio_in,
                self.audio_out,
                self.image_out,
            ]
            .into_iter()
            .all(is_free)
    }

    /// The charge for `usage`: every token at one rate, all of them at the rates of the tier that the prompt reached.
    ///
    /// Counts that contradict each other (more cached than prompt tokens) never make a negative line.
    ///
    /// # Errors
    /// When the charge would exceed [`MAX_NANOS`].
    pub fn cost(&self, usage: &Usage) -> Result<Charge, MoneyError> {
        let (rates, tier) = self.rates(usage.prompt);
        let mut lines = Lines::default();
        if let Some(stated) = usage.upstream_cost.filter(|_| self.stated) {
            let price = Nanos::new(stated.max(0))?;
            return Charge::of_units(&[(Part::Stated, 1, price)]);
        }

        let writes = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let fresh = usage
            .prompt
            .saturating_sub(usage.cache_read.saturating_add(writes));
        // An upstream says how much audio came in, not how much of it was cached: the cache split comes first.
        let audio_in = rates.audio_in.map_or(0, |_| usage.audio_in.min(fresh));
        lines.tokens(Part::Prompt, fresh - audio_in, rates.prompt);
        lines.tokens(
            Part::AudioIn,
            audio_in,
            rates.audio_in.unwrap_or(rates.prompt),
        );
        lines.tokens(Part::CacheRead, usage.cache_read, rates.cache_read());
        lines.tokens(
            Part::CacheWrite5m,
            usage.cache_write_5m,
            rates.cache_write_5m(),
        );
        lines.tokens(
            Part::CacheWrite1h,
            usage.cache_write_1h,
            rates.cache_write_1h(),
        );

        let mut text = usage.completion;
        for (part, quantity, price) in [
            (Part::Reasoning, usage.reasoning, rates.reasoning),
            (Part::AudioOut, usage.audio_out, rates.audio_out),
            (Part::ImageOut, usage.image_out, rates.image_out),
        ] {
            if let Some(price) = price {
                let quantity = quantity.min(text);
                text -= quantity;
                lines.tokens(part, quantity, price);
            }
        }
        lines.tokens(Part::Completion, text, rates.completion);
        if let Some(units) = &self.units {
            units.lines(&usage.units, &mut lines.0);
        }
        self.charge(lines, &rates, tier)
    }

    /// The charge of these lines and of the request itself, all of them at the table's discount.
    fn charge(
        &self,
        Lines(mut lines): Lines,
        rates: &Rates,
        tier: Option<u64>,
    ) -> Result<Charge, MoneyError> {
        lines.extend(
            rates
                .request
                .map(|request| Line::each(Part::Request, 1, request.get())),
        );
        for line in &mut lines {
            line.discount_ppm = self.discount_ppm;
        }
        Charge::of(lines, tier, rates.prompt)
    }

    /// One of the table's prices after its discount, rounded up: what prices of several endpoints are compared by.
    pub fn net(&self, price: Price) -> Price {
        Price(discount::off(self.discount_ppm, price.0))
    }

    /// The same of an amount.
    pub fn net_amount(&self, amount: Nanos) -> Nanos {
        Nanos::new(discount::off(self.discount_ppm, amount.get())).unwrap_or(amount)
    }

    /// The amount to hold for a request: its estimated prompt plus a realistic output, at the dearer of the output rates.
    ///
    /// # Errors
    /// When the amount would exceed [`MAX_NANOS`].
    pub fn estimate_hold(
        &self,
        prompt_tokens: u64,
        output: OutputBounds,
    ) -> Result<Nanos, MoneyError> {
        let (rates, tier) = self.rates(prompt_tokens);
        let mut lines = Lines::default();
        lines.tokens(Part::Prompt, prompt_tokens, rates.prompt);
        lines.tokens(Part::Completion, output.realistic(), rates.dearest_output());
        self.charge(lines, &rates, tier).map(|charge| charge.total)
    }

    /// The output tokens that `available` still buys after a prompt of `prompt_tokens`: what a 402 tells the client.
    /// `None` when output is free.
    pub fn affordable_tokens(&self, available: Nanos, prompt_tokens: u64) -> Option<u64> {
        let (rates, _) = self.rates(prompt_tokens);
        let price = i128::from(rates.dearest_output().get());
        if price == 0 {
            return None;
        }
        let prompt = i128::from(prompt_tokens).saturating_mul(i128::from(rates.prompt.get()));
        let tokens = self.buys(available, &rates).saturating_sub(prompt).max(0) / price;
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// The prompt tokens that `available` buys at the prices of a prompt of `prompt_tokens`; `None` where they are free.
    pub fn affordable_prompt(&self, available: Nanos, prompt_tokens: u64) -> Option<u64> {
        let (rates, _) = self.rates(prompt_tokens);
        let price = i128::from(rates.prompt.get());
        if price == 0 {
            return None;
        }
        let tokens = self.buys(available, &rates).max(0) / price;
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// Units × prices that `available` pays for beside the request itself.
    fn buys(&self, available: Nanos, rates: &Rates) -> i128 {
        let units = i128::from(UNITS_PER_PRICE);
        let list = i128::from(available.get()) * units * i128::from(discount::WHOLE)
            / discount::kept(self.discount_ppm);
        list - i128::from(rates.request.unwrap_or_default().get()) * units
    }

    /// The table in force for a prompt of this length, and the threshold that put it in force.
    fn rates(&self, prompt_tokens: u64) -> (Rates, Option<u64>) {
        let mut rates = Rates {
            prompt: self.prompt,
            completion: self.completion,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            audio_in: self.audio_in,
            audio_out: self.audio_out,
            image_out: self.image_out,
            request: self.request,
        };
        let mut reached = None;
        for tier in self
            .tiers
            .iter()
            .filter(|tier| prompt_tokens > tier.min_prompt_tokens)
        {
            rates.overlay(tier);
            reached = reached.max(Some(tier.min_prompt_tokens));
        }
        (rates, reached)
    }
}

fn is_free(price: Option<Price>) -> bool {
    price.is_none_or(|price| price == Price::FREE)
}

/// The prices of one request, tiers applied.
struct Rates {
    prompt: Price,
    completion: Price,
    cache_read: Option<Price>,
    cache_write_5m: Option<Price>,
    cache_write_1h: Option<Price>,
    reasoning: Option<Price>,
    audio_in: Option<Price>,
    audio_out: Option<Price>,
    image_out: Option<Price>,
    request: Option<Nanos>,
}

impl Rates {
    fn overlay(&mut self, tier: &Tier) {
        self.prompt = tier.prompt.unwrap_or(self.prompt);
        self.completion = tier.completion.unwrap_or(self.completion);
        self.cache_read = tier.cache_read.or(self.cache_read);
        self.cache_write_5m = tier.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = tier.cache_write_1h.or(self.cache_write_1h);
        self.reasoning = tier.reasoning.or(self.reasoning);
        self.audio_in = tier.audio_in.or(self.audio_in);
        self.audio_out = tier.audio_out.or(self.audio_out);
    }

    fn cache_read(&self) -> Price {
        self.cache_read.unwrap_or(self.prompt)
    }

    fn cache_write_5m(&self) -> Price {
        self.cache_write_5m.unwrap_or(self.prompt)
    }

    fn cache_write_1h(&self) -> Price {
        self.cache_write_1h.unwrap_or_else(|| self.cache_write_5m())
    }

    fn dearest_output(&self) -> Price {
        self.completion.max(self.reasoning.unwrap_or_default())
    }
}

#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn tokens(&mut self, what: Part, quantity: u64, price: Price) {
        if quantity > 0 {
            self.0.push(Line {
                per: UNITS_PER_PRICE,
                ..Line::each(what, quantity, price.get())
            });
        }
    }
}

#[cfg(test)]
#[path = "pricing_tests.rs"]
mod tests;
