//! Tools of the catalog within a conversation: run by a host, charged by themselves, confirmed by the client.

use std::{cell::RefCell, rc::Rc, task::Poll};

use futures::{
    FutureExt,
    future::{LocalBoxFuture, poll_fn},
};
use serde_json::{Value, json};

use patchbay::{
    chat::{Tool, ToolCall, estimate},
    credits::money::Nanos,
    relay::{Job, Wishes},
    server_tools::{Called, Declared, Deployment, Host, Hosted, HostedFunction, Kit, Wanted},
};

use crate::client::{COMPLETION, PROMPT, job};
use crate::server_tools::{
    call_of, calls, dollars, endpoint, message, says, sent, surf, told, usage_of,
};

/// Nano-dollars of an execution.
const FEE: i64 = 700;

/// Notes what it is asked, and when each call began and ended.
#[derive(Default)]
struct Notes {
    lines: RefCell<Vec<String>>,
}

impl Notes {
    fn say(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}

struct Scripted(Rc<Notes>);

impl Host for Scripted {
    fn run(&self, call: &ToolCall) -> LocalBoxFuture<'static, Called> {
        let (notes, call) = (Rc::clone(&self.0), call.clone());
        async move {
            notes.say(format!("begin {}", call.id));
            let mut is_first = true;
            poll_fn(|context| {
                if std::mem::take(&mut is_first) {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            notes.say(format!("end {}", call.id));
            match call.name.as_str() {
                "demo__pay" => Called {
                    told: "somebody has to confirm".into(),
                    is_error: true,
                    result: json!({"status": "confirmation_required", "confirmation": {"token": "tok"}}),
                    is_pending: true,
                    ..Called::default()
                },
                _ => Called {
                    told: format!("{} was told {}", call.name, call.arguments),
                    result: json!({"status": "succeeded"}),
                    fee: Nanos::new(FEE).unwrap(),
                    ..Called::default()
                },
            }
        }
        .boxed_local()
    }
}

fn function(name: &str, is_read: bool) -> HostedFunction {
    HostedFunction {
        tool: Tool {
            name: name.to_owned(),
            description: None,
            parameters: Some(json!({"type": "object"})),
            strict: None,
            cache: None,
        },
        label: format!("patchbay:{}", name.replace("__", "/")),
        is_read,
        price: Nanos::new(FEE).unwrap(),
    }
}

/// A request with tools of the catalog, equipped as the API does it.
fn asks(body: Value) -> (Job, Rc<Notes>) {
    let mut job = job(body, vec![endpoint("a"), endpoint("b")]);
    let wanted = Wanted::of(&job.request).unwrap();
    let functions = vec![
        function("demo__look", true),
        function("demo__write", false),
        function("demo__pay", false),
    ];
    job.request
        .tools
        .extend(functions.iter().map(|one| one.tool.clone()));
    let notes = Rc::<Notes>::default();
    let declared: Vec<Declared> = wanted.catalog.clone();
    let hosted = Hosted::new(functions, Rc::new(Scripted(Rc::clone(&notes))), &declared);
    let kit = Kit::of(wanted, &Deployment::default(), Some(hosted)).unwrap();
    let job = Job {
        prompt_tokens: estimate::prompt_tokens(&job.request, "Other"),
        kit: kit.map(Rc::new),
        ..job
    };
    (job, notes)
}

fn tools(stream: bool) -> Value {
    json!({"stream": stream, "tools": [{"type": "patchbay:tools", "provider": "demo"}]})
}

fn call(id: &str, name: &str) -> Value {
    call_of(id, name, &json!({"x": 1}))
}

#[test]
fn a_call_of_the_catalogs_tools_is_run_told_and_charged_by_itself() {
    for is_stream in [true, false] {
        let (job, _) = asks(tools(is_stream));
        let scripts = vec![
            calls(is_stream, "", &[call("c1", "demo__look")], 30, 10),
            says(is_stream, "There.", 90, 20),
        ];
        let (world, client) = surf(job, scripts, vec![]);
        let message = message(&client, is_stream);
        assert_eq!(message["content"], "There.");
        assert!(
            message["tool_calls"].as_array().is_none_or(Vec::is_empty),
            "{message}"
        );
        let ran = &message["reasoning_details"][0];
        assert_eq!(
            (&ran["tool_name"], &ran["result"]["status"]),
            (&json!("patchbay:demo/look"), &json!("succeeded"))
        );
        assert_eq!(told(&world), ["demo__look was told {\"x\":1}"]);
        // The request pays for its tokens alone.
        let cost = 120 * PROMPT + 30 * COMPLETION;
        assert_eq!(world.ends(), [format!("settle {cost}")]);
        let usage = usage_of(&client, is_stream);
        assert_eq!(
            (
                &usage["cost"],
                &usage["cost_details"]["tool_executions_cost"]
            ),
            (&json!(dollars(cost)), &json!(dollars(FEE)))
        );
        assert_eq!(usage["server_tool_use"]["tool_calls_executed"], 1);
        let names: Vec<Value> = sent(&world, 0)["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["function"]["name"].clone())
            .collect();
        assert_eq!(names, ["demo__look", "demo__write", "demo__pay"]);
    }
}

#[test]
fn reads_run_side_by_side_and_what_changes_something_in_its_turn() {
    let (job, notes) = asks(tools(false));
    let all = [
        call("r1", "demo__look"),
        call("r2", "demo__look"),
        call("w1", "demo__write"),
        call("w2", "demo__write"),
        call("r3", "demo__look"),
    ];
    let (world, _) = surf(
        job,
        vec![calls(false, "", &all, 30, 10), says(false, "Done.", 90, 20)],
        vec![],
    );
    let order = [
        "begin r1", "begin r2", "end r1", "end r2", "begin w1", "end w1", "begin w2", "end w2",
        "begin r3", "end r3",
    ];
    assert_eq!(*notes.lines.borrow(), order);
    assert_eq!(told(&world).len(), 5);
}

#[test]
fn a_call_that_has_to_be_confirmed_becomes_the_clients() {
    for is_stream in [true, false] {
        let (job, notes) = asks(tools(is_stream));
        let both = [call("c1", "demo__look"), call("c2", "demo__pay")];
        let (world, client) = surf(
            job,
            vec![calls(is_stream, "Let me pay.", &both, 30, 10)],
            vec![],
        );
        assert_eq!(
            world.calls.borrow().len(),
            1,
            "the model is not asked again"
        );
        let message = message(&client, is_stream);
        assert_eq!(message["content"], "Let me pay.");
        let shown: Vec<&Value> = message["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| !call["id"].is_null())
            .collect();
        assert_eq!(shown.len(), 1, "{message}");
        assert_eq!(
            (&shown[0]["id"], &shown[0]["function"]["name"]),
            (&json!("c2"), &json!("demo__pay"))
        );
        let details = message["reasoning_details"].as_array().unwrap();
        assert_eq!(details[1]["result"]["confirmation"]["token"], "tok");
        let last = if is_stream {
            client.chunks().pop().unwrap()
        } else {
            client.body()
        };
        assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(
            world.ends(),
            [format!("settle {}", 30 * PROMPT + 10 * COMPLETION)]
        );
        assert_eq!(world.row().finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(notes.lines.borrow().len(), 4);
    }
}

#[test]
fn calls_are_counted_and_what_they_cost_is_part_of_what_the_request_may_cost() {
    let (job, notes) =
        asks(json!({"tools": [{"type": "patchbay:tool", "name": "demo/look", "max_calls": 1}]}));
    let both = [call("c1", "demo__look"), call("c2", "demo__look")];
    let (world, _) = surf(
        job,
        vec![
            calls(false, "", &both, 30, 10),
            says(false, "Done.", 90, 20),
        ],
        vec![],
    );
    assert_eq!(*notes.lines.borrow(), ["begin c1", "end c1"]);
    assert!(told(&world)[1].contains("allows 1"), "{:?}", told(&world));

    let (job, notes) = asks(tools(false));
    // Enough for the first answer and one execution.
    let max_cost = Nanos::new(3_000 * PROMPT + 10 * COMPLETION + FEE + 1).ok();
    let job = Job {
        wishes: Wishes {
            max_cost,
            ..Wishes::default()
        },
        ..job
    };
    let (world, _) = surf(job, vec![calls(false, "", &both, 3_000, 10)], vec![]);
    assert_eq!(*notes.lines.borrow(), ["begin c1", "end c1"]);
    assert_eq!(world.row().finish_reason.as_deref(), Some("length"));
}
