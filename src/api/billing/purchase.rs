//! Rows of `purchases`: what was agreed with a buyer.

use serde::Serialize;
use serde_json::Value;

use super::super::{World, admin::missing};
use crate::{
    credits::{
        money::{Nanos, dollars},
        sale::of_cents,
    },
    database::Row,
    error::{Error, Result},
    time::rfc3339,
};

pub(super) const COLUMNS: &str = "id, account, kind, status, credits, fee_cents, charge_cents, total_cents, customer, session, payment_intent, url, receipt_url, taken, disputed, error, created_at, paid_at";

/// A purchase.
#[derive(Debug, Clone)]
pub(super) struct Purchase {
    pub id: String,
    pub account: String,
    pub kind: String,
    pub status: String,
    pub credits: Nanos,
    pub fee_cents: i64,
    pub charge_cents: i64,
    pub total_cents: Option<i64>,
    pub customer: Option<String>,
    pub session: Option<String>,
    pub payment_intent: Option<String>,
    pub url: Option<String>,
    pub receipt_url: Option<String>,
    pub taken: Nanos,
    pub disputed: bool,
    pub error: Option<String>,
    pub created_at: i64,
    pub paid_at: Option<i64>,
}

impl Purchase {
    pub(super) fn from_row(row: &Row) -> Result<Self> {
        let broken = || Error::internal("a row of purchases is not what its table says");
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let money = |name: &str| number(name).and_then(|n| Nanos::new(n).ok());
        Ok(Self {
            id: text("id").ok_or_else(broken)?,
            account: text("account").ok_or_else(broken)?,
            kind: text("kind").ok_or_else(broken)?,
            status: text("status").ok_or_else(broken)?,
            credits: money("credits").ok_or_else(broken)?,
            fee_cents: number("fee_cents").ok_or_else(broken)?,
            charge_cents: number("charge_cents").ok_or_else(broken)?,
            total_cents: number("total_cents"),
            customer: text("customer"),
            session: text("session"),
            payment_intent: text("payment_intent"),
            url: text("url"),
            receipt_url: text("receipt_url"),
            taken: money("taken").ok_or_else(broken)?,
            disputed: number("disputed") == Some(1),
            error: text("error"),
            created_at: number("created_at").ok_or_else(broken)?,
            paid_at: number("paid_at"),
        })
    }

    /// What is paid for, in cents before tax.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let credits = self.charge_cents - self.fee_cents;
        [("Credits", credits), ("Service fee", self.fee_cents)]
            .into_iter()
            .filter(|(_, cents)| *cents > 0)
    }

    /// What its buyer is told.
    pub(super) fn told(&self) -> Result<Told<'_>> {
        let money = |cents| of_cents(cents).map_err(|error| Error::internal(error.to_string()));
        Ok(Told {
            id: &self.id,
            kind: &self.kind,
            status: &self.status,
            amount: self.credits,
            fee: money(self.fee_cents)?,
            total: money(self.total_cents.unwrap_or(self.charge_cents))?,
            currency: "usd",
            refunded: self.taken,
            disputed: self.disputed,
            // A page to pay at is of no use any more once it was used.
            url: self.url.as_deref().filter(|_| self.status == "open"),
            error: self.error.as_deref(),
            created_at: rfc3339(self.created_at),
            paid_at: self.paid_at.map(rfc3339),
        })
    }
}

/// A purchase as its buyer sees it. Amounts are exact decimal dollars.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    id: &'a str,
    kind: &'a str,
    status: &'a str,
    #[serde(with = "dollars")]
    amount: Nanos,
    #[serde(with = "dollars")]
    fee: Nanos,
    #[serde(with = "dollars")]
    total: Nanos,
    currency: &'a str,
    #[serde(with = "dollars")]
    refunded: Nanos,
    disputed: bool,
    url: Option<&'a str>,
    error: Option<&'a str>,
    created_at: String,
    paid_at: Option<String>,
}

/// The purchase of this id, whoever's it is.
pub(super) async fn find<W: World>(world: &W, id: &str) -> Result<Option<Purchase>> {
    by(world, "id", id).await
}

/// The purchase that this payment is for, as far as it is known here.
pub(super) async fn paid_by<W: World>(world: &W, intent: &str) -> Result<Option<Purchase>> {
    by(world, "payment_intent", intent).await
}

/// A purchase of this account. Another's does not exist.
pub(super) async fn of<W: World>(world: &W, account: &str, id: &str) -> Result<Purchase> {
    let found = find(world, id).await?;
    found
        .filter(|purchase| purchase.account == account)
        .ok_or_else(|| missing("purchase", id))
}

async fn by<W: World>(world: &W, column: &str, value: &str) -> Result<Option<Purchase>> {
    let sql = format!("SELECT {COLUMNS} FROM purchases WHERE {column} = ?1");
    let rows = world.query(&sql, &[value.into()]).await?;
    rows.first().map(Purchase::from_row).transpose()
}
