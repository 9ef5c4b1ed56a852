//! The form of a chain, and what may be wrong with one.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::tools::catalog::{Condition, Effect};

/// The most steps of a chain.
pub const MAX_STEPS: usize = 20;
/// The most items that one step runs over.
pub const MAX_EACH: usize = 50;
/// The most executions of one chain, undoing them aside.
pub const MAX_CALLS: usize = 200;

/// A chain.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Composite {
    /// Its steps. One that changes something waits for all before it, and all behind it wait for it.
    pub steps: Vec<StepRow>,
    /// Template of the result, over `input` and `steps`; all results where absent.
    #[serde(default)]
    pub output: Option<Value>,
}

/// A step: a tool, or a model that is asked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepRow {
    /// Its name, unique in the chain.
    pub id: String,
    /// `provider/operation` or a capability.
    pub tool: Option<String>,
    /// Template of the tool's input, over `input`, `steps` and, in a step over items, `item`.
    pub input: Value,
    /// Template of a conversation (`messages`, and `model` where it is not the deployment's); its answer is `{"text", "json"?}`.
    pub chat: Option<Value>,
    /// It runs only where all of these hold.
    pub when: Vec<Condition>,
    /// It runs once for each item of a list.
    pub each: Option<Each>,
    /// Where it fails the chain goes on.
    pub optional: bool,
    /// Steps to wait for, beside those that its templates name.
    pub after: Vec<String>,
}

/// A list that a step runs over.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// Pointer to it.
    pub of: String,
    /// So many items at the most.
    pub max: usize,
}

/// What is known of a step's tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// What it does to the world.
    pub effect: Effect,
    /// It can be taken back.
    pub has_undo: bool,
}

impl Composite {
    /// Reads a chain.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn read(row: &Value) -> Result<Self, String> {
        let chain: Self =
            crate::json::from_str(&row.to_string()).map_err(|error| error.to_string())?;
        chain.check()?;
        Ok(chain)
    }

    fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            return Err(format!("steps: 1 to {MAX_STEPS} are expected"));
        }
        let mut known = BTreeSet::new();
        for step in &self.steps {
            let id = &step.id;
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if id.is_empty() || id.len() > 40 || !id.chars().all(is_name) {
                return Err(format!(
                    "steps: {id:?} is no name of a step: [a-z0-9_]{{1,40}}"
                ));
            }
            if step.tool.is_some() == step.chat.is_some() {
                return Err(format!("steps.{id}: either tool or chat is expected"));
            }
            if let Some(each) = &step.each
                && !(1..=MAX_EACH).contains(&each.max)
            {
                return Err(format!("steps.{id}.each.max: 1 to {MAX_EACH} is expected"));
            }
            // What a step names came before it, so there are no circles.
            if let Some(unknown) = step.needs().iter().find(|name| !known.contains(*name)) {
                return Err(format!(
                    "steps.{id}: there is no step {unknown:?} before it"
                ));
            }
            if !known.insert(id.clone()) {
                return Err(format!("steps.{id}: there are two of this name"));
            }
        }
        let output = self.output.iter().flat_map(named);
        let lost = output.into_iter().find(|name| !known.contains(name));
        lost.map_or(Ok(()), |name| {
            Err(format!("output: there is no step {name:?}"))
        })
    }

    /// The steps that cannot be taken back although others that may fail come behind them.
    pub fn irreversible(&self, deed: impl Fn(&str) -> Option<Deed>) -> Vec<&str> {
        let is_lasting = |step: &&StepRow| {
            let deed = step.tool.as_deref().and_then(&deed);
            deed.is_some_and(|deed| deed.effect != Effect::Read && !deed.has_undo)
        };
        let last_risk = self.steps.iter().rposition(|step| !step.optional);
        let risky = last_risk
            .and_then(|last| self.steps.get(..last))
            .unwrap_or_default();
        risky
            .iter()
            .filter(is_lasting)
            .map(|step| step.id.as_str())
            .collect()
    }
}

impl StepRow {
    /// The steps that it needs.
    pub fn needs(&self) -> BTreeSet<String> {
        let mut needs: BTreeSet<String> = self.after.iter().cloned().collect();
        needs.extend(named(&self.input));
        needs.extend(self.chat.iter().flat_map(named));
        let pointers = self.when.iter().filter_map(|when| when.pointer.as_deref());
        let pointers = pointers.chain(self.each.as_ref().map(|each| each.of.as_str()));
        needs.extend(pointers.flat_map(names_in));
        needs
    }
}

/// The steps that a template names.
fn named(template: &Value) -> Vec<String> {
    match template {
        Value::String(text) => names_in(text),
        Value::Array(items) => items.iter().flat_map(named).collect(),
        Value::Object(fields) => fields.values().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

fn names_in(text: &str) -> Vec<String> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let found = text.split("/steps/").skip(1);
    found
        .filter_map(|rest| rest.split(is_end).next())
        .map(str::to_owned)
        .collect()
}
