//! Forms of keys: what is read, refused, served and hidden.

use super::*;
use crate::access::tests::provider;
use serde_json::json;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\\nAQID\\n-----END PRIVATE KEY-----\\n";

fn account(fields: &str) -> String {
    format!(
        r#"{{"type": "service_account", "client_email": "a@b", "private_key": "{PEM}", "private_key_id": "abcdef012345"{fields}}}"#
    )
}

#[test]
fn keys_of_clouds_are_read_in_their_forms_alone() {
    let deployment = |url: &str| {
        json!([{"api_key": "k", "model_slug": "a/b", "model_id": "mine", "endpoint_url": url}])
            .to_string()
    };
    let resource = |name: &str, kind: &str| {
        json!([{"api_key": "k", "resource_name": name, "resource_type": kind}]).to_string()
    };
    for (text, format, is_fine) in [
        ("sk-1".to_owned(), KeyFormat::Plain, true),
        ("{}".to_owned(), KeyFormat::Plain, false),
        (resource("mine", "openai"), KeyFormat::Azure, true),
        (resource("mine", "ai_foundry"), KeyFormat::Azure, true),
        (
            json!({"api_key": "k", "resource_name": "mine"}).to_string(),
            KeyFormat::Azure,
            true,
        ),
        (resource("mine", "other"), KeyFormat::Azure, false),
        (resource("evil.example/", "openai"), KeyFormat::Azure, false),
        (resource("", "openai"), KeyFormat::Azure, false),
        ("[]".to_owned(), KeyFormat::Azure, false),
        ("sk-1".to_owned(), KeyFormat::Azure, false),
        (
            json!([{"api_key": "a b", "resource_name": "mine"}]).to_string(),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment(
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
            KeyFormat::Azure,
            true,
        ),
        (
            deployment("https://x.eastus.models.ai.azure.com/v1/chat/completions"),
            KeyFormat::Azure,
            true,
        ),
        (
            deployment("https://x.openai.azure.com/openai/deployments/d"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("http://x.openai.azure.com/chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://openai.azure.com.evil.example/chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://evil.example/.openai.azure.com/chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://user@x.openai.azure.com/chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://x.openai.azure.com:1/chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://x.openai.azure.com/../chat/completions"),
            KeyFormat::Azure,
            false,
        ),
        (
            deployment("https://x.openai.azure.com/chat/completions?a=b#c"),
            KeyFormat::Azure,
            false,
        ),
        (
            account(r#", "project_id": "p-1""#),
            KeyFormat::ServiceAccount,
            true,
        ),
        (
            account(r#", "project_id": "p-1", "region": "europe-west4""#),
            KeyFormat::ServiceAccount,
            true,
        ),
        (account(""), KeyFormat::ServiceAccount, false),
        (
            account(r#", "project_id": "p/1""#),
            KeyFormat::ServiceAccount,
            false,
        ),
        (
            account(r#", "project_id": "p-1", "region": "evil.example/""#),
            KeyFormat::ServiceAccount,
            false,
        ),
        (
            account(r#", "project_id": "p-1""#).replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE"),
            KeyFormat::ServiceAccount,
            false,
        ),
    ] {
        let read = KeyForm::read(&text, format);
        assert_eq!(read.is_ok(), is_fine, "{text}: {read:?}");
        if let Ok(form) = read {
            assert!(KeyForm::of(&text) == form, "{text}");
        }
    }
}

#[test]
fn a_key_is_known_by_the_end_of_its_secret_and_hides_what_is_secret_in_it() {
    let azure = r#"[{"api_key": "azure-secret-9876", "resource_name": "mine"}]"#;
    let google = account(r#", "project_id": "p-1""#);
    for (text, tail, secrets) in [
        ("sk-1234", "sk-1234", 0),
        (azure, "azure-secret-9876", 1),
        (&google, "abcdef012345", 1),
    ] {
        let form = KeyForm::of(text);
        assert_eq!(form.tail(text), tail);
        assert_eq!(form.secrets().count(), secrets);
        assert!(!format!("{form:?}").contains("secret"));
    }
}

#[test]
fn an_azure_key_serves_what_its_entries_name() {
    let openai = provider(
        json!({"key_format": "azure", "base_url": "https://${AZURE_RESOURCE_NAME}.openai.azure.com/openai/v1"}),
    );
    let foundry = provider(
        json!({"key_format": "azure", "base_url": "https://${AZURE_FOUNDRY_RESOURCE_NAME}.services.ai.azure.com/models"}),
    );
    let claude = provider(json!({
        "key_format": "azure", "base_url": "https://${AZURE_FOUNDRY_RESOURCE_NAME}.services.ai.azure.com/anthropic",
        "dialect": "anthropic_messages",
    }));
    let resource =
        |kind: &str| json!({"api_key": "k", "resource_name": "mine", "resource_type": kind});
    let deployment = json!({
        "api_key": "k", "model_slug": "a/b", "model_id": "mine", "endpoint_url": "https://x.openai.azure.com/openai/v1/chat/completions"
    });
    for (entry, provider, model, serves) in [
        (resource("openai"), &openai, "a/b", true),
        (resource("openai"), &foundry, "a/b", false),
        (resource("ai_foundry"), &foundry, "a/b", true),
        (resource("ai_foundry"), &claude, "a/b", true),
        (deployment.clone(), &openai, "a/b", true),
        (deployment.clone(), &openai, "a/c", false),
        (deployment, &claude, "a/b", true),
    ] {
        let form = KeyForm::of(&json!([entry]).to_string());
        assert_eq!(
            form.serves(provider, model),
            serves,
            "{entry} {}",
            provider.base_url
        );
    }
    assert!(
        !KeyForm::Plain.serves(&openai, "a/b"),
        "a bare key says no resource"
    );
}

#[test]
fn a_key_for_aws_is_an_api_key_or_access_keys_with_their_region() {
    let keys = |region: &str| {
        json!({"accessKeyId": "AKIDEXAMPLE1", "secretAccessKey": "hidden", "region": region})
            .to_string()
    };
    let format = KeyFormat::Aws;
    let bedrock = provider(json!({
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION"}, "key_format": "aws",
    }));
    let in_america = provider(json!({
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION_US", "within": "us-"}, "key_format": "aws",
    }));
    let american = KeyForm::read(&keys("us-west-2"), format).unwrap();
    assert!(american.serves(&in_america, "a/b") && american.serves(&bedrock, "a/b"));
    for (text, tail, secrets) in [
        ("ABSKkey".to_owned(), "ABSKkey", vec![]),
        (keys("eu-west-1"), "AKIDEXAMPLE1", vec!["hidden"]),
    ] {
        let form = KeyForm::read(&text, format).unwrap();
        assert_eq!(form, KeyForm::of(&text));
        assert!(form.serves(&bedrock, "a/b") && !form.serves(&in_america, "a/b"));
        assert_eq!(form.tail(&text), tail);
        assert_eq!(form.secrets().collect::<Vec<_>>(), secrets);
        assert!(!format!("{form:?}").contains("hidden"));
    }
    for text in [
        keys("x.evil.example/"),
        json!({"accessKeyId": "AKID", "secretAccessKey": "hidden"}).to_string(),
        account(""),
        "two words".to_owned(),
    ] {
        let error = KeyForm::read(&text, format).unwrap_err();
        assert!(!error.contains("hidden"), "{error}");
    }
}
