//! Accounts that were just refused: their next requests wait for the account's word before any provider is called.
//!
//! Usually the hold is asked for beside the provider's call, which costs a request no time. A flood of requests that are all refused
//! must not be one of calls to providers, though. An isolate remembers this for itself; what decides is the hold alone.

use std::{cell::RefCell, collections::HashMap};

/// How long an account is treated with caution after a refusal, in milliseconds.
pub const CAUTION_MS: u64 = 60_000;

/// The accounts that were refused lately.
#[derive(Debug, Default)]
pub struct Caution {
    until: RefCell<HashMap<String, u64>>,
}

impl Caution {
    /// The most accounts remembered; a full memory starts over.
    pub const CAPACITY: usize = 4_096;

    /// A hold of the account's was refused.
    pub fn note(&self, account: &str, now_ms: u64) {
        let mut until = self.until.borrow_mut();
        if until.len() >= Self::CAPACITY {
            until.clear();
        }
        until.insert(account.to_owned(), now_ms.saturating_add(CAUTION_MS));
    }

    /// Whether one was, lately.
    pub fn is_due(&self, account: &str, now_ms: u64) -> bool {
        let until = self.until.borrow();
        until.get(account).is_some_and(|until| now_ms < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_account_is_treated_with_caution_for_a_while() {
        let caution = Caution::default();
        caution.note("a", 1_000);
        assert!(caution.is_due("a", 1_000 + CAUTION_MS - 1));
        assert!(!caution.is_due("a", 1_000 + CAUTION_MS));
        assert!(!caution.is_due("b", 1_000));
        for n in 0..=Caution::CAPACITY {
            caution.note(&n.to_string(), 0);
        }
        assert!(caution.until.borrow().len() <= Caution::CAPACITY);
    }
}
