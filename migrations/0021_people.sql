-- People: users, and what they may do in which account (src/identity/people). Times are unix milliseconds.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    -- Verified by whoever vouched for it, in lower case; NULL where nobody did.
    email TEXT,
    name TEXT NOT NULL DEFAULT '',
    -- May use the operator's routes.
    operator INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER
) STRICT;

CREATE UNIQUE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;

CREATE TABLE members (
    account TEXT NOT NULL REFERENCES accounts (id),
    user TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user, created_at);

-- Whose key it is, where it is a person's: it ends when that person leaves the account.
ALTER TABLE api_keys ADD COLUMN member TEXT;

CREATE INDEX api_keys_by_member ON api_keys (account, member) WHERE member IS NOT NULL;
