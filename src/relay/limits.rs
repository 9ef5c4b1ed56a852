//! The time and size limits of a relayed request. Each has a test that fails when it is not honoured (`tests/relay`).
//!
//! The waits for a provider are long because models that think say nothing meanwhile; the client hears a comment every
//! [`KEEP_ALIVE_MS`].

/// Longest wait for a provider's response headers when it streams, in milliseconds.
pub const STREAM_HEADERS_MS: u64 = 120_000;
/// Longest wait from the response headers of a stream to its first content, in milliseconds.
pub const FIRST_CONTENT_MS: u64 = 300_000;
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
