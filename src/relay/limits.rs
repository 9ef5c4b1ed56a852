//! The time and size limits of a relayed request. Each is tested against a clock that tests move (`relay` tests).

/// Longest wait for a provider's response headers when it streams, in milliseconds.
pub const STREAM_HEADERS_MS: u64 = 60_000;
/// Longest wait from the response headers of a stream to its first content, in milliseconds.
pub const FIRST_CONTENT_MS: u64 = 120_000;
/// Longest silence within a stream after its first content, in milliseconds.
pub const IDLE_MS: u64 = 60_000;
/// Longest answer in one piece, from dispatch to its last byte, in milliseconds.
pub const WHOLE_ANSWER_MS: u64 = 600_000;
/// Longest stream, from dispatch to its last byte, in milliseconds.
pub const TOTAL_MS: u64 = 1_800_000;
/// Longest wait for the body of an error answer, in milliseconds.
pub const ERROR_BODY_MS: u64 = 5_000;
/// A comment is sent to the client after this much silence, so that proxies keep the connection and a client that left is
/// noticed, in milliseconds.
pub const KEEP_ALIVE_MS: u64 = 10_000;
/// A hold that nobody settled is released this long after it was taken, in milliseconds: longer than any request may last.
pub const HOLD_LIFETIME_MS: u64 = TOTAL_MS + 120_000;
/// The most bytes of an answer in one piece.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The most bytes of an error answer that are read.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The most attempts of one request.
pub const MAX_ATTEMPTS: usize = 8;
/// How long a stream may still go on after its finish reason, for its usage and end mark to arrive, in milliseconds (P122).
pub const AFTER_FINISH_MS: u64 = 5_000;
