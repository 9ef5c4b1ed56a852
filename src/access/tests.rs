//! Addresses and headers, by scheme.

use serde_json::{Value, json};

use super::*;
use crate::dialects::NativeRequest;

/// 2015-08-30T12:36:00Z
pub const TIME: u64 = 1_440_938_160_000;

/// A provider's row with these fields over plain ones.
pub fn provider(fields: Value) -> Provider {
    let mut row = json!({
        "slug": "p", "name": "Cloud", "dialect": "openai_chat", "base_url": "https://a.example/v1",
        "auth": {"kind": "bearer"}, "secret": "KEY",
    });
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
    serde_json::from_value(row).unwrap()
}

pub fn request(path: &str) -> NativeRequest {
    NativeRequest {
        path: path.into(),
        headers: vec![("x-version", "1".into())],
        body: b"{}".to_vec(),
        dropped: Vec::new(),
    }
}

fn assembled(provider: &Provider, own: Option<&str>, set: &[(&str, &str)]) -> Result<Outgoing> {
    let variable = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let access = Access::of(provider, own, &variable)?;
    access.assemble(&request("/chat"), Some("the-token"), TIME)
}

#[test]
fn a_key_goes_where_the_scheme_says() {
    let oauth = json!({"kind": "oauth_client_credentials", "token_url": "https://t.example", "client_id": "ID"});
    let jwt = json!({"kind": "signed_jwt", "token_url": "https://t.example", "scope": "s"});
    for (auth, url, header) in [
        (
            json!({"kind": "bearer"}),
            "",
            Some(("authorization", "Bearer u:k")),
        ),
        (
            json!({"kind": "header", "name": "api-key"}),
            "",
            Some(("api-key", "u:k")),
        ),
        (json!({"kind": "query", "name": "key"}), "?key=u:k", None),
        (
            json!({"kind": "basic"}),
            "",
            Some(("authorization", "Basic dTpr")),
        ),
        (oauth, "", Some(("authorization", "Bearer the-token"))),
        (jwt, "", Some(("authorization", "Bearer the-token"))),
    ] {
        let provider = provider(json!({"auth": auth}));
        let outgoing = assembled(&provider, None, &[("KEY", "u:k")]).unwrap();
        assert_eq!(outgoing.url, format!("https://a.example/v1/chat{url}"));
        let names: Vec<&str> = outgoing
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = ["user-agent", "content-type", "x-version"];
        let expected: Vec<&str> = expected
            .into_iter()
            .chain(header.map(|(name, _)| name))
            .collect();
        assert_eq!(names, expected, "{auth}");
        if let Some((_, value)) = header {
            assert_eq!(outgoing.headers.last().unwrap().1, value);
        }
    }
}

#[test]
fn a_secret_that_is_optional_is_sent_where_it_is_set() {
    let required = provider(json!({}));
    let error = assembled(&required, None, &[]).err().unwrap();
    assert_eq!(
        error.message,
        "Cloud is not configured: the secret KEY is not set"
    );
    let optional = provider(json!({"secret_optional": true}));
    let outgoing = assembled(&optional, None, &[]).unwrap();
    assert!(
        outgoing
            .headers
            .iter()
            .all(|(name, _)| name != "authorization")
    );
    let outgoing = assembled(&optional, None, &[("KEY", "k")]).unwrap();
    assert_eq!(outgoing.headers.last().unwrap().1, "Bearer k");
    let outgoing = assembled(&optional, Some("mine"), &[("KEY", "k")]).unwrap();
    assert_eq!(outgoing.headers.last().unwrap().1, "Bearer mine");
}

#[test]
fn an_address_takes_variables_defaults_and_what_follows_from_them() {
    let account = r#"{"project_id": "my-project", "client_email": "a@b", "private_key": "x"}"#;
    let vertex = provider(json!({
        "base_url": "https://${GOOGLE_VERTEX_ENDPOINT}/v1/projects/${GOOGLE_VERTEX_PROJECT}/locations/${GOOGLE_VERTEX_LOCATION}",
        "auth": {"kind": "signed_jwt", "token_url": "https://t.example", "scope": "s"},
        "key_format": "service_account", "defaults": {"GOOGLE_VERTEX_LOCATION": "global"},
    }));
    let azure = provider(json!({
        "base_url": "https://${AZURE_RESOURCE_NAME}.openai.azure.com/openai", "key_format": "azure",
        "query": "api-version=${AZURE_API_VERSION}", "defaults": {"AZURE_API_VERSION": "2024-10-21"},
    }));
    let at = |host: &str, project: &str, location: &str| {
        Ok(format!(
            "https://{host}/v1/projects/{project}/locations/{location}/chat"
        ))
    };
    let missing = |name: &str| {
        Err(format!(
            "Cloud is not configured: the variable {name} is not set"
        ))
    };
    let google = ("KEY", account);
    for (provider, set, url) in [
        (
            &vertex,
            vec![google],
            at("aiplatform.googleapis.com", "my-project", "global"),
        ),
        (
            &vertex,
            vec![google, ("GOOGLE_VERTEX_LOCATION", "europe-west4")],
            at(
                "europe-west4-aiplatform.googleapis.com",
                "my-project",
                "europe-west4",
            ),
        ),
        (
            &vertex,
            vec![
                google,
                ("GOOGLE_VERTEX_LOCATION", "eu"),
                ("GOOGLE_VERTEX_PROJECT", "other"),
            ],
            at("aiplatform.eu.rep.googleapis.com", "other", "eu"),
        ),
        (
            &vertex,
            vec![("KEY", "{}")],
            missing("GOOGLE_VERTEX_PROJECT"),
        ),
        (&azure, vec![("KEY", "k")], missing("AZURE_RESOURCE_NAME")),
        (
            &azure,
            vec![("KEY", "k"), ("AZURE_RESOURCE_NAME", "mine")],
            Ok("https://mine.openai.azure.com/openai/chat?api-version=2024-10-21".to_owned()),
        ),
    ] {
        let outgoing = assembled(provider, None, &set);
        let told = outgoing
            .map(|outgoing| outgoing.url)
            .map_err(|error| error.message);
        assert_eq!(told, url);
    }
}

#[test]
fn a_key_for_aws_is_sent_or_signs_and_says_for_which_region() {
    let bedrock = provider(json!({
        "base_url": "https://bedrock-runtime.${AWS_REGION}.amazonaws.com", "key_format": "aws",
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION"}, "defaults": {"AWS_REGION": "us-east-1"},
    }));
    let keys = r#"{"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "s"}"#;
    let of_ireland =
        r#"{"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "s", "region": "eu-west-1"}"#;
    let of_oregon =
        r#"{"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "s", "region": "us-west-2"}"#;
    let called = |own: Option<&str>, set: &[(&str, &str)]| {
        let outgoing = assembled(&bedrock, own, set)?;
        let header = |wanted: &str| {
            let mut headers = outgoing.headers.iter();
            let found = headers.find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let (authorization, time) = (header("authorization"), header("x-amz-date"));
        Ok::<_, Error>((outgoing.url, authorization, time))
    };
    let host = |region: &str| format!("https://bedrock-runtime.{region}.amazonaws.com/chat");
    for (own, set, region) in [
        (None, vec![("KEY", keys)], "us-east-1"),
        (
            None,
            vec![("KEY", keys), ("AWS_REGION", "us-west-2")],
            "us-west-2",
        ),
        (
            None,
            vec![("KEY", of_ireland), ("AWS_REGION", "us-west-2")],
            "eu-west-1",
        ),
        (
            Some(of_ireland),
            vec![("KEY", keys), ("AWS_REGION", "us-west-2")],
            "eu-west-1",
        ),
    ] {
        let (url, authorization, time) = called(own, &set).unwrap();
        assert_eq!((url, time.as_str()), (host(region), "20150830T123600Z"));
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/{region}/bedrock/aws4_request, SignedHeaders=host;x-amz-date;x-version, "
        );
        assert!(authorization.starts_with(&signed), "{authorization}");
    }
    let in_america = provider(json!({
        "base_url": "https://${AWS_REGION_US}.example", "key_format": "aws",
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION_US", "within": "us-"},
    }));
    for (key, region) in [
        (keys, "us-east-2"),
        (of_ireland, "us-east-2"),
        (of_oregon, "us-west-2"),
    ] {
        let outgoing = assembled(
            &in_america,
            None,
            &[("KEY", key), ("AWS_REGION_US", "us-east-2")],
        );
        assert_eq!(
            outgoing.unwrap().url,
            format!("https://{region}.example/chat")
        );
    }
    let bearer = called(Some("ABSKkey"), &[("AWS_REGION", "eu-west-1")]).unwrap();
    assert_eq!(
        bearer,
        (host("eu-west-1"), "Bearer ABSKkey".into(), String::new())
    );
    for set in [
        vec![("KEY", keys), ("AWS_REGION", "evil.example/")],
        vec![("KEY", r#"{"accessKeyId": "HIDDEN"}"#)],
    ] {
        let error = called(None, &set).unwrap_err();
        assert!(
            error.message.starts_with("Cloud is not configured"),
            "{}",
            error.message
        );
        assert!(!error.message.contains("HIDDEN"));
    }
}
