//! The time and size limits of a relayed request. Each has a test that fails when it is not honoured (`tests/relay`).
//!
//! A provider that says nothing for so long has stalled. Models that think say nothing meanwhile, so the waits for them, and for
//! the last endpoint of a plan, are long; the client hears a comment every [`KEEP_ALIVE_MS`]. Where nothing is thought over and
//! another endpoint is left, silence is given up sooner: [`Patience`] chooses.

/// Longest wait for a provider's response headers when it streams, in milliseconds.
pub const STREAM_HEADERS_MS: u64 = 120_000;
/// Longest wait from the response headers of a stream to its first content, in milliseconds.
pub const FIRST_CONTENT_MS: u64 = 300_000;
/// [`STREAM_HEADERS_MS`] where the model does not think and another endpoint is left.
pub const STALLED_HEADERS_MS: u64 = 30_000;
/// [`FIRST_CONTENT_MS`] where the model does not think and another endpoint is left.
pub const STALLED_CONTENT_MS: u64 = 60_000;
/// What a thousand tokens of a long prompt add to the two limits above: hosts read it before they say anything.
pub const STALLED_MS_PER_1000_TOKENS: u64 = 200;
/// Longest silence within a stream after its first content, in milliseconds. Comments and heartbeats do not end it.
pub const IDLE_MS: u64 = 120_000;
/// How long a stream may still go on after its finish reason, for its usage and end mark to arrive, in milliseconds (P122).
pub const AFTER_FINISH_MS: u64 = 5_000;
/// Longest answer in one piece, from dispatch to its last byte, in milliseconds.
pub const WHOLE_ANSWER_MS: u64 = 600_000;
/// Longest wait for the body of an error answer, in milliseconds.
pub const ERROR_BODY_MS: u64 = 5_000;
/// Longest request from its arrival to the last byte of a provider, whatever the number of attempts, in milliseconds.
pub const TOTAL_MS: u64 = 1_800_000;
/// Longest wait for the account to decide on the hold, from the request's arrival, in milliseconds.
pub const HOLD_MS: u64 = 10_000;
/// Longest wait for one call that settles, in milliseconds. The client's end mark waits for the first; the runtime gives the
/// tries that follow 30 seconds in all after the client has left.
pub const SETTLE_MS: u64 = 4_000;
/// Pauses before each further try to settle after the first failed, in milliseconds.
pub const SETTLE_PAUSES_MS: [u64; 4] = [0, 250, 1_000, 4_000];
/// A comment is sent to the client after this much silence, so that proxies keep the connection and a client that left is
/// noticed, in milliseconds.
pub const KEEP_ALIVE_MS: u64 = 10_000;
/// A hold that nobody settled is released this long after it was taken, in milliseconds: longer than any request may last.
pub const HOLD_LIFETIME_MS: u64 = TOTAL_MS + 120_000;

/// The lifetime of a hold in a deployment that names one: shorter gives back sooner what a crash left held. A request that
/// lasts longer than its hold is still charged when it ends.
///
/// # Errors
/// With what is wrong where the text is no lifetime; the default is in force then.
pub fn hold_lifetime_ms(named: Option<&str>) -> Result<u64, String> {
    let Some(named) = named else {
        return Ok(HOLD_LIFETIME_MS);
    };
    match named.trim().parse::<u64>() {
        Ok(ms) if ms > 0 => Ok(ms.min(HOLD_LIFETIME_MS)),
        _ => Err(format!("{named:?} is no number of milliseconds")),
    }
}

/// How long the opening of a stream may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From dispatch to the response headers, in milliseconds.
    pub headers_ms: u64,
    /// From the response headers to the first content, in milliseconds.
    pub content_ms: u64,
}

impl Patience {
    /// For an endpoint that may think over a prompt of this length; `is_last`: nobody else is left to ask.
    pub fn of(may_think: bool, is_last: bool, prompt_tokens: u64) -> Self {
        if may_think || is_last {
            return Self {
                headers_ms: STREAM_HEADERS_MS,
                content_ms: FIRST_CONTENT_MS,
            };
        }
        let reading = (prompt_tokens / 1_000).saturating_mul(STALLED_MS_PER_1000_TOKENS);
        Self {
            headers_ms: STALLED_HEADERS_MS
                .saturating_add(reading)
                .min(STREAM_HEADERS_MS),
            content_ms: STALLED_CONTENT_MS
                .saturating_add(reading)
                .min(FIRST_CONTENT_MS),
        }
    }
}

/// The most bytes of an answer in one piece.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The most bytes of an error answer that are read.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The most bytes for the client that are held back until a stream's first content.
pub const MAX_PREAMBLE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_may_shorten_a_hold_but_not_lengthen_it() {
        assert_eq!(hold_lifetime_ms(None), Ok(HOLD_LIFETIME_MS));
        assert_eq!(hold_lifetime_ms(Some("5000")), Ok(5_000));
        assert_eq!(hold_lifetime_ms(Some("999999999999")), Ok(HOLD_LIFETIME_MS));
        for wrong in ["", "0", "-1", "5s", "1.5"] {
            assert!(hold_lifetime_ms(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
