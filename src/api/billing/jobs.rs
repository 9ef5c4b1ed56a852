//! Work that must not get lost: automatic purchases, refunds, notices.
//!
//! A job is a row of D1 from the moment that it is owed, and stays one until it is done. Whoever runs it takes it for a while
//! (`LEASE_MS`): the account's object right away, the cron whatever is left. One that fails comes again later, at longer and longer
//! intervals, some hours in all, which is less than the payment provider remembers an idempotency key. A job that runs twice
//! after all does nothing twice: purchases and refunds bear such keys, notices their id.

use futures::future::join_all;
use serde_json::Value;

use super::{
    checkout,
    client::{Failed, Stripe},
    notices, now, purchase, refunds, webhook,
};
use crate::{
    api::World,
    credits::{
        ops::{Notice, NoticeKind, TopUpFailed},
        stripe::{
            form::Form,
            objects::{ACCOUNT, List, Named, PURCHASE, PaymentIntent, TaxCalculation},
        },
    },
    database::{Row, Statement},
    error::{Error, Result},
};

/// How long a job belongs to who took it.
const LEASE_MS: i64 = 120_000;
/// The wait before the second attempt; each further one is twice as long, up to the most.
const FIRST_RETRY_MS: i64 = 30_000;
const MAX_RETRY_MS: i64 = 2 * 3_600_000;
/// Some four hours of attempts.
const MAX_ATTEMPTS: i64 = 10;
/// The most jobs of one run.
const BATCH: i64 = 20;
/// How long jobs are kept for those who look for them.
const KEEP_MS: i64 = 30 * 86_400_000;

/// A notice becomes a job where the account named an address for it.
const TELL_WEBHOOK: &str = "INSERT INTO billing_jobs (id, account, kind, payload, due_at, created_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?5 FROM billing_settings WHERE account = ?2 AND notice_url IS NOT NULL ON CONFLICT DO NOTHING";
const TELL_EMAIL: &str = "INSERT INTO billing_jobs (id, account, kind, payload, due_at, created_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?5 FROM billing_settings WHERE account = ?2 AND notice_email IS NOT NULL ON CONFLICT DO NOTHING";

/// Why a job is not done.
#[derive(Debug)]
pub(super) enum Undone {
    /// It may succeed another time.
    Later(String),
    /// It will not.
    Never(String),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Later(error.to_string())
    }
}

struct Job {
    id: String,
    account: String,
    kind: String,
    payload: String,
    attempts: i64,
}

/// A job that is due at once; one of the same id is there already.
pub(super) fn insert<'a>(
    id: &str,
    account: &str,
    kind: &str,
    payload: &str,
    now: i64,
) -> Statement<'a> {
    let sql = "INSERT INTO billing_jobs (id, account, kind, payload, due_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING";
    let params = vec![
        id.into(),
        account.into(),
        kind.into(),
        payload.into(),
        now.into(),
    ];
    (sql, params)
}

/// Keeps what an account's ledger wants told or bought. Once this returns, the ledger may forget it.
///
/// # Errors
/// Where D1 cannot be asked: nothing is kept then.
pub async fn keep<W: World>(world: &W, notices: &[Notice]) -> Result<()> {
    let now = now(world);
    let mut statements: Vec<Statement<'_>> = Vec::new();
    for notice in notices {
        let text = serde_json::to_string(notice)
            .map_err(|error| Error::internal(format!("a notice: {error}")))?;
        if notice.kind == NoticeKind::AutoTopUp {
            statements.push(insert(&notice.id, &notice.account, "top_up", &text, now));
            continue;
        }
        for (kind, sql) in [("webhook", TELL_WEBHOOK), ("email", TELL_EMAIL)] {
            let id = format!("{}/{}/{kind}", notice.account, notice.id);
            let params = vec![
                id.as_str().into(),
                notice.account.as_str().into(),
                kind.into(),
                text.as_str().into(),
                now.into(),
            ];
            statements.push((sql, params));
        }
    }
    world.transaction(&statements).await?;
    Ok(())
}

/// Runs the jobs that are due, of one account or of all; a bounded number of them.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn run_due<W: World>(world: &W, account: Option<&str>) -> Result<()> {
    let now = now(world);
    let sql = "UPDATE billing_jobs SET attempts = attempts + 1, due_at = ?1 + ?2 WHERE id IN
            (SELECT id FROM billing_jobs WHERE state = 'due' AND due_at <= ?1 AND (?3 IS NULL OR account = ?3) ORDER BY due_at LIMIT ?4)
            AND state = 'due' AND due_at <= ?1
        RETURNING id, account, kind, payload, attempts";
    let params = [now.into(), LEASE_MS.into(), account.into(), BATCH.into()];
    let rows = world.query(sql, &params).await?;
    run_all(world, &rows).await?;
    if account.is_none() {
        let sql = "DELETE FROM billing_jobs WHERE id IN
            (SELECT id FROM billing_jobs WHERE state <> 'due' AND created_at < ?1 LIMIT 500)";
        world.query(sql, &[(now - KEEP_MS).into()]).await?;
    }
    Ok(())
}

/// Runs one job now, if it is due and nobody has it.
pub(super) async fn run_one<W: World>(world: &W, id: &str) -> Result<()> {
    let sql = "UPDATE billing_jobs SET attempts = attempts + 1, due_at = ?1 + ?2 WHERE id = ?3 AND state = 'due' AND due_at <= ?1
        RETURNING id, account, kind, payload, attempts";
    let params = [now(world).into(), LEASE_MS.into(), id.into()];
    let rows = world.query(sql, &params).await?;
    run_all(world, &rows).await
}

async fn run_all<W: World>(world: &W, rows: &[Row]) -> Result<()> {
    let jobs: Vec<Job> = rows.iter().filter_map(read).collect();
    let ends = join_all(jobs.iter().map(|job| run(world, job))).await;
    ends.into_iter().collect()
}

fn read(row: &Row) -> Option<Job> {
    let text = |name: &str| row.get(name)?.as_str().map(str::to_owned);
    Some(Job {
        id: text("id")?,
        account: text("account")?,
        kind: text("kind")?,
        payload: text("payload")?,
        attempts: row.get("attempts")?.as_i64()?,
    })
}

async fn run<W: World>(world: &W, job: &Job) -> Result<()> {
    let end = match job.kind.as_str() {
        "top_up" => top_up(world, job).await,
        "refund" => refunds::send(world, &job.payload).await,
        "webhook" => notices::post(world, &job.account, &job.id, &job.payload).await,
        _ => notices::mail(world, &job.account, &job.id, &job.payload).await,
    };
    let is_last = job.attempts >= MAX_ATTEMPTS;
    let (state, error) = match end {
        Ok(()) => ("done", None),
        Err(Undone::Later(why)) if !is_last => ("due", Some(why)),
        Err(Undone::Later(why) | Undone::Never(why)) => ("failed", Some(why)),
    };
    if let (true, Some(why)) = (state == "failed", &error) {
        world.report(&format!("the job {} failed: {why}", job.id));
        if job.kind == "top_up" {
            stop_top_ups(world, job, "payment_provider_unreachable").await?;
        }
    }
    let doublings = u32::try_from(job.attempts - 1).unwrap_or_default().min(16);
    let wait = (FIRST_RETRY_MS << doublings).min(MAX_RETRY_MS);
    let sql = "UPDATE billing_jobs SET state = ?2, error = ?3, due_at = ?4 WHERE id = ?1";
    let params = [
        job.id.as_str().into(),
        state.into(),
        error.as_deref().into(),
        (now(world) + wait).into(),
    ];
    world.query(sql, &params).await?;
    Ok(())
}

/// Buys credits with the card that the account's owner saved.
async fn top_up<W: World>(world: &W, job: &Job) -> std::result::Result<(), Undone> {
    let never = |why: &str| Undone::Never(why.to_owned());
    let wanted: Value = crate::json::from_str(&job.payload).map_err(|_| never("unreadable"))?;
    let credits = wanted.get("amount").and_then(Value::as_i64);
    let credits = credits.and_then(|amount| crate::credits::money::Nanos::new(amount).ok());
    let credits = credits.ok_or_else(|| never("no amount"))?;
    let stripe = Stripe::new(world)?;
    let customer = stripe.customer(&job.account).await?;
    let bought = checkout::automatic(world, &job.account, &job.id, credits, &customer).await;
    let bought = match bought {
        Ok(bought) => bought,
        // The terms of sale changed since the amount was set.
        Err(error) if error.status == 400 => {
            stop_top_ups(world, job, "amount_not_for_sale").await?;
            return Err(Undone::Never(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    if bought.status != "processing" {
        return Ok(());
    }
    let known = wanted.get("payment_method").and_then(Value::as_str);
    let method = match known {
        Some(method) => method.to_owned(),
        None => match newest_method(&stripe, &customer).await? {
            Some(method) => {
                // The same call each time, or the idempotency key would not fit it.
                let sql = "UPDATE billing_jobs SET payload = json_set(payload, '$.payment_method', ?2) WHERE id = ?1";
                let params = [job.id.as_str().into(), method.as_str().into()];
                world.query(sql, &params).await?;
                method
            }
            None => {
                webhook::fail_top_up(world, &bought, "no_payment_method").await?;
                return Err(never("no_payment_method"));
            }
        },
    };
    let tax = match taxed(world, &stripe, job, &wanted, &bought, &customer).await {
        Ok(tax) => tax,
        Err(Failed::Refused(error)) if error.kind != "idempotency_error" => {
            webhook::fail_top_up(world, &bought, error.word()).await?;
            return Err(never(error.word()));
        }
        Err(failed) => return Err(failed.explain().into()),
    };
    let total = tax
        .as_ref()
        .map_or(bought.charge_cents, |(_, total)| *total);
    let mut form = Form::new()
        .number("amount", total)
        .with("currency", "usd")
        .with("customer", &customer)
        .with("payment_method", method)
        .with("off_session", "true")
        .with("confirm", "true")
        .with("automatic_payment_methods[enabled]", "true")
        // Nobody is there to be sent anywhere.
        .with("automatic_payment_methods[allow_redirects]", "never")
        .with("description", "Credits (automatic top-up)")
        .with(&format!("metadata[{PURCHASE}]"), &job.id)
        .with(&format!("metadata[{ACCOUNT}]"), &job.account);
    if let Some((calculation, _)) = tax {
        // The provider reports the tax with the payment, and takes it back with a refund.
        form = form.with("hooks[inputs][tax][calculation]", calculation);
    }
    match stripe
        .post::<PaymentIntent>("payment_intents", &form, &job.id)
        .await
    {
        Ok(intent) if intent.status == "succeeded" => {
            webhook::intent_is_paid(world, intent).await?;
            Ok(())
        }
        // An event tells how it ends.
        Ok(intent) if intent.status == "processing" => Ok(()),
        Ok(intent) => {
            webhook::fail_top_up(world, &bought, &intent.status).await?;
            Err(Undone::Never(intent.status))
        }
        Err(Failed::Refused(error)) if error.kind == "idempotency_error" => {
            Err(Undone::Later(error.kind))
        }
        Err(Failed::Refused(error)) => {
            webhook::fail_top_up(world, &bought, error.word()).await?;
            Err(never(error.word()))
        }
        Err(Failed::Unclear(why)) => Err(Undone::Later(why)),
    }
}

/// The tax on an automatic purchase, as it would be at a checkout: its calculation, and the total in cents. Nothing where the deployment
/// takes no tax. What was calculated once is kept, because the payment must ask for the same each time.
async fn taxed<W: World>(
    world: &W,
    stripe: &Stripe<'_, W>,
    job: &Job,
    wanted: &Value,
    bought: &purchase::Purchase,
    customer: &str,
) -> std::result::Result<Option<(String, i64)>, Failed> {
    if !checkout::is_taxed(world) {
        return Ok(None);
    }
    let known = wanted.get("tax_calculation").and_then(Value::as_str);
    if let (Some(known), Some(total)) = (known, bought.total_cents) {
        return Ok(Some((known.to_owned(), total)));
    }
    let mut form = Form::new()
        .with("currency", "usd")
        .with("customer", customer);
    for (at, (name, cents)) in bought.lines().enumerate() {
        let item = format!("line_items[{at}]");
        form = form
            .number(&format!("{item}[amount]"), cents)
            .with(&format!("{item}[reference]"), name)
            .with(&format!("{item}[tax_behavior]"), "exclusive");
    }
    let key = format!("tax-{}", job.id);
    let told: TaxCalculation = stripe.post("tax/calculations", &form, &key).await?;
    if told.amount_total < bought.charge_cents {
        return Err(Failed::Unclear("a tax below zero".to_owned()));
    }
    let unclear = |error: Error| Failed::Unclear(error.to_string());
    let payload = "UPDATE billing_jobs SET payload = json_set(payload, '$.tax_calculation', ?2) WHERE id = ?1";
    // The event that it was paid is held against this.
    let total = "UPDATE purchases SET total_cents = ?2 WHERE id = ?1";
    let id = || job.id.as_str().into();
    let statements = [
        (payload, vec![id(), told.id.as_str().into()]),
        (total, vec![id(), told.amount_total.into()]),
    ];
    world.transaction(&statements).await.map_err(unclear)?;
    Ok(Some((told.id, told.amount_total)))
}

/// The payment method that the customer saved last.
pub(super) async fn newest_method<W: World>(
    stripe: &Stripe<'_, W>,
    customer: &str,
) -> Result<Option<String>> {
    let path = format!("customers/{customer}/payment_methods?limit=1");
    let methods: List<Named> = stripe.get(&path).await.map_err(Failed::explain)?;
    Ok(methods.data.into_iter().next().map(|method| method.id))
}

async fn stop_top_ups<W: World>(world: &W, job: &Job, reason: &str) -> Result<()> {
    if let Some(bought) = purchase::find(world, &job.id).await? {
        return webhook::fail_top_up(world, &bought, reason).await;
    }
    let failed = TopUpFailed {
        id: job.id.clone(),
        reason: reason.to_owned(),
    };
    world.call(&job.account, &failed).await?;
    Ok(())
}
