-- Do the books agree? (src/books) Times are unix milliseconds, amounts nano-dollars.

-- One walk over each account's books: where it is (JSON, NULL when none is under way) and what the last whole one came to.
CREATE TABLE reconcile_walks (
    account TEXT PRIMARY KEY,
    state TEXT,
    -- Counts the changes of this row: of two runs at once one gives way.
    revision INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- What the last whole walk counted (JSON).
    result TEXT
) STRICT, WITHOUT ROWID;

-- Differences: open until a whole walk finds them no longer.
CREATE TABLE reconcile_findings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    expected TEXT NOT NULL,
    found TEXT NOT NULL,
    difference INTEGER,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    closed_at INTEGER,
    UNIQUE (account, kind, subject)
) STRICT;

CREATE INDEX reconcile_findings_open ON reconcile_findings (account, seq) WHERE closed_at IS NULL;

-- The cron's place: the account that it dealt with last, and when it began with the first of them.
CREATE TABLE reconcile_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    account TEXT NOT NULL,
    began_at INTEGER NOT NULL
) STRICT;

INSERT INTO reconcile_progress (only, account, began_at) VALUES (1, '', 0);

-- An account's rows in the order in which D1 took them.
CREATE INDEX IF NOT EXISTS usage_in_order_of_account ON usage (account);

-- The audit log by account and by action, the newest first.
CREATE INDEX audit_log_by_account ON audit_log (account, seq);
