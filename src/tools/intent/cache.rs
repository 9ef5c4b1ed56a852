//! What this isolate remembers for routing: the catalog's deeds, read once, and the intents of some accounts.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{
    index::Index,
    memory::{Intents, MOST_INTENTS},
    router::{Router, stamp},
};
use crate::tools::catalog::ToolCatalog;

/// The age from which on an account's intents are asked for again, in milliseconds.
pub const MAX_AGE_MS: u64 = 60_000;
/// Accounts whose intents are remembered.
const ACCOUNTS: usize = 32;
/// Catalogs that are remembered: the operator's, and those of accounts with tools of their own.
const CATALOGS: usize = 8;

/// What this isolate remembers for routing.
#[derive(Default)]
pub struct IntentCache(RefCell<Known>);

#[derive(Default)]
struct Known {
    routers: Vec<Rc<Router>>,
    accounts: HashMap<String, Account>,
}

#[derive(Default)]
struct Account {
    asked_ms: u64,
    intents: Intents,
    index: Option<(u64, Rc<Index>)>,
}

impl IntentCache {
    /// The deeds of a catalog.
    pub fn router(&self, catalog: &ToolCatalog) -> Rc<Router> {
        let stamp = stamp(catalog);
        let found = self
            .0
            .borrow()
            .routers
            .iter()
            .find(|router| router.stamp() == stamp)
            .map(Rc::clone);
        found.unwrap_or_else(|| {
            let router = Rc::new(Router::of(catalog));
            let mut known = self.0.borrow_mut();
            if known.routers.len() >= CATALOGS {
                known.routers.remove(0);
            }
            known.routers.push(Rc::clone(&router));
            router
        })
    }

    /// Whether an account's intents have to be asked for.
    pub fn is_stale(&self, account: &str, now_ms: u64) -> bool {
        let known = self.0.borrow();
        let asked = known.accounts.get(account).map(|account| account.asked_ms);
        asked.is_none_or(|asked| now_ms.saturating_sub(asked) >= MAX_AGE_MS)
    }

    /// Takes over an account's intents.
    pub fn adopt(&self, account: &str, intents: Intents, now_ms: u64) {
        let mut known = self.0.borrow_mut();
        if known.accounts.len() >= ACCOUNTS && !known.accounts.contains_key(account) {
            let oldest = known
                .accounts
                .iter()
                .min_by_key(|(_, account)| account.asked_ms);
            if let Some(oldest) = oldest.map(|(account, _)| account.clone()) {
                known.accounts.remove(&oldest);
            }
        }
        let entry = known.accounts.entry(account.to_owned()).or_default();
        entry.asked_ms = now_ms;
        if entry.intents != intents {
            entry.intents = intents;
            entry.index = None;
        }
    }

    /// One more intent of an account.
    pub fn add(&self, account: &str, tool: &str, features: &[u32]) {
        if let Some(known) = self.0.borrow_mut().accounts.get_mut(account) {
            let intent = (tool.to_owned(), features.to_vec());
            if !known.intents.contains(&intent) {
                known.intents.insert(0, intent);
                known.intents.truncate(MOST_INTENTS);
                known.index = None;
            }
        }
    }

    /// The index for an account, and how many intents it knows.
    pub fn index(&self, account: &str, router: &Router, key: u64) -> (Rc<Index>, usize) {
        let mut known = self.0.borrow_mut();
        let Some(known) = known.accounts.get_mut(account) else {
            return (router.index(&Intents::new(), 0), 0);
        };
        let kept = known
            .index
            .as_ref()
            .filter(|(stamp, _)| *stamp == router.stamp());
        let index = match kept {
            Some((_, index)) => Rc::clone(index),
            None => {
                let index = router.index(&known.intents, key);
                known.index = Some((router.stamp(), Rc::clone(&index)));
                index
            }
        };
        (index, known.intents.len())
    }

    /// Forgets an account.
    pub fn forget(&self, account: &str) {
        self.0.borrow_mut().accounts.remove(account);
    }
}
