//! The tools as this isolate has seen them: read once per version, the version asked for at most once a minute.
//!
//! An outage of the store leaves the last version in force. A deployment that published no tools has none.

use std::{cell::RefCell, rc::Rc};

use super::{
    ToolCatalog,
    publish::{POINTER, ToolSnapshot, key},
};
use crate::{
    catalog::{CatalogStore, cache::MAX_AGE_MS},
    error::{Error, Result},
};

/// What this isolate knows of the tools.
#[derive(Default)]
pub struct ToolCache {
    seen: RefCell<Option<(u64, Rc<ToolCatalog>)>>,
}

impl ToolCache {
    /// The tools in force.
    ///
    /// # Errors
    /// Where the store is out and no version is known, or a published text is unreadable.
    pub async fn catalog(&self, store: &impl CatalogStore, now_ms: u64) -> Result<Rc<ToolCatalog>> {
        let known = self.seen.borrow().clone();
        if let Some((at, catalog)) = &known
            && now_ms.saturating_sub(*at) < MAX_AGE_MS
        {
            return Ok(Rc::clone(catalog));
        }
        let known = known.map(|(_, catalog)| catalog);
        let found = match (Self::read(store, known.as_ref()).await, known) {
            (Ok(found), _) => found,
            (Err(error), Some(known)) => {
                store.warn(&format!("the tools could not be read: {error}"));
                known
            }
            (Err(error), None) => return Err(error),
        };
        *self.seen.borrow_mut() = Some((now_ms, Rc::clone(&found)));
        Ok(found)
    }

    /// Drops what was read: another version is in force.
    pub fn forget(&self) {
        *self.seen.borrow_mut() = None;
    }

    async fn read(
        store: &impl CatalogStore,
        known: Option<&Rc<ToolCatalog>>,
    ) -> Result<Rc<ToolCatalog>> {
        let Some(version) = store.catalog_text(POINTER).await? else {
            return Ok(Rc::default());
        };
        if let Some(known) = known.filter(|known| known.version() == version) {
            return Ok(Rc::clone(known));
        }
        let text = store.catalog_text(&key(&version)).await?;
        let text =
            text.ok_or_else(|| Error::internal("a published version of the tools is missing"))?;
        let snapshot: ToolSnapshot = crate::json::from_str(&text).map_err(|error| {
            Error::internal(format!("the published tools are unreadable: {error}"))
        })?;
        Ok(Rc::new(snapshot.catalog()))
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
