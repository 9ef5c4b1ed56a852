//! The hand-kept overlay: `providers.toml`, each provider with how its rows are imported.

use std::collections::BTreeMap;
use std::path::Path;

use patchbay::catalog::{
    Dialect, Parameter, Provider, ReasoningFields, WebSearch, pattern::matches,
};
use serde::Deserialize;
use toml::{Spanned, Table, Value};

use crate::rows::{Fault, Place, Row, text};

/// `providers.toml`.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Providers that are offered.
    pub providers: Vec<Row<ProviderRow>>,
    /// Providers of the source that are left out.
    pub excluded: Vec<Excluded>,
}

/// A provider and where its rows come from.
#[derive(Debug, Clone)]
pub struct ProviderRow {
    /// The provider.
    pub provider: Provider,
    /// How its rows are imported; absent for hand-kept ones.
    pub import: Option<Import>,
}

/// How a provider's rows are imported.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The provider's id at models.dev.
    pub source: String,
    /// Patterns of the upstream ids that are this provider's, where several share a source; all that no other takes where empty.
    #[serde(default)]
    pub only: Vec<String>,
    /// Upstream ids that are left out.
    #[serde(default)]
    pub exclude: Vec<Exclude>,
    /// Beginnings of upstream ids that say nothing about the model.
    #[serde(default)]
    pub strip_prefixes: Vec<String>,
    /// Ends of upstream ids that say nothing about the model.
    #[serde(default)]
    pub strip_suffixes: Vec<String>,
    /// Ids of the data that are called by another one.
    #[serde(default)]
    pub called: BTreeMap<String, String>,
    /// Other base URLs under which the same models are served, in other dialects.
    #[serde(default)]
    pub also_at: Vec<String>,
    /// `5p1` is 5.1.
    #[serde(default)]
    pub p_for_dot: bool,
    /// A one-hour cache write costs this many times the prompt price.
    pub cache_write_1h_factor: Option<i64>,
    /// Parameters beside those usual for the dialect.
    #[serde(default)]
    pub extra_parameters: Vec<Parameter>,
    /// Usual parameters that it does not take.
    #[serde(default)]
    pub omit_parameters: Vec<Parameter>,
    /// Parameters that only some of its models take, and that the data does not tell.
    #[serde(default)]
    pub supports: Vec<Supports>,
    /// Parameters that some of its models do not take, whatever the data tells.
    #[serde(default)]
    pub lacks: Vec<Supports>,
    /// In which fields some of its models are asked to reason.
    #[serde(default)]
    pub reasoning_fields: Vec<Reasons>,
    /// Patterns of the upstream ids whose models refuse the beginning of an answer although the others take one.
    #[serde(default)]
    pub refuses_prefill: Vec<String>,
    /// Patterns of the upstream ids whose models do not stream.
    #[serde(default)]
    pub answers_whole: Vec<String>,
    /// Patterns of the upstream ids whose models read text and images and write text, whatever the data says.
    #[serde(default)]
    pub text_and_images: Vec<String>,
    /// Models that speak another dialect than the provider's others.
    #[serde(default)]
    pub dialects: Vec<Speaks>,
    /// The search of the web that the provider runs for some of its models.
    #[serde(default)]
    pub searches: Vec<Searches>,
}

/// The search that some models have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Searches {
    /// Patterns of upstream ids; `*` stands for anything.
    pub models: Vec<String>,
    /// Where its price was read.
    pub note: String,
    /// Its price, and how it is asked for.
    pub search: WebSearch,
}

/// What some models speak.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speaks {
    /// Patterns of upstream ids; `*` stands for anything.
    pub models: Vec<String>,
    /// Their dialect.
    pub dialect: Dialect,
}

impl ProviderRow {
    /// Whether a model of its source, at another address if the data names one, is this provider's to serve.
    pub fn takes(&self, import: &Import, id: &str, api: Option<&str>) -> bool {
        let is_listed = import.only.is_empty() || import.only.iter().any(|p| matches(p, id));
        is_listed && api.is_none_or(|api| self.is_at(import, api))
    }

    /// Whether models.dev means this provider by an address.
    pub fn is_at(&self, import: &Import, api: &str) -> bool {
        let api = api.trim_end_matches('/');
        api == self.provider.base_url || import.also_at.iter().any(|url| url == api)
    }
}

impl Import {
    /// The dialect of the model with this upstream id, where it is not the provider's.
    pub fn dialect(&self, id: &str) -> Option<Dialect> {
        let speaks = |row: &&Speaks| row.models.iter().any(|pattern| matches(pattern, id));
        self.dialects.iter().find(speaks).map(|row| row.dialect)
    }

    /// The search of the model with this upstream id; the first row that means it.
    pub fn search(&self, id: &str) -> Option<&WebSearch> {
        let has = |row: &&Searches| row.models.iter().any(|pattern| matches(pattern, id));
        self.searches.iter().find(has).map(|row| &row.search)
    }

    /// The fields in which the model with this upstream id is asked to reason.
    pub fn reasoning_fields(&self, id: &str) -> Option<ReasoningFields> {
        let has = |row: &&Reasons| row.models.iter().any(|pattern| matches(pattern, id));
        self.reasoning_fields.iter().find(has).map(|row| row.fields)
    }
}

/// In which fields some models are asked to reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// Patterns of upstream ids; `*` stands for anything.
    pub models: Vec<String>,
    /// The fields.
    pub fields: ReasoningFields,
}

/// What some models take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supports {
    /// Patterns of upstream ids; `*` stands for anything.
    pub models: Vec<String>,
    /// Parameters.
    pub parameters: Vec<Parameter>,
}

/// Upstream ids that are left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclude {
    /// Patterns; `*` stands for anything.
    pub models: Vec<String>,
    /// Why.
    pub reason: String,
}

/// A provider of the source that is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Its id at models.dev.
    pub source: String,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Spanned<Table>>,
    #[serde(default)]
    excluded: Vec<Excluded>,
}

impl Overlay {
    /// Reads the overlay; a row that is no provider is a fault.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML.
    pub fn read(path: &Path, faults: &mut Vec<Fault>) -> Result<Self, Fault> {
        let text = text(path)?;
        let file: File = toml::from_str(&text).map_err(|error| Fault {
            file: path.to_owned(),
            line: error.span().map(|span| line_of(&text, span.start)),
            why: error.message().to_owned(),
        })?;
        let mut providers = Vec::new();
        for row in file.provider {
            let place = Place {
                file: path.to_owned(),
                line: line_of(&text, row.span().start),
            };
            match provider_row(row.into_inner()) {
                Ok(value) => providers.push(Row { value, place }),
                Err(error) => faults.push(Fault::of_row(&place, error.message())),
            }
        }
        Ok(Self {
            providers,
            excluded: file.excluded,
        })
    }
}

fn provider_row(mut table: Table) -> Result<ProviderRow, toml::de::Error> {
    let import: Option<Import> = table.remove("import").map(Value::try_into).transpose()?;
    let mut searches = import.iter().flat_map(|import| &import.searches);
    if searches.any(|row| row.note.trim().is_empty()) {
        return Err(serde::de::Error::custom(
            "a search does not say where its price was read",
        ));
    }
    Ok(ProviderRow {
        provider: Value::Table(table).try_into()?,
        import,
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
