//! Marks of what to cache: `cache_control` as clients spell it, alike in every format that has it (Anthropic's
//! `{"type": "ephemeral", "ttl"}`), and what hosts of OpenAI's formats take in its place.

use serde::{Deserialize, Serialize};

use super::{Target, splice::ObjectWriter};
use crate::{
    catalog::Quirk,
    chat::{CacheMark, CacheTtl},
};

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CacheType {
    Ephemeral,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, Deserialize)]
enum Ttl {
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    OneHour,
}

/// A cache mark as sent.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct CacheControl {
    #[serde(rename = "type")]
    _type: CacheType,
    ttl: Option<Ttl>,
}

/// The canonical form of a cache mark.
pub(super) fn cache_mark(control: Option<CacheControl>) -> Option<CacheMark> {
    control.map(|control| CacheMark {
        ttl: control.ttl.map(|ttl| match ttl {
            Ttl::FiveMinutes => CacheTtl::FiveMinutes,
            Ttl::OneHour => CacheTtl::OneHour,
        }),
    })
}

/// The marks that a host of OpenAI's formats takes on content parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// None: it caches as it sees fit, or not at all.
    None,
    /// Anthropic's.
    CacheControl,
    /// OpenAI's own, without a lifetime (<https://developers.openai.com/api/docs/guides/prompt-caching>).
    Breakpoint,
}

impl Marks {
    /// Those of a target. OpenAI's models take marks from the generation on whose writes into the cache have a price.
    pub(super) fn of(target: &Target<'_>) -> Self {
        let has = |quirk| target.provider.has(quirk);
        if has(Quirk::CacheControlParts) {
            Self::CacheControl
        } else if has(Quirk::PromptCacheKey) && target.endpoint.prices.cache_write_5m.is_some() {
            Self::Breakpoint
        } else {
            Self::None
        }
    }

    /// Whether a mark is written at all.
    pub(super) fn say(self, mark: Option<CacheMark>) -> bool {
        mark.is_some() && self != Self::None
    }

    /// Writes a mark into an object, where the host takes any.
    pub(super) fn put(self, object: &mut ObjectWriter<'_>, mark: CacheMark) {
        #[derive(Serialize)]
        struct Explicit {
            mode: &'static str,
        }
        match self {
            Self::None => {}
            Self::CacheControl => {
                let mut control = ObjectWriter::new(object.key("cache_control"));
                control.field("type", "ephemeral");
                let ttl = mark.ttl.map(|ttl| match ttl {
                    CacheTtl::FiveMinutes => "5m",
                    CacheTtl::OneHour => "1h",
                });
                control.optional("ttl", ttl);
                control.end();
            }
            Self::Breakpoint => {
                object.field("prompt_cache_breakpoint", &Explicit { mode: "explicit" });
            }
        }
    }
}
