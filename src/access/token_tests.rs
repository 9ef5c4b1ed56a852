//! Tokens: asked for, remembered, renewed, refused.

use std::cell::Cell;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use futures::executor::block_on;
use serde_json::json;

use super::*;
use crate::{access::tests::provider, catalog::Provider};

/// An issuer that is told what to answer, and counts.
struct Issuer {
    now_ms: Cell<u64>,
    answer: RefCell<(u16, String)>,
    asked: RefCell<Vec<(String, String)>>,
}

impl Issuer {
    fn new() -> Self {
        Self {
            now_ms: Cell::new(1_000_000),
            answer: RefCell::new((
                200,
                json!({"access_token": "t1", "expires_in": 3600}).to_string(),
            )),
            asked: RefCell::default(),
        }
    }

    fn answers(&self, status: u16, body: &serde_json::Value) {
        self.answer.replace((status, body.to_string()));
    }

    fn later(&self, seconds: u64) {
        self.now_ms.set(self.now_ms.get() + seconds * 1_000);
    }
}

impl TokenPort for Issuer {
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    async fn post_form(&self, url: &str, form: &str) -> Result<(u16, Vec<u8>)> {
        self.asked.borrow_mut().push((url.into(), form.into()));
        let (status, body) = self.answer.borrow().clone();
        Ok((status, body.into_bytes()))
    }

    async fn sign_rs256(&self, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        assert_eq!(pkcs8, [1, 2, 3]);
        Ok(message.iter().rev().take(4).copied().collect())
    }
}

fn client() -> Provider {
    provider(json!({"auth": {
        "kind": "oauth_client_credentials", "token_url": "https://${TENANT}.example/token", "scope": "a b", "client_id": "CLIENT",
    }}))
}

fn account() -> Provider {
    provider(
        json!({"auth": {"kind": "signed_jwt", "token_url": "https://t.example/token", "scope": "s"}}),
    )
}

fn grant(provider: &Provider, own: Option<&str>, secret: &str) -> Result<Grant> {
    let variable = |name: &str| match name {
        "TENANT" => Some("mine".to_owned()),
        "CLIENT" => Some("me".to_owned()),
        "KEY" => Some(secret.to_owned()),
        _ => None,
    };
    Ok(Access::of(provider, own, &variable)?.grant()?.unwrap())
}

/// The token that a call is made with in the end, and how often it was made.
fn called(
    tokens: &Tokens,
    issuer: &Issuer,
    grant: &Grant,
    refused: &[&str],
) -> Result<(String, usize)> {
    let calls = Cell::new(0);
    let send = async |token: &str| {
        calls.set(calls.get() + 1);
        Ok((
            token.to_owned(),
            if refused.contains(&token) { 401 } else { 200 },
        ))
    };
    let (token, _) = block_on(tokens.call(issuer, grant, send, |answer| answer.1))?;
    Ok((token, calls.get()))
}

#[test]
fn a_client_asks_with_its_id_and_secret() {
    let issuer = Issuer::new();
    for (own, form) in [
        (
            None,
            "grant_type=client_credentials&client_id=me&client_secret=s%2F1&scope=a%20b",
        ),
        (
            Some("you:s:2"),
            "grant_type=client_credentials&client_id=you&client_secret=s%3A2&scope=a%20b",
        ),
    ] {
        let grant = grant(&client(), own, "s/1").unwrap();
        called(&Tokens::default(), &issuer, &grant, &[]).unwrap();
        let asked = issuer.asked.borrow_mut().pop().unwrap();
        assert_eq!(asked, ("https://mine.example/token".into(), form.into()));
    }
}

#[test]
fn a_service_account_signs_who_it_is_and_what_it_wants() {
    let key = json!({
        "project_id": "p", "client_email": "a@b.example", "private_key_id": "k1", "token_uri": "https://elsewhere.example",
        "private_key": "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n",
    });
    let grant = grant(&account(), None, &key.to_string()).unwrap();
    let issuer = Issuer::new();
    called(&Tokens::default(), &issuer, &grant, &[]).unwrap();
    let (url, form) = issuer.asked.borrow_mut().pop().unwrap();
    assert_eq!(url, "https://t.example/token");
    let prefix = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let parts: Vec<&str> = form.strip_prefix(prefix).unwrap().split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        read(parts[0]),
        json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
    );
    let claims = json!({
        "iss": "a@b.example", "scope": "s", "aud": "https://t.example/token", "iat": 1_000, "exp": 4_600,
    });
    assert_eq!(read(parts[1]), claims);
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature: Vec<u8> = signed.bytes().rev().take(4).collect();
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap(), signature);
}

#[test]
fn a_token_is_remembered_per_credential_and_renewed_before_its_end_by_one_request() {
    let (tokens, issuer) = (Tokens::default(), Issuer::new());
    let grant_of = |secret: &str| grant(&client(), None, secret).unwrap();
    let call = |secret: &str| called(&tokens, &issuer, &grant_of(secret), &[]).unwrap().0;
    let asked = || issuer.asked.borrow().len();
    assert_eq!(
        (call("a"), call("a"), asked()),
        ("t1".into(), "t1".into(), 1)
    );
    issuer.answers(200, &json!({"access_token": "t2", "expires_in": "3600"}));
    assert_eq!((call("b"), asked()), ("t2".into(), 2));
    issuer.later(3_600 - 300);
    let claimed = tokens.fresh(&grant_of("a"), issuer.now_ms());
    assert!(claimed.is_none(), "the first one renews");
    assert_eq!((call("a"), asked()), ("t1".into(), 2), "the others go on");
    issuer.answers(200, &json!({"access_token": "t3"}));
    issuer.later(15);
    assert_eq!(
        (call("a"), asked()),
        ("t3".into(), 3),
        "a renewal that came to nothing is made up for"
    );
    issuer.answers(503, &json!({}));
    issuer.later(241);
    assert_eq!(
        (call("a"), asked()),
        ("t3".into(), 4),
        "a failed renewal harms nobody before the end"
    );
    issuer.later(30);
    assert!(called(&tokens, &issuer, &grant_of("a"), &[]).is_err());
}

#[test]
fn a_remembered_token_that_is_refused_gives_way_to_a_new_one_once() {
    let (tokens, issuer) = (Tokens::default(), Issuer::new());
    let grant = grant(&client(), None, "a").unwrap();
    let call = |refused: &[&str]| called(&tokens, &issuer, &grant, refused).unwrap();
    assert_eq!(
        call(&["t1"]),
        ("t1".into(), 1),
        "a new token is not replaced"
    );
    issuer.answers(200, &json!({"access_token": "t2", "expires_in": 3600}));
    assert_eq!(call(&["t1"]), ("t2".into(), 2));
    assert_eq!(call(&["t1"]), ("t2".into(), 1));
    assert_eq!(call(&["t2"]), ("t2".into(), 2), "no third time");
}

#[test]
fn an_issuers_refusal_is_told_without_what_it_was_asked_with() {
    let issuer = Issuer::new();
    let grant = grant(&client(), None, "hidden-secret").unwrap();
    let wrong = "the answer of its token endpoint holds no token";
    for (status, body, words) in [
        (
            400,
            json!({"error": "invalid_grant", "error_description": "hidden-secret"}),
            "status 400 (invalid_grant)",
        ),
        (
            401,
            json!({"error": "no hidden-secret"}),
            "its token endpoint answered with status 401",
        ),
        (503, json!("hidden-secret"), "status 503"),
        (200, json!({"access_token": ""}), wrong),
        (200, json!({"token": "x"}), wrong),
        (200, json!({"access_token": "a\nb"}), wrong),
    ] {
        issuer.answers(status, &body);
        let error = called(&Tokens::default(), &issuer, &grant, &[]).unwrap_err();
        assert!(
            error.message.starts_with("Cloud gave no access token: "),
            "{error}"
        );
        assert!(error.message.ends_with(words), "{error}");
        assert!(!format!("{error:?}").contains("hidden"));
    }
}

#[test]
fn an_issuer_whose_refresh_tokens_are_good_once_is_refused_at_the_first_use() {
    let grant = || {
        Grant::refresh(
            "Cal",
            "https://t.example/token",
            ["id", "secret", "r1"],
            None,
        )
    };
    for (next, is_good) in [(None, true), (Some("r1"), true), (Some("r2"), false)] {
        let (issuer, tokens) = (Issuer::new(), Tokens::default());
        issuer.answers(
            200,
            &json!({"access_token": "t1", "expires_in": 3600, "refresh_token": next}),
        );
        let send = async |token: &str| Ok(token.to_owned());
        let got = block_on(tokens.call(&issuer, &grant(), send, |_| 200));
        match got {
            Ok(token) => assert!(is_good && token == "t1"),
            Err(error) => {
                assert!(
                    !is_good && error.message.contains("such are not kept"),
                    "{}",
                    error.message
                );
                assert!(!error.message.contains("r2"));
            }
        }
    }
}
