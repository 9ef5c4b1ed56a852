//! How a listing goes on: the input of the next call, made out of the last one and its answer.

use serde_json::{Map, Value};

use super::{
    Answer,
    template::{at, plain},
};
use crate::{
    identity::people::form::Form,
    tools::catalog::{Operation, Page},
};

/// The input of the next page, if there is one.
pub(super) fn next(
    operation: &Operation,
    input: &Value,
    data: &Value,
    answer: &Answer,
) -> Option<Value> {
    let page = operation.response.page.as_ref()?;
    let goes_on = |pointer: &Option<String>| {
        let told = pointer.as_deref().and_then(|pointer| at(data, pointer));
        pointer.is_none() || told.is_some_and(|more| plain(more) == "true")
    };
    if !goes_on(&page.more) {
        return None;
    }
    let (name, value) = cursor(page, data, answer).or_else(|| counted(page, input, data))?;
    let value = typed(operation, name, value);
    let mut next: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    // A cursor that stands still would go on for ever.
    if next.get(name) == Some(&value) {
        return None;
    }
    next.insert(name.to_owned(), value);
    Some(next.into())
}

/// What came as text goes back as a number where the input has one.
fn typed(operation: &Operation, name: &str, value: Value) -> Value {
    let known = operation.input.value().get("properties");
    let schema = known.and_then(|known| known.get(name)?.get("type")?.as_str());
    let number = value.as_str().and_then(|text| text.parse::<i64>().ok());
    match (schema, number) {
        (Some("integer" | "number"), Some(number)) => number.into(),
        (Some("string"), _) if value.is_number() => plain(&value).into(),
        _ => value,
    }
}

/// The cursor: told, a parameter of an address that is told, or the last item's id.
fn cursor<'a>(page: &'a Page, data: &Value, answer: &Answer) -> Option<(&'a str, Value)> {
    let into = page.into.as_deref()?;
    let value = if let Some(pointer) = &page.cursor {
        at(data, pointer)?.clone()
    } else if let Some(place) = &page.next_url {
        let url = match place.strip_prefix("header:") {
            Some(name) => linked(answer.header(name)?)?.to_owned(),
            None => at(data, place)?.as_str()?.to_owned(),
        };
        parameter(&url, page.param.as_deref().unwrap_or(into))?.into()
    } else {
        let last = at(data, page.last.as_deref()?)?.as_array()?.last()?;
        at(last, page.id.as_deref().unwrap_or("/id"))?.clone()
    };
    Some((into, value)).filter(|(_, value)| value.as_str() != Some(""))
}

/// How many were read, or which page it was.
fn counted<'a>(page: &'a Page, input: &Value, data: &Value) -> Option<(&'a str, Value)> {
    let count = page.by.as_deref().map(|pointer| {
        let list = at(data, pointer).and_then(Value::as_array);
        list.map_or(0, |list| list.len() as u64)
    });
    if count == Some(0) {
        return None;
    }
    let total = page.total.as_deref().and_then(|pointer| {
        let total = at(data, pointer)?;
        total.as_u64().or_else(|| total.as_str()?.parse().ok())
    });
    let given = |name: &str| input.get(name).and_then(Value::as_u64);
    if let Some(name) = page.offset.as_deref() {
        let next = given(name).unwrap_or(0).saturating_add(count?);
        return total
            .is_none_or(|total| next < total)
            .then(|| (name, next.into()));
    }
    let name = page.number.as_deref()?;
    let first = page.first.unwrap_or(1);
    let here = given(name).unwrap_or(first);
    // The last of `total` pages has the number `first + total - 1`.
    let is_last = total.is_some_and(|total| here.saturating_add(1) >= first.saturating_add(total));
    let goes_on = total.is_some() || page.more.is_some() || count.is_some();
    (goes_on && !is_last).then(|| (name, here.saturating_add(1).into()))
}

/// The address that a `Link` header calls the next one (RFC 8288).
fn linked(header: &str) -> Option<&str> {
    let mut links = header.split(',').filter_map(|link| link.split_once('>'));
    let next =
        links.find(|(_, about)| about.contains("rel=\"next\"") || about.contains("rel=next"));
    next.and_then(|(url, _)| url.trim_start().strip_prefix('<'))
}

/// A parameter of an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    Form::parse(query).get(name).map(str::to_owned)
}
