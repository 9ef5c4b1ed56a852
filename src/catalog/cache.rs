//! The catalog as this isolate has seen it: parsed once per version, the version asked for at most once a minute.
//!
//! An outage of the store leaves the last version in force. Out of scope: the stores themselves (`edge`).

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use serde::de::DeserializeOwned;

use super::{
    Dialect, Endpoint, Model, ModelEntry, Names, Provider,
    publish::{POINTER, model_key, names_key, pool_key, providers_key},
    skills::Candidate,
};
use crate::error::{Error, ErrorType, Next, Result, Source};

/// How old the known version may be, in milliseconds.
pub const MAX_AGE_MS: u64 = 60_000;
/// The most models kept parsed; a full cache starts over.
pub const CAPACITY: usize = 2_048;

/// Where published catalogs are kept.
pub trait CatalogStore {
    /// The text under a key of `catalog::publish`.
    fn catalog_text(&self, key: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Reports an outage that a request survived.
    fn warn(&self, message: &str);
}

/// An endpoint with its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The endpoint.
    pub endpoint: Rc<Endpoint>,
    /// Its provider.
    pub provider: Rc<Provider>,
}

impl Route {
    /// The wire format to speak.
    pub fn dialect(&self) -> Dialect {
        self.endpoint.dialect(&self.provider)
    }
}

/// A model with its endpoints, ready to be planned over.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// The model.
    pub model: Model,
    /// Its endpoints, cheapest first.
    pub routes: Vec<Route>,
    /// The entry as it was published.
    pub entry: ModelEntry,
}

impl From<ModelEntry> for ServedModel {
    fn from(entry: ModelEntry) -> Self {
        let providers: Vec<Rc<Provider>> = entry.providers.iter().cloned().map(Rc::new).collect();
        let route = |endpoint: &Endpoint| {
            let provider = providers.iter().find(|p| p.slug == endpoint.provider)?;
            Some(Route {
                endpoint: Rc::new(endpoint.clone()),
                provider: Rc::clone(provider),
            })
        };
        Self {
            model: entry.model.clone(),
            routes: entry.endpoints.iter().filter_map(route).collect(),
            entry,
        }
    }
}

/// What this isolate knows of the catalog.
#[derive(Default)]
pub struct CatalogCache {
    version: RefCell<Option<(u64, Rc<str>)>>,
    names: RefCell<Option<Rc<Names>>>,
    models: RefCell<HashMap<String, Rc<ServedModel>>>,
    texts: RefCell<HashMap<String, Rc<str>>>,
    providers: RefCell<Option<Rc<[Provider]>>>,
    pool: RefCell<Option<Rc<[Candidate]>>>,
}

impl CatalogCache {
    /// The version in force.
    ///
    /// # Errors
    /// 503 where no catalog was published or the store is out and no version is known.
    pub async fn version(&self, store: &impl CatalogStore, now_ms: u64) -> Result<Rc<str>> {
        let known = self.version.borrow().clone();
        if let Some((at, version)) = &known
            && now_ms.saturating_sub(*at) < MAX_AGE_MS
        {
            return Ok(Rc::clone(version));
        }
        match (store.catalog_text(POINTER).await, known) {
            (Ok(Some(version)), known) => {
                let version: Rc<str> = version.into();
                if known.is_none_or(|(_, old)| old != version) {
                    self.forget();
                }
                *self.version.borrow_mut() = Some((now_ms, Rc::clone(&version)));
                Ok(version)
            }
            (Err(error), Some((_, version))) => {
                store.warn(&format!("the catalog's version could not be read: {error}"));
                *self.version.borrow_mut() = Some((now_ms, Rc::clone(&version)));
                Ok(version)
            }
            (Err(error), None) => Err(error),
            (Ok(None), _) => Err(unavailable(
                "No catalog is published on this deployment yet",
            )),
        }
    }

    /// Drops all that was read: another version is in force.
    pub fn forget(&self) {
        *self.version.borrow_mut() = None;
        *self.names.borrow_mut() = None;
        self.models.borrow_mut().clear();
        self.texts.borrow_mut().clear();
        *self.providers.borrow_mut() = None;
        *self.pool.borrow_mut() = None;
    }

    /// A published text, such as the pre-rendered list; `key` makes its key from the version.
    ///
    /// # Errors
    /// As [`CatalogCache::version`].
    pub async fn text(
        &self,
        store: &impl CatalogStore,
        key: impl Fn(&str) -> String,
        now_ms: u64,
    ) -> Result<Rc<str>> {
        let key = key(&self.version(store, now_ms).await?);
        if let Some(text) = self.texts.borrow().get(&key) {
            return Ok(Rc::clone(text));
        }
        let text: Rc<str> = store.catalog_text(&key).await?.ok_or_else(cut)?.into();
        self.texts.borrow_mut().insert(key, Rc::clone(&text));
        Ok(text)
    }

    /// The names that clients may use.
    ///
    /// # Errors
    /// As [`CatalogCache::version`].
    pub async fn names(&self, store: &impl CatalogStore, now_ms: u64) -> Result<Rc<Names>> {
        let version = self.version(store, now_ms).await?;
        if let Some(names) = &*self.names.borrow() {
            return Ok(Rc::clone(names));
        }
        let text = store
            .catalog_text(&names_key(&version))
            .await?
            .ok_or_else(cut)?;
        let names: Names = crate::json::from_str(&text).map_err(unreadable)?;
        let names = Rc::new(names);
        *self.names.borrow_mut() = Some(Rc::clone(&names));
        Ok(names)
    }

    /// The providers.
    ///
    /// # Errors
    /// As [`CatalogCache::version`].
    pub async fn providers(
        &self,
        store: &impl CatalogStore,
        now_ms: u64,
    ) -> Result<Rc<[Provider]>> {
        self.list(store, &self.providers, providers_key, now_ms)
            .await
    }

    /// What routers choose from.
    ///
    /// # Errors
    /// As [`CatalogCache::version`].
    pub async fn pool(&self, store: &impl CatalogStore, now_ms: u64) -> Result<Rc<[Candidate]>> {
        self.list(store, &self.pool, pool_key, now_ms).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        store: &impl CatalogStore,
        kept: &RefCell<Option<Rc<[T]>>>,
        key: impl Fn(&str) -> String,
        now_ms: u64,
    ) -> Result<Rc<[T]>> {
        let version = self.version(store, now_ms).await?;
        if let Some(list) = &*kept.borrow() {
            return Ok(Rc::clone(list));
        }
        let text = store.catalog_text(&key(&version)).await?;
        let list: Vec<T> = crate::json::from_str(&text.ok_or_else(cut)?).map_err(unreadable)?;
        let list: Rc<[T]> = list.into();
        *kept.borrow_mut() = Some(Rc::clone(&list));
        Ok(list)
    }

    /// The model that a name means.
    ///
    /// # Errors
    /// 400 `model_not_found` with the nearest names; else as [`CatalogCache::version`].
    pub async fn model(
        &self,
        store: &impl CatalogStore,
        name: &str,
        now_ms: u64,
    ) -> Result<Rc<ServedModel>> {
        let version = self.version(store, now_ms).await?;
        if let Some(model) = self.models.borrow().get(name) {
            return Ok(Rc::clone(model));
        }
        let names = self.names(store, now_ms).await?;
        let Some(slug) = names.resolve(name) else {
            return Err(unknown(name, &names.nearest(name)));
        };
        let text = store
            .catalog_text(&model_key(&version, slug))
            .await?
            .ok_or_else(cut)?;
        let entry: ModelEntry = crate::json::from_str(&text).map_err(unreadable)?;
        let model = Rc::new(ServedModel::from(entry.named(&name.to_lowercase())));
        let mut models = self.models.borrow_mut();
        if models.len() >= CAPACITY {
            models.clear();
        }
        models.insert(name.to_owned(), Rc::clone(&model));
        Ok(model)
    }
}

fn unknown(name: &str, nearest: &[String]) -> Error {
    let hint = if nearest.is_empty() {
        "See GET /api/v1/models.".to_owned()
    } else {
        format!("Did you mean {}?", nearest.join(", "))
    };
    let mut error = Error::invalid("model", format!("{name} is not a valid model ID. {hint}"));
    error
        .metadata
        .insert("nearest_models".into(), nearest.into());
    error
        .metadata
        .insert("code".into(), "model_not_found".into());
    error
}

fn unavailable(message: &str) -> Error {
    Error::new(
        Source::Gateway,
        Next::SameAgain,
        ErrorType::ProviderOverloaded,
        message,
    )
}

fn cut() -> Error {
    unavailable("The catalog is being replaced: try again")
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::internal(format!("a published catalog entry is unreadable: {error}"))
}
