-- What accounts want done when their credits run low, and the work that follows (src/api/billing/jobs).

CREATE TABLE billing_settings (
    account TEXT PRIMARY KEY,
    notice_url TEXT,
    -- Sealed: what the notices are signed with.
    notice_secret TEXT,
    notice_email TEXT,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE billing_jobs (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('top_up', 'refund', 'webhook', 'email')),
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'failed')),
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX billing_jobs_due ON billing_jobs (due_at) WHERE state = 'due';
CREATE INDEX billing_jobs_by_account ON billing_jobs (account, created_at);
