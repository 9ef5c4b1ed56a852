//! An account's own key in the place of the deployment's variables: the route and the secret of one call.
//!
//! Resource and project never come from the deployment: an account's key must not reach the operator's own. A region that the key
//! does not say does.

use std::rc::Rc;

use super::key::{
    AZURE_FOUNDRY, AZURE_RESOURCE, AzurePlace, KeyForm, VERTEX_ENDPOINT, VERTEX_LOCATION,
    VERTEX_PROJECT, vertex_host,
};
use crate::catalog::{PathStyle, Provider, Route};

/// The route as a key of this form takes it, and the secret to send where it is not the key's whole text. Nothing for a key that
/// says no more than the secret.
pub fn localised(route: &Route, form: &KeyForm) -> Option<(Route, Option<String>)> {
    match form {
        // The region of access keys is read where they sign.
        KeyForm::Plain | KeyForm::Aws(_) => None,
        KeyForm::ServiceAccount(account) => {
            let mut provider = Provider::clone(&route.provider);
            put(&mut provider, VERTEX_PROJECT, &account.project_id);
            if let Some(region) = &account.region {
                put(&mut provider, VERTEX_ENDPOINT, &vertex_host(region));
                put(&mut provider, VERTEX_LOCATION, region);
            }
            Some((with_provider(route, provider), None))
        }
        KeyForm::Azure(keys) => {
            let model = &route.endpoint.model;
            let is_deployment = |place: &AzurePlace| matches!(place, AzurePlace::Deployment { .. });
            let fitting = keys.iter().filter(|key| key.is_for(&route.provider, model));
            // What is said of the model itself comes before what is said of a resource.
            let key = fitting.min_by_key(|key| !is_deployment(&key.place))?;
            let route = match &key.place {
                AzurePlace::Resource { name, .. } => {
                    let mut provider = Provider::clone(&route.provider);
                    put(&mut provider, AZURE_RESOURCE, name);
                    put(&mut provider, AZURE_FOUNDRY, name);
                    with_provider(route, provider)
                }
                AzurePlace::Deployment {
                    query, model_id, ..
                } => {
                    let mut provider = Provider::clone(&route.provider);
                    let (dialect, base) = key.place.spoken()?;
                    base.clone_into(&mut provider.base_url);
                    // The deployment is the address of every operation.
                    for wire in provider.operations.values_mut() {
                        wire.base_url = None;
                    }
                    provider.query.clone_from(query);
                    provider.path_style = PathStyle::Dialect;
                    let mut endpoint = (*route.endpoint).clone();
                    endpoint.upstream_model_id.clone_from(model_id);
                    endpoint.dialect = Some(dialect);
                    Route {
                        endpoint: Rc::new(endpoint),
                        provider: Rc::new(provider),
                    }
                }
            };
            Some((route, Some(key.api_key.clone())))
        }
    }
}

fn with_provider(route: &Route, provider: Provider) -> Route {
    Route {
        endpoint: Rc::clone(&route.endpoint),
        provider: Rc::new(provider),
    }
}

/// Puts a value where a variable stood in the address.
fn put(provider: &mut Provider, variable: &str, value: &str) {
    let place = format!("${{{variable}}}");
    provider.base_url = provider.base_url.replace(&place, value);
    let wires = provider.operations.values_mut();
    for base_url in wires.filter_map(|wire| wire.base_url.as_mut()) {
        *base_url = base_url.replace(&place, value);
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
