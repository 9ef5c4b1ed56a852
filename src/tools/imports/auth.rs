//! With which key an imported API is called: the security schemes of its document, as far as the connector has them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    settings::AuthChoice,
    shape::resolve,
    text::{MAX_TITLE, clean},
};
use crate::{
    server_tools::Address,
    tools::catalog::{Auth, AuthKind},
};

/// The most keys that one call is made with.
const MAX_TOGETHER: usize = 4;
/// The longest name of a header or parameter.
const MAX_NAME: usize = 64;

/// How all operations of a source are called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scheme {
    /// Where the key goes.
    pub auth: Auth,
    /// The parts of a key, where several go together.
    pub key_fields: Vec<String>,
    /// The headers that they go into.
    pub headers: BTreeMap<String, String>,
    /// The parameters that they go into.
    pub query: BTreeMap<String, String>,
}

/// One way to be let in: names of schemes that go together; none of them for everybody.
pub type Requirement = Vec<String>;

/// The ways into an operation: one of them is enough. Without any, everybody is let in.
pub fn requirements(document: &Value, operation: &Value) -> Vec<Requirement> {
    let own = operation.get("security");
    let all = own.or_else(|| document.get("security"));
    let ways = all.and_then(Value::as_array).into_iter().flatten();
    let names = |way: &Value| {
        let mut names: Vec<String> = way
            .as_object()
            .map(|way| way.keys().cloned().collect())
            .unwrap_or_default();
        names.sort();
        names
    };
    let mut ways: Vec<Requirement> = ways.map(names).collect();
    if ways.is_empty() {
        ways.push(Vec::new());
    }
    ways
}

/// The scopes that any operation wants of a scheme, and the document's own.
pub fn scopes(document: &Value, scheme: &str, operations: &[&Value]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let everywhere = operations.iter().copied().chain([document]);
    for place in everywhere {
        let ways = place.get("security").and_then(Value::as_array);
        for way in ways.into_iter().flatten() {
            let named = way.get(scheme).and_then(Value::as_array);
            for scope in named.into_iter().flatten().filter_map(Value::as_str) {
                let is_fit = scope.bytes().all(|byte| byte.is_ascii_graphic());
                if is_fit && scope.len() <= 200 && !found.iter().any(|own| own == scope) {
                    found.push(scope.to_owned());
                }
            }
        }
    }
    found.sort();
    found.truncate(50);
    found
}

/// What the connector does for a requirement.
///
/// # Errors
/// What it cannot do: a sentence without its subject.
pub fn scheme(
    document: &Value,
    requirement: &[String],
    scopes: &[String],
    base: &Address,
) -> Result<Scheme, String> {
    match requirement {
        [] => Ok(Scheme::default()),
        [one] => {
            let auth = single(document, one, scopes, base)?;
            Ok(Scheme {
                auth,
                ..Scheme::default()
            })
        }
        many if many.len() <= MAX_TOGETHER => together(document, many, base),
        _ => Err("takes more keys at once than one can hold".to_owned()),
    }
}

fn found<'d>(document: &'d Value, name: &str) -> Option<&'d Value> {
    let schemes = document.get("components")?.get("securitySchemes")?;
    resolve(document, schemes.get(name)?)
}

fn single(document: &Value, name: &str, scopes: &[String], base: &Address) -> Result<Auth, String> {
    let told = |why: &str| format!("takes {}: {why}", clean(name, MAX_TITLE));
    let scheme = found(document, name).ok_or_else(|| told("the document does not describe it"))?;
    let word = |field: &str| {
        let word = scheme.get(field).and_then(Value::as_str);
        word.unwrap_or_default().to_ascii_lowercase()
    };
    let of = |kind| Auth {
        kind,
        ..Auth::default()
    };
    match (word("type").as_str(), word("scheme").as_str()) {
        ("http", "bearer") => Ok(of(AuthKind::Bearer)),
        ("http", "basic") => Ok(of(AuthKind::Basic)),
        ("http", _) => Err(told("this scheme of HTTP is not supported")),
        ("apikey", _) => {
            let (place, named) = (word("in"), scheme.get("name").and_then(Value::as_str));
            let named = named.unwrap_or_default();
            match place.as_str() {
                "header" if is_header(named) => Ok(Auth {
                    name: Some(named.to_ascii_lowercase()),
                    ..of(AuthKind::Header)
                }),
                "query" if is_parameter(named) => Ok(Auth {
                    name: Some(named.to_owned()),
                    ..of(AuthKind::Query)
                }),
                "cookie" => Err(told("keys in cookies are not supported")),
                _ => Err(told("its name or place cannot be used")),
            }
        }
        ("oauth2", _) => {
            let flow = scheme.pointer("/flows/clientCredentials/tokenUrl");
            match flow.and_then(Value::as_str) {
                Some(url) => {
                    let url = base.join(url).map_err(|why| told(&why.to_string()))?;
                    Ok(Auth {
                        token_url: Some(literal(&url.to_string()).ok_or_else(|| {
                            told("the address where its tokens are issued cannot be used")
                        })?),
                        scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
                        ..of(AuthKind::OauthClientCredentials)
                    })
                }
                // Whoever went through the flow elsewhere brings its token.
                None => Ok(of(AuthKind::Bearer)),
            }
        }
        ("openidconnect", _) => Ok(of(AuthKind::Bearer)),
        _ => Err(told("this kind of scheme is not supported")),
    }
}

/// Several keys at once: one text, its parts joined by colons.
fn together(document: &Value, names: &[String], base: &Address) -> Result<Scheme, String> {
    let mut made = Scheme {
        auth: Auth {
            kind: AuthKind::Path,
            ..Auth::default()
        },
        ..Scheme::default()
    };
    for name in names {
        let auth = single(document, name, &[], base)?;
        let mut taken = made.key_fields.iter().cloned().collect();
        let field = super::name::property(&name.to_ascii_lowercase(), &mut taken);
        let template = format!("{{key.{field}}}");
        let (headers, query) = (&mut made.headers, &mut made.query);
        let place = auth.name.unwrap_or_default();
        match auth.kind {
            AuthKind::Bearer => {
                headers.insert("authorization".to_owned(), format!("Bearer {template}"))
            }
            AuthKind::Header => headers.insert(place, template),
            AuthKind::Query => query.insert(place, template),
            _ => return Err("takes keys together that cannot be sent together".to_owned()),
        };
        made.key_fields.push(field);
    }
    Ok(made)
}

/// What the owner says, instead of the document.
///
/// # Errors
/// What is wrong: a sentence.
pub fn chosen(choice: &AuthChoice) -> Result<Option<Auth>, String> {
    let Some(kind) = choice.kind else {
        return Ok(None);
    };
    let auth = Auth {
        kind,
        name: choice.name.clone(),
        prefix: choice.prefix.clone(),
        token_url: choice.token_url.clone(),
        scope: choice.scope.clone(),
        ..Auth::default()
    };
    let name = auth.name.as_deref().unwrap_or_default();
    let is_fit = match kind {
        AuthKind::None | AuthKind::Bearer | AuthKind::Basic => true,
        AuthKind::Header => is_header(name),
        AuthKind::Query => is_parameter(name),
        AuthKind::OauthClientCredentials => {
            let url = auth.token_url.as_deref().unwrap_or_default();
            Address::parse(url).is_ok() && literal(url).is_some()
        }
        _ => {
            return Err(
                "kind is none, bearer, header, query, basic or oauth_client_credentials".into(),
            );
        }
    };
    let prefix = auth.prefix.as_deref().unwrap_or_default();
    let is_visible = |c: char| c == ' ' || c.is_ascii_graphic();
    if !is_fit || prefix.len() > 40 || !prefix.chars().all(is_visible) {
        return Err(format!(
            "{} lacks a name or address that can be used",
            kind.as_str()
        ));
    }
    Ok(Some(Auth {
        name: auth.name.map(|name| match kind {
            AuthKind::Header => name.to_ascii_lowercase(),
            _ => name,
        }),
        ..auth
    }))
}

/// Whether a header may be set by an imported source.
pub fn is_header(name: &str) -> bool {
    const OURS: [&str; 14] = [
        "host",
        "content-length",
        "content-type",
        "connection",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "expect",
        "cookie",
        "forwarded",
        "accept-encoding",
        "user-agent",
    ];
    let lower = name.to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(is_token)
        && !OURS.contains(&lower.as_str())
        && !["proxy-", "sec-", "cf-", "x-forwarded-", "x-real-"]
            .iter()
            .any(|prefix| lower.starts_with(prefix))
}

fn is_parameter(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A text that holds no placeholder of rows.
pub fn literal(text: &str) -> Option<String> {
    (!text.contains(['{', '}', '$'])).then(|| text.to_owned())
}
