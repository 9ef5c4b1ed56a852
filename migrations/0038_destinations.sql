-- Where accounts' logs go (src/observability). A configuration stands here sealed, and as it is shown, its secrets masked; `master`
-- names the master key that sealed it. Rates are millionths.
CREATE TABLE destinations (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    shown TEXT NOT NULL,
    sealed TEXT NOT NULL,
    master TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    sampling_rate INTEGER NOT NULL,
    privacy_mode INTEGER NOT NULL,
    wants_content INTEGER NOT NULL,
    api_key_hashes TEXT,
    filter_rules TEXT,
    broadcast_cost INTEGER NOT NULL,
    broadcast_cost_allocation INTEGER NOT NULL,
    broadcast_identity INTEGER NOT NULL,
    broadcast_request_context INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    -- How far the usage rows of its account were dealt with, and where the batch ends that is to be tried again.
    through INTEGER NOT NULL,
    batch_end INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL DEFAULT 0,
    -- One run at a time.
    lease TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    last_success_at INTEGER,
    last_error_at INTEGER,
    last_error TEXT,
    failing_since INTEGER,
    notice TEXT
) STRICT;

CREATE INDEX destinations_by_account ON destinations (account, created_at);
CREATE INDEX destinations_due ON destinations (next_at) WHERE enabled = 1;

-- Generations that were put aside, and those of them that are to be tried again (`queued`).
CREATE TABLE dead_letters (
    destination TEXT NOT NULL,
    generation TEXT NOT NULL,
    account TEXT NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    queued INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (destination, generation)
) STRICT, WITHOUT ROWID;

CREATE INDEX dead_letters_queued ON dead_letters (destination) WHERE queued = 1;

-- An account's rows in the order in which D1 took them: the row's number is the end of every index.
CREATE INDEX usage_in_order_of_account ON usage (account);

-- What the client said of its trace (JSON).
ALTER TABLE usage ADD COLUMN trace TEXT;
