//! What can agents do through the gateway? Tools as data, one connector that runs them, and what every protocol says of them.
//!
//! A tool is an operation of a provider: a row in `catalog/tools/`, whose form `catalog/tools/README.md` tells. Everything here is
//! pure: requests are made and answers are read, sending them is another's. Out of scope: routes (`api`), the platform (`edge`).

pub mod catalog;
