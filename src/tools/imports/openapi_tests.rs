//! Documents and what becomes of their operations: where each argument goes, which key, and what is left out for which reason.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{
    Imported, MAX_OPERATIONS, openapi,
    settings::{AuthChoice, Settings},
};
use crate::tools::{
    catalog::{AuthKind, Effect, RetryKind, Tool},
    connector::{self, Context, Credentials, Outgoing},
};

fn with(paths: Value, more: Value) -> Value {
    let mut document = json!({
        "openapi": "3.0.3", "info": {"title": "Acme Shop", "version": "1"},
        "servers": [{"url": "https://api.acme.example/v1/"}],
        "paths": paths,
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn read(document: &Value) -> Result<Imported, String> {
    openapi::read(document, "acme", &Settings::default(), None)
}

/// The request that the connector makes of the first operation.
fn sent(document: &Value, input: &Value) -> Outgoing {
    sent_by(&read(document).unwrap(), input, Some("SECRET-KEY"))
}

fn sent_by(made: &Imported, input: &Value, key: Option<&str>) -> Outgoing {
    let provider = Rc::new(made.provider.clone());
    let tool = Tool::new(&provider, &provider.operation[0]);
    crate::tools::schema::validate(tool.operation.input.value(), input).unwrap();
    // No variable of the deployment is an import's.
    let var = |name: &str| match name {
        "TOOLS_CONTACT" | "TOOLS_SINGLE_TENANT" => None,
        name => Some(format!("http://leaked.example/{name}")),
    };
    let credentials = Credentials::of(&tool, key, &var).unwrap();
    let cx = Context {
        credentials: &credentials,
        token: Some("TOKEN"),
        idempotency: None,
        now_ms: 0,
        var: &var,
    };
    let made = connector::prepare(&tool, input, &cx).unwrap();
    assert!(made.is_guarded, "it is sent to the public web alone");
    made
}

fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a str> {
    let found = outgoing.headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn each_argument_goes_where_the_document_says() {
    let document = with(
        json!({"/shops/{shop-id}/orders/{key}": {
            "parameters": [{"name": "shop-id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "post": {
                "operationId": "createOrder", "summary": "Create an order", "description": "Creates.",
                "parameters": [
                    {"name": "key", "in": "path", "required": true, "schema": {"type": "string"}},
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "ids[]", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
                    {"name": "name", "in": "query", "schema": {"type": "string"}},
                    {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "Accept", "in": "header", "required": true, "schema": {"type": "string"}},
                    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                ],
                "requestBody": {"required": true, "content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Order"}}}},
            },
        }}),
        json!({"components": {"schemas": {"Order": {"type": "object", "required": ["name", "sku-code", "id"], "properties": {
            "id": {"type": "string", "readOnly": true},
            "name": {"type": "string"}, "sku-code": {"type": "string"}, "amount": {"type": "integer"},
        }}}}}),
    );
    let made = read(&document).unwrap();
    let operation = &made.provider.operation[0];
    assert_eq!(
        (
            operation.name.as_str(),
            operation.effect,
            operation.retry.kind
        ),
        ("create_order", Effect::Write, RetryKind::None)
    );
    let mut required: Vec<Value> =
        crate::json::from_value(&operation.input.value()["required"]).unwrap();
    required.sort_by_key(Value::to_string);
    // `{key}` in a path of a row is the credential, so an argument is never called so there.
    assert_eq!(
        json!(required),
        json!(["body_name", "path_key", "shop_id", "sku_code"])
    );
    let out = sent(
        &document,
        &json!({
            "shop_id": "a/../b", "path_key": "k", "tags": ["x", "y"], "ids": "1,2", "name": "q",
            "filter": {"a": "1"}, "X_Trace": "t", "body_name": "Ada", "sku_code": "S", "amount": 2,
        }),
    );
    assert_eq!(
        (out.method.as_str(), header(&out, "x-trace")),
        ("POST", Some("t"))
    );
    let (path, query) = out.url.split_once('?').unwrap();
    assert_eq!(
        path,
        "https://api.acme.example/v1/shops/a%2F..%2Fb/orders/k"
    );
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    assert_eq!(
        pairs,
        [
            "filter%5Ba%5D=1",
            "ids%5B%5D=1%2C2",
            "name=q",
            "tags=x",
            "tags=y"
        ]
    );
    let body: Value = crate::json::from_slice(out.body.as_deref().unwrap()).unwrap();
    assert_eq!(body, json!({"name": "Ada", "sku-code": "S", "amount": 2}));
    assert!(!format!("{} {:?}", out.url, out.headers).contains("SECRET-KEY"));
    assert!(
        made.weakened
            .iter()
            .any(|told| told.why.contains("session"))
    );
}

#[test]
fn bodies_are_json_forms_texts_or_one_field() {
    let body = |media: &str, schema: Value| {
        let mut content = serde_json::Map::new();
        content.insert(media.to_owned(), json!({ "schema": schema }));
        with(
            json!({"/x": {"post": {"requestBody": {"required": true, "content": content}}}}),
            json!({}),
        )
    };
    let fields = json!({"type": "object", "properties": {"a b": {"type": "string"}, "l": {"type": "array", "items": {"type": "string"}}}});
    let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
    for (document, input, kind, text) in [
        (
            body("application/x-www-form-urlencoded", fields.clone()),
            json!({"a_b": "1", "l": ["x", "y"]}),
            "application/x-www-form-urlencoded",
            "a%20b=1&l=x&l=y",
        ),
        (
            body("application/vnd.api+json", fields),
            json!({"a_b": "1"}),
            "application/vnd.api+json",
            r#"{"a b":"1"}"#,
        ),
        (
            body(
                "application/json",
                json!({"type": "array", "items": {"type": "integer"}}),
            ),
            json!({"body": [1, 2]}),
            "application/json",
            "[1,2]",
        ),
        (
            body("application/json", open),
            json!({"body": {"any": "x"}}),
            "application/json",
            r#"{"any":"x"}"#,
        ),
        (
            body("text/plain", json!({"type": "string"})),
            json!({"body": "Hi {/a}"}),
            "text/plain; charset=utf-8",
            "Hi {/a}",
        ),
    ] {
        let out = sent(&document, &input);
        let body = String::from_utf8(out.body.clone().unwrap()).unwrap();
        assert_eq!(
            (
                header(&out, "content-type"),
                body.replace('+', "%20").as_str()
            ),
            (Some(kind), text)
        );
    }
}

#[test]
fn what_the_connector_cannot_do_is_left_out_with_its_reason() {
    let get = |parameter: Value| json!({"get": {"parameters": [parameter]}});
    let document = with(
        json!({
            "/fine": {"get": {}, "head": {}, "options": {}},
            "/cookie": get(json!({"name": "c", "in": "cookie", "required": true})),
            "/object": get(json!({"name": "o", "in": "query", "required": true, "schema": {"type": "object"}})),
            "/matrix/{m}": get(json!({"name": "m", "in": "path", "required": true, "style": "matrix", "schema": {"type": "string"}})),
            "/host": get(json!({"name": "Host", "in": "header", "required": true, "schema": {"type": "string"}})),
            "/elsewhere": {"servers": [{"url": "https://evil.example"}], "get": {}},
            "/file": {"post": {"requestBody": {"required": true, "content": {"multipart/form-data": {}}}}},
            "/lost": {"get": {"parameters": [{"$ref": "other.json#/p"}]}},
            "/up/../../admin": {"get": {}},
            "/dots/%2e%2e/x": {"get": {}},
            "/${BYOK_MASTER_KEY}": {"get": {}},
            "/query?x=1": {"get": {}},
            "/brace/{open": {"get": {}},
        }),
        json!({}),
    );
    let made = read(&document).unwrap();
    let kept: Vec<&str> = made
        .provider
        .operation
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(kept, ["get_fine"]);
    let told = |what: &str| {
        let found = made.left_out.iter().find(|told| told.what.ends_with(what));
        found.map(|told| told.why.as_str()).unwrap_or_default()
    };
    for (what, why) in [
        ("HEAD /fine", "tells no data"),
        ("/cookie", "path, query and headers"),
        ("/object", "deepObject"),
        ("/matrix/{m}", "style"),
        ("/host", "cannot be sent"),
        ("/elsewhere", "another address"),
        ("/file", "neither JSON nor a form"),
        ("/lost", "another document"),
        ("/up/../../admin", "path cannot be used"),
        ("/dots/%2e%2e/x", "path cannot be used"),
        ("/${BYOK_MASTER_KEY}", "path cannot be used"),
        ("/query?x=1", "path cannot be used"),
        ("/brace/{open", "open brace"),
    ] {
        assert!(told(what).contains(why), "{what}: {}", told(what));
    }
}

#[test]
fn servers_are_chosen_filled_in_and_never_variables_of_the_deployment() {
    let document = |servers: Value| with(json!({"/x": {"get": {}}}), json!({ "servers": servers }));
    let chosen = |server: &str| Settings {
        server: Some(server.to_owned()),
        ..Settings::default()
    };
    let base = |servers: Value, settings: &Settings, url: Option<&str>| {
        let made = openapi::read(&document(servers), "acme", settings, url)?;
        Ok::<_, String>(made.provider.base_url)
    };
    let none = Settings::default();
    let regions = json!([{"url": "https://{region}.acme.example/{v}", "variables": {"region": {"default": "eu"}, "v": {"default": "v2"}}}]);
    let us = Settings {
        server_variables: [("region".to_owned(), "us".to_owned())].into(),
        ..Settings::default()
    };
    let at = Some("https://docs.acme.example/spec/openapi.json");
    let two = json!([{"url": "https://one.example"}, {"url": "https://two.example/v1"}]);
    for (servers, settings, url, expected) in [
        (
            regions.clone(),
            &none,
            None,
            Ok("https://eu.acme.example/v2"),
        ),
        (regions, &us, None, Ok("https://us.acme.example/v2")),
        (
            two.clone(),
            &chosen("https://two.example/v1"),
            None,
            Ok("https://two.example/v1"),
        ),
        (
            two,
            &chosen("https://three.example/"),
            None,
            Ok("https://three.example"),
        ),
        (
            json!([{"url": "/api"}]),
            &none,
            at,
            Ok("https://docs.acme.example/api"),
        ),
        (json!([]), &none, at, Ok("https://docs.acme.example")),
        (json!([]), &none, None, Err("say where the API is")),
        (
            json!([{"url": "https://{x}.example"}]),
            &none,
            None,
            Err("server_variables"),
        ),
        (
            json!([{"url": "https://a.example/${SECRET}"}]),
            &none,
            None,
            Err("variable"),
        ),
        (
            json!([{"url": "https://u:p@a.example"}]),
            &none,
            None,
            Err("user name"),
        ),
        (
            json!([{"url": "ftp://a.example"}]),
            &none,
            None,
            Err("http"),
        ),
        (
            json!([{"url": "https://a.example/?key=1"}]),
            &none,
            None,
            Err("parameters"),
        ),
        (
            json!([{"url": "https://a.example/%2E%2e/x"}]),
            &none,
            None,
            Err("something else"),
        ),
    ] {
        let found = base(servers.clone(), settings, url);
        match expected {
            Ok(expected) => assert_eq!(found.as_deref(), Ok(expected), "{servers}"),
            Err(why) => assert!(
                found.as_ref().is_err_and(|told| told.contains(why)),
                "{servers}: {found:?}"
            ),
        }
    }
}

#[test]
fn keys_go_where_the_schemes_say() {
    let scheme = |scheme: Value, security: Value| {
        with(
            json!({"/x": {"get": {"security": security}}}),
            json!({"components": {"securitySchemes": {"one": scheme, "two": {"type": "apiKey", "in": "query", "name": "app"}}}}),
        )
    };
    let alone = json!([{"one": []}]);
    for (document, key, expected) in [
        (
            scheme(json!({"type": "http", "scheme": "Bearer"}), alone.clone()),
            "K",
            ("authorization", "Bearer K", ""),
        ),
        (
            scheme(json!({"type": "http", "scheme": "basic"}), alone.clone()),
            "u:p",
            ("authorization", "Basic dTpw", ""),
        ),
        (
            scheme(
                json!({"type": "apiKey", "in": "header", "name": "X-API-Key"}),
                alone.clone(),
            ),
            "K",
            ("x-api-key", "K", ""),
        ),
        (
            scheme(
                json!({"type": "apiKey", "in": "query", "name": "k"}),
                alone.clone(),
            ),
            "K",
            ("accept", "application/json", "?k=K"),
        ),
        (
            scheme(
                json!({"type": "apiKey", "in": "header", "name": "api_key"}),
                json!([{"one": [], "two": []}]),
            ),
            "A:B",
            ("api_key", "A", "?app=B"),
        ),
        (
            scheme(
                json!({"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}}}),
                json!([{"one": ["read", "a"]}]),
            ),
            "id:secret",
            ("authorization", "Bearer TOKEN", ""),
        ),
        (
            scheme(
                json!({"type": "oauth2", "flows": {"authorizationCode": {}}}),
                alone,
            ),
            "K",
            ("authorization", "Bearer K", ""),
        ),
    ] {
        let made = read(&document).unwrap();
        let out = sent_by(&made, &json!({}), Some(key));
        assert_eq!(header(&out, expected.0), Some(expected.1), "{document}");
        assert_eq!(
            out.url,
            format!("https://api.acme.example/v1/x{}", expected.2)
        );
        if made.provider.auth.kind == AuthKind::OauthClientCredentials {
            let auth = &made.provider.auth;
            assert_eq!(
                (auth.token_url.as_deref(), auth.scope.as_deref()),
                (Some("https://api.acme.example/oauth/token"), Some("a read"))
            );
        }
    }
}

#[test]
fn an_operation_that_takes_another_key_is_left_out_and_one_that_takes_none_needs_none() {
    let document = with(
        json!({
            "/a": {"get": {}}, "/b": {"get": {}}, "/open": {"get": {"security": []}}, "/either": {"get": {"security": [{}, {"main": []}]}},
            "/cookie": {"get": {"security": [{"jar": []}]}}, "/digest": {"get": {"security": [{"odd": []}, {"main": []}]}},
        }),
        json!({"security": [{"main": []}], "components": {"securitySchemes": {
            "main": {"type": "http", "scheme": "bearer"}, "jar": {"type": "apiKey", "in": "cookie", "name": "s"}, "odd": {"type": "http", "scheme": "digest"},
        }}}),
    );
    let made = read(&document).unwrap();
    let names: Vec<&str> = made
        .provider
        .operation
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["get_a", "get_b", "get_open", "get_either", "get_digest"]
    );
    assert_eq!(
        made.provider.keyless.as_ref().unwrap().operations,
        Some(vec!["get_open".to_owned()])
    );
    assert!(made.left_out.iter().any(|told| told.what == "GET /cookie"));
    let choice = |choice: AuthChoice| {
        let settings = Settings {
            auth: Some(choice),
            ..Settings::default()
        };
        openapi::read(&document, "acme", &settings, None)
    };
    let own = AuthChoice {
        kind: Some(AuthKind::Header),
        name: Some("X-Own".into()),
        prefix: Some("Token ".into()),
        ..AuthChoice::default()
    };
    let made = choice(own.clone()).unwrap();
    assert_eq!(
        (
            made.provider.operation.len(),
            made.provider.auth.name.as_deref()
        ),
        (6, Some("x-own"))
    );
    assert_eq!(
        header(&sent_by(&made, &json!({}), Some("K")), "x-own"),
        Some("Token K")
    );
    for wrong in [
        AuthChoice {
            name: Some("host".into()),
            ..own.clone()
        },
        AuthChoice {
            kind: Some(AuthKind::Path),
            ..own.clone()
        },
        AuthChoice {
            kind: Some(AuthKind::SigV4),
            ..own.clone()
        },
        AuthChoice {
            kind: Some(AuthKind::OauthClientCredentials),
            token_url: Some("https://a.example/${X}".into()),
            ..own.clone()
        },
        AuthChoice {
            prefix: Some("a\r\nb".into()),
            ..own
        },
        AuthChoice {
            scheme: Some("nothing".into()),
            ..AuthChoice::default()
        },
    ] {
        assert!(choice(wrong.clone()).is_err(), "{wrong:?}");
    }
}

#[test]
fn documents_that_are_none_are_told_so() {
    for (document, why) in [
        (json!([]), "not a JSON object"),
        (json!({"swagger": "2.0"}), "Swagger 2.0"),
        (json!({"openapi": "2.0"}), "no OpenAPI 3"),
        (
            json!({"openapi": "3.1.0", "servers": [{"url": "https://a.example"}]}),
            "No operation",
        ),
    ] {
        let told = read(&document).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn what_is_beyond_the_bounds_is_left_out_and_can_be_chosen() {
    let paths: serde_json::Map<String, Value> = (0..MAX_OPERATIONS + 30)
        .map(|n| (format!("/p{n:03}"), json!({"get": {}})))
        .collect();
    let document = with(paths.into(), json!({}));
    let made = read(&document).unwrap();
    assert_eq!(made.provider.operation.len(), MAX_OPERATIONS);
    assert!(
        made.left_out[0].why.contains("30 operations beyond"),
        "{:?}",
        made.left_out
    );
    let settings = Settings {
        include: Some(vec!["get_p22*".into()]),
        exclude: vec!["get_p221".into()],
        ..Settings::default()
    };
    let made = openapi::read(&document, "acme", &settings, None).unwrap();
    assert_eq!((made.provider.operation.len(), made.left_out.len()), (9, 0));
    let wide: serde_json::Map<String, Value> = (0..100)
        .map(|n| {
            (
                format!("field_{n}"),
                json!({"type": "string", "description": "x".repeat(90)}),
            )
        })
        .collect();
    let one = json!({"post": {"requestBody": {"content": {"application/json": {"schema": {"properties": wide}}}}}});
    let paths: serde_json::Map<String, Value> =
        (0..60).map(|n| (format!("/p{n}"), one.clone())).collect();
    let made = read(&with(paths.into(), json!({}))).unwrap();
    let size = serde_json::to_string(&made.provider).unwrap().len();
    assert!(size < super::MAX_ROWS_BYTES + 10_000, "{size}");
    assert!(
        made.left_out
            .iter()
            .any(|told| told.why.contains("no room"))
    );
}
