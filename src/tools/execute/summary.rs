//! What a confirmation is about, in words of the gateway: the row's title and the input's fields, never a model's own account of it.

use serde_json::Value;

use crate::{
    credits::money::Nanos,
    tools::catalog::{Effect, Tool, UndoClass},
};

/// The longest value that is told.
const MAX_VALUE: usize = 120;
/// The longest summary.
const MAX_SUMMARY: usize = 1_200;
/// The most items of a list that are told.
const MAX_ITEMS: usize = 5;

/// What would be done.
pub fn summary(tool: &Tool, input: &Value, ceiling: Nanos) -> String {
    let mut text = format!("{} ({})", tool.operation.title, tool.provider.name);
    let mut separator = ": ";
    for (name, value) in input.as_object().into_iter().flatten() {
        let told = format!("{separator}{name} = {}", plain(value));
        if text.len() + told.len() > MAX_SUMMARY {
            text.push_str("; …");
            break;
        }
        text.push_str(&told);
        separator = "; ";
    }
    if ceiling > Nanos::ZERO {
        text.push_str(&format!(". Costs at most ${ceiling}"));
    }
    text
}

/// What it does to the world, word by word.
pub fn effects(tool: &Tool, recipients: usize) -> Vec<String> {
    let operation = &tool.operation;
    let mut effects = vec![operation.effect.as_str().to_owned()];
    if recipients > 0 {
        effects.push(format!("reaches {recipients} recipients"));
    }
    if operation.effect != Effect::Read {
        effects.push(
            match operation.undo.as_ref().map(|undo| undo.class) {
                None => "cannot be undone",
                Some(UndoClass::Clean) => "can be undone",
                Some(UndoClass::Partial) => "can be undone in part",
            }
            .to_owned(),
        );
    }
    effects
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        Value::Array(items) => {
            let told: Vec<String> = items.iter().take(MAX_ITEMS).map(plain).collect();
            let more = items.len().saturating_sub(MAX_ITEMS);
            match more {
                0 => format!("[{}]", told.join(", ")),
                _ => format!("[{}, and {more} more]", told.join(", ")),
            }
        }
        other => cut(&other.to_string()),
    }
}

/// One line, and no more than a line: what it is about must not hide among what it says.
fn cut(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_VALUE)
        .collect();
    let rest = text.chars().count().saturating_sub(MAX_VALUE);
    if rest > 0 {
        line.push_str(&format!("… (and {rest} characters)"));
    }
    format!("“{line}”")
}
