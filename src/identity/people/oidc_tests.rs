//! ID tokens and descriptions of issuers, right and wrong.

use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_795_000_000_000;
const NOW: i64 = NOW_MS / 1_000;

fn config() -> Config {
    let var = |name: &str| match name {
        "OIDC_ISSUER" => Some("https://id.example/realm".to_owned()),
        "OIDC_CLIENT_ID" => Some("patch bay".to_owned()),
        "OIDC_CLIENT_SECRET" => Some("s:e%c".to_owned()),
        _ => None,
    };
    Config::read("OIDC", var).unwrap()
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn token(head: &Value, claims: &Value) -> String {
    format!("{}.{}.c2ln", part(head), part(claims))
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example/realm", "aud": "patch bay", "sub": "7", "nonce": "n", "exp": NOW + 10, "iat": NOW,
        "email": "Ada@Example.com", "email_verified": true, "name": "Ada L",
    })
}

fn believed(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Claims, String> {
    let mut claims = claims();
    change(claims.as_object_mut().unwrap());
    IdToken::read(&token(&json!({"alg": "RS256"}), &claims))?.believe(&config(), "n", NOW_MS)
}

#[test]
fn a_token_is_believed_only_when_each_claim_is_right() {
    assert!(believed(|_| {}).is_ok());
    let cases: [(&str, Value, bool); 19] = [
        ("iss", json!("https://id.example/realm/"), false),
        ("iss", json!(null), false),
        ("aud", json!("other"), false),
        ("aud", json!([]), false),
        ("aud", json!(["patch bay"]), true),
        // Several audiences without the party that it is for.
        ("aud", json!(["patch bay", "other"]), false),
        ("azp", json!("other"), false),
        ("azp", json!("patch bay"), true),
        ("exp", json!(NOW - 61), false),
        ("exp", json!(NOW - 59), true),
        ("exp", json!(null), false),
        ("iat", json!(NOW + 61), false),
        ("iat", json!(NOW as f64 + 0.5), true),
        ("nbf", json!(NOW + 3_600), false),
        ("nonce", json!("m"), false),
        ("nonce", json!(null), false),
        ("sub", json!(""), false),
        ("sub", json!(7), false),
        ("sub", json!("x".repeat(256)), false),
    ];
    for (name, value, expected) in cases {
        let result = believed(|claims| {
            claims.insert(name.to_owned(), value.clone());
        });
        assert_eq!(result.is_ok(), expected, "{name}: {value} {result:?}");
    }
    let many = believed(|claims| {
        claims.insert("aud".into(), json!(["other", "patch bay"]));
        claims.insert("azp".into(), json!("patch bay"));
    });
    assert!(many.is_ok());
}

#[test]
fn tokens_without_a_signature_that_we_check_are_none() {
    let claims = claims();
    for head in [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "rs256"}),
        json!({}),
        json!({"alg": "RS256", "crit": ["b64"]}),
    ] {
        assert!(IdToken::read(&token(&head, &claims)).is_err(), "{head}");
    }
    for text in ["", ".", "..", "a.b.c", "e30.e30", "e30.e30.!", "W10.e30.AA"] {
        assert!(IdToken::read(text).is_err(), "{text}");
    }
    let read = IdToken::read(&token(&json!({"alg": "ES256", "kid": "k"}), &claims)).unwrap();
    assert_eq!(
        (read.algorithm, read.signature.as_slice()),
        (Algorithm::Es256, b"sig".as_slice())
    );
    assert!(
        token(&json!({"alg": "ES256", "kid": "k"}), &claims)
            .starts_with(std::str::from_utf8(&read.signed).unwrap())
    );
}

#[test]
fn a_key_is_taken_by_its_name_and_kind() {
    let modulus = BASE64_URL_SAFE_NO_PAD.encode([1; MIN_RSA_BYTES]);
    let weak = BASE64_URL_SAFE_NO_PAD.encode([1; MIN_RSA_BYTES / 2]);
    let keys = |list: Value| -> Jwks { serde_json::from_value(json!({"keys": list})).unwrap() };
    let rsa = |id: &str, n: &str| json!({"kty": "RSA", "kid": id, "n": n, "e": "AQAB", "use": "sig", "d": "private", "x5c": []});
    let ec = json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": "X", "y": "Y"});
    let signed_by = |head: Value, list: Value| {
        IdToken::read(&token(&head, &claims()))
            .unwrap()
            .key(&keys(list))
    };

    let named = json!({"alg": "RS256", "kid": "b"});
    let found = signed_by(
        named.clone(),
        json!([rsa("a", &modulus), rsa("b", &modulus), ec]),
    );
    assert_eq!(
        found,
        Some(json!({"kty": "RSA", "n": modulus, "e": "AQAB"}).to_string())
    );
    assert_eq!(signed_by(named.clone(), json!([rsa("a", &modulus)])), None);
    assert_eq!(signed_by(named.clone(), json!([rsa("b", &weak)])), None);
    // The key of another algorithm, by the same name.
    assert_eq!(
        signed_by(
            json!({"alg": "ES256", "kid": "b"}),
            json!([rsa("b", &modulus)])
        ),
        None
    );
    let mut encrypts = rsa("b", &modulus);
    encrypts["use"] = json!("enc");
    assert_eq!(signed_by(named.clone(), json!([encrypts])), None);
    let mut other = rsa("b", &modulus);
    other["alg"] = json!("PS256");
    assert_eq!(signed_by(named, json!([other])), None);
    // Without a name there has to be one that it can be.
    let nameless = json!({"alg": "RS256"});
    assert!(signed_by(nameless.clone(), json!([rsa("a", &modulus), ec])).is_some());
    assert_eq!(
        signed_by(nameless, json!([rsa("a", &modulus), rsa("b", &modulus)])),
        None
    );
    let curve = signed_by(json!({"alg": "ES256", "kid": "e"}), json!([ec]));
    assert_eq!(
        curve,
        Some(json!({"kty": "EC", "crv": "P-256", "x": "X", "y": "Y"}).to_string())
    );
}

#[test]
fn only_a_verified_address_is_an_identity() {
    let of = |flag: Value| {
        let claims = believed(|claims| {
            claims.insert("email_verified".into(), flag.clone());
        });
        claims.unwrap().identity(&config()).email
    };
    for flag in [json!(true), json!("true")] {
        assert_eq!(of(flag).as_deref(), Some("Ada@Example.com"));
    }
    for flag in [json!(false), json!("false"), json!(null), json!(1)] {
        assert_eq!(of(flag.clone()), None, "{flag}");
    }
    let silent = believed(|claims| {
        claims.remove("email_verified");
    });
    assert_eq!(silent.unwrap().identity(&config()).email, None);
}

#[test]
fn what_an_issuer_tells_elsewhere_counts_for_the_same_person_only() {
    let lacking = || {
        let claims = believed(|claims| {
            claims.remove("email");
            claims.remove("email_verified");
        });
        claims.unwrap()
    };
    assert!(lacking().lacks_email());
    for (subject, expected) in [("7", Some("b@example.com")), ("8", None)] {
        let mut claims = lacking();
        let more =
            json!({"sub": subject, "email": "b@example.com", "email_verified": true, "iss": "x"});
        claims.add(more.as_object().unwrap().clone());
        assert_eq!(claims.identity(&config()).email.as_deref(), expected);
    }
}

fn description(change: impl FnOnce(&mut Value)) -> Result<Discovery, String> {
    let mut value = json!({
        "issuer": "https://id.example/realm",
        "authorization_endpoint": "https://id.example/auth?tenant=1",
        "token_endpoint": "https://id.example/token",
        "jwks_uri": "https://id.example/keys",
    });
    change(&mut value);
    Discovery::read(&config(), value.to_string().as_bytes())
}

#[test]
fn an_issuer_is_who_it_says_it_is_and_speaks_tls() {
    assert_eq!(
        config().discovery_url(),
        "https://id.example/realm/.well-known/openid-configuration"
    );
    assert!(description(|_| {}).is_ok());
    for (name, value) in [
        ("issuer", "https://id.example"),
        ("token_endpoint", "http://id.example/token"),
        ("jwks_uri", "file:///keys"),
        ("userinfo_endpoint", "http://127.0.0.1.evil.example/"),
    ] {
        assert!(description(|it| it[name] = json!(value)).is_err(), "{name}");
    }
    assert!(description(|it| it["jwks_uri"] = json!("http://127.0.0.1:9/keys")).is_ok());
    let strict =
        description(|it| it["authorization_response_iss_parameter_supported"] = json!(true))
            .unwrap();
    assert!(strict.is_answer_of(Some("https://id.example/realm")));
    assert!(!strict.is_answer_of(None) && !strict.is_answer_of(Some("https://evil.example")));
    assert!(description(|_| {}).unwrap().is_answer_of(None));
}

#[test]
fn a_code_is_asked_for_and_exchanged_with_the_proof() {
    let asked = Asked {
        state: "s",
        nonce: "n",
        challenge: "c",
    };
    let url =
        description(|_| {})
            .unwrap()
            .authorize_url(&config(), "https://gw.example/cb", &asked);
    assert!(
        url.starts_with(
            "https://id.example/auth?tenant=1&response_type=code&client_id=patch%20bay&"
        )
    );
    for part in [
        "&state=s",
        "&nonce=n",
        "&code_challenge=c&code_challenge_method=S256",
        "scope=openid%20email%20profile",
    ] {
        assert!(url.contains(part), "{part}");
    }
    let exchange = |methods: Value| {
        let discovery =
            description(|it| it["token_endpoint_auth_methods_supported"] = methods).unwrap();
        discovery.exchange(&config(), "https://gw.example/cb", "co de", "v")
    };
    for methods in [
        json!(null),
        json!(["client_secret_post", "client_secret_basic"]),
    ] {
        let basic = exchange(methods);
        // Each part in the form's encoding, then both in base64.
        let header = format!("Basic {}", BASE64_STANDARD.encode("patch%20bay:s%3Ae%25c"));
        assert_eq!(basic.authorization, Some(header));
        assert!(!basic.form.contains("client_secret"));
        assert!(basic.form.contains("code=co%20de&") && basic.form.ends_with("code_verifier=v"));
    }
    let post = exchange(json!(["client_secret_post"]));
    assert_eq!(post.authorization, None);
    assert!(post.form.contains("client_secret=s%3Ae%25c"));
    let public = Config {
        client_secret: None,
        ..config()
    };
    let bare = description(|_| {})
        .unwrap()
        .exchange(&public, "r", "c", "v");
    assert!(bare.authorization.is_none() && bare.form.ends_with("client_id=patch%20bay"));
}
