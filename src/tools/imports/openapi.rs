//! An OpenAPI document as a provider: its server, its authentication, and each operation that the connector can carry out.
//!
//! Spec: OpenAPI 3.0 and 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>), as JSON. What an operation needs and the connector
//! does not have (bodies of several parts, cookies, another host) leaves it out, with the reason. Extensions (`x-…`), callbacks,
//! links, examples and webhooks are not looked at.

use std::{collections::BTreeSet, rc::Rc};

use serde_json::Value;

use super::{
    Imported, MAX_OPERATIONS, MAX_ROWS_BYTES, Told,
    auth::{self, Requirement, Scheme},
    name,
    operation::{self, Part},
    settings::Settings,
    shape::resolve,
    text::{MAX_TITLE, clean},
};
use crate::{
    server_tools::Address,
    tools::catalog::{AuthKind, Keyless, Source, ToolProvider},
};

/// The methods that are looked at, in this order.
const METHODS: [&str; 8] = [
    "get", "post", "put", "patch", "delete", "head", "options", "trace",
];
/// The most notes about what was left out.
const MAX_NOTES: usize = 300;
/// The longest name of an operation in a note.
const MAX_PLACE: usize = 120;

/// A document's provider.
///
/// # Errors
/// Why nothing can be made of it: a sentence.
pub fn read(
    document: &Value,
    slug: &str,
    settings: &Settings,
    url: Option<&str>,
) -> Result<Imported, String> {
    check_version(document)?;
    let base = server(document, settings, url)?;
    let mut reading = Reading {
        document,
        slug,
        settings,
        base: &base,
        made: Imported::default(),
    };
    let parts = reading.parts();
    let scheme = reading.scheme(&parts)?;
    reading.operations(&parts, scheme);
    let mut made = reading.made;
    made.left_out.truncate(MAX_NOTES);
    made.weakened.truncate(MAX_NOTES);
    let title = document.pointer("/info/title").and_then(Value::as_str);
    let provider = &mut made.provider;
    provider.slug = slug.to_owned();
    provider.source = Source::Openapi;
    provider.name = clean(title.unwrap_or(slug), MAX_TITLE);
    if provider.name.is_empty() {
        provider.name = slug.to_owned();
    }
    provider.base_url = base.to_string().trim_end_matches('/').to_owned();
    if provider.operation.is_empty() {
        let why = made.left_out.first();
        let why = why.map_or(String::new(), |one| format!(" ({}: {})", one.what, one.why));
        return Err(format!("No operation of the document can be used{why}"));
    }
    Ok(made)
}

/// A name for the source, as far as the document has one.
pub fn slug(document: &Value) -> Option<String> {
    name::slug(document.pointer("/info/title")?.as_str()?)
}

fn check_version(document: &Value) -> Result<(), String> {
    if !document.is_object() {
        return Err("The document is not a JSON object".to_owned());
    }
    let version = document.get("openapi").and_then(Value::as_str);
    match version {
        Some(version) if version.starts_with("3.") => Ok(()),
        _ if document.get("swagger").is_some() => {
            Err("Swagger 2.0 is not read: convert the document to OpenAPI 3".to_owned())
        }
        _ => Err("It is no OpenAPI 3 document: its field openapi is missing".to_owned()),
    }
}

/// The address of the API: what its owner says, else the document's first, relative to where it was read.
fn server(document: &Value, settings: &Settings, url: Option<&str>) -> Result<Address, String> {
    let wrong = |text: &str, why: &dyn std::fmt::Display| {
        format!(
            "The server {} cannot be used: {why}",
            clean(text, MAX_PLACE)
        )
    };
    let servers = document.get("servers").and_then(Value::as_array);
    let servers = servers.map(Vec::as_slice).unwrap_or_default();
    let url_of = |one: &Value| one.get("url").and_then(Value::as_str).map(str::to_owned);
    let wanted = settings.server.as_deref();
    let row = match wanted {
        Some(wanted) => servers
            .iter()
            .find(|one| url_of(one).as_deref() == Some(wanted)),
        None => servers.first(),
    };
    let template = wanted
        .map(str::to_owned)
        .or_else(|| row.and_then(url_of))
        .unwrap_or_else(|| "/".to_owned());
    let mut text = String::new();
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, tail) = after
            .split_once('}')
            .ok_or_else(|| wrong(&template, &"a brace is not closed"))?;
        text.push_str(before);
        let own = settings.server_variables.get(variable).map(String::as_str);
        let told = row.and_then(|row| {
            row.get("variables")?
                .get(variable)?
                .get("default")?
                .as_str()
        });
        let value = own.or(told).ok_or_else(|| {
            let named = clean(variable, MAX_PLACE);
            wrong(
                &template,
                &format!("say what its variable {named} is (server_variables)"),
            )
        })?;
        text.push_str(value);
        rest = tail;
    }
    text.push_str(rest);
    let address = match url.map(Address::parse) {
        Some(Ok(url)) => url.join(&text),
        _ => Address::parse(&text),
    };
    let address = address.map_err(|why| match url {
        None => wrong(&text, &format!("{why}; say where the API is (server)")),
        Some(_) => wrong(&text, &why),
    })?;
    let text = address.to_string();
    if text.contains(['?', '$', '{', '}']) || has_dots(address.path()) {
        return Err(wrong(
            &text,
            &"it has parameters, or parts that mean something else",
        ));
    }
    Ok(address)
}

/// Whether a path has steps that lead elsewhere.
pub(super) fn has_dots(path: &str) -> bool {
    let lower = path.to_ascii_lowercase().replace("%2e", ".");
    lower.split('/').any(|step| step == "." || step == "..")
}

struct Reading<'d> {
    document: &'d Value,
    slug: &'d str,
    settings: &'d Settings,
    base: &'d Address,
    made: Imported,
}

impl<'d> Reading<'d> {
    fn leave(&mut self, what: &str, why: impl Into<String>) {
        self.made.left_out.push(Told::new(what, why));
    }

    /// All operations of the document that are wanted, each under its name.
    fn parts(&mut self) -> Vec<(Part<'d>, Vec<Requirement>)> {
        let mut taken = BTreeSet::new();
        let mut parts = Vec::new();
        let mut beyond = 0_usize;
        let paths = self.document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let place = clean(path, MAX_PLACE);
            let Some(item) = resolve(self.document, item) else {
                self.leave(&place, "it is described in another document");
                continue;
            };
            for method in METHODS {
                let Some(body) = item.get(method).filter(|body| body.is_object()) else {
                    continue;
                };
                let place = format!("{} {place}", method.to_ascii_uppercase());
                if matches!(method, "head" | "options" | "trace") {
                    self.leave(&place, "this method tells no data");
                    continue;
                }
                let id = body.get("operationId").and_then(Value::as_str);
                let id = id.filter(|id| id.chars().any(|c| c.is_ascii_alphanumeric()));
                let called = id.map_or_else(|| format!("{method} {path}"), str::to_owned);
                let name = name::operation(self.slug, &called, &mut taken);
                if !self.settings.admits(&name) {
                    continue;
                }
                if parts.len() >= MAX_OPERATIONS {
                    beyond += 1;
                    continue;
                }
                let part = Part {
                    name,
                    method,
                    path,
                    item,
                    body,
                    place,
                };
                parts.push((part, auth::requirements(self.document, body)));
            }
        }
        if beyond > 0 {
            let why = format!(
                "{beyond} operations beyond the first {MAX_OPERATIONS}: choose with include and exclude"
            );
            self.leave("", why);
        }
        parts
    }

    /// The authentication that most operations take.
    fn scheme(&mut self, parts: &[(Part<'d>, Vec<Requirement>)]) -> Result<Chosen, String> {
        let choice = self.settings.auth.clone().unwrap_or_default();
        if let Some(auth) = auth::chosen(&choice)? {
            return Ok(Chosen {
                scheme: Scheme {
                    auth,
                    ..Scheme::default()
                },
                requirement: None,
            });
        }
        let bodies: Vec<&Value> = parts.iter().map(|(part, _)| part.body).collect();
        let make = |requirement: &Requirement| {
            let scopes = match (&choice.scope, requirement.as_slice()) {
                (Some(scope), _) => vec![scope.clone()],
                (None, [one]) => auth::scopes(self.document, one, &bodies),
                _ => Vec::new(),
            };
            auth::scheme(self.document, requirement, &scopes, self.base)
        };
        if let Some(wanted) = &choice.scheme {
            let requirement = vec![wanted.clone()];
            return Ok(Chosen {
                scheme: make(&requirement)?,
                requirement: Some(requirement),
            });
        }
        let mut counted: Vec<(Requirement, usize)> = Vec::new();
        for requirement in parts.iter().flat_map(|(_, ways)| ways) {
            match counted.iter_mut().find(|(known, _)| known == requirement) {
                Some((_, count)) => *count += 1,
                None if requirement.is_empty() => {}
                None => counted.push((requirement.clone(), 1)),
            }
        }
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut chosen = Chosen::default();
        for (requirement, _) in counted {
            match make(&requirement) {
                Ok(scheme) => {
                    chosen.scheme = scheme;
                    chosen.requirement = Some(requirement);
                    break;
                }
                Err(why) => self.leave(&requirement.join(" + "), why),
            }
        }
        Ok(chosen)
    }

    fn operations(&mut self, parts: &[(Part<'d>, Vec<Requirement>)], chosen: Chosen) {
        let Chosen {
            scheme,
            requirement,
        } = chosen;
        let is_free = scheme.auth.kind == AuthKind::None;
        let choice = self.settings.auth.as_ref();
        let is_owners = choice.is_some_and(|choice| choice.kind.is_some());
        let mut keyless = Vec::new();
        let mut bytes = 0_usize;
        for (part, ways) in parts {
            let is_open = ways.iter().any(Vec::is_empty);
            let fits = is_owners || ways.iter().any(|way| Some(way) == requirement.as_ref());
            if !is_open && !fits {
                self.leave(&part.place, "it is not authenticated as the others are");
                continue;
            }
            let mut weak = Vec::new();
            let made = match operation::read(self.document, self.base, part, &mut weak) {
                Ok(made) => made,
                Err(why) => {
                    self.leave(&part.place, why);
                    continue;
                }
            };
            bytes += serde_json::to_string(&made).map_or(usize::MAX, |text| text.len());
            if bytes > MAX_ROWS_BYTES {
                self.leave(
                    &part.place,
                    "there is no room for it: choose with include and exclude",
                );
                continue;
            }
            for why in weak {
                self.made.weakened.push(Told::new(part.place.as_str(), why));
            }
            if is_open && !fits {
                keyless.push(made.name.clone());
            }
            self.made.provider.operation.push(Rc::new(made));
        }
        let provider: &mut ToolProvider = &mut self.made.provider;
        if !is_free && !keyless.is_empty() {
            provider.keyless = Some(Keyless {
                operations: Some(keyless),
                ..Keyless::default()
            });
        }
        provider.auth = scheme.auth;
        provider.key_fields = scheme.key_fields;
        provider.headers = scheme.headers;
        provider.query = scheme.query;
    }
}

/// How all operations are called.
#[derive(Default)]
struct Chosen {
    scheme: Scheme,
    /// The document's words for it; absent where the owner said it in full, or nobody needs a key.
    requirement: Option<Requirement>,
}
