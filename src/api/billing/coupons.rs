//! Coupons: codes of the operator's that accounts redeem for credits, each once.
//!
//! Only the SHA-256 of a code is kept. Whether one is left is decided in the statement that takes it, so that of many who come at once
//! as many get it as may. Wrong codes are counted: nobody tries them out.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Scope, now};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{amount, audit, missing, named},
        http::{Request, Response},
        keys::instant,
        word,
    },
    credits::{
        money::{Nanos, dollars},
        ops::{AddCredits, Fund},
    },
    error::{Error, ErrorType, Next, Result, Source},
    identity::Actor,
    signing::hmac::hex,
    time::rfc3339,
};

const DAY_MS: i64 = 86_400_000;
/// The most wrong codes of an account in one UTC day.
const MAX_MISSES: i64 = 20;
/// The shortest code: a shorter one is guessed.
const MIN_CODE: usize = 8;
const MAX_CODE: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCoupon {
    /// Dollars of credits.
    amount: Value,
    /// What to call it.
    name: String,
    /// A code of one's own; else one is made.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    max_uses: Option<u32>,
    #[serde(default)]
    expires_at: Option<String>,
    /// How long the credits live.
    #[serde(default)]
    credits_expire_days: Option<u32>,
}

/// Answers `/admin/coupons` and `/admin/coupons/{id}`.
pub(in crate::api) async fn administer<W: World>(
    world: &W,
    actor: &Actor,
    request: Request,
    method: &str,
    id: Option<&str>,
) -> Result<Response> {
    match (method, id) {
        ("POST", _) => create(world, actor, request.json().await?).await,
        ("DELETE", Some(id)) => disable(world, actor, id).await,
        _ => list(world).await,
    }
}

async fn create<W: World>(world: &W, actor: &Actor, new: NewCoupon) -> Result<Response> {
    let amount = amount("amount", &new.amount)?;
    if amount <= Nanos::ZERO {
        return Err(Error::invalid("amount", "A coupon is above zero"));
    }
    let name = named(&new.name)?;
    let code = match new.code {
        Some(code) => proper(&code).ok_or_else(|| {
            let message = format!("A code has {MIN_CODE} to {MAX_CODE} letters, digits or dashes");
            Error::invalid("code", message)
        })?,
        None => word(&world.random()?).to_ascii_uppercase(),
    };
    let uses = i64::from(new.max_uses.unwrap_or(1));
    if uses == 0 {
        return Err(Error::invalid(
            "max_uses",
            "A coupon can be used at least once",
        ));
    }
    let expires_at = new.expires_at.as_deref().map(instant).transpose()?;
    let days = new.credits_expire_days.map(i64::from);
    if days == Some(0) {
        let message = "Credits live for at least a day";
        return Err(Error::invalid("credits_expire_days", message));
    }
    let hash = hash(&code);
    let sql = "INSERT INTO coupons (hash, label, amount, max_uses, expires_at, credits_days, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT DO NOTHING RETURNING hash";
    let params = [
        hash.as_str().into(),
        name.into(),
        amount.into(),
        uses.into(),
        expires_at.into(),
        days.into(),
        now(world).into(),
    ];
    if world.query(sql, &params).await?.is_empty() {
        return Err(super::conflict("There is a coupon of this code"));
    }
    let detail = format!("{name} {amount} x {uses}");
    audit(world, actor, "coupon.create", None, &hash, &detail).await?;
    let rows = world
        .query(&select("WHERE hash = ?1"), &[hash.as_str().into()])
        .await?;
    let coupon = rows.first().map(read).transpose()?;
    #[derive(serde::Serialize)]
    struct Created<T> {
        data: T,
        code: String,
    }
    Ok(Response::json(201, &Created { data: coupon, code }))
}

async fn list<W: World>(world: &W) -> Result<Response> {
    let rows = world
        .query(&select("ORDER BY created_at, hash"), &[])
        .await?;
    let data = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Response::json(200, &json_data(&data)))
}

async fn disable<W: World>(world: &W, actor: &Actor, id: &str) -> Result<Response> {
    let sql = "UPDATE coupons SET disabled = 1 WHERE hash = ?1 RETURNING hash";
    if world.query(sql, &[id.into()]).await?.is_empty() {
        return Err(missing("coupon", id));
    }
    audit(world, actor, "coupon.disable", None, id, "").await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

#[derive(serde::Serialize)]
struct Told {
    id: String,
    name: String,
    #[serde(with = "dollars")]
    amount: Nanos,
    max_uses: i64,
    uses: i64,
    disabled: bool,
    expires_at: Option<String>,
    credits_expire_days: Option<i64>,
    created_at: String,
}

fn select(rest: &str) -> String {
    format!(
        "SELECT hash, label, amount, max_uses, expires_at, credits_days, disabled, created_at,
            (SELECT COUNT(*) FROM coupon_uses WHERE coupon = hash) AS uses FROM coupons {rest}"
    )
}

fn read(row: &crate::database::Row) -> Result<Told> {
    let broken = || Error::internal("a row of coupons is not what its table says");
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Told {
        id: text("hash").ok_or_else(broken)?,
        name: text("label").ok_or_else(broken)?,
        amount: number("amount")
            .and_then(|amount| Nanos::new(amount).ok())
            .ok_or_else(broken)?,
        max_uses: number("max_uses").ok_or_else(broken)?,
        uses: number("uses").ok_or_else(broken)?,
        disabled: number("disabled") == Some(1),
        expires_at: number("expires_at").map(rfc3339),
        credits_expire_days: number("credits_days"),
        created_at: number("created_at").map(rfc3339).ok_or_else(broken)?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Redeem {
    code: String,
}

/// `POST /credits/redeem`. A repeat by the same account answers with the same credits.
pub(super) async fn redeem<W: World>(
    world: &W,
    scope: &Scope,
    Redeem { code }: Redeem,
) -> Result<Response> {
    let (now, account) = (now(world), scope.account.as_str());
    let day = now.div_euclid(DAY_MS);
    let sql = "SELECT count FROM coupon_misses WHERE account = ?1 AND day = ?2";
    let rows = world.query(sql, &[account.into(), day.into()]).await?;
    let misses = rows.first().and_then(|row| row.get("count")?.as_i64());
    if misses >= Some(MAX_MISSES) {
        let message = "Too many wrong codes today: try again tomorrow";
        let kind = ErrorType::RateLimitExceeded;
        let mut error = Error::new(Source::Client, Next::Final, kind, message);
        error.retry_after = u32::try_from(((day + 1) * DAY_MS - now) / 1_000).ok();
        return Err(error);
    }
    let hash = hash(&proper(&code).unwrap_or_default());
    // One statement: it looks whether one is left, and takes it.
    let take = "INSERT INTO coupon_uses (coupon, account, at)
        SELECT hash, ?2, ?3 FROM coupons WHERE hash = ?1 AND disabled = 0 AND (expires_at IS NULL OR expires_at > ?3)
            AND (SELECT COUNT(*) FROM coupon_uses WHERE coupon = ?1) < max_uses
        ON CONFLICT DO NOTHING";
    let params = [hash.as_str().into(), account.into(), now.into()];
    world.query(take, &params).await?;
    let taken = "SELECT coupons.hash, label, amount, credits_days, at FROM coupon_uses JOIN coupons ON coupons.hash = coupon
        WHERE coupon = ?1 AND account = ?2";
    let rows = world
        .query(taken, &[hash.as_str().into(), account.into()])
        .await?;
    let Some(row) = rows.first() else {
        let sql = "INSERT INTO coupon_misses (account, day, count) VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1";
        world.query(sql, &[account.into(), day.into()]).await?;
        // The same words for a code that never was, is used up or is over.
        let kind = ErrorType::NotFound;
        let message = "This code cannot be redeemed: it is wrong, used up or over";
        return Err(Error::new(Source::Client, Next::Final, kind, message));
    };
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let amount = number("amount").and_then(|amount| Nanos::new(amount).ok());
    let amount = amount.ok_or_else(|| Error::internal("a coupon without an amount"))?;
    let at = number("at").unwrap_or(now);
    let credits = AddCredits {
        kind: Fund::Coupon,
        id: hash.clone(),
        amount,
        expires_at: number("credits_days").map(|days| at + days * DAY_MS),
        note: row
            .get("label")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    let granted = world.call(account, &credits).await?;
    let is_new = at == now;
    if is_new {
        let detail = amount.to_string();
        audit(
            world,
            &scope.actor,
            "credits.redeem",
            Some(account),
            &hash,
            &detail,
        )
        .await?;
    }
    #[derive(serde::Serialize)]
    struct Redeemed {
        #[serde(with = "dollars")]
        amount: Nanos,
        #[serde(with = "dollars")]
        balance: Nanos,
        expires_at: Option<String>,
        redeemed_at: String,
    }
    let told = Redeemed {
        amount,
        balance: granted.balance,
        expires_at: credits.expires_at.map(rfc3339),
        redeemed_at: rfc3339(at),
    };
    Ok(Response::json(
        if is_new { 201 } else { 200 },
        &json_data(&told),
    ))
}

/// A code as it is compared: without regard to case and the blanks around it.
fn proper(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    let is_proper = (MIN_CODE..=MAX_CODE).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_proper.then_some(code)
}

fn hash(code: &str) -> String {
    hex(&Sha256::digest(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed_and_none_is_short_or_odd() {
        assert_eq!(proper(" welcome-2027 ").as_deref(), Some("WELCOME-2027"));
        for code in ["", "SHORT12", "WITH SPACE", "UMLÄUT-CODE", &"X".repeat(65)] {
            assert_eq!(proper(code), None, "{code}");
        }
    }
}
