-- People outside of the gateway whom an account answers for (src/api/external_users.rs).
CREATE TABLE external_users (
    account TEXT NOT NULL REFERENCES accounts (id),
    user TEXT NOT NULL,
    is_active INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account, user)
) STRICT, WITHOUT ROWID;

-- What guardrails did to a generation (JSON): for each of them how often it flagged and redacted. NULL where none acted.
ALTER TABLE usage ADD COLUMN guardrails TEXT;
