//! Names of tools that the endpoint's wire does not take: said in its characters and within its length, and told to the client
//! as it wrote them.
//!
//! Out of scope: ids of calls, which the dialects write themselves.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use sha2::{Digest, Sha256};

use super::{Filter, Setting, Shape};
use crate::{
    catalog::Dialect,
    chat::{ChatRequest, Delta, Event, Part, ToolChoice},
};

/// What a wire takes as a name.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// The most characters.
    most: usize,
    /// Characters beside letters, digits, `_` and `-`.
    more: &'static str,
    /// It begins with a letter or `_`.
    begins_plainly: bool,
}

impl Rule {
    fn of(dialect: Dialect) -> Self {
        let usual = Self {
            most: 64,
            more: "",
            begins_plainly: false,
        };
        match dialect {
            Dialect::AnthropicMessages => Self { most: 128, ..usual },
            Dialect::Gemini => Self {
                more: ".:",
                begins_plainly: true,
                ..usual
            },
            Dialect::OpenaiChat
            | Dialect::OpenaiResponses
            | Dialect::CohereV2
            | Dialect::BedrockConverse => usual,
        }
    }

    fn takes(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || self.more.contains(c)
    }

    fn begins(self, name: &str) -> bool {
        !self.begins_plainly || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    fn fits(self, name: &str) -> bool {
        name.len() <= self.most && name.chars().all(|c| self.takes(c)) && self.begins(name)
    }

    /// The name as the wire takes it; with `digest` of the whole one where it would otherwise be another tool's.
    fn said(self, name: &str, digest: bool) -> String {
        let mut said: String = name
            .chars()
            .map(|c| if self.takes(c) { c } else { '_' })
            .collect();
        if !self.begins(&said) {
            said.insert(0, '_');
        }
        if digest || said.len() > self.most {
            let hash = Sha256::digest(name.as_bytes());
            let digits: String = hash
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            said.truncate(self.most.saturating_sub(digits.len() + 1));
            said = format!("{said}_{digits}");
        }
        said
    }
}

/// Says names that the endpoint does not take in its own characters: always the same for the same tools, so that prompt caches
/// keep hitting.
pub(super) fn say(setting: &Setting<'_>, request: &mut Cow<'_, ChatRequest>, shape: &mut Shape) {
    let rule = Rule::of(setting.dialect());
    // What only the client's own dialect can be told goes there as it is.
    if request.only_native.is_some() || names(request).all(|name| rule.fits(name)) {
        return;
    }
    let mut taken: BTreeSet<String> = names(request)
        .filter(|name| rule.fits(name))
        .map(str::to_owned)
        .collect();
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for name in names(request).filter(|name| !rule.fits(name)) {
        if said.contains_key(name) {
            continue;
        }
        let plain = rule.said(name, false);
        let unique = if taken.contains(&plain) {
            rule.said(name, true)
        } else {
            plain
        };
        taken.insert(unique.clone());
        said.insert(name.to_owned(), unique);
    }
    rewrite(request.to_mut(), &said);
    shape.filters.push(Restore(
        said.into_iter().map(|(own, said)| (said, own)).collect(),
    ));
}

/// Every name in the request, in order.
fn names(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let declared = request.tools.iter().map(|tool| tool.name.as_str());
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let called = parts.filter_map(|part| match part {
        Part::ToolCall { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let chosen = match &request.tool_choice {
        Some(ToolChoice::Function(name)) => Some(name.as_str()),
        _ => None,
    };
    declared.chain(called).chain(chosen)
}

fn rewrite(request: &mut ChatRequest, said: &BTreeMap<String, String>) {
    let change = |name: &mut String| {
        if let Some(said) = said.get(name.as_str()) {
            name.clone_from(said);
        }
    };
    for tool in &mut request.tools {
        change(&mut tool.name);
    }
    if let Some(ToolChoice::Function(name)) = &mut request.tool_choice {
        change(name);
    }
    for message in &mut request.messages {
        for part in &mut message.parts {
            match part {
                Part::ToolCall { name, .. } => change(name),
                // Some clients repeat the tool's name beside its result.
                Part::ToolResult { .. } => {
                    if let Some(name) = &mut message.name {
                        change(name);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Tells calls under the client's own names.
#[derive(Debug)]
struct Restore(BTreeMap<String, String>);

impl Filter for Restore {
    fn filter(&mut self, events: &mut Vec<Event>) {
        for event in events {
            if let Event::Delta {
                delta: Delta::ToolCallStart { name, .. },
                ..
            } = event
                && let Some(own) = self.0.get(name.as_str())
            {
                name.clone_from(own);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_every_wire_and_stay_apart() {
        let long = "mcp__".to_owned() + &"a".repeat(100);
        let all = [
            "get_weather",
            "files.read",
            "files/read",
            "1st",
            "é",
            "a b",
            &long,
        ];
        for dialect in [
            Dialect::OpenaiChat,
            Dialect::AnthropicMessages,
            Dialect::Gemini,
            Dialect::OpenaiResponses,
            Dialect::CohereV2,
            Dialect::BedrockConverse,
        ] {
            let rule = Rule::of(dialect);
            for name in all {
                for digest in [false, true] {
                    let said = rule.said(name, digest);
                    assert!(rule.fits(&said), "{dialect:?} {said}");
                    assert_eq!(said, rule.said(name, digest), "the same each time");
                }
            }
            assert!(rule.fits("get_weather"));
            assert_ne!(rule.said("a b", true), rule.said("a.b", true));
        }
        assert!(Rule::of(Dialect::Gemini).fits("files.read"));
        assert!(!Rule::of(Dialect::Gemini).fits("1st"));
        assert!(Rule::of(Dialect::AnthropicMessages).fits(&long));
        assert!(!Rule::of(Dialect::OpenaiChat).fits(&long));
    }
}
