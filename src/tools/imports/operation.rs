//! One operation of an OpenAPI document as a row: where each field of its input goes, and what comes back.
//!
//! All fields of the input are at the top: parameters, and the properties of a body that is an object. Where two have one name,
//! the later one is given another, which its place is part of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    auth::is_header,
    name::property,
    openapi::has_dots,
    shape::{portable, resolve},
    text::{MAX_DESCRIPTION, MAX_NOTE, MAX_TITLE, clean},
};
use crate::{
    server_tools::Address,
    tools::catalog::{
        Arrays, Body, BodyKind, Effect, Method, Operation, Request, Response, Retry, RetryKind,
    },
};

/// The most parameters of an operation.
const MAX_PARAMETERS: usize = 100;
/// The most bytes of the schema of an input.
const MAX_INPUT_BYTES: usize = 48 * 1024;

/// What a document says of one operation.
pub struct Part<'d> {
    /// The name that it was given.
    pub name: String,
    /// In lower case.
    pub method: &'d str,
    /// As the document writes it.
    pub path: &'d str,
    /// All of the path's.
    pub item: &'d Value,
    /// Its own.
    pub body: &'d Value,
    /// What it is called in notes.
    pub place: String,
}

/// The row of an operation.
///
/// # Errors
/// Why it cannot be carried out.
pub fn read(
    document: &Value,
    base: &Address,
    part: &Part<'_>,
    weak: &mut Vec<String>,
) -> Result<Operation, String> {
    check_server(part, base)?;
    let method = match part.method {
        "get" => Method::Get,
        "post" => Method::Post,
        "put" => Method::Put,
        "patch" => Method::Patch,
        _ => Method::Delete,
    };
    let mut maker = Maker {
        document,
        weak,
        taken: BTreeSet::new(),
        properties: Map::new(),
        required: Vec::new(),
        rename: BTreeMap::new(),
        query: Vec::new(),
        headers: BTreeMap::new(),
        places: Vec::new(),
        arrays: None,
    };
    maker.parameters(part)?;
    let path = maker.path(part.path)?;
    let (body, form_arrays) = maker.body(part, method)?;
    let mut input = json!({
        "type": "object",
        "properties": maker.properties,
        "additionalProperties": false,
    });
    if !maker.required.is_empty() {
        crate::json::set(&mut input, "required", maker.required.clone());
    }
    if input.to_string().len() > MAX_INPUT_BYTES {
        return Err("its input has too many fields".to_owned());
    }
    let effect = match method {
        Method::Get => Effect::Read,
        Method::Delete => Effect::Destructive,
        Method::Post | Method::Put | Method::Patch => Effect::Write,
    };
    let (title, description) = texts(part);
    Ok(Operation {
        name: part.name.clone(),
        title,
        description,
        effect,
        retry: Retry {
            kind: match effect {
                Effect::Read => RetryKind::Safe,
                _ => RetryKind::None,
            },
            ..Retry::default()
        },
        input: input.into(),
        request: Request {
            method,
            path,
            query: Some(maker.query),
            query_arrays: maker.arrays.unwrap_or_default(),
            body: Some(body),
            form_arrays,
            rename: maker.rename,
            headers: maker.headers,
            ..Request::default()
        },
        response: response(document, part),
        ..Operation::default()
    })
}

/// An operation elsewhere would be sent the key of this API.
fn check_server(part: &Part<'_>, base: &Address) -> Result<(), String> {
    let own = [part.body, part.item].into_iter().find_map(|place| {
        place
            .get("servers")?
            .as_array()?
            .first()?
            .get("url")?
            .as_str()
    });
    let Some(url) = own else {
        return Ok(());
    };
    let same = base.join(url).is_ok_and(|own| {
        own.to_string().trim_end_matches('/') == base.to_string().trim_end_matches('/')
    });
    if same {
        Ok(())
    } else {
        Err("it is at another address than the others".to_owned())
    }
}

fn texts(part: &Part<'_>) -> (String, String) {
    let text = |field: &str, longest| {
        let text = part.body.get(field).and_then(Value::as_str);
        clean(text.unwrap_or_default(), longest)
    };
    let mut title = text("summary", 80);
    if title.is_empty() {
        title = clean(&part.name.replace('_', " "), 80);
    }
    let mut description = text("description", MAX_DESCRIPTION);
    if description.is_empty() {
        description = text("summary", MAX_DESCRIPTION);
    }
    if description.is_empty() {
        description = clean(&part.place, MAX_TITLE);
    }
    if part.body.get("deprecated") == Some(&Value::Bool(true)) {
        description = clean(&format!("Deprecated. {description}"), MAX_DESCRIPTION);
    }
    (title, description)
}

struct Maker<'d, 'w> {
    document: &'d Value,
    weak: &'w mut Vec<String>,
    taken: BTreeSet<String>,
    properties: Map<String, Value>,
    required: Vec<String>,
    rename: BTreeMap<String, String>,
    query: Vec<String>,
    headers: BTreeMap<String, String>,
    /// The path's own names and ours.
    places: Vec<(String, String)>,
    arrays: Option<Arrays>,
}

impl<'d> Maker<'d, '_> {
    fn weaken(&mut self, why: impl Into<String>) {
        let why = why.into();
        if !self.weak.contains(&why) {
            self.weak.push(why);
        }
    }

    fn schema(&mut self, schema: &'d Value, keeps_names: bool) -> Option<Value> {
        let mut lost = Vec::new();
        let made = portable(self.document, schema, keeps_names, &mut lost);
        for what in lost {
            self.weaken(format!("its input lost {what}"));
        }
        made
    }

    /// Takes a field into the input; answers its name there.
    fn field(&mut self, place: &str, name: &str, schema: Value, is_required: bool) -> String {
        let mut made = property(name, &mut self.taken.clone());
        let is_other = self.taken.contains(&property(name, &mut BTreeSet::new()));
        // `{key}` in a path is the credential.
        if is_other || (place == "path" && made == "key") {
            made = property(&format!("{place}_{name}"), &mut self.taken.clone());
        }
        self.taken.insert(made.clone());
        if is_required {
            self.required.push(made.clone());
        }
        self.properties.insert(made.clone(), schema);
        made
    }

    /// What the vendor calls it, where that is something else. A pointer would make objects.
    fn remember(&mut self, made: &str, name: &str) {
        if made != name {
            let name = if name.starts_with('/') {
                format!("/{}", name.replace('~', "~0").replace('/', "~1"))
            } else {
                name.to_owned()
            };
            self.rename.insert(made.to_owned(), name);
        }
    }

    fn parameters(&mut self, part: &Part<'d>) -> Result<(), String> {
        let mut all: Vec<(&str, &str, &'d Value)> = Vec::new();
        for list in [part.item, part.body] {
            let listed = list.get("parameters").and_then(Value::as_array);
            for one in listed.into_iter().flatten() {
                let found = resolve(self.document, one);
                let found = found.ok_or("a parameter of it is described in another document")?;
                let word = |field: &str| found.get(field).and_then(Value::as_str);
                let (Some(place), Some(name)) = (word("in"), word("name")) else {
                    return Err("a parameter of it has no name or place".to_owned());
                };
                match all
                    .iter_mut()
                    .find(|known| (known.0, known.1) == (place, name))
                {
                    Some(known) => known.2 = found,
                    None => all.push((place, name, found)),
                }
            }
        }
        if all.len() > MAX_PARAMETERS {
            return Err("it has too many parameters".to_owned());
        }
        for (place, name, parameter) in all {
            let is_required =
                place == "path" || parameter.get("required") == Some(&Value::Bool(true));
            match self.parameter(place, name, parameter, is_required) {
                Ok(()) => {}
                Err(why) if is_required => {
                    return Err(format!("its parameter {}: {why}", clean(name, MAX_TITLE)));
                }
                Err(why) => {
                    let named = clean(name, MAX_TITLE);
                    self.weaken(format!("its parameter {named} was left out: {why}"));
                }
            }
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        place: &str,
        name: &str,
        parameter: &'d Value,
        is_required: bool,
    ) -> Result<(), &'static str> {
        let ignored = ["accept", "content-type", "authorization"];
        if place == "header" && ignored.contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err("its name cannot be sent");
        }
        let schema = match parameter.get("schema") {
            Some(schema) => self
                .schema(schema, false)
                .ok_or("its schema is too large")?,
            None if parameter.get("content").is_some() => {
                return Err("it is a document inside of a parameter");
            }
            None => json!({"type": "string"}),
        };
        let schema = described(schema, parameter);
        let kind = kinds(&schema);
        let style = parameter.get("style").and_then(Value::as_str);
        match place {
            "path" => {
                if style.is_some_and(|style| style != "simple") || kind.is_object {
                    return Err("this style is not supported");
                }
                let made = self.field(place, name, one_text(schema, kind, ","), true);
                self.places.push((name.to_owned(), made));
            }
            "header" => {
                if !is_header(name) || kind.is_object {
                    return Err("this header cannot be sent");
                }
                let schema = one_text(schema, kind, ",");
                let made = self.field(place, name, schema, is_required);
                self.headers
                    .insert(name.to_ascii_lowercase(), format!("{{/{made}}}"));
            }
            "query" => {
                if kind.is_object && style != Some("deepObject") {
                    return Err("an object in the query is only supported in the style deepObject");
                }
                let schema = self.listed(schema, kind, parameter, style);
                let made = self.field(place, name, schema, is_required);
                self.remember(&made, name);
                self.query.push(made);
            }
            _ => return Err("only parameters in path, query and headers are supported"),
        }
        Ok(())
    }

    /// A list in the query: as a list where all are written alike, else as one text.
    fn listed(
        &mut self,
        schema: Value,
        kind: Kinds,
        parameter: &Value,
        style: Option<&str>,
    ) -> Value {
        if !kind.is_array {
            return schema;
        }
        let explodes = parameter.get("explode").and_then(Value::as_bool);
        let separator = match style {
            Some("spaceDelimited") => return one_text(schema, kind, " "),
            Some("pipeDelimited") => return one_text(schema, kind, "|"),
            Some("deepObject") => Arrays::Brackets,
            _ if explodes == Some(false) => Arrays::Comma,
            _ => Arrays::Repeat,
        };
        match self.arrays {
            Some(known) if known != separator && separator == Arrays::Comma => {
                one_text(schema, kind, ",")
            }
            Some(known) if known != separator => {
                self.weaken("lists in its query are all written alike");
                schema
            }
            _ => {
                self.arrays = Some(separator);
                schema
            }
        }
    }

    /// The path with our names in it.
    fn path(&mut self, path: &str) -> Result<String, String> {
        let mut made = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            made.push_str(before);
            let (name, tail) = after.split_once('}').ok_or("its path has an open brace")?;
            let known = self.places.iter().find(|(own, _)| own == name);
            let ours = match known {
                Some((_, ours)) => ours.clone(),
                None => {
                    let ours = self.field("path", name, json!({"type": "string"}), true);
                    self.places.push((name.to_owned(), ours.clone()));
                    ours
                }
            };
            made.push_str(&format!("{{{ours}}}"));
            rest = tail;
        }
        made.push_str(rest);
        let outside = |c: char| c.is_whitespace() || c.is_control() || "?#\\$".contains(c);
        if !made.starts_with('/') || made.contains(outside) || rest.contains('}') || has_dots(&made)
        {
            return Err("its path cannot be used".to_owned());
        }
        let lost = self.required.iter().any(|name| {
            self.places.iter().any(|(_, ours)| ours == name)
                && !made.contains(&format!("{{{name}}}"))
        });
        if lost {
            return Err("a parameter of its path is not in the path".to_owned());
        }
        Ok(made)
    }

    fn body(&mut self, part: &Part<'d>, method: Method) -> Result<(Body, Option<Arrays>), String> {
        let none = Body {
            kind: BodyKind::None,
            ..Body::default()
        };
        let Some(told) = part.body.get("requestBody") else {
            return Ok((none, None));
        };
        let told =
            resolve(self.document, told).ok_or("its body is described in another document")?;
        let is_required = told.get("required") == Some(&Value::Bool(true));
        let content = told.get("content").and_then(Value::as_object);
        let found = content.and_then(media);
        let Some((media, kind, content)) = found.filter(|_| method != Method::Get) else {
            if is_required && method != Method::Get {
                return Err("its body is neither JSON nor a form".to_owned());
            }
            self.weaken("its body was left out");
            return Ok((none, None));
        };
        let said = content.get("schema").unwrap_or(&Value::Null);
        let large = "the schema of its body is too large";
        let schema = self.schema(said, true).ok_or(large)?;
        let mut body = Body {
            kind,
            content_type: (media != "application/json" && kind == BodyKind::Json)
                .then(|| media.to_owned()),
            ..Body::default()
        };
        if kind == BodyKind::Text {
            let schema = json!({"type": "string", "description": "The text that is sent."});
            let made = self.field("body", "body", schema, is_required);
            body.field = Some(made);
            body.content_type = Some(format!("{media}; charset=utf-8"));
            return Ok((body, None));
        }
        let spread = schema.get("properties").and_then(Value::as_object).cloned();
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        match spread.filter(|_| is_closed && schema.get("type") == Some(&"object".into())) {
            Some(fields) => {
                let needed = schema.get("required").and_then(Value::as_array);
                let needed = needed.map(Vec::as_slice).unwrap_or_default();
                for (name, schema) in fields {
                    let is_needed = is_required && needed.contains(&name.as_str().into());
                    let made = self.field("body", &name, schema, is_needed);
                    self.remember(&made, &name);
                }
            }
            None if kind == BodyKind::Form => {
                return Err("the fields of its form are not described".to_owned());
            }
            None => {
                let schema = self.schema(said, false).ok_or(large)?;
                let made = self.field("body", "body", schema, is_required);
                body.template = Some(Value::from(format!("{{/{made}}}")).into());
            }
        }
        let deep = content.get("encoding").is_some_and(|encoding| {
            let mut each = encoding.as_object().into_iter().flatten();
            each.any(|(_, one)| one.get("style") == Some(&"deepObject".into()))
        });
        let arrays = match kind {
            BodyKind::Form if deep => Some(Arrays::Index),
            BodyKind::Form => Some(Arrays::Repeat),
            _ => None,
        };
        Ok((body, arrays))
    }
}

/// Whether a media type is of a kind.
type IsKind = fn(&str) -> bool;

/// The kind of body that is sent, of those that a document offers.
fn media(content: &Map<String, Value>) -> Option<(&str, BodyKind, &Value)> {
    let plain = |media: &str| {
        let media = media.split(';').next().unwrap_or_default();
        media.trim().to_ascii_lowercase()
    };
    let is_fit = |media: &str| {
        media.len() <= 100
            && media
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte))
    };
    let kinds: [(IsKind, BodyKind); 4] = [
        (|media| media == "application/json", BodyKind::Json),
        (|media| media.ends_with("+json"), BodyKind::Json),
        (
            |media| media == "application/x-www-form-urlencoded",
            BodyKind::Form,
        ),
        (|media| media.starts_with("text/"), BodyKind::Text),
    ];
    for (is_kind, kind) in kinds {
        let found = content.iter().find(|(media, _)| is_kind(&plain(media)));
        if let Some((media, content)) = found {
            let media = media.split(';').next().unwrap_or_default().trim();
            return is_fit(media).then_some((media, kind, content));
        }
    }
    // Whatever is taken, JSON is among it.
    let any = content.get("*/*").or_else(|| content.get("application/*"));
    any.map(|content| ("application/json", BodyKind::Json, content))
}

/// How the answer is read: JSON where any of it is.
fn response(document: &Value, part: &Part<'_>) -> Response {
    let answers = part.body.get("responses").and_then(Value::as_object);
    let mut is_text = false;
    let mut is_binary = false;
    for (status, answer) in answers.into_iter().flatten() {
        if !status.starts_with('2') {
            continue;
        }
        let content = resolve(document, answer).and_then(|one| one.get("content")?.as_object());
        for media in content
            .into_iter()
            .flatten()
            .map(|(media, _)| media.as_str())
        {
            let media = media.to_ascii_lowercase();
            if media.contains("json") || media.starts_with("*/") {
                return Response::default();
            }
            let reads =
                media.starts_with("text/") || media.contains("xml") || media.contains("yaml");
            is_text |= reads;
            is_binary |= !reads;
        }
    }
    Response {
        text: is_text,
        binary: (is_binary && !is_text).then(String::new),
        ..Response::default()
    }
}

#[derive(Clone, Copy)]
struct Kinds {
    is_array: bool,
    is_object: bool,
}

/// What a value of this schema may be, beside one that is written as it is.
fn kinds(schema: &Value) -> Kinds {
    let is = |name: &str| match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(all)) => all.iter().any(|one| one == name),
        _ => false,
    };
    Kinds {
        is_array: is("array"),
        is_object: is("object"),
    }
}

/// A list as a text with these between; anything else as it is.
fn one_text(schema: Value, kind: Kinds, separator: &str) -> Value {
    if !kind.is_array {
        return schema;
    }
    let between = match separator {
        " " => "spaces",
        "|" => "vertical bars",
        _ => "commas",
    };
    let told = schema.get("description").and_then(Value::as_str);
    let told = told.map_or(String::new(), |told| format!("{told} "));
    json!({"type": "string", "description": format!("{told}Several with {between} between.")})
}

/// A parameter's schema with its own description.
fn described(mut schema: Value, parameter: &Value) -> Value {
    let text = parameter.get("description").and_then(Value::as_str);
    let text = clean(text.unwrap_or_default(), MAX_NOTE);
    if !text.is_empty() {
        crate::json::set(&mut schema, "description", text);
    }
    schema
}
