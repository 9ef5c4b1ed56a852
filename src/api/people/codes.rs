//! `POST /auth/keys` and `/auth/keys/code`: codes become keys. Spec: OpenRouter's OAuth PKCE flow.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{conflict, consent, denied, now};
use crate::{
    api::{
        World,
        account::json_data,
        admin::audit,
        caller::any_key,
        http::{Request, Response},
        keys::{self, NewKey, Scope},
    },
    credits::periods::Reset,
    error::{Error, Result},
    identity::{
        Actor, KeyRecord, MintedKey,
        people::{
            apps::{self, Asked, Code, Exchange, Method},
            secret,
        },
    },
    time::rfc3339,
};

/// Answers `POST /auth/keys` and `POST /auth/keys/code`; `path` is what follows `keys`.
pub(crate) async fn app_key<W: World>(
    world: &W,
    request: Request,
    path: &[&str],
) -> Result<Response> {
    if path.is_empty() {
        return exchange(world, request.json().await?).await;
    }
    let key = any_key(world, &request).await?;
    make_code(world, &key, request.json().await?).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    code: String,
    #[serde(default)]
    code_verifier: Option<String>,
    #[serde(default)]
    code_challenge_method: Option<String>,
}

async fn exchange<W: World>(world: &W, sent: Sent) -> Result<Response> {
    let method = sent
        .code_challenge_method
        .as_deref()
        .map(Method::parse)
        .transpose()?;
    let verifier = sent.code_verifier.as_deref();
    let (key, user) = redeem(world, &sent.code, verifier, method).await?;
    Ok(Response::json(200, &json!({"key": key, "user_id": user})))
}

/// A code becomes a key, once: the key, and whose it is. Sent again it ends that key, also while it is being made.
pub(crate) async fn redeem<W: World>(
    world: &W,
    sent: &str,
    verifier: Option<&str>,
    method: Option<Method>,
) -> Result<(String, Option<String>)> {
    let minted = MintedKey::new(&world.random()?);
    let (key, hash) = (minted.secret.clone(), minted.hash.clone());
    let exchanged = apps::exchange(world, sent, verifier, method, &hash, now(world)).await?;
    let code = match exchanged {
        Exchange::Granted(code) => code,
        Exchange::Replayed(account, hash) => {
            end_key(world, &Actor::Operator, &account, &hash).await?;
            return Err(apps::replayed());
        }
    };
    let actor = match (&code.user, &code.by_key) {
        (Some(user), _) => Actor::Person(user.clone()),
        (None, Some(key)) => Actor::Key(key.clone()),
        (None, None) => Actor::Operator,
    };
    let scope = Scope {
        actor: &actor,
        account: Some(&code.account),
        member: None,
    };
    let new = NewKey {
        name: code.key_name,
        limit: code.limit.map(|limit| Value::String(limit.to_string())),
        limit_reset: code.limit_reset,
        expires_at: code.key_expires_at.map(rfc3339),
        creator_user_id: Some(code.user.clone()),
        ..NewKey::default()
    };
    // Whose key it would be may have left the account meanwhile.
    let made = keys::make(world, &scope, &code.account, new, minted).await;
    made.map_err(|error| {
        if error.status == 400 {
            apps::replayed()
        } else {
            error
        }
    })?;
    if apps::is_revoked(world, sent).await? {
        end_key(world, &actor, &code.account, &hash).await?;
        return Err(apps::replayed());
    }
    Ok((key, code.user))
}

/// Ends the key of a code that came again.
async fn end_key<W: World>(world: &W, actor: &Actor, account: &str, hash: &str) -> Result<()> {
    audit(world, actor, "app.replay", Some(account), hash, "").await?;
    let scope = Scope {
        actor,
        account: Some(account),
        member: None,
    };
    match keys::delete(world, &scope, hash).await {
        // Not there yet: who is making it looks again.
        Err(error) if error.status == 404 => Ok(()),
        ended => ended.map(|_| ()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCode {
    callback_url: String,
    #[serde(default)]
    code_challenge: Option<String>,
    #[serde(default)]
    code_challenge_method: Option<String>,
    #[serde(default)]
    limit: Option<Value>,
    #[serde(default)]
    usage_limit_type: Option<Reset>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    key_label: Option<String>,
    #[serde(default)]
    workspace_id: Option<String>,
}

/// A code for an app, by a key instead of the page. A key with a limit, an end or a guardrail could get rid of them so.
async fn make_code<W: World>(world: &W, key: &KeyRecord, new: NewCode) -> Result<Response> {
    let guarded = "SELECT 1 AS found FROM guardrail_keys WHERE key_hash = ?1";
    let guarded = world.query(guarded, &[key.hash.as_str().into()]).await?;
    if key.limit.is_some() || key.expires_at.is_some() || !guarded.is_empty() {
        return Err(denied(
            "A key with a limit, an end or a guardrail makes no codes: they would have none of these",
        ));
    }
    if new.workspace_id.is_some() {
        return Err(Error::invalid(
            "workspace_id",
            "There are no workspaces here",
        ));
    }
    let asked = Asked::read(
        Some(&new.callback_url),
        new.code_challenge.as_deref(),
        new.code_challenge_method.as_deref(),
    )?;
    let host = asked
        .callback
        .as_ref()
        .map(apps::Callback::host)
        .unwrap_or_default();
    let name = new
        .key_label
        .as_deref()
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .unwrap_or(host);
    let name = name.chars().filter(|c| !c.is_control()).take(100).collect();
    let mut code = Code::new(
        &key.account,
        key.member.as_deref(),
        &asked,
        name,
        now(world),
    );
    code.by_key = Some(key.hash.clone());
    let limit = new.limit.as_ref().filter(|limit| !limit.is_null());
    code.limit = limit.map(consent::spending).transpose()?;
    code.limit_reset = new.usage_limit_type;
    let end = new.expires_at.as_deref();
    code.key_expires_at = end
        .map(|text| consent::expiry(text, now(world)))
        .transpose()?;
    let (text, hash) = secret(&world.random()?);
    if !apps::insert(world, &code, &hash, code.challenge.is_some()).await? {
        return Err(conflict(
            "There is a code with this challenge already: make a new verifier",
        ));
    }
    let app = code.app.as_deref();
    audit(
        world,
        &Actor::Key(key.hash.clone()),
        "app.code",
        Some(&key.account),
        app.unwrap_or_default(),
        &code.key_name,
    )
    .await?;
    #[derive(Serialize)]
    struct Made<'a> {
        id: &'a str,
        app_id: u64,
        created_at: String,
    }
    let made = Made {
        id: &text,
        app_id: apps::app_id(app),
        created_at: rfc3339(code.created_at),
    };
    Ok(Response::json(200, &json_data(&made)))
}
