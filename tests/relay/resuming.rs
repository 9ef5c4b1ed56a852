//! `provider.continue`: a stream that breaks after its commit goes on at the next endpoint.

use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::relay::{Job, Wishes};

use crate::client::{COMPLETION, PROMPT, job, openai, play, route};
use crate::upstream::{
    Fate, Piece, answer, chunk, done, finish, json as whole, role, sse, stream, text, usage,
};

/// An endpoint that takes the beginning of an answer.
fn takes(slug: &str) -> Route {
    route(slug, "openai_chat", |provider, _| {
        provider["quirks"] = json!(["prefix_flag"]);
    })
}

fn resuming(body: Value, routes: Vec<Route>) -> Job {
    let mut whole = json!({"stream": true});
    whole
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    Job {
        wishes: Wishes {
            resume: true,
            ..Wishes::default()
        },
        ..job(whole, routes)
    }
}

fn two() -> Job {
    resuming(json!({}), vec![openai("a"), takes("b")])
}

fn breaks(words: &str) -> crate::upstream::Script {
    sse([role(), text(words), Piece::Wait(5), Piece::Break])
}

#[test]
fn the_rest_comes_from_the_next_endpoint() {
    let asks = two();
    let prompt = asks.prompt_tokens as i64;
    let (world, client) = play(asks, [breaks("Hello wo"), stream(&["rld", "!"], 30, 5)]);
    assert_eq!(client.words(), "Hello world!");
    let chunks = client.chunks();
    assert!(chunks.iter().all(|chunk| chunk["error"].is_null()));
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    // One role (P72), one id, and the provider that writes is named.
    let roles = chunks
        .iter()
        .filter(|c| !c["choices"][0]["delta"]["role"].is_null());
    assert_eq!(roles.count(), 1);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
    assert_eq!(
        (&chunks[0]["provider"], &chunks.last().unwrap()["provider"]),
        (&json!("A"), &json!("B"))
    );
    // What was asked of the second: the client's messages and the beginning of the answer.
    let sent: Value = serde_json::from_slice(&world.call(1).body).unwrap();
    let beginning = sent["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        beginning,
        json!({"role": "assistant", "content": "Hello wo", "prefix": true})
    );
    assert_eq!(sent["messages"][0]["content"], "Say it.");
    // The charge is the sum of both parts, and explains itself.
    let first = prompt * PROMPT + 2 * COMPLETION;
    let second = 30 * PROMPT + 5 * COMPLETION;
    assert_eq!(world.ends(), [format!("settle {}", first + second)]);
    let row = world.row();
    let charge = row.charge.unwrap();
    assert!(charge.explains_itself());
    assert_eq!(row.usage.completion, 7);
    assert_eq!(row.error, None);
    let parts: Vec<i64> = row
        .attempts
        .iter()
        .map(|one| one.part.unwrap().cost.get())
        .collect();
    assert_eq!(parts, [first, second]);
    assert!(row.attempts[0].error.is_some());
    let told = chunks.last().unwrap()["usage"]["parts"].clone();
    assert_eq!(
        (&told[0]["provider"], &told[1]["provider"]),
        (&json!("A"), &json!("B"))
    );
    assert_eq!(told[1]["completion_tokens"], 5);
}

#[test]
fn white_space_at_the_seam_is_there_once() {
    for (before, rest, expected) in [
        ("One \\n", &[" \\ntwo"][..], "One \ntwo"),
        ("One ", &["two"], "One two"),
        ("One ", &[" two"], "One two"),
        ("One ", &[" ", " two"], "One  two"),
        ("One", &[" two"], "One two"),
    ] {
        let (world, client) = play(two(), [breaks(before), stream(rest, 30, 5)]);
        assert_eq!(client.words(), expected);
        let sent: Value = serde_json::from_slice(&world.call(1).body).unwrap();
        assert_eq!(sent["messages"][1]["content"], "One");
    }
}

#[test]
fn a_stall_and_an_error_of_the_provider_are_breaks_too() {
    let failed = Piece::Bytes(
        b"data: {\"choices\":[],\"error\":{\"code\":503,\"message\":\"no more\"}}\n\n".to_vec(),
    );
    for end in [Piece::Hang, failed] {
        let (world, client) = play(
            two(),
            [sse([text("Hello wo"), end]), stream(&["rld"], 30, 5)],
        );
        assert_eq!(client.words(), "Hello world");
        assert_ne!(world.call(0).fate.get(), Fate::Open);
    }
}

#[test]
fn only_plain_text_goes_on() {
    let call = r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#;
    for delta in [call, r#"{"reasoning_content":"Hm"}"#, r#"{"refusal":"No"}"#] {
        let broken = sse([text("Hello"), chunk(delta, None), Piece::Break]);
        let (world, client) = play(two(), [broken]);
        assert!(
            client.chunks().pop().unwrap()["error"].is_object(),
            "{delta}"
        );
        assert_eq!(world.calls.borrow().len(), 1, "{delta}");
    }
    let again = json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]});
    for body in [json!({"n": 2}), json!({"logprobs": true}), again] {
        let (world, _) = play(
            resuming(body, vec![openai("a"), takes("b")]),
            [breaks("Hello")],
        );
        assert_eq!(world.calls.borrow().len(), 1);
    }
}

#[test]
fn only_endpoints_that_take_a_beginning_are_asked() {
    let newer = route("c", "openai_chat", |provider, endpoint| {
        provider["quirks"] = json!(["accepts_prefill"]);
        endpoint["refuses_prefill"] = true.into();
    });
    let asks = resuming(json!({}), vec![openai("a"), openai("b"), newer, takes("d")]);
    let (_, client) = play(asks, [breaks("Hello wo"), stream(&["rld"], 30, 5)]);
    assert_eq!(client.chunks().pop().unwrap()["provider"], "D");
    // And nobody at all where the client did not ask for it.
    let asks = job(json!({"stream": true}), vec![openai("a"), takes("b")]);
    let (_, client) = play(asks, [breaks("Hello wo")]);
    assert!(client.chunks().pop().unwrap()["error"].is_object());
}

#[test]
fn where_nobody_goes_on_the_break_is_told_and_what_was_delivered_is_charged() {
    let asks = resuming(json!({}), vec![openai("a"), takes("b"), takes("c")]);
    let prompt = asks.prompt_tokens as i64;
    let (world, client) = play(
        asks,
        [breaks("Hello wo"), whole(503, "{}"), answer("rld", 1, 1)],
    );
    assert_eq!(client.words(), "Hello wo");
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["error"]["metadata"]["provider_name"], "A");
    assert_eq!(
        last["error"]["metadata"]["previous_errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        world.ends(),
        [format!("settle {}", prompt * PROMPT + 2 * COMPLETION)]
    );
    assert!(world.row().error.is_some());
}

#[test]
fn a_second_break_is_the_end() {
    let asks = resuming(json!({}), vec![openai("a"), takes("b"), takes("c")]);
    let (world, client) = play(asks, [breaks("Hello wo"), breaks("rld")]);
    assert_eq!(client.words(), "Hello world");
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["error"]["metadata"]["provider_name"], "B");
    let row = world.row();
    assert_eq!(row.charge.unwrap().total.get(), world.charged());
    assert_eq!(
        row.attempts.iter().filter(|one| one.part.is_some()).count(),
        2
    );
}

#[test]
fn nothing_but_the_end_may_have_been_missing() {
    let empty = sse([role(), finish("stop"), usage(30, 0), done()]);
    let (world, client) = play(two(), [breaks("Hello"), empty]);
    assert_eq!(client.words(), "Hello");
    assert!(client.chunks().iter().all(|chunk| chunk["error"].is_null()));
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(world.row().error, None);
}
