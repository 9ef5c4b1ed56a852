//! What is mended, what is left alone, and what always holds.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::heal::{Expect, Outcome, heal};

fn healed(text: &str, expect: Expect) -> Option<(String, Vec<&'static str>)> {
    match heal(text, expect) {
        Outcome::Healed(healed) => Some((healed.json, healed.repairs)),
        _ => None,
    }
}

#[test]
fn what_is_nearly_json_becomes_json() {
    use Expect::{Any, Array, Object};
    for (text, expect, json, repairs) in [
        (
            "```json\n{\"a\": 1}\n```",
            Object,
            r#"{"a":1}"#,
            vec!["code fence"],
        ),
        ("```\n[1]\n```", Any, "[1]", vec!["code fence"]),
        (
            "\"\u{feff}{\\\"a\\\": 1}\"",
            Object,
            r#"{"a": 1}"#,
            vec!["JSON inside a string"],
        ),
        (
            "Sure, here it is:\n{\"a\": 1}\nAnything else?",
            Object,
            r#"{"a":1}"#,
            vec!["text around it"],
        ),
        (
            "Use {braces}: {\"a\": 1}",
            Object,
            r#"{"a":1}"#,
            vec!["text around it"],
        ),
        (
            "Of [these] I take {\"a\": [1]}",
            Any,
            r#"{"a":[1]}"#,
            vec!["text around it"],
        ),
        (
            "{\"a\": [1, 2,], \"b\": 2,}",
            Object,
            r#"{"a":[1,2],"b":2}"#,
            vec!["trailing comma"],
        ),
        (
            "{\"a\": 1 \"b\": 2}",
            Object,
            r#"{"a":1,"b":2}"#,
            vec!["missing comma"],
        ),
        (
            "{\"a\": \"x\"\n \"b\": 2}",
            Object,
            r#"{"a":"x","b":2}"#,
            vec!["missing comma"],
        ),
        ("[1,,2]", Array, "[1,2]", vec!["extra comma"]),
        (
            "{'a': 'don't', 'b': 'say \"x\"'}",
            Object,
            r#"{"a":"don't","b":"say \"x\""}"#,
            vec!["quotes"],
        ),
        ("{“a”: “b”}", Object, r#"{"a":"b"}"#, vec!["quotes"]),
        (
            "{a: 1, b_2: 2}",
            Object,
            r#"{"a":1,"b_2":2}"#,
            vec!["key without quotes"],
        ),
        (
            "{\"a\": 1, // one\n /* two */ \"b\": 2 # three\n}",
            Object,
            r#"{"a":1,"b":2}"#,
            vec!["comment"],
        ),
        (
            "{\"a\": True, \"b\": None, \"c\": False, \"d\": NaN}",
            Object,
            r#"{"a":true,"b":null,"c":false,"d":null}"#,
            vec!["literal"],
        ),
        (
            "{\"a\": {\"b\": [1, 2",
            Object,
            r#"{"a":{"b":[1,2]}}"#,
            vec!["missing end"],
        ),
        (
            "{\"a\": \"cut of",
            Object,
            r#"{"a":"cut of"}"#,
            vec!["missing end"],
        ),
        ("{\"a\": 1, \"b", Object, r#"{"a":1}"#, vec!["missing end"]),
        (
            "{\"a\": 1, \"b\":",
            Object,
            r#"{"a":1}"#,
            vec!["missing end"],
        ),
        ("{\"a\": tru", Object, r#"{"a":true}"#, vec!["missing end"]),
        (
            "{\"a\": [1, 2}",
            Object,
            r#"{"a":[1,2]}"#,
            vec!["missing bracket"],
        ),
        (
            "{\"a\": \"one\ntwo\"}",
            Object,
            r#"{"a":"one\ntwo"}"#,
            vec!["control character"],
        ),
        (
            "{\"a\": \"he said \"no\" twice\"}",
            Object,
            r#"{"a":"he said \"no\" twice"}"#,
            vec!["quotes"],
        ),
        (
            r#"{"a": "C:\dir it\'s"}"#,
            Object,
            r#"{"a":"C:\\dir it's"}"#,
            vec!["escape"],
        ),
        (
            r#"{"a": "\ud83d\ude00 \ud83d",}"#,
            Object,
            "{\"a\":\"😀 \u{fffd}\"}",
            vec!["escape", "trailing comma"],
        ),
        (
            "{\"a\": +1, \"b\": .5, \"c\": 1_000}",
            Object,
            r#"{"a":1,"b":0.5,"c":1000}"#,
            vec!["number"],
        ),
        (
            "{\"a\": John Smith, \"b\": 1}",
            Object,
            r#"{"a":"John Smith","b":1}"#,
            vec!["value without quotes"],
        ),
        (
            "{\"a\": 2024-01-02}",
            Object,
            r#"{"a":"2024-01-02"}"#,
            vec!["value without quotes"],
        ),
        (
            "{\"a\": , \"b\": 1}",
            Object,
            r#"{"a":null,"b":1}"#,
            vec!["missing value"],
        ),
        (
            r#""{\"a\": 1}""#,
            Object,
            r#"{"a": 1}"#,
            vec!["JSON inside a string"],
        ),
        (
            "{\"a\": 1.50, \"big\": 123456789012345678901234567890,}",
            Object,
            r#"{"a":1.50,"big":123456789012345678901234567890}"#,
            vec!["trailing comma"],
        ),
    ] {
        let (got, done) = healed(text, expect).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(got, json, "{text}");
        assert_eq!(done, repairs, "{text}");
    }
}

#[test]
fn what_holds_no_value_stays_what_it_is() {
    for (text, expect) in [
        ("I cannot do that.", Expect::Any),
        ("", Expect::Any),
        ("{braces} and [brackets]", Expect::Any),
        ("[1, 2]", Expect::Object),
        ("]}{", Expect::Any),
    ] {
        assert!(!matches!(heal(text, expect), Outcome::Healed(_)), "{text}");
    }
}

#[test]
fn a_nest_without_bottom_ends() {
    let deep = "[".repeat(100_000);
    assert_eq!(heal(&deep, Expect::Any), Outcome::Hopeless);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn valid_json_is_never_changed(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        prop_assert_eq!(heal(&text.unwrap(), Expect::Any), Outcome::Valid);
    }

    #[test]
    fn a_cut_value_keeps_a_valid_beginning(value in any_json(), cut in 0.0..1.0f64) {
        let value = json!({"first": 1, "rest": value});
        let text = value.to_string();
        let mut at = 12 + ((text.len() - 12) as f64 * cut) as usize;
        while !text.is_char_boundary(at) { at -= 1; }
        match heal(text.get(..at).unwrap(), Expect::Object) {
            Outcome::Healed(healed) => {
                let healed: Value = serde_json::from_str(&healed.json).unwrap();
                prop_assert_eq!(&healed["first"], 1);
            }
            outcome => prop_assert_eq!(outcome, Outcome::Valid),
        }
    }

    #[test]
    fn whatever_is_healed_is_json(text in r#"[ \{\}\[\]"':,a-c0-9/#*.\\u`\n-]{0,60}"#) {
        if let Outcome::Healed(healed) = heal(&text, Expect::Any) {
            prop_assert!(serde_json::from_str::<Value>(&healed.json).is_ok(), "{}", healed.json);
        }
    }
}
