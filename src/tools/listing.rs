//! The catalog for who looks at it: filters, a search in words, and a tool as an object of the API.
//!
//! An object has every field of ToolRoute's tools, whose `operations` is the one operation that it stands for. Out of scope: what a key
//! sees ([`ToolView`]), what a tool has proven to be worth (`beliefs`), choosing by intent (`intent`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    catalog::{Effect, Offer, Price, RetryKind, Tool, ToolView},
    export::Function,
};
use crate::credits::money::Nanos;

/// What is wanted of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words that a tool should be about.
    pub words: Option<String>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this provider.
    pub provider: Option<String>,
    /// Only this capability.
    pub capability: Option<String>,
    /// Only this effect.
    pub effect: Option<Effect>,
    /// Only these ids or wire names.
    pub names: Option<Vec<String>>,
}

/// The effect of a word.
pub fn effect(word: &str) -> Option<Effect> {
    let all = Effect::ALL.iter().copied();
    all.into_iter().find(|effect| effect.as_str() == word)
}

impl Filter {
    /// Whether a tool is wanted, whatever the words say.
    pub fn admits(&self, tool: &Tool) -> bool {
        let is = |wanted: &Option<String>, own: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| own == Some(wanted))
        };
        let named = self.names.as_ref().is_none_or(|names| {
            names
                .iter()
                .any(|name| *name == tool.id || *name == tool.wire_name)
        });
        named
            && is(&self.category, Some(tool.category()))
            && is(&self.provider, Some(&tool.provider.slug))
            && is(&self.capability, tool.operation.capability.as_deref())
            && self
                .effect
                .is_none_or(|effect| effect == tool.operation.effect)
    }

    /// The places of the tools that are wanted: with words the best first, else in their own order.
    pub fn select<'a>(&self, tools: impl Iterator<Item = &'a Tool>) -> Vec<usize> {
        let words = self
            .words
            .as_deref()
            .map(words)
            .filter(|words| !words.is_empty());
        let admitted = tools.enumerate().filter(|(_, tool)| self.admits(tool));
        let Some(wanted) = words else {
            return admitted.map(|(at, _)| at).collect();
        };
        let all: Vec<(usize, Vec<u32>)> = admitted
            .map(|(at, tool)| (at, hits(tool, &wanted)))
            .collect();
        // A word that many tools have says little.
        let rarity: Vec<u32> = (0..wanted.len())
            .map(|word| {
                let having = all
                    .iter()
                    .filter(|(_, hits)| hits.get(word).is_some_and(|hit| *hit > 0));
                let many = all.len() / having.count().max(1);
                many.checked_ilog2().unwrap_or_default() + 1
            })
            .collect();
        let score = |hits: &[u32]| {
            hits.iter()
                .zip(&rarity)
                .map(|(hit, rarity)| hit * rarity)
                .sum::<u32>()
        };
        let mut scored: Vec<(u32, usize)> =
            all.iter().map(|(at, hits)| (score(hits), *at)).collect();
        scored.retain(|(score, _)| *score > 0);
        scored.sort_by_key(|(score, at)| (u32::MAX - score, *at));
        scored.into_iter().map(|(_, at)| at).collect()
    }
}

/// Words in lower case, without the endings of plurals.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    let mut words: Vec<String> = parts
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() > 1 && !STOP.contains(&word.as_str()))
        .map(|word| match word.strip_suffix('s') {
            Some(one) if word.len() > 3 && !one.ends_with('s') => one.to_owned(),
            _ => word,
        })
        .collect();
    words.dedup();
    words
}

/// Words that are about nothing.
const STOP: [&str; 22] = [
    "an", "and", "the", "for", "of", "to", "in", "on", "at", "by", "is", "my", "me", "it", "with",
    "from", "that", "this", "can", "you", "or", "some",
];

/// How much a tool has of each word.
fn hits(tool: &Tool, wanted: &[String]) -> Vec<u32> {
    let operation = &tool.operation;
    let capability = operation.capability.as_deref().unwrap_or_default();
    let fields = [
        (words(&tool.id.replace('_', " ")), 5),
        (words(&operation.title), 4),
        (
            words(&format!(
                "{} {} {}",
                tool.provider.name,
                tool.category(),
                capability.replace('_', " ")
            )),
            4,
        ),
        (words(&operation.intents.join(" ")), 2),
        (words(&operation.description), 1),
    ];
    let hit = |word: &String| {
        let best = fields.iter().filter_map(|(words, weight)| {
            let is_whole = words.contains(word);
            let is_part = || {
                word.len() > 3
                    && words.iter().any(|own| {
                        own.starts_with(word.as_str())
                            || (own.len() > 3 && word.starts_with(own.as_str()))
                    })
            };
            match (is_whole, !is_whole && is_part()) {
                (true, _) => Some(2 * weight),
                (_, true) => Some(*weight),
                _ => None,
            }
        });
        best.sum()
    };
    wanted.iter().map(hit).collect()
}

/// A tool as the APIs of models see it.
pub fn function(tool: &Tool) -> Function<'_> {
    let operation = &tool.operation;
    let mut description = tool.description();
    if operation.effect != Effect::Read {
        description.push_str(match operation.effect {
            Effect::Money => " This moves money.",
            Effect::Destructive => " This cannot always be taken back.",
            Effect::Write | Effect::Read => " This changes something.",
        });
    }
    Function {
        name: tool.wire_name.as_str().into(),
        title: operation.title.as_str().into(),
        description: description.into(),
        input: std::borrow::Cow::Borrowed(operation.input.value()),
        is_read: operation.effect == Effect::Read,
        is_destructive: matches!(operation.effect, Effect::Destructive | Effect::Money),
        is_idempotent: operation.effect == Effect::Read || operation.retry.kind == RetryKind::Safe,
    }
}

/// How much of a tool is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What a list needs.
    Short,
    /// With the schema of its input.
    Schema,
    /// All of it.
    Whole,
}

/// What has been seen of a tool in use, as `beliefs` tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// `healthy`, `degraded`, `down` or `unknown`.
    pub health: &'static str,
    /// From 1 to 10, by the lower bound of its success; nothing before it was used often enough.
    pub rating: Option<f64>,
    /// More of it, in its own words.
    pub more: Option<Value>,
}

/// A tool as an object of the API.
pub fn object(
    tool: &Tool,
    offer: Offer,
    margin: &dyn Fn(Nanos) -> Nanos,
    standing: &Standing,
    detail: Detail,
) -> Value {
    let (provider, operation) = (&tool.provider, &tool.operation);
    let per_call = margin(operation.price.call).to_json_number();
    let health = if standing.health.is_empty() {
        "unknown"
    } else {
        standing.health
    };
    let mut object = json!({
        "id": tool.id,
        "object": "tool",
        "slug": tool.id,
        "wire_name": tool.wire_name,
        "name": operation.title,
        "description": tool.description(),
        "provider": provider.slug,
        "provider_name": provider.name,
        "source": provider.source.as_str(),
        "category": tool.category(),
        "super_category": tool.category(),
        "sub_category": operation.capability,
        "capability": operation.capability,
        "effect": operation.effect.as_str(),
        "offerability": offer,
        "gateway_enabled": offer.is_callable(),
        "status": if offer.is_callable() { "active" } else { "inactive" },
        "health_status": health,
        "rating": standing.rating,
        "protocols": ["rest", "mcp", "a2a", "openai"],
        "price_per_call": per_call,
        "cost": per_call,
        "pricing": pricing(&operation.price, margin),
        "operations": [{
            "id": operation.name, "name": operation.title, "description": operation.description, "price_per_call": per_call,
        }],
        "undo": undo(tool),
        "result_kind": operation.response.kind,
    });
    if let Some(object) = object.as_object_mut() {
        if detail != Detail::Short {
            object.insert("input_schema".to_owned(), operation.input.value().clone());
        }
        if detail == Detail::Whole {
            object.extend(details(tool));
            if let Some(more) = &standing.more {
                object.insert("beliefs".to_owned(), more.clone());
            }
        }
    }
    object
}

fn details(tool: &Tool) -> Map<String, Value> {
    let (provider, operation) = (&tool.provider, &tool.operation);
    let retry = &operation.retry;
    let output = operation.output.as_ref().filter(|schema| !schema.is_null());
    let told = json!({
        "output_schema": output.map(|schema| schema.value().clone()),
        "docs": provider.docs,
        "website": provider.website,
        "attribution": provider.attribution,
        "intents": operation.intents,
        "price_source": operation.price_source,
        "retry": {
            "kind": retry.kind.as_str(),
            "sends_key": retry.header.is_some() || retry.field.is_some(),
        },
        "costs_money": operation.costs_money,
        "is_paged": operation.response.page.is_some(),
        "is_job": operation.response.job.is_some(),
        "timeout_ms": operation.timeout_ms(provider),
        "key_fields": provider.key_fields,
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

fn undo(tool: &Tool) -> Option<Value> {
    let undo = tool.operation.undo.as_ref()?;
    Some(json!({
        "tool": format!("{}/{}", tool.provider.slug, undo.operation), "class": undo.class.as_str(), "note": undo.note,
    }))
}

/// What is charged for a success: what is zero is left out.
fn pricing(price: &Price, margin: &dyn Fn(Nanos) -> Nanos) -> Value {
    let mut told = Map::new();
    told.insert("currency".to_owned(), "USD".into());
    let amounts = [
        ("per_call", Some(price.call)),
        ("per_unit", Some(price.unit)),
        ("per_character", Some(price.chars)),
        ("hold", price.hold),
    ];
    for (name, amount) in amounts {
        if let Some(amount) = amount.filter(|amount| *amount > Nanos::ZERO) {
            told.insert(name.to_owned(), json!(margin(amount).to_json_number()));
        }
    }
    if price.unit > Nanos::ZERO {
        let counted = price.count.as_deref().unwrap_or_default();
        told.insert(
            "unit".to_owned(),
            json!({"counted": counted, "per": price.per.unwrap_or(1), "included": price.included}),
        );
    }
    if price.stated.is_some() {
        told.insert("as_the_provider_states".to_owned(), true.into());
    }
    if !price.when.is_empty() {
        told.insert("depends_on_input".to_owned(), true.into());
    }
    told.into()
}

/// The categories with how many tools of each can be called, and of which providers.
pub fn categories(view: &ToolView) -> Vec<Value> {
    let mut found: BTreeMap<&str, (usize, Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for (tool, _) in view.tools() {
        let (count, providers, capabilities) = found.entry(tool.category()).or_default();
        *count += 1;
        let slug = tool.provider.slug.as_str();
        if !providers.contains(&slug) {
            providers.push(slug);
        }
        if let Some(capability) = tool.operation.capability.as_deref()
            && !capabilities.contains(&capability)
        {
            capabilities.push(capability);
        }
    }
    let told = found.into_iter().map(|(name, (count, providers, capabilities))| {
        json!({"id": name, "name": name, "tools": count, "providers": providers, "capabilities": capabilities})
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::tools::catalog::{Means, ToolCatalog, ToolPolicy, ToolProvider};

    fn view() -> ToolView {
        let rows = json!([
            {
                "slug": "tavily", "name": "Tavily", "category": "search", "base_url": "https://api.tavily.com", "secret": "TAVILY_API_KEY",
                "docs": "https://docs.tavily.com",
                "operation": [
                    {"name": "search", "title": "Search the web", "description": "Finds pages.", "capability": "web_search", "price": {"call": 8_000_000},
                     "intents": ["find recent news about something"], "input": {"type": "object", "properties": {"query": {"type": "string"}}}},
                    {"name": "extract", "title": "Read pages", "description": "Reads the text of pages.", "price": {"unit": 2_000_000, "count": "/results", "per": 5}},
                ],
            },
            {
                "slug": "resend", "name": "Resend", "category": "email", "base_url": "https://api.resend.com", "secret": "RESEND_API_KEY",
                "operation": [
                    {"name": "send_email", "title": "Send an e-mail", "description": "Sends an e-mail to people.", "capability": "send_email", "effect": "write",
                     "price": {"call": 1_000_000}, "retry": {"kind": "key", "header": "idempotency-key"}},
                    {"name": "delete_domain", "title": "Delete a domain", "description": "Deletes a domain.", "effect": "destructive"},
                ],
            },
        ]);
        let providers: Vec<Rc<ToolProvider>> = serde_json::from_value::<Vec<Value>>(rows)
            .unwrap()
            .into_iter()
            .map(|row| Rc::new(serde_json::from_str(&row.to_string()).unwrap()))
            .collect();
        let catalog = Rc::new(ToolCatalog::new("v", providers, Vec::new()));
        let means = Means {
            has: &|_| true,
            owns: &|_| false,
            accounts_bring_keys: false,
            single_tenant: true,
        };
        ToolView::of(&catalog, &means, &ToolPolicy::default())
    }

    fn found(filter: &Filter) -> Vec<String> {
        let view = view();
        let tools: Vec<&Tool> = view.tools().iter().map(|(tool, _)| tool.as_ref()).collect();
        filter
            .select(tools.iter().copied())
            .into_iter()
            .map(|at| tools[at].id.clone())
            .collect()
    }

    #[test]
    fn tools_are_found_by_what_they_are() {
        let all = Filter::default();
        assert_eq!(
            found(&all),
            [
                "resend/send_email",
                "resend/delete_domain",
                "tavily/search",
                "tavily/extract"
            ]
        );
        for (filter, ids) in [
            (
                Filter {
                    category: Some("search".into()),
                    ..all.clone()
                },
                vec!["tavily/search", "tavily/extract"],
            ),
            (
                Filter {
                    effect: effect("destructive"),
                    ..all.clone()
                },
                vec!["resend/delete_domain"],
            ),
            (
                Filter {
                    capability: Some("send_email".into()),
                    ..all.clone()
                },
                vec!["resend/send_email"],
            ),
            (
                Filter {
                    names: Some(vec!["tavily__search".into(), "resend/delete_domain".into()]),
                    ..all.clone()
                },
                vec!["resend/delete_domain", "tavily/search"],
            ),
            (
                Filter {
                    provider: Some("nobody".into()),
                    ..all.clone()
                },
                vec![],
            ),
        ] {
            assert_eq!(found(&filter), ids, "{filter:?}");
        }
        assert_eq!(effect("harmless"), None);
    }

    #[test]
    fn the_best_fit_of_words_comes_first_and_what_fits_none_not_at_all() {
        let words = |text: &str| {
            found(&Filter {
                words: Some(text.into()),
                ..Filter::default()
            })
        };
        assert_eq!(words("web search")[0], "tavily/search");
        assert_eq!(words("send emails to people")[0], "resend/send_email");
        assert_eq!(words("recent news"), ["tavily/search"]);
        assert_eq!(words("reading pages")[0], "tavily/extract");
        assert!(words("translate").is_empty());
        assert_eq!(words("  the ").len(), 4);
    }

    #[test]
    fn an_object_has_the_fields_of_toolroutes_tools() {
        let view = view();
        let (tool, offer) = &view.tools()[2];
        let twice = |amount: Nanos| Nanos::new(amount.get() * 2).unwrap();
        let told = object(tool, *offer, &twice, &Standing::default(), Detail::Whole);
        for field in [
            "id",
            "name",
            "slug",
            "description",
            "operations",
            "price_per_call",
            "gateway_enabled",
            "health_status",
            "rating",
            "super_category",
            "sub_category",
            "protocols",
            "cost",
            "status",
        ] {
            assert!(told.get(field).is_some(), "{field}");
        }
        assert_eq!(
            (
                told["id"].as_str(),
                told["offerability"].as_str(),
                told["health_status"].as_str()
            ),
            (Some("tavily/search"), Some("native"), Some("unknown"))
        );
        assert_eq!(told["price_per_call"].to_string(), "0.016");
        assert_eq!(told["operations"][0]["id"], "search");
        assert_eq!(
            told["input_schema"]["properties"]["query"]["type"],
            "string"
        );
        assert_eq!(told["docs"], "https://docs.tavily.com");
        let short = object(
            tool,
            *offer,
            &|amount| amount,
            &Standing::default(),
            Detail::Short,
        );
        assert_eq!((short.get("docs"), short.get("input_schema")), (None, None));
        let extract = object(
            &view.tools()[3].0,
            *offer,
            &|amount| amount,
            &Standing::default(),
            Detail::Short,
        );
        assert_eq!(
            extract["pricing"],
            json!({"currency": "USD", "per_unit": 0.002, "unit": {"counted": "/results", "per": 5, "included": 0}})
        );
    }

    #[test]
    fn functions_say_what_they_change() {
        let view = view();
        let told: Vec<(String, bool, bool)> = view
            .tools()
            .iter()
            .map(|(tool, _)| {
                let function = function(tool);
                (
                    function.description.into_owned(),
                    function.is_read,
                    function.is_destructive,
                )
            })
            .collect();
        assert!(told[0].0.ends_with("This changes something.") && !told[0].1);
        assert!(told[1].0.ends_with("taken back.") && told[1].2);
        assert_eq!((told[2].0.as_str(), told[2].1), ("Finds pages.", true));
    }

    #[test]
    fn categories_are_counted() {
        let told = categories(&view());
        assert_eq!(told.len(), 2);
        assert_eq!(
            told[0],
            json!({"id": "email", "name": "email", "tools": 2, "providers": ["resend"], "capabilities": ["send_email"]})
        );
    }
}
