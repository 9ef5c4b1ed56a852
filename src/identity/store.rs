//! Finding the record of a key: memory, then KV, then D1.

use std::{cell::RefCell, collections::HashMap};

use super::keys::{self, KeyRecord, MAX_ABSENCE_MS, MAX_AGE_MS, refused};
use crate::error::{Error, ErrorType, Next, Result, Source};

/// The stores of keys. Truth is D1; KV holds copies.
pub trait Directory {
    /// The copy in KV, if any. An outage is an error.
    fn key_in_kv(&self, hash: &str) -> impl Future<Output = Result<Option<KeyRecord>>>;

    /// The record in D1, unless deleted.
    fn key_in_d1(&self, hash: &str) -> impl Future<Output = Result<Option<KeyRecord>>>;

    /// Writes the copy in KV.
    fn copy_key_to_kv(&self, key: &KeyRecord) -> impl Future<Output = Result<()>>;

    /// Reports an outage that a request survived.
    fn warn(&self, message: &str);
}

/// Records seen by this isolate.
#[derive(Debug, Default)]
pub struct KeyCache {
    seen: RefCell<HashMap<String, (u64, Option<KeyRecord>)>>,
}

impl KeyCache {
    /// The most records kept; a full cache starts over.
    pub const CAPACITY: usize = 4_096;

    /// A record that is fresh enough, or the fresh knowledge that there is none.
    pub fn get(&self, hash: &str, now_ms: u64) -> Option<Option<KeyRecord>> {
        let seen = self.seen.borrow();
        let (at, record) = seen.get(hash)?;
        let age = now_ms.saturating_sub(*at);
        let limit = if record.is_some() {
            MAX_AGE_MS
        } else {
            MAX_ABSENCE_MS
        };
        (age < limit).then(|| record.clone())
    }

    /// Remembers a record.
    pub fn put(&self, hash: &str, record: Option<KeyRecord>, now_ms: u64) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= Self::CAPACITY {
            seen.clear();
        }
        seen.insert(hash.to_owned(), (now_ms, record));
    }

    /// Forgets a record.
    pub fn forget(&self, hash: &str) {
        self.seen.borrow_mut().remove(hash);
    }
}

/// Finds who sends this `Authorization` header.
///
/// # Errors
/// 401 where the key is missing, unknown, disabled or expired; 503 where neither KV nor D1 could be asked.
pub async fn authenticate(
    directory: &impl Directory,
    cache: &KeyCache,
    key: Option<&str>,
    now_ms: u64,
) -> Result<KeyRecord> {
    let key = key.ok_or_else(|| {
        refused("Missing Authentication header: send Authorization: Bearer <key>, or x-api-key")
    })?;
    if !keys::is_well_formed(key) {
        return Err(refused("No such API key"));
    }
    let hash = keys::hash(key);
    let record = match cache.get(&hash, now_ms) {
        Some(record) => record,
        None => {
            let record = look_up(directory, &hash).await?;
            cache.put(&hash, record.clone(), now_ms);
            record
        }
    };
    let record = record.ok_or_else(|| refused("No such API key"))?;
    record.check(now_ms)?;
    Ok(record)
}

/// KV first; D1 where KV has no copy or is out, and then a copy for the next isolate.
async fn look_up(directory: &impl Directory, hash: &str) -> Result<Option<KeyRecord>> {
    match directory.key_in_kv(hash).await {
        Ok(Some(record)) => return Ok(Some(record)),
        Ok(None) => {}
        Err(error) => directory.warn(&format!("KV could not be read: {error}")),
    }
    let mut record = directory.key_in_d1(hash).await.map_err(|error| {
        directory.warn(&format!("D1 could not be read: {error}"));
        Error::new(
            Source::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
            "Keys cannot be looked up right now: try again",
        )
    })?;
    if let Some(record) = &mut record {
        record.secret = Some(hash.to_owned());
    }
    if let Some(record) = &record
        && let Err(error) = directory.copy_key_to_kv(record).await
    {
        directory.warn(&format!("KV could not be written: {error}"));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use std::cell::Cell;

    #[derive(Default)]
    struct Stores {
        kv: RefCell<HashMap<String, KeyRecord>>,
        d1: HashMap<String, KeyRecord>,
        kv_out: Cell<bool>,
        d1_out: Cell<bool>,
        reads: Cell<u32>,
    }

    impl Directory for Stores {
        async fn key_in_kv(&self, hash: &str) -> Result<Option<KeyRecord>> {
            self.reads.set(self.reads.get() + 1);
            if self.kv_out.get() {
                return Err(Error::internal("out"));
            }
            Ok(self.kv.borrow().get(hash).cloned())
        }
        async fn key_in_d1(&self, hash: &str) -> Result<Option<KeyRecord>> {
            if self.d1_out.get() {
                return Err(Error::internal("out"));
            }
            Ok(self.d1.get(hash).cloned())
        }
        async fn copy_key_to_kv(&self, key: &KeyRecord) -> Result<()> {
            self.kv.borrow_mut().insert(key.hash.clone(), key.clone());
            Ok(())
        }
        fn warn(&self, _message: &str) {}
    }

    fn stores(change: impl FnOnce(&mut KeyRecord)) -> Stores {
        let mut record = KeyRecord {
            hash: keys::hash(keys::bearer(KEY).unwrap()),
            account: "acc".into(),
            name: "test".into(),
            label: "sk".into(),
            disabled: false,
            limit: None,
            limit_reset: None,
            created_at: 0,
            expires_at: None,
            own_keys: false,
            own_tools: false,
            management: false,
            policy: None,
            switched_off: Vec::new(),
            member: None,
            owner_off: false,
            captures: false,
            secret: None,
            secret_ends_at: None,
            include_byok: false,
            limits: Default::default(),
            external_user: None,
            external_key: None,
            updated_at: None,
            last_used_at: None,
        };
        change(&mut record);
        Stores {
            d1: HashMap::from([(record.hash.clone(), record)]),
            ..Stores::default()
        }
    }

    fn status(stores: &Stores, cache: &KeyCache, header: &str, now: u64) -> u16 {
        let header = (!header.is_empty()).then_some(header);
        block_on(authenticate(stores, cache, keys::sent(header, None), now))
            .map_or_else(|error| error.status, |_| 200)
    }

    const KEY: &str =
        "Bearer sk-pb-v1-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const STRANGER: &str =
        "Bearer sk-pb-v1-ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn a_key_is_read_once_and_copied_to_kv() {
        let stores = stores(|_| {});
        let cache = KeyCache::default();
        assert_eq!(status(&stores, &cache, KEY, 0), 200);
        assert_eq!(status(&stores, &cache, KEY, MAX_AGE_MS - 1), 200);
        assert_eq!(stores.reads.get(), 1);
        assert_eq!(stores.kv.borrow().len(), 1);
        assert_eq!(status(&stores, &cache, KEY, MAX_AGE_MS), 200);
        assert_eq!(stores.reads.get(), 2);
    }

    #[test]
    fn outages_of_kv_are_survived_and_of_both_are_told() {
        let stores = stores(|_| {});
        stores.kv_out.set(true);
        assert_eq!(status(&stores, &KeyCache::default(), KEY, 0), 200);
        stores.d1_out.set(true);
        assert_eq!(status(&stores, &KeyCache::default(), KEY, 0), 503);
    }

    #[test]
    fn missing_unknown_disabled_and_expired_keys_are_401() {
        let cache = KeyCache::default();
        assert_eq!(status(&stores(|_| {}), &cache, "", 0), 401);
        assert_eq!(status(&stores(|_| {}), &cache, STRANGER, 0), 401);
        let disabled = stores(|key| key.disabled = true);
        assert_eq!(status(&disabled, &KeyCache::default(), KEY, 0), 401);
        let owner_off = stores(|key| key.owner_off = true);
        assert_eq!(status(&owner_off, &KeyCache::default(), KEY, 0), 401);
        let expired = stores(|key| key.expires_at = Some(10));
        assert_eq!(status(&expired, &KeyCache::default(), KEY, 9), 200);
        assert_eq!(status(&expired, &KeyCache::default(), KEY, 10), 401);
    }

    #[test]
    fn that_a_key_does_not_exist_is_remembered_for_a_short_time() {
        let stores = stores(|_| {});
        let cache = KeyCache::default();
        for (now, reads) in [(0, 1), (MAX_ABSENCE_MS - 1, 1), (MAX_ABSENCE_MS, 2)] {
            assert_eq!(status(&stores, &cache, STRANGER, now), 401);
            assert_eq!(stores.reads.get(), reads);
        }
    }

    #[test]
    fn what_is_no_key_asks_no_store() {
        let stores = stores(|_| {});
        stores.kv_out.set(true);
        stores.d1_out.set(true);
        let cache = KeyCache::default();
        assert_eq!(status(&stores, &cache, "Bearer sk-or-v1-0123", 0), 401);
        assert_eq!(stores.reads.get(), 0);
        // A key may exist: then an outage is no refusal.
        assert_eq!(status(&stores, &cache, STRANGER, 0), 503);
    }

    #[test]
    fn known_keys_go_on_through_an_outage() {
        let stores = stores(|_| {});
        let cache = KeyCache::default();
        assert_eq!(status(&stores, &cache, KEY, 0), 200);
        stores.kv_out.set(true);
        stores.d1_out.set(true);
        assert_eq!(status(&stores, &cache, KEY, MAX_AGE_MS - 1), 200);
    }

    #[test]
    fn the_cache_does_not_grow_without_end() {
        let cache = KeyCache::default();
        for n in 0..=KeyCache::CAPACITY {
            cache.put(&n.to_string(), None, 0);
        }
        assert!(cache.seen.borrow().len() <= KeyCache::CAPACITY);
    }
}
