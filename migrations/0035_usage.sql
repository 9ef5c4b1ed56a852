-- What usage is asked by (src/usage/facts.rs), and its sums (src/usage/rollup.rs).
ALTER TABLE usage ADD COLUMN member TEXT;
ALTER TABLE usage ADD COLUMN app TEXT;
ALTER TABLE usage ADD COLUMN preset TEXT;
ALTER TABLE usage ADD COLUMN router TEXT;
ALTER TABLE usage ADD COLUMN service_tier TEXT;
ALTER TABLE usage ADD COLUMN data_region TEXT;
ALTER TABLE usage ADD COLUMN surface TEXT;
-- JSON: how many images, sounds and films went in and came out.
ALTER TABLE usage ADD COLUMN media TEXT;
ALTER TABLE usage ADD COLUMN web_search_engine TEXT;

-- The end user that a key's requests are attributed to where they name none.

-- Sums per hour (length 3600000) and day (86400000). What a row lacks is ''. Time first: rows are added at the end, and forgotten
-- from the beginning.
CREATE TABLE usage_rollups (
    length INTEGER NOT NULL,
    start INTEGER NOT NULL,
    account TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    api_type TEXT NOT NULL,
    app TEXT NOT NULL,
    member TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failed_requests INTEGER NOT NULL,
    cancelled_requests INTEGER NOT NULL,
    streamed_requests INTEGER NOT NULL,
    cached_requests INTEGER NOT NULL,
    byok_requests INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    byok_inference INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    latency_count INTEGER NOT NULL,
    generation_ms INTEGER NOT NULL,
    generation_tokens INTEGER NOT NULL,
    PRIMARY KEY (length, start, account, key_hash, model, provider, endpoint, api_type, app, member)
) STRICT, WITHOUT ROWID;

-- Sums per day, end user and model, of requests that have an end user.
CREATE TABLE usage_users (
    start INTEGER NOT NULL,
    account TEXT NOT NULL,
    external_user TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failed_requests INTEGER NOT NULL,
    cancelled_requests INTEGER NOT NULL,
    streamed_requests INTEGER NOT NULL,
    cached_requests INTEGER NOT NULL,
    byok_requests INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    byok_inference INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    latency_count INTEGER NOT NULL,
    generation_ms INTEGER NOT NULL,
    generation_tokens INTEGER NOT NULL,
    PRIMARY KEY (start, account, external_user, model)
) STRICT, WITHOUT ROWID;

-- The names that accounts give the apps they send.
CREATE TABLE app_titles (
    app TEXT NOT NULL,
    title TEXT NOT NULL,
    account TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (app, title, account)
) STRICT, WITHOUT ROWID;

-- The last usage row that is in the sums. It moves in the same transaction as they change.
CREATE TABLE rollup_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    through INTEGER NOT NULL
) STRICT;

INSERT INTO rollup_progress (only, through) VALUES (1, 0);

-- 0: not in the sums yet; 1: in them; 2: its row is gone, only the ledger knows it.
ALTER TABLE corrections ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX corrections_to_count ON corrections (seq) WHERE counted = 0;

-- What users say of generations.
CREATE TABLE generation_feedback (
    account TEXT NOT NULL,
    generation TEXT NOT NULL,
    category TEXT NOT NULL,
    comment TEXT,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, generation)
) STRICT, WITHOUT ROWID;
