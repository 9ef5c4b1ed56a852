//! The calls about money that comes in and goes back: purchases, coupons, refunds, disputes, expiry, top-ups and notices.
//!
//! Out of scope: what they do (`credits::ledger`), payment providers (`credits::stripe`).

use serde::{Deserialize, Serialize};

use super::{Call, Granted};
use crate::credits::money::Nanos;

/// Where credits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fund {
    /// Given by the operator.
    Grant,
    /// Paid for.
    Purchase,
    /// Redeemed.
    Coupon,
}

impl Fund {
    /// The kind of its entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Purchase => "purchase",
            Self::Coupon => "coupon",
        }
    }
}

/// Adds credits of any kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddCredits {
    /// Where they come from; each kind has ids of its own.
    pub kind: Fund,
    /// Chosen by the caller; a repeat changes nothing.
    pub id: String,
    /// Above zero.
    pub amount: Nanos,
    /// When what is left of them goes; never, where absent.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Why, for the operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Why money of a purchase goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// The operator gave it back.
    Refund,
    /// The payer's bank took it back, for now or for good.
    Dispute,
}

impl Reversal {
    /// The word in the store, and the kind of the entry that takes credits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Dispute => "dispute",
        }
    }

    /// The kind of the entry that gives them back.
    pub fn undone(self) -> &'static str {
        match self {
            Self::Refund => "refund_undone",
            Self::Dispute => "dispute_won",
        }
    }
}

/// Says that money of a purchase went back, or that this came to nothing. Any order of these calls and of the purchase's own
/// gives the same balance, and repeating any of them changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reverse {
    /// Why.
    pub kind: Reversal,
    /// The refund's or dispute's id.
    pub id: String,
    /// The purchase's.
    pub purchase: String,
    /// How much money.
    pub amount: Nanos,
    /// Whether it came to nothing: the refund failed, the dispute was won. That is final.
    #[serde(default)]
    pub undone: bool,
}

/// Gives back what is unused of a purchase, decided in one step with taking it off.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefundCredits {
    /// The refund's id, chosen by the caller; a repeat answers what the first did.
    pub id: String,
    /// The purchase's.
    pub purchase: String,
    /// At most so much.
    #[serde(default)]
    pub most: Option<Nanos>,
    /// Whole units of so much only: what a payment provider can send.
    pub unit: Nanos,
    /// How long after the purchase it may be asked for, where there is a limit.
    #[serde(default)]
    pub within_ms: Option<i64>,
    /// Whether credits that are spent already may be taken too: the account may end in debt.
    #[serde(default)]
    pub even_if_used: bool,
}

/// What has gone back of a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversed {
    /// The money of this refund or dispute.
    pub amount: Nanos,
    /// The credits taken off for all refunds and disputes of the purchase; nothing before its credits have come.
    pub taken: Nanos,
    /// The balance.
    pub balance: Nanos,
}

/// Lets credits go whose time is over (the alarm).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LapseCredits {}

/// What [`LapseCredits`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapsed {
    /// What went.
    pub amount: Nanos,
}

/// Automatic purchases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoTopUp {
    /// Below this balance credits are bought.
    pub threshold: Nanos,
    /// How many at a time.
    pub amount: Nanos,
    /// The most in one UTC month.
    #[serde(default)]
    pub monthly_cap: Option<Nanos>,
}

/// Sets what the account wants done when its credits run low.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FundingPut {
    /// Below this balance its owners are told.
    #[serde(default)]
    pub low_balance: Option<Nanos>,
    /// Automatic purchases; setting them ends an earlier stop.
    #[serde(default)]
    pub auto_top_up: Option<AutoTopUp>,
}

/// Asks for these settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FundingGet {}

/// The settings and their state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    /// Below this balance the owners are told.
    pub low_balance: Option<Nanos>,
    /// Automatic purchases.
    pub auto_top_up: Option<AutoTopUp>,
    /// Why they are stopped, if they are.
    pub stopped: Option<String>,
    /// The automatic purchase that is under way.
    pub pending: Option<String>,
    /// Bought automatically in this UTC month, what is under way included.
    pub month: Nanos,
}

/// How an automatic purchase failed. Its success is the purchase itself ([`AddCredits`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TopUpFailed {
    /// The purchase's id.
    pub id: String,
    /// Why; further ones are stopped for this reason.
    pub reason: String,
}

/// Looks whether the balance crossed a threshold, and answers what has to be told or done and is not yet handed over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The balance fell below the threshold.
    LowBalance,
    /// Credits are to be bought now: the notice's id is the purchase's.
    AutoTopUp,
    /// An automatic purchase failed; further ones are stopped.
    AutoTopUpFailed,
    /// The month's cap lets no further automatic purchase happen.
    AutoTopUpCapped,
}

/// Something to tell or to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names it: handing it over twice is harmless.
    pub id: String,
    /// What about.
    pub kind: NoticeKind,
    /// The account.
    pub account: String,
    /// The threshold, the amount to buy, or the cap.
    pub amount: Nanos,
    /// The balance then.
    pub balance: Nanos,
    /// Why, for a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: i64,
}

/// These notices are in safe hands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoticesTaken {
    /// Their ids.
    pub ids: Vec<String>,
}

/// Whether anything waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesLeft {
    /// Whether notices are waiting.
    pub more: bool,
}

macro_rules! calls {
    ($($op:literal: $request:ty => $reply:ty;)*) => {
        $(impl Call for $request {
            const OP: &'static str = $op;
            type Reply = $reply;
        })*
    };
}

calls! {
    "add_credits": AddCredits => Granted;
    "reverse": Reverse => Reversed;
    "refund_credits": RefundCredits => Reversed;
    "lapse_credits": LapseCredits => Lapsed;
    "funding_put": FundingPut => Funding;
    "funding_get": FundingGet => Funding;
    "top_up_failed": TopUpFailed => Funding;
    "watch": Watch => Vec<Notice>;
    "notices_taken": NoticesTaken => NoticesLeft;
}
