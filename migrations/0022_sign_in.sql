-- How people sign in (src/identity/people). Of every secret only the SHA-256 is kept. Times are unix milliseconds.

-- Who an issuer says somebody is.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_user ON identities (user);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (id),
    -- The account that the person works in; another of theirs where they are no member of it.
    account TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    user_agent TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Links that the operator makes, each for one sign-in.
CREATE TABLE login_links (
    hash TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id),
    -- Who alone may accept it, where it is for one person.
    email TEXT,
    role TEXT NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_by TEXT,
    accepted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX invitations_by_account ON invitations (account, created_at);
CREATE INDEX invitations_by_email ON invitations (email) WHERE email IS NOT NULL;
