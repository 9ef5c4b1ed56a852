//! Where each field of an input goes, and what never goes anywhere.

use serde_json::{Value, json};

use super::{
    Context, Credentials, Problem, prepare,
    test_rows::{KEY, body, header, sent, sent_with, tool, vars},
};

#[test]
fn a_key_goes_where_its_scheme_says_and_nowhere_else() {
    let long = "0123456789abcdef";
    for (auth, key_fields, key, place, wanted) in [
        (
            json!({"kind": "bearer"}),
            json!([]),
            long,
            "authorization",
            format!("Bearer {long}"),
        ),
        (
            json!({"kind": "header", "name": "xi-api-key"}),
            json!([]),
            long,
            "xi-api-key",
            long.to_owned(),
        ),
        (
            json!({"kind": "header", "name": "authorization", "prefix": "Token "}),
            json!([]),
            long,
            "authorization",
            format!("Token {long}"),
        ),
        (
            json!({"kind": "basic"}),
            json!([]),
            "user:pass",
            "authorization",
            "Basic dXNlcjpwYXNz".to_owned(),
        ),
        (
            json!({"kind": "basic"}),
            json!([]),
            "user",
            "authorization",
            "Basic dXNlcjo=".to_owned(),
        ),
        (
            json!({"kind": "basic", "user": "api", "password": "{key}"}),
            json!([]),
            "k",
            "authorization",
            "Basic YXBpOms=".to_owned(),
        ),
        (
            json!({"kind": "basic", "user": "{key.b}", "password": "{key.a}"}),
            json!(["a", "b"]),
            "x:y:z",
            "authorization",
            "Basic eTp6Ong=".to_owned(),
        ),
        (
            json!({"kind": "oauth_refresh", "token_url": "https://t"}),
            json!([]),
            "a:b:c",
            "authorization",
            "Bearer token-1".to_owned(),
        ),
        (
            json!({"kind": "none"}),
            json!([]),
            long,
            "authorization",
            String::new(),
        ),
    ] {
        let tool = tool(json!({"auth": auth, "key_fields": key_fields}), json!({}));
        let outgoing = sent_with(&tool, &json!({}), key).unwrap();
        assert_eq!(
            header(&outgoing, place).unwrap_or_default(),
            wanted,
            "{auth}"
        );
        assert_eq!(outgoing.url, "https://api.acme.example/v1/run");
        assert_eq!(body(&outgoing), "{}");
    }
    let by_query = tool(
        json!({"auth": {"kind": "query", "name": "api key"}}),
        json!({}),
    );
    let url = sent_with(&by_query, &json!({}), "a&b").unwrap().url;
    assert_eq!(url, "https://api.acme.example/v1/run?api%20key=a%26b");
    let by_body = tool(json!({"auth": {"kind": "body", "name": "key"}}), json!({}));
    assert_eq!(
        body(&sent_with(&by_body, &json!({"a": 1}), "k").unwrap()),
        r#"{"a":1,"key":"k"}"#
    );
    let by_path = tool(
        json!({"auth": {"kind": "path"}, "base_url": "https://{key.host}.acme.example", "key_fields": ["host", "token"]}),
        json!({"request": {"path": "/bot{key.token}/send"}}),
    );
    let outgoing = sent_with(&by_path, &json!({}), "eu:1:a/b").unwrap();
    assert_eq!(outgoing.url, "https://eu.acme.example/bot1:a/b/send");
    assert!(matches!(
        sent_with(&by_path, &json!({}), "eu"),
        Err(Problem::Misconfigured(_))
    ));
    assert!(matches!(
        sent_with(&by_path, &json!({}), "evil.example/#:x"),
        Err(Problem::Misconfigured(_))
    ));
}

#[test]
fn sig_v4_signs_what_is_sent() {
    let tool = tool(
        json!({"auth": {"kind": "sig_v4", "service": "ses", "region": "AWS_REGION"}}),
        json!({}),
    );
    let key = r#"{"accessKeyId":"AKIDEXAMPLE","secretAccessKey":"secret","region":"eu-west-1"}"#;
    let outgoing = sent_with(&tool, &json!({"a": 1}), key).unwrap();
    let signed = header(&outgoing, "authorization").unwrap();
    assert!(
        signed.contains("/eu-west-1/ses/aws4_request") && signed.contains("content-type;host"),
        "{signed}"
    );
    let region_lacks = r#"{"accessKeyId":"A","secretAccessKey":"s"}"#;
    assert!(sent_with(&tool, &json!({}), region_lacks).is_err());
}

#[test]
fn whose_key_it_is() {
    let row = json!({"keyless": {"headers": {"x-mode": "keyless"}, "query": {"free": "1"}, "operations": ["run"]}});
    let made =
        |pooling: &str, secret: &'static [(&'static str, &'static str)], own: Option<&str>| {
            let mut row = row.clone();
            row["pooling"] = pooling.into();
            let tool = tool(row, json!({}));
            let var = vars(secret);
            let credentials = Credentials::of(&tool, own, &var).unwrap();
            let cx = Context {
                credentials: &credentials,
                token: None,
                idempotency: None,
                now_ms: 0,
                var: &var,
            };
            let outgoing = prepare(&tool, &json!({}), &cx).unwrap();
            let told = [
                header(&outgoing, "authorization"),
                header(&outgoing, "x-mode"),
            ];
            (
                told.map(|value| value.unwrap_or_default().to_owned()),
                outgoing.url,
                credentials.is_own(),
            )
        };
    let keyless = (
        ["".to_owned(), "keyless".to_owned()],
        "https://api.acme.example/v1/run?free=1".to_owned(),
        false,
    );
    let keyed = |key: &str, own| {
        (
            [format!("Bearer {key}"), String::new()],
            "https://api.acme.example/v1/run".to_owned(),
            own,
        )
    };
    assert_eq!(made("allowed", &[], None), keyless);
    assert_eq!(
        made("allowed", &[("ACME_KEY", " op \n")], None),
        keyed("op", false)
    );
    assert_eq!(
        made("allowed", &[("ACME_KEY", "op")], Some("own")),
        keyed("own", true)
    );
    assert_eq!(made("forbidden", &[("ACME_KEY", "op")], None), keyless);
    assert_eq!(
        made(
            "forbidden",
            &[("ACME_KEY", "op"), ("TOOLS_SINGLE_TENANT", "on")],
            None
        ),
        keyed("op", false)
    );
    let none = tool(json!({}), json!({}));
    assert!(Credentials::of(&none, None, &vars(&[])).is_err());
    let public = tool(json!({"keyless": {"key": "test-api-key"}}), json!({}));
    let credentials = Credentials::of(&public, None, &vars(&[])).unwrap();
    assert_eq!(
        credentials.part(&public.provider, "").as_deref(),
        Some("test-api-key")
    );
    assert!(
        credentials.secrets(&public.provider).is_empty(),
        "what everybody knows is no secret"
    );
    let own = Credentials::of(&public, Some("user:long-password"), &vars(&[])).unwrap();
    let secrets = own.secrets(&public.provider);
    for secret in [
        "user:long-password",
        "long-password",
        "dXNlcjpsb25nLXBhc3N3b3Jk",
    ] {
        assert!(
            secrets.iter().any(|one| one == secret),
            "{secret} in {secrets:?}"
        );
    }
}

#[test]
fn a_field_is_sent_once_and_where_the_row_says() {
    let row = json!({"request": {
        "method": "POST",
        "path": "/a/{id}/b/{+file}",
        "query": ["page"],
        "params": {"v": 2, "sort": "{/order}"},
        "headers": {"x-lang": "{/lang}", "x-missing": "{/nothing}", "x-two": "{/lang} {/nothing}"},
        "rename": {"max": "/limits/max", "page": "p"},
        "constants": {"limits": {"min": 1}, "source": "us"},
    }});
    let outgoing = sent(
        &tool(json!({}), row),
        &json!({"id": "a/b c", "file": "x/y z.txt", "page": 2, "order": "asc", "lang": "de", "max": 9, "source": "me", "gone": null}),
    )
    .unwrap();
    assert_eq!(
        outgoing.url,
        "https://api.acme.example/v1/a/a%2Fb%20c/b/x/y%20z.txt?p=2&v=2&sort=asc"
    );
    assert_eq!(header(&outgoing, "x-lang"), Some("de"));
    assert_eq!(
        (header(&outgoing, "x-missing"), header(&outgoing, "x-two")),
        (None, None)
    );
    let sent: Value = serde_json::from_str(body(&outgoing)).unwrap();
    assert_eq!(
        sent,
        json!({"limits": {"min": 1, "max": 9}, "source": "me"})
    );
}

#[test]
fn a_get_has_all_fields_in_its_query_and_no_body() {
    for (arrays, wanted) in [
        ("repeat", "c=1&q=a%20%26%20b&tags=x&tags=y&on=true"),
        ("comma", "c=1&q=a%20%26%20b&tags=x%2Cy&on=true"),
        (
            "brackets",
            "c=1&q=a%20%26%20b&tags%5B%5D=x&tags%5B%5D=y&on=true",
        ),
    ] {
        let row =
            json!({"request": {"method": "GET", "query_arrays": arrays, "constants": {"c": 1}}});
        let outgoing = sent(
            &tool(json!({}), row),
            &json!({"q": "a & b", "tags": ["x", "y"], "on": true, "off": null}),
        )
        .unwrap();
        assert_eq!(
            outgoing.url,
            format!("https://api.acme.example/v1/run?{wanted}")
        );
        assert_eq!(
            (
                outgoing.body,
                header(
                    &sent(
                        &tool(json!({}), json!({"request": {"method": "GET"}})),
                        &json!({})
                    )
                    .unwrap(),
                    "content-type"
                )
            ),
            (None, None)
        );
    }
}

#[test]
fn forms_nest_with_brackets_as_stripe_and_twilio_want_them() {
    let input = json!({"amount": 5, "items": [{"price": "p", "tags": ["a"]}], "meta": {"k v": "ä"}, "ok": false});
    for (arrays, wanted) in [
        (
            Value::Null,
            "amount=5&items[0][price]=p&items[0][tags][0]=a&meta[k v]=ä&ok=false",
        ),
        (
            json!("brackets"),
            "amount=5&items[][price]=p&items[][tags][]=a&meta[k v]=ä&ok=false",
        ),
        (
            json!("repeat"),
            "amount=5&items[price]=p&items[tags]=a&meta[k v]=ä&ok=false",
        ),
    ] {
        let row = json!({"request": {"body": {"kind": "form"}, "form_arrays": arrays}});
        let outgoing = sent(&tool(json!({}), row), &input).unwrap();
        assert_eq!(
            header(&outgoing, "content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let decoded = body(&outgoing)
            .replace("%5B", "[")
            .replace("%5D", "]")
            .replace("%20", " ")
            .replace("%C3%A4", "ä");
        assert_eq!(decoded, wanted);
    }
}

#[test]
fn bodies_are_templates_texts_or_nothing() {
    let graphql = json!({"request": {"body": {"kind": "json", "template": {
        "query": "mutation($i: I!) { make(input: $i) { id { x } } }",
        "variables": {"i": {"$rest": true, "title": "{/title}"}},
    }}}});
    let outgoing = sent(&tool(json!({}), graphql), &json!({"title": "T", "team": 1})).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(body(&outgoing)).unwrap(),
        json!({"query": "mutation($i: I!) { make(input: $i) { id { x } } }", "variables": {"i": {"team": 1, "title": "T"}}})
    );
    let whole =
        json!({"request": {"path": "/{app}", "body": {"kind": "json", "template": "{/input}"}}});
    let outgoing = sent(
        &tool(json!({}), whole),
        &json!({"app": "x", "input": {"seed": 1}}),
    )
    .unwrap();
    assert_eq!(body(&outgoing), r#"{"seed":1}"#);
    let text = json!({"request": {"body": {"kind": "text", "field": "md", "content_type": "text/markdown"}}});
    let outgoing = sent(&tool(json!({}), text), &json!({"md": "# ä"})).unwrap();
    assert_eq!(
        (body(&outgoing), header(&outgoing, "content-type")),
        ("# ä", Some("text/markdown"))
    );
    let none = json!({"request": {"body": {"kind": "none"}}});
    let outgoing = sent(&tool(json!({}), none), &json!({"a": 1})).unwrap();
    assert_eq!(
        (outgoing.url.as_str(), outgoing.body),
        ("https://api.acme.example/v1/run?a=1", None)
    );
}

#[test]
fn the_derived_key_is_stable_and_in_the_vendors_form() {
    let by_header = json!({"retry": {"kind": "key", "header": "idempotency-key", "max": 40}});
    let outgoing = sent(&tool(json!({}), by_header), &json!({})).unwrap();
    assert_eq!(
        header(&outgoing, "idempotency-key").unwrap(),
        "07".repeat(20)
    );
    for (form, wanted) in [
        ("uuid", "07070707-0707-4707-8707-070707070707"),
        ("base32hex", "0s3ge1o70s3ge1o70s3ge1o70s"),
    ] {
        let row = json!({"retry": {"kind": "key", "field": "/input/id", "form": form}});
        let outgoing = sent(&tool(json!({}), row.clone()), &json!({"input": {"a": 1}})).unwrap();
        let sent_body: Value = serde_json::from_str(body(&outgoing)).unwrap();
        assert_eq!(sent_body, json!({"input": {"a": 1, "id": wanted}}));
        let outgoing = sent(&tool(json!({}), row), &json!({"input": {"id": "mine"}})).unwrap();
        assert_eq!(
            body(&outgoing),
            r#"{"input":{"id":"mine"}}"#,
            "the caller's own id stands"
        );
    }
}

#[test]
fn no_input_leads_elsewhere() {
    let path = tool(
        json!({}),
        json!({"request": {"path": "/repos/{owner}/{+path}"}}),
    );
    for (owner, file) in [
        ("", "x"),
        (".", "x"),
        ("..", "x"),
        ("a", "../x"),
        ("a", "x//y"),
        ("a", "/x"),
        ("a", "x/"),
    ] {
        let error = sent(&path, &json!({"owner": owner, "path": file}))
            .err()
            .unwrap();
        assert!(matches!(error, Problem::Input { .. }), "{owner} {file}");
    }
    let outgoing = sent(&path, &json!({"owner": "a?b#c%2e", "path": "d@e"})).unwrap();
    assert_eq!(
        outgoing.url,
        "https://api.acme.example/v1/repos/a%3Fb%23c%252e/d%40e"
    );
    let host = tool(
        json!({"base_url": "https://{lang=en}.wiki.example"}),
        json!({"request": {"path": ""}}),
    );
    assert_eq!(
        sent(&host, &json!({"lang": "De"})).unwrap().url,
        "https://de.wiki.example"
    );
    assert_eq!(
        sent(&host, &json!({})).unwrap().url,
        "https://en.wiki.example"
    );
    for lang in ["evil.example/", "a.b", "", "a@b", "-a", "a:1"] {
        assert!(sent(&host, &json!({"lang": lang})).is_err(), "{lang}");
    }
    let header_row = tool(json!({}), json!({"request": {"headers": {"x-a": "{/a}"}}}));
    for value in ["a\r\nx-b: 1", "ü", "\u{0}"] {
        assert!(
            sent(&header_row, &json!({"a": value})).is_err(),
            "{value:?}"
        );
    }
}

#[test]
fn addresses_that_a_vendor_fetches_are_public() {
    let reads = tool(json!({}), json!({"request": {"urls": ["url", "more"]}}));
    assert!(
        sent(
            &reads,
            &json!({"url": "https://example.com/a", "more": ["http://example.org"]})
        )
        .is_ok()
    );
    for url in [
        "http://localhost",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "http://10.0.0.1",
        "x",
        "http://[::1]/",
        "http://2130706433/",
    ] {
        let error = sent(&reads, &json!({ "url": url })).err().unwrap();
        assert!(
            matches!(&error, Problem::Input { param, .. } if param == "/url"),
            "{url}"
        );
        assert!(
            sent(&reads, &json!({"more": ["https://example.com", url]})).is_err(),
            "{url}"
        );
    }
}

#[test]
fn the_address_follows_key_and_deployment() {
    let row = json!({
        "base_url": "https://api.deepl.example",
        "base_urls": [{"key_suffix": ":fx", "url": "https://api-free.deepl.example"}],
    });
    let deepl = tool(row, json!({}));
    assert_eq!(
        sent_with(&deepl, &json!({}), "k").unwrap().url,
        "https://api.deepl.example/run"
    );
    assert_eq!(
        sent_with(&deepl, &json!({}), "k:fx").unwrap().url,
        "https://api-free.deepl.example/run"
    );
    let with = |of: &'static [(&'static str, &'static str)], row: Value| {
        let tool = tool(row, json!({}));
        let var = vars(of);
        let credentials = Credentials::of(&tool, Some(KEY), &var).unwrap();
        let cx = Context {
            credentials: &credentials,
            token: None,
            idempotency: None,
            now_ms: 0,
            var: &var,
        };
        prepare(&tool, &json!({}), &cx)
    };
    let url = with(&[("ACME_BASE_URL", "http://10.0.0.7:3002/")], json!({}))
        .unwrap()
        .url;
    assert_eq!(url, "http://10.0.0.7:3002/v1/run");
    let url = with(&[("TOOLS_ORIGIN", "http://127.0.0.1:9")], json!({}))
        .unwrap()
        .url;
    assert_eq!(url, "http://127.0.0.1:9/api.acme.example/v1/run");
    let row = json!({"base_url": "https://${ACME_REGION}.acme.example"});
    assert_eq!(
        with(&[("ACME_REGION", "eu")], row.clone()).unwrap().url,
        "https://eu.acme.example/run"
    );
    assert!(matches!(with(&[], row), Err(Problem::Misconfigured(_))));
    let agent = with(&[("TOOLS_CONTACT", "ops@example.com")], json!({})).unwrap();
    assert!(
        header(&agent, "user-agent")
            .unwrap()
            .ends_with(" (ops@example.com)")
    );
}
