//! What usage is added up by, and what is added up: the columns that raw rows and roll-ups have in common.
//!
//! [`RAW`] shows raw rows in the shape of roll-ups, so that one question can be put to either, and roll-ups are by their making
//! what raw rows sum to. A request whose end is not known (status `expired`) is counted once it is known.
//! Out of scope: adding up ([`super::rollup`]), asking ([`super::analytics`]).

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// What roll-ups per hour and day are added up by, beside account and time.
pub const DIMENSIONS: [&str; 7] = [
    "key_hash", "model", "provider", "endpoint", "api_type", "app", "member",
];

/// What the roll-ups of end users are added up by, beside account and day.
pub const USER_DIMENSIONS: [&str; 2] = ["external_user", "model"];

/// What is added up.
pub const MEASURES: [&str; 17] = [
    "requests",
    "failed_requests",
    "cancelled_requests",
    "streamed_requests",
    "cached_requests",
    "byok_requests",
    "cost",
    "byok_inference",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "latency_ms",
    "latency_count",
    "generation_ms",
    "generation_tokens",
];

/// Raw rows as facts. `cost` is what was charged at first: corrections are counted by themselves.
pub const RAW: &str = "
    SELECT seq, id, account, created_at AS at, key_hash, model, COALESCE(provider, '') AS provider,
        COALESCE(endpoint, '') AS endpoint, api_type, COALESCE(app, '') AS app, COALESCE(member, '') AS member,
        COALESCE(external_user, '') AS external_user, COALESCE(session_id, '') AS session_id, app_title,
        status, COALESCE(finish_reason, '') AS finish_reason,
        COALESCE(native_finish_reason, '') AS native_finish_reason, COALESCE(service_tier, '') AS service_tier,
        COALESCE(data_region, '') AS data_region, COALESCE(preset, '') AS preset, COALESCE(surface, '') AS surface,
        COALESCE(http_referer, '') AS origin, streamed AS is_streamed, cancelled AS is_cancelled,
        own_key IS NOT NULL AS is_byok,
        1 AS requests, status = 'voided' OR error IS NOT NULL AS failed_requests, cancelled AS cancelled_requests,
        streamed AS streamed_requests, response_cache_source_id IS NOT NULL AS cached_requests,
        own_key IS NOT NULL AS byok_requests, cost, COALESCE(list_cost, 0) AS byok_inference, prompt_tokens,
        cache_read_tokens AS cached_tokens, cache_write_5m_tokens + cache_write_1h_tokens AS cache_write_tokens,
        completion_tokens, reasoning_tokens, COALESCE(latency_ms, 0) AS latency_ms,
        latency_ms IS NOT NULL AS latency_count, COALESCE(generation_ms, 0) AS generation_ms,
        IIF(generation_ms > 0, completion_tokens, 0) AS generation_tokens
    FROM usage WHERE status <> 'expired'";
