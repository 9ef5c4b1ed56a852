//! The catalog of tools: the form of its rows, the index over them, what a key sees of it, how it is published and remembered.
//!
//! Form of the rows: `catalog/tools/README.md`. What stands here is the canonical form that the catalog's tool makes of them: JSON
//! texts are JSON, and what may be written in several ways is written in one. Out of scope: checking rows (`catalog/tool`).

pub mod cache;
pub mod index;
pub mod json;
pub mod operation;
pub mod policy;
pub mod provider;
pub mod publish;
pub mod view;

pub use cache::ToolCache;
pub use index::{Capability, Tool, ToolCatalog};
pub use json::Json;
pub use operation::{
    Arrays, Before, Body, BodyKind, Effect, IdempotencyForm, Job, JobCall, Method, Operation, Page,
    Partial, Price, PriceCase, Request, Response, Retry, RetryKind, Undo, UndoClass, Xml,
};
pub use policy::{Ban, By, Denied, ToolPolicy};
pub use provider::{
    Auth, AuthKind, BaseUrl, Class, Condition, ErrorRule, Keyless, Pooling, Remote, Source,
    ToolProvider,
};
pub use publish::ToolSnapshot;
pub use view::{Means, Offer, Refused, ToolView};

/// Makes a part of a row: every field may be left out, and is left out where it says nothing.
macro_rules! row {
    ($(#[$of:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$of])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[$about])*
                #[serde(skip_serializing_if = "crate::tools::catalog::is_default")]
                pub $field: $type,
            )*
        }
    };
}
use row;

/// Makes a closed list of words; the first one is meant where none stands.
macro_rules! words {
    ($(#[$of:meta])* $name:ident {
        $(#[$first_about:meta])* $first:ident $first_word:literal,
        $($(#[$about:meta])* $variant:ident $word:literal,)*
    }) => {
        $(#[$of])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $(#[$first_about])*
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $($(#[$about])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant),*];

            /// The word in rows and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word, $(Self::$variant => $word),* }
            }
        }

    };
}
use words;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
