//! Prices of calls, before and after.

use serde_json::{Value, json};

use super::{ceiling, charge};
use crate::{
    credits::money::Nanos,
    tools::{
        catalog::Operation,
        connector::{Outcome, Share, Success, test_rows},
    },
};

fn operation(price: &Value) -> Operation {
    serde_json::from_value(json!({ "price": price })).unwrap()
}

#[test]
fn what_succeeded_is_charged_and_no_more_than_was_held() {
    let advanced = json!({"search_depth": "advanced"});
    let none = json!({});
    for (price, input, data, before, after) in [
        (json!({}), &none, json!({}), 0, 0),
        (
            json!({"call": 8_000_000}),
            &none,
            json!({}),
            8_000_000,
            8_000_000,
        ),
        (
            json!({"call": 8, "when": [{"when": {"pointer": "/search_depth", "equals": "advanced"}, "call": 16}]}),
            &advanced,
            json!({}),
            16,
            16,
        ),
        (
            json!({"unit": 2, "count": "/results", "hold": 40}),
            &none,
            json!({"results": [1, 2, 3]}),
            40,
            6,
        ),
        (
            json!({"unit": 8, "count": "/results", "per": 5, "hold": 40}),
            &none,
            json!({"results": [1, 2, 3, 4, 5, 6]}),
            40,
            16,
        ),
        (
            json!({"call": 7, "unit": 1, "count": "/n", "included": 10, "hold": 30}),
            &none,
            json!({"n": 12}),
            30,
            9,
        ),
        (
            json!({"unit": 8, "count": "/num_segments", "hold": 80}),
            &none,
            json!({"num_segments": "3"}),
            80,
            24,
        ),
        (
            json!({"unit": 5, "count": "/seconds", "hold": 80}),
            &none,
            json!({"seconds": 2.2}),
            80,
            15,
        ),
        (
            json!({"unit": 5, "count": "/gone", "hold": 80}),
            &none,
            json!({}),
            80,
            0,
        ),
    ] {
        let operation = operation(&price);
        assert_eq!(ceiling(&operation, input).get(), before, "{price}");
        let success = Success {
            data,
            ..Success::default()
        };
        assert_eq!(charge(&operation, input, &success).get(), after, "{price}");
    }
}

#[test]
fn characters_and_items_of_the_input_are_known_before() {
    let speech = operation(&json!({"chars": 300_000, "of": "/text"}));
    assert_eq!(ceiling(&speech, &json!({"text": "äöü€"})).get(), 1_200_000);
    let translation = operation(&json!({"chars": 25_000, "of": "/text"}));
    assert_eq!(
        ceiling(&translation, &json!({"text": ["ab", "c"]})).get(),
        75_000
    );
    let extract = operation(&json!({"unit": 8, "count": "input:/urls", "per": 5}));
    let input = json!({"urls": [1, 2, 3, 4, 5, 6]});
    assert_eq!(ceiling(&extract, &input).get(), 16);
    let share = |done, failed| Success {
        share: Some(Share { done, failed }),
        ..Success::default()
    };
    assert_eq!(
        charge(&extract, &input, &share(5, 1)).get(),
        8,
        "of what was asked for, only what was done"
    );
    assert_eq!(charge(&extract, &input, &share(0, 6)).get(), 0);
    let flat = operation(&json!({"call": 8}));
    assert_eq!(charge(&flat, &input, &share(0, 6)).get(), 0);
}

#[test]
fn an_absurd_input_costs_the_most_there_is_and_never_less() {
    let speech = operation(&json!({"unit": 9_007_199_254_740_991_i64, "count": "input:/n"}));
    assert_eq!(ceiling(&speech, &json!({"n": u64::MAX})), Nanos::MAX);
    assert_eq!(ceiling(&speech, &json!({"n": -1})), Nanos::ZERO);
}

#[test]
fn what_a_provider_states_is_read_as_decimal_text() {
    for (price, body, wanted) in [
        (
            json!({"stated": "/costDollars/total"}),
            r#"{"costDollars":{"total":0.0123456789}}"#,
            Some(12_345_679),
        ),
        (
            json!({"stated": "/costDollars/total"}),
            r#"{"costDollars":{"total":"0.007"}}"#,
            Some(7_000_000),
        ),
        (json!({"stated": "/c"}), r#"{"c":1e-3}"#, Some(1_000_000)),
        (
            json!({"stated": "/c", "of": "cents"}),
            r#"{"c":1.5}"#,
            Some(15_000_000),
        ),
        (
            json!({"stated": "/c", "of": "credits", "unit": 5_000_000}),
            r#"{"c":2.5}"#,
            Some(12_500_000),
        ),
        (json!({"stated": "/c"}), r#"{"c":-1}"#, None),
        (json!({"stated": "/c"}), r#"{"c":"a lot"}"#, None),
        (json!({"stated": "/c"}), r#"{"c":1e99}"#, None),
        (json!({"stated": "/c"}), "{}", None),
    ] {
        let mut row = price.clone();
        row["call"] = json!(3);
        let tool = test_rows::tool(json!({}), json!({ "price": row }));
        let outcome = test_rows::outcome(&tool, &json!({}), &test_rows::answer(200, &[], body));
        let Outcome::Success(success) = outcome else {
            panic!("no success");
        };
        assert_eq!(success.stated.map(Nanos::get), wanted, "{price} {body}");
        // Where nothing is stated, the row's own price holds.
        let charged = charge(&tool.operation, &json!({}), &success).get();
        assert_eq!(charged, wanted.unwrap_or(3), "{price} {body}");
    }
}
