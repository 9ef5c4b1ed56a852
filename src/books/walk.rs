//! A walk over one account's books, some pages at a time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    audit::{Audit, Kept, PATIENCE_MS, clamp},
    d1::{self, Left},
    finding::{Finding, Kind},
};
use crate::{
    credits::{
        accounts::Accounts,
        ops::{BookEntry, BookPage, Ended, ReadBooks, ReadFunds},
    },
    database::{Database, Transactions},
    error::{Error, Result},
};

/// Entries, or rows, of one page.
pub const PAGE: i64 = 500;
/// The most findings kept of one walk; the others are counted.
const MAX_FINDINGS: u64 = 1_000;

/// Which part of a walk is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    #[default]
    Entries,
    Funds,
    Rows,
    Done,
}

/// A walk between two pages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Walk {
    part: Part,
    audit: Audit,
    /// The place of the last purchase, coupon or refund read.
    #[serde(default)]
    fund: String,
    /// The number of the last usage row read.
    row: i64,
    /// Usage rows read.
    rows: u64,
    /// Differences found.
    differences: u64,
}

/// How far a walk came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The account.
    pub account: String,
    /// Nothing is left to read.
    pub done: bool,
    /// Entries read.
    pub entries: u64,
    /// Ended requests that were held against their usage rows.
    pub matched: u64,
    /// Ended requests whose rows are still on their way.
    pub pending: u64,
    /// Ended requests whose rows are older than D1 keeps them.
    pub beyond_retention: u64,
    /// Usage rows that were held against the ledger.
    pub rows: u64,
    /// Differences found so far.
    pub differences: u64,
    /// What providers say against the catalog's prices, where these are what is charged.
    pub drift: super::Drift,
    /// Another run is walking over the same account: it goes on there.
    pub yielded: bool,
}

impl Walk {
    fn progress(&self, account: &str, yielded: bool) -> Progress {
        Progress {
            account: account.to_owned(),
            done: self.part == Part::Done,
            entries: self.audit.entries,
            matched: self.audit.matched,
            pending: self.audit.pending,
            beyond_retention: self.audit.beyond,
            rows: self.rows,
            differences: self.differences,
            drift: self.audit.drift,
            yielded,
        }
    }
}

/// Reads up to `pages` pages of an account's books, from where its walk is, or from the beginning. Rows of requests that ended before
/// `rows_since` may have been cleared away.
///
/// # Errors
/// When a store fails: the walk stays where it was.
pub async fn step<S: Transactions + Accounts>(
    store: &S,
    account: &str,
    (pages, rows_since): (usize, i64),
    restart: bool,
    now: i64,
) -> Result<Progress> {
    let known = d1::walk(store, account).await?;
    let revision = known.as_ref().map_or(0, |known| known.revision);
    // A walk that this version cannot read begins anew.
    let resumed = known.filter(|_| !restart).and_then(|known| {
        let walk: Walk = crate::json::from_str(&known.state?).ok()?;
        Some((walk, known.started_at))
    });
    let (mut walk, started_at) = resumed.unwrap_or((Walk::default(), now));
    let mut found = Vec::new();
    for _ in 0..pages {
        match walk.part {
            Part::Entries => {
                found.extend(entries(store, account, &mut walk, rows_since, now).await?)
            }
            Part::Funds => found.extend(funds(store, account, &mut walk, now).await?),
            Part::Rows => found.extend(rows(store, account, &mut walk).await?),
            Part::Done => break,
        }
    }
    let room = MAX_FINDINGS.saturating_sub(walk.differences);
    walk.differences += found.len() as u64;
    found.truncate(usize::try_from(room).unwrap_or(0));
    let written = |walk: &Walk| {
        serde_json::to_string(walk).map_err(|error| Error::internal(error.to_string()))
    };
    let is_done = walk.part == Part::Done;
    let progress = walk.progress(account, false);
    let result = is_done.then(|| serde_json::to_string(&progress));
    let result = result
        .transpose()
        .map_err(|error| Error::internal(error.to_string()))?;
    let left = Left {
        account,
        state: if is_done { None } else { Some(written(&walk)?) },
        revision,
        started_at,
        findings: &found,
        result,
        now,
    };
    let kept = store.transaction(&left.statements()?).await?;
    if kept.first().is_none_or(Vec::is_empty) {
        return Ok(walk.progress(account, true));
    }
    Ok(progress)
}

/// One page of entries; what differs is read once more, and what differs then too is found.
async fn entries<S: Database + Accounts>(
    store: &S,
    account: &str,
    walk: &mut Walk,
    rows_since: i64,
    now: i64,
) -> Result<Vec<Finding>> {
    let (mut audit, page, mut found) = judge(store, account, &walk.audit, rows_since, now).await?;
    let mut end = page.end;
    if !found.is_empty() {
        let (again, page, second) = judge(store, account, &walk.audit, rows_since, now).await?;
        let both: BTreeSet<(Kind, &str)> = found.iter().map(key).collect();
        let both = second
            .iter()
            .filter(|one| both.contains(&key(one)))
            .cloned()
            .collect();
        (audit, end, found) = (again, page.end, both);
    }
    walk.audit = audit;
    if let Some(end) = end {
        found.extend(walk.audit.end(&end));
        walk.part = Part::Funds;
    }
    Ok(found)
}

fn key(finding: &Finding) -> (Kind, &str) {
    (finding.kind, &finding.subject)
}

async fn judge<S: Database + Accounts>(
    store: &S,
    account: &str,
    audit: &Audit,
    rows_since: i64,
    now: i64,
) -> Result<(Audit, BookPage, Vec<Finding>)> {
    let mut audit = audit.clone();
    let after = audit.after;
    let page = store.call(account, &ReadBooks { after, max: PAGE }).await?;
    let kept = kept(store, account, &page.entries, rows_since, now).await?;
    let found = audit.page(account, &page.entries, &kept);
    Ok((audit, page, found))
}

/// What D1 has of these entries.
async fn kept(
    store: &impl Database,
    account: &str,
    entries: &[BookEntry],
    rows_since: i64,
    now: i64,
) -> Result<Kept> {
    let ids = |wanted: fn(&str) -> bool| -> Vec<&str> {
        let wanted = entries.iter().filter(|entry| wanted(&entry.kind));
        wanted.map(|entry| entry.id.as_str()).collect()
    };
    let ended = ids(|kind| matches!(kind, "settle" | "void" | "expire" | "late_settle"));
    let corrected = ids(|kind| kind == "correction");
    let credited = ids(|kind| matches!(kind, "purchase" | "coupon" | "refund"));
    Ok(Kept {
        rows: d1::rows(store, &ended).await?.into_iter().collect(),
        corrections: d1::amounts(store, d1::CORRECTIONS, account, &corrected)
            .await?
            .into_iter()
            .collect(),
        funds: d1::amounts(store, d1::FUNDS, account, &credited)
            .await?
            .into_iter()
            .collect(),
        rows_since,
        now,
    })
}

/// One page of what D1 says of purchases, coupons and refunds; what differs is read once more.
async fn funds<S: Database + Accounts>(
    store: &S,
    account: &str,
    walk: &mut Walk,
    now: i64,
) -> Result<Vec<Finding>> {
    let (last, mut found) = judge_funds(store, account, &walk.fund, now).await?;
    if !found.is_empty() {
        let (_, again) = judge_funds(store, account, &walk.fund, now).await?;
        found.retain(|one| again.iter().any(|other| key(other) == key(one)));
    }
    match last {
        Some(place) => walk.fund = place,
        None => walk.part = Part::Rows,
    }
    Ok(found)
}

/// The place of the last one, unless no further page follows, and what differs.
async fn judge_funds<S: Database + Accounts>(
    store: &S,
    account: &str,
    after: &str,
    now: i64,
) -> Result<(Option<String>, Vec<Finding>)> {
    let kept = d1::funds_of(store, account, after, PAGE).await?;
    if kept.is_empty() {
        return Ok((None, Vec::new()));
    }
    let ids = kept.iter().map(|fund| fund.id.clone()).collect();
    let known = store.call(account, &ReadFunds { ids }).await?;
    let mut found = Vec::new();
    for (fund, book) in kept.iter().zip(&known) {
        // D1 follows the ledger, but for a coupon, which it decides about.
        if now - book.changed_at.max(fund.at) < PATIENCE_MS {
            continue;
        }
        let (kind, of_ledger) = match fund.kind.as_str() {
            "purchase" => (Kind::Purchase, book.purchase),
            "coupon" => (Kind::Coupon, book.coupon),
            _ => (Kind::Refund, book.refund),
        };
        let told = clamp(fund.amount);
        match of_ledger {
            // The credits of a purchase or coupon were held against its entry already.
            Some(amount) if kind == Kind::Refund => {
                found.extend(Finding::amounts(kind, &fund.id, amount, told));
            }
            Some(_) => {}
            None => found.push(Finding::words(kind, &fund.id, "none", told.to_string())),
        }
        if kind == Kind::Purchase {
            let (kind, told) = (Kind::PurchaseTaken, clamp(fund.taken));
            found.extend(Finding::amounts(kind, &fund.id, book.taken, told));
        }
    }
    let is_last = (kept.len() as i64) < PAGE;
    let last = kept.into_iter().next_back().map(|fund| fund.place);
    Ok((last.filter(|_| !is_last), found))
}

/// One page of usage rows: each must have an entry. A row is written after its entry, so no second look is needed.
async fn rows<S: Database + Accounts>(
    store: &S,
    account: &str,
    walk: &mut Walk,
) -> Result<Vec<Finding>> {
    let rows = d1::ids_of(store, account, walk.row, PAGE).await?;
    let is_last = (rows.len() as i64) < PAGE;
    let ids: Vec<String> = rows.iter().map(|(_, id)| id.clone()).collect();
    let ended = if ids.is_empty() {
        Vec::new()
    } else {
        store.call(account, &Ended { ids }).await?
    };
    let ended: BTreeSet<&str> = ended.iter().map(String::as_str).collect();
    let orphans = rows.iter().filter(|(_, id)| !ended.contains(id.as_str()));
    let found = orphans
        .map(|(seq, id)| {
            let row = format!("row {seq}");
            Finding::words(Kind::OrphanRow, id, "an entry", row)
        })
        .collect();
    walk.rows += rows.len() as u64;
    walk.row = rows.last().map_or(walk.row, |(seq, _)| *seq);
    if is_last {
        walk.part = Part::Done;
    }
    Ok(found)
}
