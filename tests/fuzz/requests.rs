//! Requests: what clients send, to every dialect.

use patchbay::{
    catalog::{Endpoint, Parameter, Provider, Reasoning},
    chat::estimate,
    dialects::{self, Inbound, Surface, Target},
};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::{
    common,
    mutate::{Dice, mutated},
    targets::{TARGETS, round, rounds},
};

/// A host of this dialect that takes everything, with quirks.
fn host(target: &crate::targets::Target, dice: &mut Dice) -> (Provider, Endpoint) {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native",
        "context_length": 100_000, "max_completion_tokens": 9_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    if dice.below(2) == 0 {
        endpoint.reasoning = Some(Reasoning {
            toggle: true,
            ..Reasoning::default()
        });
    }
    let mut provider: Provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://example.com",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
    }))
    .unwrap();
    provider.dialect = target.dialect;
    provider.quirks = target.quirks.to_vec();
    (provider, endpoint)
}

fn check(surface: Surface, raw: &[u8], dice: &mut Dice) {
    let request = match surface.parse(raw) {
        Ok(request) => request,
        Err(error) => {
            assert!((400..500).contains(&error.status), "{error}");
            let (_, body) = surface.error_body(&error, None);
            serde_json::from_slice::<IgnoredAny>(&body).unwrap();
            return;
        }
    };
    estimate::prompt_tokens(&request, "Claude");
    for target in &TARGETS {
        let (provider, endpoint) = host(target, dice);
        let inbound = Inbound {
            request: &request,
            surface,
            raw: (dice.below(2) == 0).then_some(raw),
        };
        let to = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        match dialects::request(&inbound, &to) {
            Ok(native) => {
                serde_json::from_slice::<IgnoredAny>(&native.body).unwrap();
                assert!(native.body.starts_with(b"{") && native.path.starts_with('/'));
            }
            Err(error) => assert!((400..600).contains(&error.status), "{error}"),
        }
    }
}

#[test]
fn requests_of_any_bytes_are_written_or_refused() {
    for (number, (surface, api)) in (100_u64..).zip([
        (Surface::ChatCompletions, "openai.chat"),
        (Surface::Messages, "anthropic.messages"),
        (Surface::Responses, "openai.responses"),
        (Surface::Completions, "openai.completions"),
    ]) {
        let recorded = common::recorded(api).unwrap_or_default();
        let cases = common::synthetic(api).into_iter().chain(recorded);
        let cases: Vec<Vec<u8>> = cases
            .filter_map(|case| case.request)
            .filter(|request| request.len() < 32 * 1024)
            .collect();
        for count in 0..2 * rounds() {
            let seed = number << 32 | count;
            let mut dice = Dice::new(seed);
            let (base, other) = (dice.pick(&cases), dice.pick(&cases));
            let raw = mutated(&mut dice, base, other);
            round(api, seed, &raw, |dice| check(surface, &raw, dice));
        }
    }
}
