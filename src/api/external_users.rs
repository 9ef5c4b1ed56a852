//! People outside of the gateway whom an account answers for: `/external-users`.
//!
//! A registration is a word under which usage is told apart: what clients send as `user`, and what keys are made for
//! (`external.user`, which registers it). It makes no login, and one that is switched off keeps nobody from calling models.
//! Spec: OpenRouter's external users.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    World,
    account::json_data,
    admin::{audit, dated, missing},
    caller::manager,
    http::{Body, Request, Response},
};
use crate::{
    database::{Database, Row},
    error::{Error, ErrorType, Next, Result, Source},
    identity::{Manager, Role, people::form},
};

/// The longest name, in characters.
pub(super) const MAX_USER: usize = 512;
/// How many one page lists, where nothing is said, and at most.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 100;

const COLUMNS: &str = "user, is_active, created_at, updated_at";
const INSERT: &str = "INSERT INTO external_users (account, user, created_at, updated_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING
    RETURNING user, is_active, created_at, updated_at";

/// Answers the family.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    // The name may have slashes, so that the path is read as it was sent.
    let named = request.path.split_once("/external-users/");
    let user = named.map(|(_, rest)| form::decoded_component(rest.trim_end_matches('/')));
    match (method, user) {
        ("POST", None) => register(world, &manager, request.json().await?).await,
        (_, None) => list(world, &manager, &request).await,
        ("PATCH", Some(user)) => {
            let Change { is_active } = request.json().await?;
            let row = set(world, &manager, &user, is_active).await?;
            Ok(Response::json(200, &json_data(&told(row))))
        }
        ("DELETE", Some(user)) => {
            set(world, &manager, &user, false).await?;
            Ok(Response {
                status: 204,
                headers: Vec::new(),
                body: Body::Empty,
            })
        }
        (_, Some(user)) => {
            let sql =
                format!("SELECT {COLUMNS} FROM external_users WHERE account = ?1 AND user = ?2");
            let params = [manager.account.as_str().into(), user.as_str().into()];
            let row = world.query(&sql, &params).await?.into_iter().next();
            let row = row.ok_or_else(|| missing("external user", &user))?;
            Ok(Response::json(200, &json_data(&told(row))))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    is_active: bool,
}

/// A name as it is kept.
///
/// # Errors
/// 400 where it is none.
pub(super) fn checked<'a>(field: &str, user: &'a str) -> Result<&'a str> {
    let is_good = (1..=MAX_USER).contains(&user.chars().count())
        && user.trim() == user
        && !user.contains('\0');
    if is_good {
        return Ok(user);
    }
    let message = format!("{field} has 1 to {MAX_USER} characters, no NUL and no blanks around it");
    Err(Error::invalid(field, message))
}

/// Registers whom a key is made for; whoever is known already stays as they are.
pub(super) async fn meet(
    database: &impl Database,
    account: &str,
    user: &str,
    now: i64,
) -> Result<()> {
    let params = [account.into(), user.into(), now.into()];
    database.query(INSERT, &params).await.map(drop)
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

fn told(mut row: Row) -> Value {
    dated(&mut row, &["created_at", "updated_at"]);
    let is_active = row.get("is_active").and_then(Value::as_i64) == Some(1);
    row.insert("is_active".to_owned(), is_active.into());
    row.remove("total");
    Value::Object(row)
}

async fn register<W: World>(world: &W, manager: &Manager, New { user }: New) -> Result<Response> {
    let user = checked("user", &user)?;
    let account = manager.account.as_str();
    let params = [account.into(), user.into(), now(world).into()];
    let row = world.query(INSERT, &params).await?.into_iter().next();
    let row = row.ok_or_else(|| {
        let message = "This external user is registered: PATCH it to switch it on or off";
        Error::new(Source::Client, Next::Final, ErrorType::Conflict, message)
    })?;
    note(world, manager, "external_user.create", user, "").await?;
    Ok(Response::json(201, &json_data(&told(row))))
}

async fn list<W: World>(world: &W, manager: &Manager, request: &Request) -> Result<Response> {
    let offset = request.whole("offset", 0, 0)?;
    let limit = request.whole("limit", 1, PAGE)?.min(MAX_PAGE);
    let with_inactive = match request.query("include_inactive") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let message = "include_inactive is true or false";
            return Err(Error::invalid("include_inactive", message));
        }
    };
    let user = request.query("user");
    let user = user.map(|user| checked("user", user)).transpose()?;
    let which = "FROM external_users WHERE account = ?1 AND (?2 OR is_active = 1) AND (?3 IS NULL OR user = ?3)";
    let which_params = [
        manager.account.as_str().into(),
        with_inactive.into(),
        user.into(),
    ];
    let counted = world
        .query(&format!("SELECT count(*) AS total {which}"), &which_params)
        .await?;
    let total = counted.first().and_then(|row| row.get("total")?.as_i64());
    let sql = format!(
        "SELECT {COLUMNS} {which} ORDER BY user LIMIT CAST(?4 AS INTEGER) OFFSET CAST(?5 AS INTEGER)"
    );
    let [account, inactive, only] = which_params;
    let params = [account, inactive, only, limit.into(), offset.into()];
    let rows = world.query(&sql, &params).await?;
    let data: Vec<Value> = rows.into_iter().map(told).collect();
    Ok(Response::json(
        200,
        &json!({"data": data, "total_count": total.unwrap_or(0)}),
    ))
}

/// Switches a registration on or off. Doing it twice is doing it once.
async fn set<W: World>(world: &W, manager: &Manager, user: &str, is_active: bool) -> Result<Row> {
    let sql = format!(
        "UPDATE external_users SET updated_at = IIF(is_active = ?3, updated_at, ?4), is_active = ?3 WHERE account = ?1 AND user = ?2 RETURNING {COLUMNS}"
    );
    let params = [
        manager.account.as_str().into(),
        user.into(),
        is_active.into(),
        now(world).into(),
    ];
    let row = world.query(&sql, &params).await?.into_iter().next();
    let row = row.ok_or_else(|| missing("external user", user))?;
    let detail = if is_active { "on" } else { "off" };
    note(world, manager, "external_user.change", user, detail).await?;
    Ok(row)
}

async fn note<W: World>(
    world: &W,
    manager: &Manager,
    action: &str,
    user: &str,
    detail: &str,
) -> Result<()> {
    let account = Some(manager.account.as_str());
    audit(world, &manager.actor, action, account, user, detail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_was_sent_or_refused() {
        for user in ["employee_123", "a", "Ünï/cö de", "..", &"x".repeat(512)] {
            assert_eq!(checked("user", user).unwrap(), user);
        }
        for user in ["", " a", "a ", "a\0b", &"ü".repeat(513)] {
            assert_eq!(checked("user", user).unwrap_err().status, 400, "{user:?}");
        }
    }
}
