//! Choices over a made-up pool.

use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::{
    catalog::skills::Skills,
    dialects::openai_chat::client::parse_request,
    routing::statistics::{EndpointStatistics, Window},
};

/// `(model, price, code, languages, reads images, calls tools)`
type Row = (&'static str, i64, Option<(i32, i32)>, bool, bool);

fn pool(rows: &[Row]) -> Vec<Candidate> {
    let candidate = |(model, price, skills, reads, calls): &Row| {
        let mut row = json!({
            "model": model, "prompt": price * 1_000_000, "completion": price * 1_000_000, "context_length": 10_000,
            "input_modalities": if *reads { vec!["text", "image"] } else { vec!["text"] },
            "output_modalities": ["text"], "parameters": if *calls { vec!["tools"] } else { vec![] },
            "providers": [model.split('/').next()], "tags": ["t"],
        });
        if let Some((code, languages)) = skills {
            row["skills"] = json!({"code": code, "math": 0, "reasoning": 0, "agent": code, "knowledge": 0, "vision": 0,
                "instruction": 0, "languages": languages});
        }
        serde_json::from_value(row).unwrap()
    };
    rows.iter().map(candidate).collect()
}

/// Ten models from cheap to dear, the dearer the better at code, the cheaper the better at languages; and two free ones.
fn ten() -> Vec<Candidate> {
    pool(&[
        ("a/1", 1, Some((10, 100)), false, true),
        ("a/2", 2, Some((20, 90)), false, true),
        ("a/3", 3, Some((30, 80)), false, true),
        ("a/4", 4, Some((40, 70)), false, false),
        ("a/5", 5, Some((50, 60)), true, true),
        ("a/6", 6, Some((60, 50)), false, true),
        ("b/7", 7, Some((70, 40)), false, true),
        ("b/8", 8, Some((80, 30)), true, true),
        ("b/9", 9, Some((90, 20)), false, true),
        ("b/10", 10, Some((100, 10)), true, true),
        ("c/unknown", 1, None, true, true),
        ("c/gift:free", 0, Some((500, 500)), false, true),
        ("c/present:free", 0, None, false, false),
    ])
}

fn ask(body: serde_json::Value) -> ChatRequest {
    let mut whole = json!({"model": "openrouter/auto", "messages": [{"role": "user", "content": "Debug this code"}]});
    whole
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    parse_request(&serde_json::to_vec(&whole).unwrap()).unwrap()
}

fn plugin(fields: serde_json::Value) -> Value {
    let mut plugin = json!({"id": "auto-router"});
    plugin
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!([{"id": "web"}, plugin])
}

fn chosen(
    router: Router,
    body: serde_json::Value,
    change: impl Fn(&mut Scene<'_>),
) -> Result<Choice> {
    let pool = ten();
    let statistics = Statistics::default();
    let mut scene = Scene {
        pool: &pool,
        is_callable: &|_, _, _| true,
        statistics: &statistics,
        seed: 1,
        remembered: None,
    };
    change(&mut scene);
    let request = ask(body);
    let wishes = Wishes::parse(request.extra.get("plugins"))?;
    choose(router, &request, 100, &wishes, &scene)
}

fn models(body: serde_json::Value) -> Vec<String> {
    chosen(Router::Auto, body, |_| {}).unwrap().models
}

#[test]
fn the_band_limits_the_price_and_skill_decides_within_it() {
    let table = [
        (json!({}), vec!["a/2", "a/1"]),
        (
            json!({"plugins": plugin(json!({"cost_tier": "medium"}))}),
            vec!["a/4", "a/3"],
        ),
        (
            json!({"plugins": plugin(json!({"cost_tier": "max"}))}),
            vec!["b/10", "b/9"],
        ),
        (
            json!({"plugins": plugin(json!({"cost_quality_tradeoff": 0}))}),
            vec!["b/10", "b/9"],
        ),
        (
            json!({"plugins": plugin(json!({"cost_quality_tradeoff": 10}))}),
            vec!["a/2", "a/1"],
        ),
        (
            json!({"messages": [{"role": "user", "content": "Translate this"}]}),
            vec!["a/1", "a/2"],
        ),
    ];
    for (body, expected) in table {
        assert_eq!(models(body.clone()), expected, "{body}");
    }
}

#[test]
fn a_model_must_be_able_to_serve() {
    let picture = json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    assert_eq!(models(picture), ["a/5"]);
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}],
        "plugins": plugin(json!({"allowed_models": ["a/4", "a/5"]}))});
    assert_eq!(models(tools), ["a/5"]);
    let long = json!({"max_tokens": 9_901});
    assert!(chosen(Router::Auto, long, |_| {}).is_err());
    let only_b = chosen(Router::Auto, json!({}), |scene| {
        scene.is_callable = &|slug, _, _| slug == "b"
    });
    assert_eq!(only_b.unwrap().models, ["b/7"]);
}

#[test]
fn lists_of_models_take_stars() {
    let body = |fields| json!({"plugins": plugin(fields)});
    assert_eq!(
        models(body(
            json!({"allowed_models": ["B/*"], "excluded_models": ["*/7"]})
        )),
        ["b/8"]
    );
    let none = chosen(
        Router::Auto,
        body(json!({"excluded_models": ["*"]})),
        |_| {},
    )
    .unwrap_err();
    assert_eq!(none.status, 404);
    assert_eq!(
        none.message,
        "No models match your request and model restrictions"
    );
}

#[test]
fn a_wrong_wish_is_named_by_its_path() {
    for (fields, path) in [
        (json!({"cost_tier": "cheap"}), "plugins[1].cost_tier"),
        (
            json!({"cost_quality_tradeoff": 11}),
            "plugins[1].cost_quality_tradeoff",
        ),
        (
            json!({"allowed_models": "a/*"}),
            "plugins[1].allowed_models",
        ),
        (
            json!({"excluded_models": [1]}),
            "plugins[1].excluded_models",
        ),
    ] {
        let error = Wishes::parse(Some(&plugin(fields))).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(path));
    }
}

#[test]
fn what_fails_here_is_chosen_less() {
    let mut statistics = Statistics::default();
    let day = Window {
        attempts: 100,
        failed: 5,
        ..Window::default()
    };
    let known = EndpointStatistics {
        day,
        ..EndpointStatistics::default()
    };
    statistics.endpoints.insert("a/2|t".to_owned(), known);
    let pool = ten();
    let scene = Scene {
        pool: &pool,
        is_callable: &|_, _, _| true,
        statistics: &statistics,
        seed: 1,
        remembered: None,
    };
    let choice = choose(
        Router::Auto,
        &ask(json!({})),
        100,
        &Wishes::default(),
        &scene,
    )
    .unwrap();
    assert_eq!(choice.models, ["a/1", "a/2"]);
}

#[test]
fn a_conversation_stays_with_its_model_while_that_can_serve() {
    let stays = chosen(Router::Auto, json!({}), |scene| {
        scene.remembered = Some("a/1")
    })
    .unwrap();
    assert_eq!(stays.models, ["a/1", "a/2"]);
    let moves = chosen(Router::Auto, json!({}), |scene| {
        scene.remembered = Some("b/9")
    })
    .unwrap();
    assert_eq!(moves.models, ["a/2", "a/1"]);
}

#[test]
fn a_free_model_is_drawn_by_lot_among_those_that_can_serve() {
    let draw = |seed| {
        let choice = chosen(Router::Free, json!({}), |scene| scene.seed = seed).unwrap();
        assert_eq!((choice.models.len(), choice.candidates), (2, 2));
        choice.models[0].clone()
    };
    let drawn: HashSet<String> = (0..50).map(draw).collect();
    assert_eq!(drawn.len(), 2);
    assert_eq!(draw(7), draw(7));
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    let able = chosen(Router::Free, tools, |_| {}).unwrap();
    assert_eq!(able.models, ["c/gift:free"]);
}

#[test]
fn the_choice_explains_itself() {
    let choice = chosen(Router::Auto, json!({}), |_| {}).unwrap();
    assert_eq!(
        choice.summary(),
        "best at code of 2 models in the low price band, of 10 that can serve; without public figures of its own it counts as its predecessor"
    );
    assert_eq!(choice.explain()["by_predecessor"], json!(choice.models));
    // With figures of its own there is nothing to add.
    let mut pool = ten();
    for candidate in &mut pool {
        candidate.skills = candidate.skills.map(|skills| Skills {
            figures: 3,
            ..skills
        });
    }
    let statistics = Statistics::default();
    let scene = Scene {
        pool: &pool,
        is_callable: &|_, _, _| true,
        statistics: &statistics,
        seed: 1,
        remembered: None,
    };
    let known = choose(
        Router::Auto,
        &ask(json!({})),
        100,
        &Wishes::default(),
        &scene,
    )
    .unwrap();
    assert_eq!(known.models, choice.models);
    assert!(known.inherited.is_empty() && known.summary().ends_with("that can serve"));
}
