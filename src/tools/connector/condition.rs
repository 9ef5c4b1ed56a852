//! Conditions of rows: on answers, on inputs, and on both.

use serde_json::Value;

use super::{
    Answer,
    template::{at, plain},
};
use crate::tools::catalog::Condition;

/// Whether an answer is what a condition says. A condition that says nothing means every failure.
pub(super) fn of_answer(condition: &Condition, answer: &Answer, body: &Value) -> bool {
    let looks_inside = condition.looks_inside();
    let status = answer.status;
    let fits_status = match condition.status.as_slice() {
        [] => looks_inside || status >= 400,
        these => these.contains(&status),
    };
    let header = condition.header.as_deref();
    fits_status
        && header.is_none_or(|name| {
            let value = answer.header(name).map(Value::from);
            of_value(condition, value.as_ref())
        })
        && (header.is_some() || fits_pointer(condition, body))
}

/// Whether a value is what a condition says.
pub fn holds(condition: &Condition, value: &Value) -> bool {
    fits_pointer(condition, value)
}

fn fits_pointer(condition: &Condition, value: &Value) -> bool {
    let pointer = condition.pointer.as_deref();
    pointer.is_none_or(|pointer| of_value(condition, at(value, pointer)))
}

fn of_value(condition: &Condition, value: Option<&Value>) -> bool {
    if let Some(exists) = condition.exists
        && value.is_some() != exists
    {
        return false;
    }
    let is_bare = condition.equals.is_none()
        && condition.r#in.is_empty()
        && condition.contains.is_none()
        && condition.exists.is_none();
    let same = |wanted: &Value| {
        value.is_some_and(|value| *value == *wanted || plain(value) == plain(wanted))
    };
    let has = |word: &String| {
        value.is_some_and(|value| plain(value).to_lowercase().contains(&word.to_lowercase()))
    };
    (!is_bare || value.is_some())
        && condition.equals.as_ref().is_none_or(same)
        && (condition.r#in.is_empty() || condition.r#in.iter().any(same))
        && condition.contains.as_ref().is_none_or(has)
}
