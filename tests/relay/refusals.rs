//! The words of a refused hold, and the number of tokens that they promise.

use proptest::prelude::*;
use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::credits::ops::KeyPut;
use patchbay::error::Error;
use patchbay::routing::Exclusion;

use crate::client::{Client, job, route};
use crate::store::{key, nanos};
use crate::upstream::answer;
use crate::world::World;

/// Endpoints as the property makes them.
#[derive(Debug, Clone)]
struct Offer {
    prompt: i64,
    completion: i64,
    reasoning: Option<i64>,
    request: Option<i64>,
    cap: Option<u64>,
    tier: Option<(u64, i64)>,
    excluded: bool,
}

fn offer() -> impl Strategy<Value = Offer> {
    let price = || prop_oneof![1 => Just(0i64), 5 => 1i64..50_000_000_000];
    (
        price(),
        price(),
        prop::option::of(price()),
        prop::option::of(0i64..2_000_000),
        prop::option::of(1u64..40_000),
        prop::option::of((0u64..20, price())),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            |(prompt, completion, reasoning, request, cap, tier, excluded)| Offer {
                prompt,
                completion,
                reasoning,
                request,
                cap,
                tier,
                excluded,
            },
        )
}

impl Offer {
    fn route(&self, name: &str) -> Route {
        route(name, "openai_chat", |_, endpoint| {
            let prices = &mut endpoint["prices"];
            *prices = json!({"prompt": self.prompt, "completion": self.completion});
            if let Some(reasoning) = self.reasoning {
                prices["reasoning"] = reasoning.into();
            }
            if let Some(request) = self.request {
                prices["request"] = request.into();
            }
            if let Some((above, prompt)) = self.tier {
                prices["tiers"] = json!([{"min_prompt_tokens": above, "prompt": prompt}]);
            }
            endpoint["max_completion_tokens"] = json!(self.cap);
        })
    }
}

/// Sends a request for so many tokens to the whole catalog, or to those that the plan would admit.
fn ask(world: &World, offers: &[Offer], n: u32, max_tokens: Option<u64>) -> Result<(), Error> {
    let mut body = json!({"n": n});
    if let Some(limit) = max_tokens {
        body["max_tokens"] = limit.into();
    }
    let mut job = job(body, Vec::new());
    // A new request each time.
    job.id = format!("gen-{}", world.holds.borrow().len());
    for (index, offer) in offers.iter().enumerate() {
        let route = offer.route(&format!("p{index}"));
        let too_short = max_tokens.is_some_and(|wanted| offer.cap.is_some_and(|cap| wanted > cap));
        if too_short {
            job.plan.excluded.push((route, Exclusion::MaxTokens));
        } else if offer.excluded && !job.plan.attempts.is_empty() {
            job.plan.excluded.push((route, Exclusion::Attempts));
        } else {
            job.plan.attempts.push(route.into());
        }
    }
    if job.plan.attempts.is_empty() {
        return Ok(());
    }
    world
        .scripts
        .borrow_mut()
        .push_back(answer("Hi", 0, 0).after(9));
    let client = Client::of(world, job);
    world.run_out();
    world.scripts.borrow_mut().clear();
    let got = client.got.borrow();
    match got.as_slice() {
        [(_, patchbay::relay::Output::Failed(error))] => Err((**error).clone()),
        _ => Ok(()),
    }
}

fn told(error: &Error) -> Option<u64> {
    error
        .metadata
        .get("affordable_tokens")
        .and_then(Value::as_u64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_for_the_tokens_that_a_refusal_promises_is_granted(
        offers in prop::collection::vec(offer(), 1..4),
        balance in 0i64..200_000_000,
        limit in prop::option::of(0i64..200_000_000),
        n in 1u32..4,
        wanted in prop::option::of(1u64..60_000),
    ) {
        let world = World::new(balance, []);
        world.account.ok(&KeyPut { limit: limit.map(nanos), ..key("k") });
        if let Err(error) = ask(&world, &offers, n, wanted) {
            prop_assert_eq!(error.status, 402);
            if let Some(afford) = told(&error) {
                prop_assert!(afford > 0);
                prop_assert!(wanted.is_none_or(|wanted| afford < wanted));
                let promise = format!("can only afford {afford}");
                prop_assert!(error.message.contains(&promise));
                let again = ask(&world, &offers, n, Some(afford));
                prop_assert!(again.is_ok(), "{:?}", again);
            }
        }
    }
}

#[test]
fn the_numbers_of_a_simple_case() {
    // Ten prompt tokens at 1,000 and output at 2,000 nano-dollars: 50,000 buy twenty.
    let offer = Offer {
        prompt: 1_000_000_000,
        completion: 2_000_000_000,
        reasoning: None,
        request: None,
        cap: None,
        tier: None,
        excluded: false,
    };
    let prompt = job(json!({}), Vec::new()).prompt_tokens as i64 * 1_000;
    let world = World::new(prompt + 40_000, []);
    let error = ask(&world, std::slice::from_ref(&offer), 1, Some(500)).unwrap_err();
    assert_eq!(
        error.message,
        "This request requires more credits, or fewer max_tokens. You requested up to 500 tokens, but can only afford 20. Add credits, or send max_tokens of 20 or less."
    );
    assert_eq!(error.metadata["limit_source"], "openrouter_credits");
    assert_eq!(
        told(&ask(&world, std::slice::from_ref(&offer), 2, None).unwrap_err()),
        Some(10)
    );
    assert!(ask(&world, std::slice::from_ref(&offer), 1, Some(20)).is_ok());
    assert_eq!(
        told(&ask(&world, std::slice::from_ref(&offer), 1, Some(21)).unwrap_err()),
        Some(20)
    );

    let world = World::new(prompt, []);
    let error = ask(&world, std::slice::from_ref(&offer), 1, Some(5)).unwrap_err();
    assert_eq!(told(&error), None);
    assert!(error.message.starts_with("Insufficient credits"));

    let world = World::new(1_000_000_000, []);
    world.account.ok(&KeyPut {
        limit: Some(nanos(prompt + 40_000)),
        ..key("k")
    });
    let error = ask(&world, &[offer], 1, Some(500)).unwrap_err();
    assert_eq!(error.metadata["limit_source"], "openrouter_key_limit");
    assert_eq!(told(&error), Some(20));
}
