//! Prompt-cache breakpoints: where they go, and which of too many are kept.

use super::native::{Block, CacheControl, Tool, Turn};
use crate::chat::{CacheMark, CacheTtl};

/// The most breakpoints of a request.
pub(super) const MOST: usize = 4;

/// A canonical mark in the native form.
pub(super) fn control(mark: CacheMark) -> CacheControl {
    CacheControl {
        kind: "ephemeral",
        ttl: mark.ttl.map(|ttl| match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        }),
    }
}

/// Sets the mark on the request as a whole, and takes away what the API would refuse: all marks but the last four, and an hour
/// after five minutes.
pub(super) fn arrange(
    tools: &mut [Tool<'_>],
    system: &mut [Block<'_>],
    turns: &mut [Turn<'_>],
    whole: Option<CacheMark>,
) {
    // The order in which the cache sees the prompt.
    let mut slots: Vec<&mut Option<CacheControl>> = tools
        .iter_mut()
        .map(|tool| &mut tool.cache_control)
        .chain(system.iter_mut().filter_map(Block::cache_slot))
        .chain(
            turns
                .iter_mut()
                .flat_map(|turn| turn.content.iter_mut().filter_map(Block::cache_slot)),
        )
        .collect();
    if let (Some(mark), Some(last)) = (whole, slots.last_mut()) {
        last.get_or_insert(control(mark));
    }
    slots.retain(|slot| slot.is_some());
    let surplus = slots.len().saturating_sub(MOST);
    for slot in slots.drain(..surplus) {
        *slot = None;
    }
    let mut short = false;
    for control in slots.into_iter().flatten() {
        if short {
            control.ttl = control.ttl.filter(|ttl| *ttl != "1h");
        }
        short |= control.ttl != Some("1h");
    }
}
