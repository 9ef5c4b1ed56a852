//! The cron's share: all accounts one after the other, a few pages in each run, and again from the first a day after it began.

use super::{d1, walk::step};
use crate::{
    credits::accounts::Accounts,
    database::Transactions,
    error::{Error, Result},
    usage::rollup::Retention,
};

/// How long after its beginning a round over all accounts begins anew.
pub const EVERY_MS: i64 = 86_400_000;
/// Pages read in one run.
pub const STEPS_PER_RUN: usize = 6;
/// Accounts looked at in one run, where they are small.
const ACCOUNTS_PER_RUN: usize = 4;

const DAY_MS: i64 = 86_400_000;
/// The time since when usage rows are still there, by what the variable `USAGE_RAW_DAYS` says. A day less than they are kept,
/// because rows go by when their requests began; a mistake in the variable deletes none, so that all are there.
pub fn rows_since(raw_days: Option<&str>, now: i64) -> i64 {
    let kept = Retention::read(raw_days)
        .ok()
        .and_then(|kept| kept.raw_days);
    kept.map_or(0, |days| now - (days - 1) * DAY_MS)
}

const PROGRESS: &str = "SELECT account, began_at FROM reconcile_progress";
const KEEP_PROGRESS: &str = "
    UPDATE reconcile_progress SET account = ?1, began_at = ?2 WHERE account = ?3 AND began_at = ?4";
const NEXT: &str =
    "SELECT id FROM accounts WHERE id > ?1 AND deleted_at IS NULL ORDER BY id LIMIT 1";

/// One run. Answers what was found and could not be walked over: lines for the operator's log.
///
/// # Errors
/// When D1 fails: the next run goes on.
pub async fn reconcile_some<S: Transactions + Accounts>(
    store: &S,
    rows_since: i64,
    now: i64,
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    let rows = store.query(PROGRESS, &[]).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::internal("no progress of the reconciliation"))?;
    let mut place = (d1::text(row, "account")?, d1::number(row, "began_at")?);
    for _ in 0..ACCOUNTS_PER_RUN {
        let rows = store.query(NEXT, &[place.0.as_str().into()]).await?;
        let Some(account) = rows.first().map(|row| d1::text(row, "id")).transpose()? else {
            if now - place.1 < EVERY_MS {
                break;
            }
            let first = (String::new(), now);
            keep(store, &first, &place).await?;
            place = first;
            continue;
        };
        match step(store, &account, (STEPS_PER_RUN, rows_since), false, now).await {
            Ok(progress) if !progress.done => break,
            Ok(progress) if progress.differences > 0 => {
                told.push(format!(
                    "the books of {account} show {} differences: see npm run operator -- reconcile findings",
                    progress.differences
                ));
            }
            Ok(_) => {}
            // The others go on; this one has its turn again in the next round.
            Err(error) => told.push(format!("the books of {account} cannot be read: {error}")),
        }
        let next = (account, place.1);
        keep(store, &next, &place).await?;
        place = next;
    }
    Ok(told)
}

async fn keep(
    store: &impl Transactions,
    place: &(String, i64),
    before: &(String, i64),
) -> Result<()> {
    let params = [
        place.0.as_str().into(),
        place.1.into(),
        before.0.as_str().into(),
        before.1.into(),
    ];
    store.query(KEEP_PROGRESS, &params).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_cleared_away_are_not_missed() {
        let now = 1_000 * DAY_MS;
        for (said, days) in [(None, 89), (Some("30"), 29), (Some(" 7 "), 6)] {
            assert_eq!(rows_since(said, now), now - days * DAY_MS, "{said:?}");
        }
        // Nothing is cleared away where it is kept for ever, or where the variable is a mistake.
        for said in ["0", "much", "3", "-1"] {
            assert_eq!(rows_since(Some(said), now), 0, "{said}");
        }
    }
}
