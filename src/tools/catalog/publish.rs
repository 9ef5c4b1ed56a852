//! The tools as they are published: one text under the hash of its content, and a pointer to it that is written last.
//!
//! Providers without the deployment's key are in it: who may call what is decided when it is called. Out of scope: doing the writes
//! (`api`), checking the rows (`catalog/tool`).

use std::{fmt, rc::Rc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Capability, ToolCatalog, ToolProvider};

/// The key that names the version in force.
pub const POINTER: &str = "tools:current";

/// The key of a version's text.
pub fn key(version: &str) -> String {
    format!("tools:{version}")
}

/// All rows under a version that is the hash of their content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSnapshot {
    /// Hash of the content.
    pub version: String,
    /// Providers, by slug.
    pub providers: Vec<Rc<ToolProvider>>,
    /// Capabilities, by name.
    pub capabilities: Vec<Rc<Capability>>,
}

/// Why a snapshot was refused.
#[derive(Debug)]
pub enum ToolSnapshotError {
    /// Not the JSON of one.
    Syntax(serde_json::Error),
    /// The version is not the hash of the content.
    Version,
}

impl fmt::Display for ToolSnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "not a catalog of tools: {error}"),
            Self::Version => {
                f.write_str("the version of the tools is not the hash of their content")
            }
        }
    }
}

impl std::error::Error for ToolSnapshotError {}

impl ToolSnapshot {
    /// A snapshot of these rows, sorted.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn new(
        mut providers: Vec<Rc<ToolProvider>>,
        mut capabilities: Vec<Rc<Capability>>,
    ) -> Result<Self, serde_json::Error> {
        providers.sort_by(|a, b| a.slug.cmp(&b.slug));
        capabilities.sort_by(|a, b| a.name.cmp(&b.name));
        let mut snapshot = Self {
            version: String::new(),
            providers,
            capabilities,
        };
        snapshot.version = snapshot.hash()?;
        Ok(snapshot)
    }

    /// Reads a snapshot and holds its version against its content.
    ///
    /// # Errors
    /// When it is none, or was changed after it was made.
    pub fn read(value: Value) -> Result<Self, ToolSnapshotError> {
        let snapshot: Self = crate::json::from_value(&value).map_err(ToolSnapshotError::Syntax)?;
        let hash = snapshot.hash().map_err(ToolSnapshotError::Syntax)?;
        if hash == snapshot.version {
            Ok(snapshot)
        } else {
            Err(ToolSnapshotError::Version)
        }
    }

    /// The text that is published.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.providers
            .iter()
            .map(|provider| provider.operation.len())
            .sum()
    }

    /// The index over it.
    pub fn catalog(self) -> ToolCatalog {
        ToolCatalog::new(self.version, self.providers, self.capabilities)
    }

    fn hash(&self) -> Result<String, serde_json::Error> {
        let content = serde_json::to_vec(&(&self.providers, &self.capabilities))?;
        let hash = Sha256::digest(content);
        let digits = hash.iter().take(8);
        Ok(digits.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }
}
