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

/// What each surface may be sent, with the API whose exchanges have more of it.
const SEEDS: [(Surface, &str, &str); 4] = [
    (
        Surface::ChatCompletions,
        "openai.chat",
        r#"{"model":"a/b","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Hi"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"stream":true}"#,
    ),
    (
        Surface::Messages,
        "anthropic.messages",
        r#"{"model":"a/b","max_tokens":9,"system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]}],"thinking":{"type":"enabled","budget_tokens":1024}}"#,
    ),
    (
        Surface::Responses,
        "openai.responses",
        r#"{"model":"a/b","instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"reasoning":{"effort":"low"},"text":{"format":{"type":"json_object"}}}"#,
    ),
    (
        Surface::Completions,
        "openai.completions",
        r#"{"model":"a/b","prompt":["Once","Twice"],"suffix":"end","logprobs":2,"echo":true,"best_of":2,"stop":["
"]}"#,
    ),
];

#[test]
fn requests_of_any_bytes_are_written_or_refused() {
    for (number, (surface, api, seed)) in (100_u64..).zip(SEEDS) {
        let recorded = common::recorded(api).unwrap_or_default();
        let cases = common::synthetic(api).into_iter().chain(recorded);
        let cases: Vec<Vec<u8>> = cases
            .filter_map(|case| case.request)
            .chain([seed.as_bytes().to_vec()])
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
