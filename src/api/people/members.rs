//! Members of an account and invitations into it: `/organization/…`, `/invite`, and the operator's routes under an account.
//!
//! Who leaves takes their keys along: first nobody can make one for them, then the account's object ends those that are there, so
//! that each stops at its next request.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    conflict, denied, form,
    html::{escaped, hidden, page, redirect},
    login::{create, words},
    new_id, now,
};
use crate::{
    api::{
        World,
        account::json_data,
        admin::{audit, missing},
        caller::{desk, person, visitor},
        http::{Request, Response},
        keys::{self, Scope},
    },
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Actor, Manager, Role,
        people::{
            form::query,
            invitations::{self, Invitation, LIFETIME_MS, MAX_LIFETIME_MS},
            members::{self, Member},
            secret,
            users::{self, Identity},
        },
    },
    time::{parse_rfc3339, rfc3339},
};

/// The most that one page lists.
const MAX_PAGE: i64 = 100;
const PAGE: i64 = 50;

/// Answers `/organization/…`; `path` is what follows it.
pub(super) async fn handle<W: World>(
    world: &W,
    manager: &Manager,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    match (method, path) {
        ("GET", ["members"]) => list(world, &manager.account, &request).await,
        ("GET", ["members", user]) => show(world, &manager.account, user).await,
        ("PATCH", ["members", user]) => change(world, manager, user, request.json().await?).await,
        (_, ["members", user]) => {
            if manager.person() != Some(user) {
                manager.require(Role::Admin)?;
                require_rank(world, manager, user).await?;
            }
            remove(world, &manager.actor, &manager.account, user).await
        }
        ("GET", _) => list_invitations(world, &manager.account).await,
        ("POST", _) => invite(world, manager, request).await,
        (_, [_, id]) => revoke(world, manager, id).await,
        _ => Err(Error::internal("a route of members without a handler")),
    }
}

/// Answers the operator's routes under an account; `path` begins with `accounts`.
pub(crate) async fn of_account<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let rows = world
        .query(
            "SELECT 1 AS found FROM accounts WHERE id = ?1",
            &[account.into()],
        )
        .await?;
    if rows.is_empty() {
        return Err(missing("account", account));
    }
    let manager = Manager {
        account: account.to_owned(),
        actor: actor.clone(),
        role: Role::Owner,
    };
    match (method, path) {
        ("POST", [.., "members"]) => put_in(world, &manager, request.json().await?).await,
        (_, [_, _, rest @ ..]) => handle(world, &manager, request, method, rest).await,
        _ => Err(Error::internal("a route of members without a handler")),
    }
}

/// The reference knows two roles; ours stands beside.
fn told(member: &Member) -> Value {
    let (first, last) = users::names(&member.name);
    json!({
        "id": member.user,
        "email": member.email,
        "first_name": first,
        "last_name": last,
        "role": if member.role >= Role::Admin { "org:admin" } else { "org:member" },
        "account_role": member.role.as_str(),
        "created_at": rfc3339(member.created_at),
    })
}

async fn list<W: World>(world: &W, account: &str, request: &Request) -> Result<Response> {
    let number = |name: &str, otherwise: i64| match request.query(name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| Error::invalid(name, format!("{name} is a whole number"))),
    };
    let (offset, limit) = (
        number("offset", 0)?,
        number("limit", PAGE)?.clamp(1, MAX_PAGE),
    );
    let (found, total) = members::list(world, account, offset, limit).await?;
    let data: Vec<Value> = found.iter().map(told).collect();
    Ok(Response::json(
        200,
        &json!({"data": data, "total_count": total}),
    ))
}

async fn existing<W: World>(world: &W, account: &str, user: &str) -> Result<Member> {
    let found = members::one(world, account, user).await?;
    found.ok_or_else(|| missing("member", user))
}

async fn show<W: World>(world: &W, account: &str, user: &str) -> Result<Response> {
    let member = existing(world, account, user).await?;
    Ok(Response::json(200, &json_data(&told(&member))))
}

/// Owners are changed by owners alone.
async fn require_rank<W: World>(world: &W, manager: &Manager, user: &str) -> Result<()> {
    match members::role(world, &manager.account, user).await? {
        Some(Role::Owner) => manager.require(Role::Owner),
        _ => Ok(()),
    }
}

/// A role in our words, or in the reference's.
fn role(word: &str) -> Result<Role> {
    let role = Role::parse(word.strip_prefix("org:").unwrap_or(word));
    role.ok_or_else(|| Error::invalid("role", "role is member, admin or owner"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    role: String,
}

async fn change<W: World>(
    world: &W,
    manager: &Manager,
    user: &str,
    change: Change,
) -> Result<Response> {
    let role = role(&change.role)?;
    let before = existing(world, &manager.account, user).await?;
    if role == Role::Owner {
        manager.require(Role::Owner)?;
    }
    require_rank(world, manager, user).await?;
    if !members::change_role(world, &manager.account, user, role).await? {
        return Err(conflict("This is the last owner: name another one first"));
    }
    let detail = format!("{} to {}", before.role.as_str(), role.as_str());
    audit(
        world,
        &manager.actor,
        "member.role",
        Some(&manager.account),
        user,
        &detail,
    )
    .await?;
    show(world, &manager.account, user).await
}

/// Takes a person out of an account, with their keys. A removal that failed half-way is ended by sending it again.
pub(super) async fn remove<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    user: &str,
) -> Result<Response> {
    if members::remove(world, account, user).await? {
        audit(world, actor, "member.remove", Some(account), user, "").await?;
    } else if members::role(world, account, user).await?.is_some() {
        return Err(conflict("This is the last owner: name another one first"));
    } else if members::left_keys(world, Some((account, user)), 1)
        .await?
        .is_empty()
    {
        return Err(missing("member", user));
    }
    end_left_keys(world, Some((account, user))).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

/// Ends keys whose owners left.
pub(super) async fn end_left_keys<W: World>(world: &W, of: Option<(&str, &str)>) -> Result<()> {
    const BATCH: i64 = 50;
    loop {
        let left = members::left_keys(world, of, BATCH).await?;
        for (account, hash, _) in &left {
            let scope = Scope {
                actor: &Actor::Operator,
                account: Some(account),
                member: None,
            };
            keys::delete(world, &scope, hash).await?;
        }
        // The cron's share is one batch; a person's keys end all at once.
        if of.is_none() || left.is_empty() {
            return Ok(());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    email: Option<String>,
    role: String,
}

/// The operator puts somebody into an account. The operator vouches for an address that is new here.
async fn put_in<W: World>(world: &W, manager: &Manager, new: NewMember) -> Result<Response> {
    let role = role(&new.role)?;
    let user = vouched(world, new.user_id.as_deref(), new.email.as_deref()).await?;
    if !members::add(world, &manager.account, &user.id, role, now(world)).await? {
        return Err(conflict("This person is in the account already"));
    }
    audit(
        world,
        &manager.actor,
        "member.add",
        Some(&manager.account),
        &user.id,
        role.as_str(),
    )
    .await?;
    let member = existing(world, &manager.account, &user.id).await?;
    Ok(Response::json(201, &json_data(&told(&member))))
}

/// The user that the operator names by id or address; made where the address is new.
pub(super) async fn vouched<W: World>(
    world: &W,
    id: Option<&str>,
    email: Option<&str>,
) -> Result<users::User> {
    match (id, email) {
        (Some(id), None) => users::by_id(world, id)
            .await?
            .ok_or_else(|| missing("user", id)),
        (None, Some(email)) => {
            let email = users::email(email)?;
            if let Some(user) = users::by_email(world, &email).await? {
                return Ok(user);
            }
            let identity = Identity {
                issuer: String::new(),
                subject: String::new(),
                email: Some(email),
                name: String::new(),
            };
            create(world, &identity, false).await
        }
        _ => Err(Error::invalid("email", "Send either email or user_id")),
    }
}

fn told_invitation(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role.as_str(),
        "invited_by": invitation.invited_by,
        "created_at": rfc3339(invitation.created_at),
        "expires_at": rfc3339(invitation.expires_at),
    })
}

async fn list_invitations<W: World>(world: &W, account: &str) -> Result<Response> {
    let found = invitations::list(world, account, now(world)).await?;
    let data: Vec<Value> = found.iter().map(told_invitation).collect();
    Ok(Response::json(
        200,
        &json!({"total_count": data.len(), "data": data}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    #[serde(default)]
    email: Option<String>,
    role: String,
    #[serde(default)]
    expires_at: Option<String>,
}

/// Makes an invitation; its link is in this answer only.
async fn invite<W: World>(world: &W, manager: &Manager, request: Request) -> Result<Response> {
    let (_, site) = desk(world, &request)?;
    let new: NewInvitation = request.json().await?;
    let role = role(&new.role)?;
    manager.require(role.max(Role::Admin))?;
    let created_at = now(world);
    let expires_at = match new.expires_at.as_deref() {
        None => created_at + LIFETIME_MS,
        Some(text) => parse_rfc3339(text)
            .filter(|end| (created_at + 1..=created_at + MAX_LIFETIME_MS).contains(end))
            .ok_or_else(|| {
                Error::invalid(
                    "expires_at",
                    "Send a UTC time within the next 30 days, such as 2027-01-31T00:00:00Z",
                )
            })?,
    };
    let (token, hash) = secret(&world.random()?);
    let invitation = Invitation {
        id: new_id(world, "inv")?,
        account: manager.account.clone(),
        account_name: String::new(),
        email: new.email.as_deref().map(users::email).transpose()?,
        role,
        invited_by: manager.actor.name(),
        created_at,
        expires_at,
    };
    if !invitations::insert(world, &invitation, &hash).await? {
        return Err(conflict("Too many invitations are open: take some back"));
    }
    let whom = invitation.email.as_deref().unwrap_or("anybody");
    audit(
        world,
        &manager.actor,
        "invitation.create",
        Some(&manager.account),
        &invitation.id,
        whom,
    )
    .await?;
    let url = site.url(&format!("/invite?{}", query(&[("token", &token)])));
    Ok(Response::json(
        201,
        &json!({"data": told_invitation(&invitation), "token": token, "url": url}),
    ))
}

async fn revoke<W: World>(world: &W, manager: &Manager, id: &str) -> Result<Response> {
    let email = invitations::revoke(world, &manager.account, id).await?;
    let email = email.ok_or_else(|| missing("invitation", id))?;
    let whom = email.as_deref().unwrap_or("anybody");
    audit(
        world,
        &manager.actor,
        "invitation.delete",
        Some(&manager.account),
        id,
        whom,
    )
    .await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

fn no_invitation() -> Error {
    let message =
        "This invitation was accepted already, taken back, or is too old: ask for a new one";
    Error::new(Source::Client, Next::Final, ErrorType::NotFound, message)
}

/// `GET /invite?token=`: asks whether to join.
pub(super) async fn ask_invited<W: World>(world: &W, request: &Request) -> Result<Response> {
    desk(world, request)?;
    let token = request.query("token").unwrap_or_default();
    let invitation = invitations::open(world, token, now(world))
        .await?
        .ok_or_else(no_invitation)?;
    let Some(session) = visitor(world, request).await? else {
        let back = format!("/invite?{}", query(&[("token", token)]));
        return Ok(redirect(&format!(
            "/login?{}",
            query(&[("return_to", &back)])
        )));
    };
    let who = escaped(words(&session.user));
    if !invitation.is_for(session.user.email.as_deref()) {
        let body = format!(
            "<p>This invitation is for another address. You are signed in as <strong>{who}</strong>.</p>\
             <form method=\"post\" action=\"/logout\">{}<button>Sign out</button></form>",
            hidden(&[("csrf", Some(&session.csrf))])
        );
        return Ok(page(403, "Not for you", &body, None));
    }
    let body = format!(
        "<p>as <strong>{}</strong>, signed in as <strong>{who}</strong></p><form method=\"post\" action=\"/invite\">{}<button class=\"deed\">Join</button></form>",
        invitation.role.as_str(),
        hidden(&[("csrf", Some(&session.csrf)), ("token", Some(token))])
    );
    Ok(page(
        200,
        &format!("Join {}", invitation.account_name),
        &body,
        None,
    ))
}

/// `POST /invite`.
pub(super) async fn join<W: World>(world: &W, request: Request) -> Result<Response> {
    let (_, site) = desk(world, &request)?;
    let session = visitor(world, &request).await?;
    let session = session
        .ok_or_else(|| denied("You are not signed in any more: open the invitation again"))?;
    let form = form(request, &site, &session.csrf).await?;
    accepted(world, &session, form.get("token").unwrap_or_default()).await?;
    Ok(redirect("/login"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    token: String,
}

/// `POST /invitations/accept`.
pub(super) async fn accept<W: World>(world: &W, request: Request) -> Result<Response> {
    let session = person(world, &request).await?;
    let sent: Accept = request.json().await?;
    let joined = accepted(world, &session, &sent.token).await?;
    let data = json!({"account_id": joined.account, "name": joined.account_name, "role": joined.role.as_str()});
    Ok(Response::json(200, &json_data(&data)))
}

/// Joins, and works in the account from now on.
async fn accepted<W: World>(
    world: &W,
    session: &crate::identity::people::sessions::Session,
    token: &str,
) -> Result<Invitation> {
    let invitation = invitations::open(world, token, now(world))
        .await?
        .ok_or_else(no_invitation)?;
    let user = session.user.id.as_str();
    if members::role(world, &invitation.account, user)
        .await?
        .is_some()
    {
        return Err(conflict("You are in this account already"));
    }
    if !invitation.is_for(session.user.email.as_deref())
        || !invitations::accept(world, token, user, now(world)).await?
    {
        return Err(no_invitation());
    }
    let actor = Actor::Person(user.to_owned());
    audit(
        world,
        &actor,
        "invitation.accept",
        Some(&invitation.account),
        &invitation.id,
        invitation.role.as_str(),
    )
    .await?;
    crate::identity::people::sessions::switch(world, session, &invitation.account).await?;
    Ok(invitation)
}
