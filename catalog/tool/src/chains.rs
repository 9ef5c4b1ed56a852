//! `check` of chains: what `tools::composites` reads, with steps that are tools of providers.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::tools::catalog::{Capability, Json, Operation};
use patchbay::tools::composites::{Composite, PROVIDER};

use crate::rows::Fault;
use crate::tools::Tools;

/// Checks all chains.
pub fn check(tools: &Tools, capabilities: &BTreeMap<&str, &Capability>, faults: &mut Vec<Fault>) {
    let ids = tools.providers.iter().flat_map(|(row, _)| {
        let (slug, operations) = (&row.value.slug, &row.value.operation);
        operations
            .iter()
            .map(move |one| format!("{slug}/{}", one.name))
    });
    let ids: BTreeSet<String> = ids.collect();
    let is_known = |name: &str| ids.contains(name) || capabilities.contains_key(name);
    for (row, places) in &tools.providers {
        for (operation, place) in row.value.operation.iter().zip(places) {
            let wrong = chain(operation, &is_known);
            faults.extend(
                wrong
                    .into_iter()
                    .map(|why| Fault::of_row(place, format!("{}: {why}", operation.name))),
            );
        }
    }
}

/// What is wrong with a chain.
fn chain(operation: &Operation, is_known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let Some(row) = operation.composite.as_ref().map(Json::value) else {
        return Vec::new();
    };
    let chain = match Composite::read(row) {
        Ok(chain) => chain,
        Err(why) => return vec![format!("composite: {why}")],
    };
    let mut wrong = Vec::new();
    for name in chain.steps.iter().filter_map(|step| step.tool.as_deref()) {
        let slug = name.split_once('/').map(|(slug, _)| slug);
        if slug == Some(PROVIDER) {
            wrong.push(format!("composite: {name} is a chain itself"));
        } else if !is_known(name) {
            wrong.push(format!("composite: there is no tool {name}"));
        }
    }
    if !operation.request.path.is_empty() {
        wrong.push("a chain has no request of its own".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(composite: Value) -> Vec<String> {
        let row = json!({"name": "a", "composite": composite}).to_string();
        chain(&serde_json::from_str(&row).unwrap(), &|name| {
            name == "tavily/search"
        })
    }

    #[test]
    fn steps_are_tools_that_are_there() {
        let step = |tool: &str| json!({"steps": [{"id": "a", "tool": tool}]});
        assert!(told(step("tavily/search")).is_empty());
        assert!(told(step("tavily/find"))[0].contains("there is no tool tavily/find"));
        assert!(told(step("composite/a"))[0].contains("is a chain itself"));
        assert!(told(json!({"steps": []}))[0].contains("steps: 1 to"));
    }
}
