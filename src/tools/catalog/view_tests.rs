//! What a key sees: by the deployment's secrets, the account's keys and its policy.

use serde_json::{Value, json};

use super::*;
use crate::tools::catalog::{Ban, Effect, ToolProvider};

fn catalog() -> Rc<ToolCatalog> {
    let operations = json!([
        {"name": "search", "effect": "read", "capability": "web_search"},
        {"name": "send", "effect": "write"},
    ]);
    let provider = |slug: &str, more: Value| {
        let mut row = json!({
            "slug": slug, "name": slug.to_uppercase(), "base_url": "https://x.example", "secret": format!("{}_KEY", slug.to_uppercase()),
            "auth": {"kind": "bearer"}, "operation": operations,
        });
        for (name, value) in more.as_object().unwrap() {
            row[name] = value.clone();
        }
        Rc::new(serde_json::from_value::<ToolProvider>(row).unwrap())
    };
    let providers = vec![
        provider("plain", json!({})),
        provider("keyless", json!({"keyless": {"operations": ["search"]}})),
        provider("own", json!({"pooling": "forbidden"})),
        provider(
            "open",
            json!({"auth": {"kind": "none"}, "secret": null, "category": "sales"}),
        ),
        provider(
            "regional",
            json!({"base_url": "https://${REGION}.x.example"}),
        ),
    ];
    Rc::new(ToolCatalog::new("1", providers, Vec::new()))
}

/// The ids that can be called, and by whose key where that is the account's.
fn seen(
    variables: &[&str],
    keys: &[&str],
    [accounts_bring_keys, single_tenant]: [bool; 2],
    policy: &ToolPolicy,
) -> (ToolView, Vec<String>) {
    let means = Means {
        has: &|name| variables.contains(&name),
        owns: &|slug| keys.contains(&slug),
        accounts_bring_keys,
        single_tenant,
    };
    let view = ToolView::of(&catalog(), &means, policy);
    let told = view.tools().iter().map(|(tool, offer)| match offer {
        Offer::CustomerByok => format!("{} own", tool.id),
        _ => tool.id.clone(),
    });
    let told = told.collect();
    (view, told)
}

const OPEN: [&str; 3] = ["keyless/search", "open/search", "open/send"];

#[test]
fn only_what_can_be_called_is_listed_in_a_fixed_order() {
    let all = ToolPolicy::default();
    let secrets = ["PLAIN_KEY", "OWN_KEY"];
    assert_eq!(seen(&[], &[], [true, false], &all).1, OPEN);
    let (view, told) = seen(&secrets, &[], [true, false], &all);
    assert_eq!(
        told,
        [
            "keyless/search",
            "open/search",
            "open/send",
            "plain/search",
            "plain/send"
        ]
    );
    assert_eq!(
        view.get("own/send").unwrap_err(),
        Refused::ByokRequired("OWN".into())
    );
    assert_eq!(view.get("plain__send").unwrap().1, Offer::Native);
    let with_own = seen(&secrets, &["own", "keyless", "plain"], [true, false], &all).1;
    assert_eq!(
        with_own,
        [
            "keyless/search own",
            "keyless/send own",
            "open/search",
            "open/send",
            "own/search own",
            "own/send own",
            "plain/search own",
            "plain/send own",
        ]
    );
    assert!(
        seen(&secrets, &[], [true, true], &all)
            .1
            .contains(&"own/send".to_owned()),
        "one tenant, one key"
    );
    // A key alone does not say where a regional provider is.
    assert!(
        !seen(&["REGIONAL_KEY"], &["regional"], [true, true], &all)
            .1
            .iter()
            .any(|id| id.starts_with("regional"))
    );
    assert!(
        seen(&["REGIONAL_KEY", "REGION"], &[], [true, true], &all)
            .1
            .contains(&"regional/send".to_owned())
    );
}

#[test]
fn why_something_cannot_be_called_is_told() {
    let all = ToolPolicy::default();
    let (view, _) = seen(&[], &[], [false, false], &all);
    assert_eq!(view.get("plain/send").unwrap_err(), Refused::Unavailable);
    assert_eq!(view.get("own/send").unwrap_err(), Refused::Unavailable);
    let (view, _) = seen(&["OWN_KEY"], &[], [true, false], &all);
    assert_eq!(
        view.get("plain/send").unwrap_err(),
        Refused::ByokRequired("PLAIN".into())
    );
    // Names that are near, of what can be called.
    let Refused::Unknown(near) = view.get("open/sarch").unwrap_err() else {
        panic!("a name of nothing is known");
    };
    assert!(near.contains(&"open/search".to_owned()), "{near:?}");
    assert!(!near.contains(&"plain/search".to_owned()), "{near:?}");
    assert_eq!(view.get("").unwrap_err(), Refused::Unknown(Vec::new()));
    let told = view.get("zzzzqqqqxx").unwrap_err().to_string();
    assert!(told.contains("GET /api/v1/tools"), "{told}");
    assert_eq!(view.of_capability("web_search").count(), 2);
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ban(name: &str, only: Option<&[&str]>, never: &[&str], effects: Option<&[Effect]>) -> Ban {
    let by = By {
        code: "permission_denied",
        says: format!("is not allowed by {name}"),
        ..By::default()
    };
    Ban {
        only: only.map(list),
        never: list(never),
        effects: effects.map(<[Effect]>::to_vec),
        by: Rc::new(by),
    }
}

#[test]
fn a_policy_takes_away_and_never_adds() {
    let only = |names: &'static [&'static str]| ban("x", Some(names), &[], None);
    let never = |names: &'static [&'static str]| ban("x", None, names, None);
    let reads = vec!["keyless/search", "open/search"];
    let writes = [Effect::Write, Effect::Destructive, Effect::Money];
    for (bans, wanted) in [
        (vec![never(&["*"])], vec![]),
        (vec![ban("x", None, &["*"], Some(&writes))], reads.clone()),
        (vec![never(&["*/send"])], reads.clone()),
        (vec![only(&["web_search"])], reads.clone()),
        (vec![only(&["web_*"])], reads),
        (vec![never(&["open"])], vec!["keyless/search"]),
        (vec![never(&["open__send", "keyless"])], vec!["open/search"]),
        (
            vec![only(&["open/*", "plain/*"])],
            vec!["open/search", "open/send"],
        ),
        (vec![only(&["keyless"])], vec!["keyless/search"]),
        (vec![only(&["sales"])], vec!["open/search", "open/send"]),
        (vec![only(&[])], vec![]),
        // Lists that allow intersect, whatever else says no adds up.
        (
            vec![only(&["open/*"]), only(&["*/search", "keyless"])],
            vec!["open/search"],
        ),
        (
            vec![only(&["open/*"]), never(&["open/send"])],
            vec!["open/search"],
        ),
    ] {
        let (view, told) = seen(&[], &[], [true, false], &ToolPolicy(bans.clone()));
        assert_eq!(told, wanted, "{bans:?}");
        assert!(view.get("plain/send").is_err());
        for id in OPEN.iter().filter(|id| !told.contains(&(**id).to_owned())) {
            let refused = view.get(id).unwrap_err();
            assert_eq!(refused.to_string(), format!("{id} is not allowed by x"));
        }
    }
}

#[test]
fn who_stops_a_tool_is_named_for_capabilities_and_chains_too() {
    let chain = json!({"slug": "composite", "name": "Chains", "auth": {"kind": "none"}, "operation": [
        {"name": "tell", "composite": {"steps": [{"id": "a", "tool": "web_search"}, {"id": "b", "tool": "open/send"}]}},
        {"name": "try", "composite": {"steps": [{"id": "a", "tool": "web_search"}, {"id": "b", "tool": "open/send", "optional": true}]}},
    ]});
    let chain: ToolProvider = serde_json::from_value(chain).unwrap();
    let catalog = Rc::new(catalog().with("x", &[Rc::new(chain)]));
    let means = Means {
        has: &|_| false,
        owns: &|_| false,
        accounts_bring_keys: false,
        single_tenant: false,
    };
    let look = |bans: Vec<Ban>| ToolView::of(&catalog, &means, &ToolPolicy(bans));
    let free = look(Vec::new());
    assert!(free.get("composite/tell").is_ok());
    assert!(
        matches!(free.get("web_search"), Err(Refused::Unknown(_))),
        "it is no tool"
    );

    let view = look(vec![ban("the second", None, &["open/send"], None)]);
    let told = view.get("composite/tell").unwrap_err().to_string();
    assert_eq!(
        told,
        "composite/tell cannot do without open/send: open/send is not allowed by the second"
    );
    assert!(view.get("composite/try").is_ok(), "it can do without");
    assert!(
        view.tools()
            .iter()
            .all(|(tool, _)| tool.id != "composite/tell")
    );

    let view = look(vec![ban("the first", None, &["web_search"], None)]);
    for name in ["web_search", "composite/try"] {
        let Err(Refused::Denied(denied)) = view.get(name) else {
            panic!("{name} can be called");
        };
        assert_eq!(denied.by.says, "is not allowed by the first");
    }
}

#[test]
fn what_an_account_brings_stands_beside_the_rest_and_never_in_its_place() {
    let brought = |slug: &str| -> Rc<ToolProvider> {
        let row = json!({"slug": slug, "operation": [{"name": "search", "title": "mine"}, {"name": "mine"}]});
        Rc::new(crate::json::from_value(&row).unwrap())
    };
    let both = catalog().with("mine", &[brought("open"), brought("mine")]);
    assert_eq!(both.get("open/search").unwrap().operation.title, "");
    assert!(both.get("open__mine").is_none() && both.get("mine__mine").is_some());
    assert_eq!(both.tools().len(), catalog().tools().len() + 2);
    assert_ne!(both.version(), catalog().version());
}
