//! Searches that the provider of a model runs itself: asked for in its own words, counted as it sells them.

use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::credits::pricing::Part;
use patchbay::relay::Job;
use patchbay::server_tools::Wanted;

use crate::client::{COMPLETION, Client, PROMPT, job, play, route};
use crate::upstream::json as whole;
use crate::world::World;

fn sent(world: &World, at: usize) -> Value {
    serde_json::from_slice(&world.call(at).body).unwrap()
}

fn usage(client: &Client) -> Value {
    client.body()["usage"].clone()
}

#[test]
fn a_search_that_the_provider_runs_is_asked_in_its_own_words_and_charged_at_its_price() {
    let anthropic = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null,
        "content": [
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result", "url": "https://a.example/", "title": "A"}]},
            {"type": "text", "text": "It is so."},
        ],
        "usage": {"input_tokens": 30, "output_tokens": 10, "server_tool_use": {"web_search_requests": 1}},
    });
    let responses = json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "m",
        "output": [
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "It is so.", "annotations": []}]},
        ],
        "usage": {"input_tokens": 30, "output_tokens": 10, "total_tokens": 40},
    });
    let gemini = json!({
        "candidates": [{
            "index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "It is so."}]},
            "groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://a.example/", "title": "A"}}]},
        }],
        "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 10, "totalTokenCount": 40},
    });
    let location = json!({"type": "approximate", "country": "DE"});
    for (dialect, answer, asked) in [
        (
            "anthropic_messages",
            anthropic,
            json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["a.example"], "user_location": location}]),
        ),
        (
            "openai_responses",
            responses,
            json!([{"type": "web_search", "search_context_size": "low", "user_location": location, "filters": {"allowed_domains": ["a.example"]}}]),
        ),
        ("gemini", gemini, json!([{"googleSearch": {}}])),
    ] {
        let route = route("a", dialect, |_, endpoint| {
            endpoint["web_search"] = json!({"price": 10_000_000});
            endpoint["supported_parameters"] = json!(["max_tokens", "web_search_options"]);
        });
        let tools = json!([{"type": "web_search", "max_uses": 2, "search_context_size": "low", "user_location": {"country": "DE"}, "allowed_domains": ["a.example"]}]);
        let mut job = job(json!({"tools": tools}), vec![route]);
        let mut wanted = Wanted::of(&job.request).unwrap();
        assert!(wanted.admits_native());
        job.request.native_search = Some(wanted.take_native());
        assert!(wanted.is_empty());
        let job = Job {
            is_rewritten: true,
            ..job
        };
        let (world, client) = play(job, [whole(200, &answer.to_string())]);
        assert_eq!(sent(&world, 0)["tools"], asked, "{dialect}");
        assert_eq!(
            client.body()["choices"][0]["message"]["content"],
            "It is so.",
            "{dialect}"
        );
        let charge = world.row().charge.unwrap();
        assert_eq!(
            (charge.count(Part::WebSearch), charge.total.get()),
            (1, 30 * PROMPT + 10 * COMPLETION + 10_000_000),
            "{dialect}"
        );
        assert!(charge.explains_itself());
        let usage = usage(&client);
        assert_eq!(
            usage["server_tool_use"]["web_search_requests"], 1,
            "{dialect}"
        );
        assert_eq!(usage["cost_details"]["server_tool_cost"], 0.01, "{dialect}");
    }
}

/// An endpoint of this wire with this search.
fn searcher(dialect: &str, search: Value) -> Route {
    route("a", dialect, |_, endpoint| {
        endpoint["web_search"] = search;
        endpoint["supported_parameters"] = json!(["max_tokens", "web_search_options"]);
    })
}

#[test]
fn searches_of_a_provider_are_counted_as_it_sells_them() {
    let text = json!([{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "So.", "annotations": []}]}]);
    let call = |action: &str| json!({"type": "web_search_call", "id": format!("ws_{action}"), "status": "completed", "action": {"type": action, "query": "q", "url": "https://a.example/"}});
    let responses = |calls: &[Value], usage: Value| {
        let mut output = calls.to_vec();
        output.extend(text.as_array().unwrap().clone());
        let mut counts = json!({"input_tokens": 30, "output_tokens": 10, "total_tokens": 40});
        counts
            .as_object_mut()
            .unwrap()
            .extend(usage.as_object().unwrap().clone());
        json!({"id": "r", "object": "response", "status": "completed", "model": "m", "output": output, "usage": counts})
    };
    let gemini = |queries: Value| {
        json!({
            "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "So."}]}, "groundingMetadata": {"webSearchQueries": queries}}],
            "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 10, "totalTokenCount": 40},
        })
    };
    let chat = |more: Value| {
        let mut counts = json!({"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40});
        counts
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"id": "c", "object": "chat.completion", "created": 7, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "So."}, "finish_reason": "stop"}], "usage": counts})
    };
    let anthropic = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null, "content": [
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}},
            {"type": "text", "text": "So."},
        ], "usage": {"input_tokens": 30, "output_tokens": 10, "server_tool_use": {"web_search_requests": 0}},
    });
    let each = json!({"price": 7});
    let answer = json!({"price": 7, "per": "answer"});
    let always = json!({"price": 7, "medium": 9, "high": 11, "per": "request", "always": true});
    for (name, dialect, search, asked, body, units, price) in [
        (
            "pages that were opened are free",
            "openai_responses",
            &each,
            json!({}),
            responses(
                &[
                    call("search"),
                    call("open_page"),
                    call("find_in_page"),
                    call("search"),
                ],
                json!({}),
            ),
            2,
            7,
        ),
        (
            "the provider's own count decides",
            "openai_responses",
            &each,
            json!({}),
            responses(
                &[call("search")],
                json!({"server_side_tool_usage_details": {"web_search_calls": 4}}),
            ),
            4,
            7,
        ),
        (
            "an answer that was grounded costs once",
            "gemini",
            &answer,
            json!({}),
            gemini(json!(["q", "r", "q"])),
            1,
            7,
        ),
        (
            "each query costs",
            "gemini",
            &each,
            json!({}),
            gemini(json!(["q", "r", "q"])),
            2,
            7,
        ),
        (
            "who did not search is not charged for it",
            "gemini",
            &answer,
            json!({}),
            gemini(json!([])),
            0,
            7,
        ),
        (
            "searches that failed are free",
            "anthropic_messages",
            &each,
            json!({}),
            anthropic,
            0,
            7,
        ),
        (
            "models that always search cost always",
            "openai_chat",
            &always,
            Value::Null,
            chat(json!({})),
            1,
            7,
        ),
        (
            "and more with more context",
            "openai_chat",
            &always,
            json!({"search_context_size": "high"}),
            chat(json!({})),
            1,
            11,
        ),
        (
            "counts of other gateways are taken",
            "openai_chat",
            &each,
            json!({}),
            chat(json!({"server_tool_use_details": {"web_search_requests": 3}})),
            3,
            7,
        ),
        (
            "who was not asked does not search",
            "openai_responses",
            &each,
            Value::Null,
            responses(&[call("search")], json!({})),
            0,
            7,
        ),
    ] {
        let fields = match asked {
            Value::Null => json!({}),
            options => json!({"web_search_options": options}),
        };
        let job = job(fields, vec![searcher(dialect, search.clone())]);
        let (world, client) = play(job, [whole(200, &body.to_string())]);
        let charge = world.row().charge.unwrap();
        assert_eq!(
            (charge.count(Part::WebSearch), charge.total.get()),
            (units, 30 * PROMPT + 10 * COMPLETION + units as i64 * price),
            "{name}"
        );
        assert!(charge.explains_itself());
        let told = &usage(&client)["server_tool_use"]["web_search_requests"];
        assert_eq!(told.as_u64().unwrap_or_default(), units, "{name}");
        assert_eq!(world.ends().len(), 1, "{name}");
    }
}

#[test]
fn domains_and_places_are_asked_for_as_each_host_spells_them() {
    let place = json!({"country": "DE", "city": "Berlin"});
    let approximate = json!({"type": "approximate", "country": "DE", "city": "Berlin"});
    for (dialect, spelling, domains, field, asked) in [
        (
            "openai_responses",
            json!("xai"),
            json!({"blocked_domains": ["a.example"]}),
            "tools",
            json!([{"type": "web_search", "filters": {"excluded_domains": ["a.example"]}}]),
        ),
        (
            "openai_responses",
            json!("preview"),
            json!({}),
            "tools",
            json!([{"type": "web_search_preview", "search_context_size": "high", "user_location": approximate}]),
        ),
        (
            "openai_chat",
            json!("perplexity"),
            json!({"blocked_domains": ["a.example"]}),
            "search_domain_filter",
            json!(["-a.example"]),
        ),
        (
            "openai_chat",
            json!("perplexity"),
            json!({"allowed_domains": ["a.example"]}),
            "search_domain_filter",
            json!(["a.example"]),
        ),
        (
            "openai_chat",
            json!("perplexity"),
            json!({}),
            "web_search_options",
            json!({"search_context_size": "high", "user_location": place}),
        ),
        (
            "openai_chat",
            Value::Null,
            json!({}),
            "web_search_options",
            json!({"search_context_size": "high", "user_location": {"type": "approximate", "approximate": place}}),
        ),
    ] {
        let search = json!({"price": 7, "filters": ["allowed", "blocked"], "spelling": spelling});
        let mut tool =
            json!({"type": "web_search", "search_context_size": "high", "user_location": place});
        tool.as_object_mut()
            .unwrap()
            .extend(domains.as_object().unwrap().clone());
        let mut job = job(json!({"tools": [tool]}), vec![searcher(dialect, search)]);
        let mut wanted = Wanted::of(&job.request).unwrap();
        let native = job.plan.attempts[0]
            .route
            .endpoint
            .web_search
            .clone()
            .unwrap();
        assert!(wanted.suits(&native));
        job.request.native_search = Some(wanted.take_native());
        let job = Job {
            is_rewritten: true,
            ..job
        };
        let (world, _) = play(job, [whole(500, "{}")]);
        assert_eq!(sent(&world, 0)[field], asked, "{dialect} {spelling}");
    }
}
