//! Requests and tokens of the last 60 seconds: exact sliding windows.
//!
//! They live in the object's memory and cost no writes. What the object has forgotten (it slept, it was moved, it died) is read
//! again from open holds and from the entries of the last 60 seconds, which say when each request was admitted and how many tokens it
//! took: so no restart lets more through. Out of scope: which limits are in force ([`super::hold`]).

use std::collections::{BTreeMap, HashMap};

use super::{Ledger, LedgerError};
use crate::credits::sql::{Columns, Sql};

/// How long a request counts.
pub const WINDOW_MS: i64 = 60_000;
/// Entries read at once when a window is read again.
const PAGE: i64 = 1_000;
/// Beyond so many keys those without a request in the window are forgotten.
const MANY_KEYS: usize = 1_000;

/// An admitted request.
#[derive(Clone, Copy)]
pub(super) struct Admitted<'a> {
    pub(super) key_hash: &'a str,
    pub(super) began: i64,
    pub(super) tokens: i64,
    pub(super) free: bool,
}

#[derive(Default, Clone, Copy)]
struct Sum {
    requests: i64,
    tokens: i64,
}

/// The requests of somebody, by the millisecond in which they were admitted.
#[derive(Default)]
pub(super) struct Window {
    slots: BTreeMap<i64, Sum>,
    sum: Sum,
}

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Requests,
    Tokens,
}

impl Sum {
    fn get(self, count: Count) -> i64 {
        match count {
            Count::Requests => self.requests,
            Count::Tokens => self.tokens,
        }
    }
}

impl Window {
    fn prune(&mut self, now_ms: i64) {
        while let Some(slot) = self.slots.first_entry() {
            if *slot.key() > now_ms - WINDOW_MS {
                break;
            }
            let gone = slot.remove();
            self.sum.requests -= gone.requests;
            self.sum.tokens -= gone.tokens;
        }
    }

    fn add(&mut self, began: i64, requests: i64, tokens: i64) {
        let slot = self.slots.entry(began).or_default();
        slot.requests += requests;
        slot.tokens += tokens;
        self.sum.requests += requests;
        self.sum.tokens += tokens;
    }

    fn correct(&mut self, began: i64, change: i64) {
        // What has left the window is not there any more.
        if let Some(slot) = self.slots.get_mut(&began) {
            slot.tokens += change;
            self.sum.tokens += change;
        }
    }

    /// What the window holds.
    pub(super) fn used(&self, count: Count) -> i64 {
        self.sum.get(count)
    }

    /// When so much fits under the limit, if it ever does.
    pub(super) fn fits_at(&self, count: Count, needed: i64, limit: i64) -> Option<i64> {
        let mut used = self.used(count);
        if needed > limit {
            return None;
        }
        for (began, slot) in &self.slots {
            used -= slot.get(count);
            if used + needed <= limit {
                return Some(began + WINDOW_MS);
            }
        }
        None
    }
}

/// The windows of an account and its keys.
#[derive(Default)]
pub(super) struct Paces {
    account: Window,
    free: Window,
    keys: HashMap<String, Window>,
    /// The newest time that was asked for.
    now_ms: i64,
}

impl Paces {
    pub(super) fn add(&mut self, one: &Admitted<'_>) {
        self.account.add(one.began, 1, one.tokens);
        if one.free {
            self.free.add(one.began, 1, 0);
        }
        if let Some(window) = self.keys.get_mut(one.key_hash) {
            window.add(one.began, 1, one.tokens);
        } else {
            let mut window = Window::default();
            window.add(one.began, 1, one.tokens);
            self.keys.insert(one.key_hash.to_owned(), window);
        }
    }

    /// The request took other than the estimated tokens.
    pub(super) fn correct(&mut self, key_hash: &str, began: i64, change: i64) {
        self.account.correct(began, change);
        if let Some(window) = self.keys.get_mut(key_hash) {
            window.correct(began, change);
        }
    }

    pub(super) fn account(&self) -> &Window {
        &self.account
    }

    pub(super) fn free(&self) -> &Window {
        &self.free
    }

    pub(super) fn key(&self, key_hash: &str) -> Option<&Window> {
        self.keys.get(key_hash)
    }

    fn prune(&mut self, key_hash: &str, now_ms: i64) {
        self.now_ms = now_ms;
        self.account.prune(now_ms);
        self.free.prune(now_ms);
        if self.keys.len() > MANY_KEYS {
            self.keys.retain(|_, window| {
                window.prune(now_ms);
                !window.slots.is_empty()
            });
        } else if let Some(window) = self.keys.get_mut(key_hash) {
            window.prune(now_ms);
        }
    }
}

impl<S: Sql> Ledger<S> {
    /// The windows as they are now: those remembered, or read again.
    pub(super) fn paces<'m>(
        &self,
        known: &'m mut Option<Paces>,
        key_hash: &str,
        now_ms: i64,
    ) -> Result<&'m Paces, LedgerError> {
        // What left the windows is gone from memory: a clock that stepped back wants it again.
        let is_known = known.as_ref().is_some_and(|paces| paces.now_ms <= now_ms);
        let mut paces = match known.take() {
            Some(paces) if is_known => paces,
            _ => self.read_paces(now_ms)?,
        };
        paces.prune(key_hash, now_ms);
        Ok(known.insert(paces))
    }

    fn read_paces(&self, now_ms: i64) -> Result<Paces, LedgerError> {
        let mut paces = Paces::default();
        let since = now_ms - WINDOW_MS;
        let open = self.rows(
            "SELECT key_hash, began, tokens, free FROM holds WHERE began > ?",
            &[since.into()],
        )?;
        for row in open {
            add(&mut paces, &mut Columns::of(row))?;
        }
        let mut before = crate::credits::money::MAX_NANOS;
        loop {
            // A request that was admitted in the window ended in it too.
            let page = self.rows(
                "SELECT seq, at, began, key_hash, tokens, free FROM entries WHERE seq < ? ORDER BY seq DESC LIMIT ?",
                &[before.into(), PAGE.into()],
            )?;
            let is_last = page.is_empty();
            for row in page {
                let mut row = Columns::of(row);
                before = row.take()?;
                let at: i64 = row.take()?;
                if at <= since {
                    return Ok(paces);
                }
                let began: Option<i64> = row.take()?;
                let key_hash: Option<String> = row.take()?;
                let tokens: Option<i64> = row.take()?;
                let free: Option<bool> = row.take()?;
                if let (Some(began), Some(key_hash)) = (began.filter(|at| *at > since), key_hash) {
                    paces.add(&Admitted {
                        key_hash: &key_hash,
                        began,
                        tokens: tokens.unwrap_or_default(),
                        free: free.unwrap_or_default(),
                    });
                }
            }
            if is_last {
                return Ok(paces);
            }
        }
    }
}

fn add(paces: &mut Paces, row: &mut Columns) -> Result<(), LedgerError> {
    let key_hash: String = row.take()?;
    let (began, tokens, free) = (row.take()?, row.take()?, row.take()?);
    paces.add(&Admitted {
        key_hash: &key_hash,
        began,
        tokens,
        free,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(began: i64, tokens: i64) -> Admitted<'static> {
        Admitted {
            key_hash: "k",
            began,
            tokens,
            free: false,
        }
    }

    #[test]
    fn a_request_counts_for_exactly_the_window() {
        let mut paces = Paces::default();
        for began in [0, 0, 10] {
            paces.add(&admitted(began, 5));
        }
        for (now, requests) in [(59_999, 3), (WINDOW_MS, 1), (60_009, 1), (60_010, 0)] {
            paces.prune("k", now);
            assert_eq!(paces.account().used(Count::Requests), requests, "{now}");
            assert_eq!(paces.account().used(Count::Tokens), 5 * requests, "{now}");
            let of_key = paces.key("k").map(|window| window.used(Count::Requests));
            assert_eq!(of_key, Some(requests), "{now}");
        }
    }

    #[test]
    fn the_time_at_which_a_request_fits_is_that_at_which_enough_has_left() {
        let mut paces = Paces::default();
        for (began, tokens) in [(0, 50), (10, 30), (20, 20)] {
            paces.add(&admitted(began, tokens));
        }
        let fits = |count, needed, limit| paces.account().fits_at(count, needed, limit);
        assert_eq!(fits(Count::Requests, 1, 3), Some(60_000));
        assert_eq!(fits(Count::Requests, 1, 2), Some(60_010));
        assert_eq!(fits(Count::Tokens, 60, 100), Some(60_010));
        assert_eq!(fits(Count::Tokens, 100, 100), Some(60_020));
        assert_eq!(fits(Count::Tokens, 101, 100), None);
    }

    #[test]
    fn tokens_are_corrected_while_they_are_in_the_window() {
        let mut paces = Paces::default();
        paces.add(&admitted(0, 50));
        paces.correct("k", 0, -20);
        assert_eq!(paces.account().used(Count::Tokens), 30);
        paces.prune("k", WINDOW_MS);
        paces.correct("k", 0, -30);
        assert_eq!(paces.account().used(Count::Tokens), 0);
    }
}
