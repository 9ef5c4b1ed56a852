//! How well tools are chosen: providers by belief, in a simulated market, and tools by intent, on public data.
//!
//! `npm run simulate:tools` prints the tables; what they must show is asserted in any run.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test says what it expects by failing, what it measures by printing, and times what it does"
)]

mod beliefs;
mod intent;
