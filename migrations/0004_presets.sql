-- Presets: what an account wants said with every request that names them. Times are unix milliseconds.

CREATE TABLE presets (
    account TEXT NOT NULL REFERENCES accounts (id),
    slug TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    -- Counts the changes; the newest is the one in force.
    version INTEGER NOT NULL,
    -- Fields of a request body, as JSON.
    config TEXT NOT NULL,
    system_prompt TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account, slug)
) STRICT, WITHOUT ROWID;
