//! Tools that the gateway runs inside a request: web search, web fetch, date and time, and tools of its catalog.
//!
//! In scope: what a request may say of them, the functions that models see, search engines as data, pages as text, which addresses
//! may be fetched, citations, prices of searches, when the loop ends. Everything is pure: a call yields requests to send and
//! reads their answers. Out of scope: sending them, and the loop itself (`relay`). Spec: OpenRouter's server tools and plugins.

pub mod address;
mod call;
mod citation;
pub mod datetime;
mod domain;
mod download;
mod engine;
mod fetch;
mod fields;
mod hosted;
pub mod html;
mod kit;
mod search;
mod steps;
mod wanted;
mod web;

pub use address::{Address, Refused};
pub use call::{Called, Spent};
pub use citation::{Source, annotations};
pub use download::{Download, MAX_FILE, Step};
pub use engine::SearchFee;
pub use fetch::Next;
pub use hosted::{Declared, Host, Hosted, HostedFunction};
pub use kit::{Begun, Deployment, Kit, Run, Session, cite, function, trusted_hosts};
pub use steps::Progress;
pub use wanted::Wanted;
pub use web::{REQUEST_MS, WebAnswer, WebRequest};
