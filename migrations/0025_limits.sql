-- Limits of pace and of use of own provider keys, and for whom a key was made. What decides is the account's ledger (src/credits/ledger).
ALTER TABLE api_keys ADD COLUMN include_byok INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN max_requests INTEGER;
ALTER TABLE api_keys ADD COLUMN max_tokens INTEGER;
ALTER TABLE api_keys ADD COLUMN max_concurrent INTEGER;
ALTER TABLE api_keys ADD COLUMN external_user TEXT;
ALTER TABLE api_keys ADD COLUMN external_key TEXT;

-- The secrets of keys that were rotated: a key is named by the hash of its first secret, and found by that of any. Keys that never were have no row.
CREATE TABLE key_secrets (
    hash TEXT PRIMARY KEY,
    key TEXT NOT NULL REFERENCES api_keys (hash),
    created_at INTEGER NOT NULL,
    ends_at INTEGER
) STRICT;

CREATE INDEX key_secrets_by_key ON key_secrets (key);
