//! What the owner of an imported source chose: nothing of it comes from the document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalog::pattern::matches,
    tools::catalog::{AuthKind, Effect},
};

/// Choices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What to call it; the document's title where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The category of its tools; `imported` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The address of the API, where the document has several, or none that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Values of the variables in the server's address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub server_variables: BTreeMap<String, String>,
    /// How it is authenticated, where the document does not say so or leaves a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthChoice>,
    /// Only these operations; `*` stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What is different for some, by the names that they were imported under.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, Choice>,
    /// Believe an MCP server which of its tools only read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trust_annotations: bool,
    /// What a call costs, in dollars; the operator's sources alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<serde_json::Number>,
    /// The secret of the deployment with the key for it; the operator's sources alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How a source is authenticated: a scheme of its document, or one in full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthChoice {
    /// The name of a security scheme of the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// `none`, `bearer`, `header`, `query`, `basic` or `oauth_client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthKind>,
    /// The header or parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What stands before the key in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where tokens are issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// What tokens are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// What is different for one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another effect: `read`, `write`, `destructive` or `money`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Another description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Settings {
    /// Whether an operation of this name is wanted.
    pub fn admits(&self, name: &str) -> bool {
        let among = |list: &[String]| list.iter().any(|one| matches(one, name));
        self.include.as_deref().is_none_or(among) && !among(&self.exclude)
    }
}
