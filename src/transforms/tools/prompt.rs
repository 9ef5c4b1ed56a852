//! Tools, calls and results in words, for models that know none.
//!
//! The form of a call is the one that most open models were trained on: JSON between `<tool_call>` tags.

use serde_json::{Value, json, value::RawValue};

use super::super::instruct;
use crate::chat::{ChatRequest, Message, Part, Role, Tool, ToolChoice};

const HOW: &str = "To call a tool, write its name and arguments as JSON between tags, in exactly this form:
<tool_call>
{\"name\": \"name_of_the_tool\", \"arguments\": {\"name_of_an_argument\": \"its value\"}}
</tool_call>
Write nothing after your calls. What a tool answers is given to you between <tool_response> tags in the next message; never write these tags yourself. Without need of a tool, answer in plain words without tags.";

/// Writes calls and results of the history as text; `offers`: describes the tools too.
pub(super) fn write(request: &mut ChatRequest, offers: bool) {
    let messages = std::mem::take(&mut request.messages);
    request.messages = history(messages);
    if offers {
        let words = describe(request);
        instruct(&mut request.messages, words);
    }
}

fn describe(request: &ChatRequest) -> String {
    let wanted = match &request.tool_choice {
        Some(ToolChoice::Function(name)) => Some(name),
        _ => None,
    };
    let is_offered = |tool: &&Tool| wanted.is_none_or(|wanted| *wanted == tool.name);
    let mut words = "You can call the tools that are described here, one per line:\n".to_owned();
    for tool in request.tools.iter().filter(is_offered) {
        words.push_str(&told(tool).to_string());
        words.push('\n');
    }
    words.push_str(HOW);
    words.push_str(if request.parallel_tool_calls == Some(false) {
        " Write one call at most."
    } else {
        " You may write several calls, one after the other, where none needs the answer of another."
    });
    match &request.tool_choice {
        Some(ToolChoice::Required) => {
            words.push_str(" Your next answer has to call at least one tool.");
        }
        Some(ToolChoice::Function(name)) => {
            words.push_str(&format!(" Your next answer has to call the tool {name}."));
        }
        _ => {}
    }
    words
}

fn told(tool: &Tool) -> Value {
    let nothing = || json!({"type": "object", "properties": {}});
    json!({
        "name": tool.name,
        "description": tool.description.as_deref().unwrap_or_default(),
        "parameters": tool.parameters.clone().unwrap_or_else(nothing),
    })
}

/// The conversation without calls and results as such.
fn history(messages: Vec<Message>) -> Vec<Message> {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut written: Vec<Message> = Vec::with_capacity(messages.len());
    let mut is_after_results = false;
    for mut message in messages {
        let parts = std::mem::take(&mut message.parts);
        let is_result = message.role == Role::Tool;
        for part in parts {
            match part {
                Part::ToolCall {
                    id,
                    name,
                    arguments,
                } => {
                    message.parts.push(Part::text(call(&name, &arguments)));
                    names.push((id, name));
                }
                Part::ToolResult {
                    call_id,
                    content,
                    is_error,
                    ..
                } => {
                    let called = names.iter().rev().find(|(id, _)| *id == call_id);
                    let name = called.map_or(call_id.as_str(), |(_, name)| name.as_str());
                    result(&mut message.parts, name, content, is_error);
                }
                part => message.parts.push(part),
            }
        }
        if is_result {
            message.role = Role::User;
            // Results of one turn are one message: two of a user's in a row are more than some hosts take.
            if let Some(last) = written.last_mut().filter(|_| is_after_results) {
                last.parts.append(&mut message.parts);
                continue;
            }
        }
        is_after_results = is_result;
        written.push(message);
    }
    written
}

fn call(name: &str, arguments: &str) -> String {
    let arguments = if arguments.trim().is_empty() {
        "{}"
    } else {
        arguments
    };
    let name = Value::from(name);
    let is_json = crate::json::from_str::<&RawValue>(arguments).is_ok();
    let arguments = if is_json {
        arguments.to_owned()
    } else {
        Value::from(arguments).to_string()
    };
    format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>")
}

fn result(parts: &mut Vec<Part>, name: &str, content: Vec<Part>, is_error: bool) {
    let (mut text, mut media) = (String::new(), Vec::new());
    for part in content {
        match part {
            Part::Text { text: more, .. } => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&more);
            }
            part => media.push(part),
        }
    }
    let state = if is_error { " status=\"error\"" } else { "" };
    let name = name.replace('"', "'");
    let words = format!("<tool_response name=\"{name}\"{state}>\n{text}\n</tool_response>");
    parts.push(Part::text(words));
    parts.append(&mut media);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &Message) -> String {
        let words = message.parts.iter().map(|part| match part {
            Part::Text { text, .. } => text.as_str(),
            _ => "(media)",
        });
        words.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn calls_and_results_become_text_in_their_order() {
        let call = |id: &str, arguments: &str| Part::ToolCall {
            id: id.into(),
            name: format!("tool_{id}"),
            arguments: arguments.into(),
        };
        let result = |id: &str, is_error| Message {
            role: Role::Tool,
            name: None,
            parts: vec![Part::ToolResult {
                call_id: id.into(),
                content: vec![Part::text("one"), Part::text("two")],
                is_error,
                cache: None,
            }],
        };
        let mut request = ChatRequest {
            messages: vec![
                Message::text(Role::User, "Look."),
                Message {
                    role: Role::Assistant,
                    name: None,
                    // P56: no arguments are an empty object.
                    parts: vec![Part::text("I do."), call("a", "{\"x\":1.0}"), call("b", "")],
                },
                result("a", false),
                result("b", true),
                Message::text(Role::User, "And?"),
            ],
            ..ChatRequest::default()
        };
        write(&mut request, false);
        let roles: Vec<Role> = request.messages.iter().map(|m| m.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::User]);
        assert_eq!(
            text(&request.messages[1]),
            "I do.|<tool_call>\n{\"name\": \"tool_a\", \"arguments\": {\"x\":1.0}}\n</tool_call>|<tool_call>\n{\"name\": \"tool_b\", \"arguments\": {}}\n</tool_call>"
        );
        assert_eq!(
            text(&request.messages[2]),
            "<tool_response name=\"tool_a\">\none\ntwo\n</tool_response>|<tool_response name=\"tool_b\" status=\"error\">\none\ntwo\n</tool_response>"
        );
    }

    #[test]
    fn the_choice_among_tools_is_told() {
        let tool = |name: &str| Tool {
            name: name.into(),
            description: Some("Does it.".into()),
            parameters: None,
            strict: None,
            cache: None,
        };
        for (choice, parallel, has, has_not) in [
            (None, None, "several calls", "has to call"),
            (
                Some(ToolChoice::Required),
                None,
                "at least one",
                "one call at most",
            ),
            (
                Some(ToolChoice::Function("b".into())),
                Some(false),
                "call the tool b",
                "\"a\"",
            ),
        ] {
            let mut request = ChatRequest {
                messages: vec![
                    Message::text(Role::System, "Be kind."),
                    Message::text(Role::User, "Hi"),
                ],
                tools: vec![tool("a"), tool("b")],
                tool_choice: choice,
                parallel_tool_calls: parallel,
                ..ChatRequest::default()
            };
            write(&mut request, true);
            let words = text(&request.messages[0]);
            assert!(words.starts_with("Be kind.|"), "{words}");
            assert!(words.contains(has) && !words.contains(has_not), "{words}");
        }
    }
}
