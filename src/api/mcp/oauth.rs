//! How a client that knows only the address of `/mcp` gets a key: it is told where to ask, registers, sends a person to the page that
//! allows apps (`api::people`), and exchanges the code. A key in the `Authorization` header does as well, and needs none of this.
//!
//! Nobody remembers clients: a client's id is what it registered, signed. The person is shown the host that the code goes to, for nothing
//! else of a client can be checked. Specs: RFC 9728, 8414, 7591, 9207, 8707, 7636, OAuth 2.1.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use super::super::{
    World,
    caller::desk,
    http::{Body, Request, Response},
    not_found, people, preflight, wrong_method,
};
use crate::{
    dialects::Surface,
    error::{Error, Result},
    identity::people::{
        apps::Callback,
        cookie::{Site, is_loopback},
        form::{Form, query, with_query},
        signer::Signer,
    },
};

/// Where a resource tells of itself (RFC 9728).
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
/// Where an authorization server does (RFC 8414).
const SERVER: &str = "/.well-known/oauth-authorization-server";
/// The one scope.
const SCOPE: &str = "tools";
/// What a client's id is signed for.
const PURPOSE: &str = "mcp-client";
/// The most addresses of a client.
const MAX_ADDRESSES: usize = 10;
/// The longest name of a client, in characters.
const MAX_NAME: usize = 48;
/// The longest body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Whether a path is one of these.
pub(super) fn is_oauth(path: &str) -> bool {
    let is_under = |known: &str| {
        let rest = path.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_under(RESOURCE) || is_under(SERVER) || path.starts_with("/oauth/")
}

/// Answers these paths.
pub(super) async fn page<W: World>(world: &W, request: Request, path: &str) -> Result<Response> {
    let allowed: &[&str] = match path {
        "/oauth/authorize" => &["GET"],
        "/oauth/token" | "/oauth/register" => &["POST"],
        _ if path.starts_with("/oauth/") => return Err(not_found(path)),
        _ => &["GET"],
    };
    let method = match request.method.as_str() {
        "OPTIONS" => return Ok(preflight(allowed)),
        "HEAD" => "GET",
        method => method,
    };
    if !allowed.contains(&method) {
        return Ok(wrong_method(path, allowed));
    }
    if let Some(rest) = path.strip_prefix(RESOURCE) {
        return Ok(resource(world, &request, rest));
    }
    let (signer, site) = desk(world, &request)?;
    match path {
        "/oauth/authorize" => authorize(&request, &signer, &site),
        "/oauth/token" => Ok(token(world, request, &site).await),
        "/oauth/register" => Ok(register(request, &signer).await),
        _ => Ok(server(&site)),
    }
}

/// The answer to who sends no key, or one that does not hold: where to get one.
pub(super) fn unauthorized<W: World>(world: &W, request: &Request, error: &Error) -> Response {
    let origin = origin(world, request);
    let path = request.path.trim_end_matches('/');
    let mut challenge =
        format!("Bearer resource_metadata=\"{origin}{RESOURCE}{path}\", scope=\"{SCOPE}\"");
    if request.header("authorization").is_some() {
        challenge.push_str(", error=\"invalid_token\"");
    }
    let mut response = Response::error(error, Surface::default(), None);
    response.header("www-authenticate", challenge);
    response
}

fn origin<W: World>(world: &W, request: &Request) -> String {
    let public = world.var("PUBLIC_URL");
    let origin = public.as_deref().unwrap_or(&request.origin);
    origin.trim().trim_end_matches('/').to_ascii_lowercase()
}

fn resource<W: World>(world: &W, request: &Request, path: &str) -> Response {
    let origin = origin(world, request);
    let path = if path.is_empty() { "/mcp" } else { path };
    let mut told = json!({
        "resource": format!("{origin}{path}"),
        "resource_name": "Patchbay",
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
    });
    // Where nobody can sign in, keys come from the operator.
    if let (Ok(_), Some(fields)) = (desk(world, request), told.as_object_mut()) {
        fields.insert("authorization_servers".to_owned(), json!([origin]));
    }
    Response::json(200, &told)
}

fn server(site: &Site) -> Response {
    let told = json!({
        "issuer": site.origin,
        "authorization_endpoint": site.url("/oauth/authorize"),
        "token_endpoint": site.url("/oauth/token"),
        "registration_endpoint": site.url("/oauth/register"),
        "scopes_supported": [SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    });
    Response::json(200, &told)
}

/// What OAuth's clients read of a refusal.
fn refusal(status: u16, code: &str, message: &str) -> Response {
    let mut response = Response::json(
        status,
        &json!({"error": code, "error_description": message}),
    );
    response.header("cache-control", "no-store");
    response
}

async fn register(request: Request, signer: &Signer) -> Response {
    let read = async {
        let body = request
            .body
            .await
            .ok()
            .filter(|body| body.len() <= MAX_BODY)?;
        crate::json::from_slice::<Value>(&body).ok()
    };
    let invalid = |message: &str| refusal(400, "invalid_client_metadata", message);
    let Some(asked) = read.await else {
        return invalid("Send a JSON object of at most 16 kB");
    };
    let addresses: Option<Vec<&str>> = asked
        .get("redirect_uris")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect());
    let addresses = addresses.unwrap_or_default();
    if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
        return invalid("redirect_uris has to be a list of 1 to 10 addresses");
    }
    if let Some(error) = addresses.iter().find_map(|one| Callback::parse(one).err()) {
        let message = error.message.replace("callback_url", "redirect_uris");
        return refusal(400, "invalid_redirect_uri", &message);
    }
    let name = asked
        .get("client_name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect();
    let told = json!({"r": addresses, "n": name}).to_string();
    let id = signer.seal(PURPOSE, &BASE64_URL_SAFE_NO_PAD.encode(told));
    let made = json!({
        "client_id": id,
        "client_name": name,
        "redirect_uris": addresses,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": SCOPE,
    });
    let mut response = Response::json(201, &made);
    response.header("cache-control", "no-store");
    response
}

/// What a client registered, where the id is ours.
struct Client {
    name: String,
    addresses: Vec<String>,
}

impl Client {
    fn read(id: &str, signer: &Signer) -> Option<Self> {
        let told = BASE64_URL_SAFE_NO_PAD
            .decode(signer.open(PURPOSE, id)?)
            .ok()?;
        let told: Value = crate::json::from_slice(&told).ok()?;
        let addresses = told.get("r")?.as_array()?.iter();
        Some(Self {
            name: told.get("n")?.as_str()?.to_owned(),
            addresses: addresses
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Whether an address is registered. Programs on a person's machine listen at a port that they find free (RFC 8252 §7.3).
    fn goes_to(&self, address: &str) -> bool {
        let wanted = portless(address);
        self.addresses
            .iter()
            .any(|known| known == address || (wanted.is_some() && portless(known) == wanted))
    }
}

/// A loopback address without its port.
fn portless(address: &str) -> Option<String> {
    let rest = address.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback(host).then(|| format!("{name}{path}"))
}

fn redirect(to: &str) -> Response {
    let mut response = Response {
        status: 302,
        headers: Vec::new(),
        body: Body::Empty,
    };
    response.header("location", to);
    response.header("cache-control", "no-store");
    response
}

/// Sends a person to the page where apps are allowed.
fn authorize(request: &Request, signer: &Signer, site: &Site) -> Result<Response> {
    let get = |name: &str| request.query(name).filter(|value| !value.is_empty());
    let client = get("client_id").and_then(|id| Client::read(id, signer));
    let client = client.ok_or_else(|| {
        Error::invalid(
            "client_id",
            "No such client is registered: begin with POST /oauth/register",
        )
    })?;
    let address = match get("redirect_uri") {
        Some(address) => address,
        None => client.addresses.first().map_or("", String::as_str),
    };
    // Before this nobody is sent anywhere.
    if !client.goes_to(address) {
        let message = "The client did not register this redirect_uri";
        return Err(Error::invalid("redirect_uri", message));
    }
    let state = get("state");
    let refuse = |code: &str, message: &str| {
        let mut pairs = vec![("error", code), ("error_description", message)];
        pairs.extend(state.map(|state| ("state", state)));
        pairs.push(("iss", &site.origin));
        Ok(redirect(&with_query(address, &pairs)))
    };
    if get("response_type") != Some("code") {
        return refuse("unsupported_response_type", "response_type has to be code");
    }
    let (Some(challenge), Some("S256")) = (get("code_challenge"), get("code_challenge_method"))
    else {
        return refuse("invalid_request", "A code_challenge by S256 is needed");
    };
    if get("resource").is_some_and(|resource| !is_ours(resource, site)) {
        return refuse("invalid_target", "Keys are for this gateway alone");
    }
    let mut pairs = vec![
        ("callback_url", address),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("iss", "1"),
    ];
    pairs.extend(state.map(|state| ("state", state)));
    if !client.name.is_empty() {
        pairs.push(("key_label", &client.name));
    }
    Ok(redirect(&site.url(&format!("/auth?{}", query(&pairs)))))
}

fn is_ours(resource: &str, site: &Site) -> bool {
    let resource = resource.to_ascii_lowercase();
    let rest = resource.strip_prefix(&site.origin);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn token<W: World>(world: &W, request: Request, site: &Site) -> Response {
    let body = request
        .body
        .await
        .ok()
        .filter(|body| body.len() <= MAX_BODY);
    let text = body.and_then(|body| String::from_utf8(body).ok());
    let form = Form::parse(&text.unwrap_or_default());
    if form.get("grant_type") != Some("authorization_code") {
        return refusal(
            400,
            "unsupported_grant_type",
            "grant_type has to be authorization_code",
        );
    }
    if form
        .get("resource")
        .is_some_and(|resource| !is_ours(resource, site))
    {
        return refusal(400, "invalid_target", "Keys are for this gateway alone");
    }
    let (Some(code), Some(verifier)) = (form.get("code"), form.get("code_verifier")) else {
        return refusal(400, "invalid_request", "code and code_verifier are needed");
    };
    match people::redeem(world, code, Some(verifier), None).await {
        Ok((key, _)) => {
            let granted = json!({"access_token": key, "token_type": "Bearer", "scope": SCOPE});
            let mut response = Response::json(200, &granted);
            response.header("cache-control", "no-store");
            response
        }
        Err(error) if error.status < 500 => refusal(400, "invalid_grant", &error.message),
        Err(error) => {
            world.report(&format!("a code could not be exchanged: {error}"));
            refusal(503, "temporarily_unavailable", "Try again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_what_it_registered_and_its_port_may_change_on_a_persons_own_machine() {
        let client = Client {
            name: String::new(),
            addresses: vec![
                "http://127.0.0.1:3000/cb".to_owned(),
                "https://app.example/cb".to_owned(),
            ],
        };
        for (address, expected) in [
            ("http://127.0.0.1:3000/cb", true),
            ("http://127.0.0.1:51234/cb", true),
            ("http://127.0.0.1/cb", true),
            ("http://localhost:3000/cb", false),
            ("http://127.0.0.1:3000/other", false),
            ("https://app.example/cb", true),
            ("https://app.example:444/cb", false),
            ("https://evil.example/cb", false),
            ("http://127.0.0.1.evil.example:3000/cb", false),
        ] {
            assert_eq!(client.goes_to(address), expected, "{address}");
        }
        let signer = Signer::new(&"k".repeat(32)).unwrap();
        for id in [
            "",
            "x",
            "https://app.example/client.json",
            &Signer::new(&"j".repeat(32)).unwrap().seal(PURPOSE, "e30"),
        ] {
            assert!(Client::read(id, &signer).is_none(), "{id}");
        }
    }

    #[test]
    fn only_these_paths_are_of_oauth() {
        for (path, expected) in [
            ("/.well-known/oauth-protected-resource", true),
            ("/.well-known/oauth-protected-resource/api/v1/mcp", true),
            ("/.well-known/oauth-protected-resources", false),
            ("/.well-known/oauth-authorization-server", true),
            ("/oauth/token", true),
            ("/oauth", false),
            ("/mcp", false),
        ] {
            assert_eq!(is_oauth(path), expected, "{path}");
        }
    }
}
