//! What can be called, where, at what price? Models, endpoints and providers as data.
//!
//! The rows live in `catalog/` at the top of the repository; `catalog/tool` checks and compiles them into what is published.
//! Out of scope: choosing among endpoints (`routing`), charging (`credits`).

pub mod cache;
pub mod images;
pub mod listing;
pub mod model;
pub mod names;
pub mod operation;
pub mod pattern;
pub mod provider;
pub mod publish;
pub mod query;
pub mod search;
pub mod skills;
pub mod wire;

pub use cache::{CatalogCache, CatalogStore, Route, ServedModel};
pub use model::{
    Budget, Endpoint, Modality, Model, ModelEntry, Parameter, Quantization, Reasoning,
    ReasoningFields, ReasoningHistory, ServiceTier, Status,
};
pub use operation::{Operation, OperationDialect, OperationQuirk, OperationWire};
pub use provider::{
    AuthScheme, DataPolicy, Dialect, KeyFormat, PathStyle, Provider, Quirk, ReasoningStyle,
};
pub use publish::{Names, Snapshot};
pub use search::{DomainFilter, SearchSpelling, SearchUnit, WebSearch};

#[cfg(test)]
mod tests;
