//! People: pages to sign in and to allow apps, and the routes by which they manage their accounts.
//!
//! | file | what |
//! |---|---|
//! | `html` | how a page looks, and what its browser may do with it |
//! | `login`, `issuers` | signing in and out |
//! | `consent`, `codes` | apps: the page that asks a person, the codes that become keys |
//! | `me` | the person: their accounts and sessions |
//! | `members` | who is in an account, invitations |
//! | `operators` | users and one-time links, for the operator |
//!
//! A page answers a browser with pages, also when it refuses, and a program with JSON. Spec: OpenRouter's OAuth PKCE flow and
//! organization members; the rest is our own.

mod codes;
mod consent;
mod html;
mod issuers;
mod login;
mod me;
mod members;
mod operators;

pub(super) use codes::{app_key, redeem};
pub(super) use members::of_account;
pub(super) use operators::administer;

use super::{
    World,
    caller::{is_from_here, manager},
    http::{Request, Response},
    not_found, word, wrong_method,
};
use crate::{
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Role,
        people::{cookie::Site, form::Form, sessions, signer::same},
    },
};

/// The longest form that is read, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// Whether a path, or a whole URL, is one of the pages.
pub(super) fn is_page(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => path,
    };
    let mut segments = path.trim_start_matches('/').split('/');
    matches!(
        segments.next(),
        Some("login" | "logout" | "invite" | "auth")
    )
}

/// Answers a page.
pub(super) async fn page<W: World>(world: &W, request: Request, path: &str) -> Response {
    let wants_html = request
        .header("accept")
        .is_some_and(|kinds| kinds.contains("text/html"));
    match answered(world, request, path).await {
        Ok(response) => response,
        Err(error) => {
            if error.source == Source::Gateway {
                world.report(&error.to_string());
            }
            if wants_html {
                html::refusal(&error)
            } else {
                Response::error(&error, Surface::default(), None)
            }
        }
    }
}

async fn answered<W: World>(world: &W, request: Request, path: &str) -> Result<Response> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let allowed: &[&str] = match segments.as_slice() {
        ["login"] | ["login", _, "callback"] => &["GET"],
        ["login", "link"] | ["invite"] | ["auth"] => &["GET", "POST"],
        ["login", _] => &["GET"],
        ["logout"] => &["POST"],
        _ => return Err(not_found(path)),
    };
    let method = match request.method.as_str() {
        "HEAD" => "GET",
        method => method,
    }
    .to_owned();
    if !allowed.contains(&method.as_str()) {
        return Ok(wrong_method(path, allowed));
    }
    match (method.as_str(), segments.as_slice()) {
        (_, ["login"]) => login::show(world, &request).await,
        ("GET", ["login", "link"]) => login::ask_link(world, &request).await,
        (_, ["login", "link"]) => login::use_link(world, request).await,
        (_, ["login", way, "callback"]) => login::come_back(world, &request, way).await,
        (_, ["login", way]) => login::leave_for(world, &request, way).await,
        (_, ["logout"]) => login::sign_out(world, request).await,
        ("GET", ["invite"]) => members::ask_invited(world, &request).await,
        (_, ["invite"]) => members::join(world, request).await,
        ("GET", _) => consent::ask(world, &request).await,
        _ => consent::decide(world, request).await,
    }
}

/// Answers the routes of people under `/api/v1`.
pub(super) async fn manage<W: World>(
    world: &W,
    request: Request,
    method: &str,
    segments: &[&str],
) -> Result<Response> {
    match (method, segments) {
        (_, ["me", path @ ..]) => me::handle(world, request, method, path).await,
        (_, ["invitations", ..]) => members::accept(world, request).await,
        (_, ["organization", path @ ..]) => {
            // Members see who is there, and may leave.
            let least = match (method, path.first()) {
                ("GET" | "DELETE", Some(&"members")) => Role::Member,
                _ => Role::Admin,
            };
            let manager = manager(world, &request, least).await?;
            members::handle(world, &manager, request, method, path).await
        }
        _ => Err(Error::internal("a route of people without a handler")),
    }
}

/// What the cron does for people: deletes what has ended, and ends keys whose owners left while an account could not be asked.
///
/// # Errors
/// Where D1 or an account cannot be asked: the next run goes on.
pub async fn tidy<W: World>(world: &W) -> Result<()> {
    const MANY: i64 = 500;
    sessions::sweep(world, now(world), MANY).await?;
    members::end_left_keys(world, None).await
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

/// A new id that begins with these words.
fn new_id<W: World>(world: &W, prefix: &str) -> Result<String> {
    Ok(format!("{prefix}_{}", word(&world.random()?)))
}

/// The form of a page's own button. Another site cannot know the token, and is refused by what the browser says of it, too.
async fn form(request: Request, site: &Site, csrf: &str) -> Result<Form> {
    let from_here = is_from_here(&request, site);
    let body = request.body.await?;
    if body.len() > MAX_FORM {
        return Err(super::http::too_large());
    }
    let form = Form::parse(&String::from_utf8_lossy(&body));
    if from_here && same(form.get("csrf").unwrap_or_default(), csrf) {
        return Ok(form);
    }
    Err(denied(
        "This form is not from here, or it is too old: go back, load the page anew, and try again",
    ))
}

fn denied(message: impl Into<String>) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PermissionDenied,
        message,
    )
}

fn conflict(message: &str) -> Error {
    Error::new(Source::Client, Next::Final, ErrorType::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn pages_are_told_from_the_api() {
        for path in [
            "/login",
            "/login/oidc/callback?code=1",
            "https://gw.example/auth?callback_url=x",
            "/invite",
            "/logout",
        ] {
            assert!(is_page(path), "{path}");
        }
        for path in [
            "/",
            "",
            "/health",
            "/api/v1/auth/keys",
            "/v1/me",
            "https://gw.example/api/v1/auth/key",
            "/authority",
            "https://login/api",
        ] {
            assert!(!is_page(path), "{path}");
        }
    }
}
