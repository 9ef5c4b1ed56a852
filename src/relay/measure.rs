//! What an attempt says of its endpoint: the figures for the usage row and for this isolate's memory.
//!
//! Out of scope: what is made of them (`usage::statistics`, `routing::breaker`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    ports::{AttemptEnd, Platform},
    run::Running,
    tab::{Tab, signed},
};
use crate::{
    chat::{Delta, Event, FinishReason, Tool},
    error::Error,
    transforms::schema,
    usage::measured::{Measured, Verdict},
};

/// The most bytes of tool calls that are checked; an answer with more is not judged.
pub const MAX_CALL_BYTES: usize = 256 * 1024;

/// The tool calls of an answer, by choice and place.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: BTreeMap<(u32, u32), Call>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Call {
    name: String,
    arguments: String,
}

impl Calls {
    /// Notes what an event says of tool calls.
    pub(super) fn see(&mut self, event: &Event) {
        let Event::Delta { choice, delta } = event else {
            return;
        };
        let (index, named, json) = match delta {
            Delta::ToolCallStart { index, name, .. } => (index, name.as_str(), ""),
            Delta::ToolCallArguments { index, json } => (index, "", json.as_str()),
            _ => return,
        };
        self.bytes = self.bytes.saturating_add(named.len() + json.len());
        if self.bytes <= MAX_CALL_BYTES {
            let call = self.calls.entry((*choice, *index)).or_default();
            call.name.push_str(named);
            call.arguments.push_str(json);
        }
    }

    /// Whether all calls name a tool of the request and have arguments of its schema; `None` without calls.
    fn are_valid(&self, tools: &[Tool]) -> Option<bool> {
        if self.calls.is_empty() || self.bytes > MAX_CALL_BYTES {
            return None;
        }
        let fits = |call: &Call| {
            let tool = tools.iter().find(|tool| tool.name == call.name)?;
            let arguments = crate::json::from_str::<Value>(&call.arguments).ok()?;
            let schema = tool.parameters.as_ref();
            schema
                .is_none_or(|schema| schema::check(schema, &arguments).is_none())
                .then_some(())
        };
        Some(self.calls.values().all(|call| fits(call).is_some()))
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended<'e> {
    /// With a whole answer that came as a stream, or in one piece.
    Answered { as_stream: bool },
    /// With an error, before or after its first content.
    Failed(&'e Error),
}

impl Tab {
    /// Measures a call.
    pub(super) fn measure(&mut self, at: usize, ended: Ended<'_>, tools: &[Tool], now: u64) {
        let measured = match (ended, self.tries.get(at)) {
            (_, None) => return,
            (Ended::Failed(error), Some(one)) => Measured {
                verdict: Verdict::of(error, one.record.status, one.record.own_key.is_some()),
                ..Measured::default()
            },
            (Ended::Answered { as_stream }, Some(_)) => {
                // As the bill will see it.
                self.conclude();
                self.measure_answer(at, as_stream, tools)
            }
        };
        if let Some(one) = self.tries.get_mut(at) {
            one.record.measured = Some(Measured {
                ended_at: signed(now),
                ..measured
            });
        }
    }

    fn measure_answer(&self, at: usize, as_stream: bool, tools: &[Tool]) -> Measured {
        let Some(one) = self.tries.get(at) else {
            return Measured::default();
        };
        let seen = &one.seen;
        let finish = seen.finish.as_ref().map(|(reason, _)| *reason);
        if finish == Some(FinishReason::Error) {
            return Measured {
                verdict: Verdict::Fault,
                ..Measured::default()
            };
        }
        let usage = self.usage(one, true);
        let since = |at: u64| at.saturating_sub(one.dispatched_ms);
        let cost = one.prices(&usage).cost(&usage);
        // A limit cuts calls short, which is not the provider's fault.
        let whole = finish != Some(FinishReason::Length) && !tools.is_empty();
        Measured {
            verdict: Verdict::Ok,
            first_token_ms: seen.first_content_ms.filter(|_| as_stream).map(since),
            duration_ms: seen.content.then(|| since(seen.last_ms)),
            prompt: usage.prompt,
            cache_read: usage.cache_read,
            completion: usage.completion,
            cost: cost.map_or(0, |charge| charge.total.get()),
            tools_valid: whole.then(|| seen.calls.are_valid(tools)).flatten(),
            ..Measured::default()
        }
    }
}

impl<P: Platform> Running<'_, P> {
    /// A call ended: its row and the isolate's memory learn how.
    pub(super) fn attempt_ended(&self, at: usize, ended: Ended<'_>) {
        let now = self.platform.now_ms();
        let mut tab = self.tab();
        let is_known = tab
            .tries
            .get(at)
            .is_some_and(|one| one.record.measured.is_some());
        if is_known && matches!(ended, Ended::Answered { .. }) {
            // It was set aside, and serves after all.
            return;
        }
        tab.measure(at, ended, &self.job.request.tools, now);
        let retry_after_s = match ended {
            Ended::Failed(error) => error.retry_after,
            Ended::Answered { .. } => None,
        };
        if let Some(one) = tab.tries.get(at)
            && let Some(measured) = &one.record.measured
        {
            self.platform.attempt_ended(&AttemptEnd {
                route: &one.route,
                measured,
                began_ms: one.dispatched_ms,
                retry_after_s,
            });
        }
    }

    /// The same for the call that serves.
    pub(super) fn serving_ended(&self, ended: Ended<'_>) {
        let serving = self.tab().parts.last().copied();
        if let Some(at) = serving {
            self.attempt_ended(at, ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(pieces: &[(u32, &str, &[&str])]) -> Calls {
        let mut calls = Calls::default();
        for (index, name, arguments) in pieces {
            calls.see(&Event::delta(
                0,
                Delta::ToolCallStart {
                    index: *index,
                    id: "c".into(),
                    name: (*name).into(),
                },
            ));
            for json in *arguments {
                let json = (*json).to_owned();
                calls.see(&Event::delta(
                    0,
                    Delta::ToolCallArguments {
                        index: *index,
                        json,
                    },
                ));
            }
        }
        calls
    }

    #[test]
    fn a_call_is_valid_when_its_tool_is_known_and_its_arguments_are_of_its_schema() {
        let tool = |name: &str, schema: Option<Value>| Tool {
            name: name.into(),
            description: None,
            parameters: schema,
            strict: None,
            cache: None,
        };
        let schema = serde_json::json!({"properties": {"a": {"type": "integer"}}});
        let tools = [tool("look", Some(schema)), tool("go", None)];
        for (name, calls, valid) in [
            ("none", calls(&[]), None),
            (
                "in pieces",
                calls(&[(0, "look", &["{\"a\"", ":1}"])]),
                Some(true),
            ),
            (
                "two",
                calls(&[(0, "look", &["{}"]), (1, "go", &["{}"])]),
                Some(true),
            ),
            (
                "one of two broken",
                calls(&[(0, "look", &["{}"]), (1, "go", &["{\"a\":"])]),
                Some(false),
            ),
            ("unknown tool", calls(&[(0, "jump", &["{}"])]), Some(false)),
            (
                "no arguments at all",
                calls(&[(0, "look", &[])]),
                Some(false),
            ),
            (
                "not of its schema",
                calls(&[(0, "look", &["{\"a\":\"1\"}"])]),
                Some(false),
            ),
            ("two values", calls(&[(0, "look", &["{}{}"])]), Some(false)),
            (
                "too much to judge",
                calls(&[(0, "jump", &["x".repeat(MAX_CALL_BYTES).as_str()])]),
                None,
            ),
        ] {
            assert_eq!(calls.are_valid(&tools), valid, "{name}");
        }
    }
}
