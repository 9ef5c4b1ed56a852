//! What an account wants done when its credits run low: who is told, and whether credits are bought.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Scope,
    client::Stripe,
    jobs::newest_method,
    notices::{binding, check},
    now, terms, unconfigured,
};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{amount, audit},
        byok::keyring,
        http::Response,
    },
    credits::{
        money::{Nanos, dollars},
        ops::{AutoTopUp, Funding, FundingGet, FundingPut},
    },
    error::{Error, Result},
    observability::address::Refusal,
    server_tools::address::Address,
    signing::hmac::hex,
};

const MAX_EMAIL: usize = 254;

/// All settings: what is absent is off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSettings {
    /// Dollars, below which a notice is sent.
    #[serde(default)]
    low_balance_threshold: Option<Value>,
    #[serde(default)]
    notice_url: Option<String>,
    #[serde(default)]
    notice_email: Option<String>,
    #[serde(default)]
    auto_top_up: Option<NewTopUp>,
    /// Whether the address gets a new secret.
    #[serde(default)]
    rotate_secret: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTopUp {
    threshold: Value,
    amount: Value,
    #[serde(default)]
    monthly_limit: Option<Value>,
}

#[derive(Serialize)]
struct Told {
    #[serde(with = "dollars::option")]
    low_balance_threshold: Option<Nanos>,
    notice_url: Option<String>,
    notice_email: Option<String>,
    auto_top_up: Option<ToldTopUp>,
    /// Why automatic purchases are stopped, if they are.
    auto_top_up_stopped: Option<String>,
    /// The automatic purchase that is under way.
    auto_top_up_pending: Option<String>,
    #[serde(with = "dollars")]
    auto_top_up_month: Nanos,
    /// In the answer to the change that made it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice_secret: Option<String>,
}

#[derive(Serialize)]
struct ToldTopUp {
    #[serde(with = "dollars")]
    threshold: Nanos,
    #[serde(with = "dollars")]
    amount: Nanos,
    #[serde(with = "dollars::option")]
    monthly_limit: Option<Nanos>,
}

/// `GET /credits/settings`.
pub(super) async fn show<W: World>(world: &W, scope: &Scope) -> Result<Response> {
    let funding = world.call(&scope.account, &FundingGet {}).await?;
    told(world, scope, funding, None).await
}

/// `PUT /credits/settings`: all of them anew. Automatic purchases that were stopped go on.
pub(super) async fn put<W: World>(world: &W, scope: &Scope, new: NewSettings) -> Result<Response> {
    let low_balance = positive("low_balance_threshold", new.low_balance_threshold.as_ref())?;
    let auto_top_up = match &new.auto_top_up {
        Some(auto) => Some(affordable(world, scope, auto).await?),
        None => None,
    };
    let url = match new.notice_url.as_deref() {
        Some(url) => {
            let address = Address::parse(url);
            let address = address.map_err(|why| Error::invalid("notice_url", why.to_string()))?;
            Some(address.to_string())
        }
        None => None,
    };
    if let Some(email) = &new.notice_email {
        if world.var("EMAIL_API_KEY").is_none() || world.var("EMAIL_FROM").is_none() {
            return Err(unconfigured(
                "sends no e-mail",
                "EMAIL_API_KEY and EMAIL_FROM",
            ));
        }
        if !is_email(email) {
            return Err(Error::invalid("notice_email", "This is no e-mail address"));
        }
    }
    let (secret, sealed) = secret(world, scope, url.as_deref(), new.rotate_secret).await?;
    if let Some(url) = &url {
        let checked = check(world, url).await;
        checked.map_err(|(Refusal::Forbidden(why) | Refusal::Unknown(why))| {
            Error::invalid("notice_url", why)
        })?;
    }
    let sql = "INSERT INTO billing_settings (account, notice_url, notice_secret, notice_email, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (account) DO UPDATE SET notice_url = excluded.notice_url, notice_secret = excluded.notice_secret,
            notice_email = excluded.notice_email, updated_at = excluded.updated_at";
    let params = [
        scope.account.as_str().into(),
        url.as_deref().into(),
        sealed.as_deref().into(),
        new.notice_email.as_deref().into(),
        now(world).into(),
    ];
    world.query(sql, &params).await?;
    // Last: what it crosses at once is told to the address that is there now.
    let call = FundingPut {
        low_balance,
        auto_top_up,
    };
    let funding = world.call(&scope.account, &call).await?;
    let detail = serde_json::to_string(&call).unwrap_or_default();
    let account = scope.account.as_str();
    audit(
        world,
        &scope.actor,
        "credits.settings",
        Some(account),
        account,
        &detail,
    )
    .await?;
    told(world, scope, funding, secret).await
}

/// The secret of the address: the one that it has, or a new one, which is shown in this answer only.
async fn secret<W: World>(
    world: &W,
    scope: &Scope,
    url: Option<&str>,
    rotate: bool,
) -> Result<(Option<String>, Option<String>)> {
    let Some(url) = url else {
        return Ok((None, None));
    };
    let ring = keyring(world).map_err(Error::internal)?;
    let ring =
        ring.ok_or_else(|| unconfigured("signs no notices", "the secret BYOK_MASTER_KEY"))?;
    let sql = "SELECT notice_url, notice_secret FROM billing_settings WHERE account = ?1";
    let rows = world.query(sql, &[scope.account.as_str().into()]).await?;
    let text = |name: &str| rows.first().and_then(|row| row.get(name)?.as_str());
    if let (Some(known), Some(sealed), false) = (text("notice_url"), text("notice_secret"), rotate)
        && known == url
    {
        return Ok((None, Some(sealed.to_owned())));
    }
    let secret = format!("whsec_{}", hex(&world.random()?));
    let sealed = ring.seal(&world.random()?, &binding(&scope.account), &secret);
    let sealed = sealed.map_err(|error| Error::internal(error.to_string()))?;
    Ok((Some(secret), Some(sealed)))
}

/// An automatic purchase that could be made: within the terms, and with a card.
async fn affordable<W: World>(world: &W, scope: &Scope, new: &NewTopUp) -> Result<AutoTopUp> {
    let required = |field: &str, value| {
        let amount = positive(field, Some(value))?;
        amount.ok_or_else(|| Error::invalid(field, "Send dollars above zero"))
    };
    let threshold = required("auto_top_up.threshold", &new.threshold)?;
    let bought = required("auto_top_up.amount", &new.amount)?;
    terms(world)?
        .quote(bought)
        .map_err(|why| Error::invalid("auto_top_up.amount", why))?;
    let monthly_cap = positive("auto_top_up.monthly_limit", new.monthly_limit.as_ref())?;
    if monthly_cap.is_some_and(|cap| cap < bought) {
        let message = "The month's limit is less than one purchase";
        return Err(Error::invalid("auto_top_up.monthly_limit", message));
    }
    let stripe = Stripe::new(world)?;
    let customer = stripe.customer(&scope.account).await?;
    if newest_method(&stripe, &customer).await?.is_none() {
        let message = "There is no saved card: buy credits once with save_payment_method";
        return Err(Error::invalid("auto_top_up", message));
    }
    Ok(AutoTopUp {
        threshold,
        amount: bought,
        monthly_cap,
    })
}

fn positive(field: &str, value: Option<&Value>) -> Result<Option<Nanos>> {
    let value = value.filter(|value| !value.is_null());
    let amount = value.map(|value| amount(field, value)).transpose()?;
    if amount.is_some_and(|amount| amount <= Nanos::ZERO) {
        return Err(Error::invalid(field, "Send dollars above zero"));
    }
    Ok(amount)
}

fn is_email(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>(),;:\"[]\\".contains(c);
    text.len() <= MAX_EMAIL
        && text.chars().all(plain)
        && text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && host.contains('.') && !host.contains('@') && !host.ends_with('.')
        })
}

async fn told<W: World>(
    world: &W,
    scope: &Scope,
    funding: Funding,
    notice_secret: Option<String>,
) -> Result<Response> {
    let sql = "SELECT notice_url, notice_email FROM billing_settings WHERE account = ?1";
    let rows = world.query(sql, &[scope.account.as_str().into()]).await?;
    let text = |name: &str| {
        let text = rows.first().and_then(|row| row.get(name)?.as_str());
        text.map(str::to_owned)
    };
    let told = Told {
        low_balance_threshold: funding.low_balance,
        notice_url: text("notice_url"),
        notice_email: text("notice_email"),
        auto_top_up: funding.auto_top_up.map(|auto| ToldTopUp {
            threshold: auto.threshold,
            amount: auto.amount,
            monthly_limit: auto.monthly_cap,
        }),
        auto_top_up_stopped: funding.stopped,
        auto_top_up_pending: funding.pending,
        auto_top_up_month: funding.month,
        notice_secret,
    };
    Ok(Response::json(200, &json_data(&told)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_e_mail_is_plain() {
        assert!(is_email("ann@example.com"));
        for text in [
            "",
            "ann",
            "@example.com",
            "ann@host",
            "a@b.c, d@e.f",
            "Ann <ann@example.com>",
            "a@b.c\nbcc: d@e.f",
        ] {
            assert!(!is_email(text), "{text}");
        }
    }
}
