//! What can agents do through the gateway? Tools as data, one connector that runs them, and what every protocol says of them.
//!
//! A tool is an operation of a provider: a row in `catalog/tools/`, whose form `catalog/tools/README.md` tells. An execution of one answers
//! one envelope ([`envelope`]), whoever asked for it. Everything here is pure: requests are made and answers are read, sending them is
//! another's ([`execute::ToolPort`]). Out of scope: routes (`api`), the account's object (`credits`), the platform (`edge`).

pub mod a2a;
pub mod beliefs;
pub mod calls;
pub mod catalog;
pub mod composites;
pub mod connector;
pub mod envelope;
pub mod execute;
pub mod export;
pub mod imports;
pub mod intent;
pub mod listing;
pub mod mcp;
pub mod mcp_client;
pub mod price;
pub mod schema;
pub mod told;
