//! Provider keys that accounts bring: what is kept of each, and which of them a request may use.
//!
//! The secret is kept sealed ([`seal`]); D1 holds the truth ([`d1`]), KV a copy of an account's list as it stands there, and an
//! isolate remembers the opened list for [`MAX_AGE_MS`]. With the copy that a location keeps of a KV value, a change reaches
//! every request within a minute. An account that brought no keys costs nothing: its API keys' records say so.
//! Out of scope: when a key is used ([`crate::routing::own`]), and the routes that manage them (`api`).

pub mod d1;
pub mod seal;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use serde::{Deserialize, Serialize};

use crate::{
    access::key::KeyForm,
    database::Database,
    error::{Error, ErrorType, Next, Result, Source},
    routing::{OwnCandidate, OwnKey},
};
use seal::{Binding, Keyring};

/// How long an isolate remembers an account's keys, in milliseconds: with the 30 s of a KV copy, a minute.
pub const MAX_AGE_MS: u64 = 30_000;
/// How long the copy of an account's list lives in KV, in seconds.
pub const COPY_SECONDS: u64 = 300;
/// The most keys that an account may bring.
pub const MAX_KEYS: usize = 100;

/// KV key of the copy of an account's list.
pub fn kv_key(account: &str) -> String {
    format!("byok:{account}")
}

/// A provider key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKeyRecord {
    /// Its id.
    pub id: String,
    /// The provider's slug, or that of its group.
    pub provider: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The end of the secret, for its owner to know it by.
    pub label: String,
    /// The sealed secret.
    pub sealed: String,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether it comes after the operator's key.
    pub is_fallback: bool,
    /// Whether the operator's key for this provider is never used in its place.
    pub is_required: bool,
    /// The models it is for; all where absent.
    pub allowed_models: Option<Vec<String>>,
    /// The API keys it is for, by their hashes; all where absent.
    pub allowed_api_key_hashes: Option<Vec<String>>,
    /// Its place among the account's keys, the lowest first.
    pub sort_order: i64,
    /// When it was made, unix milliseconds.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: Option<i64>,
}

impl OwnKeyRecord {
    /// What its sealed secret is bound to.
    pub fn binding<'a>(&'a self, account: &'a str) -> Binding<'a> {
        Binding {
            account,
            provider: &self.provider,
            id: &self.id,
        }
    }
}

/// What is shown of a secret: its last four characters, where they are a small part of it.
pub fn label(secret: &str) -> String {
    let tail = secret.len().checked_sub(4).filter(|hidden| *hidden >= 8);
    let tail = tail.and_then(|at| secret.get(at..)).unwrap_or_default();
    format!("...{tail}")
}

/// The copies of the accounts' lists. Truth is D1.
pub trait OwnKeyCopies: Database {
    /// The copy in KV, if any. An outage is an error.
    fn own_keys_copy(&self, account: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Writes the copy in KV.
    fn copy_own_keys_to_kv(&self, account: &str, text: &str) -> impl Future<Output = Result<()>>;

    /// Reports what a request survived.
    fn warn(&self, message: &str);
}

/// An account's keys, opened.
#[derive(Debug, Default)]
pub struct OwnKeys {
    /// In the account's order, each with the API keys that it is for.
    keys: Vec<(OwnCandidate, Option<Vec<String>>)>,
}

impl OwnKeys {
    /// Opens the keys that are not disabled. One that does not open serves no model, but keeps the operator's key away where
    /// it is required.
    pub fn open(
        account: &str,
        records: Vec<OwnKeyRecord>,
        ring: Option<&Keyring>,
        mut warn: impl FnMut(&str),
    ) -> Self {
        let mut keys = Vec::with_capacity(records.len());
        for record in records.into_iter().filter(|record| !record.disabled) {
            let opened = match ring {
                Some(ring) => ring.open(&record.binding(account), &record.sealed),
                None => Err(seal::OpenError::NoMaster),
            };
            let models = match &opened {
                Ok(_) => record.allowed_models,
                Err(error) => {
                    warn(&format!("own key {} does not open: {error}", record.id));
                    Some(Vec::new())
                }
            };
            let secret = opened.unwrap_or_default();
            let key = OwnKey {
                id: record.id,
                label: record.label,
                form: KeyForm::of(&secret),
                secret,
            };
            let candidate = OwnCandidate {
                key: Rc::new(key),
                provider: record.provider,
                is_fallback: record.is_fallback,
                is_required: record.is_required,
                models,
            };
            keys.push((candidate, record.allowed_api_key_hashes));
        }
        Self { keys }
    }

    /// Those that requests with this API key may use.
    pub fn of(&self, api_key_hash: &str) -> Vec<OwnCandidate> {
        let is_for = |hashes: &Option<Vec<String>>| {
            hashes
                .as_ref()
                .is_none_or(|hashes| hashes.iter().any(|hash| hash == api_key_hash))
        };
        self.keys
            .iter()
            .filter(|(_, hashes)| is_for(hashes))
            .map(|(candidate, _)| candidate.clone())
            .collect()
    }
}

/// Opened lists seen by this isolate. What is too old is dropped with its secrets at the next look.
#[derive(Debug, Default)]
pub struct OwnKeyCache {
    seen: RefCell<HashMap<String, (u64, Rc<OwnKeys>)>>,
}

impl OwnKeyCache {
    /// The most accounts kept; a full cache starts over.
    pub const CAPACITY: usize = 1_024;

    /// A list that is fresh enough.
    pub fn get(&self, account: &str, now_ms: u64) -> Option<Rc<OwnKeys>> {
        let mut seen = self.seen.borrow_mut();
        let (at, keys) = seen.get(account)?;
        if now_ms.saturating_sub(*at) < MAX_AGE_MS {
            return Some(Rc::clone(keys));
        }
        seen.retain(|_, (at, _)| now_ms.saturating_sub(*at) < MAX_AGE_MS);
        None
    }

    /// Remembers a list.
    pub fn put(&self, account: &str, keys: Rc<OwnKeys>, now_ms: u64) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= Self::CAPACITY {
            seen.clear();
        }
        seen.insert(account.to_owned(), (now_ms, keys));
    }

    /// Forgets a list.
    pub fn forget(&self, account: &str) {
        self.seen.borrow_mut().remove(account);
    }
}

/// An account's list as it was found.
#[derive(Debug)]
pub struct Found {
    /// The records, in the account's order.
    pub records: Vec<OwnKeyRecord>,
    /// What to write to KV behind the response, where KV had no copy.
    pub copy: Option<String>,
}

/// Finds an account's list: KV, then D1.
///
/// # Errors
/// 503 where neither could be asked: a request must not go to capacity that the account has ruled out.
pub async fn find(stores: &impl OwnKeyCopies, account: &str) -> Result<Found> {
    match stores.own_keys_copy(account).await {
        Ok(Some(text)) => match crate::json::from_str(&text) {
            Ok(records) => {
                return Ok(Found {
                    records,
                    copy: None,
                });
            }
            Err(error) => stores.warn(&format!("the copy of own keys in KV: {error}")),
        },
        Ok(None) => {}
        Err(error) => stores.warn(&format!("KV could not be read: {error}")),
    }
    let records = d1::list(stores, account).await.map_err(|error| {
        stores.warn(&format!("D1 could not be read: {error}"));
        Error::new(
            Source::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
            "Your own provider keys cannot be looked up right now: try again",
        )
    })?;
    let copy = serde_json::to_string(&records).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Found {
        records,
        copy: Some(copy),
    })
}

#[cfg(test)]
#[path = "own_keys/tests.rs"]
mod tests;
