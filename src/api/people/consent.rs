//! `/auth`: a person decides whether an app gets a key.
//!
//! The page names the app by the host that the code goes to, for nothing else about it can be checked. Nobody is sent anywhere
//! before the address was checked, and then only where the page said. What the person may change they see.

use serde_json::Value;

use super::{
    form,
    html::{escaped, hidden, page, redirect},
    login::words,
    now,
};
use crate::{
    api::{
        World,
        admin::{amount, audit},
        caller::{desk, visitor},
        http::{Request, Response},
    },
    credits::{money::Nanos, periods::Reset},
    error::{Error, Result},
    identity::{
        Actor,
        people::{
            apps::{self, Asked, Code},
            form::{Form, query, with_query},
            members::{self, Membership},
            secret,
            sessions::Session,
        },
    },
    time::{parse_rfc3339, rfc3339},
};

/// What an app may say in the address, and the form says again.
const FIELDS: [&str; 9] = [
    "callback_url",
    "code_challenge",
    "code_challenge_method",
    "limit",
    "usage_limit_type",
    "expires_at",
    "key_label",
    "state",
    "iss",
];
/// The longest name that an app may give its key, in characters.
const MAX_LABEL: usize = 64;
/// The longest `state` that is handed back, in bytes.
const MAX_STATE: usize = 1_024;

/// An app's wish, checked.
struct Wish {
    asked: Asked,
    limit: Option<Nanos>,
    limit_reset: Option<Reset>,
    expires_at: Option<i64>,
    label: Option<String>,
    state: Option<String>,
    /// It wants to be told who answers (RFC 9207).
    wants_issuer: bool,
}

impl Wish {
    fn read<'a>(now: i64, get: impl Fn(&str) -> Option<&'a str>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        Ok(Self {
            asked: Asked::read(
                get("callback_url"),
                get("code_challenge"),
                get("code_challenge_method"),
            )?,
            limit: limit(get("limit"))?,
            limit_reset: get("usage_limit_type").map(reset).transpose()?,
            expires_at: get("expires_at")
                .map(|text| expiry(text, now))
                .transpose()?,
            label: get("key_label").map(|label| {
                label
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(MAX_LABEL)
                    .collect()
            }),
            state: get("state")
                .filter(|state| state.len() <= MAX_STATE)
                .map(str::to_owned),
            wants_issuer: get("iss").is_some(),
        })
    }

    /// The host that people are shown.
    fn host(&self) -> Option<&str> {
        self.asked.callback.as_ref().map(apps::Callback::host)
    }

    /// What the key is called.
    fn key_name(&self) -> String {
        let host = self.host().unwrap_or("code on the screen");
        let name = self.label.as_deref().unwrap_or_default().trim();
        let words = if name.is_empty() {
            host.to_owned()
        } else {
            format!("{name} ({host})")
        };
        words.chars().take(100).collect()
    }

    /// The app's address with an answer.
    fn answer(&self, callback: &apps::Callback, name: &str, value: &str, issuer: &str) -> Response {
        let mut pairs = vec![(name, value)];
        pairs.extend(self.state.as_deref().map(|state| ("state", state)));
        pairs.extend(self.wants_issuer.then_some(("iss", issuer)));
        redirect(&with_query(&callback.url, &pairs))
    }
}

/// A limit in dollars; none where nothing is said.
fn limit(text: Option<&str>) -> Result<Option<Nanos>> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| spending(&Value::String(text.to_owned())))
        .transpose()
}

/// What a key may spend.
pub(super) fn spending(limit: &Value) -> Result<Nanos> {
    let limit = amount("limit", limit)?;
    if limit < Nanos::ZERO {
        return Err(Error::invalid("limit", "A limit is not below zero"));
    }
    Ok(limit)
}

/// The period of a limit.
pub(super) fn reset(word: &str) -> Result<Reset> {
    Reset::parse(word).ok_or_else(|| {
        Error::invalid(
            "usage_limit_type",
            "usage_limit_type is daily, weekly or monthly",
        )
    })
}

/// When a key ends: later than now.
pub(super) fn expiry(text: &str, now: i64) -> Result<i64> {
    let end = parse_rfc3339(text).filter(|end| *end > now);
    end.ok_or_else(|| {
        Error::invalid(
            "expires_at",
            "Send a UTC time to come, such as 2027-01-31T00:00:00Z",
        )
    })
}

/// `GET /auth`: asks.
pub(super) async fn ask<W: World>(world: &W, request: &Request) -> Result<Response> {
    desk(world, request)?;
    let wish = Wish::read(now(world), |name| request.query(name))?;
    let Some(session) = visitor(world, request).await? else {
        let pairs: Vec<(&str, &str)> = FIELDS
            .iter()
            .filter_map(|name| Some((*name, request.query(name)?)))
            .collect();
        let back = format!("/auth?{}", query(&pairs));
        return Ok(redirect(&format!(
            "/login?{}",
            query(&[("return_to", &back)])
        )));
    };
    let accounts = members::accounts(world, &session.user.id).await?;
    Ok(asking(&wish, request, &session, &accounts))
}

/// A time for people.
fn readable(at: i64) -> String {
    let text = rfc3339(at);
    let minutes = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minutes.replace('T', " "))
}

fn asking(wish: &Wish, request: &Request, session: &Session, accounts: &[Membership]) -> Response {
    let host = wish.host().unwrap_or("An app");
    let title = format!("{host} asks for a key");
    let who = escaped(words(&session.user));
    if accounts.is_empty() {
        let body = format!(
            "<p>You are signed in as <strong>{who}</strong>, and in no account yet. A key needs an account that pays for it.</p>"
        );
        return page(403, &title, &body, None);
    }
    let current = session
        .account
        .as_ref()
        .map(|(account, _)| account.as_str());
    let choices: String = accounts
        .iter()
        .map(|each| {
            let chosen = if Some(each.account.as_str()) == current {
                " selected"
            } else {
                ""
            };
            format!(
                "<option value=\"{}\"{chosen}>{}</option>",
                escaped(&each.account),
                escaped(&each.name)
            )
        })
        .collect();
    let periods: String = [
        ("", "in all"),
        ("daily", "per day"),
        ("weekly", "per week"),
        ("monthly", "per month"),
    ]
    .iter()
    .map(|(word, words)| {
        let chosen = if wish.limit_reset.map_or("", Reset::as_str) == *word {
            " selected"
        } else {
            ""
        };
        format!("<option value=\"{word}\"{chosen}>{words}</option>")
    })
    .collect();
    let kept = FIELDS.map(|name| {
        (
            name,
            request
                .query(name)
                .filter(|_| !["limit", "usage_limit_type"].contains(&name)),
        )
    });
    let to = match &wish.asked.callback {
        Some(callback) => format!(
            "The key goes to <strong>{}</strong>.",
            escaped(&callback.origin)
        ),
        None => "You will see a code, which you give to the app.".to_owned(),
    };
    let label = wish
        .label
        .as_deref()
        .map(|label| format!("<dt>calls itself</dt><dd>{}</dd>", escaped(label)));
    let body = format!(
        "<p>It wants to call models and tools with your credits, as <strong>{who}</strong>. {to} You can end the key at any time. Not you? <a href=\"/login\">Sign out first.</a></p>\
         <dl>{}<dt>key ends</dt><dd>{}</dd></dl><form method=\"post\" action=\"/auth\">{}\
         <label for=\"account\">Account that pays</label><select id=\"account\" name=\"account\">{choices}</select>\
         <label for=\"limit\">Spending limit in dollars (empty: none)</label>\
         <input id=\"limit\" name=\"limit\" inputmode=\"decimal\" autocomplete=\"off\" value=\"{}\">\
         <label for=\"period\">The limit holds</label><select id=\"period\" name=\"usage_limit_type\">{periods}</select>\
         <div class=\"row\"><button name=\"decision\" value=\"deny\">Refuse</button><button class=\"deed\" name=\"decision\" value=\"allow\">Allow</button></div></form>",
        label.unwrap_or_default(),
        wish.expires_at
            .map_or_else(|| "when you end it".to_owned(), readable),
        hidden(&kept) + &hidden(&[("csrf", Some(&session.csrf))]),
        wish.limit
            .map(|limit| escaped(&limit.to_string()))
            .unwrap_or_default(),
    );
    page(
        200,
        &title,
        &body,
        wish.asked
            .callback
            .as_ref()
            .and_then(|callback| callback.origin.split(':').next()),
    )
}

/// `POST /auth`: the decision.
pub(super) async fn decide<W: World>(world: &W, request: Request) -> Result<Response> {
    let (_, site) = desk(world, &request)?;
    let Some(session) = visitor(world, &request).await? else {
        return Err(super::denied(
            "You are not signed in any more: go back to the app and begin again",
        ));
    };
    let form = form(request, &site, &session.csrf).await?;
    let wish = Wish::read(now(world), |name| form.get(name))?;
    if form.get("decision") != Some("allow") {
        return Ok(match &wish.asked.callback {
            Some(callback) => wish.answer(callback, "error", "access_denied", &site.origin),
            None => page(200, "Refused", "<p>The app gets no key.</p>", None),
        });
    }
    let code = grant(world, &session, &wish, &form).await?;
    Ok(match &wish.asked.callback {
        Some(callback) => wish.answer(callback, "code", &code, &site.origin),
        None => {
            let body = format!(
                "<p>Give this code to the app. It works once, for ten minutes.</p><code class=\"code\">{}</code>",
                escaped(&code)
            );
            page(200, "Your code", &body, None)
        }
    })
}

async fn grant<W: World>(world: &W, session: &Session, wish: &Wish, form: &Form) -> Result<String> {
    let account = form.get("account").unwrap_or_default();
    let user = session.user.id.as_str();
    if members::role(world, account, user).await?.is_none() {
        return Err(Error::invalid("account", "You are in no such account"));
    }
    let (text, hash) = secret(&world.random()?);
    let mut code = Code::new(
        account,
        Some(user),
        &wish.asked,
        wish.key_name(),
        now(world),
    );
    code.limit = wish.limit;
    code.limit_reset = wish.limit_reset;
    code.key_expires_at = wish.expires_at;
    apps::insert(world, &code, &hash, false).await?;
    let actor = Actor::Person(user.to_owned());
    audit(
        world,
        &actor,
        "app.allow",
        Some(account),
        code.app.as_deref().unwrap_or("screen"),
        &code.key_name,
    )
    .await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(pairs: &[(&str, &'static str)]) -> Result<Wish> {
        Wish::read(0, |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn a_wish_is_read_strictly() {
        let https = ("callback_url", "https://app.example/cb?x=1");
        let good = wish(&[
            https,
            ("limit", "2.50"),
            ("usage_limit_type", "weekly"),
            ("expires_at", "2027-01-31T00:00:00Z"),
            ("key_label", "My\u{7} App"),
        ]);
        let good = good.unwrap();
        assert_eq!(
            (good.limit.unwrap().to_string().as_str(), good.limit_reset),
            ("2.5", Some(Reset::Weekly))
        );
        assert_eq!(good.key_name(), "My App (app.example)");
        for (field, value) in [
            ("limit", "-1"),
            ("limit", "much"),
            ("usage_limit_type", "hourly"),
            ("expires_at", "1969-12-31T00:00:00Z"),
            ("expires_at", "soon"),
            ("code_challenge", "x"),
        ] {
            let error = wish(&[https, (field, value)]).map(|_| ()).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(field)),
                "{value}"
            );
        }
    }

    #[test]
    fn an_answer_goes_where_the_page_said_and_keeps_what_the_app_said() {
        let wish = wish(&[
            ("callback_url", "https://app.example/cb?x=1"),
            ("state", "a&b"),
        ])
        .unwrap();
        let callback = wish.asked.callback.as_ref().unwrap();
        let response = wish.answer(callback, "code", "c", "https://gw.example");
        let told = "https://app.example/cb?x=1&code=c&state=a%26b";
        assert_eq!(response.headers[0].1, told);
        let wish = Wish {
            wants_issuer: true,
            ..wish
        };
        let response = wish.answer(
            wish.asked.callback.as_ref().unwrap(),
            "code",
            "c",
            "https://gw.example",
        );
        assert_eq!(
            response.headers[0].1,
            format!("{told}&iss=https%3A%2F%2Fgw.example")
        );
    }
}
