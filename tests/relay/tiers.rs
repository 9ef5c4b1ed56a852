//! Tiers of service: what is charged where the provider says that it served another one than it was asked for.

use serde_json::json;

use patchbay::catalog::Route;
use patchbay::credits::pricing::Part;

use crate::client::{COMPLETION, Client, PROMPT, job, play, route};
use crate::upstream::{Script, answer, done, finish, role, sse, text, usage};
use crate::world::World;

/// Nano-dollars per million tokens, at so many hundredths of the usual price.
fn prices(percent: i64) -> serde_json::Value {
    json!({"prompt": PROMPT * 10_000 * percent, "completion": COMPLETION * 10_000 * percent})
}

/// An endpoint of a tier whose siblings are the usual one, `flex` at half and `priority` at twice its price.
fn tier(tag: &str) -> Route {
    let all = [("default", 100), ("flex", 50), ("priority", 200)];
    route("a", "openai_chat", |_, endpoint| {
        let own = tag.strip_prefix("a/").unwrap_or("default");
        endpoint["tag"] = tag.into();
        endpoint["tier_prices"] = json!({});
        for (name, percent) in all {
            if name == own {
                endpoint["prices"] = prices(percent);
            } else {
                endpoint["tier_prices"][name] = prices(percent);
            }
        }
    })
}

/// An answer of 1,000 and 100 tokens that says which tier served, as a stream tells it in its last chunks or at once.
fn served(told: Option<&str>, as_stream: bool) -> Script {
    let tier = told.map(|tier| format!("\"service_tier\":\"{tier}\","));
    let tier = tier.unwrap_or_default();
    let retold = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replacen("\"id\":", &format!("{tier}\"id\":"), 1)
            .into_bytes()
    };
    let mut script = if as_stream {
        sse([
            role(),
            text("Hi"),
            finish("stop"),
            usage(1_000, 100),
            done(),
        ])
    } else {
        answer("Hi", 1_000, 100)
    };
    let last = script.body.len().saturating_sub(2);
    for (at, piece) in script.body.iter_mut().enumerate() {
        if let crate::upstream::Piece::Bytes(bytes) = piece
            && at >= last
        {
            *bytes = retold(bytes);
        }
    }
    script
}

#[test]
fn what_is_charged_is_the_tier_that_served_and_never_more_than_the_one_that_was_planned() {
    let usual = 1_000 * PROMPT + 100 * COMPLETION;
    for (tag, told, charged) in [
        ("a/priority", Some("priority"), 2 * usual),
        ("a/priority", Some("default"), usual),
        ("a/priority", Some("flex"), usual / 2),
        ("a/priority", None, 2 * usual),
        ("a/priority", Some("unheard_of"), 2 * usual),
        ("a/flex", Some("flex"), usual / 2),
        ("a/flex", Some("default"), usual / 2),
        ("a", Some("default"), usual),
        ("a", Some("flex"), usual / 2),
        ("a", Some("priority"), usual),
    ] {
        for as_stream in [false, true] {
            let asked = job(json!({"stream": as_stream}), vec![tier(tag)]);
            let (world, client) = play(asked, [served(told, as_stream)]);
            let case = format!("{tag} asked, {told:?} told, stream: {as_stream}");
            assert_eq!(world.charged(), charged, "{case}");
            let row = world.row();
            // The arithmetic is told line by line, at the prices that were charged.
            let charge = row.charge.as_ref().unwrap();
            assert!(charge.explains_itself(), "{case}");
            let price = |what| {
                let line = charge.lines.iter().find(|line| line.what == what);
                line.map(|line| line.price)
            };
            assert_eq!(
                price(Part::Prompt),
                Some(PROMPT * 1_000_000 * charged / usual),
                "{case}"
            );
            assert_eq!(row.attempts[0].service_tier.as_deref(), told, "{case}");
            assert_eq!(row.attempts[0].endpoint, tag, "{case}");
            let measured = row.attempts[0].measured.as_ref().unwrap();
            assert_eq!(measured.cost, charged, "{case}");
            if !as_stream {
                let cost = client.body()["usage"]["cost"].as_f64().unwrap();
                assert!((cost * 1e9 - charged as f64).abs() < 0.5, "{case}: {cost}");
            }
        }
    }
}

#[test]
fn a_hold_covers_the_tier_that_was_asked_for() {
    let held = |tag: &str| {
        let world = World::new(crate::world::RICH, [served(None, false)]);
        let _client = Client::of(&world, job(json!({}), vec![tier(tag)]));
        world.run_out();
        let hold = world.holds.borrow()[0].call.amount;
        hold.get()
    };
    assert_eq!(held("a/priority"), 2 * held("a"));
    assert_eq!(held("a"), 2 * held("a/flex"));
}
