//! `check` of tools: what the connector, the protocols and their clients rely on.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::tools::catalog::{
    AuthKind, BodyKind, Capability, Effect, Json, Method, Operation, RetryKind, ToolProvider,
    index::{MAX_WIRE_NAME, WIRE},
};
use patchbay::tools::connector::template::mentions;
use serde_json::{Map, Value};

use crate::chains;
use crate::rows::{Fault, Place};
use crate::tools::Tools;

/// What tools are for.
const CATEGORIES: [&str; 18] = [
    "search",
    "scraping",
    "email",
    "messaging",
    "payments",
    "developer",
    "project",
    "knowledge",
    "data",
    "calendar",
    "weather",
    "sales",
    "audio",
    "ml",
    "translation",
    "finance",
    "code",
    "content",
];
const MORE_CATEGORIES: [&str; 2] = ["science", "geo"];
/// The longest description that all clients take.
const MAX_DESCRIPTION: usize = 1_024;
/// The longest name of a property that all clients take.
const MAX_PROPERTY: usize = 64;
/// The longest time of a call.
const MAX_TIMEOUT_MS: u64 = 300_000;
/// What portable schemas do without.
const NOT_PORTABLE: [&str; 9] = [
    "allOf",
    "oneOf",
    "not",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "patternProperties",
    "unevaluatedProperties",
];
/// The objects of templates.
const DIRECTIVES: [&str; 17] = [
    "$each", "$value", "$entries", "$zip", "$if", "$rest", "$first", "$number", "$text", "$join",
    "$map", "$time", "$decode", "$encode", "$plain", "$count", "$slice",
];

/// Collects what is wrong with one row.
struct Report<'a> {
    place: &'a Place,
    of: String,
    faults: &'a mut Vec<Fault>,
}

impl Report<'_> {
    fn unless(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            self.faults
                .push(Fault::of_row(self.place, format!("{}{}", self.of, why())));
        }
    }
}

/// Checks all tools.
pub fn check(tools: &Tools, faults: &mut Vec<Fault>) {
    let capabilities: BTreeMap<&str, &Capability> = tools
        .capabilities
        .iter()
        .map(|row| (row.value.name.as_str(), &row.value))
        .collect();
    for row in &tools.capabilities {
        let of = format!("{}: ", row.value.name);
        let report = &mut Report {
            place: &row.place,
            of,
            faults,
        };
        report.unless(is_name(&row.value.name), || {
            "no name of a capability".to_owned()
        });
        report.unless(!row.value.kind.is_empty(), || {
            "its kind is missing".to_owned()
        });
        schema(&row.value.input, report);
    }
    chains::check(tools, &capabilities, faults);
    let mut slugs = BTreeSet::new();
    for (row, places) in &tools.providers {
        let one = &row.value;
        let report = &mut Report {
            place: &row.place,
            of: String::new(),
            faults,
        };
        report.unless(slugs.insert(&one.slug), || {
            format!("a second provider {}", one.slug)
        });
        let stem = row.place.file.file_stem().and_then(|stem| stem.to_str());
        report.unless(stem == Some(&one.slug), || {
            format!("the slug {} is not the file's name", one.slug)
        });
        provider(one, report);
        let mut names = BTreeSet::new();
        for (operation, place) in one.operation.iter().zip(places) {
            let of = format!("{}: ", operation.name);
            let report = &mut Report { place, of, faults };
            report.unless(names.insert(&operation.name), || {
                "a second one of this name".to_owned()
            });
            Checked {
                provider: one,
                operation,
            }
            .check(&capabilities, report);
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !text.contains(WIRE)
        && !text.ends_with('_')
}

fn is_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("${")) && !url.ends_with('/')
}

fn provider(row: &ToolProvider, report: &mut Report<'_>) {
    report.unless(is_name(&row.slug), || format!("{} is no slug", row.slug));
    report.unless(!row.name.is_empty(), || "its name is missing".to_owned());
    report.unless(row.docs.is_some(), || "its docs are missing".to_owned());
    category(&row.category, report);
    let is_chains = row.operation.iter().all(|one| one.composite.is_some());
    report.unless(is_chains || is_address(&row.base_url), || {
        format!("{} is no base_url", row.base_url)
    });
    for one in &row.base_urls {
        report.unless(is_address(&one.url), || {
            format!("{} is no address", one.url)
        });
    }
    let is_secret = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    report.unless(row.secret.as_deref().is_none_or(is_secret), || {
        "secret is no name of a secret".to_owned()
    });
    let auth = &row.auth;
    let needs_key = auth.kind != AuthKind::None;
    report.unless(!needs_key || row.secret.is_some(), || {
        "its secret is missing".to_owned()
    });
    let needs: &[(&str, bool)] = match auth.kind {
        AuthKind::Header | AuthKind::Query | AuthKind::Body => {
            &[("auth.name", auth.name.is_some())]
        }
        AuthKind::OauthRefresh | AuthKind::OauthClientCredentials => {
            &[("auth.token_url", auth.token_url.is_some())]
        }
        AuthKind::SignedJwt => &[
            ("auth.token_url", auth.token_url.is_some()),
            ("auth.scope", auth.scope.is_some()),
        ],
        AuthKind::SigV4 => &[
            ("auth.service", auth.service.is_some()),
            ("auth.region", auth.region.is_some()),
        ],
        _ => &[],
    };
    for (name, is_there) in needs {
        report.unless(*is_there, || format!("{name} is missing"));
    }
    if auth.kind == AuthKind::Header {
        header(auth.name.as_deref().unwrap_or_default(), report);
    }
    for name in row.headers.keys().chain(
        row.keyless
            .iter()
            .flat_map(|keyless| keyless.headers.keys()),
    ) {
        header(name, report);
    }
    let known: BTreeSet<&str> = row.operation.iter().map(|one| one.name.as_str()).collect();
    for name in row
        .keyless
        .iter()
        .flat_map(|keyless| keyless.operations.iter().flatten())
    {
        report.unless(known.contains(name.as_str()), || {
            format!("keyless: there is no operation {name}")
        });
    }
    report.unless(!row.operation.is_empty(), || {
        "it has no operations".to_owned()
    });
    report.unless(row.timeout_ms <= MAX_TIMEOUT_MS, || {
        "timeout_ms is too long".to_owned()
    });
    rules(&row.errors, report);
}

fn category(name: &str, report: &mut Report<'_>) {
    let is_known = CATEGORIES
        .iter()
        .chain(&MORE_CATEGORIES)
        .any(|known| *known == name);
    report.unless(is_known, || format!("{name:?} is no category"));
}

fn header(name: &str, report: &mut Report<'_>) {
    let is_token = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_ours = ["host", "content-length", "connection", "transfer-encoding"].contains(&name);
    report.unless(is_token && !is_ours, || {
        format!("{name:?} is no header of a row (lower case)")
    });
}

fn pointer(at: &str, of: &str, report: &mut Report<'_>) {
    report.unless(at.is_empty() || at.starts_with('/'), || {
        format!("{of}: {at:?} is no JSON Pointer")
    });
}

fn rules(rules: &[patchbay::tools::catalog::ErrorRule], report: &mut Report<'_>) {
    for (at, rule) in rules.iter().enumerate() {
        let of = format!("errors[{at}]");
        for place in rule.message.iter().chain(&rule.code).chain(&rule.param) {
            pointer(place, &of, report);
        }
        report.unless(rule.classes.is_empty() || !rule.code.is_empty(), || {
            format!("{of}: classes need a code")
        });
        if let Some(place) = &rule.when.pointer {
            pointer(place, &of, report);
        }
        let has_test = rule.when.equals.is_some()
            || !rule.when.r#in.is_empty()
            || rule.when.contains.is_some()
            || rule.when.exists.is_some();
        report.unless(!has_test || rule.when.looks_inside(), || {
            format!("{of}: a test needs a pointer or a header")
        });
        let fits = rule.retry_after.as_ref().is_none_or(|wait| {
            wait.as_u64().is_some_and(|s| s > 0)
                || wait
                    .as_str()
                    .is_some_and(|place| place.starts_with('/') || place.starts_with("header:"))
        });
        report.unless(fits, || {
            format!("{of}: retry_after is a number, a pointer or header:name")
        });
    }
}

/// A portable schema of an object.
fn schema(of: &Json, report: &mut Report<'_>) {
    let schema = of.value();
    report.unless(schema.get("type") == Some(&"object".into()), || {
        "input: its type is not object".to_owned()
    });
    object(schema, "input", report);
}

fn object(schema: &Value, at: &str, report: &mut Report<'_>) {
    let Some(fields) = schema.as_object() else {
        return report.unless(schema.is_boolean(), || format!("{at}: no schema"));
    };
    for name in NOT_PORTABLE {
        report.unless(!fields.contains_key(name), || {
            format!("{at}: {name} is not portable")
        });
    }
    for (name, one) in properties(schema) {
        let is_portable = (1..=MAX_PROPERTY).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        report.unless(is_portable, || {
            format!("{at}: {name:?} is no portable name")
        });
        object(one, &format!("{at}.{name}"), report);
    }
    if fields.contains_key("properties") {
        let is_closed = fields
            .get("additionalProperties")
            .is_some_and(|rest| rest != &Value::Bool(true));
        report.unless(is_closed, || {
            format!("{at}: additionalProperties: false is missing")
        });
    }
    let required = fields.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        report.unless(properties(schema).any(|(known, _)| known == name), || {
            format!("{at}: {name} is required but no property")
        });
    }
    for name in ["items", "additionalProperties"] {
        if let Some(below) = fields.get(name).filter(|below| below.is_object()) {
            object(below, &format!("{at}.{name}"), report);
        }
    }
    let options = fields.get("anyOf").and_then(Value::as_array);
    for (place, below) in options.into_iter().flatten().enumerate() {
        object(below, &format!("{at}.anyOf[{place}]"), report);
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let known = schema.get("properties").and_then(Value::as_object);
    known
        .into_iter()
        .flatten()
        .map(|(name, one)| (name.as_str(), one))
}

/// What a template may say.
fn template(value: &Value, at: &str, report: &mut Report<'_>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| template(item, at, report)),
        Value::Object(fields) => {
            for (place, (name, below)) in fields.iter().enumerate() {
                let is_known = !name.starts_with('$') || DIRECTIVES.contains(&name.as_str());
                report.unless(is_known, || {
                    format!("{at}: {name} is no object of templates")
                });
                let is_first = place == 0
                    || !name.starts_with('$')
                    || ["$value", "$rest"].contains(&name.as_str());
                report.unless(is_first, || {
                    format!("{at}: {name} comes first in its object")
                });
                if ["$each", "$entries", "$if", "$join", "$count", "$slice"]
                    .contains(&name.as_str())
                {
                    let place = below.as_str().unwrap_or("?");
                    pointer(place, &format!("{at}: {name}"), report);
                }
                template(below, at, report);
            }
        }
        _ => {}
    }
}

fn mentioned(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    mentions(value, &mut found);
    found
}

/// An operation with its provider.
struct Checked<'a> {
    provider: &'a ToolProvider,
    operation: &'a Operation,
}

impl Checked<'_> {
    fn check(&self, capabilities: &BTreeMap<&str, &Capability>, report: &mut Report<'_>) {
        let one = self.operation;
        report.unless(is_name(&one.name), || "no name of an operation".to_owned());
        let wire = self.provider.slug.len() + WIRE.len() + one.name.len();
        report.unless(wire <= MAX_WIRE_NAME, || {
            format!("its wire name has {wire} characters, more than {MAX_WIRE_NAME}")
        });
        report.unless(
            !one.title.is_empty() && one.title.chars().count() <= 80,
            || "its title is missing or too long".to_owned(),
        );
        let length = one.description.chars().count()
            + one.note.as_ref().map_or(0, |note| note.chars().count() + 1);
        report.unless((1..=MAX_DESCRIPTION).contains(&length), || {
            format!("its description has {length} characters")
        });
        if let Some(name) = &one.category {
            category(name, report);
        }
        report.unless((3..=8).contains(&one.intents.len()), || {
            "it has three to eight intents".to_owned()
        });
        report.unless(one.timeout_ms <= MAX_TIMEOUT_MS, || {
            "timeout_ms is too long".to_owned()
        });
        report.unless(one.base_url.as_deref().is_none_or(is_address), || {
            "base_url is no address".to_owned()
        });
        schema(&one.input, report);
        rules(&one.errors, report);
        self.effects(report);
        self.price(report);
        if one.composite.is_some() {
            return;
        }
        self.capability(capabilities, report);
        self.request(report);
        self.response(report);
    }

    fn has(&self, name: &str) -> bool {
        properties(self.operation.input.value()).any(|(known, _)| known == name)
    }

    fn requires(&self, name: &str) -> bool {
        let required = self
            .operation
            .input
            .value()
            .get("required")
            .and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|one| one == name))
    }

    fn effects(&self, report: &mut Report<'_>) {
        let one = self.operation;
        let retry = &one.retry;
        report.unless(
            one.effect != Effect::Read || retry.kind != RetryKind::None,
            || "a read is safe to repeat".to_owned(),
        );
        if retry.kind == RetryKind::Key {
            report.unless(retry.header.is_some() != retry.field.is_some(), || {
                "retry names a header or a field".to_owned()
            });
        }
        if let Some(name) = &retry.header {
            header(name, report);
        }
        for place in &one.recipients {
            let field = place.split('/').nth(1).unwrap_or_default();
            report.unless(self.has(field), || {
                format!("recipients: there is no input field at {place:?}")
            });
        }
        if let Some(place) = &retry.field {
            pointer(place, "retry.field", report);
        }
        let calls = [
            one.undo.as_ref().map(|undo| {
                (
                    "undo",
                    &undo.operation,
                    &undo.input,
                    &["input", "data", "before"][..],
                )
            }),
            one.before
                .as_ref()
                .map(|before| ("before", &before.operation, &before.input, &["input"][..])),
        ];
        for (of, name, input, seen) in calls.into_iter().flatten() {
            let found = self
                .provider
                .operation
                .iter()
                .find(|other| other.name == *name);
            report.unless(found.is_some(), || {
                format!("{of}: there is no operation {name}")
            });
            template(input.value(), of, report);
            let Some(found) = found else {
                continue;
            };
            report.unless(of != "before" || found.effect == Effect::Read, || {
                format!("before: {name} is no read")
            });
            let other = Checked {
                provider: self.provider,
                operation: found,
            };
            for field in input.value().as_object().into_iter().flat_map(Map::keys) {
                report.unless(other.has(field), || {
                    format!("{of}: {name} takes no {field}")
                });
            }
            for field in properties(found.input.value())
                .map(|(field, _)| field)
                .filter(|field| other.requires(field))
            {
                report.unless(input.value().get(field).is_some(), || {
                    format!("{of}: {name} needs {field}")
                });
            }
            for place in mentioned(input.value()) {
                report.unless(seen.contains(&place.as_str()), || {
                    format!("{of}: its template sees {}, not /{place}", seen.join(", "))
                });
            }
            let sees_before = mentioned(input.value()).contains("before");
            report.unless(!sees_before || one.before.is_some(), || {
                format!("{of}: nothing is read before")
            });
        }
    }

    fn price(&self, report: &mut Report<'_>) {
        let (one, price) = (self.operation, &self.operation.price);
        report.unless(one.price_source.is_some(), || {
            "price_source is missing".to_owned()
        });
        let is_credits = price.of.as_deref() == Some("credits") && price.stated.is_some();
        let is_counted = price.unit.get() > 0 || price.when.iter().any(|case| case.unit.is_some());
        report.unless(!is_counted || price.count.is_some() || is_credits, || {
            "price: a unit needs its count".to_owned()
        });
        report.unless(price.count.is_none() || is_counted, || {
            "price: a count needs its unit".to_owned()
        });
        let counts_answer = price
            .count
            .as_deref()
            .is_some_and(|place| !place.starts_with("input:"));
        report.unless(!counts_answer || price.hold.is_some(), || {
            "price: hold is missing, for nobody knows the count before".to_owned()
        });
        report.unless(
            price.stated.is_none() || price.hold.is_some() || price.call.get() > 0,
            || "price: what is stated needs a hold".to_owned(),
        );
        if price.chars.get() > 0 {
            let field = price.of.as_deref().and_then(|of| of.strip_prefix('/'));
            let field = field
                .and_then(|of| of.split('/').next())
                .unwrap_or_default();
            report.unless(self.has(field), || {
                "price: of is no pointer to an input field".to_owned()
            });
        }
        for place in price
            .count
            .iter()
            .filter_map(|place| place.strip_prefix("input:/"))
        {
            let field = place.split('/').next().unwrap_or_default();
            report.unless(self.has(field), || {
                format!("price: there is no input field {field}")
            });
        }
        for case in &price.when {
            let field = case
                .when
                .pointer
                .as_deref()
                .and_then(|place| place.strip_prefix('/'));
            let field = field
                .and_then(|place| place.split('/').next())
                .unwrap_or_default();
            report.unless(self.has(field), || {
                format!("price.when: there is no input field {field:?}")
            });
        }
    }

    fn capability(&self, capabilities: &BTreeMap<&str, &Capability>, report: &mut Report<'_>) {
        let one = self.operation;
        let Some(name) = one.capability.as_deref() else {
            return report.unless(one.normal.is_none(), || {
                "normal without a capability".to_owned()
            });
        };
        let Some(capability) = capabilities.get(name) else {
            return report.unless(false, || format!("unknown capability {name}"));
        };
        let kind = one.response.kind.as_deref().unwrap_or_default();
        report.unless(kind == capability.kind, || {
            format!(
                "{name} has results of kind {}, not {kind:?}",
                capability.kind
            )
        });
        let Some(normal) = one.normal.as_ref().map(Json::value) else {
            return report.unless(false, || "normal is missing".to_owned());
        };
        template(normal, "normal", report);
        for field in normal.as_object().into_iter().flat_map(Map::keys) {
            report.unless(self.has(field), || format!("normal: it takes no {field}"));
        }
        for field in mentioned(normal) {
            let is_known = properties(capability.input.value()).any(|(known, _)| known == field);
            report.unless(is_known, || format!("normal: {name} has no {field}"));
        }
        for (field, _) in properties(one.input.value()).filter(|(field, _)| self.requires(field)) {
            report.unless(normal.get(field).is_some(), || {
                format!("normal: it needs {field}")
            });
        }
    }

    /// Placeholders of an address.
    fn places(
        &self,
        address: &str,
        of: &str,
        is_job: bool,
        report: &mut Report<'_>,
    ) -> Vec<String> {
        let mut used = Vec::new();
        let plain = address.replace("${", "$(");
        for part in plain.split('{').skip(1) {
            let name = part.split('}').next().unwrap_or_default();
            report.unless(part.contains('}'), || {
                format!("{of}: a placeholder is not closed")
            });
            if name == "key" || name.starts_with("key.") {
                self.key_part(name.strip_prefix("key.").unwrap_or_default(), of, report);
                continue;
            }
            let name = name.trim_start_matches('+');
            let (name, has_default) = name
                .split_once('=')
                .map_or((name, false), |(name, _)| (name, true));
            if is_job && name == "id" {
                continue;
            }
            report.unless(self.has(name), || {
                format!("{of}: there is no input field {name}")
            });
            report.unless(has_default || self.requires(name), || {
                format!("{of}: {name} is not required and has no default")
            });
            used.push(name.to_owned());
        }
        used
    }

    fn key_part(&self, name: &str, of: &str, report: &mut Report<'_>) {
        let known = self.provider.key_fields.iter().any(|field| field == name);
        report.unless(name.is_empty() || known, || {
            format!("{of}: the key has no part {name}")
        });
        report.unless(self.provider.auth.kind != AuthKind::None, || {
            format!("{of}: there is no key")
        });
    }

    fn request(&self, report: &mut Report<'_>) {
        let request = &self.operation.request;
        let base = self
            .operation
            .base_url
            .as_deref()
            .unwrap_or(&self.provider.base_url);
        let mut used: BTreeSet<String> = self
            .places(base, "base_url", false, report)
            .into_iter()
            .collect();
        report.unless(
            request.path.is_empty() || request.path.starts_with('/'),
            || "path does not begin with /".to_owned(),
        );
        used.extend(self.places(&request.path, "path", false, report));
        for (name, text) in &request.headers {
            header(name, report);
            used.extend(mentioned(&Value::from(text.as_str())));
        }
        let body = request.body.clone().unwrap_or_default();
        let templates = [("params", &request.params), ("body", &body.template)];
        let mut takes_rest = false;
        for (of, json) in templates {
            let value = json.as_ref().map_or(&Value::Null, Json::value);
            template(value, of, report);
            used.extend(mentioned(value));
            takes_rest |= value.to_string().contains("\"$rest\"");
        }
        used.extend(body.field.clone());
        used.extend(request.query.iter().flatten().cloned());
        let is_bodiless = request.body.as_ref().map_or(
            matches!(request.method, Method::Get | Method::Delete),
            |body| body.kind == BodyKind::None,
        );
        let takes_rest = takes_rest
            || if is_bodiless {
                request.query.is_none()
            } else {
                body.template.is_none() && body.kind != BodyKind::Text
            };
        for name in used
            .iter()
            .chain(request.rename.keys())
            .chain(&request.urls)
        {
            report.unless(self.has(name), || {
                format!("request: there is no input field {name}")
            });
        }
        for (name, _) in properties(self.operation.input.value()) {
            report.unless(takes_rest || used.contains(name), || {
                format!("request: {name} goes nowhere")
            });
        }
        let is_query_only = body.kind == BodyKind::None && request.form_arrays.is_some();
        report.unless(!is_query_only || body.kind == BodyKind::Form, || {
            "form_arrays without a form".to_owned()
        });
    }

    fn response(&self, report: &mut Report<'_>) {
        let response = &self.operation.response;
        if let Some(result) = response.result.as_ref().map(Json::value) {
            template(result, "result", report);
        }
        report.unless(response.kind.as_deref().is_none_or(is_name), || {
            "kind is a word".to_owned()
        });
        report.unless(response.result.is_none() || response.kind.is_some(), || {
            "result without a kind".to_owned()
        });
        for place in response.empty.iter().chain(response.units.as_ref()) {
            pointer(place, "response", report);
        }
        let bodies = [
            response.binary.is_some(),
            response.text,
            response.xml.is_some(),
        ];
        report.unless(bodies.iter().filter(|one| **one).count() <= 1, || {
            "binary, text and xml exclude each other".to_owned()
        });
        if let Some(page) = &response.page {
            let ways = [
                &page.cursor,
                &page.next_url,
                &page.last,
                &page.offset,
                &page.number,
            ];
            report.unless(ways.iter().filter(|way| way.is_some()).count() == 1, || {
                "page has one way to go on".to_owned()
            });
            let into = page
                .into
                .as_ref()
                .or(page.offset.as_ref())
                .or(page.number.as_ref());
            let into = into.map_or("", String::as_str);
            report.unless(self.has(into), || {
                format!("page: there is no input field {into:?}")
            });
        }
        if let Some(job) = &response.job {
            pointer(&job.id, "job.id", report);
            let calls = [Some(&job.poll), job.fetch.as_ref(), job.cancel.as_ref()];
            for call in calls.into_iter().flatten() {
                report.unless(call.path.starts_with('/'), || {
                    "job: a path does not begin with /".to_owned()
                });
                self.places(&call.path, "job", true, report);
            }
            report.unless(job.done.is_empty() != job.status.is_some(), || {
                "job: status and done go together".to_owned()
            });
        }
    }
}
