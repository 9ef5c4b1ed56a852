//! A purchase begins: its row first, then Stripe's page to pay at. The credits come with the event that it was paid.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Scope,
    client::{Failed, Stripe},
    conflict, now,
    purchase::{self, COLUMNS, Purchase},
    terms,
};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{amount, audit},
        http::{Request, Response},
        word,
    },
    credits::{
        sale::of_cents,
        stripe::{
            form::Form,
            objects::{ACCOUNT, Charge, PURCHASE, PaymentIntent, Session},
        },
    },
    error::{Error, Result},
    server_tools::address::Address,
    signing::hmac::hex,
};

/// The most purchases on one page.
const PAGE: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPurchase {
    /// Dollars of credits.
    amount: Value,
    /// Where the buyer comes back to.
    #[serde(default)]
    success_url: Option<String>,
    #[serde(default)]
    cancel_url: Option<String>,
    /// Whether the card may be charged again by an automatic purchase.
    #[serde(default)]
    save_payment_method: bool,
}

/// `POST /credits/checkout`. An `Idempotency-Key` of the client's makes a repeat answer with the same purchase.
pub(super) async fn start<W: World>(
    world: &W,
    scope: &Scope,
    request: Request,
) -> Result<Response> {
    let stripe = Stripe::new(world)?;
    let sent_key = request.header("idempotency-key");
    let new: NewPurchase = request.json().await?;
    let credits = amount("amount", &new.amount)?;
    let quote = terms(world)?
        .quote(credits)
        .map_err(|problem| Error::invalid("amount", problem))?;
    let success = return_url(world, "success_url", new.success_url.as_deref())?;
    let cancel = match new.cancel_url.as_deref() {
        Some(url) => return_url(world, "cancel_url", Some(url))?,
        None => success.clone(),
    };
    let id = match sent_key.filter(|key| !key.is_empty()) {
        // Another account's key names another purchase.
        Some(key) => {
            let digest = Sha256::digest(format!("{}\0{key}", scope.account).as_bytes());
            format!("pur_{}", hex(digest.get(..16).unwrap_or_default()))
        }
        None => format!("pur_{}", word(&world.random()?)),
    };
    let customer = stripe.customer(&scope.account).await?;
    let sql = "INSERT INTO purchases (id, account, kind, status, credits, fee_cents, charge_cents, customer, created_at)
        VALUES (?1, ?2, 'checkout', 'open', ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";
    let params = [
        id.as_str().into(),
        scope.account.as_str().into(),
        credits.into(),
        quote.fee.into(),
        quote.total().into(),
        customer.as_str().into(),
        now(world).into(),
    ];
    world.query(sql, &params).await?;
    let agreed = purchase::of(world, &scope.account, &id).await?;
    if agreed.credits != credits || agreed.charge_cents != quote.total() {
        return Err(conflict(
            "This Idempotency-Key was used for another purchase",
        ));
    }
    if agreed.session.is_some() {
        return Ok(Response::json(200, &json_data(&agreed.told()?)));
    }
    let form = form(
        world,
        scope,
        &agreed,
        (&success, &cancel),
        new.save_payment_method,
    );
    let session: std::result::Result<Session, Failed> = stripe
        .post("checkout/sessions", &form, &format!("checkout-{id}"))
        .await;
    let session = match session {
        Ok(session) => session,
        Err(Failed::Refused(error)) if error.kind == "idempotency_error" => {
            return Err(conflict(
                "This Idempotency-Key was used for a purchase with other addresses",
            ));
        }
        Err(Failed::Refused(error)) => {
            let sql = "UPDATE purchases SET status = 'failed', error = ?2 WHERE id = ?1 AND status = 'open'";
            let params = [id.as_str().into(), error.word().into()];
            world.query(sql, &params).await?;
            return Err(Failed::Refused(error).explain());
        }
        Err(unclear) => return Err(unclear.explain()),
    };
    // Its event may have come first: only what is not known yet is set.
    let sql = "UPDATE purchases SET session = COALESCE(session, ?2), url = ?3 WHERE id = ?1";
    let params = [
        id.as_str().into(),
        session.id.as_str().into(),
        session.url.as_deref().into(),
    ];
    world.query(sql, &params).await?;
    let detail = credits.to_string();
    let account = Some(scope.account.as_str());
    audit(
        world,
        &scope.actor,
        "credits.checkout",
        account,
        &id,
        &detail,
    )
    .await?;
    let agreed = purchase::of(world, &scope.account, &id).await?;
    Ok(Response::json(201, &json_data(&agreed.told()?)))
}

fn form<W: World>(
    world: &W,
    scope: &Scope,
    purchase: &Purchase,
    (success, cancel): (&str, &str),
    saves_method: bool,
) -> Form {
    let metadata = |form: Form, of: &str| {
        form.with(&format!("{of}[{PURCHASE}]"), &purchase.id)
            .with(&format!("{of}[{ACCOUNT}]"), &scope.account)
    };
    let mut form = Form::new()
        .with("mode", "payment")
        .with("client_reference_id", &purchase.id)
        .with("customer", purchase.customer.as_deref().unwrap_or_default())
        .with("success_url", success)
        .with("cancel_url", cancel)
        // A price in another currency would be another price.
        .with("adaptive_pricing[enabled]", "false");
    for (at, (name, cents)) in purchase.lines().enumerate() {
        let item = format!("line_items[{at}]");
        form = form
            .number(&format!("{item}[quantity]"), 1)
            .with(&format!("{item}[price_data][currency]"), "usd")
            .number(&format!("{item}[price_data][unit_amount]"), cents)
            .with(&format!("{item}[price_data][product_data][name]"), name);
    }
    form = metadata(metadata(form, "metadata"), "payment_intent_data[metadata]");
    if is_taxed(world) {
        form = form
            .with("automatic_tax[enabled]", "true")
            .with("customer_update[address]", "auto");
    }
    if saves_method {
        form = form.with("payment_intent_data[setup_future_usage]", "off_session");
    }
    form
}

/// Whether the payment provider adds tax.
pub(super) fn is_taxed<W: World>(world: &W) -> bool {
    world.var("STRIPE_AUTOMATIC_TAX").as_deref() != Some("off")
}

/// Where the buyer comes back to: what the request says, else what the deployment says.
fn return_url<W: World>(world: &W, field: &str, asked: Option<&str>) -> Result<String> {
    let url = asked
        .map(str::to_owned)
        .or_else(|| world.var("BILLING_RETURN_URL"))
        .ok_or_else(|| {
            let message =
                "Say where the buyer comes back to: this deployment has no BILLING_RETURN_URL";
            Error::invalid(field, message)
        })?;
    match Address::parse(&url) {
        Ok(_) => Ok(url),
        Err(refused) => Err(Error::invalid(field, refused.to_string())),
    }
}

/// `GET /credits/purchases`: the newest first.
pub(super) async fn list<W: World>(
    world: &W,
    scope: &Scope,
    request: &Request,
) -> Result<Response> {
    let number = |name: &str, otherwise: i64, most: i64| match request.query(name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (0..=most).contains(number))
            .ok_or_else(|| Error::invalid(name, format!("{name} is a number up to {most}"))),
    };
    let (offset, limit) = (
        number("offset", 0, 1_000_000)?,
        number("limit", PAGE, PAGE)?,
    );
    let sql = format!(
        "SELECT {COLUMNS} FROM purchases WHERE account = ?1 ORDER BY created_at DESC, id LIMIT ?2 OFFSET ?3"
    );
    let params = [scope.account.as_str().into(), limit.into(), offset.into()];
    let rows = world.query(&sql, &params).await?;
    let purchases: Vec<Purchase> = rows.iter().map(Purchase::from_row).collect::<Result<_>>()?;
    let told = purchases
        .iter()
        .map(Purchase::told)
        .collect::<Result<Vec<_>>>()?;
    let count = "SELECT COUNT(*) AS count FROM purchases WHERE account = ?1";
    let rows = world.query(count, &[scope.account.as_str().into()]).await?;
    let count = rows.first().and_then(|row| row.get("count")?.as_i64());
    #[derive(serde::Serialize)]
    struct Page<T> {
        data: T,
        total_count: Option<i64>,
    }
    let page = Page {
        data: told,
        total_count: count,
    };
    Ok(Response::json(200, &page))
}

/// `GET /credits/purchases/{id}`.
pub(super) async fn show<W: World>(world: &W, scope: &Scope, id: &str) -> Result<Response> {
    let purchase = purchase::of(world, &scope.account, id).await?;
    Ok(Response::json(200, &json_data(&purchase.told()?)))
}

/// `GET /credits/purchases/{id}/receipt`: the address of Stripe's receipt, looked up once.
pub(super) async fn receipt<W: World>(world: &W, scope: &Scope, id: &str) -> Result<Response> {
    let purchase = purchase::of(world, &scope.account, id).await?;
    let told = |url: &str| Response::json(200, &json!({"data": {"id": id, "url": url}}));
    if let Some(url) = &purchase.receipt_url {
        return Ok(told(url));
    }
    let none = || conflict("There is no receipt: nothing was paid, or not yet");
    let intent = purchase.payment_intent.as_deref().ok_or_else(none)?;
    let path = format!("payment_intents/{intent}?expand%5B%5D=latest_charge");
    let intent: PaymentIntent = Stripe::new(world)?
        .get(&path)
        .await
        .map_err(Failed::explain)?;
    let Some(Charge::Object {
        receipt_url: Some(url),
        ..
    }) = intent.latest_charge
    else {
        return Err(none());
    };
    let sql = "UPDATE purchases SET receipt_url = ?2 WHERE id = ?1";
    world.query(sql, &[id.into(), url.as_str().into()]).await?;
    Ok(told(&url))
}

/// The row of an automatic purchase, made when it is first tried.
pub(super) async fn automatic<W: World>(
    world: &W,
    account: &str,
    id: &str,
    credits: crate::credits::money::Nanos,
    customer: &str,
) -> Result<Purchase> {
    let quote = terms(world)?
        .quote(credits)
        .map_err(|problem| Error::invalid("amount", problem))?;
    let sql = "INSERT INTO purchases (id, account, kind, status, credits, fee_cents, charge_cents, customer, created_at)
        VALUES (?1, ?2, 'auto', 'processing', ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";
    let params = [
        id.into(),
        account.into(),
        of_cents(quote.credits)
            .map_err(|error| Error::internal(error.to_string()))?
            .into(),
        quote.fee.into(),
        quote.total().into(),
        customer.into(),
        now(world).into(),
    ];
    world.query(sql, &params).await?;
    purchase::of(world, account, id).await
}
