//! The OpenAPI document: operations and types, put together in a stable order.
//!
//! Out of scope: what the operations are (the families beside this file) and how types are written down (`notation`).

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::notation;
use crate::dialects::Surface;

/// Who may call an operation, and so what it answers others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anyone,
    /// Whoever has an API key: it pays.
    Caller,
    /// Whoever has a key of the account, one that administers too.
    AnyKey,
    /// Whoever administers the account: a management key, or a person's session.
    Manager,
    /// A person, by their session.
    Person,
    /// The operator of the deployment.
    Operator,
    /// Who proves it within the request: by a signature or a code.
    Signed,
}

impl Who {
    fn security(self) -> Value {
        match self {
            Self::Anyone | Self::Signed => json!([]),
            Self::Caller | Self::AnyKey => json!([{"apiKey": []}, {"apiKeyHeader": []}]),
            Self::Manager => {
                json!([{"managementKey": []}, {"managementKeyHeader": []}, {"session": [], "csrf": []}])
            }
            Self::Person => json!([{"session": [], "csrf": []}]),
            Self::Operator => json!([{"operator": []}]),
        }
    }
}

/// One method of one path.
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    who: Who,
    tag: &'static str,
    summary: &'static str,
    description: String,
    query: Option<Value>,
    headers: Option<Value>,
    body_is_optional: bool,
    body: Vec<(&'static str, Value, Option<Value>)>,
    answers: Vec<(u16, &'static str, Value)>,
    events: Option<&'static str>,
    errors: Vec<u16>,
    surface: Surface,
}

/// An operation: method, path under `/api/v1`, who may call it, its family and what it does.
pub fn operation(
    method: &'static str,
    path: &'static str,
    who: Who,
    tag: &'static str,
    summary: &'static str,
) -> Operation {
    let mut errors = vec![400, 500, 503];
    if who != Who::Anyone {
        errors.extend([401, 403]);
    }
    if path.contains('{') {
        errors.push(404);
    }
    Operation {
        method,
        path,
        who,
        tag,
        summary,
        description: String::new(),
        query: None,
        headers: None,
        body_is_optional: false,
        body: Vec::new(),
        answers: Vec::new(),
        events: None,
        errors,
        surface: Surface::ChatCompletions,
    }
}

impl Operation {
    /// Its family.
    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// More than the summary says.
    pub fn says(mut self, text: &str) -> Self {
        self.description = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self
    }

    /// Query parameters, as the fields of an object.
    pub fn query(mut self, fields: &str) -> Self {
        self.query = Some(notation::schema(fields));
        self
    }

    /// Headers, as the fields of an object.
    pub fn headers(mut self, fields: &str) -> Self {
        self.headers = Some(notation::schema(fields));
        self
    }

    /// A JSON body of this type.
    pub fn takes(mut self, schema: &str) -> Self {
        self.body
            .push(("application/json", notation::schema(schema), None));
        self.errors.extend([413]);
        self
    }

    /// A body of another type of content.
    pub fn takes_as(mut self, content: &'static str, schema: &str) -> Self {
        self.body.push((content, notation::schema(schema), None));
        self.errors.extend([413]);
        self
    }

    /// An example of the body that was named last.
    pub fn example(mut self, example: Value) -> Self {
        self.body.last_mut().unwrap().2 = Some(example);
        self
    }

    /// The body may be left out.
    pub fn optional(mut self) -> Self {
        self.body_is_optional = true;
        self
    }

    /// A JSON answer.
    pub fn answers(mut self, status: u16, schema: &str) -> Self {
        self.answers
            .push((status, "application/json", notation::schema(schema)));
        self
    }

    /// An answer that says nothing.
    pub fn done(mut self) -> Self {
        self.answers.push((204, "", Value::Null));
        self
    }

    /// An answer of another type of content.
    pub fn answers_as(mut self, status: u16, content: &'static str, schema: &str) -> Self {
        self.answers
            .push((status, content, notation::schema(schema)));
        self
    }

    /// A stream of events, each of this type.
    pub fn streams(mut self, event: &'static str) -> Self {
        self.events = Some(event);
        self
    }

    /// Errors beyond those that every operation of its kind has.
    pub fn fails(mut self, statuses: &[u16]) -> Self {
        self.errors.extend(statuses);
        self
    }

    /// It calls a model: it costs, and a provider may fail.
    pub fn calls_models(self, surface: Surface) -> Self {
        let mut calls = self.fails(&[402, 404, 408, 413, 422, 429, 501, 502, 504, 529]);
        calls.surface = surface;
        calls
    }

    fn parameters(&self) -> Vec<Value> {
        let mut parameters: Vec<Value> = Vec::new();
        for name in self
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        {
            let (schema, told) = path_parameter(name);
            parameters.push(json!({
                "name": name, "in": "path", "required": true, "description": told,
                "schema": notation::schema(schema),
            }));
        }
        for (place, fields) in [("query", &self.query), ("header", &self.headers)] {
            let Some(fields) = fields else { continue };
            let required = fields["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in fields["properties"].as_object().into_iter().flatten() {
                let mut schema = schema.clone();
                let told = schema.as_object_mut().unwrap().remove("description");
                let mut parameter = json!({"name": name, "in": place});
                if required.contains(&json!(name)) {
                    parameter["required"] = json!(true);
                }
                if let Some(told) = told {
                    parameter["description"] = told;
                }
                parameter["schema"] = schema;
                parameters.push(parameter);
            }
        }
        parameters
    }

    fn responses(&self) -> Value {
        let mut responses = BTreeMap::new();
        for (status, content, schema) in &self.answers {
            let response = responses.entry(status.to_string()).or_insert_with(
                || json!({"description": phrase(*status), "headers": headers(self), "content": {}}),
            );
            if !content.is_empty() {
                response["content"][*content] = json!({"schema": schema});
            }
        }
        if let Some(event) = self.events {
            let response = responses
                .get_mut("200")
                .expect("an answer in one piece too");
            let told = format!(
                "Server-sent events, where the request says `stream: true`. The data of each is a {event}."
            );
            response["content"]["text/event-stream"] = json!({
                // Programs that check each event by itself see an object here, others the whole text.
                "schema": {"description": told},
                "x-event-schema": {"$ref": format!("#/components/schemas/{event}")},
            });
        }
        for status in &self.errors {
            let name = response_name(self.surface, *status);
            responses
                .entry(status.to_string())
                .or_insert(json!({"$ref": format!("#/components/responses/{name}")}));
        }
        json!(responses)
    }

    fn write(&self) -> Value {
        let mut object = json!({
            "operationId": self.id(),
            "tags": [self.tag],
            "summary": self.summary,
        });
        if !self.description.is_empty() {
            object["description"] = self.description.as_str().into();
        }
        object["security"] = self.who.security();
        let parameters = self.parameters();
        if !parameters.is_empty() {
            object["parameters"] = parameters.into();
        }
        if !self.body.is_empty() {
            let content = self.body.iter().map(|(kind, schema, example)| {
                let mut media = json!({"schema": schema});
                if let Some(example) = example {
                    media["example"] = example.clone();
                }
                ((*kind).to_owned(), media)
            });
            let content: Map<String, Value> = content.collect();
            object["requestBody"] = json!({"required": !self.body_is_optional, "content": content});
        }
        object["responses"] = self.responses();
        object
    }

    /// A name that code generators make functions of: `getKeys`, `patchKeysByHash`.
    fn id(&self) -> String {
        let mut id = self.method.to_lowercase();
        for part in self
            .path
            .split(['/', '-', '_', '.'])
            .filter(|part| !part.is_empty())
        {
            let (prefix, word) = match part.strip_prefix('{') {
                Some(inner) => ("By", inner.trim_end_matches('}')),
                None => ("", part),
            };
            id.push_str(prefix);
            let mut letters = word.chars();
            id.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            id.push_str(letters.as_str());
        }
        id
    }
}

fn path_parameter(name: &str) -> (&'static str, &'static str) {
    match name {
        "author" => ("string(1..)", "The author of the model, as in its slug."),
        "slug" => ("string(1..)", "The slug within its author or account."),
        "hash" => ("string(1..)", "The SHA-256 of the key, in hex: its `hash`."),
        "account" => ("string(1..)", "The account's id."),
        "user" => ("string(1..)", "The person's id."),
        "period" => ("'daily' | 'weekly' | 'monthly' | 'lifetime'", "The period."),
        "version" => ("string(1..)", "A number, or the id of a version."),
        "generation" => ("string(1..)", "The id of a generation (`gen-…`)."),
        _ => ("string(1..)", "The id."),
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Made",
        202 => "Taken",
        204 => "Done; nothing to say",
        302 | 303 => "Goes on elsewhere",
        400 => "The request is wrong; `param` names the field",
        401 => "Nobody is named, or not by a valid key",
        402 => "The credits, or the limit of the key, do not suffice",
        403 => "The key or role may not do this",
        404 => "There is no such thing in this account",
        405 => "The path takes other methods",
        408 => "The request took too long",
        409 => "It contradicts what is there",
        410 => "It is over",
        413 => "The body is too large",
        415 => "The body is of another type than is taken",
        422 => "The provider could not work with the request",
        424 => "It was sent, and nobody knows whether it was done",
        429 => "Too many requests; `Retry-After` says when to come back",
        500 => "The gateway failed",
        501 => "The deployment is not set up for this",
        502 => "The provider failed",
        503 => "The provider, or a part of the gateway, is overloaded or out of reach",
        504 => "The provider took too long",
        529 => "The provider is overloaded",
        _ => panic!("a status without a phrase: {status}"),
    }
}

/// Every status that some operation names.
const ERRORS: [u16; 19] = [
    400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422, 429, 500, 501, 502, 503, 504, 529,
];

fn response_name(surface: Surface, status: u16) -> String {
    match surface {
        Surface::Messages => format!("MessagesError{status}"),
        Surface::Responses => format!("ResponsesError{status}"),
        _ => format!("Error{status}"),
    }
}

fn headers(operation: &Operation) -> Value {
    let mut names = vec!["x-generation-id", "x-request-id"];
    if operation.errors.contains(&502) {
        names.extend([
            "x-patchbay-provider",
            "x-patchbay-attempts",
            "server-timing",
        ]);
    }
    let references = names.into_iter().map(|name| {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        (name.to_owned(), reference)
    });
    references.collect::<Map<_, _>>().into()
}

fn header_components() -> Value {
    let header =
        |told: &str, schema: &str| json!({"description": told, "schema": notation::schema(schema)});
    json!({
        "x-generation-id": header("The id of the request; `GET /generation` knows it.", "string"),
        "x-request-id": header("The client's own `X-Request-Id`, else the id of the request.", "string"),
        "x-patchbay-provider": header("Who served the answer.", "string"),
        "x-patchbay-attempts": header("How many endpoints were asked.", "int(0..)"),
        "server-timing": header("Where the time went: gateway, upstream, total.", "string"),
        "retry-after": header("Seconds until it is worth another try.", "int(0..)"),
        "x-ratelimit-limit": header("What the limit that refused allows.", "number"),
        "x-ratelimit-remaining": header("What is left of it.", "number"),
        "x-ratelimit-reset": header("When it begins again, in unix milliseconds.", "int"),
    })
}

fn response_components() -> Value {
    let mut responses = Map::new();
    for (surface, schema) in [
        (Surface::ChatCompletions, "Error"),
        (Surface::Messages, "MessagesError"),
        (Surface::Responses, "ResponsesError"),
    ] {
        for status in ERRORS {
            let mut names = vec!["x-generation-id", "x-request-id"];
            if matches!(status, 429 | 503 | 529) {
                names.push("retry-after");
            }
            if status == 429 {
                names.extend([
                    "x-ratelimit-limit",
                    "x-ratelimit-remaining",
                    "x-ratelimit-reset",
                ]);
            }
            let headers: Map<String, Value> = names
                .into_iter()
                .map(|name| {
                    let reference = format!("#/components/headers/{name}");
                    (name.to_owned(), json!({"$ref": reference}))
                })
                .collect();
            let reference = format!("#/components/schemas/{schema}");
            responses.insert(
                response_name(surface, status),
                json!({
                    "description": phrase(status),
                    "headers": headers,
                    "content": {"application/json": {"schema": {"$ref": reference}}},
                }),
            );
        }
    }
    responses.into()
}

fn security_schemes() -> Value {
    let bearer = |told: &str| json!({"type": "http", "scheme": "bearer", "description": told});
    let named = |place: &str, name: &str, told: &str| json!({"type": "apiKey", "in": place, "name": name, "description": told});
    json!({
        "apiKey": bearer("An API key of an account: `Authorization: Bearer sk-pb-v1-…`."),
        "apiKeyHeader": named("header", "x-api-key", "The same key, where Anthropic's clients put it."),
        "managementKey": bearer("A management key: it administers an account and calls no models."),
        "managementKeyHeader": named("header", "x-api-key", "The same key in the other header."),
        "operator": bearer("The operator's token (`OPERATOR_TOKEN` of the deployment)."),
        "session": named("cookie", "__Host-patchbay-session", "A person's session, after signing in."),
        "csrf": named("header", "x-csrf-token", "Of requests that change something by cookie."),
    })
}

/// The types of the document.
#[derive(Default)]
pub struct Types(Map<String, Value>);

impl Types {
    /// Types in the notation.
    pub fn write(&mut self, text: &str) {
        for (name, schema) in notation::types(text) {
            self.put(name, schema);
        }
    }

    /// The words of a list that the code has.
    pub fn words<'a>(&mut self, name: &str, words: impl IntoIterator<Item = &'a str>) {
        let words: Vec<&str> = words.into_iter().collect();
        self.put(name.to_owned(), json!({"type": "string", "enum": words}));
    }

    /// The type that a request is read into. What it does not say of its fields (ranges, what stands in a field that is read by
    /// hand) is said in the notation.
    pub fn read_as<T: JsonSchema>(&mut self, name: &str, more: &str) {
        let mut schema = derived::<T>(self);
        if !more.is_empty() {
            refine(name, &mut schema, &notation::schema(more));
        }
        self.put(name.to_owned(), schema);
    }

    fn put(&mut self, name: String, schema: Value) {
        let former = self.0.insert(name.clone(), schema);
        assert!(former.is_none(), "two types are named {name}");
    }
}

/// What serde reads into a type.
fn derived<T: JsonSchema>(types: &mut Types) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    let object = schema.as_object_mut().unwrap();
    object.remove("$schema");
    object.remove("title");
    let inner = object.remove("$defs").unwrap_or_default();
    tidy(&mut schema);
    for (key, mut inner) in inner.as_object().cloned().into_iter().flatten() {
        tidy(&mut inner);
        if types.0.get(&key) != Some(&inner) {
            types.put(key, inner);
        }
    }
    schema
}

/// References become those of the document; Rust's own names of formats are for nobody.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            let is_rusts = |format: &Value| {
                format.as_str().is_some_and(|word| {
                    word.starts_with(['u', 'i']) && word.contains("int") || word == "double"
                })
            };
            if object.get("format").is_some_and(is_rusts) {
                object.remove("format");
            }
            object.remove("default");
            if let Some(Value::String(text)) = object.get_mut("$ref")
                && let Some(inner) = text.strip_prefix("#/$defs/")
            {
                *text = format!("#/components/schemas/{inner}");
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// Puts what the notation says of fields in the place of what the type says. A field that the type does not have is a mistake.
fn refine(name: &str, schema: &mut Value, more: &Value) {
    for (field, told) in more["properties"].as_object().into_iter().flatten() {
        let known = schema["properties"].get_mut(field);
        let known = known.unwrap_or_else(|| panic!("{name} has no field {field}"));
        let description = known.get("description").cloned();
        *known = told.clone();
        if let (Some(description), None) = (description, told.get("description")) {
            known["description"] = description;
        }
    }
    if let Some(required) = more.get("required") {
        let mut all: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        all.extend(
            required
                .as_array()
                .into_iter()
                .flatten()
                .filter(|field| !all.contains(field))
                .cloned()
                .collect::<Vec<_>>(),
        );
        schema["required"] = all.into();
    }
}

/// The whole document.
pub fn document(info: Value, tags: Value, operations: &[Operation], types: Types) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let path = match operation.path {
            "/health" | "/openapi.json" => operation.path.to_owned(),
            path => format!("/api/v1{path}"),
        };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let method = operation.method.to_lowercase();
        assert!(
            item.get(&method).is_none(),
            "{method} {} twice",
            operation.path
        );
        item[method] = operation.write();
    }
    paths.sort_keys();
    let mut schemas = types.0;
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": "/", "description": "This deployment. Paths under /api/v1 are under /v1 too."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": response_components(),
            "headers": header_components(),
            "securitySchemes": security_schemes(),
        },
    })
}
