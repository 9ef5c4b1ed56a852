//! What is published: one snapshot of all rows, and the key-value writes that make it visible at once.
//!
//! Readers take the version from [`POINTER`] and everything else under that version, so a reader sees one snapshot whole:
//! the pointer is the last write. Out of scope: doing the writes (`edge`), checking the rows (`catalog/tool`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::listing::ListEntry;
use super::model::{Endpoint, Model, ModelEntry, Status, is_open};
use super::provider::Provider;
use super::query::ListQuery;
use super::skills::{Candidate, Skills};
use super::{listing, wire};

/// The key that names the version in force.
pub const POINTER: &str = "catalog:current";

/// The key of one model's [`ModelEntry`].
pub fn model_key(version: &str, slug: &str) -> String {
    format!("catalog:{version}:model:{slug}")
}

/// The key of the pre-rendered body of `/models`.
pub fn list_key(version: &str) -> String {
    format!("catalog:{version}:list")
}

/// The key of the [`ListEntry`] array that filtered lists are made from.
pub fn index_key(version: &str) -> String {
    format!("catalog:{version}:index")
}

/// The key of [`Names`].
pub fn names_key(version: &str) -> String {
    format!("catalog:{version}:slugs")
}

/// The key of the [`Provider`] array.
pub fn providers_key(version: &str) -> String {
    format!("catalog:{version}:providers")
}

/// The key of the [`Candidate`] array that routers choose from.
pub fn pool_key(version: &str) -> String {
    format!("catalog:{version}:pool")
}

/// Every slug, and the other names that mean one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Names {
    /// Slugs, sorted.
    pub slugs: Vec<String>,
    /// Alias → slug.
    pub aliases: BTreeMap<String, String>,
    /// `author/family` → the slug of its newest model.
    #[serde(default)]
    pub latest: BTreeMap<String, String>,
}

impl Names {
    /// The slug of the newest model of a family, named `author/family-latest` in any case.
    pub fn newest(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let family = name.strip_suffix("-latest")?;
        self.latest.get(family).map(String::as_str)
    }

    /// The names of the families nearest to an unknown one.
    pub fn nearest_family(&self, name: &str) -> Vec<String> {
        let name = name.strip_suffix("-latest").unwrap_or(name);
        let families: Vec<&String> = self.latest.keys().collect();
        let near = super::names::nearest(name, &families);
        near.iter()
            .map(|family| format!("~{family}-latest"))
            .collect()
    }

    /// The slug that a name means, in any case: itself, what it is an alias of, or the open one that it is of.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.slug(&name)
            .or_else(|| self.aliases.get(&name).map(String::as_str))
            .or_else(|| self.open(&name))
    }

    fn slug(&self, slug: &str) -> Option<&str> {
        let at = self
            .slugs
            .binary_search_by(|known| known.as_str().cmp(slug));
        self.slugs.get(at.ok()?).map(String::as_str)
    }

    /// `provider/*` for `provider/author/name`.
    fn open(&self, name: &str) -> Option<&str> {
        let (provider, id) = name.split_once('/')?;
        let (author, model) = id.split_once('/')?;
        let is_id = !author.is_empty() && !model.is_empty() && !id.contains(char::is_whitespace);
        self.slug(&format!("{provider}/*")).filter(|_| is_id)
    }

    /// The same model at those who take ids that the catalog does not list: `provider/author/name`.
    pub fn elsewhere(&self, name: &str) -> Vec<String> {
        let open = self.slugs.iter().filter_map(|slug| slug.strip_suffix('*'));
        open.map(|start| format!("{start}{name}"))
            .filter(|name| self.open(name).is_some())
            .collect()
    }

    /// The slugs nearest to an unknown name.
    pub fn nearest(&self, name: &str) -> Vec<String> {
        let is_listed = |slug: &&String| !is_open(slug);
        let listed: Vec<&String> = self.slugs.iter().filter(is_listed).collect();
        super::names::nearest(name, &listed)
    }
}

/// All rows of the catalog under a version that is the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Hash of the content.
    pub version: String,
    /// Providers, by slug.
    pub providers: Vec<Provider>,
    /// Models, by slug.
    pub models: Vec<Model>,
    /// Endpoints, by model and tag.
    pub endpoints: Vec<Endpoint>,
    /// Alias → slug.
    pub aliases: BTreeMap<String, String>,
    /// Slug → what the model is good at, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, Skills>,
    /// The catalog of tools, which has a version of its own (`tools::catalog::publish`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<serde_json::Value>,
}

/// Why a snapshot was refused.
#[derive(Debug)]
pub enum SnapshotError {
    /// Not the JSON of a snapshot.
    Syntax(serde_json::Error),
    /// The version is not the hash of the content: the file was cut or changed.
    Version,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "not a catalog snapshot: {error}"),
            Self::Version => f.write_str("the snapshot's version is not the hash of its content"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl Snapshot {
    /// A snapshot of these rows, sorted. Models without an endpoint, endpoints without model or provider, providers without
    /// an endpoint and aliases of nothing are left out.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn new(
        mut providers: Vec<Provider>,
        mut models: Vec<Model>,
        mut endpoints: Vec<Endpoint>,
        mut aliases: BTreeMap<String, String>,
        mut skills: BTreeMap<String, Skills>,
    ) -> Result<Self, serde_json::Error> {
        endpoints.retain(|e| {
            providers.iter().any(|p| p.slug == e.provider)
                && models.iter().any(|m| m.slug == e.model)
        });
        models.retain(|m| endpoints.iter().any(|e| e.model == m.slug));
        providers.retain(|p| endpoints.iter().any(|e| e.provider == p.slug));
        aliases.retain(|_, slug| models.iter().any(|m| m.slug == *slug));
        skills.retain(|slug, _| {
            let is_its = |m: &Model| m.slug.split(':').next() == Some(slug.as_str());
            models.iter().any(|m| m.slug == *slug || is_its(m))
        });
        providers.sort_by(|a, b| a.slug.cmp(&b.slug));
        models.sort_by(|a, b| a.slug.cmp(&b.slug));
        endpoints.sort_by(|a, b| (&a.model, &a.tag).cmp(&(&b.model, &b.tag)));
        let mut snapshot = Self {
            version: String::new(),
            providers,
            models,
            endpoints,
            aliases,
            skills,
            tools: None,
        };
        snapshot.version = snapshot.hash()?;
        Ok(snapshot)
    }

    /// Reads a snapshot and holds its version against its content.
    ///
    /// # Errors
    /// When it is not the JSON of a snapshot, or was changed after it was made.
    pub fn parse(json: &str) -> Result<Self, SnapshotError> {
        let snapshot: Self = crate::json::from_str(json).map_err(SnapshotError::Syntax)?;
        let hash = snapshot.hash().map_err(SnapshotError::Syntax)?;
        if hash == snapshot.version {
            Ok(snapshot)
        } else {
            Err(SnapshotError::Version)
        }
    }

    /// The same catalog with only those providers that a deployment can call.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn restricted(
        self,
        offered: impl Fn(&Provider) -> bool,
    ) -> Result<Self, serde_json::Error> {
        let providers = self.providers.into_iter().filter(|p| offered(p)).collect();
        Self::new(
            providers,
            self.models,
            self.endpoints,
            self.aliases,
            self.skills,
        )
    }

    /// Each model with its endpoints and their providers, in the order of the slugs.
    pub fn entries(&self) -> Vec<ModelEntry> {
        self.models.iter().map(|model| self.entry(model)).collect()
    }

    /// The names that clients may use.
    pub fn names(&self) -> Names {
        Names {
            slugs: self.models.iter().map(|m| m.slug.clone()).collect(),
            aliases: self.aliases.clone(),
            latest: self.latest(),
        }
    }

    /// The newest model of each family; variants with a slug of their own, and models about to be withdrawn, are none.
    fn latest(&self) -> BTreeMap<String, String> {
        let mut latest: BTreeMap<String, &Model> = BTreeMap::new();
        let is_served = |model: &Model| {
            self.endpoints
                .iter()
                .any(|e| e.model == model.slug && e.status != Status::Deprecated)
        };
        for model in &self.models {
            let Some(family) = &model.family else {
                continue;
            };
            if model.slug.contains(':') || !is_served(model) {
                continue;
            }
            let family = format!("{}/{}", model.author(), family.to_lowercase());
            let newest = latest.entry(family).or_insert(model);
            if model.created > newest.created {
                *newest = model;
            }
        }
        let slug = |(family, model): (String, &Model)| (family, model.slug.clone());
        latest.into_iter().map(slug).collect()
    }

    /// The models as a router sees them.
    fn pool(&self, entries: &[ModelEntry]) -> Vec<Candidate> {
        let candidate = |entry: &ModelEntry| {
            let model = &entry.model;
            // The free twin of a model is as good as the model.
            let name = model.slug.split(':').next().unwrap_or_default();
            let skills = self.skills.get(&model.slug).or(self.skills.get(name));
            Candidate::of(entry, skills.copied())
        };
        let listed = entries.iter().filter(|entry| !entry.model.is_open());
        listed.filter_map(candidate).collect()
    }

    /// Every write that publishes this snapshot, the pointer last. All but the last may be written in any order.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn writes(&self) -> Result<Vec<(String, String)>, serde_json::Error> {
        self.writes_listing(self)
    }

    /// As [`writes`](Self::writes), but the lists show only what `offered` has, a part of this snapshot: the rest is served
    /// to whoever names it.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn writes_listing(
        &self,
        offered: &Self,
    ) -> Result<Vec<(String, String)>, serde_json::Error> {
        let version = &self.version;
        let entries = self.entries();
        let mut index = offered
            .entries()
            .iter()
            .filter(|entry| !entry.model.is_open())
            .map(ListEntry::of)
            .collect::<Result<Vec<_>, _>>()?;
        listing::newest_first(&mut index);
        let mut writes = Vec::with_capacity(entries.len() + 5);
        for entry in &entries {
            writes.push((
                model_key(version, &entry.model.slug),
                serde_json::to_string(entry)?,
            ));
        }
        writes.push((
            list_key(version),
            listing::page(&index, &ListQuery::default(), 0).body(None),
        ));
        writes.push((index_key(version), serde_json::to_string(&index)?));
        writes.push((names_key(version), serde_json::to_string(&self.names())?));
        writes.push((
            pool_key(version),
            serde_json::to_string(&self.pool(&entries))?,
        ));
        writes.push((
            providers_key(version),
            serde_json::to_string(&self.providers)?,
        ));
        writes.push((POINTER.to_owned(), version.clone()));
        Ok(writes)
    }

    /// The keys of an earlier version, to be deleted once no reader can hold it any more.
    pub fn keys(version: &str, names: &Names) -> Vec<String> {
        let models = names.slugs.iter().map(|slug| model_key(version, slug));
        models
            .chain([
                list_key(version),
                index_key(version),
                names_key(version),
                pool_key(version),
                providers_key(version),
            ])
            .collect()
    }

    /// The body of `/providers`.
    pub fn providers_body(&self) -> String {
        wire::providers_body(&self.providers).to_string()
    }

    fn entry(&self, model: &Model) -> ModelEntry {
        let mut endpoints: Vec<Endpoint> = self
            .endpoints
            .iter()
            .filter(|e| e.model == model.slug)
            .cloned()
            .collect();
        // The first one's prices are the model's: no other tier than the usual one stands for it.
        endpoints.sort_by_cached_key(|e| {
            let is_special = e.service_tier().is_some();
            (
                e.status == Status::Deprecated,
                is_special,
                blended(e),
                e.tag.clone(),
            )
        });
        let serves = |p: &&Provider| endpoints.iter().any(|e| e.provider == p.slug);
        let providers = self.providers.iter().filter(serves).cloned().collect();
        ModelEntry {
            model: model.clone(),
            endpoints,
            providers,
        }
    }

    fn hash(&self) -> Result<String, serde_json::Error> {
        let content = serde_json::to_vec(&(
            &self.providers,
            &self.models,
            &self.endpoints,
            &self.aliases,
            &self.skills,
        ))?;
        Ok(Sha256::digest(content)
            .iter()
            .take(8)
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }
}

/// One figure to order endpoints by: three parts prompt to one part completion, as conversations have it.
fn blended(endpoint: &Endpoint) -> i128 {
    let prices = &endpoint.prices;
    let net = |price| i128::from(prices.net(price).get());
    net(prices.prompt) * 3 + net(prices.completion)
}
