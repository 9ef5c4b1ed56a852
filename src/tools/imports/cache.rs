//! Imported tools as this isolate has seen them: read when they changed, whether they did asked at most once a minute.
//!
//! An outage of the store leaves what was known in force. Catalogs with an account's own tools are made once for each state of it.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::store;
use crate::{
    database::Database,
    error::Result,
    tools::catalog::{ToolCatalog, ToolProvider},
};

/// How long what is known is not asked for again, in milliseconds.
pub const MAX_AGE_MS: u64 = 30_000;
/// The most owners that are known; all are forgotten then.
const MOST_OWNERS: usize = 256;
/// The most catalogs that are kept.
const MOST_CATALOGS: usize = 32;

/// What one owner imported.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// What names its state; empty where there is nothing.
    pub stamp: String,
    /// The providers.
    pub providers: Rc<[Rc<ToolProvider>]>,
}

/// What this isolate knows of imported tools.
#[derive(Default)]
pub struct SourceCache {
    seen: RefCell<HashMap<String, (u64, Owned)>>,
    catalogs: RefCell<Vec<(String, Rc<ToolCatalog>)>>,
}

impl SourceCache {
    /// What an account imported, or the operator.
    ///
    /// # Errors
    /// Where the store is out and nothing is known.
    pub async fn owned(
        &self,
        database: &impl Database,
        account: Option<&str>,
        now_ms: u64,
    ) -> Result<Owned> {
        let name = account.unwrap_or_default();
        let known = self.seen.borrow().get(name).cloned();
        if let Some((at, owned)) = &known
            && now_ms.saturating_sub(*at) < MAX_AGE_MS
        {
            return Ok(owned.clone());
        }
        let known = known.map(|(_, owned)| owned);
        let found = match (Self::read(database, account, known.as_ref()).await, known) {
            (Ok(found), _) => found,
            (Err(_), Some(known)) => known,
            (Err(error), None) => return Err(error),
        };
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= MOST_OWNERS {
            seen.clear();
        }
        seen.insert(name.to_owned(), (now_ms, found.clone()));
        Ok(found)
    }

    async fn read(
        database: &impl Database,
        account: Option<&str>,
        known: Option<&Owned>,
    ) -> Result<Owned> {
        let stamp = store::stamp(database, account).await?;
        if stamp.is_empty() {
            return Ok(Owned::default());
        }
        if let Some(known) = known.filter(|known| known.stamp == stamp) {
            return Ok(known.clone());
        }
        let providers = store::live(database, account).await?.into();
        Ok(Owned { stamp, providers })
    }

    /// Forgets what an owner imported: it has changed.
    pub fn forget(&self, account: Option<&str>) {
        self.seen.borrow_mut().remove(account.unwrap_or_default());
    }

    /// A catalog with what an owner imported beside it.
    pub fn with(&self, catalog: &Rc<ToolCatalog>, owned: &Owned) -> Rc<ToolCatalog> {
        if owned.stamp.is_empty() {
            return Rc::clone(catalog);
        }
        let version = format!("{}+{}", catalog.version(), owned.stamp);
        let known = self.catalogs.borrow();
        if let Some((_, known)) = known.iter().find(|(known, _)| *known == version) {
            return Rc::clone(known);
        }
        drop(known);
        let made = Rc::new(catalog.with(&owned.stamp, &owned.providers));
        let mut catalogs = self.catalogs.borrow_mut();
        if catalogs.len() >= MOST_CATALOGS {
            catalogs.remove(0);
        }
        catalogs.push((version, Rc::clone(&made)));
        made
    }
}
