//! What is read before an effect, and what takes it back.

use serde_json::{Value, json};

use super::{
    condition::holds,
    template::{self, Scope},
};
use crate::tools::{
    catalog::{Json, Tool, UndoClass},
    schema::validate,
};

/// A call that takes an effect back.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoCall {
    /// The operation of the same provider.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// How much it takes back.
    pub class: UndoClass,
    /// What to know of it.
    pub note: Option<String>,
}

/// What takes back what was done with this input, if it can be: `data` is what the provider answered, `before` what was read first.
pub fn undo(tool: &Tool, input: &Value, data: &Value, before: Option<&Value>) -> Option<UndoCall> {
    let row = tool.operation.undo.as_ref()?;
    let seen = json!({ "input": input, "data": data, "before": before });
    if !row.when.as_ref().is_none_or(|when| holds(when, &seen)) {
        return None;
    }
    let input = filled(&row.input, &seen)?;
    // Where something is missing that it needs, the wrong thing would be undone.
    let mut siblings = tool.provider.operation.iter();
    let undoes = siblings.find(|one| one.name == row.operation);
    if undoes.is_some_and(|one| validate(one.input.value(), &input).is_err()) {
        return None;
    }
    Some(UndoCall {
        operation: row.operation.clone(),
        input,
        class: row.class,
        note: row.note.clone(),
    })
}

/// What to read before an effect: the operation of the same provider, and its input.
pub fn before(tool: &Tool, input: &Value) -> Option<(String, Value)> {
    let row = tool.operation.before.as_ref()?;
    let seen = json!({ "input": input });
    Some((row.operation.clone(), filled(&row.input, &seen)?))
}

/// The input of an operation out of the normalised one of its capability. `None` where it says nothing of it.
pub fn normal(tool: &Tool, input: &Value) -> Option<Value> {
    template::fill(tool.operation.normal.as_ref()?.value(), Scope::of(input))
}

/// The fields of a normalised input that an operation cannot honour.
pub fn beyond<'a>(tool: &Tool, input: &'a Value) -> Vec<&'a str> {
    let mut known = std::collections::BTreeSet::new();
    let template = tool
        .operation
        .normal
        .as_ref()
        .map_or(&Value::Null, Json::value);
    template::mentions(template, &mut known);
    let given = input.as_object().into_iter().flatten();
    let given = given.filter(|(_, value)| !value.is_null());
    given
        .map(|(name, _)| name.as_str())
        .filter(|name| !known.contains(*name))
        .collect()
}

/// What a template makes of what was seen.
fn filled(template: &Json, seen: &Value) -> Option<Value> {
    template::fill(template.value(), Scope::of(seen))
}
