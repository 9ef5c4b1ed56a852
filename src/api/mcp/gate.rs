//! Who may ask, from where, and in what form they take answers.

use std::rc::Rc;

use super::{
    super::{World, caller::principal, http::Request},
    Server,
    desk::Desk,
    play,
};
use crate::{
    error::{Error, ErrorType, Next, Result, Source},
    identity::people::cookie::is_loopback,
};

/// The variable with the origins of pages that may ask, by commas; `*` for any.
const ORIGINS: &str = "MCP_ALLOWED_ORIGINS";

/// The forms of answers that a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    pub json: bool,
    pub streams: bool,
}

/// Refuses pages that have no business here: the name of a hostile site may be made to point to this address (DNS rebinding).
/// Programs send no origin.
///
/// # Errors
/// 403 with the origin.
pub(super) fn check_origin<W: World>(world: &W, request: &Request) -> Result<()> {
    let Some(origin) = request.header("origin") else {
        return Ok(());
    };
    let public = world.var("PUBLIC_URL");
    let listed = world.var(ORIGINS);
    if is_allowed(
        &origin,
        &request.origin,
        public.as_deref(),
        listed.as_deref(),
    ) {
        return Ok(());
    }
    Err(Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PermissionDenied,
        format!("Pages of {origin} may not ask here: the operator can allow it with {ORIGINS}"),
    ))
}

fn is_allowed(origin: &str, asked: &str, public: Option<&str>, listed: Option<&str>) -> bool {
    let origin = origin.trim().trim_end_matches('/').to_ascii_lowercase();
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let mut listed = listed
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim);
    if listed.any(|one| one == "*" || one.trim_end_matches('/').eq_ignore_ascii_case(&origin)) {
        return true;
    }
    // A page of this very machine: no foreign site can be that.
    if is_loopback(host) {
        return true;
    }
    match public {
        Some(public) => public
            .trim()
            .trim_end_matches('/')
            .eq_ignore_ascii_case(&origin),
        // A name that points here has no certificate of ours.
        None => origin.starts_with("https://") && asked.eq_ignore_ascii_case(&origin),
    }
}

/// What a client takes.
///
/// # Errors
/// 406 for neither of both forms, 415 for a body that is not JSON: pages can send others without asking.
pub(super) fn accepts(request: &Request) -> Result<Accepts> {
    let is_json = request.header("content-type").is_none_or(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    if !is_json {
        return Err(refused(415, "The body has to be application/json"));
    }
    let Some(accept) = request.header("accept") else {
        return Ok(Accepts {
            json: true,
            streams: false,
        });
    };
    let accept = accept.to_ascii_lowercase();
    let kinds = || {
        accept
            .split(',')
            .map(|kind| kind.split(';').next().unwrap_or_default().trim())
    };
    let takes =
        |kind: &str, all: &str| kinds().any(|one| one == kind || one == all || one == "*/*");
    let accepts = Accepts {
        json: takes("application/json", "application/*"),
        streams: takes("text/event-stream", "text/*"),
    };
    if !accepts.json && !accepts.streams {
        let message = "Not Acceptable: Client must accept application/json and text/event-stream";
        return Err(refused(406, message));
    }
    Ok(accepts)
}

fn refused(status: u16, message: &str) -> Error {
    let mut error = Error::new(
        Source::Client,
        Next::Final,
        ErrorType::InvalidRequest,
        message,
    );
    error.status = status;
    error
}

/// Who answers: the tools of the key; the fixtures, where a test deployment has some and no key is sent.
///
/// # Errors
/// 401 and 403 as everywhere.
pub(super) async fn enter<W: World>(world: &W, request: &Request) -> Result<Server<W>> {
    let sent = request
        .header("authorization")
        .or_else(|| request.header("x-api-key"));
    if sent.is_none()
        && let Some(fixtures) = play::fixtures(world)
    {
        return Ok(Server::Fixtures(fixtures));
    }
    let key = principal(world, request).await?;
    let desk = Desk::open(world, request, key).await?;
    Ok(Server::Desk(Rc::new(desk)))
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn only_pages_of_this_site_of_this_machine_and_of_the_operators_list_may_ask() {
        let here = "http://127.0.0.1:8787";
        for (origin, asked, public, listed, allowed) in [
            ("http://127.0.0.1:8787", here, None, None, true),
            (
                "http://localhost:6274",
                "https://gw.example",
                None,
                None,
                true,
            ),
            ("http://evil.example", here, None, None, false),
            // Both say what the attacker wants them to say.
            (
                "http://evil.example",
                "http://evil.example",
                None,
                None,
                false,
            ),
            ("https://gw.example", "https://gw.example", None, None, true),
            (
                "https://other.example",
                "https://gw.example",
                None,
                None,
                false,
            ),
            (
                "https://gw.example",
                "http://10.0.0.1",
                Some("https://gw.example/"),
                None,
                true,
            ),
            (
                "https://x.example",
                "https://x.example",
                Some("https://gw.example"),
                None,
                false,
            ),
            (
                "https://app.example",
                here,
                None,
                Some("https://a.example, https://app.example/"),
                true,
            ),
            ("null", here, None, None, false),
            ("null", here, None, Some("*"), true),
            ("http://localhost.evil.example", here, None, None, false),
        ] {
            assert_eq!(
                is_allowed(origin, asked, public, listed),
                allowed,
                "{origin} at {asked}"
            );
        }
    }
}
