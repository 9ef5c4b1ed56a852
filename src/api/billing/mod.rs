//! Buying credits, and what follows: `/credits/…` for an account's people, `/admin/accounts/{id}/credits/…` for the operator,
//! `/stripe/webhook` for the payment provider.
//!
//! | file | what |
//! |---|---|
//! | [`checkout`] | a Checkout Session for a purchase; the list of purchases, receipts |
//! | [`webhook`] | events: each applied once, in any order |
//! | [`refunds`] | giving back what is unused |
//! | [`coupons`] | codes that the operator makes and accounts redeem |
//! | [`settings`] | thresholds, automatic purchases, where notices go |
//! | [`jobs`] | work that must not get lost: automatic purchases, refunds, notices |
//!
//! Without `STRIPE_SECRET_KEY` nothing can be bought and these routes say so; coupons and notices need it not.
//! Out of scope: the ledger (`credits`), which alone decides about credits.

mod checkout;
mod client;
mod coupons;
mod jobs;
mod notices;
mod purchase;
mod refunds;
mod settings;
mod webhook;

pub(super) use coupons::administer as administer_coupons;
pub use jobs::{keep, run_due};
pub(super) use notices::binding as notice_binding;
pub(super) use webhook::receive;

use super::{
    World,
    caller::manager,
    http::{Request, Response},
};
use crate::{
    credits::sale::Sale,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{Actor, Role},
};

/// Whose credits, and who acts.
pub(super) struct Scope {
    actor: Actor,
    account: String,
    /// The operator may do more: refund late, and credits that are used.
    is_operator: bool,
}

/// Answers `/credits/…`; `path` is what follows `credits`. Buying and giving back take an owner.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let least = match (method, path) {
        ("GET", _) | (_, ["redeem"]) => Role::Admin,
        _ => Role::Owner,
    };
    let manager = manager(world, &request, least).await?;
    let scope = Scope {
        actor: manager.actor,
        account: manager.account,
        is_operator: false,
    };
    answer(world, &scope, request, method, path).await
}

/// The same for the operator, on behalf of an account.
pub(super) async fn administer<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let sql = "SELECT 1 AS one FROM accounts WHERE id = ?1";
    if world.query(sql, &[account.into()]).await?.is_empty() {
        return Err(super::admin::missing("account", account));
    }
    let scope = Scope {
        actor: actor.clone(),
        account: account.to_owned(),
        is_operator: true,
    };
    answer(world, &scope, request, method, path).await
}

async fn answer<W: World>(
    world: &W,
    scope: &Scope,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    match (method, path) {
        ("POST", ["checkout"]) => checkout::start(world, scope, request).await,
        ("GET", ["purchases"]) => checkout::list(world, scope, &request).await,
        ("GET", ["purchases", id]) => checkout::show(world, scope, id).await,
        ("GET", ["purchases", id, "receipt"]) => checkout::receipt(world, scope, id).await,
        ("POST", ["purchases", id, "refund"]) => {
            refunds::start(world, scope, id, request.json().await?).await
        }
        ("POST", ["redeem"]) => coupons::redeem(world, scope, request.json().await?).await,
        ("PUT", ["settings"]) => settings::put(world, scope, request.json().await?).await,
        ("GET", ["settings"]) => settings::show(world, scope).await,
        _ => Err(Error::internal("a billing route without a handler")),
    }
}

fn terms<W: World>(world: &W) -> Result<Sale> {
    Sale::read(|name| world.var(name)).map_err(Error::internal)
}

/// What the deployment does not offer, and what its operator would set.
fn unconfigured(what: &str, variables: &str) -> Error {
    let message = format!("This deployment {what}: its operator has not set {variables}");
    let mut error = Error::new(Source::Client, Next::Final, ErrorType::Server, message);
    error.status = 501;
    error
}

/// Payments in other coins are no longer taken, here or by the API that this one follows.
pub(super) fn gone() -> Error {
    let message = "Credits are no longer bought with Coinbase: use POST /credits/checkout";
    let mut error = Error::new(Source::Client, Next::Final, ErrorType::NotFound, message);
    error.status = 410;
    error
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

fn conflict(message: impl Into<String>) -> Error {
    Error::new(Source::Client, Next::Final, ErrorType::Conflict, message)
}
