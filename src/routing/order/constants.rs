//! The numbers of the default order, in one place. `ARCHITECTURE.md` publishes them; `tests/simulation` measures what they do.
//!
//! Scores are floats: they order endpoints and are never charged.

/// What a second of waiting is worth: the peers' median price of so many completion tokens of the model.
///
/// An answer written at 20 tokens a second waits half its own price longer than one that is there at once. Tied to the model's price, the rate
/// weighs speed alike for a cheap model and a dear one.
pub const SECOND_IN_TOKENS: f64 = 10.0;

/// What a second of waiting is worth at least, in nano-dollars: what orders endpoints that cost nothing.
pub const SECOND_AT_LEAST: f64 = 1.0;

/// How much a failed attempt adds, in multiples of what the request costs: a failure rate of 1 % adds 8 %.
pub const FAILURE_PENALTY: f64 = 8.0;

/// How much a malformed tool call adds for a request with tools, in the same measure.
pub const TOOL_ERROR_PENALTY: f64 = 5.0;

/// How much an attempt answered with 429 adds, in the same measure, beside the time it took. As much as a failure: it is soon told, but a
/// crowded endpoint sends away the conversations whose prompts it has cached.
pub const RATE_LIMIT_PENALTY: f64 = 8.0;

/// How long an attempt answered with 429 delays the request, seconds.
pub const RATE_LIMIT_SECONDS: f64 = 0.3;

/// Endpoints whose score is within this factor of the best compete: shares go by 1/score².
pub const COMPETITIVE_EDGE: f64 = 1.02;

/// How fast shares fall beyond the edge: by this power of the distance from it.
pub const FALL_OFF: f64 = 32.0;

/// The share of requests that goes to endpoints for the sake of learning about them, however far they are from the best: by 1/score², and
/// more to those seldom tried of late.
pub const EXPLORATION_SHARE: f64 = 0.01;

/// How many times as much an endpoint on trial weighs: the breaker lets in no more than the proof needs, and until it is there the endpoint's
/// traffic stays away.
pub const TRIAL_WEIGHT: f64 = 10.0;

/// Attempts at the peers' average that every endpoint is taken to have had.
pub const PRIOR_ATTEMPTS: f64 = 20.0;

/// The prior failure rate where nobody is measured, and the highest that peers can lend.
pub const PRIOR_FAILURE_RATE: (f64, f64) = (0.01, 0.1);

/// Good answers at the peers' cache-hit rate that every endpoint with a cache is taken to have had. Many: an endpoint that gets few
/// conversations sees mostly their first requests, which no cache can serve, and must not lose the others for it.
pub const PRIOR_CACHED_ANSWERS: f64 = 1_000.0;

/// The share of prompt tokens that a cache is taken to serve until peers with a cache are measured.
pub const PRIOR_CACHE_HIT_RATE: f64 = 0.4;

/// Prior time to first token in seconds and tokens per second, where nobody is measured.
pub const PRIOR_SPEED: (f64, f64) = (1.0, 50.0);

/// Attempts over all endpoints at which measurements decide three quarters of the draws; before, 1/price² does.
pub const ATTEMPTS_TO_TRUST: f64 = 50.0;

/// How much an attempt counts that is older than five minutes, and one older than half an hour. Little: outages are the breaker's, and an
/// endpoint that is well again should not pay for one by the half hour.
pub const WEIGHT_OF_AGE: (f64, f64) = (0.01, 0.002);

/// Good answers that a window needs before its percentiles are read.
pub const SAMPLES_FOR_SPEED: u64 = 8;

/// A request with tools goes to an endpoint only after its peers when its rate of malformed tool calls is beyond their median by this many
/// standard deviations, and by [`TOOL_ERROR_MARGIN`].
pub const TOOL_ERROR_DEVIATIONS: f64 = 2.0;

/// See [`TOOL_ERROR_DEVIATIONS`].
pub const TOOL_ERROR_MARGIN: f64 = 0.01;
