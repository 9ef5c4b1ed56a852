//! The texts of a request, each with whose words they are, and the same request with some of them changed.
//!
//! A conversation is read and changed in the client's own bytes, so that whatever becomes of them (passed on, parsed, told), nothing
//! goes around the filters; what no filter changes stays the bytes it was. Every text of a message counts, in fields that nobody
//! knows too; left out are names and ids, addresses and data of media, and earlier reasoning, which providers take back only as they
//! wrote it. Out of scope: what files and images say.

use std::borrow::Cow;

use super::filters::Screening;
use crate::{
    chat::Part,
    dialects::Surface,
    json::skip_string,
    operations::{Ask, embeddings::Input},
};

/// Whose words a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// A user's.
    User,
    /// Instructions, a model's words, calls and results of tools.
    Other,
}

/// Fields that say something about a text or name a thing, and are no text.
const OPAQUE: [&str; 39] = [
    "type",
    "role",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "item_id",
    "name",
    "namespace",
    "status",
    "phase",
    "signature",
    "thought_signature",
    "encrypted_content",
    "encrypted_index",
    "media_type",
    "mime_type",
    "format",
    "detail",
    "url",
    "image_url",
    "file_url",
    "file_id",
    "file_data",
    "video_url",
    "audio_url",
    "cache_control",
    "annotations",
    "citations",
    "logprobs",
    "index",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking",
    "container_id",
    "page_age",
    "created_by",
    "server_label",
];
/// Things whose texts nobody may change, or that are no texts.
const UNTOUCHED: [&str; 5] = [
    "thinking",
    "redacted_thinking",
    "reasoning",
    "image_generation_call",
    "compaction",
];
/// Beyond this depth every string is a text: nothing that is known is nested so deep.
const KNOWN_DEPTH: usize = 12;

/// The body of a conversation with what filters change; nothing where they change nothing. The body is JSON.
pub fn rewrite(surface: Surface, body: &[u8], screening: &mut Screening) -> Option<Vec<u8>> {
    let text = crate::json::text(body).ok()?;
    let mut walk = Walk {
        text,
        at: 0,
        out: Vec::new(),
        copied: 0,
        screening,
    };
    walk.top(surface);
    if walk.copied == 0 {
        return None;
    }
    let rest = text.get(walk.copied..).unwrap_or_default();
    walk.out.extend_from_slice(rest.as_bytes());
    Some(walk.out)
}

/// Reads and changes the texts of an operation.
pub fn operation(ask: &mut Ask, screening: &mut Screening) {
    let mut change = |voice, text: &mut String| {
        if let Some(changed) = screening.text(voice, text) {
            *text = changed;
        }
    };
    match ask {
        Ask::Embeddings(ask) => {
            for input in &mut ask.inputs {
                match input {
                    Input::Text(text) => change(Voice::User, text),
                    Input::Parts(parts) => parts.iter_mut().for_each(|part| {
                        if let Part::Text { text, .. } = part {
                            change(Voice::User, text);
                        }
                    }),
                    Input::Tokens(_) => {}
                }
            }
        }
        Ask::Rerank(ask) => {
            change(Voice::User, &mut ask.query);
            let texts = ask.documents.iter_mut().filter_map(|one| one.text.as_mut());
            texts.for_each(|text| change(Voice::User, text));
        }
        Ask::Images(ask) => change(Voice::User, &mut ask.prompt),
        Ask::Speech(ask) => {
            change(Voice::User, &mut ask.text);
            if let Some(text) = &mut ask.instructions {
                change(Voice::Other, text);
            }
        }
        Ask::Transcription(ask) => {
            let terms = ask.keyterms.iter_mut();
            terms.for_each(|text| change(Voice::User, text));
        }
    }
}

/// What tells the objects of a conversation apart.
#[derive(Default)]
struct Outline<'a> {
    kind: Cow<'a, str>,
    role: Cow<'a, str>,
}

struct Walk<'a, 's> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
    /// Up to here the text was copied to `out`.
    copied: usize,
    screening: &'s mut Screening,
}

impl<'a> Walk<'a, '_> {
    fn top(&mut self, surface: Surface) {
        self.fields(|walk, key| match (surface, key) {
            (Surface::ChatCompletions | Surface::Messages, "messages") => walk.items(Self::message),
            (Surface::Messages, "system") | (Surface::Responses, "instructions") => {
                walk.texts(Voice::Other, 0);
            }
            (Surface::Responses, "input") if walk.peek() == Some(b'[') => walk.items(Self::message),
            (Surface::Responses, "input" | "prompt")
            | (Surface::ChatCompletions, "prompt" | "prediction")
            | (Surface::Completions, "prompt" | "suffix") => walk.texts(Voice::User, 0),
            _ => walk.skip(),
        });
    }

    /// One message, or one item of a conversation.
    fn message(&mut self) {
        let outline = self.outline();
        let voice = match outline.role.as_ref() {
            "user" => Voice::User,
            _ => Voice::Other,
        };
        self.texts(voice, 0);
    }

    /// Every text in the value here.
    fn texts(&mut self, voice: Voice, depth: usize) {
        match self.peek() {
            Some(b'"') => self.string(voice),
            Some(b'[') => self.items(|walk| walk.texts(voice, depth + 1)),
            Some(b'{') if depth > KNOWN_DEPTH => {
                self.fields(|walk, _| walk.texts(voice, depth + 1))
            }
            Some(b'{') => {
                let outline = self.outline();
                let kind = outline.kind.as_ref();
                if UNTOUCHED.contains(&kind) {
                    return self.skip();
                }
                let is_result = kind.ends_with("tool_result") || kind.ends_with("_output");
                let voice = if is_result { Voice::Other } else { voice };
                self.fields(|walk, key| match key {
                    // Whatever a tool is called with.
                    "arguments" | "input" => walk.texts(voice, KNOWN_DEPTH + 1),
                    "data" if kind == "text" => walk.texts(voice, depth + 1),
                    "data" => walk.skip(),
                    key if OPAQUE.contains(&key) => walk.skip(),
                    _ => walk.texts(voice, depth + 1),
                });
            }
            _ => self.skip(),
        }
    }

    /// The string here, read and perhaps changed.
    fn string(&mut self, voice: Voice) {
        let start = self.at;
        self.skip();
        let literal = self.text.get(start..self.at).unwrap_or_default();
        if literal.starts_with("\"data:") {
            return;
        }
        let text = unescaped(literal);
        if let Some(changed) = self.screening.text(voice, &text) {
            let before = self.text.get(self.copied..start).unwrap_or_default();
            self.out.extend_from_slice(before.as_bytes());
            crate::dialects::splice::put(&mut self.out, &changed);
            self.copied = self.at;
        }
    }

    /// The kind and the role of the object here.
    fn outline(&mut self) -> Outline<'a> {
        let start = self.at;
        let mut outline = Outline::default();
        self.fields(|walk, key| {
            let is_text = walk.peek() == Some(b'"');
            let from = walk.at;
            walk.skip();
            let literal = walk.text.get(from..walk.at).unwrap_or_default();
            match key {
                "type" if is_text => outline.kind = unescaped(literal),
                "role" if is_text => outline.role = unescaped(literal),
                _ => {}
            }
        });
        self.at = start;
        outline
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let blank = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Each field of the object here: `each` is told the key and reads the value.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, &str)) {
        if self.peek() != Some(b'{') {
            return self.skip();
        }
        self.at += 1;
        while self.peek() == Some(b'"') {
            let start = self.at;
            self.skip();
            let key = unescaped(self.text.get(start..self.at).unwrap_or_default());
            if self.peek() == Some(b':') {
                self.at += 1;
            }
            self.peek();
            each(self, &key);
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += usize::from(self.peek() == Some(b'}'));
    }

    /// Each item of the list here.
    fn items(&mut self, mut each: impl FnMut(&mut Self)) {
        if self.peek() != Some(b'[') {
            return self.skip();
        }
        self.at += 1;
        while !matches!(self.peek(), None | Some(b']')) {
            let before = self.at;
            each(self);
            if self.peek() == Some(b',') {
                self.at += 1;
            } else if self.at == before {
                // Not JSON: nothing more is read.
                self.at = self.text.len();
            }
        }
        self.at += usize::from(self.peek() == Some(b']'));
    }

    /// Passes over the value here.
    fn skip(&mut self) {
        self.peek();
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (mut bytes, mut depth) = (rest.iter(), 0usize);
        loop {
            let left = bytes.len();
            match bytes.next() {
                Some(b'"') => {
                    skip_string(&mut bytes);
                    if depth == 0 {
                        break;
                    }
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') if depth > 1 => depth -= 1,
                Some(b'}' | b']') if depth == 1 => break,
                Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') if depth == 0 => {
                    self.at += rest.len() - left;
                    return;
                }
                Some(_) => {}
                None => break,
            }
        }
        self.at += rest.len() - bytes.len();
    }
}

/// The text of a string's literal.
fn unescaped(literal: &str) -> Cow<'_, str> {
    let inner = literal
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        _ => Cow::Owned(crate::json::from_str(literal).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::guardrails::{Applied, Fields, PatternCache, Policy, Scope, Settings, read};

    /// Every `X` is redacted where users speak, every `Y` everywhere.
    fn screening() -> Screening {
        let body = json!({"content_filters": [{"pattern": "Y", "action": "redact", "label": "y"}],
            "content_filter_builtins": [{"slug": "email", "action": "redact", "scan_scope": "user_only"}]});
        let mut settings = Settings::default();
        read(&mut settings, body.as_object().unwrap(), Fields::Guardrail).unwrap();
        let policy = Policy::of(vec![Applied {
            id: "g".into(),
            name: "g".into(),
            scope: Scope::ApiKey,
            settings,
        }]);
        Screening::new(policy.filters(&PatternCache::default()).unwrap())
    }

    fn changed(surface: Surface, body: &str) -> String {
        let out = rewrite(surface, body.as_bytes(), &mut screening());
        out.map_or_else(|| body.to_owned(), |out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_texts_of_each_surface_are_read_with_whose_they_are() {
        let (x, m) = ("a@b.de", "[EMAIL]");
        let table = [
            (
                Surface::ChatCompletions,
                json!({"model": x, "messages": [
                    {"role": "system", "content": format!("{x} Y")},
                    {"role": "user", "name": "Y", "content": [{"type": "text", "text": format!("{x} Y")}, {"type": "image_url", "image_url": {"url": "https://Y"}}, {"type": "file", "file": {"filename": "Y", "file_data": "data:Y"}}]},
                    {"role": "assistant", "content": "Y", "reasoning": "Y", "reasoning_details": [{"type": "reasoning.text", "text": "Y"}], "tool_calls": [{"id": "Y", "type": "function", "function": {"name": "Y", "arguments": "{\"a\":\"Y\"}"}}]},
                    {"role": "tool", "tool_call_id": "Y", "content": format!("{x} Y")},
                ], "user": "Y", "prediction": {"type": "content", "content": "Y"}}),
                json!({"model": x, "messages": [
                    {"role": "system", "content": format!("{x} y")},
                    {"role": "user", "name": "Y", "content": [{"type": "text", "text": format!("{m} y")}, {"type": "image_url", "image_url": {"url": "https://Y"}}, {"type": "file", "file": {"filename": "y", "file_data": "data:Y"}}]},
                    {"role": "assistant", "content": "y", "reasoning": "Y", "reasoning_details": [{"type": "reasoning.text", "text": "Y"}], "tool_calls": [{"id": "Y", "type": "function", "function": {"name": "Y", "arguments": "{\"a\":\"y\"}"}}]},
                    {"role": "tool", "tool_call_id": "Y", "content": format!("{x} y")},
                ], "user": "Y", "prediction": {"type": "content", "content": "y"}}),
            ),
            (
                Surface::Messages,
                json!({"system": [{"type": "text", "text": format!("{x} Y"), "cache_control": {"type": "ephemeral"}}], "messages": [
                    {"role": "user", "content": x},
                    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Y", "signature": "Y"}, {"type": "tool_use", "id": "Y", "name": "Y", "input": {"id": "Y", "url": ["Y"]}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "Y", "content": [{"type": "text", "text": format!("{x} Y")}]}, {"type": "document", "title": "Y", "source": {"type": "text", "media_type": "text/plain", "data": x}}, {"type": "image", "source": {"type": "base64", "data": "Y"}}]},
                ]}),
                json!({"system": [{"type": "text", "text": format!("{x} y"), "cache_control": {"type": "ephemeral"}}], "messages": [
                    {"role": "user", "content": m},
                    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Y", "signature": "Y"}, {"type": "tool_use", "id": "Y", "name": "Y", "input": {"id": "y", "url": ["y"]}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "Y", "content": [{"type": "text", "text": format!("{x} y")}]}, {"type": "document", "title": "y", "source": {"type": "text", "media_type": "text/plain", "data": m}}, {"type": "image", "source": {"type": "base64", "data": "Y"}}]},
                ]}),
            ),
            (
                Surface::Responses,
                json!({"instructions": format!("{x} Y"), "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": x}]},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Y"}], "encrypted_content": "Y"},
                    {"type": "function_call", "call_id": "Y", "name": "Y", "arguments": "Y"},
                    {"type": "function_call_output", "call_id": "Y", "output": format!("{x} Y")},
                    {"type": "some_new_item", "words": {"deep": ["Y"]}},
                ]}),
                json!({"instructions": format!("{x} y"), "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": m}]},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Y"}], "encrypted_content": "Y"},
                    {"type": "function_call", "call_id": "Y", "name": "Y", "arguments": "y"},
                    {"type": "function_call_output", "call_id": "Y", "output": format!("{x} y")},
                    {"type": "some_new_item", "words": {"deep": ["y"]}},
                ]}),
            ),
            (Surface::Responses, json!({"input": x}), json!({"input": m})),
            (
                Surface::Completions,
                json!({"prompt": [x, "Y"], "suffix": "Y", "user": "Y"}),
                json!({"prompt": [m, "y"], "suffix": "y", "user": "Y"}),
            ),
        ];
        for (surface, body, expected) in table {
            let out = changed(surface, &body.to_string());
            assert_eq!(
                serde_json::from_str::<Value>(&out).unwrap(),
                expected,
                "{surface:?}"
            );
        }
    }

    #[test]
    fn what_is_not_changed_stays_the_bytes_it_was() {
        let body = " {\"temperature\" : 1.0, \"messages\":[ {\"content\":\"\\u0041 Y\\n\" , \"role\" :\"user\"},{\"role\":\"user\",\"content\":\"\\u0041\"}],\"x\":[1e2] }\n";
        let expected = body.replace("\"\\u0041 Y\\n\"", "\"A y\\n\"");
        assert_eq!(changed(Surface::ChatCompletions, body), expected);
        let calm = body.replace('Y', "Z");
        assert!(rewrite(Surface::ChatCompletions, calm.as_bytes(), &mut screening()).is_none());
    }

    #[test]
    fn escapes_hide_nothing() {
        let body =
            r#"{"messag\u0065s":[{"rol\u0065":"us\u0065r","cont\u0065nt":"a\u0040b.de \u0059"}]}"#;
        assert!(changed(Surface::ChatCompletions, body).contains("\"[EMAIL] y\""));
        let deep = format!("{}\"Y\"{}", "[".repeat(60), "]".repeat(60));
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"text","a":{deep}}}]}}]}}"#
        );
        assert!(changed(Surface::ChatCompletions, &body).contains("\"y\""));
    }

    #[test]
    fn what_is_no_json_makes_it_neither_fall_nor_hang() {
        let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Y \" a@b.de"}]},7,null,"Y"],"x":{}}"#;
        for end in 0..=body.len() {
            for surface in Surface::ALL {
                rewrite(surface, &body.as_bytes()[..end], &mut screening());
            }
            let mut broken = body.as_bytes().to_vec();
            for byte in [b'"', b'}', b']', b'{', b'[', b':', b',', b' '] {
                if let Some(place) = broken.get_mut(end) {
                    *place = byte;
                }
                rewrite(Surface::ChatCompletions, &broken, &mut screening());
            }
        }
    }

    #[test]
    fn the_texts_of_operations_are_read() {
        use crate::operations::{
            rerank::{Document, Rerank},
            speech::Speech,
        };
        let document = Document {
            text: Some("a@b.de".into()),
            image: None,
        };
        let mut ask = Ask::Rerank(Rerank {
            query: "Y".into(),
            documents: vec![document],
            top_n: None,
        });
        operation(&mut ask, &mut screening());
        let Ask::Rerank(ask) = ask else { panic!() };
        assert_eq!(
            (ask.query.as_str(), ask.documents[0].text.as_deref()),
            ("y", Some("[EMAIL]"))
        );
        let mut ask = Ask::Speech(Speech {
            text: "a@b.de".into(),
            instructions: Some("a@b.de Y".into()),
            ..Speech::default()
        });
        operation(&mut ask, &mut screening());
        let Ask::Speech(ask) = ask else { panic!() };
        assert_eq!(
            (ask.text.as_str(), ask.instructions.as_deref()),
            ("[EMAIL]", Some("a@b.de y"))
        );
    }
}
