-- What an account wants of its usage (src/usage/content). No row: the defaults.
CREATE TABLE account_settings (
    account TEXT PRIMARY KEY REFERENCES accounts (id),
    -- Whether input and output of requests are kept.
    io_logging INTEGER NOT NULL DEFAULT 0,
    -- Of a million sessions, so many are kept.
    io_logging_parts INTEGER NOT NULL DEFAULT 1000000,
    -- JSON list of key hashes; NULL for every key.
    io_logging_keys TEXT,
    io_logging_days INTEGER NOT NULL DEFAULT 90,
    updated_at INTEGER NOT NULL
) STRICT;

-- Input and output of generations, sealed for their account and id. `logged`: the account keeps it; otherwise only a log
-- destination waits for it.
CREATE TABLE contents (
    account TEXT NOT NULL,
    generation TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    logged INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    sealed TEXT NOT NULL,
    UNIQUE (account, generation)
) STRICT;

CREATE INDEX contents_by_end ON contents (expires_at);
