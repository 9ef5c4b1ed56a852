-- What is believed of the providers of tools (src/tools/beliefs).

-- One row per operation and account, JSON: what this account saw of it. The account '' is everybody, each account with a capped share.
CREATE TABLE tool_beliefs (
    account TEXT NOT NULL,
    tool TEXT NOT NULL,
    record TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account, tool)
) STRICT, WITHOUT ROWID;

-- How much an account has told everybody of an operation within an hour.
CREATE TABLE tool_belief_shares (
    hour INTEGER NOT NULL,
    account TEXT NOT NULL,
    tool TEXT NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (hour, account, tool)
) STRICT, WITHOUT ROWID;

-- What those who ran an execution say of its outcome: one vote each.
CREATE TABLE tool_reports (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    execution TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    tool TEXT NOT NULL,
    category TEXT NOT NULL,
    outcome TEXT NOT NULL,
    -- What the execution itself said of the provider.
    before TEXT NOT NULL,
    reason TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tool_reports_by_account ON tool_reports (account, created_at);

-- The last usage row and the last report that are in the beliefs. Moves in the same transaction as they change.
CREATE TABLE tool_belief_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    rows_through INTEGER NOT NULL,
    reports_through INTEGER NOT NULL
) STRICT;

INSERT INTO tool_belief_progress (only, rows_through, reports_through) VALUES (1, 0, 0);
