//! Every table of D1 that keeps something about an account: how its rows are found, what of them is shown, what becomes of them when
//! the account is deleted. A test holds this list against the schema.

/// How a table's rows are walked through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// By a unique column of numbers.
    Number(&'static str),
    /// By a unique text.
    Text(&'static str),
}

/// What becomes of the rows of a deleted account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// They are deleted.
    Delete,
    /// They stay, with these columns changed: what the books or the law want kept, and nobody's name. The second text is the
    /// condition under which a row is still as it was.
    Change(&'static str, &'static str),
    /// They stay as they are, because they hold nothing personal.
    Keep,
}

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Which rows are the account's (`?1`).
    pub(super) of: &'static str,
    pub(super) key: Key,
    /// Columns that are never shown: secrets, and digests that stand for them.
    pub(super) hidden: &'static [&'static str],
    pub(super) end: End,
}

const ACCOUNT: &str = "account = ?1";
const NONE: &[&str] = &[];
const ROLLUP: &str = "length || ':' || start || ':' || key_hash || ':' || model || ':' || provider || ':' || endpoint || ':' || \
     api_type || ':' || app || ':' || member";

const fn table(name: &'static str, key: Key, hidden: &'static [&'static str]) -> Table {
    Table {
        name,
        of: ACCOUNT,
        key,
        hidden,
        end: End::Delete,
    }
}

const fn ending(table: Table, end: End) -> Table {
    Table { end, ..table }
}

const fn by(table: Table, of: &'static str) -> Table {
    Table { of, ..table }
}

/// In the order in which rows go: those that refer to others first.
pub(super) const TABLES: &[Table] = &[
    table("contents", Key::Number("rowid"), &["sealed"]),
    table("account_settings", Key::Text("account"), NONE),
    by(
        table(
            "preset_versions",
            Key::Text("preset || ':' || version"),
            NONE,
        ),
        "preset IN (SELECT id FROM presets WHERE account = ?1)",
    ),
    table("presets", Key::Text("slug"), NONE),
    table("byok_keys", Key::Text("id"), &["sealed"]),
    table(
        "dead_letters",
        Key::Text("destination || ':' || generation"),
        NONE,
    ),
    table("destinations", Key::Text("id"), &["sealed"]),
    table("tool_sources", Key::Text("id"), &["sealed", "live"]),
    table("guardrail_keys", Key::Text("key_hash"), NONE),
    table("guardrail_members", Key::Text("user"), NONE),
    table("guardrails", Key::Text("id"), NONE),
    table("app_codes", Key::Text("hash"), &["hash", "challenge"]),
    table("invitations", Key::Text("id"), &["hash"]),
    by(
        ending(
            table("sessions", Key::Text("hash"), &["hash"]),
            End::Change("account = NULL", "true"),
        ),
        ACCOUNT,
    ),
    // Shown; they go with those who belong to no other account.
    by(
        ending(table("users", Key::Text("id"), NONE), End::Keep),
        "id IN (SELECT user FROM members WHERE account = ?1)",
    ),
    table("members", Key::Text("user"), NONE),
    // Bookkeeping law wants payments kept for years; whose they were is not needed for the sums.
    ending(
        table("purchases", Key::Text("id"), &["session"]),
        End::Change(
            "customer = NULL, session = NULL, url = NULL, receipt_url = NULL, error = NULL",
            "coalesce(customer, session, url, receipt_url, error) IS NOT NULL",
        ),
    ),
    ending(table("refunds", Key::Text("id"), NONE), End::Keep),
    table("billing_customers", Key::Text("account"), NONE),
    table("billing_settings", Key::Text("account"), &["notice_secret"]),
    table("billing_jobs", Key::Text("id"), &["payload"]),
    table("coupon_misses", Key::Text("account || ':' || day"), NONE),
    ending(table("coupon_uses", Key::Text("coupon"), NONE), End::Keep),
    table("external_users", Key::Text("user"), NONE),
    table("corrections", Key::Number("seq"), NONE),
    table("usage", Key::Number("seq"), NONE),
    table("usage_rollups", Key::Text(ROLLUP), NONE),
    table(
        "usage_users",
        Key::Text("start || ':' || external_user || ':' || model"),
        NONE,
    ),
    table("app_titles", Key::Text("app || ':' || title"), NONE),
    table("generation_feedback", Key::Text("generation"), NONE),
    table("tool_beliefs", Key::Text("tool"), NONE),
    table("tool_belief_shares", Key::Text("hour || ':' || tool"), NONE),
    table("tool_reports", Key::Number("seq"), NONE),
    table("tool_intents", Key::Text("digest"), NONE),
    table("tool_switches", Key::Text("key_hash"), NONE),
    table("reconcile_findings", Key::Number("seq"), NONE),
    table("reconcile_walks", Key::Text("account"), &["state"]),
    ending(table("closed_books", Key::Text("account"), NONE), End::Keep),
    by(
        table("key_secrets", Key::Text("hash"), &["hash"]),
        "key IN (SELECT hash FROM api_keys WHERE account = ?1)",
    ),
    // A key's digest stays, so that a copy of it somewhere is refused for ever; what it was called does not.
    ending(
        table("api_keys", Key::Text("hash"), NONE),
        End::Change(
            "name = '', label = '', deleted = 1, disabled = 1, member = NULL, external_user = NULL, external_key = NULL",
            "name <> '' OR label <> '' OR deleted = 0",
        ),
    ),
    // That something was done stays; who it was and to what does not. The operator's own deeds stay the operator's.
    ending(
        table("audit_log", Key::Number("seq"), NONE),
        End::Change(
            "actor = IIF(actor = 'operator', actor, 'erased'), target = '', detail = ''",
            "target <> '' OR detail <> ''",
        ),
    ),
    by(
        ending(
            table("accounts", Key::Text("id"), NONE),
            End::Change("name = ''", "name <> ''"),
        ),
        "id = ?1",
    ),
];

/// What is kept of people, by the column that names them. A person goes with the account unless they belong to another one, or are an
/// operator.
pub(super) const OF_PEOPLE: &[(&str, &str)] = &[
    ("sessions", "user"),
    ("login_links", "user"),
    ("identities", "user"),
    ("members", "user"),
    ("users", "id"),
];

/// Tables that are about no account and no person.
#[cfg(test)]
pub(super) const OF_NOBODY: &[&str] = &[
    "catalog_models",
    "catalog_versions",
    "coupons",
    "cron_runs",
    "endpoint_spans",
    // Its one row names the account that the cron dealt with last, a random word.
    "reconcile_progress",
    "rollup_progress",
    "statistics_progress",
    "tool_belief_progress",
    "tool_texts",
    "tool_versions",
    // Names events and purchases, not whose they were.
    "stripe_events",
];
