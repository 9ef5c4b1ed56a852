//! What keeps tools from a key: its guardrails, what guards switch off, the operator's list.
//!
//! All of it travels with the key's record or is the deployment's, so that lists cost no look-up. Out of scope: what it means for a tool
//! (`tools::catalog::policy`), guards that count (the account's object, which holds the switches too, at once).

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::World;
use crate::{
    credits::ops::SwitchedOff,
    guardrails::Applied,
    identity::KeyRecord,
    tools::catalog::{Ban, By, ToolPolicy},
};

/// The variable that switches tools off: `*`, ids, providers, categories and capabilities, separated by commas.
const DISABLED: &str = "TOOLS_DISABLED";

/// What keeps tools from this key; without one, from every key.
pub(super) fn of<W: World>(world: &W, key: Option<&KeyRecord>) -> ToolPolicy {
    let mut bans: Vec<Ban> = world
        .var(DISABLED)
        .as_deref()
        .map(operator)
        .into_iter()
        .collect();
    if let Some(key) = key {
        let guardrails = key.policy.as_ref().map(|policy| policy.guardrails());
        bans.extend(guardrails.unwrap_or_default().iter().flat_map(guardrail));
        bans.extend(key.switched_off.iter().map(switch));
    }
    ToolPolicy(bans)
}

fn by(code: &'static str, says: String, details: Value) -> Rc<By> {
    Rc::new(By {
        code,
        says,
        details,
    })
}

fn operator(list: &str) -> Ban {
    let says = "is switched off by the operator".to_owned();
    let names = list.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    Ban {
        only: None,
        never: names.map(str::to_owned).collect(),
        effects: None,
        by: by("tool_disabled", says, json!({"of": "operator"})),
    }
}

fn guardrail(one: &Applied) -> Vec<Ban> {
    let settings = &one.settings;
    let by = |setting: &str| {
        let says = format!("is not allowed by {}", one.title());
        let guardrail = json!({"id": one.id, "name": one.name, "scope": one.scope.as_str(), "setting": setting});
        by("permission_denied", says, json!({ "guardrail": guardrail }))
    };
    let ban = |only: Option<Vec<String>>, never: Vec<String>, setting: &str| Ban {
        only,
        never,
        effects: None,
        by: by(setting),
    };
    let only = settings.allowed_tools.clone();
    let only = only.map(|list| ban(Some(list), Vec::new(), "allowed_tools"));
    let never = settings.ignored_tools.clone();
    let never = never.map(|list| ban(None, list, "ignored_tools"));
    only.into_iter().chain(never).collect()
}

fn switch(off: &SwitchedOff) -> Ban {
    let whose = match off.of.as_str() {
        "key" => "this key's guard",
        _ => "the account's guard",
    };
    let over = match off.tool.as_str() {
        "*" => "all tools",
        tool => tool,
    };
    let details = json!({"guard": "disabled", "of": off.of, "tool": off.tool});
    Ban {
        only: None,
        never: vec![off.tool.clone()],
        effects: off.effects.clone(),
        by: by(
            "tool_disabled",
            format!("is switched off by {whose} over {over}"),
            details,
        ),
    }
}
