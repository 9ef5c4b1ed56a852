//! Notices on their way: to an address that the account's owner named, or by e-mail.
//!
//! A webhook is signed as the payment provider signs its own (`patchbay-signature: t=…,v1=…`), so that known libraries check it. The
//! address must be public, and so must what its name resolves to, as for log destinations (`observability::address`); both are
//! checked at each delivery, and no redirect is followed: it would lead past that check. E-mail goes through an HTTP API
//! (Resend's form).

use serde_json::{Value, json};

use super::{jobs::Undone, now};
use crate::{
    api::{World, byok::keyring, destinations::Desk},
    credits::{
        money::Nanos,
        ops::{Notice, NoticeKind},
        stripe::signature,
    },
    identity::own_keys::seal::Binding,
    observability::address::{self, Refusal},
    relay::ask,
    server_tools::WebRequest,
    time::rfc3339,
};

/// Where e-mail is sent, unless the deployment says otherwise.
const EMAIL_API: &str = "https://api.resend.com/emails";
/// How much of a receiver's answer is read: it tells nothing.
const MAX_ANSWER: usize = 1_024;

/// What a notice secret is sealed for.
pub(in crate::api) fn binding(account: &str) -> Binding<'_> {
    Binding {
        account,
        provider: "notices",
        id: "webhook",
    }
}

/// The variable with the hosts that are exempt from [`check`].
const TRUSTED: &str = "NOTICE_TRUSTED_HOSTS";

/// Whether notices may go there.
///
/// # Errors
/// Why not, or that it could not be found out.
pub(super) async fn check<W: World>(world: &W, url: &str) -> std::result::Result<(), Refusal> {
    address::check(&Desk(world.clone()), url, TRUSTED).await
}

/// Posts a notice to the account's address.
pub(super) async fn post<W: World>(
    world: &W,
    account: &str,
    id: &str,
    payload: &str,
) -> std::result::Result<(), Undone> {
    let never = |why: String| Undone::Never(why);
    let sql = "SELECT notice_url, notice_secret FROM billing_settings WHERE account = ?1";
    let rows = world.query(sql, &[account.into()]).await?;
    let text = |name: &str| rows.first().and_then(|row| row.get(name)?.as_str());
    let (Some(url), Some(sealed)) = (text("notice_url"), text("notice_secret")) else {
        return Err(never("no address any more".to_owned()));
    };
    check(world, url).await.map_err(|refusal| match refusal {
        Refusal::Forbidden(why) => Undone::Never(why),
        Refusal::Unknown(why) => Undone::Later(why),
    })?;
    let ring = keyring(world).map_err(Undone::Later)?;
    let ring = ring.ok_or_else(|| Undone::Later("BYOK_MASTER_KEY is not set".to_owned()))?;
    let secret = ring.open(&binding(account), sealed);
    let secret = secret.map_err(|error| Undone::Later(error.to_string()))?;
    let body = body(id, payload).map_err(never)?.to_string().into_bytes();
    let request = WebRequest {
        url: url.to_owned(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            (
                "user-agent",
                concat!("patchbay/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            (
                "patchbay-signature",
                signature::sign(&secret, now(world) / 1_000, &body),
            ),
        ],
        body: Some(body),
        max_bytes: MAX_ANSWER,
    };
    taken(ask(world, request).await)
}

/// Sends a notice by e-mail.
pub(super) async fn mail<W: World>(
    world: &W,
    account: &str,
    id: &str,
    payload: &str,
) -> std::result::Result<(), Undone> {
    let sql = "SELECT notice_email FROM billing_settings WHERE account = ?1";
    let rows = world.query(sql, &[account.into()]).await?;
    let to = rows
        .first()
        .and_then(|row| row.get("notice_email")?.as_str());
    let Some(to) = to else {
        return Err(Undone::Never("no address any more".to_owned()));
    };
    let set = |name: &str| {
        let missing = || Undone::Later(format!("{name} is not set"));
        world.var(name).ok_or_else(missing)
    };
    let (key, from) = (set("EMAIL_API_KEY")?, set("EMAIL_FROM")?);
    let notice: Notice =
        crate::json::from_str(payload).map_err(|error| Undone::Never(error.to_string()))?;
    let (subject, text) = words(&notice);
    let body = json!({"from": from, "to": [to], "subject": subject, "text": text});
    let request = WebRequest {
        url: world
            .var("EMAIL_API_URL")
            .unwrap_or_else(|| EMAIL_API.to_owned()),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("authorization", format!("Bearer {key}")),
            // Names may be long; the provider takes 256 bytes.
            ("idempotency-key", id.chars().take(200).collect()),
        ],
        body: Some(body.to_string().into_bytes()),
        max_bytes: MAX_ANSWER,
    };
    taken(ask(world, request).await)
}

fn taken(
    answer: std::result::Result<crate::server_tools::WebAnswer, String>,
) -> std::result::Result<(), Undone> {
    let status = answer.map_err(Undone::Later)?.status;
    match status {
        200..300 => Ok(()),
        // The receiver says that it is gone for good.
        410 => Err(Undone::Never("status 410".to_owned())),
        _ => Err(Undone::Later(format!("status {status}"))),
    }
}

/// What is posted. Amounts are decimal dollars, exact.
fn body(id: &str, payload: &str) -> std::result::Result<Value, String> {
    let notice: Notice = crate::json::from_str(payload).map_err(|error| error.to_string())?;
    let (_, text) = words(&notice);
    Ok(json!({
        "id": id,
        "type": kind(notice.kind),
        "account": notice.account,
        "created_at": rfc3339(notice.at),
        "data": {
            "balance": notice.balance.to_string(),
            "amount": notice.amount.to_string(),
            "reason": notice.reason,
            "message": text,
        },
    }))
}

fn kind(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::LowBalance => "credits.low_balance",
        NoticeKind::AutoTopUp => "credits.auto_top_up",
        NoticeKind::AutoTopUpFailed => "credits.auto_top_up_failed",
        NoticeKind::AutoTopUpCapped => "credits.auto_top_up_capped",
    }
}

/// Subject and text for people.
fn words(notice: &Notice) -> (String, String) {
    let Notice {
        account,
        amount,
        balance,
        ..
    } = notice;
    let debt = if balance < &Nanos::ZERO {
        " The account is in debt: no request is served until it is paid."
    } else {
        ""
    };
    match notice.kind {
        NoticeKind::LowBalance => (
            "Your credits run low".to_owned(),
            format!(
                "The account {account} has {balance} dollars of credits left, less than {amount}.{debt}"
            ),
        ),
        NoticeKind::AutoTopUp => (
            "Credits are bought".to_owned(),
            format!(
                "The account {account} has {balance} dollars of credits left; {amount} are bought now."
            ),
        ),
        NoticeKind::AutoTopUpFailed => (
            "An automatic purchase failed".to_owned(),
            format!(
                "Buying {amount} dollars of credits for the account {account} failed ({}). Automatic purchases are stopped until you set them anew. The balance is {balance}.{debt}",
                notice.reason.as_deref().unwrap_or("unknown")
            ),
        ),
        NoticeKind::AutoTopUpCapped => (
            "Automatic purchases have reached their monthly limit".to_owned(),
            format!(
                "The account {account} buys no more credits by itself this month: its limit is {amount} dollars. The balance is {balance}.{debt}"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: NoticeKind) -> Notice {
        Notice {
            id: "n".into(),
            kind,
            account: "acc_1".into(),
            amount: Nanos::new(5_000_000_000).unwrap(),
            balance: Nanos::new(-1).unwrap(),
            reason: Some("card_declined".into()),
            at: 0,
        }
    }

    #[test]
    fn a_notice_tells_exact_amounts_the_reason_and_a_debt() {
        let text = serde_json::to_string(&notice(NoticeKind::AutoTopUpFailed)).unwrap();
        let body = body("acc_1/n/webhook", &text).unwrap();
        assert_eq!(body["type"], "credits.auto_top_up_failed");
        assert_eq!(body["data"]["balance"], "-0.000000001");
        assert_eq!(body["data"]["amount"], "5");
        let message = body["data"]["message"].as_str().unwrap();
        assert!(message.contains("card_declined") && message.contains("debt"));
        for kind in [NoticeKind::LowBalance, NoticeKind::AutoTopUpCapped] {
            assert!(words(&notice(kind)).1.contains("-0.000000001"));
        }
    }
}
