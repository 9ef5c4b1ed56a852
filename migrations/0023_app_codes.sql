-- Codes that apps exchange for a key (src/identity/people/apps.rs). Only the SHA-256 of a code is kept. Times are unix
-- milliseconds, money is nano-dollars.

CREATE TABLE app_codes (
    hash TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    -- Whose the key will be; NULL where an API key of nobody's asked.
    user TEXT,
    -- The key that asked, where no person did.
    by_key TEXT,
    -- Where the app is: its callback's origin; NULL where the code was shown on the screen.
    app TEXT,
    challenge TEXT,
    challenge_method TEXT CHECK (challenge_method IN ('S256', 'plain')),
    key_name TEXT NOT NULL,
    limit_nanos INTEGER,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    key_expires_at INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- The exchange: the key's hash is here before the key is made.
    used_at INTEGER,
    key_hash TEXT,
    -- It was sent again: the key ends, also one that is being made.
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX app_codes_by_challenge ON app_codes (account, challenge) WHERE challenge IS NOT NULL;
CREATE INDEX app_codes_by_end ON app_codes (expires_at);
