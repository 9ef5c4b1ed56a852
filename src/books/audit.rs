//! The judge: pages of entries and their usage rows in, differences out. Pure; its state is what a walk keeps between two pages.
//!
//! Sums are made anew from the entries alone. A counter follows the rule of the ledger (a clock that steps back stays in the newer
//! period; a correction counts where its settlement counted), written here a second time on purpose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Kind};
use crate::credits::{
    money::Nanos,
    ops::{BookEnd, BookEntry, KeyCounters},
    periods::Reset,
    pricing::{Charge, Part},
};
use crate::time::rfc3339;

/// How the ids of refunds begin that were asked for here.
const OWN_REFUND: &str = "ref_";
const PERIODS: [Reset; 3] = [Reset::Daily, Reset::Weekly, Reset::Monthly];
/// How long D1 may lack what is written right after an entry: the copy of a correction, what is paid, taken or refunded.
pub(super) const PATIENCE_MS: i64 = 60_000;

/// A usage row as D1 keeps it, as far as money is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptRow {
    /// The account.
    pub account: String,
    /// The key that paid.
    pub key_hash: String,
    /// How the request ended.
    pub status: String,
    /// What was charged.
    pub cost: i64,
    /// All prompt tokens.
    pub prompt: u64,
    /// Of these, read from or written to a cache.
    pub cached: u64,
    /// All completion tokens.
    pub completion: u64,
    /// What the provider says it charged.
    pub upstream_cost: Option<i64>,
    /// The charge as JSON.
    pub charge: Option<String>,
}

/// What providers say they charged against the list prices, where the price is the catalog's: no difference of the books, but
/// prices that are worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Drift {
    /// Rows whose provider told a cost.
    pub rows: u64,
    /// What they told, nano-dollars.
    pub provider: i64,
    /// What the prices of the catalog say, nano-dollars.
    pub catalog: i64,
}

/// A key's counters as the entries say: what was charged, and what the account's own provider keys were used for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    ever: [i64; 2],
    /// Start and amounts of the day, the week and the month.
    periods: [(i64, [i64; 2]); 3],
}

impl Tally {
    fn count(&mut self, amounts: [i64; 2], at: i64) {
        add(&mut self.ever, amounts);
        for (period, (start, sums)) in PERIODS.into_iter().zip(&mut self.periods) {
            let begins = period.start(at);
            if begins > *start {
                (*start, *sums) = (begins, [0; 2]);
            }
            add(sums, amounts);
        }
    }

    fn mend(&mut self, amount: i64, counted_at: i64) {
        add(&mut self.ever, [amount, 0]);
        for (period, (start, sums)) in PERIODS.into_iter().zip(&mut self.periods) {
            if period.start(counted_at) == *start {
                add(sums, [amount, 0]);
            }
        }
    }
}

fn add(sums: &mut [i64; 2], amounts: [i64; 2]) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(amount);
    }
}

/// What is known after the entries that were read so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Audit {
    /// The place of the last entry read.
    pub after: i64,
    balance: i64,
    sum: i64,
    keys: BTreeMap<String, Tally>,
    /// Entries read.
    pub entries: u64,
    /// Ended requests that were held against their usage rows.
    pub matched: u64,
    /// Ended requests whose rows are still in the outbox.
    pub pending: u64,
    /// Ended requests whose rows are older than D1 keeps them.
    pub beyond: u64,
    /// What providers say, where they are not the price.
    pub drift: Drift,
}

/// What a page of entries is held against.
#[derive(Debug, Default)]
pub struct Kept {
    /// Usage rows by id, whatever their account.
    pub rows: BTreeMap<String, KeptRow>,
    /// Changes of cost by generation and reason.
    pub corrections: BTreeMap<(String, String), i64>,
    /// Credits of paid purchases, redeemed coupons and refunds, by kind and id.
    pub funds: BTreeMap<(String, String), i64>,
    /// Rows of requests that ended before this time may have been cleared away.
    pub rows_since: i64,
    /// The clock.
    pub now: i64,
}

impl Audit {
    /// Judges one page and goes on after it.
    pub fn page(&mut self, account: &str, entries: &[BookEntry], kept: &Kept) -> Vec<Finding> {
        let mut found = Vec::new();
        for entry in entries {
            self.place(entry, &mut found);
            self.count(entry);
            self.entries += 1;
            self.held_against(account, entry, kept, &mut found);
        }
        found
    }

    /// Judges what is kept beside the entries, after the last page.
    pub fn end(&self, end: &BookEnd) -> Vec<Finding> {
        let mut found = Vec::new();
        found.extend(Finding::amounts(
            Kind::Balance,
            "balance",
            clamp(self.sum),
            clamp(self.balance),
        ));
        let stored: BTreeMap<&str, _> = end
            .keys
            .iter()
            .map(|key| (key.hash.as_str(), key))
            .collect();
        for (hash, tally) in &self.keys {
            let Some(key) = stored.get(hash.as_str()) else {
                found.push(Finding::words(Kind::UnknownKey, hash, "a key", "none"));
                continue;
            };
            found.extend(counters(tally, key));
        }
        for key in &end.keys {
            if !self.keys.contains_key(&key.hash) {
                let none = Tally::default();
                found.extend(counters(&none, key));
            }
        }
        for hold in &end.holds {
            let (kind, expected) = if hold.ended {
                (Kind::HoldAfterEnd, "no hold: the request has ended".into())
            } else {
                let since = rfc3339(hold.release_at);
                (Kind::StaleHold, format!("released at {since}"))
            };
            let is_held = format!("{} held", hold.amount);
            found.push(Finding::words(kind, &hold.id, expected, is_held));
        }
        found.extend(self.lots(end));
        if let Some(free) = &end.free
            && !(free.least..=free.most).contains(&free.counted)
        {
            let requests = |count: i64| format!("{count} requests");
            let (expected, is) = (requests(free.least), requests(free.counted));
            let what = "free models today";
            found.push(Finding::words(Kind::FreeCounter, what, expected, is));
        }
        found
    }

    /// Credits that expire: each lot by its entries, and all of them within the balance.
    fn lots(&self, end: &BookEnd) -> Vec<Finding> {
        let mut found = Vec::new();
        for lot in &end.wrong_lots {
            let name = format!("{} {}", lot.kind, lot.id);
            let Some(credits) = lot.credits else {
                found.push(Finding::words(Kind::Lot, name, "an entry", "none"));
                continue;
            };
            if lot.accounted > credits {
                found.extend(Finding::amounts(Kind::Lot, &name, credits, lot.accounted));
            }
            let name = format!("{name} lapsed");
            found.extend(Finding::amounts(Kind::Lot, name, lot.lapses, lot.lapsed));
        }
        let most = end.lots_balance.max(Nanos::ZERO);
        if end.lots > most {
            found.extend(Finding::amounts(Kind::LotSum, "lots", most, end.lots));
        }
        // Whatever adds to the balance says so to the lots.
        let balance = clamp(self.balance);
        if end.lots > Nanos::ZERO && balance > end.lots_balance {
            let name = "balance that the lots know";
            found.extend(Finding::amounts(
                Kind::LotSum,
                name,
                balance,
                end.lots_balance,
            ));
        }
        found
    }

    /// The ledger by itself: no gap, each balance the sum up to it, each amount as its kind allows.
    fn place(&mut self, entry: &BookEntry, found: &mut Vec<Finding>) {
        let name = || format!("entry {} ({})", entry.seq, entry.id);
        for missing in (self.after + 1..entry.seq).take(10) {
            let what = format!("entry {missing}");
            found.push(Finding::words(Kind::MissingEntry, what, "an entry", "none"));
        }
        let amount = entry.amount.get();
        let expected = clamp(self.balance.saturating_add(amount));
        let running = Finding::amounts(Kind::RunningBalance, name(), expected, entry.balance);
        found.extend(running);
        self.after = entry.seq;
        self.sum = self.sum.saturating_add(amount);
        // From what stands there: one wrong balance is one difference, not one for each entry after it.
        self.balance = entry.balance.get();
        let allowed = match entry.kind.as_str() {
            "void" | "expire" => amount == 0,
            "settle" | "late_settle" => amount <= 0,
            "grant" | "purchase" | "coupon" => amount > 0,
            "refund" | "dispute" | "lapse" => amount <= 0,
            "refund_undone" | "dispute_won" => amount >= 0,
            _ => true,
        };
        if !allowed {
            let rule = format!("an amount that {} allows", entry.kind);
            let amount = entry.amount.to_string();
            found.push(Finding::words(Kind::EntryAmount, name(), rule, amount));
        }
        if matches!(entry.kind.as_str(), "late_settle" | "correction") && !entry.twin {
            let origin = match entry.kind.as_str() {
                "correction" => "a settlement before it",
                _ => "an expiry before it",
            };
            let kind = Kind::EntryWithoutOrigin;
            found.push(Finding::words(kind, name(), origin, "none"));
        }
    }

    fn count(&mut self, entry: &BookEntry) {
        let Some(hash) = &entry.key_hash else { return };
        let spent = entry.amount.negated().get();
        match (entry.kind.as_str(), entry.counted_at) {
            ("settle" | "late_settle", _) => {
                let tally = self.keys.entry(hash.clone()).or_default();
                tally.count([spent, entry.byok.get()], entry.at);
            }
            ("correction", Some(counted_at)) => {
                let tally = self.keys.entry(hash.clone()).or_default();
                tally.mend(spent, counted_at);
            }
            _ => {}
        }
    }

    fn held_against(
        &mut self,
        account: &str,
        entry: &BookEntry,
        kept: &Kept,
        found: &mut Vec<Finding>,
    ) {
        let status = match entry.kind.as_str() {
            "settle" | "late_settle" => "settled",
            "void" => "voided",
            // The late settlement's row is the request's.
            "expire" if !entry.twin => "expired",
            "correction" => return found.extend(correction(entry, kept)),
            "purchase" | "coupon" | "refund" => return found.extend(fund(entry, kept)),
            _ => return,
        };
        if entry.unsent {
            self.pending += 1;
            return;
        }
        let Some(row) = kept.rows.get(&entry.id) else {
            if entry.at < kept.rows_since {
                self.beyond += 1;
                return;
            }
            let what = format!("a row: {status}, {}", entry.amount.negated());
            found.push(Finding::words(Kind::MissingRow, &entry.id, what, "none"));
            return;
        };
        self.matched += 1;
        let key = entry.key_hash.as_deref().unwrap_or_default();
        for (kind, expected, is) in [
            (Kind::RowAccount, account, row.account.as_str()),
            (Kind::RowKey, key, row.key_hash.as_str()),
            (Kind::RowStatus, status, row.status.as_str()),
        ] {
            if expected != is {
                found.push(Finding::words(kind, &entry.id, expected, is));
            }
        }
        let cost = entry.amount.negated();
        let row_cost = Finding::amounts(Kind::RowCost, &entry.id, cost, clamp(row.cost));
        found.extend(row_cost);
        found.extend(self.charge(&entry.id, row, entry.waived));
    }

    /// The row by itself: its charge makes its cost, counts its tokens, and is the provider's where the provider is the price.
    fn charge(&mut self, id: &str, row: &KeptRow, waived: Nanos) -> Vec<Finding> {
        let mut found = Vec::new();
        let charge = row
            .charge
            .as_deref()
            .map(crate::json::from_str::<Option<Charge>>);
        let charge = match charge {
            Some(Ok(Some(charge))) => charge,
            Some(Err(error)) => {
                let what = error.to_string();
                found.push(Finding::words(Kind::ChargeMissing, id, "a charge", what));
                return found;
            }
            _ if row.cost == 0 => return found,
            _ => {
                let cost = clamp(row.cost).to_string();
                let what = format!("what makes {cost}");
                found.push(Finding::words(Kind::ChargeMissing, id, what, "none"));
                return found;
            }
        };
        if let Ok(sum) = charge.sum() {
            found.extend(Finding::amounts(Kind::ChargeSum, id, sum, charge.total));
        }
        // What an allowance covered is in the charge and not in the cost.
        let row_cost = clamp(row.cost.saturating_add(waived.get()));
        let total = Finding::amounts(Kind::ChargeTotal, id, charge.total, row_cost);
        found.extend(total);
        match stated(&charge) {
            Some(stated) => {
                let told = clamp(row.upstream_cost.unwrap_or_default().max(0));
                found.extend(Finding::amounts(Kind::ProviderCost, id, told, stated));
            }
            None => {
                found.extend(tokens(id, row, &charge));
                if let (Some(told), Ok(list)) = (row.upstream_cost, charge.list()) {
                    self.drift.rows += 1;
                    self.drift.provider = self.drift.provider.saturating_add(told);
                    self.drift.catalog = self.drift.catalog.saturating_add(list.get());
                }
            }
        }
        found
    }
}

/// What the provider said it charged, where that was the price.
fn stated(charge: &Charge) -> Option<Nanos> {
    let lines = charge.lines.iter();
    let stated = lines.filter(|line| line.what == Part::Stated);
    let sums = stated.map(|line| line.price.saturating_mul(signed(line.quantity)));
    sums.reduce(i64::saturating_add).map(clamp)
}

/// The tokens that the lines count against those of the row.
fn tokens(id: &str, row: &KeptRow, charge: &Charge) -> Vec<Finding> {
    let count = |parts: &[Part]| {
        let counts = parts.iter().map(|part| charge.count(*part));
        counts.fold(0u64, u64::saturating_add)
    };
    let prompt = count(&[
        Part::Prompt,
        Part::AudioIn,
        Part::CacheRead,
        Part::CacheWrite5m,
        Part::CacheWrite1h,
    ]);
    let completion = count(&[
        Part::Completion,
        Part::Reasoning,
        Part::AudioOut,
        Part::ImageOut,
    ]);
    [
        // A provider that counts more cached than prompt tokens is charged for the cached ones.
        ("prompt", row.prompt.max(row.cached), prompt),
        ("completion", row.completion, completion),
    ]
    .into_iter()
    .filter(|(_, expected, found)| expected != found)
    .map(|(what, expected, found)| {
        let words = |count: u64| format!("{count} {what} tokens");
        Finding::words(Kind::ChargeTokens, id, words(expected), words(found))
    })
    .collect()
}

/// Credits of the ledger against what D1 says was paid, redeemed or asked back.
fn fund(entry: &BookEntry, kept: &Kept) -> Option<Finding> {
    let kind = match entry.kind.as_str() {
        "purchase" => Kind::Purchase,
        "coupon" => Kind::Coupon,
        // One that began at the payment provider is told by its own name, and kept nowhere else.
        _ if !entry.id.starts_with(OWN_REFUND) => return None,
        _ => Kind::Refund,
    };
    // Of a refund only whether it is there: what it took is held against all of its entries.
    let amount = entry.amount;
    match kept.funds.get(&(entry.kind.clone(), entry.id.clone())) {
        Some(_) if kind == Kind::Refund => None,
        Some(told) => Finding::amounts(kind, &entry.id, amount, clamp(*told)),
        None if kept.now - entry.at < PATIENCE_MS => None,
        None => Some(Finding::words(kind, &entry.id, amount.to_string(), "none")),
    }
}

fn correction(entry: &BookEntry, kept: &Kept) -> Option<Finding> {
    let reason = entry.note.clone().unwrap_or_default();
    let change = entry.amount.negated();
    let subject = format!("{}: {reason}", entry.id);
    match kept.corrections.get(&(entry.id.clone(), reason)) {
        Some(told) => Finding::amounts(Kind::Correction, subject, change, clamp(*told)),
        None if kept.now - entry.at < PATIENCE_MS => None,
        None => Some(Finding::words(
            Kind::Correction,
            subject,
            change.to_string(),
            "none",
        )),
    }
}

fn counters(tally: &Tally, key: &KeyCounters) -> Vec<Finding> {
    let mut found = Vec::new();
    let (kind, hash) = (Kind::KeyCounter, &key.hash);
    let [byok, byok_periods @ ..] = key.byok;
    let mut compare = |what: String, counted: i64, stored: Nanos| {
        found.extend(Finding::amounts(kind, what, clamp(counted), stored));
    };
    let [charged, own] = tally.ever;
    compare(format!("{hash} ever"), charged, key.ever);
    compare(format!("{hash} byok ever"), own, byok);
    let mut elsewhere = Vec::new();
    for (((period, (start, [charged, own])), stored), byok) in PERIODS
        .into_iter()
        .zip(tally.periods)
        .zip(key.periods)
        .zip(byok_periods)
    {
        let name = period.as_str();
        if start == stored.0 {
            compare(format!("{hash} {name}"), charged, stored.1);
            compare(format!("{hash} byok {name}"), own, byok);
        } else {
            let since = |start: i64, amount: Nanos| format!("{amount} since {}", rfc3339(start));
            elsewhere.push(Finding::words(
                kind,
                format!("{hash} {name}"),
                since(start, clamp(charged)),
                since(stored.0, stored.1),
            ));
        }
    }
    found.extend(elsewhere);
    found
}

/// An amount for showing: a sum beyond the range is shown as its end.
pub(super) fn clamp(nanos: i64) -> Nanos {
    let (least, most) = (Nanos::MIN.get(), Nanos::MAX.get());
    Nanos::new(nanos.clamp(least, most)).unwrap_or_default()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
