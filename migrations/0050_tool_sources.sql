-- Tools that were imported (src/tools/imports): an OpenAPI document or an MCP server, of an account or, where there is none, of the operator.
CREATE TABLE tool_sources (
    id TEXT PRIMARY KEY,
    account TEXT REFERENCES accounts (id),
    kind TEXT NOT NULL,
    -- The provider that its operations are of: nothing of the catalog, of the operator or of the same account has the same.
    slug TEXT NOT NULL,
    url TEXT,
    -- What its owner chose (JSON).
    settings TEXT NOT NULL,
    -- Headers for fetching it, sealed; `master` names the master key that sealed them.
    sealed TEXT,
    master TEXT,
    -- Of the document that was read last.
    digest TEXT NOT NULL,
    -- The provider that its owner accepted (JSON), the one that waits for that, and the one that runs.
    rows TEXT NOT NULL,
    pending TEXT,
    live TEXT NOT NULL,
    -- What of it was left out and why (JSON).
    report TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    refreshed_at INTEGER NOT NULL,
    -- Why the last refresh failed.
    error TEXT
) STRICT;

CREATE UNIQUE INDEX tool_sources_by_account ON tool_sources (coalesce(account, ''), slug);
CREATE INDEX tool_sources_by_slug ON tool_sources (slug);
