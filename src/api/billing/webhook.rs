//! `POST /stripe/webhook`: what happened at the payment provider.
//!
//! An event is believed when its signature fits and is young, and acted on when what it claims agrees with our own row: purchase,
//! account, customer, amount, currency. One that claims otherwise is refused and reported; one about payments that are not ours
//! is none of our business (the provider's account may sell other things) and is answered with success.
//!
//! Events come twice and in any order. What they do is idempotent and independent of order (`credits::ledger`, `funds`), so that an
//! event is noted only after it was applied: a crash in between applies it once more, to no effect. Where an event names only
//! a payment, its purchase is looked up at the provider if it is not known here yet.

use serde::de::DeserializeOwned;
use serde_json::{json, value::RawValue};

use super::{
    client::{Failed, Stripe},
    now,
    purchase::{self, Purchase},
    terms, unconfigured,
};
use crate::{
    api::{
        World,
        http::{Request, Response},
    },
    credits::{
        ops::{AddCredits, Fund, Reversal, Reverse, TopUpFailed},
        sale::of_cents,
        stripe::{
            MAX_EVENT_BYTES,
            objects::{
                ACCOUNT, ChargeObject, Dispute, Event, List, PURCHASE, PaymentIntent, REFUND,
                Reference, Refund, Session, Standing,
            },
            signature,
        },
    },
    error::{Error, ErrorType, Next, Result, Source},
};

/// What became of an event.
enum Outcome {
    /// It was about this purchase, and is applied.
    Applied(String),
    /// It changes nothing here.
    Ignored,
}

/// Why an event was not applied.
enum Problem {
    /// It claims what is not so.
    Refused(String),
    /// Something failed: it should be sent again.
    Failed(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed.explain())
    }
}

type Applied = std::result::Result<Outcome, Problem>;

/// Answers a webhook.
pub(in crate::api) async fn receive<W: World>(world: &W, request: Request) -> Result<Response> {
    let secrets = world
        .var("STRIPE_WEBHOOK_SECRET")
        .ok_or_else(|| unconfigured("hears no payments", "the secret STRIPE_WEBHOOK_SECRET"))?;
    let stripe = Stripe::new(world)?;
    let header = request.header("stripe-signature").unwrap_or_default();
    let body = request.body.await?;
    if body.len() > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    let now_s = now(world) / 1_000;
    signature::verify(&header, &body, &secrets, now_s)
        .map_err(|why| Error::invalid("stripe-signature", format!("Refused: {why}")))?;
    let event: Event = crate::json::from_slice(&body)
        .map_err(|error| Error::invalid("body", format!("This is no event: {error}")))?;
    let sql = "SELECT outcome FROM stripe_events WHERE id = ?1";
    if !world
        .query(sql, &[event.id.as_str().into()])
        .await?
        .is_empty()
    {
        return Ok(received("repeated"));
    }
    let applied = if event.livemode == stripe.is_live() {
        apply(world, &stripe, &event).await
    } else {
        // A test card must not buy real credits.
        Err(Problem::Refused(
            "it is of the other mode, live or test".to_owned(),
        ))
    };
    let (outcome, purchase) = match applied {
        Ok(Outcome::Applied(purchase)) => ("applied", Some(purchase)),
        Ok(Outcome::Ignored) => ("ignored", None),
        Err(Problem::Failed(error)) => return Err(error),
        Err(Problem::Refused(why)) => {
            let message = format!("The event {} ({}) is refused: {why}", event.id, event.kind);
            world.report(&message);
            return Err(Error::invalid("body", message));
        }
    };
    let sql = "INSERT INTO stripe_events (id, type, purchase, outcome, received_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let params = [
        event.id.as_str().into(),
        event.kind.as_str().into(),
        purchase.as_deref().into(),
        outcome.into(),
        now(world).into(),
    ];
    world.query(sql, &params).await?;
    Ok(received(outcome))
}

fn received(outcome: &str) -> Response {
    Response::json(200, &json!({"received": true, "outcome": outcome}))
}

fn too_large() -> Error {
    let message = format!("An event has at most {MAX_EVENT_BYTES} bytes");
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PayloadTooLarge,
        message,
    )
}

async fn apply<W: World>(world: &W, stripe: &Stripe<'_, W>, event: &Event) -> Applied {
    let object = &event.data.object;
    match event.kind.as_str() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            session_paid(world, read(object)?).await
        }
        "checkout.session.async_payment_failed" => {
            session_ended(world, read(object)?, "failed").await
        }
        "checkout.session.expired" => session_ended(world, read(object)?, "expired").await,
        "payment_intent.succeeded" => intent_paid(world, read(object)?).await,
        "payment_intent.payment_failed" | "payment_intent.canceled" => {
            intent_failed(world, read(object)?).await
        }
        "charge.refunded" => charge_refunded(world, stripe, read(object)?).await,
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            refund(world, stripe, read(object)?).await
        }
        kind if kind.starts_with("charge.dispute.") => {
            let dispute: Dispute = read(object)?;
            let is_back = kind == "charge.dispute.funds_reinstated";
            disputed(world, stripe, dispute, is_back).await
        }
        _ => Ok(Outcome::Ignored),
    }
}

fn read<T: DeserializeOwned>(object: &RawValue) -> std::result::Result<T, Problem> {
    crate::json::from_str(object.get())
        .map_err(|error| Problem::Refused(format!("its object cannot be read: {error}")))
}

/// Refuses an event unless what it says is what we know.
fn agrees(what: &str, is_so: bool) -> std::result::Result<(), Problem> {
    if is_so {
        Ok(())
    } else {
        Err(Problem::Refused(format!(
            "its {what} is not the purchase's"
        )))
    }
}

/// The purchase that metadata of ours names. Nothing where there is none of ours.
async fn named<W: World>(
    world: &W,
    metadata: Option<&std::collections::BTreeMap<String, String>>,
) -> std::result::Result<Option<Purchase>, Problem> {
    let said = |name: &str| metadata.and_then(|metadata| metadata.get(name));
    let Some(id) = said(PURCHASE) else {
        return Ok(None);
    };
    let found = purchase::find(world, id).await?;
    let purchase =
        found.ok_or_else(|| Problem::Refused(format!("there is no purchase {id} here")))?;
    agrees("account", said(ACCOUNT) == Some(&purchase.account))?;
    Ok(Some(purchase))
}

/// The session's purchase, where the session is what we asked for.
async fn of_session<W: World>(
    world: &W,
    session: &Session,
) -> std::result::Result<Option<Purchase>, Problem> {
    let Some(purchase) = named(world, session.metadata.as_ref()).await? else {
        return Ok(None);
    };
    let same = |known: Option<&str>, said: Option<&str>| known.is_none() || known == said;
    let customer = session.customer.as_ref().map(Reference::id);
    agrees("kind", purchase.kind == "checkout")?;
    agrees(
        "session",
        same(purchase.session.as_deref(), Some(&session.id)),
    )?;
    agrees(
        "reference",
        session.client_reference_id.as_deref() == Some(&purchase.id),
    )?;
    agrees("customer", customer == purchase.customer.as_deref())?;
    agrees("currency", session.currency.as_deref() == Some("usd"))?;
    agrees(
        "amount",
        session.amount_subtotal == Some(purchase.charge_cents)
            && session.amount_total >= session.amount_subtotal,
    )?;
    Ok(Some(purchase))
}

async fn session_paid<W: World>(world: &W, session: Session) -> Applied {
    let Some(purchase) = of_session(world, &session).await? else {
        return Ok(Outcome::Ignored);
    };
    let intent = session.payment_intent.as_ref().map(Reference::id);
    match session.payment_status.as_deref() {
        Some("paid") => {
            credit(
                world,
                &purchase,
                Some(&session.id),
                intent,
                session.amount_total,
            )
            .await?;
        }
        // The bank takes its time: another event tells.
        Some("unpaid") => {
            let sql = "UPDATE purchases SET status = 'processing', session = ?2, payment_intent = COALESCE(payment_intent, ?3)
                WHERE id = ?1 AND status = 'open'";
            let params = [
                purchase.id.as_str().into(),
                session.id.as_str().into(),
                intent.into(),
            ];
            world.query(sql, &params).await?;
        }
        _ => return Err(Problem::Refused("nothing was paid".to_owned())),
    }
    Ok(Outcome::Applied(purchase.id))
}

async fn session_ended<W: World>(world: &W, session: Session, status: &str) -> Applied {
    let Some(purchase) = of_session(world, &session).await? else {
        return Ok(Outcome::Ignored);
    };
    // What was paid stays paid, whichever news comes first.
    let sql = "UPDATE purchases SET status = ?2 WHERE id = ?1 AND status IN ('open', 'processing')";
    let params = [purchase.id.as_str().into(), status.into()];
    world.query(sql, &params).await?;
    Ok(Outcome::Applied(purchase.id))
}

/// The automatic purchase behind a payment, where the payment is what we asked for.
async fn of_intent<W: World>(
    world: &W,
    intent: &PaymentIntent,
) -> std::result::Result<Option<Purchase>, Problem> {
    let Some(purchase) = named(world, intent.metadata.as_ref()).await? else {
        return Ok(None);
    };
    let customer = intent.customer.as_ref().map(Reference::id);
    agrees("customer", customer == purchase.customer.as_deref())?;
    agrees("currency", intent.currency == "usd")?;
    Ok(Some(purchase))
}

pub(super) async fn intent_is_paid<W: World>(world: &W, intent: PaymentIntent) -> Result<()> {
    match intent_paid(world, intent).await {
        Ok(_) => Ok(()),
        Err(Problem::Failed(error)) => Err(error),
        Err(Problem::Refused(why)) => Err(Error::internal(format!("a payment's answer: {why}"))),
    }
}

async fn intent_paid<W: World>(world: &W, intent: PaymentIntent) -> Applied {
    let Some(purchase) = of_intent(world, &intent).await? else {
        return Ok(Outcome::Ignored);
    };
    if purchase.kind == "checkout" {
        // Its session says what was paid for what; this tells only which payment it is.
        know_intent(world, &purchase, &intent.id).await?;
        return Ok(Outcome::Applied(purchase.id));
    }
    agrees(
        "amount",
        intent.amount == purchase.total_cents.unwrap_or(purchase.charge_cents)
            && intent.amount_received == intent.amount,
    )?;
    agrees("status", intent.status == "succeeded")?;
    credit(
        world,
        &purchase,
        None,
        Some(&intent.id),
        Some(intent.amount),
    )
    .await?;
    Ok(Outcome::Applied(purchase.id))
}

async fn intent_failed<W: World>(world: &W, intent: PaymentIntent) -> Applied {
    let Some(purchase) = of_intent(world, &intent).await? else {
        return Ok(Outcome::Ignored);
    };
    // At a checkout the buyer may try another card.
    if purchase.kind == "auto" {
        let error = intent.last_payment_error.unwrap_or_default();
        fail_top_up(world, &purchase, error.word()).await?;
    }
    Ok(Outcome::Applied(purchase.id))
}

/// An automatic purchase came to nothing: further ones stop.
pub(super) async fn fail_top_up<W: World>(
    world: &W,
    purchase: &Purchase,
    reason: &str,
) -> Result<()> {
    let reason = if reason.is_empty() {
        "payment_failed"
    } else {
        reason
    };
    let failed = TopUpFailed {
        id: purchase.id.clone(),
        reason: reason.to_owned(),
    };
    world.call(&purchase.account, &failed).await?;
    let sql =
        "UPDATE purchases SET status = 'failed', error = ?2 WHERE id = ?1 AND status <> 'paid'";
    world
        .query(sql, &[purchase.id.as_str().into(), reason.into()])
        .await?;
    Ok(())
}

/// The credits of a purchase that was paid. The ledger first: it alone decides, and a repeat changes nothing there.
async fn credit<W: World>(
    world: &W,
    purchase: &Purchase,
    session: Option<&str>,
    intent: Option<&str>,
    total_cents: Option<i64>,
) -> Result<()> {
    let now = now(world);
    let credits = AddCredits {
        kind: Fund::Purchase,
        id: purchase.id.clone(),
        amount: purchase.credits,
        expires_at: terms(world)?.lifetime_ms.map(|lifetime| now + lifetime),
        note: String::new(),
    };
    world.call(&purchase.account, &credits).await?;
    let sql = "UPDATE purchases SET status = 'paid', paid_at = COALESCE(paid_at, ?2), session = COALESCE(?3, session),
        payment_intent = COALESCE(?4, payment_intent), total_cents = ?5, error = NULL WHERE id = ?1";
    let params = [
        purchase.id.as_str().into(),
        now.into(),
        session.into(),
        intent.into(),
        total_cents.into(),
    ];
    world.query(sql, &params).await?;
    Ok(())
}

async fn know_intent<W: World>(world: &W, purchase: &Purchase, intent: &str) -> Result<()> {
    let sql = "UPDATE purchases SET payment_intent = ?2 WHERE id = ?1 AND payment_intent IS NULL";
    let params = [purchase.id.as_str().into(), intent.into()];
    world.query(sql, &params).await?;
    Ok(())
}

/// The purchase that a payment is for: ours to know, or the provider's to tell.
async fn behind<W: World>(
    world: &W,
    stripe: &Stripe<'_, W>,
    intent: Option<&Reference>,
) -> std::result::Result<Option<Purchase>, Problem> {
    let Some(intent) = intent.map(Reference::id) else {
        return Ok(None);
    };
    if let Some(known) = purchase::paid_by(world, intent).await? {
        return Ok(Some(known));
    }
    if !intent
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Err(Problem::Refused("its payment has no proper id".to_owned()));
    }
    let told: PaymentIntent = stripe.get(&format!("payment_intents/{intent}")).await?;
    let Some(purchase) = of_intent(world, &told).await? else {
        return Ok(None);
    };
    know_intent(world, &purchase, intent).await?;
    Ok(Some(purchase))
}

/// The event has only the sum of the charge's refunds. Each counts by itself, so they are asked for.
async fn charge_refunded<W: World>(
    world: &W,
    stripe: &Stripe<'_, W>,
    charge: ChargeObject,
) -> Applied {
    let intent = charge.payment_intent.as_ref();
    let Some(purchase) = behind(world, stripe, intent).await? else {
        return Ok(Outcome::Ignored);
    };
    let intent = intent.map_or("", Reference::id);
    let path = format!("refunds?payment_intent={intent}&limit=100");
    let refunds: List<Refund> = stripe.get(&path).await?;
    for each in refunds.data {
        refund_of(world, &purchase, each).await?;
    }
    if refunds.has_more {
        world.report(&format!(
            "the purchase {} has more than 100 refunds",
            purchase.id
        ));
    }
    Ok(Outcome::Applied(purchase.id))
}

async fn refund<W: World>(world: &W, stripe: &Stripe<'_, W>, refund: Refund) -> Applied {
    match behind(world, stripe, refund.payment_intent.as_ref()).await? {
        Some(purchase) => {
            refund_of(world, &purchase, refund).await?;
            Ok(Outcome::Applied(purchase.id))
        }
        None => Ok(Outcome::Ignored),
    }
}

async fn refund_of<W: World>(
    world: &W,
    purchase: &Purchase,
    refund: Refund,
) -> std::result::Result<(), Problem> {
    agrees("currency", refund.currency == "usd")?;
    let most = purchase.total_cents.unwrap_or(i64::MAX);
    agrees("amount", refund.amount > 0 && refund.amount <= most)?;
    // One that was asked for here took its credits under its own id.
    let own = refund.metadata.as_ref().and_then(|own| own.get(REFUND));
    if let Some(own) = own {
        let sql = "SELECT cents FROM refunds WHERE id = ?1 AND purchase = ?2";
        let params = [own.as_str().into(), purchase.id.as_str().into()];
        let rows = world.query(sql, &params).await?;
        let cents = rows.first().and_then(|row| row.get("cents")?.as_i64());
        agrees("refund", cents == Some(refund.amount))?;
    }
    let is_undone = refund.is_undone();
    let fact = (Reversal::Refund, own.unwrap_or(&refund.id).clone());
    went_back(world, purchase, fact, refund.amount, is_undone).await?;
    if own.is_some() {
        let sql =
            "UPDATE refunds SET refund = ?2, status = ?3 WHERE id = ?1 AND status <> 'failed'";
        let status = if is_undone { "failed" } else { "sent" };
        let params = [
            own.map(String::as_str).into(),
            refund.id.as_str().into(),
            status.into(),
        ];
        world.query(sql, &params).await?;
    }
    Ok(())
}

async fn disputed<W: World>(
    world: &W,
    stripe: &Stripe<'_, W>,
    dispute: Dispute,
    is_back: bool,
) -> Applied {
    let Some(purchase) = behind(world, stripe, dispute.payment_intent.as_ref()).await? else {
        return Ok(Outcome::Ignored);
    };
    agrees("currency", dispute.currency == "usd")?;
    agrees("amount", dispute.amount > 0)?;
    let standing = if is_back {
        Standing::Won
    } else {
        dispute.standing()
    };
    if standing == Standing::Untouched {
        return Ok(Outcome::Applied(purchase.id));
    }
    let is_won = standing == Standing::Won;
    let fact = (Reversal::Dispute, dispute.id.clone());
    went_back(world, &purchase, fact, dispute.amount, is_won).await?;
    // News that is older than the end of the dispute does not open it again.
    let sql = "UPDATE purchases SET disputed = CASE WHEN ?2 THEN 2 WHEN disputed = 2 THEN 2 ELSE 1 END WHERE id = ?1";
    let params = [purchase.id.as_str().into(), is_won.into()];
    world.query(sql, &params).await?;
    Ok(Outcome::Applied(purchase.id))
}

async fn went_back<W: World>(
    world: &W,
    purchase: &Purchase,
    (kind, id): (Reversal, String),
    cents: i64,
    undone: bool,
) -> std::result::Result<(), Problem> {
    let amount = of_cents(cents).map_err(|error| Problem::Refused(error.to_string()))?;
    let fact = Reverse {
        kind,
        id,
        purchase: purchase.id.clone(),
        amount,
        undone,
    };
    let taken = match world.call(&purchase.account, &fact).await {
        Ok(reversed) => reversed.taken,
        Err(error) if error.error_type == ErrorType::Conflict => {
            return Err(Problem::Refused(
                "its refund or dispute stands for another amount".to_owned(),
            ));
        }
        Err(error) => return Err(Problem::Failed(error)),
    };
    let sql = "UPDATE purchases SET taken = ?2 WHERE id = ?1";
    world
        .query(sql, &[purchase.id.as_str().into(), taken.into()])
        .await?;
    Ok(())
}
