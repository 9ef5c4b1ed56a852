//! Scripts of fixtures, played in both eras.

use serde_json::{Value, json};

use super::{
    CAPABILITIES, Era, LOG_LEVEL, MODERN, VERSION,
    fixtures::{Fixtures, Move, Play, Seal},
    message::{Fault, INVALID_PARAMS, MISSING_CAPABILITY, Request},
};

fn request(method: &str, params: Value) -> Request {
    Request {
        id: json!(1),
        method: method.to_owned(),
        params: params.as_object().cloned().unwrap_or_default(),
    }
}

/// A seal that anybody could forge, and nobody by accident.
struct Wax;

impl Seal for Wax {
    fn seal(&self, text: &str) -> String {
        format!("wax:{text}")
    }

    fn open(&self, sealed: &str) -> Option<String> {
        let text = sealed.strip_prefix("wax:")?;
        (!text.ends_with("TAMPERED")).then(|| text.to_owned())
    }
}

fn script() -> Fixtures {
    let question =
        json!({"method": "elicitation/create", "params": {"message": "Hi {/arguments/who}"}});
    let rounds = json!([
        {"ask": {"one": question}, "state": true},
        {"ask": {"two": question}, "state": true},
        {"result": {"content": [{"type": "text", "text": "{/answers/one/content/x} {/answers/two}"}]}},
    ]);
    let both = json!([{"optional": true, "ask": {"e": question, "s": {"method": "sampling/createMessage"}}}]);
    let tools = json!([
        {"is": {"name": "rounds", "inputSchema": {"type": "object"}}, "play": rounds},
        {"is": {"name": "busy"}, "play": [{"progress": 0, "total": 100}, {"log": "on it"}, {"wait": 5}, {"change": "tools"}]},
        {"is": {"name": "picky"}, "era": "modern", "play": [{"requires": "sampling"}]},
        {"is": {"name": "both"}, "play": both},
    ]);
    let templates = json!([{"is": {"uriTemplate": "t://{id}/data"}, "content": {"uri": "{/uri}", "text": "number {/id}"}}]);
    Fixtures::read(&json!({"tools": tools, "templates": templates}).to_string()).unwrap()
}

fn moves(mut play: Play) -> Result<Vec<Move>, Fault> {
    let mut moves = Vec::new();
    loop {
        let next = play.next(&Wax)?;
        if let Move::Ask(name, _) = &next {
            play.answered(&name.clone(), json!({"content": {"x": "said"}}));
        }
        let is_end = matches!(next, Move::End(_));
        moves.push(next);
        if is_end {
            return Ok(moves);
        }
    }
}

fn played(era: Era, params: Value) -> Result<Vec<Move>, Fault> {
    moves(script().play("tools", era, &request("tools/call", params), &Wax)?)
}

#[test]
fn a_script_of_the_modern_era_asks_by_its_result_in_rounds() {
    let capable = json!({VERSION: MODERN, CAPABILITIES: {"elicitation": {}}});
    let call = |more: Value| {
        let mut params = json!({"name": "rounds", "arguments": {"who": "Ann"}, "_meta": capable});
        let fields = params.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let moves = played(Era::Modern, params)?;
        let [Move::End(result)] = moves.as_slice() else {
            panic!("{moves:?}")
        };
        Ok::<Value, Fault>(result.clone())
    };
    let first = call(json!({})).unwrap();
    assert_eq!(first["resultType"], "input_required");
    assert_eq!(first["inputRequests"]["one"]["params"]["message"], "Hi Ann");
    let answer = json!({"action": "accept", "content": {"x": "said"}});
    // Answers to other questions do not help.
    let again = call(json!({"inputResponses": {"other": answer}})).unwrap();
    assert!(again["inputRequests"].get("one").is_some());
    let second =
        call(json!({"inputResponses": {"one": answer}, "requestState": first["requestState"]}))
            .unwrap();
    assert!(second["inputRequests"].get("one").is_none());
    assert_ne!(second["requestState"], first["requestState"]);
    let last =
        call(json!({"inputResponses": {"two": answer}, "requestState": second["requestState"]}))
            .unwrap();
    assert!(
        last["content"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("said {\"action\"")
    );
    for odd in [
        json!({"requestState": format!("{}-TAMPERED", second["requestState"].as_str().unwrap())}),
        json!({"inputResponses": null}),
        json!({"inputResponses": {"one": 1}}),
    ] {
        assert_eq!(call(odd.clone()).unwrap_err().code, INVALID_PARAMS, "{odd}");
    }
}

#[test]
fn a_script_asks_only_for_what_the_client_can_do() {
    let meta = |capabilities: Value| json!({VERSION: MODERN, CAPABILITIES: capabilities});
    let told = played(
        Era::Modern,
        json!({"name": "both", "_meta": meta(json!({"sampling": {}}))}),
    );
    let told = told.unwrap();
    let [Move::End(result)] = told.as_slice() else {
        panic!("{told:?}")
    };
    let asked: Vec<&String> = result["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(asked, ["s"]);
    for name in ["rounds", "picky"] {
        let fault =
            played(Era::Modern, json!({"name": name, "_meta": meta(json!({}))})).unwrap_err();
        assert_eq!((fault.status, fault.code), (400, MISSING_CAPABILITY));
        let needed = if name == "picky" {
            "sampling"
        } else {
            "elicitation"
        };
        assert_eq!(
            fault.data,
            Some(json!({"requiredCapabilities": {needed: {}}}))
        );
    }
    let fault = played(Era::Legacy, json!({"name": "picky"})).unwrap_err();
    assert_eq!(fault.message, "Unknown tool: picky");
}

#[test]
fn a_script_of_the_legacy_era_asks_on_its_stream() {
    let told = played(
        Era::Legacy,
        json!({"name": "rounds", "arguments": {"who": "Ann"}}),
    )
    .unwrap();
    let [
        Move::Ask(one, request),
        Move::Ask(two, _),
        Move::End(result),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((one.as_str(), two.as_str()), ("one", "two"));
    assert_eq!(request["params"]["message"], "Hi Ann");
    assert!(
        result["content"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("said")
    );
}

#[test]
fn progress_and_logs_are_told_to_who_asked_for_them() {
    let token = json!({VERSION: MODERN, CAPABILITIES: {}, "progressToken": "t"});
    let told = played(Era::Modern, json!({"name": "busy", "_meta": token})).unwrap();
    assert!(
        matches!(&told[0], Move::Say(message) if message["method"] == "notifications/progress")
    );
    assert_eq!(
        told[1..3],
        [Move::Wait(5), Move::Change("tools".to_owned())]
    );
    let log = json!({VERSION: MODERN, CAPABILITIES: {}, LOG_LEVEL: "info"});
    let told = played(Era::Modern, json!({"name": "busy", "_meta": log})).unwrap();
    assert!(matches!(&told[0], Move::Say(message) if message["method"] == "notifications/message"));
}

#[test]
fn a_template_of_resources_is_filled_in_and_what_is_not_there_is_named() {
    let found = script().contents(Era::Modern, "t://7/data").unwrap();
    assert_eq!(
        found["contents"][0],
        json!({"uri": "t://7/data", "text": "number 7"})
    );
    for (era, code) in [(Era::Modern, INVALID_PARAMS), (Era::Legacy, -32_002)] {
        let fault = script().contents(era, "t://nothing").unwrap_err();
        assert_eq!(
            (fault.code, fault.data),
            (code, Some(json!({"uri": "t://nothing"})))
        );
    }
}
