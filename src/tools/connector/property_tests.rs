//! Whatever an input or an answer is: what is encoded reads back as it was, and nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    encode::pairs,
    raw::number_at,
    template::{Scope, fill, pieces},
    test_rows::{answer, outcome, sent, tool},
};
use crate::{identity::people::form::Form, tools::catalog::Arrays};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9 &=%+\\[\\]{}/.$äß€\"\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-z$/~ ]{1,6}", inner, 0..5)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    let fields = prop::collection::hash_map("[a-z/~ ]{1,6}", json(), 0..5);
    fields.prop_map(|fields| Value::Object(Map::from_iter(fields)))
}

/// A template that makes exactly a value: texts go through a pointer.
fn mirrored(value: &Value, at: String) -> Value {
    match value {
        Value::Object(fields) => {
            let step = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            fields
                .iter()
                .map(|(name, value)| (name.clone(), mirrored(value, step(name))))
                .collect::<Map<_, _>>()
                .into()
        }
        _ => format!("{{{at}}}").into(),
    }
}

/// Without what templates leave out.
fn left(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => Some(value.clone()),
        Value::Object(fields) => {
            let fields: Map<_, _> = fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), left(value)?)))
                .collect();
            (!fields.is_empty()).then_some(fields.into())
        }
        _ => Some(value.clone()),
    }
}

proptest! {
    #[test]
    fn a_query_reads_back_as_it_was(fields in prop::collection::btree_map("[a-zA-Z_äé&=+% ]{1,8}", "[^\u{0}]{1,20}", 0..6)) {
        let object: Map<String, Value> = fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let text = pairs(&object, Arrays::Repeat);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        let read = Form::parse(&text);
        for (name, value) in &fields {
            prop_assert_eq!(read.get(name), Some(value.as_str()));
        }
    }

    #[test]
    fn a_form_has_one_pair_for_each_leaf(value in json()) {
        fn leaves(value: &Value) -> usize {
            match value {
                Value::Null => 0,
                Value::Array(items) => items.iter().map(leaves).sum(),
                Value::Object(fields) => fields.values().map(leaves).sum(),
                _ => 1,
            }
        }
        let fields = Map::from_iter([("a".to_owned(), value.clone())]);
        for arrays in [Arrays::Index, Arrays::Brackets, Arrays::Repeat] {
            let text = pairs(&fields, arrays);
            let count = text.split('&').filter(|pair| !pair.is_empty()).count();
            prop_assert_eq!(count, leaves(&value));
        }
    }

    #[test]
    fn a_template_of_pointers_makes_the_value_again(value in object()) {
        prop_assume!(!value.to_string().contains("\"$"));
        let made = fill(&mirrored(&value, String::new()), Scope::of(&value));
        prop_assert_eq!(made, left(&value));
    }

    #[test]
    fn the_pieces_of_a_text_are_the_text(text in ".{0,60}") {
        use super::template::Piece;
        let again: String = pieces(&text).map(|piece| match piece {
            Piece::Literal(text) => text.to_owned(),
            Piece::Here(pointer) => format!("{{{pointer}}}"),
            Piece::Root(pointer) => format!("{{${pointer}}}"),
            Piece::This => "{.}".to_owned(),
            Piece::Key("") => "{key}".to_owned(),
            Piece::Key(part) => format!("{{key.{part}}}"),
        }).collect();
        prop_assert_eq!(again, text);
    }

    #[test]
    fn no_answer_and_no_template_panics(
        status in 100_u16..600,
        value in json(),
        template in json(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        header in "[ -~]{0,30}",
    ) {
        let row = json!({
            "effect": "write",
            "undo": {"operation": "run", "input": template},
            "request": {"path": "/{+a}", "body": {"kind": "form", "template": template}, "headers": {"x-b": "{/b}"}},
            "response": {
                "result": template, "empty": ["/a/b", ""], "id": "/a", "units": "/b",
                "partial": {"failed": "/a", "ok": "/b"},
                "page": {"next_url": "header:link", "into": "a"},
            },
            "price": {"stated": "/a", "unit": 5, "count": "/b"},
        });
        let plain = tool(json!({"errors": [{"when": {"pointer": "/a", "exists": true}, "retry_after": "/b", "classes": {"x": "quota"}, "code": ["/a"]}]}), row);
        let feed = tool(json!({}), json!({"response": {"xml": {"each": "a/b[c=d]", "fields": {"x": "y[]", "z": "@q"}}}}));
        let job = tool(json!({}), json!({"response": {"job": {"id": "/a", "status": "/b", "done": ["x"], "poll": {"path": "/{id}"}}}}));
        for body in [value.to_string().into_bytes(), bytes] {
            let answer = answer(status, &[("link", &header), ("retry-after", &header), ("content-type", &header)], body);
            for tool in [&plain, &feed, &job] {
                let _ = outcome(tool, &value, &answer);
            }
        }
        let _ = sent(&plain, &value);
    }

    #[test]
    fn a_stated_number_is_the_text_that_was_sent(whole in 0_u32..9_999, fraction in "[0-9]{1,9}") {
        let number = format!("{whole}.{fraction}");
        let body = format!(r#"{{"x":{{"a":[0,{{"cost":{number}}}],"a~/b":"{number}"}}}}"#);
        prop_assert_eq!(number_at(&body, "/x/a/1/cost"), Some(number.as_str()));
        prop_assert_eq!(number_at(&body, "/x/a~0~1b"), Some(number.as_str()));
        prop_assert_eq!(number_at(&body, "/x/b"), None);
    }
}
