//! `cache_control` as clients spell it, alike in every format that has it: Anthropic's `{"type": "ephemeral", "ttl"}`.

use serde::Deserialize;

use crate::chat::{CacheMark, CacheTtl};

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CacheType {
    Ephemeral,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Ttl {
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    OneHour,
}

/// A cache mark as sent.
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
