//! Which tool does somebody want who says it in words?
//!
//! ```text
//! words ─ text ─▶ features ─ index (names, descriptions, intents, what the account remembers) ─▶ fits
//!       ─ confidence (and meaning, where words leave it open) ─▶ a deed, or an honest "none" ─ fill ─▶ its input ─ execution ─▶ memory, where it succeeded
//! ```
//! `router` puts it together, `cache` keeps what was read. Everything is pure but for `memory`'s statements. Out of scope: which provider
//! does it (`beliefs`), running it (`execute`).

pub mod cache;
pub mod confidence;
pub mod fill;
pub mod index;
pub mod meaning;
pub mod memory;
pub mod router;
pub mod text;
pub mod thesaurus;
