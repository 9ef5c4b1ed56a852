//! When the loop of server tools ends: after so many steps, or when a condition of the client's is met. A step is one answer of
//! the model with the calls that it asked for. Spec: OpenRouter's `max_tool_calls` and `stop_server_tools_when`.

use serde_json::Value;

use crate::{
    chat::FinishReason,
    credits::money::Nanos,
    error::{Error, Result},
};

/// The most steps, and as many as there are where the client says nothing.
pub const MAX_STEPS: u32 = 30;
/// The most conditions.
const MAX_CONDITIONS: usize = 20;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    StepCount(u32),
    HasToolCall(String),
    MaxCost(Nanos),
    MaxTokens(u64),
    FinishReason(FinishReason),
}

/// What the loop has come to after a step.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Steps so far.
    pub steps: u32,
    /// The functions that the last step called.
    pub called: &'a [&'a str],
    /// What the request has cost so far.
    pub cost: Nanos,
    /// Tokens so far, of prompts and answers.
    pub tokens: u64,
    /// How the last answer ended.
    pub finish: Option<FinishReason>,
}

/// When to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    max_steps: u32,
    conditions: Vec<Condition>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            max_steps: MAX_STEPS,
            conditions: Vec::new(),
        }
    }
}

impl Stop {
    /// Reads both fields; conditions override the number.
    pub(super) fn read(max_tool_calls: Option<&Value>, conditions: Option<&Value>) -> Result<Self> {
        let wrong = |told: &str| Error::invalid("max_tool_calls", told);
        let max_steps = match max_tool_calls.filter(|value| !value.is_null()) {
            None => MAX_STEPS,
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                let number = number.filter(|number| *number > 0);
                number
                    .ok_or_else(|| wrong("expected a whole number of at least 1"))?
                    .min(MAX_STEPS)
            }
        };
        let list = match conditions.filter(|value| !value.is_null()) {
            None => &[][..],
            Some(Value::Array(list)) if list.len() <= MAX_CONDITIONS => list,
            Some(_) => {
                let told = format!("expected a list of at most {MAX_CONDITIONS} conditions");
                return Err(Error::invalid("stop_server_tools_when", told));
            }
        };
        let conditions = list
            .iter()
            .enumerate()
            .map(|(at, value)| condition(at, value));
        let conditions = conditions.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            max_steps: if conditions.is_empty() {
                max_steps
            } else {
                MAX_STEPS
            },
            conditions,
        })
    }

    /// Whether the next answer is the last one.
    pub fn is_due(&self, progress: &Progress<'_>) -> bool {
        progress.steps >= self.max_steps
            || self.conditions.iter().any(|condition| match condition {
                Condition::StepCount(count) => progress.steps >= *count,
                Condition::HasToolCall(name) => progress.called.contains(&name.as_str()),
                Condition::MaxCost(cost) => progress.cost >= *cost,
                Condition::MaxTokens(tokens) => progress.tokens >= *tokens,
                Condition::FinishReason(reason) => progress.finish == Some(*reason),
            })
    }
}

fn condition(at: usize, value: &Value) -> Result<Condition> {
    let path = |field: &str| format!("stop_server_tools_when[{at}].{field}");
    let wrong = |field: &str, told: &str| Error::invalid(path(field), told);
    let number = |field: &str| {
        let number = value
            .get(field)
            .and_then(Value::as_u64)
            .filter(|number| *number > 0);
        number.ok_or_else(|| wrong(field, "expected a whole number of at least 1"))
    };
    let text = |field: &str| {
        let text = value.get(field).and_then(Value::as_str);
        text.ok_or_else(|| wrong(field, "expected a string"))
    };
    Ok(match text("type")? {
        "step_count_is" => {
            Condition::StepCount(u32::try_from(number("step_count")?).unwrap_or(u32::MAX))
        }
        "has_tool_call" => {
            let name = text("tool_name")?;
            // Clients may name the declared type, models call the function.
            Condition::HasToolCall(name.strip_prefix("openrouter:").unwrap_or(name).to_owned())
        }
        "max_cost" => {
            let field = "max_cost_in_dollars";
            let dollars = match value.get(field) {
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::String(text)) => text.clone(),
                _ => String::new(),
            };
            let cost = Nanos::from_dollars(&dollars)
                .ok()
                .filter(|cost| *cost > Nanos::ZERO);
            Condition::MaxCost(cost.ok_or_else(|| wrong(field, "expected dollars above 0"))?)
        }
        "max_tokens_used" => Condition::MaxTokens(number("max_tokens")?),
        "finish_reason_is" => Condition::FinishReason(match text("reason")? {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" | "tool-calls" => FinishReason::ToolCalls,
            "content_filter" | "content-filter" => FinishReason::ContentFilter,
            "error" => FinishReason::Error,
            _ => {
                return Err(wrong(
                    "reason",
                    "expected stop, length, tool_calls, content_filter or error",
                ));
            }
        }),
        _ => {
            let told = "expected step_count_is, has_tool_call, max_cost, max_tokens_used or finish_reason_is";
            return Err(wrong("type", told));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress() -> Progress<'static> {
        Progress {
            steps: 2,
            called: &["web_search"],
            cost: Nanos::new(5_000_000).unwrap(),
            tokens: 1_000,
            finish: Some(FinishReason::ToolCalls),
        }
    }

    #[test]
    fn the_first_condition_that_is_met_ends_the_loop() {
        for (conditions, due) in [
            (json!([]), false),
            (json!(null), false),
            (json!([{"type": "step_count_is", "step_count": 2}]), true),
            (json!([{"type": "step_count_is", "step_count": 3}]), false),
            (
                json!([{"type": "has_tool_call", "tool_name": "openrouter:web_search"}]),
                true,
            ),
            (
                json!([{"type": "has_tool_call", "tool_name": "web_fetch"}]),
                false,
            ),
            (
                json!([{"type": "max_cost", "max_cost_in_dollars": 0.005}]),
                true,
            ),
            (
                json!([{"type": "max_cost", "max_cost_in_dollars": "0.0051"}]),
                false,
            ),
            (
                json!([{"type": "max_tokens_used", "max_tokens": 1000}]),
                true,
            ),
            (
                json!([{"type": "finish_reason_is", "reason": "length"}]),
                false,
            ),
            (
                json!([{"type": "step_count_is", "step_count": 9}, {"type": "finish_reason_is", "reason": "tool_calls"}]),
                true,
            ),
        ] {
            let stop = Stop::read(None, Some(&conditions)).unwrap();
            assert_eq!(stop.is_due(&progress()), due, "{conditions}");
        }
    }

    #[test]
    fn conditions_override_the_number_of_calls_but_not_the_most() {
        let steps = |steps| Progress {
            steps,
            called: &[],
            ..progress()
        };
        let two = Stop::read(Some(&json!(2)), None).unwrap();
        assert!(two.is_due(&steps(2)) && !two.is_due(&steps(1)));
        let other = json!([{"type": "step_count_is", "step_count": 99}]);
        let overridden = Stop::read(Some(&json!(2)), Some(&other)).unwrap();
        assert!(!overridden.is_due(&steps(2)) && overridden.is_due(&steps(MAX_STEPS)));
        let many = Stop::read(Some(&json!(1_000)), None).unwrap();
        assert!(many.is_due(&steps(MAX_STEPS)));
    }

    #[test]
    fn a_wrong_condition_is_told_with_its_path() {
        for (conditions, path) in [
            (json!({}), "stop_server_tools_when"),
            (json!([7]), "stop_server_tools_when[0].type"),
            (json!([{"type": "later"}]), "stop_server_tools_when[0].type"),
            (
                json!([{"type": "step_count_is"}]),
                "stop_server_tools_when[0].step_count",
            ),
            (
                json!([{"type": "step_count_is", "step_count": 1}, {"type": "max_cost", "max_cost_in_dollars": -1}]),
                "stop_server_tools_when[1].max_cost_in_dollars",
            ),
            (
                json!([{"type": "finish_reason_is", "reason": "bored"}]),
                "stop_server_tools_when[0].reason",
            ),
        ] {
            let error = Stop::read(None, Some(&conditions)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path), "{conditions}");
        }
        for wrong in [json!(0), json!(-1), json!("3"), json!(1.5)] {
            assert!(Stop::read(Some(&wrong), None).is_err(), "{wrong}");
        }
    }
}
