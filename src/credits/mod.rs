//! What did it cost, and who pays? Money, pricing and the ledger.

pub mod decimal;
pub mod money;
pub mod pricing;
