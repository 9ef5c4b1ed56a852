//! The tables of an Account object.
//!
//! In scope: tables and how they come to be. Out of scope: what is written to them (the sibling modules).

use super::{Ledger, LedgerError};
use crate::credits::sql::Sql;

/// What each version adds. A deployed version is never edited: changes are appended.
const VERSIONS: &[&[&str]] = &[
    FIRST,
    CORRECTIONS,
    FUNDS,
    LIMITS,
    EXECUTIONS,
    NOTES,
    TASKS,
    LEASES,
];

const FIRST: &[&str] = &[
    "CREATE TABLE account (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        flush_failures INTEGER NOT NULL DEFAULT 0,
        flush_after INTEGER NOT NULL DEFAULT 0
    ) STRICT",
    "CREATE TABLE keys (
        hash TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        label TEXT NOT NULL,
        disabled INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        spend_limit INTEGER,
        limit_reset TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        last_used_at INTEGER,
        expires_at INTEGER,
        used INTEGER NOT NULL DEFAULT 0,
        day INTEGER NOT NULL DEFAULT 0,
        used_day INTEGER NOT NULL DEFAULT 0,
        week INTEGER NOT NULL DEFAULT 0,
        used_week INTEGER NOT NULL DEFAULT 0,
        month INTEGER NOT NULL DEFAULT 0,
        used_month INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE holds (
        id TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        release_at INTEGER NOT NULL,
        draft TEXT NOT NULL
    ) STRICT, WITHOUT ROWID",
    // Rows are never deleted, so `seq` only grows without AUTOINCREMENT and its extra write.
    "CREATE TABLE entries (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('grant', 'settle', 'void', 'expire', 'late_settle')),
        amount INTEGER NOT NULL,
        balance INTEGER NOT NULL,
        held INTEGER,
        key_hash TEXT,
        at INTEGER NOT NULL,
        note TEXT
    ) STRICT",
    // Each entry is in exactly one of these: one index write per entry, and the store itself refuses a second settlement.
    "CREATE UNIQUE INDEX one_grant ON entries (id) WHERE kind = 'grant'",
    "CREATE UNIQUE INDEX one_finish ON entries (id) WHERE kind IN ('settle', 'void', 'expire')",
    "CREATE UNIQUE INDEX one_late_settle ON entries (id) WHERE kind = 'late_settle'",
    "CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never updated'); END",
    "CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END",
    "CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY REFERENCES entries (seq),
        draft TEXT NOT NULL
    ) STRICT",
];

/// Entries of one more kind. SQLite cannot change a CHECK, so the table is written anew, with the one that refers to it; a table that is
/// dropped takes its indexes and triggers along, and fires none.
const CORRECTIONS: &[&str] = &[
    "CREATE TABLE new_entries (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('grant', 'settle', 'void', 'expire', 'late_settle', 'correction')),
        amount INTEGER NOT NULL,
        balance INTEGER NOT NULL,
        held INTEGER,
        key_hash TEXT,
        at INTEGER NOT NULL,
        note TEXT,
        CHECK (kind <> 'correction' OR note IS NOT NULL)
    ) STRICT",
    "INSERT INTO new_entries SELECT seq, id, kind, amount, balance, held, key_hash, at, note FROM entries ORDER BY seq",
    "CREATE TABLE new_outbox (
        seq INTEGER PRIMARY KEY REFERENCES new_entries (seq),
        draft TEXT NOT NULL
    ) STRICT",
    "INSERT INTO new_outbox SELECT seq, draft FROM outbox",
    "DROP TABLE outbox",
    "DROP TABLE entries",
    "ALTER TABLE new_entries RENAME TO entries",
    "ALTER TABLE new_outbox RENAME TO outbox",
    "CREATE UNIQUE INDEX one_grant ON entries (id) WHERE kind = 'grant'",
    "CREATE UNIQUE INDEX one_finish ON entries (id) WHERE kind IN ('settle', 'void', 'expire')",
    "CREATE UNIQUE INDEX one_late_settle ON entries (id) WHERE kind = 'late_settle'",
    "CREATE UNIQUE INDEX one_correction ON entries (id, note) WHERE kind = 'correction'",
    "CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never updated'); END",
    "CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END",
];

/// Credits that are bought, redeemed, given back, disputed and expire; what happens when they run low.
const FUNDS: &[&str] = &[
    "CREATE TABLE new_entries (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('grant', 'settle', 'void', 'expire', 'late_settle', 'correction', 'purchase', 'coupon',
            'refund', 'refund_undone', 'dispute', 'dispute_won', 'lapse')),
        amount INTEGER NOT NULL,
        balance INTEGER NOT NULL,
        held INTEGER,
        key_hash TEXT,
        at INTEGER NOT NULL,
        note TEXT,
        CHECK (kind <> 'correction' OR note IS NOT NULL)
    ) STRICT",
    "INSERT INTO new_entries SELECT seq, id, kind, amount, balance, held, key_hash, at, note FROM entries ORDER BY seq",
    "CREATE TABLE new_outbox (
        seq INTEGER PRIMARY KEY REFERENCES new_entries (seq),
        draft TEXT NOT NULL
    ) STRICT",
    "INSERT INTO new_outbox SELECT seq, draft FROM outbox",
    "DROP TABLE outbox",
    "DROP TABLE entries",
    "ALTER TABLE new_entries RENAME TO entries",
    "ALTER TABLE new_outbox RENAME TO outbox",
    "CREATE UNIQUE INDEX one_grant ON entries (id) WHERE kind = 'grant'",
    "CREATE UNIQUE INDEX one_finish ON entries (id) WHERE kind IN ('settle', 'void', 'expire')",
    "CREATE UNIQUE INDEX one_late_settle ON entries (id) WHERE kind = 'late_settle'",
    "CREATE UNIQUE INDEX one_correction ON entries (id, note) WHERE kind = 'correction'",
    "CREATE UNIQUE INDEX one_purchase ON entries (id) WHERE kind = 'purchase'",
    "CREATE UNIQUE INDEX one_coupon ON entries (id) WHERE kind = 'coupon'",
    "CREATE UNIQUE INDEX one_reversal ON entries (kind, id) WHERE kind IN ('refund', 'refund_undone', 'dispute', 'dispute_won')",
    // The sum of all credits reads these and no charge.
    "CREATE INDEX credits ON entries (kind) WHERE kind IN
        ('grant', 'purchase', 'coupon', 'refund', 'refund_undone', 'dispute', 'dispute_won', 'lapse')",
    "CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never updated'); END",
    "CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END",
    "CREATE TABLE reversals (
        kind TEXT NOT NULL CHECK (kind IN ('refund', 'dispute')),
        id TEXT NOT NULL,
        purchase TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        undone INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX reversals_by_purchase ON reversals (purchase)",
    "CREATE TABLE lots (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        remains INTEGER NOT NULL CHECK (remains >= 0),
        lapsed INTEGER NOT NULL DEFAULT 0,
        taken INTEGER NOT NULL DEFAULT 0 CHECK (taken >= 0),
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX lots_in_use ON lots (expires_at) WHERE remains > 0",
    "CREATE INDEX lots_due ON lots (due_at) WHERE remains > 0",
    "ALTER TABLE account ADD COLUMN lots_balance INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE funding (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        low_balance INTEGER,
        low_told INTEGER NOT NULL DEFAULT 0,
        auto_threshold INTEGER,
        auto_amount INTEGER,
        auto_cap INTEGER,
        stopped TEXT,
        capped_month INTEGER,
        watch_at INTEGER
    ) STRICT",
    "CREATE TABLE top_ups (
        id TEXT PRIMARY KEY,
        amount INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'paid', 'failed')),
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX one_pending_top_up ON top_ups (state) WHERE state = 'pending'",
    "CREATE TABLE notices (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        amount INTEGER NOT NULL,
        balance INTEGER NOT NULL,
        reason TEXT,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

/// Limits of pace, budgets, free models, use of the account's own provider keys, replaced secrets. `holds` is written anew so that its long
/// column stays the last: sums over open holds do not read it.
const LIMITS: &[&str] = &[
    "CREATE TABLE new_holds (
        id TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        release_at INTEGER NOT NULL,
        member TEXT,
        began INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        byok INTEGER NOT NULL,
        free INTEGER NOT NULL,
        draft TEXT NOT NULL
    ) STRICT, WITHOUT ROWID",
    "INSERT INTO new_holds SELECT id, key_hash, amount, release_at, NULL, 0, 0, 0, 0, draft FROM holds",
    "DROP TABLE holds",
    "ALTER TABLE new_holds RENAME TO holds",
    // When the request was admitted and its tokens; what the account's own provider keys were used for, and the fee for it that the
    // month's allowance covered.
    "ALTER TABLE entries ADD COLUMN began INTEGER",
    "ALTER TABLE entries ADD COLUMN tokens INTEGER",
    "ALTER TABLE entries ADD COLUMN free INTEGER",
    "ALTER TABLE entries ADD COLUMN byok INTEGER",
    "ALTER TABLE entries ADD COLUMN waived INTEGER",
    "ALTER TABLE keys ADD COLUMN byok INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN byok_day INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN byok_week INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN byok_month INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN include_byok INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN member TEXT",
    "ALTER TABLE keys ADD COLUMN max_requests INTEGER",
    "ALTER TABLE keys ADD COLUMN max_tokens INTEGER",
    "ALTER TABLE keys ADD COLUMN max_concurrent INTEGER",
    "ALTER TABLE account ADD COLUMN max_requests INTEGER",
    "ALTER TABLE account ADD COLUMN max_tokens INTEGER",
    "ALTER TABLE account ADD COLUMN max_concurrent INTEGER",
    "ALTER TABLE account ADD COLUMN free_day INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE account ADD COLUMN free_used INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE budgets (
        id TEXT PRIMARY KEY,
        origin TEXT NOT NULL,
        scope TEXT NOT NULL,
        target TEXT NOT NULL,
        reset TEXT,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        include_byok INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE ended_secrets (
        hash TEXT PRIMARY KEY,
        ends_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

/// Executions of tools for a day, their answers beside them, what idempotency keys stand for, whom they reached, confirmations, guards.
const EXECUTIONS: &[&str] = &[
    "CREATE TABLE executions (
        id TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL,
        tool TEXT NOT NULL,
        effect TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('sent', 'running', 'succeeded', 'failed', 'failed_clean', 'unknown', 'cancelled')),
        began INTEGER NOT NULL,
        deadline INTEGER NOT NULL,
        ended INTEGER,
        held INTEGER NOT NULL,
        charged INTEGER NOT NULL DEFAULT 0,
        resend INTEGER NOT NULL,
        ceiling INTEGER,
        idempotency_key TEXT,
        fingerprint TEXT NOT NULL,
        parent TEXT,
        surface TEXT NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX executions_by_time ON executions (began)",
    "CREATE INDEX executions_running ON executions (deadline) WHERE state = 'running'",
    "CREATE INDEX executions_by_parent ON executions (parent) WHERE parent IS NOT NULL",
    "CREATE TABLE execution_answers (
        id TEXT PRIMARY KEY,
        answer TEXT NOT NULL
    ) STRICT",
    "CREATE TABLE idempotency (
        name TEXT PRIMARY KEY,
        execution TEXT NOT NULL,
        charged TEXT
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE execution_recipients (
        at INTEGER NOT NULL,
        execution TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (at, execution, digest)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE confirmations (
        token TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL,
        tool TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        ceiling INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        used_by TEXT
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE tool_guards (
        scope TEXT PRIMARY KEY,
        guards TEXT NOT NULL
    ) STRICT, WITHOUT ROWID",
];

const NOTES: &[&str] = &["CREATE TABLE notes (
        name TEXT PRIMARY KEY,
        text TEXT NOT NULL,
        ends_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID"];

const TASKS: &[&str] = &[
    "CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL,
        context TEXT NOT NULL,
        state TEXT NOT NULL,
        is_over INTEGER NOT NULL,
        at INTEGER NOT NULL,
        text TEXT NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX tasks_of_a_key ON tasks (key_hash, at, id)",
    "CREATE INDEX tasks_by_age ON tasks (at)",
];

const LEASES: &[&str] = &[
    "ALTER TABLE tasks ADD COLUMN holder TEXT",
    // Unix milliseconds; nothing where nobody carries it on.
    "ALTER TABLE tasks ADD COLUMN held_until INTEGER",
    "ALTER TABLE tasks ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX tasks_held ON tasks (held_until) WHERE held_until IS NOT NULL",
];

impl<S: Sql> Ledger<S> {
    /// Brings the tables up to date; does nothing on all wake-ups but the first after a deployment.
    pub(super) fn migrate(&self) -> Result<(), LedgerError> {
        self.rows(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT",
            &[],
        )?;
        let current = self
            .row("SELECT MAX(version) FROM schema_version", &[])?
            .map_or(Ok(None), |mut row| row.take::<Option<i64>>())?
            .unwrap_or(0);
        for (version, statements) in (1i64..)
            .zip(VERSIONS)
            .filter(|(version, _)| *version > current)
        {
            self.transaction(|| {
                for statement in *statements {
                    self.rows(statement, &[])?;
                }
                self.rows(
                    "INSERT INTO schema_version (version) VALUES (?)",
                    &[version.into()],
                )?;
                Ok(())
            })?;
        }
        Ok(())
    }
}
