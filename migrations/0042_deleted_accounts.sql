-- Accounts that were deleted (src/api/admin/data.rs). Of an account only its id and these sums stay: no name, no person, no request.

ALTER TABLE accounts ADD COLUMN deleted_at INTEGER;

CREATE TABLE closed_books (
    account TEXT PRIMARY KEY,
    closed_at INTEGER NOT NULL,
    -- Nano-dollars that nobody had used.
    balance INTEGER NOT NULL,
    -- Entries by UTC month and kind: count and sum (JSON).
    months TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- When each minute's cron last came to its end.
CREATE TABLE cron_runs (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    ended_at INTEGER NOT NULL
) STRICT;

INSERT INTO cron_runs (only, ended_at) VALUES (1, 0);
