//! Giving back what is unused of a purchase. The fee stays; the credits go first, then the money.
//!
//! The ledger decides the amount in the step that takes it, so that nobody spends what is given back. If the payment provider then
//! refuses, the credits come back; while that is unclear, a job asks it again under the same key.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Scope, client::Stripe, conflict, jobs, now, purchase, terms};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{amount, audit},
        http::Response,
        word,
    },
    credits::{
        money::{Nanos, dollars},
        ops::{RefundCredits, Reversal, Reverse},
        sale::{CENT, cents, of_cents},
        stripe::{
            form::Form,
            objects::{REFUND, Refund},
        },
    },
    error::{Error, Result},
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefund {
    /// Chosen by the caller: a repeat changes nothing.
    #[serde(default)]
    id: Option<String>,
    /// Dollars; all that is unused where absent.
    #[serde(default)]
    amount: Option<Value>,
    /// The operator only: also credits that are spent, and after the time in which it is a right.
    #[serde(default)]
    even_if_used: bool,
}

/// `POST /credits/purchases/{id}/refund`.
pub(super) async fn start<W: World>(
    world: &W,
    scope: &Scope,
    id: &str,
    new: NewRefund,
) -> Result<Response> {
    let purchase = purchase::of(world, &scope.account, id).await?;
    // Else the credits would go and the money could not.
    Stripe::new(world)?;
    if new.even_if_used && !scope.is_operator {
        let message = "Only the operator can give back what is spent";
        return Err(Error::invalid("even_if_used", message));
    }
    if purchase.status != "paid" || purchase.payment_intent.is_none() {
        return Err(conflict("Nothing was paid for this purchase, or not yet"));
    }
    let most = new.amount.as_ref().map(|value| amount("amount", value));
    let most = most.transpose()?;
    if most.is_some_and(|most| most <= Nanos::ZERO || cents(most).is_err()) {
        let message = "Whole cents above zero can be given back";
        return Err(Error::invalid("amount", message));
    }
    let refund = match &new.id {
        Some(own) => format!("ref_{id}_{own}"),
        None => format!("ref_{}", word(&world.random()?)),
    };
    let call = RefundCredits {
        id: refund.clone(),
        purchase: id.to_owned(),
        most,
        unit: Nanos::new(CENT).map_err(|error| Error::internal(error.to_string()))?,
        within_ms: (!scope.is_operator).then_some(terms(world)?.refund_ms),
        even_if_used: new.even_if_used,
    };
    let reversed = world.call(&scope.account, &call).await?;
    let cents = cents(reversed.amount).map_err(|error| Error::internal(error.to_string()))?;
    let now = now(world);
    let row = "INSERT INTO refunds (id, purchase, account, cents, status, created_at) VALUES (?1, ?2, ?3, ?4, 'pending', ?5) ON CONFLICT DO NOTHING";
    let row_params = vec![
        refund.as_str().into(),
        id.into(),
        scope.account.as_str().into(),
        cents.into(),
        now.into(),
    ];
    let taken = "UPDATE purchases SET taken = ?2 WHERE id = ?1";
    let taken_params = vec![id.into(), reversed.taken.into()];
    let job = jobs::insert(&refund, &scope.account, "refund", &refund, now);
    world
        .transaction(&[(row, row_params), (taken, taken_params), job])
        .await?;
    let detail = format!("{id} {}", reversed.amount);
    let account = Some(scope.account.as_str());
    audit(
        world,
        &scope.actor,
        "credits.refund",
        account,
        &refund,
        &detail,
    )
    .await?;
    jobs::run_one(world, &refund).await?;
    let sql = "SELECT status FROM refunds WHERE id = ?1";
    let rows = world.query(sql, &[refund.as_str().into()]).await?;
    let status = rows.first().and_then(|row| row.get("status")?.as_str());
    #[derive(serde::Serialize)]
    struct Told<'a> {
        id: &'a str,
        purchase: &'a str,
        #[serde(with = "dollars")]
        amount: Nanos,
        status: &'a str,
    }
    let told = Told {
        id: &refund,
        purchase: id,
        amount: reversed.amount,
        status: status.unwrap_or("pending"),
    };
    Ok(Response::json(201, &json_data(&told)))
}

/// Asks the payment provider to send the money of a refund.
pub(super) async fn send<W: World>(world: &W, id: &str) -> std::result::Result<(), jobs::Undone> {
    let sql = "SELECT refunds.purchase, refunds.account, cents, payment_intent FROM refunds JOIN purchases ON purchases.id = refunds.purchase WHERE refunds.id = ?1 AND refunds.status = 'pending'";
    let rows = world.query(sql, &[id.into()]).await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let amount = row.get("cents").and_then(Value::as_i64).unwrap_or_default();
    let form = Form::new()
        .with("payment_intent", text("payment_intent"))
        .number("amount", amount)
        .with("reason", "requested_by_customer")
        .with(&format!("metadata[{REFUND}]"), id);
    let sent: Refund = match Stripe::new(world)?.post("refunds", &form, id).await {
        Ok(sent) => sent,
        Err(super::client::Failed::Unclear(why)) => return Err(jobs::Undone::Later(why)),
        Err(super::client::Failed::Refused(error)) => {
            give_up(world, id, text("account"), text("purchase"), amount).await?;
            return Err(jobs::Undone::Never(error.word().to_owned()));
        }
    };
    if sent.is_undone() {
        give_up(world, id, text("account"), text("purchase"), amount).await?;
        return Err(jobs::Undone::Never("failed".to_owned()));
    }
    let sql =
        "UPDATE refunds SET status = 'sent', refund = ?2 WHERE id = ?1 AND status = 'pending'";
    world
        .query(sql, &[id.into(), sent.id.as_str().into()])
        .await?;
    Ok(())
}

/// No money goes: the credits come back.
async fn give_up<W: World>(
    world: &W,
    id: &str,
    account: &str,
    purchase: &str,
    cents: i64,
) -> Result<()> {
    let fact = Reverse {
        kind: Reversal::Refund,
        id: id.to_owned(),
        purchase: purchase.to_owned(),
        amount: of_cents(cents).map_err(|error| Error::internal(error.to_string()))?,
        undone: true,
    };
    let reversed = world.call(account, &fact).await?;
    let failed = "UPDATE refunds SET status = 'failed' WHERE id = ?1";
    let taken = "UPDATE purchases SET taken = ?2 WHERE id = ?1";
    let statements = [
        (failed, vec![id.into()]),
        (taken, vec![purchase.into(), reversed.taken.into()]),
    ];
    world.transaction(&statements).await?;
    world.report(&format!(
        "the refund {id} was refused: {}",
        json!({"purchase": purchase})
    ));
    Ok(())
}
