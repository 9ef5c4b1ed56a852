//! Chains in a world of the test's making, which carries each name out once.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use futures::FutureExt;
use serde_json::{Value, json};

use super::{Composite, Holding, Kept, MAX_EACH, MAX_STEPS, Runner, order::waves, row::Deed, run};
use crate::{
    credits::{money::Nanos, ops::Lease},
    error::{Error, Result},
    tools::{
        catalog::Effect,
        envelope::{Confirmation, Envelope, Status, ToolError, Undo, Usage},
        execute::Call,
    },
};

/// What a world of the test's making answers to `tool`, asked for with `input` under `name`.
type Answers = Box<dyn Fn(&str, &Value, &str) -> Envelope>;

/// What happens in the midst of a chain.
type Then = Box<dyn FnOnce(&World)>;

/// A world that carries out each name once and remembers it, as the account's object does.
#[derive(Clone)]
struct World(Rc<Inside>);

struct Inside {
    answers: Answers,
    /// What was carried out, by its name.
    records: RefCell<BTreeMap<String, Envelope>>,
    /// Deeds in order.
    log: RefCell<Vec<String>>,
    /// The states of chains, each with who carries it on.
    kept: RefCell<BTreeMap<String, (Kept, Option<String>)>>,
    /// What happens meanwhile, once: while this step is under way, or a model is asked.
    meanwhile: RefCell<Option<(String, Then)>>,
    /// Everything fails after so many calls: the isolate died.
    dies_after: RefCell<Option<usize>>,
    ids: RefCell<u32>,
}

impl World {
    fn new(answers: impl Fn(&str, &Value, &str) -> Envelope + 'static) -> Self {
        Self(Rc::new(Inside {
            answers: Box::new(answers),
            records: RefCell::default(),
            log: RefCell::default(),
            kept: RefCell::default(),
            meanwhile: RefCell::default(),
            dies_after: RefCell::default(),
            ids: RefCell::default(),
        }))
    }

    fn log(&self) -> Vec<String> {
        self.0.log.borrow().clone()
    }

    /// Whoever carried the chain on has been silent for too long.
    fn expire(&self) {
        for (_, holder) in self.0.kept.borrow_mut().values_mut() {
            *holder = None;
        }
    }

    fn meanwhile(&self, step: &str, then: impl FnOnce(&World) + 'static) {
        *self.0.meanwhile.borrow_mut() = Some((step.to_owned(), Box::new(then)));
    }

    fn is_at(&self, step: &str) {
        let next = self.0.meanwhile.borrow_mut().take();
        match next {
            Some((at, then)) if at == step => then(self),
            other => *self.0.meanwhile.borrow_mut() = other,
        }
    }

    fn run(&self, chain: &Value, input: Value) -> Envelope {
        self.run_with(chain, input, None)
    }

    fn run_with(&self, chain: &Value, input: Value, confirmation: Option<&str>) -> Envelope {
        let chain = Composite::read(chain).unwrap();
        let call = Call {
            id: "chain-1".into(),
            tool: "composite/test".into(),
            input,
            confirmation: confirmation.map(str::to_owned),
            ..Call::default()
        };
        let digest = call.input.to_string();
        // Nothing waits in this world, so that one chain may be carried out in the midst of another.
        run(self, &chain, call, &digest).now_or_never().unwrap()
    }
}

/// Whether the isolate still lives; it dies by never answering again, which here is a panic that the test catches.
struct Died;

impl Runner for World {
    async fn tool(&self, call: Call) -> Envelope {
        let step = call.step.clone().unwrap();
        assert_eq!(step.parent, "chain-1");
        if let Some(left) = self.0.dies_after.borrow_mut().as_mut() {
            if *left == 0 {
                std::panic::panic_any(Died);
            }
            *left -= 1;
        }
        let holder = self
            .0
            .kept
            .borrow()
            .get("chain-1")
            .map(|(_, holder)| holder.clone());
        if holder != Some(step.holder) {
            let error = ToolError::new("idempotency_in_progress", "client", "another's");
            return Envelope::failed(&call.id, &call.tool, error);
        }
        self.is_at(&step.index);
        if let Some(known) = self.0.records.borrow().get(&step.index) {
            return Envelope {
                replayed: true,
                ..known.clone()
            };
        }
        let token = call.confirmation.as_deref().unwrap_or_default();
        let envelope = match (call.tool.as_str(), token) {
            ("mail/confirmed", "") => waiting(&step.index),
            ("mail/confirmed", token) if token != step.index => Envelope::failed(
                &call.id,
                &call.tool,
                ToolError::new("confirmation_invalid", "client", "no"),
            ),
            _ => (self.0.answers)(&call.tool, &call.input, &step.index),
        };
        let envelope = Envelope {
            id: call.id,
            tool: call.tool.clone(),
            ..envelope
        };
        if matches!(envelope.status, Status::Succeeded | Status::Unknown) {
            self.0
                .log
                .borrow_mut()
                .push(format!("{} {}", step.index, call.input));
            self.0
                .records
                .borrow_mut()
                .insert(step.index, envelope.clone());
        }
        envelope
    }

    async fn chat(&self, body: Value) -> Result<(String, Nanos), ToolError> {
        self.0.log.borrow_mut().push(format!("chat {body}"));
        self.is_at("chat");
        match body.pointer("/messages/0/content").and_then(Value::as_str) {
            Some("fail") => Err(ToolError::new("provider_error", "provider", "no model")),
            Some(asked) => Ok((format!("```json\n{{\"asked\": {asked:?}}}\n```"), nanos(5))),
            None => Err(ToolError::input("messages", "none")),
        }
    }

    fn deed(&self, tool: &str) -> Option<Deed> {
        let (effect, has_undo) = match tool.split_once('/')?.0 {
            "read" => (Effect::Read, false),
            "make" => (Effect::Write, true),
            _ => (Effect::Write, false),
        };
        Some(Deed { effect, has_undo })
    }

    fn id(&self) -> Result<String> {
        *self.0.ids.borrow_mut() += 1;
        Ok(format!("exec-{}", self.0.ids.borrow()))
    }

    async fn wait(&self, _ms: u64) {}

    async fn keep(
        &self,
        id: &str,
        kept: &Kept,
        is_new: bool,
        lease: Lease,
    ) -> Result<Holding, Error> {
        let mut all = self.0.kept.borrow_mut();
        let known = all.get(id).cloned();
        let (now, busy_ms) = match known {
            Some((known, _)) if known.is_over() => (known, None),
            Some((known, holder))
                if holder.as_ref() != Some(&lease.holder) && !(is_new && holder.is_none()) =>
            {
                (known, Some(1))
            }
            Some((known, _)) if is_new => (known, None),
            _ => (kept.clone(), None),
        };
        if busy_ms.is_none() {
            let holder = (lease.ms > 0).then_some(lease.holder);
            all.insert(id.to_owned(), (now.clone(), holder));
        }
        Ok(Holding { kept: now, busy_ms })
    }

    fn report(&self, message: &str) {
        panic!("{message}");
    }
}

fn nanos(amount: i64) -> Nanos {
    Nanos::new(amount).unwrap()
}

fn good(result: Value) -> Envelope {
    Envelope {
        status: Status::Succeeded,
        result: Some(result),
        usage: Usage {
            cost: nanos(10),
            ..Usage::default()
        },
        ..Envelope::default()
    }
}

fn made(name: &str, class: &str) -> Envelope {
    Envelope {
        undo: Some(Undo {
            tool: "undo/it".into(),
            input: json!({"id": name}),
            class: class.into(),
            note: None,
        }),
        ..good(json!({"id": name}))
    }
}

fn bad(code: &str) -> Envelope {
    Envelope::failed("", "", ToolError::new(code, "refused", "It broke"))
}

fn waiting(index: &str) -> Envelope {
    let confirmation = Confirmation {
        token: index.to_owned(),
        expires_at: 1,
        summary: "Send.".into(),
        effects: Vec::new(),
        cost_ceiling: Nanos::ZERO,
        reason: "policy".into(),
    };
    Envelope {
        status: Status::ConfirmationRequired,
        confirmation: Some(confirmation),
        ..Envelope::default()
    }
}

/// A world where everything works as its name says.
fn plain() -> World {
    World::new(|tool, input, index| match tool.split_once('/').unwrap() {
        ("read", "list") => good(json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}]})),
        ("read", _) => good(json!({"echo": input})),
        ("make", class) => made(index, class),
        ("mail", _) => good(json!({"sent": input})),
        ("undo", _) => good(json!({})),
        ("fail", "unknown") => Envelope {
            status: Status::Unknown,
            ..bad("outcome_unknown")
        },
        _ => bad("refused"),
    })
}

#[test]
fn a_step_reads_what_the_steps_before_it_found() {
    let world = plain();
    let chain = json!({
        "steps": [
            {"id": "search", "tool": "read/list", "input": {"query": "{/input/topic} news {/input/country}"}},
            {"id": "pages", "tool": "read/page", "each": {"of": "/steps/search/result/items", "max": 2}, "input": {"n": "{/item/n}", "of": "{$/input/topic}"}},
            {"id": "sum", "chat": {"messages": [{"role": "user", "content": "{/steps/pages/items/1/result/echo/n}"}]}},
        ],
        "output": {"first": "{/steps/pages/items/0/result/echo}", "said": "{/steps/sum/result/json/asked}"},
    });
    let answer = world.run(&chain, json!({"topic": "edge"}));
    assert_eq!(answer.status, Status::Succeeded, "{answer:?}");
    assert_eq!(
        answer.result,
        Some(json!({"first": {"n": 1, "of": "edge"}, "said": "2"}))
    );
    assert_eq!(answer.usage.cost, nanos(35), "three executions and a model");
    assert_eq!(answer.warnings[0].code, "items_left_out");
    let steps = answer.steps.unwrap();
    assert_eq!(
        (&steps[0]["id"], &steps[1]["items"][1]["id"]),
        (&json!("search"), &json!("pages.1"))
    );
    assert!(steps[0]["execution"].as_str().unwrap().starts_with("exec-"));
}

#[test]
fn conditions_pass_steps_over_and_optional_ones_may_fail() {
    let chain = json!({"steps": [
        {"id": "a", "tool": "fail/it", "input": {}, "optional": true},
        {"id": "b", "tool": "read/x", "input": {}, "when": [{"pointer": "/steps/a/result", "exists": true}]},
        {"id": "c", "tool": "read/x", "input": {"b": "{/steps/b/status}"}},
    ]});
    let answer = plain().run(&chain, json!({}));
    assert_eq!(answer.status, Status::Succeeded);
    assert_eq!(
        answer
            .warnings
            .iter()
            .map(|w| w.code.as_str())
            .collect::<Vec<_>>(),
        ["irreversible_step", "step_failed"]
    );
    let steps = answer.steps.unwrap();
    assert_eq!(
        (&steps[0]["status"], &steps[1]["status"]),
        (&json!("failed"), &json!("skipped"))
    );
    assert_eq!(
        answer.result.unwrap()["c"],
        json!({"echo": {}}),
        "what is not there is left out"
    );
}

#[test]
fn reads_run_beside_each_other_and_what_changes_something_alone() {
    let step = |id: &str, tool: &str, input: Value| json!({"id": id, "tool": tool, "input": input});
    let chain = json!({"steps": [
        step("a", "read/x", json!({})),
        step("b", "read/x", json!({})),
        step("c", "read/x", json!({"a": "{/steps/a/result}"})),
        step("w", "make/clean", json!({})),
        step("d", "read/x", json!({"a": "{/steps/a/result}"})),
        step("v", "make/clean", json!({})),
    ]});
    let chain = Composite::read(&chain).unwrap();
    let changes = |step: &super::StepRow| {
        step.tool
            .as_deref()
            .is_some_and(|tool| tool.starts_with("make"))
    };
    let waves: Vec<Vec<&str>> = waves(&chain, changes)
        .iter()
        .map(|wave| wave.iter().map(|s| s.id.as_str()).collect())
        .collect();
    assert_eq!(
        waves,
        [vec!["a", "b"], vec!["c"], vec!["w"], vec!["d"], vec!["v"]]
    );
}

#[test]
fn what_was_done_is_taken_back_in_reverse_and_told_exactly() {
    let chain = json!({"steps": [
        {"id": "look", "tool": "read/x", "input": {}},
        {"id": "one", "tool": "make/clean", "input": {}},
        {"id": "two", "tool": "make/partial", "input": {}},
        {"id": "mail", "tool": "mail/it", "input": {}},
        {"id": "end", "tool": "fail/it", "input": {}},
    ]});
    let world = plain();
    let answer = world.run(&chain, json!({}));
    assert_eq!(answer.status, Status::PartiallyCompensated);
    let told = &answer.error.as_ref().unwrap().details.as_ref().unwrap()["compensation"];
    assert_eq!(told["compensated"][0]["step"], "one");
    assert_eq!(told["partially_compensated"][0]["step"], "two");
    assert_eq!(told["not_compensatable"][0]["step"], "mail");
    assert!(told.get("compensation_failed").is_none());
    let undone: Vec<String> = world
        .log()
        .into_iter()
        .filter(|line| line.starts_with("undo"))
        .collect();
    assert_eq!(
        undone,
        [r#"undo.two {"id":"two"}"#, r#"undo.one {"id":"one"}"#]
    );
    assert_eq!(
        answer.warnings[0].code, "irreversible_step",
        "said before: the mail stood before what can fail"
    );
    assert!(answer.error.unwrap().message.starts_with("Step end failed"));
}

#[test]
fn the_status_says_how_far_the_chain_was_undone() {
    let step = |id: &str, tool: &str| json!({"id": id, "tool": tool, "input": {}});
    for (steps, status) in [
        (
            vec![step("a", "read/x"), step("z", "fail/it")],
            Status::Failed,
        ),
        (
            vec![step("a", "make/clean"), step("z", "fail/it")],
            Status::Compensated,
        ),
        (
            vec![step("a", "make/partial"), step("z", "fail/it")],
            Status::PartiallyCompensated,
        ),
        (
            vec![step("a", "mail/it"), step("z", "fail/it")],
            Status::PartiallyCompensated,
        ),
        (vec![step("z", "fail/unknown")], Status::Unknown),
        (
            vec![step("a", "make/clean"), step("z", "fail/unknown")],
            Status::PartiallyCompensated,
        ),
    ] {
        assert_eq!(
            plain().run(&json!({ "steps": steps }), json!({})).status,
            status,
            "{steps:?}"
        );
    }
    let stuck = World::new(|tool, _, index| match tool.split_once('/').unwrap().0 {
        "make" => made(index, "clean"),
        _ => bad("refused"),
    });
    let chain = json!({"steps": [step("a", "make/clean"), step("z", "fail/it")]});
    let answer = stuck.run(&chain, json!({}));
    assert_eq!(answer.status, Status::CompensationFailed);
    let parked = &answer.error.unwrap().details.unwrap()["compensation"]["compensation_failed"][0];
    assert_eq!(
        (&parked["step"], &parked["undo"]["tool"]),
        (&json!("a"), &json!("undo/it")),
        "a person can go on from here"
    );
}

#[test]
fn a_chain_that_ended_answers_as_it_ended_and_another_request_of_its_name_is_refused() {
    let world = plain();
    let chain = json!({"steps": [{"id": "a", "tool": "make/clean", "input": {"x": "{/input/x}"}}]});
    let first = world.run(&chain, json!({"x": 1}));
    let again = world.run(&chain, json!({"x": 1}));
    assert_eq!(
        again,
        Envelope {
            replayed: true,
            ..first
        }
    );
    assert_eq!(world.log().len(), 1);
    let other = world.run(&chain, json!({"x": 2}));
    assert_eq!(other.error.unwrap().code, "idempotency_mismatch");
}

#[test]
fn a_step_that_waits_for_a_yes_stops_the_chain_and_its_token_goes_on_with_it() {
    let world = plain();
    let chain = json!({"steps": [
        {"id": "a", "tool": "make/clean", "input": {}},
        {"id": "mail", "tool": "mail/confirmed", "input": {"of": "{/steps/a/result/id}"}},
    ]});
    let asked = world.run(&chain, json!({}));
    assert_eq!(asked.status, Status::ConfirmationRequired);
    let token = asked.confirmation.unwrap().token;
    assert_eq!(
        world.run_with(&chain, json!({}), Some("of another")).status,
        Status::ConfirmationRequired
    );
    let done = world.run_with(&chain, json!({}), Some(&token));
    assert_eq!(done.status, Status::Succeeded);
    assert_eq!(
        world.log(),
        ["a {}", r#"mail {"of":"a"}"#],
        "nothing was done twice"
    );
}

#[test]
fn after_a_crash_anywhere_the_chain_goes_on_and_nothing_happens_twice() {
    let good = json!({"steps": [
        {"id": "a", "tool": "make/clean", "input": {}},
        {"id": "b", "tool": "make/clean", "each": {"of": "/input/items", "max": 3}, "input": {"n": "{/item}"}},
        {"id": "c", "tool": "mail/it", "input": {}},
    ]});
    let mut failing = good.clone();
    failing["steps"][2]["tool"] = "fail/it".into();
    std::panic::set_hook(Box::new(|_| {}));
    for (chain, status) in [(good, Status::Succeeded), (failing, Status::Compensated)] {
        let input = json!({"items": [1, 2, 3]});
        let whole = plain();
        assert_eq!(whole.run(&chain, input.clone()).status, status);
        for calls in 0..12 {
            let world = plain();
            *world.0.dies_after.borrow_mut() = Some(calls);
            let run = || world.run(&chain, input.clone());
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
            *world.0.dies_after.borrow_mut() = None;
            if died {
                let early = world.run(&chain, input.clone());
                assert_eq!(early.error.unwrap().code, "idempotency_in_progress");
                world.expire();
            }
            let answer = world.run(&chain, input.clone());
            assert_eq!(answer.status, status, "after {calls} calls");
            assert_eq!(
                world.log(),
                whole.log(),
                "after {calls} calls, died: {died}"
            );
        }
    }
    let _ = std::panic::take_hook();
}

/// What nobody may see: a step that was done beside one that was taken back.
fn is_torn(world: &World) -> bool {
    let log = world.log();
    let has = |name: &str| log.iter().any(|line| line.starts_with(name));
    has("undo.a") && has("b ")
}

#[test]
fn of_two_who_carry_out_the_same_chain_at_once_one_waits() {
    let chain = json!({"steps": [
        {"id": "a", "tool": "make/clean", "input": {}},
        {"id": "b", "tool": "flaky/it", "input": {}},
    ]});
    // The second try of the last step would succeed.
    let tries = RefCell::new(0);
    let world = World::new(move |tool, _, index| match tool {
        "flaky/it" => {
            *tries.borrow_mut() += 1;
            if *tries.borrow() == 1 {
                return bad("provider_unavailable");
            }
            good(json!({}))
        }
        _ => made(index, "clean"),
    });
    let (other, seen) = (chain.clone(), Rc::new(RefCell::new(None)));
    let told = Rc::clone(&seen);
    world.meanwhile("b", move |world| {
        *told.borrow_mut() = Some(world.run(&other, json!({})));
    });
    let first = world.run(&chain, json!({}));
    let second = seen.borrow_mut().take().unwrap();
    assert_eq!(second.error.unwrap().code, "idempotency_in_progress");
    assert_eq!(first.status, Status::Compensated);
    assert!(!is_torn(&world), "{:?}", world.log());
    assert!(world.run(&chain, json!({})).replayed);
}

#[test]
fn who_was_silent_for_too_long_begins_nothing_more() {
    let chain = json!({"steps": [
        {"id": "a", "tool": "make/clean", "input": {}},
        {"id": "said", "chat": {"messages": [{"role": "user", "content": "{/steps/a/result/id}"}]}},
        {"id": "b", "tool": "flaky/it", "input": {}},
    ]});
    let tries = RefCell::new(0);
    let world = World::new(move |tool, _, index| match tool {
        "flaky/it" => {
            *tries.borrow_mut() += 1;
            if *tries.borrow() == 1 {
                return bad("provider_unavailable");
            }
            good(json!({}))
        }
        _ => made(index, "clean"),
    });
    let (other, seen) = (chain.clone(), Rc::new(RefCell::new(None)));
    let told = Rc::clone(&seen);
    world.meanwhile("chat", move |world| {
        world.expire();
        *told.borrow_mut() = Some(world.run(&other, json!({})));
    });
    let first = world.run(&chain, json!({}));
    let second = seen.borrow_mut().take().unwrap();
    assert_eq!(second.status, Status::Compensated);
    assert_eq!(first.error.unwrap().code, "idempotency_in_progress");
    assert!(!is_torn(&world), "{:?}", world.log());
}

#[test]
fn wrong_chains_are_refused_with_the_step_at_fault() {
    let step = |more: Value| {
        let mut step = json!({"id": "a", "tool": "read/x", "input": {}});
        step.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        step
    };
    for (chain, part) in [
        (json!({"steps": []}), "steps: 1 to"),
        (
            json!({"steps": vec![step(json!({})); MAX_STEPS + 1]}),
            "steps: 1 to",
        ),
        (
            json!({"steps": [step(json!({})), step(json!({}))]}),
            "steps.a: there are two",
        ),
        (
            json!({"steps": [step(json!({"id": "A b"}))]}),
            "no name of a step",
        ),
        (
            json!({"steps": [step(json!({"chat": {}}))]}),
            "either tool or chat",
        ),
        (
            json!({"steps": [step(json!({"each": {"of": "/input/x", "max": MAX_EACH + 1}}))]}),
            "each.max",
        ),
        (
            json!({"steps": [step(json!({"input": {"x": "{/steps/b/result}"}}))]}),
            "there is no step \"b\" before it",
        ),
        (
            json!({"steps": [step(json!({"after": ["a"]}))]}),
            "there is no step \"a\" before it",
        ),
        (
            json!({"steps": [step(json!({}))], "output": "{/steps/z/result}"}),
            "output: there is no step",
        ),
        (
            json!({"steps": [step(json!({"retries": 3}))]}),
            "unknown field",
        ),
    ] {
        let told = Composite::read(&chain).unwrap_err();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_model_that_fails_fails_the_chain_unless_its_step_is_optional() {
    let chain = |optional: bool| {
        json!({"steps": [
            {"id": "a", "tool": "make/clean", "input": {}},
            {"id": "m", "chat": {"messages": [{"role": "user", "content": "fail"}]}, "optional": optional},
        ]})
    };
    assert_eq!(
        plain().run(&chain(false), json!({})).status,
        Status::Compensated
    );
    assert_eq!(
        plain().run(&chain(true), json!({})).status,
        Status::Succeeded
    );
}

#[test]
fn the_state_of_a_chain_reads_back_as_it_was_kept() {
    let envelope = Envelope {
        usage: Usage {
            cost: nanos(1_500_000),
            balance_remaining: Some(nanos(7)),
            ..Usage::default()
        },
        steps: Some(vec![json!({"id": "a", "usage": {"cost": 0.0015}})]),
        ..good(json!({"n": 1.5}))
    };
    for kept in [
        Kept::Running {
            digest: "d".into(),
            asked: Some(Box::new(super::Asked {
                tool: "composite/test".into(),
                input: json!({"x": 1}),
                confirm: Default::default(),
            })),
        },
        Kept::Running {
            digest: "d".into(),
            asked: None,
        },
        Kept::Undoing {
            digest: "d".into(),
            tool: "composite/test".into(),
            done: vec![super::kept::KeptDeed {
                index: "a.0".into(),
                envelope: made("a", "clean"),
            }],
            error: Box::new(ToolError::new("refused", "refused", "no")),
        },
        Kept::Over {
            digest: "d".into(),
            envelope: Box::new(envelope),
        },
    ] {
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        assert_eq!(kept.bounded(), kept);
    }
}
