//! What did it cost, and who pays? Money, pricing and the ledger.

pub mod money;
