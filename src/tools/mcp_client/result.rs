//! What a call came to: the blocks of a result as data, what a model or a program wants of them as result.
//!
//! `data` is what the server answered: `content`, and `structuredContent` where there is one. `result` is the structured content
//! where it is an object; else `{kind: "generic"}` with the texts of all blocks as `text`, what they say as JSON as `value`, the
//! links as `links`, and of images, sounds and files their kind and size as `media`: their bytes are in `data` alone.

use serde_json::{Map, Value, json};

use super::{MAX_BLOCKS, client::line};
use crate::tools::{
    catalog::Class,
    connector::{Acted, Failure, Outcome, Success},
};

/// The outcome of a call with this result.
pub(super) fn outcome(mut result: Map<String, Value>) -> Outcome {
    match result.get("resultType").and_then(Value::as_str) {
        None | Some("complete") => {}
        // It was told that nobody can be asked.
        Some("input_required") => {
            let message = "The tool wants to ask somebody for more, which is not passed on";
            return failure(Class::Refused, message, Acted::No);
        }
        Some(_) => {
            let message = "The tool answers later, in a way that was not offered to it";
            return failure(Class::Provider, message, Acted::Maybe);
        }
    }
    let structured = result.remove("structuredContent");
    let structured = structured.filter(|value| !value.is_null());
    let blocks = match result.remove("content") {
        Some(Value::Array(mut blocks)) => {
            blocks.truncate(MAX_BLOCKS);
            blocks
        }
        None if structured.is_some() => Vec::new(),
        _ => {
            let message = "The server's answer is no result of a tool";
            return failure(Class::Provider, message, Acted::Maybe);
        }
    };
    let read = Read::of(&blocks);
    if result.get("isError") == Some(&Value::Bool(true)) {
        let told = line(&read.text);
        let told = if told.is_empty() {
            "The tool failed and does not say why"
        } else {
            &told
        };
        // Whoever says that it failed knows.
        return failure(Class::Refused, told, Acted::No);
    }
    let told = read.result(structured.as_ref());
    let mut data = Map::new();
    data.insert("content".to_owned(), blocks.into());
    if let Some(structured) = structured {
        data.insert("structuredContent".to_owned(), structured);
    }
    Outcome::Success(Box::new(Success {
        data: data.into(),
        result: Some(told),
        ..Success::default()
    }))
}

fn failure(class: Class, message: &str, acted: Acted) -> Outcome {
    Outcome::Failure(Box::new(Failure {
        class,
        message: message.to_owned(),
        code: None,
        param: None,
        status: 200,
        retry_after: None,
        acted,
    }))
}

/// What is in the blocks.
#[derive(Default)]
struct Read {
    text: String,
    /// How many blocks are text.
    texts: usize,
    links: Vec<Value>,
    media: Vec<Value>,
}

impl Read {
    fn of(blocks: &[Value]) -> Self {
        let mut read = Self::default();
        for block in blocks {
            let text = |name: &str| block.get(name).and_then(Value::as_str);
            match text("type") {
                Some("text") => read.say(text("text")),
                Some("image" | "audio") => read.show(text("mimeType"), text("data")),
                Some("resource_link") => {
                    let mut link = Map::new();
                    let title = text("title").or_else(|| text("name"));
                    let fields = [
                        ("url", text("uri")),
                        ("title", title),
                        ("mime_type", text("mimeType")),
                    ];
                    let told = fields.into_iter().filter_map(|(name, value)| {
                        value.map(|value| (name.to_owned(), value.into()))
                    });
                    link.extend(told);
                    read.links.push(link.into());
                }
                Some("resource") => {
                    let within = |name: &str| block.get("resource")?.get(name)?.as_str();
                    match within("blob") {
                        Some(blob) => read.show(within("mimeType"), Some(blob)),
                        None => read.say(within("text")),
                    }
                }
                _ => {}
            }
        }
        read
    }

    fn say(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            return;
        };
        if self.texts > 0 {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.texts += 1;
    }

    fn show(&mut self, mime: Option<&str>, data: Option<&str>) {
        let data = data.unwrap_or_default().trim_end_matches('=');
        let mime = mime.unwrap_or("application/octet-stream");
        self.media
            .push(json!({"mime_type": mime, "bytes": data.len() * 3 / 4}));
    }

    fn result(self, structured: Option<&Value>) -> Value {
        if let Some(object @ Value::Object(_)) = structured {
            return object.clone();
        }
        let said = || {
            let value: Value = crate::json::from_str(&self.text).ok()?;
            (self.texts == 1 && (value.is_object() || value.is_array())).then_some(value)
        };
        let mut told = Map::new();
        told.insert("kind".to_owned(), "generic".into());
        if let Some(value) = structured.cloned().or_else(said) {
            told.insert("value".to_owned(), value);
        }
        if self.texts > 0 {
            told.insert("text".to_owned(), self.text.into());
        }
        for (name, list) in [("links", self.links), ("media", self.media)] {
            if !list.is_empty() {
                told.insert(name.to_owned(), list.into());
            }
        }
        told.into()
    }
}
