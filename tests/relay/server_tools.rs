//! Tools that the gateway runs: the loop, what the client sees of it, what it costs, and where it ends.

use std::rc::Rc;

use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::chat::estimate;
use patchbay::credits::{money::Nanos, pricing::Part};
use patchbay::relay::{Job, Wishes};
use patchbay::server_tools::{Deployment, Kit, Wanted, function};

use crate::client::{COMPLETION, Client, PROMPT, job, play, route};
use crate::upstream::{
    Piece, Script, answer, chunk, done, finish, json as whole, mute, refuses, role, sse, stream,
    text, usage,
};
use crate::world::{RICH, World};

/// Nano-dollars of a search.
const SEARCH: i64 = 500;

fn var(name: &str) -> Option<String> {
    let value = match name {
        "EXA_API_KEY" => "engine-key",
        "EXA_SEARCH_PRICE" => "500",
        _ => return None,
    };
    Some(value.to_owned())
}

pub fn endpoint(slug: &str) -> Route {
    route(slug, "openai_chat", |_, endpoint| {
        endpoint["supported_parameters"] = json!(["max_tokens", "tools", "tool_choice"]);
    })
}

/// A request with these fields, over these endpoints, equipped as the API does it.
fn asks(body: Value, routes: &[&str]) -> Job {
    let routes = routes.iter().map(|slug| endpoint(slug)).collect();
    let mut job = job(body, routes);
    let wanted = Wanted::of(&job.request).unwrap();
    job.request.tools.extend(wanted.functions().map(function));
    let deployment = Deployment::of(&var, &|problem| panic!("{problem}"));
    let kit = Kit::of(wanted, &deployment, None).unwrap().map(Rc::new);
    Job {
        prompt_tokens: estimate::prompt_tokens(&job.request, "Other"),
        kit,
        ..job
    }
}

fn searching(stream: bool) -> Job {
    let tools = json!([{"type": "openrouter:web_search"}]);
    asks(json!({"stream": stream, "tools": tools}), &["a", "b"])
}

/// Plays a request in a world where the web answers so.
pub fn surf(job: Job, scripts: Vec<Script>, pages: Vec<Script>) -> (World, Rc<Client>) {
    let world = World::new(RICH, scripts);
    world.pages.borrow_mut().extend(pages);
    let client = Client::of(&world, job);
    world.run_out();
    (world, client)
}

pub fn call_of(id: &str, name: &str, arguments: &Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
}

/// An answer that says something, then calls tools.
pub fn calls(stream: bool, words: &str, calls: &[Value], prompt: u64, completion: u64) -> Script {
    if !stream {
        let message = json!({"role": "assistant", "content": words, "tool_calls": calls});
        let body = json!({
            "id": "up-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        });
        return whole(200, &body.to_string());
    }
    let mut pieces = vec![role()];
    if !words.is_empty() {
        pieces.push(text(words));
    }
    for (index, call) in calls.iter().enumerate() {
        let mut call = call.clone();
        call["index"] = index.into();
        pieces.push(chunk(&json!({"tool_calls": [call]}).to_string(), None));
    }
    pieces.extend([finish("tool_calls"), usage(prompt, completion), done()]);
    sse(pieces)
}

fn search(id: &str, query: &str) -> Value {
    call_of(id, "web_search", &json!({"query": query}))
}

pub fn says(is_stream: bool, words: &str, prompt: u64, completion: u64) -> Script {
    if is_stream {
        stream(&[words], prompt, completion)
    } else {
        answer(words, prompt, completion)
    }
}

fn found(url: &str) -> Script {
    let result = json!({"url": url, "title": "Title", "text": "What the page says."});
    whole(200, &json!({"results": [result]}).to_string())
}

pub fn sent(world: &World, at: usize) -> Value {
    serde_json::from_slice(&world.call(at).body).unwrap()
}

/// What a tool told the model, in the last request.
pub fn told(world: &World) -> Vec<String> {
    let last = world.calls.borrow().len() - 1;
    let messages = sent(world, last)["messages"].as_array().unwrap().clone();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

/// The answer as one message, however it came.
pub fn message(client: &Client, stream: bool) -> Value {
    if !stream {
        return client.body()["choices"][0]["message"].clone();
    }
    let deltas: Vec<Value> = client
        .chunks()
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect();
    let all = |field: &str| -> Vec<Value> {
        let lists = deltas.iter().filter_map(|delta| delta[field].as_array());
        lists.flatten().cloned().collect()
    };
    json!({
        "content": client.words(),
        "reasoning_details": all("reasoning_details"),
        "annotations": all("annotations"),
        "tool_calls": all("tool_calls"),
    })
}

pub fn usage_of(client: &Client, stream: bool) -> Value {
    if stream {
        client.chunks().pop().unwrap()["usage"].clone()
    } else {
        client.body()["usage"].clone()
    }
}

pub fn dollars(nanos: i64) -> f64 {
    Nanos::new(nanos).unwrap().to_string().parse().unwrap()
}

#[test]
fn a_search_of_the_models_is_run_and_the_client_gets_one_message_and_one_bill() {
    for is_stream in [true, false] {
        let scripts = vec![
            calls(is_stream, "Let me look.", &[search("c1", "news")], 30, 10),
            says(is_stream, "See [it](https://a.example/).", 90, 20),
        ];
        let (world, client) = surf(
            searching(is_stream),
            scripts,
            vec![found("https://a.example/")],
        );
        let message = message(&client, is_stream);
        assert_eq!(
            message["content"],
            "Let me look.\n\nSee [it](https://a.example/)."
        );
        assert!(
            message["tool_calls"].as_array().is_none_or(Vec::is_empty),
            "{message}"
        );
        let ran = &message["reasoning_details"][0];
        assert_eq!(ran["type"], "reasoning.server_tool_call");
        assert_eq!(ran["tool_name"], "openrouter:web_search");
        assert_eq!(ran["arguments"], json!({"query": "news"}));
        assert_eq!(ran["result"]["results"][0]["url"], "https://a.example/");
        let cited = &message["annotations"][0]["url_citation"];
        assert_eq!(
            (&cited["url"], &cited["start_index"], &cited["end_index"]),
            (&json!("https://a.example/"), &json!(18), &json!(42))
        );

        // The engine was asked with its key, the model was told what came.
        let asked = world.asked.borrow();
        assert!(
            asked[0]
                .headers
                .contains(&("x-api-key", "engine-key".to_owned()))
        );
        assert!(told(&world)[0].contains("What the page says."));
        let second = sent(&world, 1);
        assert_eq!(second["messages"][1]["tool_calls"][0]["id"], "c1");
        assert_eq!(second["messages"][1]["content"], "Let me look.");
        assert_eq!(
            second["tools"],
            sent(&world, 0)["tools"],
            "the prefix stays the same"
        );

        // One hold, one settlement, a line for the search.
        let cost = 120 * PROMPT + 30 * COMPLETION + SEARCH;
        assert_eq!(world.ends(), [format!("settle {cost}")]);
        assert_eq!(world.holds.borrow().len(), 1);
        let row = world.row();
        let charge = row.charge.unwrap();
        assert!(charge.explains_itself());
        assert_eq!(
            (
                charge.total.get(),
                charge.count(Part::WebSearch),
                charge.count(Part::WebSearchResult)
            ),
            (cost, 1, 1)
        );
        assert_eq!(
            row.attempts.iter().filter(|one| one.part.is_some()).count(),
            2
        );
        assert_eq!(
            (row.error, row.finish_reason.as_deref()),
            (None, Some("stop"))
        );
        let usage = usage_of(&client, is_stream);
        assert_eq!(usage["cost"], dollars(cost));
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&json!(120), &json!(30))
        );
        assert_eq!(usage["cost_details"]["server_tool_cost"], dollars(SEARCH));
        let used = json!({"web_search_requests": 1, "web_fetch_requests": 0, "tool_calls_requested": 1, "tool_calls_executed": 1});
        assert_eq!(
            (&usage["server_tool_use"], &usage["server_tool_use_details"]),
            (&used, &used)
        );
        if is_stream {
            let ends = client
                .chunks()
                .iter()
                .filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop")
                .count();
            assert_eq!(ends, 2, "the end, and the usage chunk that repeats it");
            let roles = client
                .chunks()
                .iter()
                .filter(|chunk| !chunk["choices"][0]["delta"]["role"].is_null())
                .count();
            assert_eq!(roles, 1, "P72");
            assert!(client.text().ends_with("data: [DONE]\n\n"));
        }
    }
}

#[test]
fn calls_of_one_answer_run_side_by_side_and_a_silent_client_is_kept() {
    let scripts = vec![
        calls(
            true,
            "",
            &[search("c1", "one"), search("c2", "two")],
            30,
            10,
        ),
        says(true, "Done.", 90, 20),
    ];
    let pages = vec![
        found("https://a.example/").after(15_000),
        found("https://b.example/").after(15_000),
    ];
    let (world, client) = surf(searching(true), scripts, pages);
    assert_eq!(client.words(), "Done.");
    assert!(client.text().contains("PROCESSING"));
    assert!(
        world.call(1).at < 20_000,
        "one after the other would take longer"
    );
    assert_eq!(told(&world).len(), 2);
    assert_eq!(world.charged(), 120 * PROMPT + 30 * COMPLETION + 2 * SEARCH);
}

#[test]
fn a_tool_that_fails_is_told_to_the_model_and_costs_nothing() {
    for (page, why) in [
        (
            whole(500, "{\"error\":\"engine-key\"}"),
            "answered with status 500",
        ),
        (refuses(), "the connection failed"),
        (mute(), "it took too long"),
        (whole(200, "<html>"), "cannot be read"),
        (
            sse([Piece::Bytes(b"{\"resu".to_vec()), Piece::Break]),
            "the connection failed",
        ),
    ] {
        for is_stream in [true, false] {
            let scripts = vec![
                calls(is_stream, "", &[search("c1", "news")], 30, 10),
                says(is_stream, "I do not know.", 90, 20),
            ];
            let (world, client) = surf(searching(is_stream), scripts, vec![page.clone()]);
            assert_eq!(message(&client, is_stream)["content"], "I do not know.");
            let told = told(&world);
            assert!(
                told[0].contains(why) && !told[0].contains("engine-key"),
                "{told:?}"
            );
            assert_eq!(world.charged(), 120 * PROMPT + 30 * COMPLETION);
        }
    }
}

#[test]
fn pages_that_are_not_public_are_never_asked_for() {
    let fetch = |id: &str, url: &str| call_of(id, "web_fetch", &json!({"url": url}));
    let urls = [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://[::1]/",
        "file:///etc/passwd",
    ];
    let asked: Vec<Value> = urls.iter().map(|url| fetch(url, url)).collect();
    let mut asked_and_sent = asked.clone();
    asked_and_sent.push(fetch("sent", "https://a.example/"));
    let scripts = vec![
        calls(true, "", &asked_and_sent, 30, 10),
        says(true, "No.", 90, 20),
    ];
    let job = asks(
        json!({"stream": true, "plugins": [{"id": "web-fetch"}]}),
        &["a"],
    );
    let away = Script {
        location: "http://169.254.169.254/latest",
        ..whole(302, "")
    };
    let (world, client) = surf(job, scripts, vec![away]);
    assert_eq!(client.words(), "No.");
    let sent: Vec<String> = world
        .asked
        .borrow()
        .iter()
        .map(|request| request.url.clone())
        .collect();
    assert_eq!(sent, ["https://a.example/"]);
    assert!(
        told(&world)
            .iter()
            .all(|told| told.contains("could not be fetched"))
    );
    assert_eq!(world.charged(), 120 * PROMPT + 30 * COMPLETION);
}

#[test]
fn pages_and_the_time_are_free() {
    for is_stream in [true, false] {
        let tools = json!([{"type": "openrouter:web_fetch"}, {"type": "openrouter:datetime", "parameters": {"timezone": "Europe/Berlin"}}]);
        let called = [
            call_of("c1", "web_fetch", &json!({"url": "https://a.example/x"})),
            call_of("c2", "datetime", &json!({})),
        ];
        let scripts = vec![
            calls(is_stream, "", &called, 30, 10),
            says(is_stream, "Read.", 90, 20),
        ];
        let page = Script {
            content_type: "text/html",
            ..whole(200, "<title>T</title><p>Words</p>")
        };
        let (world, client) = surf(
            asks(json!({"stream": is_stream, "tools": tools}), &["a"]),
            scripts,
            vec![page],
        );
        let told = told(&world);
        assert_eq!(told[0], "T\nhttps://a.example/x\n\nWords");
        assert!(told[1].contains("+01:00"), "{told:?}");
        assert_eq!(
            message(&client, is_stream)["annotations"][0]["url_citation"]["title"],
            "T"
        );
        let charge = world.row().charge.unwrap();
        assert_eq!(
            (charge.total.get(), charge.count(Part::WebFetch)),
            (120 * PROMPT + 30 * COMPLETION, 1)
        );
    }
}

#[test]
fn an_answer_that_calls_tools_of_both_sides_ends_with_the_clients() {
    for is_stream in [true, false] {
        let mine = json!({"type": "function", "function": {"name": "mine"}});
        let job = asks(
            json!({"stream": is_stream, "tools": [mine, {"type": "openrouter:web_search"}]}),
            &["a"],
        );
        let both = [
            search("c1", "news"),
            call_of("c2", "mine", &json!({"x": 1})),
        ];
        let (world, client) = surf(job, vec![calls(is_stream, "", &both, 30, 10)], Vec::new());
        let message = message(&client, is_stream);
        let names: Vec<&str> = message["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|call| call["function"]["name"].as_str())
            .collect();
        assert_eq!(names, ["mine"]);
        assert!(world.asked.borrow().is_empty());
        assert_eq!(world.charged(), 30 * PROMPT + 10 * COMPLETION);
        assert_eq!(world.row().finish_reason.as_deref(), Some("tool_calls"));
    }
}

#[test]
fn after_the_last_step_the_model_answers_once_more_without_tools() {
    for is_stream in [true, false] {
        let body = json!({
            "stream": is_stream, "max_tool_calls": 2, "tool_choice": "required",
            "tools": [{"type": "openrouter:web_search", "parameters": {"max_uses": 1}}],
        });
        let again = || calls(is_stream, "", &[search("c", "news")], 10, 1);
        // It calls all the same.
        let last = calls(is_stream, "That is all.", &[search("c", "more")], 10, 1);
        let (world, client) = surf(
            asks(body, &["a"]),
            vec![again(), again(), last],
            vec![found("https://a.example/")],
        );
        assert_eq!(message(&client, is_stream)["content"], "That is all.");
        let choices: Vec<Value> = (0..3)
            .map(|at| sent(&world, at)["tool_choice"].clone())
            .collect();
        assert_eq!(choices, [json!("required"), Value::Null, json!("none")]);
        assert!(told(&world)[1].contains("allows 1"));
        assert_eq!(world.charged(), 30 * PROMPT + 3 * COMPLETION + SEARCH);
        let finish = match is_stream {
            true => client.chunks().pop().unwrap()["choices"][0]["finish_reason"].clone(),
            false => client.body()["choices"][0]["finish_reason"].clone(),
        };
        assert_eq!(finish, "stop");
    }
}

#[test]
fn an_answer_may_come_from_another_endpoint_than_the_one_before() {
    let scripts = vec![
        whole(503, "{}"),
        calls(true, "", &[search("c1", "news")], 30, 10),
        whole(503, "{}"),
        says(true, "Done.", 90, 20),
    ];
    let (world, client) = surf(searching(true), scripts, vec![found("https://a.example/")]);
    assert_eq!(client.words(), "Done.");
    let row = world.row();
    let tags: Vec<&str> = row
        .attempts
        .iter()
        .map(|one| one.endpoint.as_str())
        .collect();
    assert_eq!(tags, ["a", "b", "b", "a"], "who served is asked first");
    assert_eq!(world.charged(), 120 * PROMPT + 30 * COMPLETION + SEARCH);
}

#[test]
fn a_loop_that_breaks_is_paid_as_far_as_the_client_was_told() {
    let broken = |is_stream| {
        let scripts = vec![
            calls(is_stream, "Let me look.", &[search("c1", "news")], 30, 10),
            whole(503, "{}"),
            whole(503, "{}"),
        ];
        surf(
            searching(is_stream),
            scripts,
            vec![found("https://a.example/")],
        )
    };
    let (world, client) = broken(true);
    assert!(client.chunks().pop().unwrap()["error"].is_object());
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(
        world.ends(),
        [format!("settle {}", 30 * PROMPT + 10 * COMPLETION + SEARCH)]
    );
    assert!(world.row().error.is_some());
    let (world, client) = broken(false);
    assert_eq!(client.failure().status, 503);
    assert_eq!(world.ends(), ["void 0"]);
}

#[test]
fn who_leaves_pays_for_what_was_told() {
    let leaves_at = |ms| {
        let world = World::new(
            RICH,
            [
                calls(true, "Let me look.", &[search("c1", "news")], 30, 10),
                sse([role(), Piece::Wait(1_000), text("Late"), Piece::Hang]),
            ],
        );
        let page = found("https://a.example/").after(5_000);
        world.pages.borrow_mut().push_back(page);
        let client = Client::of(&world, searching(true));
        world.run_until(ms);
        client.leave();
        world.run_out();
        assert!(world.row().cancelled);
        world.ends()
    };
    // The tool still runs.
    assert_eq!(
        leaves_at(2_000),
        [format!("settle {}", 30 * PROMPT + 10 * COMPLETION)]
    );
    // The client heard of the search, and the next answer has not begun.
    assert_eq!(
        leaves_at(5_500),
        [format!("settle {}", 30 * PROMPT + 10 * COMPLETION + SEARCH)]
    );
}

#[test]
fn a_search_before_the_model_is_put_into_the_prompt_and_cited() {
    for is_stream in [true, false] {
        let body = json!({"stream": is_stream, "plugins": [{"id": "web", "max_results": 1, "search_prompt": "Found:"}]});
        let (world, client) = surf(
            asks(body.clone(), &["a"]),
            vec![says(is_stream, "It is so.", 90, 20)],
            vec![found("https://a.example/")],
        );
        let asked: Value =
            serde_json::from_slice(world.asked.borrow()[0].body.as_ref().unwrap()).unwrap();
        assert_eq!(asked["query"], "Say it.");
        let prompt = sent(&world, 0)["messages"][0]["content"].to_string();
        assert!(
            prompt.contains("Found:") && prompt.contains("What the page says."),
            "{prompt}"
        );
        assert!(sent(&world, 0)["tools"].is_null());
        let message = message(&client, is_stream);
        assert_eq!(message["content"], "It is so.");
        assert_eq!(
            message["annotations"][0]["url_citation"]["url"],
            "https://a.example/"
        );
        assert_eq!(world.charged(), 90 * PROMPT + 20 * COMPLETION + SEARCH);
        assert_eq!(
            usage_of(&client, is_stream)["server_tool_use"]["web_search_requests"],
            1
        );

        let (world, client) = surf(
            asks(body, &["a"]),
            vec![says(is_stream, "I do not know.", 90, 20)],
            vec![refuses()],
        );
        assert_eq!(
            self::message(&client, is_stream)["content"],
            "I do not know."
        );
        assert!(
            sent(&world, 0)["messages"][0]["content"]
                .to_string()
                .contains("The search failed")
        );
        assert_eq!(world.charged(), 90 * PROMPT + 20 * COMPLETION);
    }
}

#[test]
fn a_search_is_free_where_no_answer_follows() {
    let body = json!({"plugins": [{"id": "web"}]});
    let (world, client) = surf(
        asks(body, &["a"]),
        vec![whole(400, "{}")],
        vec![found("https://a.example/")],
    );
    assert_eq!(client.failure().status, 400);
    assert_eq!(world.ends(), ["void 0"]);
}

#[test]
fn the_hold_covers_steps_and_searches_and_nothing_is_searched_without_it() {
    let plain = job(json!({}), vec![endpoint("a")]);
    let (world, _) = play(plain, [answer("Hi", 1, 1)]);
    let held = |world: &World| world.holds.borrow()[0].call.amount.get();
    let without = held(&world);
    let job = searching(true);
    let (tokens, kit) = (job.prompt_tokens, job.kit.clone().unwrap());
    let scripts = vec![says(true, "Hi", 1, 1)];
    let (world, _) = surf(job, scripts, Vec::new());
    assert!(held(&world) >= without + 2 * tokens as i64 * PROMPT + 2 * SEARCH);
    assert_eq!(kit.expected_fees().get(), 2 * SEARCH);

    let poor = World::new(1, Vec::<Script>::new());
    let client = Client::of(&poor, asks(json!({"plugins": [{"id": "web"}]}), &["a"]));
    poor.run_out();
    assert_eq!(client.failure().status, 402);
    assert!(poor.asked.borrow().is_empty() && poor.calls.borrow().is_empty());
}

#[test]
fn max_cost_ends_the_loop_in_order() {
    for is_stream in [true, false] {
        let asked = searching(is_stream);
        // Enough for the first answer, not for another prompt.
        let cap = 1_000 * PROMPT + 10 * COMPLETION;
        let asked = Job {
            wishes: Wishes {
                max_cost: Some(Nanos::new(cap).unwrap()),
                ..Wishes::default()
            },
            ..asked
        };
        let scripts = vec![calls(
            is_stream,
            "Let me look.",
            &[search("c1", "news")],
            1_000,
            9,
        )];
        let (world, client) = surf(asked, scripts, vec![found("https://a.example/")]);
        assert_eq!(message(&client, is_stream)["content"], "Let me look.");
        let choice = match is_stream {
            true => client.chunks().pop().unwrap()["choices"][0].clone(),
            false => client.body()["choices"][0].clone(),
        };
        assert_eq!(
            (&choice["finish_reason"], &choice["native_finish_reason"]),
            (&json!("length"), &json!("max_cost"))
        );
        assert!(world.charged() <= cap);
        assert_eq!(
            world.row().native_finish_reason.as_deref(),
            Some("max_cost")
        );
    }
}
