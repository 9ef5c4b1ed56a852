//! `POST /tools/run`: the calls of a model's answer are carried out, and their results come back in the form of the answer.
//!
//! Reads run side by side, what changes something alone and in its turn. Nothing that a model wrote fails the request: an unknown
//! function, wrong arguments and a confirmation that is missing are results that say so. A call that changes something is carried out
//! once, however often the same answer is sent: its name is made of the call's id, the tool and the input.

use futures::StreamExt;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{
        Ids, World,
        http::{Request, Response, check_depth},
        principal,
        toolbox::Toolbox,
    },
    answer::{Answered, Asked, Desk},
};
use crate::{
    credits::money::Nanos,
    error::{Error, Result},
    json as reading,
    tools::{
        calls::{self, Batch, Call, Form, Outcome},
        execute::Confirm,
        told::Tokens,
    },
};

/// How many reads run at the same time.
const BESIDE: usize = 8;
/// The longest `Idempotency-Key`.
const MAX_KEY: usize = 255;

/// What a request says beside the calls.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    confirmations: Vec<(String, String)>,
    confirm: Confirm,
    tokens: Tokens,
    only: Option<Vec<String>>,
    skip_unknown: bool,
    key: Option<String>,
}

impl Wishes {
    fn read(body: &Map<String, Value>, key: Option<String>) -> Result<Self> {
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let wrong = |name: &str, told: &str| Error::invalid(name, told);
        let confirm = match given("confirm") {
            None => Confirm::default(),
            Some(word) => word
                .as_str()
                .and_then(Confirm::parse)
                .ok_or_else(|| wrong("confirm", "expected never, destructive, writes or always"))?,
        };
        let tokens = match given("confirm_by").map(Value::as_str) {
            None | Some(Some("client")) => Tokens::Hidden,
            Some(Some("model")) => Tokens::Shown,
            Some(_) => return Err(wrong("confirm_by", "expected client or model")),
        };
        let confirmations = match given("confirmations") {
            None => Vec::new(),
            Some(Value::Object(by_id)) => {
                let token = |(id, token): (&String, &Value)| {
                    let told = || Error::invalid(format!("confirmations.{id}"), "expected a token");
                    Ok((id.clone(), token.as_str().ok_or_else(told)?.to_owned()))
                };
                by_id.iter().map(token).collect::<Result<_>>()?
            }
            Some(_) => {
                return Err(wrong(
                    "confirmations",
                    "expected an object of call ids and tokens",
                ));
            }
        };
        let only = match given("tools") {
            None => None,
            Some(Value::Array(names)) => {
                let name = |name: &Value| name.as_str().map(str::to_owned);
                let names: Option<Vec<String>> = names.iter().map(name).collect();
                Some(names.ok_or_else(|| wrong("tools", "expected names of tools"))?)
            }
            Some(_) => return Err(wrong("tools", "expected a list of names")),
        };
        let skip_unknown = match given("skip_unknown") {
            None => false,
            Some(flag) => flag
                .as_bool()
                .ok_or_else(|| wrong("skip_unknown", "expected true or false"))?,
        };
        Ok(Self {
            confirmations,
            confirm,
            tokens,
            only,
            skip_unknown,
            key: key.map(|key| unquoted(&key)).transpose()?,
        })
    }

    fn token(&self, id: &str) -> Option<String> {
        let found = self.confirmations.iter().find(|(of, _)| of == id);
        found.map(|(_, token)| token.clone())
    }

    /// What the execution of a call is called. Reads that are free may run again: their answers may have changed.
    fn name(&self, call: &Call, subject: (String, bool)) -> Option<String> {
        let (tool, matters) = subject;
        let mut digest = Sha256::new();
        match &self.key {
            Some(key) => digest.update(format!("key\0{key}\0{}", call.id)),
            None if matters => {
                let mut input = call.input.clone().unwrap_or_default();
                input.sort_all_objects();
                digest.update(format!("call\0{}\0{tool}\0{input}", call.id));
            }
            None => return None,
        }
        let hex: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(format!("run-{hex}"))
    }
}

/// A key, bare or as a quoted string.
fn unquoted(sent: &str) -> Result<String> {
    let sent = sent.trim();
    let key = sent
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(sent);
    let is_fit = !key.is_empty()
        && key.len() <= MAX_KEY
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let told = || Error::invalid("idempotency-key", "expected 1 to 255 visible characters");
    is_fit.then(|| key.to_owned()).ok_or_else(told)
}

/// Answers the request.
pub(in crate::api) async fn run<W: World>(
    world: &W,
    request: Request,
    ids: &Ids,
) -> Result<Response> {
    let key = principal(world, &request).await?;
    let idempotency_key = request.header("idempotency-key");
    let mut origin = Toolbox::<W>::origin(&request, &key);
    origin.request_id.clone_from(&ids.request);
    let body = request.body.await?;
    check_depth(&body)?;
    let body: Map<String, Value> =
        reading::from_slice(&body).map_err(|error| Error::invalid("body", error.to_string()))?;
    let batch = Batch::read(&body)?;
    let wishes = Wishes::read(&body, idempotency_key)?;
    let toolbox = Toolbox::open(world, &key, origin).await?;
    let only = wishes.only.as_ref().map(|names| {
        let named = |name: &String| {
            toolbox
                .view
                .get(name)
                .map_or_else(|_| name.clone(), |(tool, _)| tool.id.clone())
        };
        names.iter().map(named).collect()
    });
    let desk = Desk {
        toolbox,
        only,
        confirm: wishes.confirm,
        tokens: wishes.tokens,
    };
    let answered = all(&desk, &batch.calls, &wishes).await;
    Ok(Response::json(200, &rendered(batch.form, answered)))
}

/// A call and what came of it; nothing where it is left to the client.
type Done<'a> = (&'a Call, Option<Answered>);

async fn all<'a, W: World>(desk: &Desk<W>, calls: &'a [Call], wishes: &Wishes) -> Vec<Done<'a>> {
    let mut done = Vec::with_capacity(calls.len());
    let mut rest = calls;
    while let Some(first) = rest.first() {
        let is_read = |call: &Call| {
            call.input
                .as_ref()
                .map_or(true, |input| desk.is_read(&call.name, input))
        };
        let beside = rest.iter().take_while(|call| is_read(call)).count();
        let (now, later) = rest.split_at_checked(beside.max(1)).unwrap_or((rest, &[]));
        let at = done.len();
        let running = now
            .iter()
            .enumerate()
            .map(|(n, call)| one(desk, call, wishes, at + n));
        let results: Vec<Option<Answered>> = match beside {
            0 => vec![one(desk, first, wishes, at).await],
            _ => {
                futures::stream::iter(running)
                    .buffered(BESIDE)
                    .collect()
                    .await
            }
        };
        done.extend(now.iter().zip(results));
        rest = later;
    }
    done
}

async fn one<W: World>(
    desk: &Desk<W>,
    call: &Call,
    wishes: &Wishes,
    at: usize,
) -> Option<Answered> {
    if !desk.knows(&call.name) {
        if wishes.skip_unknown {
            return None;
        }
        let near = desk
            .toolbox
            .view
            .get(&call.name)
            .err()
            .map(|refused| refused.to_string());
        return Some(Answered::refused(
            "tool_not_found",
            &near.unwrap_or_else(|| format!("There is no tool {:?} here", call.name)),
        ));
    }
    if at >= calls::MOST {
        let told = format!(
            "Not run: {} calls are run at once. Call it again",
            calls::MOST
        );
        return Some(Answered::refused("too_many_calls", &told));
    }
    let input = match &call.input {
        Ok(input) => input.clone(),
        Err(told) => return Some(Answered::refused("invalid_json", told)),
    };
    let idempotency_key = wishes.name(call, desk.subject(&call.name, &input));
    let asked = Asked {
        name: call.name.clone(),
        input,
        token: wishes.token(&call.id),
        idempotency_key,
    };
    Some(desk.answer(asked).await)
}

fn rendered(form: Form, done: Vec<Done<'_>>) -> Value {
    let (mut outcomes, mut executions, mut pending, mut unanswered) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut cost = Nanos::ZERO;
    for (call, answered) in done {
        let Some(answered) = answered else {
            unanswered.push(call.id.as_str());
            continue;
        };
        cost = cost.checked_add(answered.cost()).unwrap_or(cost);
        outcomes.push(Outcome {
            id: call.id.clone(),
            name: call.name.clone(),
            told: answered.told,
            is_error: answered.is_error,
        });
        if let Some(envelope) = answered.envelope {
            if let Some(asked) = &envelope.confirmation {
                let of = [
                    ("call_id", call.id.as_str()),
                    ("tool", envelope.tool.as_str()),
                ];
                pending.push(with(json!(asked), &of));
            }
            executions.push(with(envelope.to_value(), &[("call_id", call.id.as_str())]));
        }
    }
    let results = calls::write(form, &outcomes);
    let list = match form {
        Form::Responses => "output",
        Form::Chat | Form::Messages => "messages",
    };
    json!({
        "object": "tool_run",
        list: results,
        "executions": executions,
        "confirmations": pending,
        "unanswered": unanswered,
        "usage": {"cost": cost.to_json_number()},
    })
}

/// An object with more fields.
fn with(mut object: Value, more: &[(&str, &str)]) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.extend(
            more.iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).into())),
        );
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(body: Value) -> Result<Wishes> {
        Wishes::read(body.as_object().unwrap(), None)
    }

    fn call(id: &str, input: Value) -> Call {
        Call {
            id: id.into(),
            name: "a__b".into(),
            input: Ok(input),
        }
    }

    #[test]
    fn the_same_call_has_the_same_name_and_no_other_has_it() {
        let plain = Wishes::default();
        let name = |wishes: &Wishes, id: &str, input: Value, matters| {
            wishes.name(&call(id, input), ("a/b".into(), matters))
        };
        let first = name(&plain, "c1", json!({"x": 1, "y": {"a": 1, "b": 2}}), true);
        assert_eq!(
            first,
            name(&plain, "c1", json!({"y": {"b": 2, "a": 1}, "x": 1}), true)
        );
        assert!(first.as_ref().is_some_and(|name| name.len() <= MAX_KEY));
        for (id, input) in [
            ("c2", json!({"x": 1, "y": {"a": 1, "b": 2}})),
            ("c1", json!({"x": 2})),
        ] {
            assert_ne!(first, name(&plain, id, input, true));
        }
        assert_eq!(name(&plain, "c1", json!({}), false), None);
        let keyed = |key: &str| Wishes {
            key: Some(key.into()),
            ..Wishes::default()
        };
        assert!(name(&keyed("k"), "c1", json!({}), false).is_some());
        // Another input under the same name is told by the account.
        assert_eq!(
            name(&keyed("k"), "c1", json!({}), true),
            name(&keyed("k"), "c1", json!({"x": 1}), true)
        );
        assert_ne!(
            name(&keyed("k"), "c1", json!({}), true),
            name(&keyed("l"), "c1", json!({}), true)
        );
    }

    #[test]
    fn wishes_are_read_and_wrong_ones_told_with_their_path() {
        let read = wishes(json!({"confirmations": {"c1": "t"}, "confirm": "writes", "confirm_by": "model", "tools": ["a/b"], "skip_unknown": true})).unwrap();
        assert_eq!(
            (read.token("c1").as_deref(), read.token("c2")),
            (Some("t"), None)
        );
        assert_eq!(
            (read.confirm, read.tokens, read.skip_unknown),
            (Confirm::Writes, Tokens::Shown, true)
        );
        assert_eq!(wishes(json!({"confirm": null})).unwrap(), Wishes::default());
        for (body, param) in [
            (json!({"confirm": "sometimes"}), "confirm"),
            (json!({"confirm_by": "anybody"}), "confirm_by"),
            (json!({"confirmations": ["t"]}), "confirmations"),
            (json!({"confirmations": {"c1": 7}}), "confirmations.c1"),
            (json!({"tools": "a/b"}), "tools"),
            (json!({"tools": [1]}), "tools"),
            (json!({"skip_unknown": 1}), "skip_unknown"),
        ] {
            assert_eq!(
                wishes(body.clone()).unwrap_err().param.as_deref(),
                Some(param),
                "{body}"
            );
        }
        for (sent, key) in [
            ("abc", Some("abc")),
            ("\"a b\"", Some("a b")),
            ("", None),
            ("\"\"", None),
            ("ü", None),
        ] {
            assert_eq!(unquoted(sent).ok().as_deref(), key, "{sent}");
        }
    }

    #[test]
    fn what_waits_for_a_yes_is_listed_beside_the_results() {
        use crate::tools::envelope::{Confirmation, Envelope, Status};
        let confirmation = Confirmation {
            token: "tok".into(),
            expires_at: 9,
            summary: "s".into(),
            effects: Vec::new(),
            cost_ceiling: Nanos::ZERO,
            reason: "policy".into(),
        };
        let envelope = Envelope {
            tool: "a/b".into(),
            status: Status::ConfirmationRequired,
            confirmation: Some(confirmation),
            ..Envelope::default()
        };
        let (one, two) = (call("c1", json!({})), call("c2", json!({})));
        let answered = Answered {
            told: "no".into(),
            is_error: true,
            envelope: Some(envelope),
        };
        assert!(answered.is_pending());
        let told = rendered(Form::Responses, vec![(&one, Some(answered)), (&two, None)]);
        assert_eq!(told["confirmations"][0]["call_id"], "c1");
        assert_eq!(told["confirmations"][0]["token"], "tok");
        assert_eq!(told["unanswered"], json!(["c2"]));
        assert_eq!(
            told["output"],
            json!([{"type": "function_call_output", "call_id": "c1", "output": "no"}])
        );
    }
}
