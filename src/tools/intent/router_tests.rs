//! A small catalog, asked in words.

use serde_json::json;

use super::*;
use crate::tools::{
    catalog::{Ban, Capability, Means, ToolPolicy, ToolProvider},
    intent::memory,
};

fn provider(
    slug: &str,
    name: &str,
    category: &str,
    operations: serde_json::Value,
) -> Rc<ToolProvider> {
    let row = json!({"slug": slug, "name": name, "category": category, "secret": "KEY", "operation": operations});
    Rc::new(serde_json::from_value(row).unwrap())
}

fn catalog() -> Rc<ToolCatalog> {
    let search = |title: &str| json!({"name": "search", "title": title, "capability": "web_search", "intents": ["what is new about solar panels", "look up who won the match"]});
    let providers = vec![
        provider(
            "tavily",
            "Tavily",
            "search",
            json!([search("Search the web")]),
        ),
        provider("exa", "Exa", "search", json!([search("Search by meaning")])),
        provider(
            "open_meteo",
            "Open-Meteo",
            "weather",
            json!([
                {"name": "forecast", "title": "Weather forecast", "description": "Temperature, rain and wind of the coming days at a place.",
                 "intents": ["will it rain tomorrow in Lisbon", "how warm will it be this weekend"]},
            ]),
        ),
        provider(
            "resend",
            "Resend",
            "email",
            json!([
                {"name": "send_email", "title": "Send an e-mail", "description": "Sends an e-mail to one or more recipients.", "effect": "write",
                 "intents": ["email Ann that the meeting is moved", "send a message to my customers"]},
                {"name": "cancel_email", "title": "Cancel a scheduled e-mail", "description": "Cancels an e-mail that has not been sent yet.", "effect": "destructive"},
            ]),
        ),
        provider(
            "stripe",
            "Stripe",
            "payments",
            json!([
                {"name": "create_refund", "title": "Refund a payment", "description": "Gives money of a charge back to the customer.", "effect": "money",
                 "intents": ["refund the last order of this customer"]},
            ]),
        ),
    ];
    let capability: Capability = serde_json::from_value(json!({
        "name": "web_search", "title": "Search the web", "description": "Finds pages of the web, and news.",
        "intents": ["find recent news about a company"],
    }))
    .unwrap();
    Rc::new(ToolCatalog::new("1", providers, vec![Rc::new(capability)]))
}

fn view(catalog: &Rc<ToolCatalog>, denied: &[&str]) -> ToolView {
    let means = Means {
        has: &|_| true,
        owns: &|_| false,
        accounts_bring_keys: false,
        single_tenant: false,
    };
    let ban = Ban {
        only: None,
        never: denied.iter().map(|name| (*name).to_owned()).collect(),
        effects: None,
        by: Rc::default(),
    };
    ToolView::of(catalog, &means, &ToolPolicy(vec![ban]))
}

fn routed(intent: &str, denied: &[&str]) -> Routed {
    let catalog = catalog();
    let router = Router::of(&catalog);
    let index = router.index(&Intents::new(), 0);
    router.route(intent, &index, 0, &view(&catalog, denied), &|_| true)
}

#[test]
fn a_request_finds_what_does_it() {
    for (intent, tool) in [
        (
            "Is it going to rain in Porto on Sunday?",
            "open_meteo/forecast",
        ),
        (
            "Please send an email to Bob with the minutes of the meeting",
            "resend/send_email",
        ),
        (
            "I want to cancel the scheduled email",
            "resend/cancel_email",
        ),
        (
            "give the customer the money of this charge back, refund it",
            "stripe/create_refund",
        ),
        ("find news about Airbus on the web", "web_search"),
    ] {
        let routed = routed(intent, &[]);
        let chosen = routed.chosen().map(|chosen| chosen.deed.name.as_str());
        assert_eq!(chosen, Some(tool), "{intent}: {}", routed.reason());
    }
}

#[test]
fn where_nothing_suits_nothing_is_chosen() {
    for intent in [
        "Paint my bicycle green",
        "¿Qué?",
        "xyzzy",
        "please help me, thank you",
    ] {
        let routed = routed(intent, &[]);
        assert!(routed.chosen().is_none(), "{intent}: {}", routed.reason());
        let told = routed.explain();
        assert_eq!(
            (&told["tool"], &told["abstained"]),
            (&json!(null), &json!(true))
        );
        assert!(!told["reason"].as_str().unwrap().is_empty());
    }
}

#[test]
fn operations_that_do_the_same_are_one_deed_with_the_providers_that_the_key_may_call() {
    let both = routed("search the web with Exa for news about Airbus", &[]);
    let chosen = both.chosen().unwrap();
    assert!(chosen.deed.is_capability);
    let providers = |routed: &Routed| -> Vec<String> {
        let members = &routed.candidates[0].deed.members;
        members
            .iter()
            .map(|tool| tool.provider.slug.clone())
            .collect()
    };
    assert_eq!(providers(&both), ["exa", "tavily"]);
    // The one that was called by its name comes first.
    assert_eq!(both.named, ["exa"]);
    let one = routed("search the web for news about Airbus", &["exa/*"]);
    assert_eq!(providers(&one), ["tavily"]);
    let none = routed(
        "search the web for news about Airbus",
        &["exa/*", "tavily/*"],
    );
    assert!(
        none.candidates
            .iter()
            .all(|one| one.deed.name != "web_search")
    );
}

#[test]
fn the_effect_of_a_deed_is_the_worst_of_its_operations() {
    let routed = routed("refund the payment", &[]);
    assert_eq!(routed.candidates[0].deed.effect, Effect::Money);
    assert_eq!(routed.explain()["candidates"][0]["effect"], "money");
}

#[test]
fn what_served_an_intent_before_serves_it_again_for_that_account_alone() {
    let catalog = catalog();
    let router = Router::of(&catalog);
    let view = view(&catalog, &[]);
    let intent = "do the usual thing for the boss";
    let key = memory::account_key("acc_1", "secret");
    let features = |text: &str| memory::features(&Features::of(text), key);
    let known: Intents = [
        "the usual thing for the boss",
        "usual report for my boss",
        "do the boss thing",
    ]
    .iter()
    .map(|text| ("resend/send_email".to_owned(), features(text)))
    .collect();
    let index = router.index(&known, key);
    let warm = router.route(intent, &index, known.len(), &view, &|_| true);
    assert_eq!(warm.candidates[0].deed.name, "resend/send_email");
    assert_eq!(warm.explain()["remembered_intents"], 3);
    let cold = router.route(intent, &router.index(&Intents::new(), 0), 0, &view, &|_| {
        true
    });
    assert!(cold.candidates.is_empty() || cold.chosen().is_none());
    // With another account's key the features say nothing.
    let other = router.index(&known, memory::account_key("acc_2", "secret"));
    let foreign = router.route(intent, &other, known.len(), &view, &|_| true);
    assert!(foreign.chosen().is_none(), "{}", foreign.reason());
}

#[test]
fn the_same_request_is_told_the_same_each_time() {
    let told = || {
        routed("will it rain, and email Ann about it", &[])
            .explain()
            .to_string()
    };
    assert_eq!(told(), told());
}
