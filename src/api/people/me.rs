//! `/me`: the person who is signed in, their accounts and sessions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    login::{open_account, told},
    members, now,
};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{audit, missing, named},
        caller::person,
        http::{Request, Response},
    },
    error::Result,
    identity::{
        Actor,
        people::{
            members::{self as rows},
            sessions::{self, Session},
            users::{self, SignUp},
        },
    },
    time::rfc3339,
};

/// Answers `/me…`; `path` is what follows `me`.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let session = person(world, &request).await?;
    let user = session.user.id.as_str();
    match (method, path) {
        ("GET", []) => show(world, &session).await,
        (_, []) => change(world, &session, request.json().await?).await,
        ("GET", ["accounts"]) => accounts(world, &session).await,
        (_, ["accounts"]) => open(world, &session, request.json().await?).await,
        (_, ["accounts", id]) => {
            let actor = Actor::Person(user.to_owned());
            members::remove(world, &actor, id, user)
                .await
                .map_err(|error| match error.status {
                    // In the words of an account that is not there.
                    404 => missing("account", id),
                    _ => error,
                })
        }
        ("GET", ["sessions"]) => list_sessions(world, &session).await,
        (_, ["sessions", rest @ ..]) => end_sessions(world, &session, rest.first().copied()).await,
        _ => Err(crate::error::Error::internal(
            "a route of a person without a handler",
        )),
    }
}

async fn show<W: World>(world: &W, session: &Session) -> Result<Response> {
    let mut data = told(&session.user);
    let account = match &session.account {
        Some((id, role)) => {
            let all = rows::accounts(world, &session.user.id).await?;
            let name = all
                .into_iter()
                .find(|each| each.account == *id)
                .map(|each| each.name);
            json!({"id": id, "name": name, "role": role.as_str()})
        }
        None => Value::Null,
    };
    let is_operator = session
        .user
        .is_operator(world.var("OPERATOR_EMAILS").as_deref());
    if let Some(data) = data.as_object_mut() {
        data.insert("is_operator".into(), is_operator.into());
        data.insert("account".into(), account);
        data.insert("csrf_token".into(), session.csrf.as_str().into());
        data.insert(
            "session".into(),
            json!({"id": session.hash, "expires_at": rfc3339(session.expires_at)}),
        );
    }
    Ok(private(Response::json(200, &json_data(&data))))
}

/// Nobody keeps what is a person's own.
fn private(mut response: Response) -> Response {
    response.header("cache-control", "no-store");
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    name: Option<String>,
    /// The account that the session works in from now on.
    #[serde(default)]
    account_id: Option<String>,
}

async fn change<W: World>(world: &W, session: &Session, change: Change) -> Result<Response> {
    if let Some(name) = &change.name {
        let name = users::clipped(named(name)?);
        let sql = "UPDATE users SET name = ?2 WHERE id = ?1";
        world
            .query(sql, &[session.user.id.as_str().into(), name.into()])
            .await?;
    }
    if let Some(account) = &change.account_id
        && !sessions::switch(world, session, account).await?
    {
        return Err(missing("account", account));
    }
    let found = sessions::find(
        world,
        session.hash.clone(),
        session.csrf.clone(),
        now(world),
    )
    .await?;
    show(world, &found.unwrap_or_else(|| session.clone())).await
}

async fn accounts<W: World>(world: &W, session: &Session) -> Result<Response> {
    let all = rows::accounts(world, &session.user.id).await?;
    let current = session
        .account
        .as_ref()
        .map(|(account, _)| account.as_str());
    let data: Vec<Value> = all
        .iter()
        .map(|each| {
            json!({
                "id": each.account, "name": each.name, "role": each.role.as_str(),
                "is_current": Some(each.account.as_str()) == current, "created_at": rfc3339(each.created_at),
            })
        })
        .collect();
    Ok(private(Response::json(
        200,
        &json!({"total_count": data.len(), "data": data}),
    )))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
}

/// The most accounts that one person opens.
const MAX_ACCOUNTS: usize = 20;

/// An account of one's own, where everybody may have one.
async fn open<W: World>(world: &W, session: &Session, new: NewAccount) -> Result<Response> {
    let name = named(&new.name)?;
    let user = session.user.id.as_str();
    let is_operator = session
        .user
        .is_operator(world.var("OPERATOR_EMAILS").as_deref());
    if !is_operator && SignUp::read(world.var("SIGN_UP").as_deref()) != SignUp::Open {
        return Err(super::denied("The operator opens accounts here"));
    }
    let owned = rows::accounts(world, user).await?;
    if owned.len() >= MAX_ACCOUNTS {
        return Err(super::conflict(
            "You are in as many accounts as one person may be",
        ));
    }
    let id = open_account(world).await?;
    world
        .transaction(&users::own_account(user, &id, name, now(world)))
        .await?;
    audit(
        world,
        &Actor::Person(user.to_owned()),
        "account.create",
        Some(&id),
        &id,
        name,
    )
    .await?;
    let data = json!({"id": id, "name": name, "role": "owner", "created_at": rfc3339(now(world))});
    Ok(Response::json(201, &json_data(&data)))
}

async fn list_sessions<W: World>(world: &W, session: &Session) -> Result<Response> {
    let mut found = sessions::list(world, &session.user.id, now(world)).await?;
    for row in &mut found {
        for name in ["created_at", "expires_at", "last_used_at"] {
            if let Some(at) = row.get(name).and_then(Value::as_i64) {
                row.insert(name.to_owned(), rfc3339(at).into());
            }
        }
        let is_current = row.get("id").and_then(Value::as_str) == Some(&session.hash);
        row.insert("is_current".to_owned(), is_current.into());
    }
    Ok(private(Response::json(
        200,
        &json!({"total_count": found.len(), "data": found}),
    )))
}

/// Signs out: here (`current`), elsewhere, or everywhere.
async fn end_sessions<W: World>(
    world: &W,
    session: &Session,
    id: Option<&str>,
) -> Result<Response> {
    let user = session.user.id.as_str();
    match id {
        None => sessions::end_all(world, user).await?,
        Some(id) => {
            let hash = if id == "current" { &session.hash } else { id };
            if !sessions::end(world, user, hash).await? {
                return Err(missing("session", id));
            }
        }
    }
    audit(
        world,
        &Actor::Person(user.to_owned()),
        "sign_out",
        None,
        user,
        id.unwrap_or("everywhere"),
    )
    .await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}
