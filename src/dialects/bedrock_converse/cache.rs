//! Prompt-cache breakpoints: where they may go, and which of too many are kept.

use super::native::{Block, Content, Tool, Turn};
use crate::{
    catalog::Endpoint,
    chat::{CacheMark, CacheTtl},
};

/// The most breakpoints of a request.
const MOST: usize = 4;

/// What an endpoint's prices tell of its cache: a model without a price for what is read has none and refuses breakpoints, one
/// without a price for what is written takes none behind its tools, and an hour is asked for only where it has a price.
#[derive(Debug, Clone, Copy)]
struct Cache {
    exists: bool,
    takes_tools: bool,
    has_hours: bool,
}

impl Cache {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            exists: endpoint.prices.cache_read.is_some(),
            takes_tools: endpoint.prices.cache_write_5m.is_some(),
            has_hours: endpoint.prices.cache_write_1h.is_some(),
        }
    }
}

/// Sets the mark on the request as a whole, and takes away what the API would refuse: marks that the model knows nothing of, all
/// but the last four, and an hour after five minutes.
pub(super) fn arrange(
    endpoint: &Endpoint,
    tools: &mut Content<Tool<'_>>,
    system: &mut Content<Block<'_>>,
    turns: &mut [Turn<'_>],
    whole: Option<CacheMark>,
) {
    let cache = Cache::of(endpoint);
    // The order in which the cache sees the prompt.
    let tools = tools
        .0
        .iter_mut()
        .map(|tool| (&mut tool.mark, cache.takes_tools));
    let system = system
        .0
        .iter_mut()
        .map(|block| (&mut block.mark, cache.exists));
    let turns = turns.iter_mut().flat_map(|turn| turn.content.0.iter_mut());
    let turns = turns
        .filter(|block| !block.item.is_reasoning())
        .map(|block| (&mut block.mark, cache.exists));
    let mut slots = Vec::new();
    for (slot, takes) in tools.chain(system).chain(turns) {
        if takes {
            slots.push(slot);
        } else {
            *slot = None;
        }
    }
    if let (Some(mark), Some(last)) = (whole, slots.last_mut()) {
        last.get_or_insert(mark);
    }
    slots.retain(|slot| slot.is_some());
    let surplus = slots.len().saturating_sub(MOST);
    for slot in slots.drain(..surplus) {
        *slot = None;
    }
    let mut short = false;
    for mark in slots.into_iter().flatten() {
        if short || !cache.has_hours {
            mark.ttl = mark.ttl.filter(|ttl| *ttl != CacheTtl::OneHour);
        }
        short |= mark.ttl != Some(CacheTtl::OneHour);
    }
}
