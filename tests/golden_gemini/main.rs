//! Golden table of Gemini, beside the answers of `tests/golden.rs`: requests by shape, offsets of citations, round trips.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod shape;
