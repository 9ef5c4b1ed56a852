//! The operator's routes over users: `/admin/users`, `/admin/login-links`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{login::told, members::vouched, now};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{audit, missing},
        caller::desk,
        http::{Request, Response},
        keys,
    },
    error::{Error, Result},
    identity::{
        Actor,
        people::{
            form::query,
            links, members, secret, sessions,
            users::{self, COLUMNS, User},
        },
    },
    time::rfc3339,
};

/// The most users that one page lists.
const PAGE: i64 = 100;

/// Answers `/admin/users…` and `/admin/login-links`; `path` is what follows `admin`.
pub(crate) async fn administer<W: World>(
    world: &W,
    actor: &Actor,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    match (method, path) {
        (_, ["login-links"]) => link(world, actor, request).await,
        (_, ["users"]) => list(world, &request).await,
        ("GET", ["users", id]) => show(world, id).await,
        (_, ["users", id]) => change(world, actor, id, request.json().await?).await,
        _ => Err(Error::internal("a route of users without a handler")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// A link that signs in once; it is in this answer only.
async fn link<W: World>(world: &W, actor: &Actor, request: Request) -> Result<Response> {
    let (_, site) = desk(world, &request)?;
    let new: NewLink = request.json().await?;
    let user = vouched(world, new.user_id.as_deref(), new.email.as_deref()).await?;
    let (token, hash) = secret(&world.random()?);
    let made = now(world);
    links::insert(world, &hash, &user.id, made).await?;
    audit(
        world,
        actor,
        "login_link.create",
        None,
        &user.id,
        user.email.as_deref().unwrap_or_default(),
    )
    .await?;
    let url = site.url(&format!("/login/link?{}", query(&[("token", &token)])));
    let data = json!({
        "url": url, "user_id": user.id, "email": user.email,
        "expires_at": rfc3339(made + links::LIFETIME_MS),
    });
    Ok(Response::json(201, &json_data(&data)))
}

fn seen(user: &User) -> Value {
    let mut data = told(user);
    if let Some(data) = data.as_object_mut() {
        data.insert("operator".into(), user.operator.into());
        data.insert("disabled".into(), user.disabled.into());
    }
    data
}

/// Users, the oldest first: `email` finds one, `offset` turns the page.
async fn list<W: World>(world: &W, request: &Request) -> Result<Response> {
    let offset = match request.query("offset") {
        None => 0,
        Some(text) => text
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| Error::invalid("offset", "offset is a whole number"))?,
    };
    let email = request.query("email").map(users::email).transpose()?;
    let sql = format!(
        "SELECT {COLUMNS}, count(*) OVER () AS total FROM users WHERE ?1 IS NULL OR email = ?1 ORDER BY created_at, id LIMIT CAST(?2 AS INTEGER) OFFSET CAST(?3 AS INTEGER)"
    );
    let rows = world
        .query(&sql, &[email.as_deref().into(), PAGE.into(), offset.into()])
        .await?;
    let total = rows
        .first()
        .and_then(|row| row.get("total")?.as_i64())
        .unwrap_or(0);
    let data = rows
        .iter()
        .map(|row| Ok(seen(&User::from_row(row)?)))
        .collect::<Result<Vec<Value>>>()?;
    Ok(Response::json(
        200,
        &json!({"data": data, "total_count": total}),
    ))
}

async fn show<W: World>(world: &W, id: &str) -> Result<Response> {
    let user = users::by_id(world, id)
        .await?
        .ok_or_else(|| missing("user", id))?;
    let accounts = members::accounts(world, id).await?;
    let accounts: Vec<Value> = accounts
        .iter()
        .map(|each| json!({"id": each.account, "name": each.name, "role": each.role.as_str()}))
        .collect();
    let mut data = seen(&user);
    if let Some(data) = data.as_object_mut() {
        data.insert("accounts".into(), accounts.into());
    }
    Ok(Response::json(200, &json_data(&data)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// May use the operator's routes.
    #[serde(default)]
    operator: Option<bool>,
    /// May not sign in; who is signed in is signed out, and their keys are refused until they are switched on again.
    #[serde(default)]
    disabled: Option<bool>,
}

async fn change<W: World>(world: &W, actor: &Actor, id: &str, change: Change) -> Result<Response> {
    let sql = "UPDATE users SET operator = coalesce(?2, operator), disabled = coalesce(?3, disabled) WHERE id = ?1 RETURNING id";
    let rows = world
        .query(
            sql,
            &[id.into(), change.operator.into(), change.disabled.into()],
        )
        .await?;
    if rows.is_empty() {
        return Err(missing("user", id));
    }
    if let Some(disabled) = change.disabled {
        if disabled {
            sessions::end_all(world, id).await?;
        }
        keys::owner_switched(world, id).await?;
    }
    let words = [
        change.operator.map(|yes| format!("operator {yes}")),
        change.disabled.map(|yes| format!("disabled {yes}")),
    ];
    let detail = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
    audit(world, actor, "user.change", None, id, &detail).await?;
    show(world, id).await
}
