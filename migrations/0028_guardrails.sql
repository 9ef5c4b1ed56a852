-- Guardrails, and whom they hold for (src/guardrails). Times are unix milliseconds.

CREATE TABLE guardrails (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    -- plain: for those it is assigned to. default and privacy: for all of the account; one of each at most.
    kind TEXT NOT NULL DEFAULT 'plain' CHECK (kind IN ('plain', 'default', 'privacy')),
    name TEXT NOT NULL,
    description TEXT,
    -- JSON: see guardrails::Settings.
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE INDEX guardrails_by_account ON guardrails (account, created_at, id);
CREATE UNIQUE INDEX guardrails_of_accounts ON guardrails (account, kind) WHERE kind <> 'plain';

-- A key has one guardrail of its own at most, and so has a member.
CREATE TABLE guardrail_keys (
    key_hash TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    guardrail TEXT NOT NULL REFERENCES guardrails (id),
    id TEXT NOT NULL,
    assigned_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX guardrail_keys_by_guardrail ON guardrail_keys (guardrail, created_at);
CREATE INDEX guardrail_keys_by_account ON guardrail_keys (account, created_at);

CREATE TABLE guardrail_members (
    account TEXT NOT NULL,
    user TEXT NOT NULL,
    guardrail TEXT NOT NULL REFERENCES guardrails (id),
    id TEXT NOT NULL,
    assigned_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX guardrail_members_by_guardrail ON guardrail_members (guardrail, created_at);
