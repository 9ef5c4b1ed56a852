//! Signing in and out: the page, the way to an issuer and back, one-time links.
//!
//! A sign-in ends the session that the browser had and begins a new one. An answer of an issuer counts only in the browser that
//! asked (`flow`), so nobody can sign somebody else in as themselves; a link asks first, so that the person sees as whom.

use serde_json::Value;

use super::{
    denied, form,
    html::{escaped, hidden, page, redirect},
    issuers::{Answer, Way},
    new_id, now,
};
use crate::{
    api::{
        World,
        admin::audit,
        caller::{desk, is_from_here, visitor},
        http::{Request, Response},
        not_found,
    },
    credits::ops,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Actor,
        people::{
            cookie::{Site, local_path},
            flow::{Flow, LIFETIME_MS},
            form::{Form, encoded},
            invitations, links, members, secret,
            sessions::{self, Session},
            signer::Signer,
            users::{self, Identity, SignUp, User},
        },
    },
};

const FLOW_COOKIE: &str = "flow";
const FORM_COOKIE: &str = "form";

/// `GET /login`: the ways in; who is signed in already goes on, or sees as whom.
pub(super) async fn show<W: World>(world: &W, request: &Request) -> Result<Response> {
    desk(world, request)?;
    let asked = request.query("return_to");
    match visitor(world, request).await? {
        Some(_) if asked.is_some_and(|path| local_path(Some(path)) == path && path != "/login") => {
            Ok(redirect(local_path(asked)))
        }
        Some(session) => signed_in(world, &session).await,
        None => Ok(ways(world, local_path(asked))),
    }
}

fn ways<W: World>(world: &W, return_to: &str) -> Response {
    let ways = Way::all(world);
    let mut body = String::new();
    for way in &ways {
        body.push_str(&format!(
            "<a class=\"way\" href=\"/login/{}?return_to={}\">Continue with {}</a>",
            way.slug(),
            encoded(return_to),
            escaped(way.name())
        ));
    }
    let words = match (
        ways.is_empty(),
        SignUp::read(world.var("SIGN_UP").as_deref()),
    ) {
        (true, _) => "Ask the operator for a link: there is no other way in yet.",
        (_, SignUp::Open) => "You get an account of your own when you come for the first time.",
        (_, SignUp::Invitation) => "New here? You need an invitation.",
        (_, SignUp::Closed) => "New here? Ask the operator.",
    };
    page(
        200,
        "Sign in",
        &format!("<p class=\"soft\">{words}</p>{body}"),
        None,
    )
}

async fn signed_in<W: World>(world: &W, session: &Session) -> Result<Response> {
    let mut rows = String::new();
    for each in members::accounts(world, &session.user.id).await? {
        let is_current = session
            .account
            .as_ref()
            .is_some_and(|(account, _)| *account == each.account);
        rows.push_str(&format!(
            "<dt>{}</dt><dd>{}{}</dd>",
            each.role.as_str(),
            escaped(&each.name),
            if is_current { " (in use)" } else { "" }
        ));
    }
    if rows.is_empty() {
        rows.push_str("<dt>accounts</dt><dd>none yet: ask for an invitation</dd>");
    }
    let body = format!(
        "<p>as <strong>{}</strong></p><dl>{rows}</dl><form method=\"post\" action=\"/logout\">{}<button>Sign out</button></form>",
        escaped(words(&session.user)),
        hidden(&[("csrf", Some(&session.csrf))])
    );
    Ok(page(200, "You are signed in", &body, None))
}

/// What a person is known by.
pub(super) fn words(user: &User) -> &str {
    let name = Some(user.name.as_str()).filter(|name| !name.is_empty());
    user.email.as_deref().or(name).unwrap_or(&user.id)
}

/// `GET /login/{way}`: on to the issuer.
pub(super) async fn leave_for<W: World>(
    world: &W,
    request: &Request,
    slug: &str,
) -> Result<Response> {
    let (signer, site) = desk(world, request)?;
    let way = way(world, slug)?;
    let return_to = local_path(request.query("return_to"));
    let flow = Flow::new(&world.random()?, slug, return_to, now(world));
    let to = way
        .leave_for(world, &flow, &signer, &callback(&site, slug))
        .await?;
    let mut response = redirect(&to);
    let cookie = site.set_cookie(FLOW_COOKIE, &flow.seal(&signer), LIFETIME_MS / 1_000);
    response.header("set-cookie", cookie);
    Ok(response)
}

fn way<W: World>(world: &W, slug: &str) -> Result<Way> {
    let found = Way::all(world).into_iter().find(|way| way.slug() == slug);
    found.ok_or_else(|| not_found(&format!("/login/{slug}")))
}

fn callback(site: &Site, slug: &str) -> String {
    site.url(&format!("/login/{slug}/callback"))
}

/// `GET /login/{way}/callback`: back from the issuer.
pub(super) async fn come_back<W: World>(
    world: &W,
    request: &Request,
    slug: &str,
) -> Result<Response> {
    let (signer, site) = desk(world, request)?;
    let way = way(world, slug)?;
    let cookies = request.header("cookie").unwrap_or_default();
    let cookie = site.cookie(&cookies, FLOW_COOKIE).unwrap_or_default();
    let flow = Flow::open(cookie, &signer, slug, now(world))
        .filter(|flow| flow.is_answered_by(&signer, request.query("state").unwrap_or_default()))
        .ok_or_else(|| {
            Error::invalid(
                "state",
                "This sign-in was not begun in this browser, or it took too long: begin again",
            )
        })?;
    if let Some(error) = request.query("error") {
        let error: String = error.chars().take(100).collect();
        return Err(denied(format!(
            "{} did not let you in: {error}",
            way.name()
        )));
    }
    let code = request.query("code").filter(|code| !code.is_empty());
    let answer = Answer {
        code: code.ok_or_else(|| Error::invalid("code", "The answer has no code: begin again"))?,
        issuer: request.query("iss"),
        redirect: &callback(&site, slug),
        verifier: &flow.verifier(&signer),
        nonce: &flow.nonce(&signer),
    };
    let identity = way.identity(world, &answer).await?;
    let user = match users::known(world, &identity, now(world)).await? {
        Some(user) => user,
        None => sign_up(world, &identity, &flow.return_to).await?,
    };
    let mut response = begin(
        world,
        request.header("user-agent"),
        &cookies,
        (&signer, &site),
        &user.id,
        &flow.return_to,
        slug,
    )
    .await?;
    response.header("set-cookie", site.set_cookie(FLOW_COOKIE, "", 0));
    Ok(response)
}

/// A person who was never here: made where the policy lets them in.
async fn sign_up<W: World>(world: &W, identity: &Identity, return_to: &str) -> Result<User> {
    let policy = SignUp::read(world.var("SIGN_UP").as_deref());
    let email = identity
        .email
        .as_deref()
        .and_then(|text| users::email(text).ok());
    let emails = world.var("OPERATOR_EMAILS");
    let is_operator = email
        .as_deref()
        .is_some_and(|email| users::is_listed(emails.as_deref(), email));
    let invited = match invitation_of(return_to) {
        Some(secret) => invitations::open(world, &secret, now(world))
            .await?
            .is_some_and(|found| found.is_for(email.as_deref())),
        None => false,
    };
    let invited = invited
        || match &email {
            Some(email) => invitations::is_invited(world, email, now(world)).await?,
            None => false,
        };
    match policy {
        SignUp::Open => {}
        SignUp::Invitation if invited || is_operator => {}
        SignUp::Closed if is_operator => {}
        SignUp::Invitation => {
            return Err(denied(
                "New people need an invitation here. Ask somebody who is in the account for one, and open its link.",
            ));
        }
        SignUp::Closed => {
            return Err(denied(
                "Nobody can sign up here. Ask the operator for a user.",
            ));
        }
    }
    // Who was invited comes to join somebody else's.
    let has_own = policy == SignUp::Open && !invited;
    match create(world, identity, has_own).await {
        Ok(user) => Ok(user),
        // The same person in two windows: one was first.
        Err(error) => users::known(world, identity, now(world))
            .await?
            .ok_or(error),
    }
}

/// Makes a user, with an account of their own if they shall have one.
pub(super) async fn create<W: World>(
    world: &W,
    identity: &Identity,
    has_own: bool,
) -> Result<User> {
    let id = new_id(world, "user")?;
    let account = match has_own {
        true => Some(open_account(world).await?),
        false => None,
    };
    let called = Some(users::clipped(&identity.name)).filter(|name| !name.is_empty());
    let name = called.or(identity.email.as_deref()).unwrap_or("My account");
    let own = account.as_deref().map(|account| (account, name));
    users::create(world, &id, identity, own, now(world)).await?;
    audit(
        world,
        &Actor::Person(id.clone()),
        "user.create",
        account.as_deref(),
        &id,
        name,
    )
    .await?;
    let made = users::by_id(world, &id).await?;
    made.ok_or_else(|| Error::internal("a user who was made is not there"))
}

/// A new account's object; its rows are the caller's.
pub(super) async fn open_account<W: World>(world: &W) -> Result<String> {
    let id = new_id(world, "acc")?;
    let open = ops::Open {
        account: id.clone(),
    };
    world.call(&id, &open).await?;
    Ok(id)
}

/// The invitation that somebody comes to accept.
fn invitation_of(return_to: &str) -> Option<String> {
    let query = return_to.strip_prefix("/invite?")?;
    Form::parse(query).get("token").map(str::to_owned)
}

/// Signs a person in.
async fn begin<W: World>(
    world: &W,
    agent: Option<String>,
    cookies: &str,
    (signer, site): (&Signer, &Site),
    user: &str,
    return_to: &str,
    way: &str,
) -> Result<Response> {
    // What the browser was before it is no more.
    let before = site
        .cookie(cookies, sessions::COOKIE)
        .and_then(|cookie| sessions::read(cookie, signer));
    if let Some((hash, _)) = before {
        sessions::forget(world, &hash).await?;
    }
    let (cookie, hash) = sessions::mint(&world.random()?, signer);
    sessions::insert(world, &hash, user, agent.as_deref(), now(world)).await?;
    audit(
        world,
        &Actor::Person(user.to_owned()),
        "sign_in",
        None,
        user,
        way,
    )
    .await?;
    let mut response = redirect(return_to);
    response.header(
        "set-cookie",
        site.set_cookie(sessions::COOKIE, &cookie, sessions::LIFETIME_MS / 1_000),
    );
    Ok(response)
}

/// `POST /logout`.
pub(super) async fn sign_out<W: World>(world: &W, request: Request) -> Result<Response> {
    let (_, site) = desk(world, &request)?;
    let session = visitor(world, &request).await?;
    // Another site's form comes without the cookie, and must not take it away either.
    if !is_from_here(&request, &site) {
        return Err(denied("Sign out on this site's own page"));
    }
    if let Some(session) = session {
        form(request, &site, &session.csrf).await?;
        sessions::end(world, &session.user.id, &session.hash).await?;
        audit(
            world,
            &Actor::Person(session.user.id.clone()),
            "sign_out",
            None,
            &session.user.id,
            "",
        )
        .await?;
    }
    let mut response = redirect("/login");
    response.header("set-cookie", site.set_cookie(sessions::COOKIE, "", 0));
    Ok(response)
}

fn no_link() -> Error {
    let message = "This link was used already, or is too old: ask the operator for a new one";
    Error::new(Source::Client, Next::Final, ErrorType::NotFound, message)
}

/// `GET /login/link?token=`: as whom the link would sign in. Nothing is used up before the person agrees.
pub(super) async fn ask_link<W: World>(world: &W, request: &Request) -> Result<Response> {
    let (signer, site) = desk(world, request)?;
    let token = request.query("token").unwrap_or_default();
    let (_, who) = links::look(world, token, now(world))
        .await?
        .ok_or_else(no_link)?;
    // Nobody is signed in yet: a cookie of its own ties the form to this browser.
    let (id, _) = secret(&world.random()?);
    let fields = [
        ("csrf", Some(signer.mac("form", &id))),
        ("token", Some(token.to_owned())),
    ];
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_deref()));
    let body = format!(
        "<p>as <strong>{}</strong></p><form method=\"post\" action=\"/login/link\">{}<button class=\"deed\">Sign in</button></form>\
         <p class=\"soft\">The link works once. If you did not ask for it, close this page.</p>",
        escaped(&who),
        hidden(&fields)
    );
    let mut response = page(200, "Sign in", &body, None);
    let cookie = signer.seal(FORM_COOKIE, &id);
    response.header(
        "set-cookie",
        site.set_cookie(FORM_COOKIE, &cookie, links::LIFETIME_MS / 1_000),
    );
    Ok(response)
}

/// `POST /login/link`.
pub(super) async fn use_link<W: World>(world: &W, request: Request) -> Result<Response> {
    let (signer, site) = desk(world, &request)?;
    let (cookies, agent) = (
        request.header("cookie").unwrap_or_default(),
        request.header("user-agent"),
    );
    let id = site
        .cookie(&cookies, FORM_COOKIE)
        .and_then(|cookie| signer.open(FORM_COOKIE, cookie));
    let id = id.ok_or_else(|| denied("This form is not from this browser: open the link again"))?;
    let form = form(request, &site, &signer.mac("form", id)).await?;
    let token = form.get("token").unwrap_or_default();
    let user = links::redeem(world, token, now(world))
        .await?
        .ok_or_else(no_link)?;
    let mut response = begin(
        world,
        agent,
        &cookies,
        (&signer, &site),
        &user,
        "/login",
        "link",
    )
    .await?;
    response.header("set-cookie", site.set_cookie(FORM_COOKIE, "", 0));
    Ok(response)
}

/// A person as JSON.
pub(super) fn told(user: &User) -> Value {
    let (first, last) = users::names(&user.name);
    serde_json::json!({
        "id": user.id, "email": user.email, "name": user.name, "first_name": first, "last_name": last,
        "created_at": crate::time::rfc3339(user.created_at),
    })
}
