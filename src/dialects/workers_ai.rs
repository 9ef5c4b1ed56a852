//! Answers of Workers AI's binding, in the words of chat completions.
//!
//! Newer models answer at the binding as they do over REST, in chat completions: these pass as they are. Older ones answer
//! `{response, tool_calls, usage}`, whole or as a stream of such objects; errors are `{internalCode, description}` or a list. Here
//! they become what the `openai_chat` reader knows. Spec: the types of Workers AI's text generation models and of its binding.

use serde_json::{Map, Value, json};

use super::sse::SseParser;
use crate::error::Result;

/// An answer on its way from the binding.
#[derive(Debug)]
pub struct Answer {
    form: Form,
    /// Calls so far.
    calls: usize,
    usage: Option<Value>,
    /// Something was translated, so the end has to be told too.
    is_translated: bool,
}

#[derive(Debug)]
enum Form {
    Whole(Vec<u8>),
    Stream(SseParser),
}

impl Answer {
    /// An answer of this content type.
    pub fn new(content_type: &str) -> Self {
        let is_stream = content_type.contains("event-stream");
        Self {
            form: if is_stream {
                Form::Stream(SseParser::default())
            } else {
                Form::Whole(Vec::new())
            },
            calls: 0,
            usage: None,
            is_translated: false,
        }
    }

    /// Takes the next bytes; what may go on of them.
    ///
    /// # Errors
    /// When an event is too large.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut parser = match &mut self.form {
            Form::Whole(body) => {
                body.extend_from_slice(bytes);
                return Ok(Vec::new());
            }
            Form::Stream(parser) => std::mem::take(parser),
        };
        let mut out = Vec::new();
        let fed = parser.feed(bytes, |frame| {
            self.event(frame.data, &mut out);
            Ok(())
        });
        self.form = Form::Stream(parser);
        fed.map(|()| out)
    }

    /// The answer is over; what is left of it.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        let mut parser = match &mut self.form {
            Form::Whole(body) => {
                let body = std::mem::take(body);
                return Ok(self.whole(body));
            }
            Form::Stream(parser) => std::mem::take(parser),
        };
        let mut out = Vec::new();
        parser.finish(|frame| {
            self.event(frame.data, &mut out);
            Ok(())
        })?;
        Ok(out)
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let mut send = |data: &[u8]| {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(data);
            out.extend_from_slice(b"\n\n");
        };
        if data == b"[DONE]" && std::mem::take(&mut self.is_translated) {
            let finish = if self.calls > 0 { "tool_calls" } else { "stop" };
            let end = json!({"index": 0, "delta": {}, "finish_reason": finish});
            send(chunk(json!([end])).to_string().as_bytes());
            if let Some(usage) = self.usage.take() {
                let mut last = chunk(json!([]));
                if let Some(last) = last.as_object_mut() {
                    last.insert("usage".to_owned(), usage);
                }
                send(last.to_string().as_bytes());
            }
        }
        match crate::json::from_slice(data) {
            Ok(Value::Object(own)) if is_own(&own) => {
                let usage = own.get("usage").filter(|usage| usage.is_object());
                self.usage = usage.cloned().or(self.usage.take());
                self.is_translated = true;
                let message = self.message(&own);
                if !message.is_empty() {
                    let choice = json!({"index": 0, "delta": message, "finish_reason": null});
                    send(chunk(json!([choice])).to_string().as_bytes());
                }
            }
            Ok(Value::Object(own)) if failure(&own).is_some() => {
                let told = failure(&own).unwrap_or_default();
                send(told.to_string().as_bytes());
            }
            _ => send(data),
        }
    }

    fn whole(&mut self, body: Vec<u8>) -> Vec<u8> {
        let Ok(Value::Object(mut own)) = crate::json::from_slice(&body) else {
            return body;
        };
        // As REST has it: in an envelope.
        if let Some(Value::Object(result)) = own.get("result") {
            own = result.clone();
        }
        if let Some(told) = failure(&own) {
            return told.to_string().into_bytes();
        }
        if !is_own(&own) {
            return body;
        }
        let message = self.message(&own);
        let finish = if self.calls > 0 { "tool_calls" } else { "stop" };
        let mut message = Value::Object(message);
        if let Some(message) = message.as_object_mut() {
            message.insert("role".to_owned(), "assistant".into());
            for call in message
                .get_mut("tool_calls")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                call.as_object_mut().map(|call| call.remove("index"));
            }
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        let mut answer = json!({"id": "", "object": "chat.completion", "choices": [choice]});
        if let (Some(usage), Some(answer)) = (own.remove("usage"), answer.as_object_mut()) {
            answer.insert("usage".to_owned(), usage);
        }
        answer.to_string().into_bytes()
    }

    /// Text and calls of an object. Text that follows a schema comes as the value itself.
    fn message(&mut self, own: &Map<String, Value>) -> Map<String, Value> {
        let mut message = Map::new();
        let text = match own.get("response") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
            Some(value) => Some(value.to_string()),
        };
        if let Some(text) = text {
            message.insert("content".to_owned(), text.into());
        }
        let calls = own.get("tool_calls").and_then(Value::as_array);
        let calls: Vec<Value> = calls
            .into_iter()
            .flatten()
            .map(|call| self.call(call))
            .collect();
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        message
    }

    /// A call, which has the name beside its arguments or in a `function`.
    fn call(&mut self, call: &Value) -> Value {
        let at = self.calls;
        self.calls += 1;
        let function = call.get("function").unwrap_or(call);
        let name = function
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "{}".to_owned(),
        };
        let id = call.get("id").and_then(Value::as_str);
        let id = id.map_or_else(|| format!("call_{at}_{name}"), str::to_owned);
        json!({
            "index": at, "id": id, "type": "function", "function": {"name": name, "arguments": arguments},
        })
    }
}

fn chunk(choices: Value) -> Value {
    json!({"id": "", "object": "chat.completion.chunk", "choices": choices})
}

/// Whether an object is in Workers AI's own form.
fn is_own(object: &Map<String, Value>) -> bool {
    !object.contains_key("choices")
        && (object.contains_key("response") || object.contains_key("tool_calls"))
}

/// An error in the words of chat completions.
fn failure(object: &Map<String, Value>) -> Option<Value> {
    let first = object.get("errors").and_then(|errors| errors.get(0));
    let (code, message) = match (object.get("internalCode"), first) {
        (Some(code), _) => (Some(code), object.get("description")?),
        (None, Some(first)) => (first.get("code"), first.get("message")?),
        (None, None) => return None,
    };
    let code = code.map(Value::to_string);
    Some(json!({"error": {"message": message, "code": code}}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{Completion, FinishReason},
        dialects::openai_chat,
    };

    fn through(content_type: &str, text: &str, size: usize) -> Vec<u8> {
        let mut answer = Answer::new(content_type);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend(answer.feed(piece).unwrap());
        }
        out.extend(answer.finish().unwrap());
        out
    }

    /// What is made of a stream, cut anywhere, and of an answer in one piece.
    fn read(content_type: &str, text: &str) -> Completion {
        let whole = through(content_type, text, usize::MAX);
        assert_eq!(through(content_type, text, 1), whole);
        if content_type.contains("json") {
            return Completion::from_events(openai_chat::response(&whole, &[]).unwrap());
        }
        let mut stream = openai_chat::Stream::new(&[]);
        let mut events = Vec::new();
        stream.feed(&whole, &mut events).unwrap();
        stream.finish(&mut events).unwrap();
        Completion::from_events(events)
    }

    const USAGE: &str = r#""usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}"#;

    #[test]
    fn answers_in_the_bindings_own_form_read_as_chat_completions_do() {
        let whole = format!(r#"{{"response":"Hello you",{USAGE}}}"#);
        let wrapped = format!(r#"{{"result":{whole},"success":true,"errors":[]}}"#);
        let stream = format!(
            "data: {{\"response\":\"Hello \"}}\n\ndata: {{\"response\":\"you\"}}\n\ndata: {{\"response\":\"\",{USAGE}}}\n\ndata: [DONE]\n\n"
        );
        let theirs = format!(
            r#"{{"id":"c","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hello you"}},"finish_reason":"stop"}}],{USAGE}}}"#
        );
        for (kind, text) in [
            ("application/json", &whole),
            ("application/json", &wrapped),
            ("application/json", &theirs),
            ("text/event-stream", &stream),
        ] {
            let told = read(kind, text);
            let choice = &told.choices[0];
            assert_eq!(choice.content.as_deref(), Some("Hello you"), "{text}");
            assert_eq!(choice.finish, Some(FinishReason::Stop));
            assert_eq!(told.usage.unwrap().prompt, 7);
        }
    }

    #[test]
    fn calls_of_both_forms_are_calls() {
        for call in [
            r#"{"name":"look","arguments":{"at":1}}"#,
            r#"{"id":"x","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}"#,
        ] {
            let other = call.replace("\"x\"", "\"y\"");
            let whole = format!(r#"{{"response":null,"tool_calls":[{call},{other}],{USAGE}}}"#);
            let stream = format!("data: {whole}\n\ndata: [DONE]\n\n");
            for (kind, text) in [("application/json", &whole), ("text/event-stream", &stream)] {
                let told = read(kind, text);
                let choice = &told.choices[0];
                assert_eq!(choice.finish, Some(FinishReason::ToolCalls), "{text}");
                assert_eq!(choice.tool_calls.len(), 2);
                assert_eq!(choice.tool_calls[1].name, "look");
                assert_eq!(choice.tool_calls[1].arguments, r#"{"at":1}"#);
            }
        }
    }

    #[test]
    fn errors_are_told_and_a_cut_stream_has_no_end() {
        for text in [
            r#"{"internalCode":3040,"description":"Capacity exceeded","name":"x"}"#,
            r#"{"errors":[{"code":3040,"message":"Capacity exceeded"}],"success":false}"#,
        ] {
            let told = through("application/json", text, 5);
            let error = openai_chat::error(429, &told);
            assert!(error.message.contains("Capacity exceeded"), "{error}");
        }
        let cut = read("text/event-stream", "data: {\"response\":\"Hel\"}\n\n");
        assert_eq!(cut.choices[0].finish, None);
        let structured = read("application/json", r#"{"response":{"a":1}}"#);
        assert_eq!(structured.choices[0].content.as_deref(), Some(r#"{"a":1}"#));
    }
}
