//! What is paid, and that it is settled once whatever happens.

use patchbay::chat::Usage;
use patchbay::relay::limits::HOLD_LIFETIME_MS;

use crate::client::{COMPLETION, Client, PROMPT, in_one_piece, play, streamed};
use crate::store::NOON;
use crate::upstream::{
    Fate, Piece, answer, done, finish, json, refuses, role, sse, stream, text, usage,
};
use crate::world::{Fault, RICH, World};

#[test]
fn a_client_that_leaves_pays_for_what_was_delivered() {
    // P25, P26, P126: the upstream is aborted, the prompt and the delivered text are counted by the gateway.
    let world = World::new(RICH, [sse([role(), text("123456789"), Piece::Hang])]);
    let client = Client::of(&world, streamed(1));
    world.settle_down();
    world.run_until(100);
    client.leave();
    world.run_until(101);
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    let row = world.row();
    assert!(row.cancelled && row.usage.estimated && row.error.is_none());
    assert_eq!(row.usage.completion, 3);
    let cost = row.usage.prompt as i64 * PROMPT + 3 * COMPLETION;
    assert_eq!(world.ends(), [format!("settle {cost}")]);
}

#[test]
fn what_the_provider_had_counted_by_then_is_used() {
    // P27: the cache reads that Anthropic counts at the start are in the bill, at the price of the endpoint that served.
    let start = r#"{"type":"message_start","message":{"type":"message","id":"msg_1","model":"c","content":[],"usage":{"input_tokens":100,"cache_read_input_tokens":20,"output_tokens":1}}}"#;
    let block =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"12345678"}}"#;
    let frames = [start, block, delta].map(|data| Piece::Bytes(format!("data: {data}\n\n").into()));
    let claude = crate::client::route("claude", "anthropic_messages", |_, _| {});
    let job = crate::client::job(serde_json::json!({"stream": true}), vec![claude]);
    let mut pieces = frames.to_vec();
    pieces.push(Piece::Hang);
    let world = World::new(RICH, [sse(pieces)]);
    let client = Client::of(&world, job);
    world.run_until(100);
    client.leave();
    world.run_until(101);
    let usage = world.row().usage;
    assert_eq!(
        (usage.prompt, usage.cache_read, usage.completion),
        (120, 20, 2)
    );
    assert!(usage.estimated);
}

#[test]
fn a_request_that_delivered_nothing_is_free() {
    // P29: also where the provider had counted a huge prompt. P30: the text of an error is no output.
    let failed = json(
        200,
        r#"{"error":{"code":500,"message":"a very long story"}}"#,
    );
    let counted = sse([role(), usage(2_367_361, 0), Piece::Break]);
    for script in [refuses(), failed, counted, sse([role(), Piece::Hang])] {
        let (world, _) = play(streamed(1), [script]);
        assert_eq!(world.ends(), ["void 0"]);
        let row = world.row();
        assert_eq!((row.charge, row.usage), (None, Usage::default()));
        assert!(row.error.is_some());
    }
    let world = World::new(RICH, [sse([role(), Piece::Hang])]);
    let client = Client::of(&world, streamed(1));
    world.run_until(100);
    client.leave();
    world.run_out();
    assert_eq!(world.ends(), ["void 0"]);
    assert!(world.row().cancelled);
}

#[test]
fn an_answer_without_text_is_paid_only_where_the_provider_counted_output() {
    let thought_only = |completion| sse([role(), finish("length"), usage(10, completion), done()]);
    let (world, client) = play(streamed(2), [thought_only(50)]);
    assert_eq!(
        world.ends(),
        [format!("settle {}", 10 * PROMPT + 50 * COMPLETION)]
    );
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    let (world, _) = play(streamed(2), [thought_only(0)]);
    assert_eq!(world.ends(), ["void 0"]);
}

#[test]
fn a_provider_that_counts_zero_is_taken_at_its_word() {
    // P21
    for (job, script) in [
        (streamed(1), stream(&["Hello"], 0, 0)),
        (in_one_piece(1), answer("Hello", 0, 0)),
    ] {
        let (world, _) = play(job, [script]);
        assert_eq!(world.ends(), ["settle 0"]);
        assert!(!world.row().usage.estimated);
    }
    // But not before the answer is whole: some hosts count zero on every chunk until the last.
    let (world, _) = play(
        streamed(1),
        [sse([text("12345678"), usage(0, 0), Piece::Break])],
    );
    assert_eq!(world.row().usage.completion, 2);
}

#[test]
fn where_the_provider_counts_nothing_the_gateway_does_and_says_so() {
    // P31
    let in_one = json(
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":"12345678"},"finish_reason":"stop"}]}"#,
    );
    let streamed_answer = sse([text("1234"), text("5678"), finish("stop"), done()]);
    for (job, script) in [(in_one_piece(1), in_one), (streamed(1), streamed_answer)] {
        let prompt = job.prompt_tokens;
        let (world, _) = play(job, [script]);
        let row = world.row();
        assert!(row.usage.estimated);
        assert_eq!((row.usage.prompt, row.usage.completion), (prompt, 2));
        assert!(row.charge.unwrap().total.get() > 0);
    }
}

#[test]
fn a_prompt_that_the_provider_did_not_count_is_estimated_and_the_rest_is_its_own_count() {
    // P21, P31: absent is not zero. Gemini counts no prompt for images that it fetches itself.
    let gemini = |streamed: bool, prompt: &str| {
        let body = format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"A cat."}}]}},"finishReason":"STOP"}}],"usageMetadata":{{{prompt}"candidatesTokenCount":18,"thoughtsTokenCount":58}}}}"#
        );
        let google = crate::client::route("google", "gemini", |_, _| {});
        let job = crate::client::job(serde_json::json!({"stream": streamed}), vec![google]);
        let script = if streamed {
            sse([Piece::Bytes(format!("data: {body}\r\n\r\n").into())])
        } else {
            json(200, &body)
        };
        let estimate = job.prompt_tokens;
        let (world, client) = play(job, [script]);
        let told = if streamed {
            client.chunks().pop().unwrap()["usage"].clone()
        } else {
            client.body()["usage"].clone()
        };
        let row = world.row();
        assert_eq!(told["prompt_tokens"], row.usage.prompt);
        assert_eq!((row.usage.completion, row.usage.reasoning), (76, 58));
        let cost = row.usage.prompt as i64 * PROMPT + 76 * COMPLETION;
        assert_eq!(world.ends(), [format!("settle {cost}")]);
        (row.usage, estimate)
    };
    for streamed in [false, true] {
        let (usage, estimate) = gemini(streamed, "");
        assert!(estimate > 0 && usage.estimated);
        assert_eq!(usage.prompt, estimate);
        let (usage, _) = gemini(streamed, "\"promptTokenCount\":0,");
        assert_eq!((usage.prompt, usage.estimated), (0, false));
    }
}

#[test]
fn an_answer_in_one_piece_does_not_depend_on_its_client() {
    // P28: the platform keeps the request running, because the provider bills it in full.
    let (world, _) = play(in_one_piece(1), [answer("Hi", 1, 2)]);
    assert!(world.detached.get());
    let (world, _) = play(streamed(1), [stream(&["Hi"], 1, 2)]);
    assert!(!world.detached.get());
}

#[test]
fn what_the_account_missed_is_settled_later_and_once() {
    for faults in [
        vec![Fault::Fails],
        vec![Fault::Lost],
        vec![Fault::Fails, Fault::Lost, Fault::Fails, Fault::Silent],
    ] {
        let world = World::new(RICH, [stream(&["Hi"], 1, 2)]);
        let tries = faults.len() + 1;
        world.settle_faults.borrow_mut().extend(faults);
        let client = Client::of(&world, streamed(1));
        world.run_out();
        // The client got its answer all the same.
        assert!(client.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(world.bills.borrow().len(), tries);
        assert_eq!(
            world.ends(),
            [format!("settle {}", PROMPT + 2 * COMPLETION)]
        );
        assert_eq!(world.rows().len(), 1);
    }
}

#[test]
fn what_nobody_settled_is_released_by_the_alarm() {
    let world = World::new(RICH, [stream(&["Hi"], 1, 2)]);
    world.settle_faults.borrow_mut().extend([Fault::Fails; 5]);
    let _client = Client::of(&world, streamed(1));
    world.run_out();
    assert_eq!(world.account.snapshot().open_holds, 1);
    world.account.now.set(NOON + HOLD_LIFETIME_MS as i64);
    world.account.ok(&patchbay::credits::ops::Expire {});
    assert_eq!(world.ends(), ["expire 0"]);
    assert_eq!(world.account.snapshot().open_holds, 0);
}

#[test]
fn a_panic_anywhere_costs_nothing_but_what_was_delivered_and_is_settled() {
    // The clock panics when it is read for the n-th time: before the call, between chunks, while settling.
    let mut panics = 0;
    for nth in 0.. {
        let body = sse([role(), text("1234"), text("5678"), finish("stop"), done()]);
        let world = World::new(RICH, [body]);
        world.panic_after.set(Some(nth));
        let client = Client::of(&world, streamed(1));
        world.run_out();
        if !client.panicked.get() {
            assert!(client.ended.get());
            break;
        }
        panics += 1;
        let delivered = client.words().len();
        let row = world.row();
        assert!(!row.cancelled);
        assert_eq!(world.ends().len(), 1);
        if row.error.is_none() {
            // It was settled already: only the end mark was lost.
            assert_eq!((row.usage.completion, delivered), (2, 8));
        } else if delivered == 0 {
            assert_eq!(world.ends(), ["void 0"]);
        } else {
            assert_eq!(row.error.as_deref(), Some("The gateway failed"));
            assert_eq!(row.usage.completion, delivered.div_ceil(4) as u64);
        }
        assert!(
            world
                .calls
                .borrow()
                .iter()
                .all(|call| call.fate.get() != Fate::Open)
        );
    }
    assert!(panics >= 5, "{panics}");
}

#[test]
fn a_body_that_panics_is_settled_too() {
    let (world, client) = play(streamed(1), [sse([text("1234"), Piece::Panic])]);
    assert!(client.panicked.get());
    assert_eq!(world.row().usage.completion, 1);
    assert_eq!(world.ends().len(), 1);
}

#[test]
fn the_record_says_where_data_stayed_that_had_to_stay_somewhere() {
    for (within, region) in [
        (Some("eu-"), Some("europe")),
        (Some("us-"), Some("us")),
        (None, None),
    ] {
        let host = crate::client::route("host", "openai_chat", |provider, _| {
            if let Some(within) = within {
                provider["auth"] = serde_json::json!({
                    "kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION", "within": within,
                });
            }
        });
        let asked = crate::client::job(serde_json::json!({}), vec![host]);
        let (world, _client) = play(asked, [answer("Hi", 10, 2)]);
        assert_eq!(world.row().data_region.as_deref(), region);
    }
}
