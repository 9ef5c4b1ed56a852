//! The calls by which an account's books are read for an audit (`books`): pages of entries, and what is kept beside them.

use serde::{Deserialize, Serialize};

use crate::credits::money::Nanos;

/// Asks for a page of entries, the oldest first. The page that reaches the end also tells what is kept beside the entries, in the
/// same call: nothing can have happened in between.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadBooks {
    /// Only those after this place.
    pub after: i64,
    /// At most so many.
    pub max: i64,
}

/// A page of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookPage {
    /// Its entries.
    pub entries: Vec<BookEntry>,
    /// Present where no entry follows.
    pub end: Option<BookEnd>,
}

/// An entry, with what is needed to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEntry {
    /// Its place.
    pub seq: i64,
    /// The id of the grant or of the generation.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What it adds to the balance.
    pub amount: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
    /// The key that paid.
    pub key_hash: Option<String>,
    /// When.
    pub at: i64,
    /// Why, where somebody said.
    pub note: Option<String>,
    /// What the account's own provider keys were used for, at list price.
    pub byok: Nanos,
    /// The part of the charge that an allowance covered: it was not taken off the balance.
    pub waived: Nanos,
    /// Its usage row has not been confirmed by D1.
    pub unsent: bool,
    /// Of an expiry: a settlement came late. Of a late settlement: the hold had expired. Of a correction: the request was settled.
    pub twin: bool,
    /// Of a correction: the time whose periods its settlement was counted in.
    pub counted_at: Option<i64>,
}

/// What is kept beside the entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEnd {
    /// The counters of every key, deleted ones included.
    pub keys: Vec<KeyCounters>,
    /// Open holds that should not be: past their time by more than the caller allows, or of requests that have ended. The oldest
    /// first, at most [`BookEnd::MAX_HOLDS`].
    pub holds: Vec<BookHold>,
    /// The object's clock.
    pub now: i64,
    /// What the lots of credits that expire hold together.
    #[serde(default)]
    pub lots: Nanos,
    /// The balance of which they hold no more, as of the last change that was no charge.
    #[serde(default)]
    pub lots_balance: Nanos,
    /// Lots that do not agree with their entries, at most [`BookEnd::MAX_HOLDS`].
    #[serde(default)]
    pub wrong_lots: Vec<BookLot>,
    /// Today's requests to free models, where any were counted.
    #[serde(default)]
    pub free: Option<FreeCount>,
}

impl BookEnd {
    /// The most holds told.
    pub const MAX_HOLDS: i64 = 500;
    /// How long after its time a hold may still wait for the alarm.
    pub const PATIENCE_MS: i64 = 900_000;
}

/// The counters of a key as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCounters {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// Spent ever.
    pub ever: Nanos,
    /// The starts of the UTC day, week and month that are counted, and what was spent in each.
    pub periods: [(i64, Nanos); 3],
    /// What the account's own provider keys were used for: ever, and in the same day, week and month.
    pub byok: [Nanos; 4],
}

/// An open hold that should not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookHold {
    /// The generation id.
    pub id: String,
    /// What it reserves.
    pub amount: Nanos,
    /// When it should have been released.
    pub release_at: i64,
    /// Its request has ended.
    pub ended: bool,
}

/// A lot: what became of credits that expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLot {
    /// The kind of its entry.
    pub kind: String,
    /// The id of its entry.
    pub id: String,
    /// Its credits, where there is such an entry.
    pub credits: Option<Nanos>,
    /// What is left, has expired, and went back together.
    pub accounted: Nanos,
    /// What has expired.
    pub lapsed: Nanos,
    /// What its entries say that has expired.
    pub lapses: Nanos,
}

/// How many requests to free models a day has, as they are counted and as entries and holds say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeCount {
    /// The counter.
    pub counted: i64,
    /// Requests of the day that somebody answered or that are open.
    pub least: i64,
    /// These, and those within a minute before it: a clock that steps back counts them to the newer day.
    pub most: i64,
}

/// Asks what a ledger knows of purchases, coupons and refunds of these ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadFunds {
    /// Their ids.
    pub ids: Vec<String>,
}

/// What a ledger knows of an id of credits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookFund {
    /// The id.
    pub id: String,
    /// The credits of the purchase.
    pub purchase: Option<Nanos>,
    /// The credits of the coupon.
    pub coupon: Option<Nanos>,
    /// What refunds and disputes took of the purchase.
    pub taken: Nanos,
    /// What the refund of this id took.
    pub refund: Option<Nanos>,
    /// When a refund or dispute of it changed last.
    pub changed_at: i64,
}

/// Asks which of these generations have ended in this ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// Their ids.
    pub ids: Vec<String>,
}

/// Asks what a ledger comes to: what is kept of an account that is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SumUp {}

/// What a ledger comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SumsUp {
    /// The balance.
    pub balance: Nanos,
    /// Open holds and unsent usage rows: until there are none, the ledger is not at rest.
    pub unfinished: i64,
    /// Entries by UTC month and kind.
    pub months: Vec<MonthSum>,
}

/// The entries of one kind in one UTC month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthSum {
    /// `2026-11`.
    pub month: String,
    /// The kind.
    pub kind: String,
    /// How many.
    pub count: i64,
    /// Their sum.
    pub amount: Nanos,
}

/// Empties the ledger of an account that is deleted, for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Empty {}

/// The ledger is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emptied {}

/// Asks for a page of what the object keeps in one of its tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadTable {
    /// The table.
    pub table: String,
    /// The place of the last row that is known; empty at the beginning.
    pub after: String,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// Its place.
    pub place: String,
    /// Its columns.
    pub row: serde_json::Value,
}
