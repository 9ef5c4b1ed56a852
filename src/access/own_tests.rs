//! Calls with an account's own key of a cloud.

use serde_json::json;

use super::*;
use crate::{
    access::{
        Access,
        tests::{provider, request},
    },
    catalog::Endpoint,
};

fn route(provider: Provider) -> Route {
    let endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "b", "context_length": 1000,
        "prices": {"prompt": 0, "completion": 0}, "supported_parameters": [],
        "input_modalities": ["text"], "output_modalities": ["text"],
    }))
    .unwrap();
    Route {
        endpoint: Rc::new(endpoint),
        provider: Rc::new(provider),
    }
}

/// Address, model and secret of a call where the operator's own resources are set.
fn called(route: &Route, key: &str) -> (String, String, String) {
    let (local, secret) = localised(route, &KeyForm::of(key)).unwrap();
    let secret = secret.unwrap_or_else(|| key.to_owned());
    let operators = |name: &str| match name {
        "GOOGLE_VERTEX_LOCATION" => Some("europe-west4".to_owned()),
        _ => Some("operators".to_owned()),
    };
    let operators: &dyn Fn(&str) -> Option<String> = &|name| match name {
        "GOOGLE_VERTEX_ENDPOINT" => None,
        _ => operators(name),
    };
    let access = Access::of(&local.provider, Some(&secret), operators).unwrap();
    let outgoing = access
        .assemble(&request("/chat/completions"), Some("t"), 0)
        .unwrap();
    (
        outgoing.url,
        local.endpoint.upstream_model_id.clone(),
        secret,
    )
}

#[test]
fn an_azure_key_takes_the_call_to_its_own_resource_or_deployment() {
    let route = route(provider(json!({
        "key_format": "azure", "base_url": "https://${AZURE_RESOURCE_NAME}.openai.azure.com/openai/v1",
        "auth": {"kind": "header", "name": "api-key"},
    })));
    let resource = json!({"api_key": "r", "resource_name": "mine", "resource_type": "openai"});
    let deployment = json!({
        "api_key": "d", "model_slug": "a/b", "model_id": "my-b",
        "endpoint_url": "https://x.openai.azure.com/openai/deployments/my-b/chat/completions?api-version=1",
    });
    let mine = "https://mine.openai.azure.com/openai/v1/chat/completions";
    let told = called(&route, &json!([resource]).to_string());
    assert_eq!(told, (mine.into(), "b".into(), "r".into()));
    let told = called(&route, &json!([resource, deployment]).to_string());
    let address =
        "https://x.openai.azure.com/openai/deployments/my-b/chat/completions?api-version=1";
    assert_eq!(told, (address.into(), "my-b".into(), "d".into()));
}

#[test]
fn a_service_account_takes_the_call_to_its_own_project_and_region() {
    let route = route(provider(json!({
        "key_format": "service_account",
        "base_url": "https://${GOOGLE_VERTEX_ENDPOINT}/${GOOGLE_VERTEX_PROJECT}/${GOOGLE_VERTEX_LOCATION}",
        "auth": {"kind": "signed_jwt", "token_url": "https://t.example", "scope": "s"},
    })));
    let key = |region: Option<&str>| {
        json!({
            "project_id": "mine", "client_email": "a@b", "region": region,
            "private_key": "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----",
        })
        .to_string()
    };
    for (region, address) in [
        (
            Some("us"),
            "https://aiplatform.us.rep.googleapis.com/mine/us/chat/completions",
        ),
        (
            None,
            "https://europe-west4-aiplatform.googleapis.com/mine/europe-west4/chat/completions",
        ),
    ] {
        let key = key(region);
        assert_eq!(called(&route, &key), (address.into(), "b".into(), key));
    }
}

#[test]
fn an_operation_with_an_address_of_its_own_goes_to_the_keys_own_resource_too() {
    use crate::catalog::Operation;
    let base = |local: &Route| {
        let wire = local.provider.wire(Operation::Embeddings).unwrap();
        wire.base_url.clone()
    };
    let embeddings = |url: &str| json!({"embeddings": {"dialect": "openai", "base_url": url}});
    let azure = route(provider(json!({
        "key_format": "azure", "base_url": "https://${AZURE_RESOURCE_NAME}.openai.azure.com/openai/v1",
        "auth": {"kind": "header", "name": "api-key"},
        "operations": embeddings("https://${AZURE_RESOURCE_NAME}.cognitiveservices.azure.com/openai/v1"),
    })));
    let resource = json!({"api_key": "r", "resource_name": "mine", "resource_type": "openai"});
    let (local, _) = localised(&azure, &KeyForm::of(&resource.to_string())).unwrap();
    assert_eq!(
        base(&local).as_deref(),
        Some("https://mine.cognitiveservices.azure.com/openai/v1")
    );
    let deployment = json!({
        "api_key": "d", "model_slug": "a/b", "model_id": "my-b",
        "endpoint_url": "https://x.openai.azure.com/openai/deployments/my-b/embeddings?api-version=1",
    });
    let (local, _) = localised(&azure, &KeyForm::of(&deployment.to_string())).unwrap();
    assert_eq!(
        (base(&local), local.provider.base_url.as_str()),
        (None, "https://x.openai.azure.com/openai/deployments/my-b"),
        "a deployment is the address of its operation"
    );
}
