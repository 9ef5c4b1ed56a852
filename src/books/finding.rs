//! A difference between two things that should be equal.

use serde::{Deserialize, Serialize};

use crate::credits::money::Nanos;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An entry's running balance is not that of the entry before it and its own amount.
    RunningBalance,
    /// The last balance is not the sum of all entries.
    Balance,
    /// A place in the ledger is empty.
    MissingEntry,
    /// An entry whose kind does not allow its amount.
    EntryAmount,
    /// A late settlement without an expiry, or a correction without a settlement.
    EntryWithoutOrigin,
    /// A key's counter is not the sum of its settlements.
    KeyCounter,
    /// Entries name a key that the account does not have.
    UnknownKey,
    /// A hold that should have been released.
    StaleHold,
    /// A hold of a request that has ended.
    HoldAfterEnd,
    /// An ended request without a usage row.
    MissingRow,
    /// A usage row without an entry in its account's ledger.
    OrphanRow,
    /// A usage row that belongs to another account than its entry.
    RowAccount,
    /// A usage row that names another key than its entry.
    RowKey,
    /// A usage row that tells of another end than its entry.
    RowStatus,
    /// A usage row whose cost is not its entry's amount.
    RowCost,
    /// A charged usage row that does not explain its cost.
    ChargeMissing,
    /// The lines of a charge do not make its total.
    ChargeSum,
    /// The total of a charge is not the row's cost.
    ChargeTotal,
    /// The lines of a charge do not count the row's tokens.
    ChargeTokens,
    /// The provider's own cost was the price, and another was charged.
    ProviderCost,
    /// A correction that D1 does not know, or knows with another amount.
    Correction,
    /// A purchase that was paid and one of the ledger, of which one is not there or has other credits.
    Purchase,
    /// What went back of a purchase, unlike in D1 and in the ledger.
    PurchaseTaken,
    /// A refund that was asked for here, unlike in D1 and in the ledger.
    Refund,
    /// A coupon that was redeemed, unlike in D1 and in the ledger.
    Coupon,
    /// A lot of credits that expire does not agree with its entries.
    Lot,
    /// The lots hold more than the balance.
    LotSum,
    /// The day's counter of requests to free models.
    FreeCounter,
}

impl Kind {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunningBalance => "running_balance",
            Self::Balance => "balance",
            Self::MissingEntry => "missing_entry",
            Self::EntryAmount => "entry_amount",
            Self::EntryWithoutOrigin => "entry_without_origin",
            Self::KeyCounter => "key_counter",
            Self::UnknownKey => "unknown_key",
            Self::StaleHold => "stale_hold",
            Self::HoldAfterEnd => "hold_after_end",
            Self::MissingRow => "missing_row",
            Self::OrphanRow => "orphan_row",
            Self::RowAccount => "row_account",
            Self::RowKey => "row_key",
            Self::RowStatus => "row_status",
            Self::RowCost => "row_cost",
            Self::ChargeMissing => "charge_missing",
            Self::ChargeSum => "charge_sum",
            Self::ChargeTotal => "charge_total",
            Self::ChargeTokens => "charge_tokens",
            Self::ProviderCost => "provider_cost",
            Self::Correction => "correction",
            Self::Purchase => "purchase",
            Self::PurchaseTaken => "purchase_taken",
            Self::Refund => "refund",
            Self::Coupon => "coupon",
            Self::Lot => "lot",
            Self::LotSum => "lot_sum",
            Self::FreeCounter => "free_counter",
        }
    }
}

/// A difference. Amounts are exact decimal dollars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What differs.
    pub kind: Kind,
    /// Where: a generation id, `entry 7`, a key and its counter.
    pub subject: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
    /// `found − expected` in nano-dollars, where both are amounts.
    pub difference: Option<i64>,
}

impl Finding {
    /// Two words that differ.
    pub fn words(
        kind: Kind,
        subject: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            expected: expected.into(),
            found: found.into(),
            difference: None,
        }
    }

    /// Two amounts, if they differ.
    pub fn amounts(
        kind: Kind,
        subject: impl Into<String>,
        expected: Nanos,
        found: Nanos,
    ) -> Option<Self> {
        (expected != found).then(|| Self {
            kind,
            subject: subject.into(),
            expected: expected.to_string(),
            found: found.to_string(),
            // Both are within 2^53.
            difference: Some(found.get() - expected.get()),
        })
    }
}
