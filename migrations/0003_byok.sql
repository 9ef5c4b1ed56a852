-- Provider keys that accounts bring (src/identity/own_keys). A secret stands here only sealed; `master` is the id of the
-- master key that sealed it, which the sealed text names too.
CREATE TABLE byok_keys (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    provider TEXT NOT NULL,
    name TEXT,
    label TEXT NOT NULL,
    sealed TEXT NOT NULL,
    master TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    is_fallback INTEGER NOT NULL,
    is_required INTEGER NOT NULL,
    allowed_models TEXT,
    allowed_api_key_hashes TEXT,
    sort_order INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE INDEX byok_keys_by_account ON byok_keys (account, sort_order);
CREATE INDEX byok_keys_by_master ON byok_keys (master, id);

-- Whose key served a generation, and what it would have cost with the operator's.
ALTER TABLE usage ADD COLUMN own_key TEXT;
ALTER TABLE usage ADD COLUMN list_cost INTEGER;
