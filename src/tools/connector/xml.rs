//! Items out of XML, such as Atom feeds: a reader that knows elements, attributes and texts, within bounds.
//!
//! Prefixes of names are dropped, document types are skipped, and no entity but the five of XML and numbers is known. Spec:
//! <https://www.w3.org/TR/xml/>, as far as feeds need it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::tools::catalog::Xml;

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most elements.
const MAX_ELEMENTS: usize = 50_000;

#[derive(Debug, Default)]
struct Element<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, String)>,
    text: String,
    children: Vec<Self>,
}

/// What a row wants of a document; `None` where it is none.
pub(super) fn read(row: &Xml, document: &str) -> Option<Value> {
    let root = parse(document)?;
    let items = found(&root, &row.each).into_iter();
    let items: Vec<Value> = items.map(|item| fields(item, &row.fields).into()).collect();
    let mut data = fields(&root, &row.root);
    data.insert("items".to_owned(), items.into());
    Some(data.into())
}

fn fields(of: &Element<'_>, paths: &BTreeMap<String, String>) -> Map<String, Value> {
    let read = |(name, path): (&String, &String)| Some((name.clone(), at(of, path)?));
    paths.iter().filter_map(read).collect()
}

/// What a path such as `author/name[]` or `link[rel=next]@href` names.
fn at(of: &Element<'_>, path: &str) -> Option<Value> {
    let (path, is_list) = match path.strip_suffix("[]") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let (path, attribute) = match path.rsplit_once('@') {
        Some((path, name)) => (path, Some(name)),
        None => (path, None),
    };
    let elements = if path.is_empty() || path == "." {
        vec![of]
    } else {
        found(of, path)
    };
    let mut values = elements.into_iter().filter_map(|element| match attribute {
        Some(name) => element.attribute(name).map(str::to_owned),
        None => Some(element.content()),
    });
    if is_list {
        return Some(values.collect::<Vec<_>>().into());
    }
    values.next().map(Value::from)
}

/// The elements at a path.
fn found<'e, 'a>(of: &'e Element<'a>, path: &str) -> Vec<&'e Element<'a>> {
    let mut here = vec![of];
    for step in path.split('/') {
        let (name, wanted) = match step.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').split_once('=')),
            None => (step, None),
        };
        let is_it = |element: &&Element<'_>| {
            element.name == name
                && wanted.is_none_or(|(name, value)| element.attribute(name) == Some(value))
        };
        here = here
            .into_iter()
            .flat_map(|above| above.children.iter().filter(is_it))
            .collect();
    }
    here
}

impl Element<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        let named = self.attributes.iter().find(|(own, _)| *own == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The text, its white space made one space each.
    fn content(&self) -> String {
        let mut words: Vec<&str> = self.text.split_whitespace().collect();
        let below: Vec<String> = self.children.iter().map(Self::content).collect();
        words.extend(
            below
                .iter()
                .map(String::as_str)
                .filter(|text| !text.is_empty()),
        );
        words.join(" ")
    }
}

/// The root of a document.
fn parse(document: &str) -> Option<Element<'_>> {
    let mut open: Vec<Element<'_>> = vec![Element::default()];
    let mut count = 0;
    let mut rest = document;
    while let Some((text, markup)) = rest.split_once('<') {
        open.last_mut()?.text.push_str(&decoded(text));
        if let Some(after) = markup.strip_prefix("!--") {
            rest = after.split_once("-->").map_or("", |(_, rest)| rest);
        } else if let Some(after) = markup.strip_prefix("![CDATA[") {
            let (text, after) = after.split_once("]]>")?;
            open.last_mut()?.text.push_str(text);
            rest = after;
        } else if markup.starts_with(['!', '?']) {
            rest = after_declaration(markup);
        } else if let Some(after) = markup.strip_prefix('/') {
            let (name, after) = after.split_once('>')?;
            let done = open.pop()?;
            let above = open.last_mut()?;
            if done.name != local(name.trim()) {
                return None;
            }
            above.children.push(done);
            rest = after;
        } else {
            let (element, is_empty, after) = start(markup)?;
            count += 1;
            if count > MAX_ELEMENTS || open.len() > MAX_DEPTH {
                return None;
            }
            if is_empty {
                open.last_mut()?.children.push(element);
            } else {
                open.push(element);
            }
            rest = after;
        }
    }
    let [document] = open.try_into().ok().map(|open: [Element<'_>; 1]| open)?;
    document.children.into_iter().next()
}

/// What follows a declaration; one of a document type may have others in brackets.
fn after_declaration(markup: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in markup.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '>' if depth == 0 => return markup.get(at + 1..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

/// An element's tag, after its `<`: the element, whether it ends itself, and what follows.
fn start(markup: &str) -> Option<(Element<'_>, bool, &str)> {
    let end = markup.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'))?;
    let (name, mut rest) = markup.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    let mut element = Element {
        name: local(name),
        ..Element::default()
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.get(1..)?.split_once(quote)?;
        element
            .attributes
            .push((local(name.trim()), decoded(value)));
        rest = after;
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// A text without references.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let known = reference.and_then(|(name, after)| Some((character(name)?, after)));
        rest = match known {
            Some((c, after)) => {
                out.push(c);
                after
            }
            None => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FEED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE feed [<!ENTITY lol "ha">]>
        <feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="urn:o">
          <!-- nothing --> <o:totalResults>2</o:totalResults>
          <entry><id>1</id><title>A &amp; B
             &#x41;&lol;</title><author><name>Ada</name></author><author><name>Bo</name></author>
             <link href="a"/><link title='pdf' href="a.pdf"/><summary><![CDATA[x < y]]></summary></entry>
          <entry><id>2</id></entry>
        </feed>"#;

    fn row() -> Xml {
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        Xml {
            each: "entry".into(),
            fields: pairs(&[
                ("id", "id"),
                ("title", "title"),
                ("authors", "author/name[]"),
                ("pdf", "link[title=pdf]@href"),
                ("summary", "summary"),
            ]),
            root: pairs(&[("total", "totalResults")]),
        }
    }

    #[test]
    fn a_feed_is_read_as_its_row_says_and_defines_no_entities() {
        assert_eq!(
            read(&row(), FEED).unwrap(),
            json!({
                "total": "2",
                "items": [
                    {"id": "1", "title": "A & B A&lol;", "authors": ["Ada", "Bo"], "pdf": "a.pdf", "summary": "x < y"},
                    {"id": "2", "authors": []},
                ],
            })
        );
    }

    #[test]
    fn what_is_no_document_is_none() {
        let deep = "<a>".repeat(MAX_DEPTH + 2);
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS + 1));
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a",
            "<a b>",
            "<a b=c/>",
            "</a>",
            &deep,
            &many,
            "<![CDATA[",
        ] {
            assert_eq!(read(&row(), text), None, "{:.40}", text);
        }
    }
}
