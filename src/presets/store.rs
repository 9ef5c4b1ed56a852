//! Finding a preset: memory, then KV, then D1.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{MAX_AGE_MS, Preset};
use crate::{database::Database, error::Result};

/// Reads one preset of an account.
pub const SELECT: &str = "SELECT id, slug, name, description, status, version, config, system_prompt, created_at, updated_at FROM presets WHERE account = ?1 AND slug = ?2";

/// The key of a preset's copy in KV.
pub fn kv_key(account: &str, slug: &str) -> String {
    format!("preset:{account}:{slug}")
}

/// Where all isolates keep copies.
pub trait PresetStore {
    /// The copy under a key.
    fn preset_copy(&self, key: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Writes a copy.
    fn copy_preset(&self, key: &str, text: &str) -> impl Future<Output = Result<()>>;
}

/// Presets seen by this isolate.
#[derive(Debug, Default)]
pub struct PresetCache {
    seen: RefCell<HashMap<String, (u64, Rc<Preset>)>>,
}

impl PresetCache {
    /// The most presets kept; a full cache starts over.
    pub const CAPACITY: usize = 1_024;

    /// Forgets a preset that was changed here.
    pub fn forget(&self, account: &str, slug: &str) {
        self.seen.borrow_mut().remove(&kv_key(account, slug));
    }

    fn get(&self, key: &str, now_ms: u64) -> Option<Rc<Preset>> {
        let seen = self.seen.borrow();
        let (at, preset) = seen.get(key)?;
        (now_ms.saturating_sub(*at) < MAX_AGE_MS).then(|| Rc::clone(preset))
    }

    fn put(&self, key: String, preset: &Rc<Preset>, now_ms: u64) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= Self::CAPACITY {
            seen.clear();
        }
        seen.insert(key, (now_ms, Rc::clone(preset)));
    }
}

/// A preset of an account, if there is one. An outage of KV is survived.
///
/// # Errors
/// Where neither KV nor D1 could be asked.
pub async fn find(
    store: &(impl PresetStore + Database),
    cache: &PresetCache,
    account: &str,
    slug: &str,
    now_ms: u64,
) -> Result<Option<Rc<Preset>>> {
    let key = kv_key(account, slug);
    if let Some(preset) = cache.get(&key, now_ms) {
        return Ok(Some(preset));
    }
    let copy = store.preset_copy(&key).await.ok().flatten();
    if let Some(preset) = copy.and_then(|text| crate::json::from_str::<Preset>(&text).ok()) {
        let preset = Rc::new(preset);
        cache.put(key, &preset, now_ms);
        return Ok(Some(preset));
    }
    let rows = store.query(SELECT, &[account.into(), slug.into()]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let preset = Rc::new(Preset::from_row(row)?);
    if let Ok(text) = serde_json::to_string(&*preset) {
        // A copy that is not written is made by the next isolate that asks.
        let _ = store.copy_preset(&key, &text).await;
    }
    cache.put(key, &preset, now_ms);
    Ok(Some(preset))
}
