//! Calls of many models' making, in any chunking.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::markup::{MALFORMED, Markup};
use crate::{
    chat::{ChatRequest, Completion, Delta, Event, FinishReason, Tool, ToolChoice},
    transforms::{Filter, tests::setting},
};

fn request() -> ChatRequest {
    let parameters = json!({"type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}, "tags": {"type": "array"}, "on": {"type": "boolean"},
    }});
    let tool = |name: &str| Tool {
        name: name.into(),
        description: None,
        parameters: Some(parameters.clone()),
        strict: None,
        cache: None,
    };
    ChatRequest {
        tools: vec![tool("get_weather"), tool("go")],
        ..ChatRequest::default()
    }
}

fn end(reason: FinishReason) -> Event {
    Event::Finish {
        choice: 0,
        reason,
        native: "stop".into(),
        stop_sequence: None,
    }
}

/// The events of an answer that comes in these pieces.
fn read(mut markup: Markup, pieces: &[&str]) -> Vec<Event> {
    let mut all = Vec::new();
    for piece in pieces {
        let mut events = vec![Event::text(*piece)];
        markup.filter(&mut events);
        all.append(&mut events);
    }
    let mut events = vec![end(FinishReason::Stop), Event::Done];
    markup.filter(&mut events);
    markup.finish(&mut events);
    all.append(&mut events);
    all
}

fn prompted() -> Markup {
    let request = request();
    setting(&request, |setting| Markup::prompted(setting, &request))
}

fn leaked() -> Markup {
    let request = request();
    setting(&request, |setting| Markup::leaked(setting, &request))
}

/// Words, calls and end of an answer.
fn folded(events: Vec<Event>) -> (String, Vec<(String, Value)>, FinishReason) {
    let choice = Completion::from_events(events).choices.remove(0);
    let calls = choice.tool_calls.into_iter().map(|call| {
        let arguments = serde_json::from_str(&call.arguments);
        (call.name, arguments.unwrap_or(Value::from(call.arguments)))
    });
    (
        choice.content.unwrap_or_default(),
        calls.collect(),
        choice.finish.unwrap(),
    )
}

fn berlin() -> Vec<(String, Value)> {
    vec![("get_weather".into(), json!({"city": "Berlin", "days": 2}))]
}

/// Answers of one call each, in the words of many models.
const WAYS: [(&str, &str); 14] = [
    (
        "Hermes, Qwen",
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Berlin\", \"days\": 2}}\n</tool_call>",
    ),
    (
        "arguments in a string",
        "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Berlin\\\", \\\"days\\\": 2}\"}</tool_call>",
    ),
    (
        "Qwen coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nBerlin\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
    ),
    (
        "GLM",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Berlin</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
    ),
    (
        "Llama 3.1, own functions",
        "<function=get_weather>{\"city\": \"Berlin\", \"days\": 2}</function>",
    ),
    (
        "Llama 3",
        "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Berlin\", \"days\": 2}}<|eom_id|>",
    ),
    (
        "DeepSeek R1",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Berlin\", \"days\": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    (
        "DeepSeek 3.1",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Berlin\", \"days\": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    (
        "DeepSeek 3.2",
        "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Berlin</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    ),
    (
        "Kimi",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"city\": \"Berlin\", \"days\": 2}<|tool_call_end|><|tool_calls_section_end|>",
    ),
    (
        "Mistral",
        "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Berlin\", \"days\": 2}}]",
    ),
    (
        "Mistral, newer",
        "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Berlin\", \"days\": 2}",
    ),
    (
        "MiniMax",
        "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Berlin</parameter>\n<parameter name=\"days\">2</parameter>\n</invoke>\n</minimax:tool_call>",
    ),
    (
        "Nemotron",
        "<TOOLCALL>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Berlin\", \"days\": 2}}]</TOOLCALL>",
    ),
];

#[test]
fn every_models_way_of_calling_is_read() {
    for (name, text) in WAYS {
        for markup in [prompted(), leaked()] {
            let (words, calls, reason) = folded(read(markup, &[text]));
            assert_eq!(
                (words.as_str(), calls, reason),
                ("", berlin(), FinishReason::ToolCalls),
                "{name}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_answer(way in 0..WAYS.len(), cuts in prop::collection::vec(0..400usize, 0..12), says: bool) {
        let text = format!("{}{}", if says { "Let me see < [ok].\n\n" } else { "" }, WAYS[way].1);
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| *at < text.len() && text.is_char_boundary(*at)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect();
        let events = read(prompted(), &pieces);
        let leaks = events.iter().any(|event| matches!(event, Event::Delta { delta: Delta::Text(text), .. }
            if ["tool", "function", "python", "invoke", "TOOL", "get_weather"].iter().any(|word| text.contains(word))));
        prop_assert!(!leaks, "{events:?}");
        let words = if says { "Let me see < [ok]." } else { "" };
        prop_assert_eq!(folded(events), (words.to_owned(), berlin(), FinishReason::ToolCalls));
    }

    #[test]
    fn words_without_calls_pass_unchanged(text in "[a-z<>\\[\\]{}\"|`:_ \n]{0,80}", at in 0..80usize) {
        let at = at.min(text.len());
        let (words, calls, reason) = folded(read(prompted(), &[text.get(..at).unwrap(), text.get(at..).unwrap()]));
        prop_assert_eq!((words, calls.len(), reason), (text, 0, FinishReason::Stop));
    }
}

#[test]
fn text_goes_on_while_it_cannot_be_a_mark() {
    let mut markup = prompted();
    let mut said = Vec::new();
    for piece in ["One ", "two <", "b> three <tool", "_box> four"] {
        let mut events = vec![Event::text(piece)];
        markup.filter(&mut events);
        let words = events.iter().map(|event| match event {
            Event::Delta {
                delta: Delta::Text(text),
                ..
            } => text.clone(),
            other => panic!("{other:?}"),
        });
        said.push(words.collect::<String>());
    }
    assert_eq!(said, ["One", " two", " <b> three", " <tool_box> four"]);
}

#[test]
fn several_calls_have_their_own_places_and_ids() {
    let call = "<tool_call>{\"name\": \"go\", \"arguments\": {}}</tool_call>";
    let events = read(prompted(), &[&format!("{call}\n{call}")]);
    let ids: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delta {
                delta: Delta::ToolCallStart { index, id, .. },
                ..
            } => Some((*index, id.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        ids.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [0, 1]
    );
    assert_ne!(ids[0].1, ids[1].1);
    assert!(
        ids[0]
            .1
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    );
    let (words, calls, _) = folded(events);
    assert_eq!((words.as_str(), calls.len()), ("", 2));
}

#[test]
fn a_single_call_was_asked_for() {
    let call = "<tool_call>{\"name\": \"go\", \"arguments\": {}}</tool_call>";
    let request = ChatRequest {
        parallel_tool_calls: Some(false),
        ..request()
    };
    let mut markup = setting(&request, |setting| Markup::prompted(setting, &request));
    let mut events = vec![
        Event::text(format!("{call}{call}")),
        end(FinishReason::Stop),
    ];
    markup.filter(&mut events);
    assert_eq!(folded(events).1.len(), 1);
    assert!(markup.take_notes()[0].summary.contains("left out"));
}

#[test]
fn broken_calls_are_mended() {
    for (text, expected) in [
        (
            "<tool_call>{'name': 'go', 'arguments': {'city': 'Rom',}}</tool_call>",
            json!({"city": "Rom"}),
        ),
        (
            "<tool_call>{\"name\": \"go\", \"arguments\": {\"city\": \"Rom\"}",
            json!({"city": "Rom"}),
        ),
        (
            "<tool_call>{\"name\": \"functions.Go\", \"arguments\": null}</tool_call>",
            json!({}),
        ),
        (
            "<tool_call>\n```json\n{\"name\": \"go\", \"arguments\": {}}\n```\n</tool_call>",
            json!({}),
        ),
        (
            "<function=go><parameter=on>True</parameter><parameter=tags>['a']</parameter></function>",
            json!({"on": true, "tags": ["a"]}),
        ),
        (
            "<tool_call>{\"name\": \"go\", \"arguments\": {\"city\": \"</tool_call> in a string\"}}</tool_call>",
            json!({"city": "</tool_call> in a string"}),
        ),
    ] {
        let (words, calls, reason) = folded(read(prompted(), &[text]));
        assert_eq!(
            (words.as_str(), reason),
            ("", FinishReason::ToolCalls),
            "{text}"
        );
        assert_eq!(calls, [("go".to_owned(), expected)], "{text}");
    }
}

#[test]
fn a_call_that_cannot_be_read_ends_the_answer_as_malformed() {
    let events = read(prompted(), &["<tool_call>I would rather not.</tool_call>"]);
    let Some(Event::Finish { reason, native, .. }) = events
        .iter()
        .find(|event| matches!(event, Event::Finish { .. }))
    else {
        panic!("no end");
    };
    assert_eq!((*reason, native.as_str()), (FinishReason::Error, MALFORMED));
    assert!(!events.iter().any(Event::is_content), "nothing leaks");
}

#[test]
fn a_call_without_marks_is_one_where_the_model_was_told_to_call() {
    for text in [
        "{\"name\": \"go\", \"arguments\": {\"city\": \"Rom\"}}",
        "```json\n{\"name\": \"go\", \"parameters\": {\"city\": \"Rom\"}}\n```",
        "[{\"name\": \"go\", \"arguments\": {\"city\": \"Rom\"}}]",
        "{\"type\": \"function\", \"name\": \"go\", \"parameters\": {\"city\": \"Rom\"}}",
    ] {
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (words, calls, _) = folded(read(prompted(), &pieces));
        assert_eq!(
            (words.as_str(), calls),
            ("", vec![("go".to_owned(), json!({"city": "Rom"}))]),
            "{text}"
        );
        let (words, calls, _) = folded(read(leaked(), &pieces));
        assert_eq!((words.as_str(), calls.len()), (text, 0), "{text}");
    }
    let answer = "{\"name\": \"Rom\", \"size\": 3}";
    assert_eq!(folded(read(prompted(), &[answer])).0, answer);
}

#[test]
fn a_result_of_the_models_own_making_is_cut() {
    let text = "<tool_call>{\"name\": \"go\", \"arguments\": {}}</tool_call>\n<tool_response>\n20 degrees\n</tool_response>\nIt is warm.";
    let (words, calls, _) = folded(read(prompted(), &[text]));
    assert_eq!((words.as_str(), calls.len()), ("", 1));
}

#[test]
fn a_limit_stays_a_limit() {
    // P54
    let mut markup = prompted();
    let mut events = vec![
        Event::text("<tool_call>{\"name\": \"go\", \"arguments\": {}}</tool_call>"),
        end(FinishReason::Length),
    ];
    markup.filter(&mut events);
    assert_eq!(folded(events).2, FinishReason::Length);
}

#[test]
fn a_call_that_had_to_come_and_did_not_is_told() {
    let request = ChatRequest {
        tool_choice: Some(ToolChoice::Required),
        ..request()
    };
    let mut markup = setting(&request, |setting| Markup::prompted(setting, &request));
    let mut events = vec![Event::text("No."), end(FinishReason::Stop)];
    markup.filter(&mut events);
    assert!(markup.take_notes()[0].is_warning);
}

#[test]
fn native_calls_keep_their_places() {
    let mut markup = leaked();
    let native = Event::delta(
        0,
        Delta::ToolCallStart {
            index: 0,
            id: "n".into(),
            name: "go".into(),
        },
    );
    let leak = "<tool_call>{\"name\": \"go\", \"arguments\": {}}</tool_call>";
    let mut events = vec![
        native,
        Event::delta(
            0,
            Delta::ToolCallArguments {
                index: 0,
                json: "{}".into(),
            },
        ),
        Event::text(leak),
        end(FinishReason::ToolCalls),
    ];
    markup.filter(&mut events);
    assert_eq!(folded(events).1.len(), 2);
}
