//! `max_cost`: refused where not even the prompt is affordable, capped upstream and while streaming, never exceeded.

use proptest::prelude::*;
use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::credits::money::Nanos;
use patchbay::relay::{Job, Wishes, max_cost::parse};

use crate::client::{COMPLETION, Client, PROMPT, job, openai, play, route};
use crate::upstream::{Fate, Piece, Script, answer, done, finish, role, sse, stream, text, usage};
use crate::world::{RICH, World};

fn capped(cap: i64, body: Value, routes: Vec<Route>) -> Job {
    Job {
        wishes: Wishes {
            max_cost: Some(Nanos::new(cap).unwrap()),
            ..Wishes::default()
        },
        ..job(body, routes)
    }
}

/// What the prompt of these requests costs by the gateway's estimate.
fn prompt_cost() -> i64 {
    job(json!({}), vec![]).prompt_tokens as i64 * PROMPT
}

/// An endpoint that takes no limit on its answer.
fn unlimited(slug: &str) -> Route {
    route(slug, "openai_chat", |_, endpoint| {
        endpoint["supported_parameters"] = json!(["temperature"]);
    })
}

fn sent(world: &World) -> Value {
    serde_json::from_slice(&world.call(0).body).unwrap()
}

#[test]
fn dollars_are_read_exactly_or_refused() {
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    for (text, nanos) in [
        ("0.01", 10_000_000),
        ("\"0.01\"", 10_000_000),
        ("1e-9", 1),
        ("2", 2_000_000_000),
    ] {
        assert_eq!(
            parse(Some(&raw(text))).unwrap().map(Nanos::get),
            Some(nanos),
            "{text}"
        );
    }
    assert_eq!(parse(Some(&raw("null"))).unwrap(), None);
    assert_eq!(parse(None).unwrap(), None);
    for text in [
        "0",
        "-1",
        "\"\"",
        "\"cheap\"",
        "true",
        "[]",
        "0.0000000001",
        "1e99",
    ] {
        let error = parse(Some(&raw(text))).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some("max_cost")),
            "{text}"
        );
    }
}

#[test]
fn a_prompt_that_is_too_dear_is_refused_before_anybody_is_asked() {
    let cap = prompt_cost() - 1;
    let (world, client) = play(capped(cap, json!({}), vec![openai("a")]), []);
    let error = client.failure();
    assert_eq!(
        (error.status, error.error_type.as_str()),
        (402, "payment_required")
    );
    assert_eq!(error.metadata["limit_source"], "max_cost");
    let affordable = error.metadata["affordable_tokens"].as_i64().unwrap();
    assert_eq!(affordable, cap / PROMPT);
    assert!(
        error
            .message
            .contains(&format!("{affordable} prompt tokens")),
        "{}",
        error.message
    );
    assert!(world.holds.borrow().is_empty() && world.bills.borrow().is_empty());
    // An endpoint that is too dear is passed over.
    let dear = route("dear", "openai_chat", |_, endpoint| {
        endpoint["prices"]["prompt"] = (100 * PROMPT * 1_000_000).into();
    });
    let cap = prompt_cost() + 5 * COMPLETION;
    let asks = capped(cap, json!({}), vec![dear, openai("b")]);
    let (_, client) = play(asks, [answer("Hi", 1, 2)]);
    assert_eq!(client.body()["provider"], "B");
}

#[test]
fn the_provider_is_sent_the_limit_that_the_money_buys() {
    let cap = prompt_cost() + 50 * COMPLETION + 1;
    for (body, expected) in [
        (json!({}), json!(50)),
        (json!({"max_tokens": 400}), json!(50)),
        (json!({"max_tokens": 20}), json!(20)),
        (json!({"n": 5}), json!(10)),
    ] {
        let (world, _) = play(
            capped(cap, body.clone(), vec![openai("a")]),
            [answer("Hi", 1, 2)],
        );
        assert_eq!(sent(&world)["max_tokens"], expected, "{body}");
        assert!(world.holds.borrow()[0].call.amount.get() <= cap);
    }
    // Money enough for all that the model can write: no limit is needed.
    let rich = prompt_cost() + 8_000 * COMPLETION;
    let (world, _) = play(
        capped(rich, json!({}), vec![openai("a")]),
        [answer("Hi", 1, 2)],
    );
    assert_eq!(sent(&world)["max_tokens"], Value::Null);
    assert_eq!(sent(&world)["max_cost"], Value::Null);
}

#[test]
fn a_stream_is_ended_when_it_has_cost_what_it_may() {
    let cap = prompt_cost() + 3 * COMPLETION;
    let endless = || {
        let words = std::iter::repeat_n([text("1234"), Piece::Wait(10)], 100);
        sse(std::iter::once(role()).chain(words.flatten()))
    };
    let (world, client) = play(
        capped(cap, json!({"stream": true}), vec![unlimited("a")]),
        [endless()],
    );
    assert_eq!(client.words(), "123412341234");
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(last["choices"][0]["native_finish_reason"], "max_cost");
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(world.ends(), [format!("settle {cap}")]);
    let row = world.row();
    assert_eq!(
        (row.cancelled, row.error, row.usage.estimated),
        (false, None, true)
    );
    assert_eq!(row.native_finish_reason.as_deref(), Some("max_cost"));
    // Where the provider keeps to its limit, an estimate alone does not end the answer so soon.
    let (_, client) = play(
        capped(cap, json!({"stream": true}), vec![openai("a")]),
        [endless()],
    );
    assert_eq!(client.words().len(), 20);
}

#[test]
fn a_provider_that_counts_more_is_not_the_clients_loss() {
    let cap = prompt_cost() + 3 * COMPLETION;
    for (streams, script) in [
        (true, stream(&["Hi"], 900, 900)),
        (false, answer("Hi", 900, 900)),
    ] {
        let (world, client) = play(
            capped(cap, json!({"stream": streams}), vec![openai("a")]),
            [script],
        );
        assert_eq!(world.ends(), [format!("settle {cap}")]);
        let charge = world.row().charge.unwrap();
        assert!(charge.explains_itself());
        assert_eq!(charge.total.get(), cap);
        assert!(client.ended.get());
    }
}

/// What a provider does: pieces of so many bytes, its own counts at the end or along the way, an end or none.
#[derive(Debug, Clone)]
struct Story {
    pieces: Vec<usize>,
    counts: Vec<Option<(u64, u64)>>,
    ends: bool,
    prompt: i64,
    completion: i64,
    request: Option<i64>,
    cap: i64,
    limited: bool,
    streamed: bool,
    leaves_after: Option<u64>,
}

fn story() -> impl Strategy<Value = Story> {
    let count = prop::option::weighted(0.3, (0u64..50_000, 0u64..50_000));
    (
        prop::collection::vec((1usize..400, count), 0..12),
        any::<bool>(),
        (0i64..20_000_000_000, 0i64..90_000_000_000),
        prop::option::of(0i64..2_000_000),
        1i64..3_000_000,
        (any::<bool>(), any::<bool>()),
        prop::option::weighted(0.3, 0u64..60),
    )
        .prop_map(
            |(pieces, ends, prices, request, cap, (limited, streamed), leaves_after)| {
                let (pieces, counts) = pieces.into_iter().unzip();
                let (prompt, completion) = prices;
                Story {
                    pieces,
                    counts,
                    ends,
                    prompt,
                    completion,
                    request,
                    cap,
                    limited,
                    streamed,
                    leaves_after,
                }
            },
        )
}

impl Story {
    fn script(&self) -> Script {
        if !self.streamed {
            let (prompt, completion) = self
                .counts
                .iter()
                .flatten()
                .last()
                .copied()
                .unwrap_or((3, 9_000));
            return answer(
                &"x".repeat(self.pieces.iter().sum::<usize>() + 1),
                prompt,
                completion,
            );
        }
        let mut body = vec![role()];
        for (length, counts) in self.pieces.iter().zip(&self.counts) {
            body.push(text(&"x".repeat(*length)));
            body.extend(counts.map(|(prompt, completion)| usage(prompt, completion)));
            body.push(Piece::Wait(5));
        }
        if self.ends {
            body.extend([finish("stop"), usage(1_000, 70_000), done()]);
        }
        sse(body)
    }

    fn route(&self) -> Route {
        route("a", "openai_chat", |_, endpoint| {
            endpoint["prices"] = json!({"prompt": self.prompt, "completion": self.completion});
            if let Some(request) = self.request {
                endpoint["prices"]["request"] = request.into();
            }
            if !self.limited {
                endpoint["supported_parameters"] = json!([]);
            }
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_prices_counts_and_chunks_charge_more_than_the_cap(story in story()) {
        let asks = capped(story.cap, json!({"stream": story.streamed}), vec![story.route()]);
        let world = World::new(RICH, [story.script()]);
        let client = Client::of(&world, asks);
        if let Some(at) = story.leaves_after {
            world.run_until(at);
            client.leave();
        }
        world.run_out();
        prop_assert!(world.charged() <= story.cap, "{} > {}", world.charged(), story.cap);
        for hold in world.holds.borrow().iter() {
            prop_assert!(hold.call.amount.get() <= story.cap);
        }
        for row in world.rows() {
            if let Some(charge) = row.charge {
                prop_assert!(charge.explains_itself());
            }
        }
    }
}
