//! The audit's statements in D1: usage rows to be judged, the place of a walk, findings.

use serde_json::{Value, json};

use super::{audit::KeptRow, finding::Finding};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row, Statement},
    error::{Error, Result},
};

/// Rows by id, whatever their account. The list leads, so that each is looked up.
const ROWS: &str = "
    SELECT usage.id, account, key_hash, status, cost, prompt_tokens,
        cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens AS cached_tokens, completion_tokens,
        upstream_cost, charge
    FROM json_each(?1) AS item CROSS JOIN usage ON usage.id = item.value";
/// Changes of cost by generation and reason. Parameters: account, generations.
pub(super) const CORRECTIONS: &str = "
    SELECT generation AS kind, reason AS id, change AS amount FROM json_each(?2) AS item CROSS JOIN corrections
    ON generation = item.value AND account = ?1";
const IDS_OF: &str =
    "SELECT seq, id FROM usage WHERE account = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
/// What D1 says of an account's credits: paid purchases, redeemed coupons, refunds that were asked for here.
macro_rules! funds {
    () => {
        "(SELECT 'purchase' AS kind, id, credits AS amount, taken, paid_at AS at FROM purchases WHERE account = ?1 AND status = 'paid'
          UNION ALL
          SELECT 'coupon', coupon, amount, 0, at FROM coupon_uses JOIN coupons ON coupons.hash = coupon WHERE account = ?1
          UNION ALL
          SELECT 'refund', id, IIF(status = 'failed', 0, cents * 10000000), 0, created_at FROM refunds WHERE account = ?1)"
    };
}
const FUNDS_OF: &str = concat!(
    "SELECT kind || ':' || id AS place, kind, id, amount, taken, at FROM ",
    funds!(),
    " WHERE kind || ':' || id > ?2 ORDER BY place LIMIT ?3"
);
/// Credits of purchases, coupons and refunds by kind and id. Parameters: account, ids.
pub(super) const FUNDS: &str = concat!(
    "SELECT kind, id, amount FROM ",
    funds!(),
    " WHERE id IN (SELECT value FROM json_each(?2))"
);
const WALK: &str = "SELECT state, revision, started_at FROM reconcile_walks WHERE account = ?1";
/// Only where nobody else was faster.
const KEEP_WALK: &str = "
    INSERT INTO reconcile_walks (account, state, revision, started_at, finished_at, result)
    VALUES (?1, ?2, 1, ?4, ?5, ?6)
    ON CONFLICT (account) DO UPDATE SET state = excluded.state, revision = revision + 1, started_at = excluded.started_at,
        finished_at = COALESCE(excluded.finished_at, finished_at), result = COALESCE(excluded.result, result)
    WHERE revision = ?3
    RETURNING revision";
const KEEP_FINDINGS: &str = "
    INSERT INTO reconcile_findings (account, kind, subject, expected, found, difference, first_seen_at, last_seen_at)
    SELECT ?1, value ->> '$.kind', value ->> '$.subject', value ->> '$.expected', value ->> '$.found',
        value ->> '$.difference', ?3, ?3
    FROM json_each(?2) WHERE true
    ON CONFLICT (account, kind, subject) DO UPDATE SET expected = excluded.expected, found = excluded.found,
        difference = excluded.difference, last_seen_at = excluded.last_seen_at, closed_at = NULL,
        first_seen_at = IIF(closed_at IS NULL, first_seen_at, excluded.first_seen_at)";
const CLOSE: &str = "
    UPDATE reconcile_findings SET closed_at = ?3 WHERE account = ?1 AND closed_at IS NULL AND last_seen_at < ?2";

/// Findings, the newest first. Parameters: account or NULL, 1 for open ones or 0 for all, below which number, how many.
pub const FINDINGS: &str = "
    SELECT seq, account, kind, subject, expected, found, difference, first_seen_at, last_seen_at, closed_at
    FROM reconcile_findings
    WHERE (?1 IS NULL OR account = ?1) AND (?2 = 0 OR closed_at IS NULL) AND seq < ?3 ORDER BY seq DESC LIMIT ?4";
/// What the walks came to. Parameters: account or NULL, after which account, how many.
pub const WALKS: &str = "
    SELECT account, state IS NOT NULL AS under_way, started_at, finished_at, result,
        (SELECT count(*) FROM reconcile_findings AS f WHERE f.account = w.account AND closed_at IS NULL) AS open_findings
    FROM reconcile_walks AS w WHERE (?1 IS NULL OR account = ?1) AND account > ?2 ORDER BY account LIMIT ?3";

/// A walk as it is kept.
pub(super) struct KeptWalk {
    pub(super) state: Option<String>,
    pub(super) revision: i64,
    pub(super) started_at: i64,
}

pub(super) async fn rows(store: &impl Database, ids: &[&str]) -> Result<Vec<(String, KeptRow)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let param = json!(ids).to_string();
    let rows = store.query(ROWS, &[param.as_str().into()]).await?;
    rows.iter().map(kept_row).collect()
}

fn kept_row(row: &Row) -> Result<(String, KeptRow)> {
    let count = |name| number(row, name).map(|n| u64::try_from(n).unwrap_or(0));
    let kept = KeptRow {
        account: text(row, "account")?,
        key_hash: text(row, "key_hash")?,
        status: text(row, "status")?,
        cost: number(row, "cost")?,
        prompt: count("prompt_tokens")?,
        cached: count("cached_tokens")?,
        completion: count("completion_tokens")?,
        upstream_cost: row.get("upstream_cost").and_then(Value::as_i64),
        charge: row.get("charge").and_then(Value::as_str).map(str::to_owned),
    };
    Ok((text(row, "id")?, kept))
}

/// Amounts of an account by the two words that name each; `sql` is [`CORRECTIONS`] or [`FUNDS`].
pub(super) async fn amounts(
    store: &impl Database,
    sql: &str,
    account: &str,
    ids: &[&str],
) -> Result<Vec<((String, String), i64)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let param = json!(ids).to_string();
    let params = [account.into(), param.as_str().into()];
    let rows = store.query(sql, &params).await?;
    let read = |row: &Row| {
        Ok((
            (text(row, "kind")?, text(row, "id")?),
            number(row, "amount")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// What D1 says of a purchase, a coupon or a refund.
pub(super) struct KeptFund {
    pub(super) place: String,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) taken: i64,
    pub(super) at: i64,
}

/// An account's purchases, coupons and refunds after a place.
pub(super) async fn funds_of(
    store: &impl Database,
    account: &str,
    after: &str,
    max: i64,
) -> Result<Vec<KeptFund>> {
    let params = [account.into(), after.into(), max.into()];
    let rows = store.query(FUNDS_OF, &params).await?;
    let read = |row: &Row| {
        Ok(KeptFund {
            place: text(row, "place")?,
            kind: text(row, "kind")?,
            id: text(row, "id")?,
            amount: number(row, "amount")?,
            taken: number(row, "taken")?,
            at: row.get("at").and_then(Value::as_i64).unwrap_or_default(),
        })
    };
    rows.iter().map(read).collect()
}

/// The ids of an account's rows after a number, with their numbers.
pub(super) async fn ids_of(
    store: &impl Database,
    account: &str,
    after: i64,
    max: i64,
) -> Result<Vec<(i64, String)>> {
    let params = [account.into(), after.into(), max.into()];
    let rows = store.query(IDS_OF, &params).await?;
    let read = |row: &Row| Ok((number(row, "seq")?, text(row, "id")?));
    rows.iter().map(read).collect()
}

pub(super) async fn walk(store: &impl Database, account: &str) -> Result<Option<KeptWalk>> {
    let rows = store.query(WALK, &[account.into()]).await?;
    let read = |row: &Row| {
        Ok(KeptWalk {
            state: row.get("state").and_then(Value::as_str).map(str::to_owned),
            revision: number(row, "revision")?,
            started_at: number(row, "started_at")?,
        })
    };
    rows.first().map(read).transpose()
}

/// What a walk leaves behind.
pub(super) struct Left<'a> {
    pub(super) account: &'a str,
    pub(super) state: Option<String>,
    /// The revision that was read.
    pub(super) revision: i64,
    pub(super) started_at: i64,
    pub(super) findings: &'a [Finding],
    /// Of a whole walk: what it counted.
    pub(super) result: Option<String>,
    pub(super) now: i64,
}

impl Left<'_> {
    /// The statements that keep it, the walk's own row first.
    pub(super) fn statements(&self) -> Result<Vec<Statement<'static>>> {
        let finished = self.result.is_some().then_some(self.now);
        let mut statements: Vec<Statement<'static>> = vec![(
            KEEP_WALK,
            vec![
                self.account.into(),
                self.state.as_deref().into(),
                self.revision.into(),
                self.started_at.into(),
                finished.into(),
                self.result.as_deref().into(),
            ],
        )];
        if !self.findings.is_empty() {
            let findings = serde_json::to_string(self.findings)
                .map_err(|error| Error::internal(error.to_string()))?;
            let params: Vec<SqlValue> = vec![
                self.account.into(),
                findings.as_str().into(),
                self.now.into(),
            ];
            statements.push((KEEP_FINDINGS, params));
        }
        if finished.is_some() {
            let params = vec![self.account.into(), self.started_at.into(), self.now.into()];
            statements.push((CLOSE, params));
        }
        Ok(statements)
    }
}

pub(super) fn number(row: &Row, name: &str) -> Result<i64> {
    row.get(name)
        .and_then(Value::as_i64)
        .ok_or_else(|| unlike(name))
}

/// A column's text.
///
/// # Errors
/// Where there is none.
pub fn text(row: &Row, name: &str) -> Result<String> {
    row.get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| unlike(name))
}

fn unlike(name: &str) -> Error {
    Error::internal(format!("a row in D1 does not have the column {name}"))
}
