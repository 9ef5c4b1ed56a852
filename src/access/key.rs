//! The forms in which keys are written: a bare key, a list of Azure resources and deployments, a Google service account, AWS
//! access keys.
//!
//! Spec: OpenRouter's BYOK formats for Azure, Bedrock and Vertex. What a key says about an address is an account's word: a name is taken
//! only where it can be nothing but a name, an address only where Azure serves it, so that no key leads the gateway elsewhere.

use std::fmt;

use serde::Deserialize;

use super::service_account::ServiceAccount;
use crate::{
    catalog::{Dialect, KeyFormat, Provider},
    signing::aws::{AccessKeys, Secret},
};

/// The variable of the project on Vertex.
pub const VERTEX_PROJECT: &str = "GOOGLE_VERTEX_PROJECT";
/// The variable of the region on Vertex.
pub const VERTEX_LOCATION: &str = "GOOGLE_VERTEX_LOCATION";
/// The variable of the host of Vertex.
pub const VERTEX_ENDPOINT: &str = "GOOGLE_VERTEX_ENDPOINT";
/// The variable of an Azure resource that serves OpenAI's models.
pub const AZURE_RESOURCE: &str = "AZURE_RESOURCE_NAME";
/// The variable of an Azure resource that serves everybody's.
pub const AZURE_FOUNDRY: &str = "AZURE_FOUNDRY_RESOURCE_NAME";

/// Where Azure serves models.
const AZURE_HOSTS: [&str; 4] = [
    ".openai.azure.com",
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
    ".models.ai.azure.com",
];
/// What the end of an address says about the dialect that is spoken there.
const OPERATIONS: [(&str, Dialect); 8] = [
    ("/chat/completions", Dialect::OpenaiChat),
    ("/embeddings", Dialect::OpenaiChat),
    ("/images/generations", Dialect::OpenaiChat),
    ("/images/edits", Dialect::OpenaiChat),
    ("/audio/speech", Dialect::OpenaiChat),
    ("/audio/transcriptions", Dialect::OpenaiChat),
    ("/responses", Dialect::OpenaiResponses),
    ("/v1/messages", Dialect::AnthropicMessages),
];
/// The most entries of a list.
const MAX_ENTRIES: usize = 100;

/// A key as its owner wrote it, read.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum KeyForm {
    /// Nothing but a secret.
    #[default]
    Plain,
    /// Azure resources and deployments.
    Azure(Vec<AzureKey>),
    /// A Google service account.
    ServiceAccount(Box<ServiceAccount>),
    /// AWS access keys.
    Aws(Box<AccessKeys>),
}

/// A key for an Azure resource or for one deployment.
#[derive(Clone, PartialEq, Eq)]
pub struct AzureKey {
    /// The secret.
    pub api_key: String,
    /// What it is for.
    pub place: AzurePlace,
}

/// What an Azure key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzurePlace {
    /// All models of a resource, deployed under their own names.
    Resource {
        /// Its name, the first label of its host.
        name: String,
        /// Serves other authors' models than OpenAI's too.
        is_foundry: bool,
    },
    /// One model.
    Deployment {
        /// Its slug here.
        model: String,
        /// The address of the operation, without its query.
        url: String,
        /// The query, where the address has one.
        query: Option<String>,
        /// What it is called there.
        model_id: String,
    },
}

impl AzurePlace {
    /// What a deployment speaks, and its address before the dialect's own path.
    pub(super) fn spoken(&self) -> Option<(Dialect, &str)> {
        let Self::Deployment { url, .. } = self else {
            return None;
        };
        let found = OPERATIONS.iter();
        found
            .filter_map(|(path, dialect)| Some((*dialect, url.strip_suffix(path)?)))
            .next()
    }
}

impl fmt::Debug for KeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Azure(_) => "Azure",
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::Aws(_) => "Aws",
        })
    }
}

impl KeyForm {
    /// Reads a key in the form that a provider asks for.
    ///
    /// # Errors
    /// What is wrong, in words that quote no secret.
    pub fn read(text: &str, format: KeyFormat) -> Result<Self, String> {
        match format {
            KeyFormat::Plain if text.starts_with(['{', '[']) => {
                Err("This provider takes a plain key, no JSON".to_owned())
            }
            KeyFormat::Plain => Ok(Self::Plain),
            KeyFormat::Azure => azure(text).map(Self::Azure),
            KeyFormat::ServiceAccount => {
                let account = ServiceAccount::read(text)?;
                account.pkcs8()?;
                if !is_name(&account.project_id) {
                    return Err("project_id is no name of a project".to_owned());
                }
                if account
                    .region
                    .as_deref()
                    .is_some_and(|region| !is_name(region))
                {
                    return Err("region is no name of a region".to_owned());
                }
                Ok(Self::ServiceAccount(Box::new(account)))
            }
            KeyFormat::Aws => match Secret::read(text)? {
                Secret::ApiKey(_) => Ok(Self::Plain),
                Secret::Keys(keys) if keys.region.is_none() => Err("region is missing".to_owned()),
                Secret::Keys(keys) => Ok(Self::Aws(Box::new(keys))),
            },
        }
    }

    /// Reads a key that was accepted before.
    pub fn of(text: &str) -> Self {
        let formats = [KeyFormat::Azure, KeyFormat::ServiceAccount, KeyFormat::Aws];
        let mut forms = formats.into_iter().map(|format| Self::read(text, format));
        forms.find_map(Result::ok).unwrap_or_default()
    }

    /// Whether a key of this form can call a provider for a model.
    pub fn serves(&self, provider: &Provider, model: &str) -> bool {
        match (provider.key_format, self) {
            (KeyFormat::Plain, _) => true,
            (KeyFormat::Azure, Self::Azure(keys)) => {
                keys.iter().any(|key| key.is_for(provider, model))
            }
            (KeyFormat::ServiceAccount, Self::ServiceAccount(_)) => true,
            // An API key does not say where it is for: it goes to the deployment's region.
            (KeyFormat::Aws, Self::Plain) => provider.auth.reaches(""),
            (KeyFormat::Aws, Self::Aws(keys)) => {
                let region = keys.region.as_deref();
                region.is_some_and(|region| provider.auth.reaches(region))
            }
            (KeyFormat::Azure | KeyFormat::ServiceAccount | KeyFormat::Aws, _) => false,
        }
    }

    /// The end of the secret that its owner knows it by, taken from the text `whole` where the form has no better.
    pub fn tail<'a>(&'a self, whole: &'a str) -> &'a str {
        match self {
            Self::Plain => whole,
            Self::Azure(keys) => keys.first().map_or("", |key| &key.api_key),
            Self::ServiceAccount(account) => account.private_key_id.as_deref().unwrap_or_default(),
            Self::Aws(keys) => &keys.access_key_id,
        }
    }

    /// The secrets inside, beside the text as a whole.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let (azure, one, other) = match self {
            Self::Plain => (None, None, None),
            Self::Azure(keys) => (Some(keys), None, None),
            Self::ServiceAccount(account) => (None, Some(account.private_key.as_str()), None),
            Self::Aws(keys) => {
                let token = keys.session_token.as_deref();
                (None, Some(keys.secret_access_key.as_str()), token)
            }
        };
        let azure = azure.into_iter().flatten().map(|key| key.api_key.as_str());
        azure.chain(one).chain(other)
    }
}

impl AzureKey {
    /// Whether it can call a provider for a model.
    pub(super) fn is_for(&self, provider: &Provider, of: &str) -> bool {
        match &self.place {
            AzurePlace::Deployment { model, .. } => model == of,
            AzurePlace::Resource { is_foundry, .. } => {
                *is_foundry || !provider.base_url.contains(AZURE_FOUNDRY)
            }
        }
    }
}

/// The host of Vertex for a region.
pub fn vertex_host(location: &str) -> String {
    match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        region => format!("{region}-aiplatform.googleapis.com"),
    }
}

/// An entry as it is written.
#[derive(Deserialize)]
struct Entry {
    api_key: Option<String>,
    resource_name: Option<String>,
    resource_type: Option<String>,
    model_slug: Option<String>,
    endpoint_url: Option<String>,
    model_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entries {
    Many(Vec<Entry>),
    One(Entry),
}

fn azure(text: &str) -> Result<Vec<AzureKey>, String> {
    let form = "An Azure key is a JSON list of {api_key, resource_name, resource_type} or {api_key, model_slug, endpoint_url, model_id}";
    let entries = match crate::json::from_str(text) {
        Ok(Entries::Many(entries)) => entries,
        Ok(Entries::One(entry)) => vec![entry],
        Err(_) => return Err(form.to_owned()),
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(format!("The list has 1 to {MAX_ENTRIES} entries"));
    }
    let read = |(at, entry)| azure_key(entry).map_err(|what| format!("[{at}]: {what}"));
    entries.into_iter().enumerate().map(read).collect()
}

fn azure_key(entry: Entry) -> Result<AzureKey, String> {
    let api_key = entry.api_key.unwrap_or_default();
    if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("api_key is missing or has other than visible ASCII characters".to_owned());
    }
    let place = match (entry.resource_name, entry.endpoint_url) {
        (Some(name), None) => {
            if !is_label(&name) {
                return Err("resource_name is no name of a resource".to_owned());
            }
            let is_foundry = match entry.resource_type.as_deref() {
                Some("ai_foundry") => true,
                Some("openai") | None => false,
                Some(_) => return Err("resource_type is ai_foundry or openai".to_owned()),
            };
            AzurePlace::Resource { name, is_foundry }
        }
        (None, Some(address)) => {
            let model = entry.model_slug.filter(|slug| slug.contains('/'));
            let model_id = entry.model_id.filter(|id| !id.is_empty());
            let (Some(model), Some(model_id)) = (model, model_id) else {
                return Err("model_slug or model_id is missing".to_owned());
            };
            let (url, query) = match address.split_once('?') {
                Some((url, query)) => (url, Some(query.to_owned())),
                None => (address.as_str(), None),
            };
            if !is_azure(url, query.as_deref()) {
                let hosts = AZURE_HOSTS.join(", ");
                return Err(format!(
                    "endpoint_url is no address of an operation under {hosts}"
                ));
            }
            let url = url.to_owned();
            AzurePlace::Deployment {
                model,
                url,
                query,
                model_id,
            }
        }
        _ => return Err("expected resource_name or endpoint_url".to_owned()),
    };
    if matches!(place, AzurePlace::Deployment { .. }) && place.spoken().is_none() {
        let ends: Vec<&str> = OPERATIONS.iter().map(|(path, _)| *path).collect();
        return Err(format!("endpoint_url ends with {}", ends.join(" or ")));
    }
    Ok(AzureKey { api_key, place })
}

/// Whether an address is plain, encrypted and Azure's.
fn is_azure(url: &str, query: Option<&str>) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    let Some((host, path)) = url
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let below = AZURE_HOSTS
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix));
    let is_host = below.is_some_and(|labels| labels.split('.').all(is_label));
    let is_query = query.is_none_or(|query| {
        query
            .bytes()
            .all(|byte| safe(byte) || b"=&".contains(&byte))
    });
    let is_path =
        path.bytes().all(safe) && !path.split('/').any(|segment| segment.starts_with('.'));
    is_host && is_path && is_query
}

/// One label of a host.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
}

/// A name that can stand in a path and in a host.
fn is_name(text: &str) -> bool {
    is_label(text)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
