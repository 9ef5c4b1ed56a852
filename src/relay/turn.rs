//! One answer of a model within a loop of server tools: what of it the client sees, and what the loop does with it.
//!
//! Calls of the gateway's own tools are not shown, and how the answer ended only where the loop ends with it. All answers of the
//! loop are one message for the client: pieces of reasoning keep places of their own, words of a later answer begin a paragraph.

use std::collections::BTreeMap;

use crate::chat::{
    Choice, Completion, Delta, Event, FinishReason, Message, Part, ReasoningDetail, ReasoningKind,
    Role, ToolCall,
};

/// What one answer adds to the message, and where it begins.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// The functions that the gateway runs.
    owned: Vec<String>,
    /// Nothing of the message has been seen before.
    is_first: bool,
    /// A paragraph has to begin before the next word.
    breaks: bool,
    /// The first free place for a piece of reasoning.
    reasoning: u32,
    /// Places of this answer's pieces of reasoning end here.
    reasoning_end: u32,
    /// Of each call of this answer: its place among those that are shown.
    calls: BTreeMap<u32, Option<u32>>,
    shown_calls: u32,
    completion: Completion,
    finish: Option<Event>,
}

/// The message so far, as the next answer has to know it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Its words.
    pub text: String,
    /// The first free place for a piece of reasoning.
    pub reasoning: u32,
    /// Something of it was seen.
    pub begun: bool,
}

impl Turn {
    /// The next answer of a message.
    pub fn new(owned: Vec<String>, told: &Told) -> Self {
        let ends_open = !told.text.is_empty() && !told.text.ends_with('\n');
        Self {
            owned,
            is_first: !told.begun,
            breaks: ends_open,
            reasoning: told.reasoning,
            reasoning_end: told.reasoning,
            ..Self::default()
        }
    }

    /// Takes the next events of the answer; what the client sees of them.
    pub fn take(&mut self, events: &[Event]) -> Vec<Event> {
        let mut shown = Vec::with_capacity(events.len());
        for event in events {
            self.completion.push(event.clone());
            match event {
                Event::Start { .. } if self.is_first => shown.push(event.clone()),
                Event::Delta { choice: 0, delta } => {
                    if let Some(delta) = self.delta(delta) {
                        shown.push(Event::delta(0, delta));
                    }
                }
                Event::Finish { choice: 0, .. } => self.finish = Some(event.clone()),
                _ => {}
            }
        }
        shown
    }

    fn delta(&mut self, delta: &Delta) -> Option<Delta> {
        Some(match delta {
            Delta::Text(text) if self.breaks && !text.is_empty() => {
                self.breaks = false;
                Delta::Text(format!("\n\n{text}"))
            }
            Delta::Reasoning(detail) => Delta::Reasoning(self.placed(detail)),
            Delta::ToolCallStart { index, id, name } => {
                let is_owned = self.owned.contains(name);
                let place = (!is_owned).then_some(self.shown_calls);
                self.shown_calls += u32::from(!is_owned);
                self.calls.insert(*index, place);
                Delta::ToolCallStart {
                    index: place?,
                    id: id.clone(),
                    name: name.clone(),
                }
            }
            Delta::ToolCallArguments { index, json } => Delta::ToolCallArguments {
                index: self.calls.get(index).copied().flatten()?,
                json: json.clone(),
            },
            other => other.clone(),
        })
    }

    fn placed(&mut self, detail: &ReasoningDetail) -> ReasoningDetail {
        let index = detail
            .index
            .map(|index| index.saturating_add(self.reasoning));
        self.reasoning_end = self
            .reasoning_end
            .max(index.map_or(self.reasoning, |index| index + 1));
        ReasoningDetail {
            index,
            ..detail.clone()
        }
    }

    fn choice(&self) -> Option<&Choice> {
        self.completion.choices.first()
    }

    /// How the answer ended.
    pub fn finish(&self) -> Option<FinishReason> {
        self.choice()?.finish
    }

    /// The calls that the gateway has to run before the model goes on; none where the loop ends here: with words, with calls of the
    /// client's own tools beside them, or cut short.
    pub fn to_run(&self) -> Vec<ToolCall> {
        let may_go_on = matches!(
            self.finish(),
            Some(FinishReason::ToolCalls | FinishReason::Stop)
        );
        let calls = self.choice().map_or(&[][..], |choice| &choice.tool_calls);
        if !may_go_on || self.shown_calls > 0 {
            return Vec::new();
        }
        calls
            .iter()
            .filter(|call| self.owned.contains(&call.name))
            .cloned()
            .collect()
    }

    /// The answer as a message of the conversation that goes on.
    pub fn message(&self) -> Message {
        let mut parts = Vec::new();
        if let Some(choice) = self.choice() {
            parts.extend(choice.reasoning.iter().cloned().map(Part::Reasoning));
            let text = choice.content.iter().filter(|text| !text.is_empty());
            parts.extend(text.map(Part::text));
            parts.extend(choice.tool_calls.iter().map(|call| Part::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            }));
        }
        Message {
            role: Role::Assistant,
            name: None,
            parts,
        }
    }

    /// How the answer ended, as the client is to be told.
    pub fn ending(&mut self) -> Option<Event> {
        let mut finish = self.finish.take()?;
        // Calls that nobody sees are no reason.
        if let Event::Finish { reason, .. } = &mut finish
            && *reason == FinishReason::ToolCalls
            && self.shown_calls == 0
        {
            *reason = FinishReason::Stop;
        }
        Some(finish)
    }

    /// Adds what the client saw of this answer to the message.
    pub fn add_to(&self, told: &mut Told) {
        if let Some(text) = self.choice().and_then(|choice| choice.content.as_deref())
            && !text.is_empty()
        {
            if !told.text.is_empty() && !told.text.ends_with('\n') {
                told.text.push_str("\n\n");
            }
            told.text.push_str(text);
        }
        told.reasoning = told.reasoning.max(self.reasoning_end);
        told.begun = true;
    }
}

/// Calls that the client has to decide about, as its own.
pub fn shown_calls<'a>(calls: impl Iterator<Item = &'a ToolCall>) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, call) in (0..).zip(calls) {
        let start = Delta::ToolCallStart {
            index,
            id: call.id.clone(),
            name: call.name.clone(),
        };
        let arguments = Delta::ToolCallArguments {
            index,
            json: call.arguments.clone(),
        };
        events.extend([Event::delta(0, start), Event::delta(0, arguments)]);
    }
    events
}

/// A call that the gateway ran, as the client is told of it.
pub fn told_call(
    told: &mut Told,
    tool_name: &str,
    call: &ToolCall,
    result: &serde_json::Value,
) -> Event {
    let index = told.reasoning;
    told.reasoning += 1;
    let detail = ReasoningDetail {
        kind: ReasoningKind::ServerToolCall {
            tool_name: tool_name.to_owned(),
            arguments: crate::json::from_str(&call.arguments).ok(),
            result: Some(result.clone()),
        },
        format: crate::chat::ReasoningFormat::Unknown,
        id: Some(call.id.clone()),
        index: Some(index),
    };
    Event::delta(0, Delta::Reasoning(detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ReasoningFormat;

    fn call(index: u32, name: &str, json: &str) -> [Event; 2] {
        let start = Delta::ToolCallStart {
            index,
            id: format!("c{index}"),
            name: name.into(),
        };
        let json = Delta::ToolCallArguments {
            index,
            json: json.into(),
        };
        [Event::delta(0, start), Event::delta(0, json)]
    }

    fn finish(reason: FinishReason) -> Event {
        Event::Finish {
            choice: 0,
            reason,
            native: "native".into(),
            stop_sequence: None,
        }
    }

    fn turn(told: &Told) -> Turn {
        Turn::new(vec!["web_search".into()], told)
    }

    #[test]
    fn calls_of_the_gateways_tools_are_run_and_not_shown() {
        let mut told = Told::default();
        let mut first = turn(&told);
        let thought = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, 0, "hm");
        let mut events = vec![
            Event::delta(0, Delta::Reasoning(thought.clone())),
            Event::text("Let me see."),
        ];
        events.extend(call(0, "web_search", "{\"query\":\"x\"}"));
        events.push(finish(FinishReason::ToolCalls));
        let shown = first.take(&events);
        assert_eq!(shown, events[..2]);
        let calls = first.to_run();
        assert_eq!(
            (calls.len(), calls[0].arguments.as_str()),
            (1, "{\"query\":\"x\"}")
        );
        assert_eq!(first.message().parts.len(), 3);
        first.add_to(&mut told);
        let event = told_call(
            &mut told,
            "openrouter:web_search",
            &calls[0],
            &serde_json::json!({}),
        );
        assert!(matches!(
            event,
            Event::Delta {
                delta: Delta::Reasoning(ReasoningDetail { index: Some(1), .. }),
                ..
            }
        ));

        let mut second = turn(&told);
        let shown = second.take(&[
            Event::delta(0, Delta::Reasoning(thought)),
            Event::text("It"),
            Event::text(" is."),
            finish(FinishReason::Stop),
        ]);
        let index = shown.iter().find_map(|event| match event {
            Event::Delta {
                delta: Delta::Reasoning(detail),
                ..
            } => detail.index,
            _ => None,
        });
        assert_eq!(index, Some(2), "pieces of two answers never join");
        assert_eq!(shown[1..], [Event::text("\n\nIt"), Event::text(" is.")]);
        assert!(second.to_run().is_empty());
        assert_eq!(second.ending(), Some(finish(FinishReason::Stop)));
        second.add_to(&mut told);
        assert_eq!(told.text, "Let me see.\n\nIt is.");
    }

    #[test]
    fn a_turn_with_calls_of_both_kinds_ends_with_the_clients() {
        let mut mixed = turn(&Told::default());
        let mut events = call(0, "web_search", "{}").to_vec();
        events.extend(call(1, "mine", "{\"a\":1}"));
        events.push(finish(FinishReason::ToolCalls));
        let shown = mixed.take(&events);
        assert_eq!(
            shown,
            [
                call(0, "mine", "{\"a\":1}")[0].clone(),
                call(0, "mine", "{\"a\":1}")[1].clone()
            ]
            .map(|event| match event {
                Event::Delta {
                    choice,
                    delta: Delta::ToolCallStart { index, name, .. },
                } => Event::Delta {
                    choice,
                    delta: Delta::ToolCallStart {
                        index,
                        id: "c1".into(),
                        name
                    }
                },
                other => other,
            })
        );
        assert!(mixed.to_run().is_empty());
        assert_eq!(mixed.ending(), Some(finish(FinishReason::ToolCalls)));
    }

    #[test]
    fn an_answer_that_was_cut_runs_nothing() {
        for reason in [FinishReason::Length, FinishReason::ContentFilter] {
            let mut cut = turn(&Told::default());
            let mut events = call(0, "web_search", "{\"que").to_vec();
            events.push(finish(reason));
            cut.take(&events);
            assert!(cut.to_run().is_empty());
            assert_eq!(cut.ending(), Some(finish(reason)));
        }
        // Called although the tools were off: nobody sees a call, so it is no reason to end.
        let mut off = turn(&Told::default());
        let mut events = call(0, "web_search", "{}").to_vec();
        events.push(finish(FinishReason::ToolCalls));
        off.take(&events);
        assert_eq!(off.ending(), Some(finish(FinishReason::Stop)));
    }
}
