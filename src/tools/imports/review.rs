//! What of a source runs: what its owner accepted and the last reading still says, word for word.
//!
//! A document or server may change after it was looked at (a "rug pull"): a description that now tells a model to do something else, a
//! path that now deletes, another host. What changed stays off, and so does what is new, until the owner accepts it. What is gone is off.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    CATEGORY,
    name::operation as named,
    settings::Settings,
    text::{MAX_DESCRIPTION, MAX_TITLE, clean},
};
use crate::{
    credits::money::Nanos,
    tools::catalog::{Effect, Operation, Price, Retry, RetryKind, ToolProvider},
};

/// What tells one reading of a source from another, in hex.
pub fn digest(provider: &ToolProvider) -> String {
    let text = serde_json::to_string(provider).unwrap_or_default();
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a provider's calls go, and with what.
fn address(provider: &ToolProvider) -> Value {
    let remote = provider.remote.as_ref().map(|remote| remote.url.as_str());
    json!({
        "server": provider.base_url,
        "remote": remote,
        "auth": provider.auth,
        "key_fields": provider.key_fields,
        "headers": provider.headers,
        "query": provider.query,
    })
}

/// What of an operation its owner looked at, by name.
fn parts(provider: &ToolProvider, operation: &Operation) -> [(&'static str, Value); 6] {
    let request = serde_json::to_value(&operation.request).unwrap_or_default();
    let is_keyless = provider.keyless.as_ref().and_then(|keyless| {
        let these = keyless.operations.as_ref()?;
        Some(these.contains(&operation.name))
    });
    [
        ("title", operation.title.as_str().into()),
        ("description", operation.description.as_str().into()),
        ("effect", operation.effect.as_str().into()),
        ("input", operation.input.value().clone()),
        (
            "address",
            json!([address(provider), request, operation.remote, is_keyless]),
        ),
        (
            "response",
            serde_json::to_value(&operation.response).unwrap_or_default(),
        ),
    ]
}

fn find<'a>(provider: &'a ToolProvider, name: &str) -> Option<&'a Rc<Operation>> {
    provider.operation.iter().find(|one| one.name == name)
}

/// What a new reading would change of what was accepted.
pub fn changes(accepted: &ToolProvider, pending: &ToolProvider) -> Vec<Value> {
    let mut told = Vec::new();
    for operation in &accepted.operation {
        let name = &operation.name;
        let Some(new) = find(pending, name) else {
            told.push(json!({"operation": name, "change": "removed"}));
            continue;
        };
        let (before, after) = (parts(accepted, operation), parts(pending, new));
        let changed = before.iter().zip(&after).filter(|(one, two)| one != two);
        let (mut fields, mut was, mut is) = (Vec::new(), Map::new(), Map::new());
        for ((field, one), (_, two)) in changed {
            fields.push(*field);
            was.insert((*field).to_owned(), one.clone());
            is.insert((*field).to_owned(), two.clone());
        }
        if !fields.is_empty() {
            told.push(json!({
                "operation": name, "change": "changed", "fields": fields, "before": was, "after": is,
            }));
        }
    }
    let new = pending.operation.iter();
    let new = new.filter(|one| find(accepted, &one.name).is_none());
    told.extend(new.map(|one| {
        json!({
            "operation": one.name, "change": "added",
            "after": {"title": one.title, "description": one.description, "effect": one.effect.as_str()},
        })
    }));
    told
}

/// Whether an accepted operation is what the last reading says.
pub fn stands(accepted: &ToolProvider, pending: Option<&ToolProvider>, name: &str) -> bool {
    let Some(pending) = pending else {
        return true;
    };
    match (find(accepted, name), find(pending, name)) {
        (Some(one), Some(two)) => parts(accepted, one) == parts(pending, two),
        _ => false,
    }
}

/// The provider that runs: what stands of what was accepted, with its owner's choices.
pub fn live(
    accepted: &ToolProvider,
    pending: Option<&ToolProvider>,
    settings: &Settings,
    owner: Option<&str>,
) -> ToolProvider {
    let wanted = accepted.operation.iter();
    let wanted = wanted
        .filter(|one| settings.admits(&one.name) && stands(accepted, pending, &one.name))
        .map(|one| Rc::new(chosen(one, settings)));
    let operation: Vec<Rc<Operation>> = wanted.collect();
    let mut keyless = accepted.keyless.clone();
    if let Some(names) = keyless
        .as_mut()
        .and_then(|keyless| keyless.operations.as_mut())
    {
        for name in names {
            let other = settings.operations.get(name);
            if let Some(other) = other.and_then(|choice| choice.name.clone()) {
                *name = other;
            }
        }
    }
    ToolProvider {
        name: settings
            .name
            .as_deref()
            .map_or_else(|| accepted.name.clone(), |name| clean(name, MAX_TITLE)),
        category: settings.category.clone().unwrap_or_else(|| CATEGORY.into()),
        owner: owner.map(str::to_owned),
        secret: settings.secret.clone().filter(|_| owner.is_none()),
        keyless,
        operation,
        ..accepted.clone()
    }
}

/// An operation with what its owner chose for it.
fn chosen(operation: &Operation, settings: &Settings) -> Operation {
    let mut made = operation.clone();
    let price = settings.price.as_ref();
    made.price = Price {
        call: price
            .and_then(|price| Nanos::from_dollars(&price.to_string()).ok())
            .unwrap_or_default(),
        ..Price::default()
    };
    let Some(choice) = settings.operations.get(&operation.name) else {
        return made;
    };
    if let Some(name) = &choice.name {
        made.name.clone_from(name);
    }
    if let Some(text) = &choice.description {
        made.description = clean(text, MAX_DESCRIPTION);
    }
    if let Some(effect) = choice.effect {
        made.effect = effect;
        made.retry = Retry {
            kind: match effect {
                Effect::Read => RetryKind::Safe,
                _ => RetryKind::None,
            },
            ..Retry::default()
        };
    }
    made
}

/// Checks choices by themselves: before anything is read, for the reading may use the key that they name.
///
/// # Errors
/// The field, and what is wrong with it.
pub fn check_settings(settings: &Settings, is_operators: bool) -> Result<(), (String, String)> {
    let wrong = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
    let is_word = |text: &str| {
        (2..=24).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    if settings
        .category
        .as_deref()
        .is_some_and(|word| !is_word(word))
    {
        return wrong("category", "A category is a word of a-z and _");
    }
    if settings
        .name
        .as_deref()
        .is_some_and(|name| clean(name, MAX_TITLE).is_empty())
    {
        return wrong("name", "The name is empty");
    }
    if !is_operators && settings.secret.is_some() {
        return wrong("secret", "An account's sources are called with its own key");
    }
    if !is_operators && settings.price.is_some() {
        return wrong("price", "An account's sources are free");
    }
    if let Some(price) = &settings.price
        && !Nanos::from_dollars(&price.to_string()).is_ok_and(|price| price >= Nanos::ZERO)
    {
        return wrong("price", "The price of a call is an amount of dollars");
    }
    let is_secret = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if settings
        .secret
        .as_deref()
        .is_some_and(|name| !is_secret(name))
    {
        return wrong(
            "secret",
            "secret is the name of a secret of the deployment: A-Z, 0-9 and _",
        );
    }
    Ok(())
}

/// Checks choices against the operations that they are for.
///
/// # Errors
/// The field, and what is wrong with it.
pub fn check(provider: &ToolProvider, settings: &Settings) -> Result<(), (String, String)> {
    let wrong = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
    let mut names = std::collections::BTreeSet::new();
    for operation in &provider.operation {
        let choice = settings.operations.get(&operation.name);
        let own = choice.and_then(|choice| choice.name.as_ref());
        let field = format!("operations.{}.name", operation.name);
        if let Some(own) = own
            && named(&provider.slug, own, &mut Default::default()) != *own
        {
            return wrong(
                &field,
                "A name is a-z, 0-9 and _, a letter first, and short enough for provider__name to have 60 characters",
            );
        }
        if !names.insert(own.unwrap_or(&operation.name)) {
            return wrong(&field, "Another operation has this name");
        }
    }
    let unknown = settings
        .operations
        .keys()
        .find(|name| find(provider, name).is_none());
    match unknown {
        Some(name) => wrong(
            &format!("operations.{}", clean(name, MAX_TITLE)),
            "The source has no operation of this name",
        ),
        None => Ok(()),
    }
}
