-- The first tables. Money is INTEGER nano-dollars within 2^53, times are INTEGER unix milliseconds, flags are 0 or 1.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Only the SHA-256 of a secret is kept. What a key has spent is known to its account's ledger.
CREATE TABLE api_keys (
    hash TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    limit_nanos INTEGER,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    last_used_at INTEGER,
    expires_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_account ON api_keys (account, created_at);

-- One row per generation, written from the account's outbox (src/usage/d1.rs).
CREATE TABLE usage (
    id TEXT PRIMARY KEY,
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

CREATE INDEX usage_by_account ON usage (account, created_at);

CREATE TABLE catalog_versions (
    version TEXT PRIMARY KEY,
    published_at INTEGER NOT NULL
) STRICT;

CREATE TABLE catalog_models (
    version TEXT NOT NULL,
    slug TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (version, slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    account TEXT,
    target TEXT,
    detail TEXT
) STRICT;
