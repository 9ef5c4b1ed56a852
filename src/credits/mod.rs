//! What did it cost, and who pays? Money, pricing and the ledger.

pub mod accounts;
pub mod decimal;
pub mod discount;
pub mod ledger;
pub mod money;
pub mod ops;
pub mod periods;
pub mod pricing;
pub mod sale;
pub mod share;
pub mod sql;
pub mod stripe;
pub mod terms;
pub mod units;
