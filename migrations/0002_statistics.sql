-- How endpoints served, added up (src/usage/statistics).

-- Usage rows get a number in the order in which D1 took them, so that the cron reads each once: `seq` never goes back, also where
-- rows are deleted, and a row that gives way to a late settlement moves to the end.
CREATE TABLE usage_in_order (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    cost INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    api_type TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT,
    endpoint TEXT,
    streamed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    upstream_id TEXT,
    finish_reason TEXT,
    native_finish_reason TEXT,
    latency_ms INTEGER,
    generation_ms INTEGER,
    error TEXT,
    prompt_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    audio_in_tokens INTEGER NOT NULL,
    audio_out_tokens INTEGER NOT NULL,
    image_out_tokens INTEGER NOT NULL,
    upstream_cost INTEGER,
    estimated INTEGER NOT NULL,
    http_referer TEXT,
    app_title TEXT,
    user_agent TEXT,
    session_id TEXT,
    external_user TEXT,
    attempts TEXT,
    charge TEXT
) STRICT;

INSERT INTO usage_in_order (
    id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model, provider, endpoint, streamed,
    cancelled, upstream_id, finish_reason, native_finish_reason, latency_ms, generation_ms, error, prompt_tokens,
    cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, completion_tokens, reasoning_tokens, audio_in_tokens,
    audio_out_tokens, image_out_tokens, upstream_cost, estimated, http_referer, app_title, user_agent, session_id,
    external_user, attempts, charge
)
SELECT
    id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model, provider, endpoint, streamed,
    cancelled, upstream_id, finish_reason, native_finish_reason, latency_ms, generation_ms, error, prompt_tokens,
    cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, completion_tokens, reasoning_tokens, audio_in_tokens,
    audio_out_tokens, image_out_tokens, upstream_cost, estimated, http_referer, app_title, user_agent, session_id,
    external_user, attempts, charge
FROM usage ORDER BY created_at;

DROP TABLE usage;
ALTER TABLE usage_in_order RENAME TO usage;
CREATE INDEX usage_by_account ON usage (account, created_at);

-- The tallies of all endpoints within one minute or one hour: JSON, endpoint → tally, in parts that stay small.
CREATE TABLE endpoint_spans (
    length INTEGER NOT NULL,
    start INTEGER NOT NULL,
    part INTEGER NOT NULL,
    endpoints TEXT NOT NULL,
    PRIMARY KEY (length, start, part)
) STRICT, WITHOUT ROWID;

-- The last usage row whose attempts are in the spans. It moves in the same transaction as they change.
CREATE TABLE statistics_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    through INTEGER NOT NULL
) STRICT;

INSERT INTO statistics_progress (only, through) VALUES (1, 0);
