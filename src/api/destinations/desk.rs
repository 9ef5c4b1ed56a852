//! The world of the API as the port that deliveries work with.

use serde_json::{Map, Value, json};

use crate::{
    api::{World, byok::keyring},
    credits::sql::SqlValue,
    database::{Database, Row, Statement, Transactions},
    error::Result,
    observability::port::{Content, Outgoing, Port, Received},
    usage::content,
};

/// A view of the world.
#[derive(Clone)]
pub(in crate::api) struct Desk<W>(pub(in crate::api) W);

impl<W: World> Database for Desk<W> {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.0.query(sql, params).await
    }
}

impl<W: World> Transactions for Desk<W> {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.0.transaction(statements).await
    }
}

impl<W: World> Port for Desk<W> {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn sleep(&self, ms: u64) -> impl Future<Output = ()> {
        self.0.sleep(ms)
    }

    fn random(&self) -> Result<[u8; 32]> {
        self.0.random()
    }

    fn var(&self, name: &str) -> Option<String> {
        self.0.var(name)
    }

    async fn send(&self, request: Outgoing) -> Result<Received> {
        self.0.deliver(request).await
    }

    async fn sign_rs256(&self, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        self.0.sign(pkcs8, message).await
    }

    async fn contents(
        &self,
        account: &str,
        generations: &[&str],
    ) -> Result<Vec<(String, Content)>> {
        let Some(ring) = keyring(&self.0).unwrap_or_default() else {
            return Ok(Vec::new());
        };
        let kept = content::d1::read_some(&self.0, &ring, account, generations).await?;
        let told = kept
            .into_iter()
            .map(|kept| (kept.generation, told(kept.content)));
        Ok(told.collect())
    }

    fn report(&self, message: &str) {
        self.0.report(message);
    }
}

/// A record as receivers know conversations: the messages, and the message that answers them. What is no conversation stays as it
/// is.
fn told(record: content::Content) -> Content {
    let input = match record.input {
        Value::Object(mut input) if input.get("messages").is_some_and(Value::is_array) => {
            input.remove("messages").unwrap_or_default()
        }
        other => other,
    };
    let output = match record.output {
        Value::Object(output) if output.contains_key("completion") => message(output),
        other => other,
    };
    let some = |value: Value| (!value.is_null()).then_some(value);
    Content {
        input: some(input),
        output: some(output),
    }
}

fn message(mut output: Map<String, Value>) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let text = output.remove("completion").unwrap_or_default();
    let content = match output.remove("media") {
        Some(Value::Array(media)) => {
            let text = text.as_str().filter(|text| !text.is_empty());
            let text = text.map(|text| json!({"type": "text", "text": text}));
            text.into_iter().chain(media).collect()
        }
        _ => text,
    };
    message.insert("content".into(), content);
    for name in ["reasoning", "refusal", "tool_calls", "annotations"] {
        match output.remove(name) {
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::Null) | None => {}
            Some(value) => drop(message.insert(name.into(), value)),
        }
    }
    Value::Object(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_told_as_messages_and_the_rest_as_it_is() {
        let record = |input: Value, output: Value| content::Content {
            input,
            output,
            ..content::Content::default()
        };
        let chat = told(record(
            json!({"messages": [{"role": "user", "content": "Hi"}]}),
            json!({"completion": "Yes", "reasoning": "", "media": [{"type": "image", "bytes": 5}], "tool_calls": [1], "finish_reason": "stop"}),
        ));
        assert_eq!(chat.input, Some(json!([{"role": "user", "content": "Hi"}])));
        assert_eq!(
            chat.output,
            Some(
                json!({"role": "assistant", "content": [{"type": "text", "text": "Yes"}, {"type": "image", "bytes": 5}], "tool_calls": [1]})
            )
        );
        let other = told(record(json!({"input": ["a"]}), Value::Null));
        assert_eq!(
            (other.input, other.output),
            (Some(json!({"input": ["a"]})), None)
        );
    }
}
