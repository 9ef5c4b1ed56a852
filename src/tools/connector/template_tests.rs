//! What templates make.

use serde_json::{Value, json};

use std::collections::BTreeSet;

use super::template::{Scope, fill, mentions, put};

#[test]
fn a_template_makes_what_its_row_says() {
    let seen = json!({
        "a": "x", "n": 1.5, "z": null, "e": "", "list": [{"u": 1}, {"u": null}, {"v": 2}], "names": ["p", 3],
        "rates": {"EUR": 0.9, "GBP": 0.8}, "t": ["d1", "d2"], "m": [1, null], "price": "1,234.50", "pct": "3.1%",
        "ts": "1718000000.123456", "sec": 1_700_000_000, "ms": 1_700_000_000_123_i64, "date": "2026-01-02",
        "b64": "aG\nkx", "html": "<b>A&amp;</b> <i>b</i>", "status": "ok", "key with space": {"05. price": "12"}, "~/": 1,
    });
    for (template, wanted) in [
        (json!("{/a}"), json!("x")),
        (json!("{/n}"), json!(1.5)),
        (json!("{/key with space/05. price}"), json!("12")),
        (json!("{/~0~1}"), json!(1)),
        (json!("by {/a} and {/n}"), json!("by x and 1.5")),
        (json!("by {/a} and {/z}"), Value::Null),
        (json!("{/z}"), Value::Null),
        (
            json!("{ x { /a } {} {unknown}"),
            json!("{ x { /a } {} {unknown}"),
        ),
        (json!({"p": "{/z}", "q": {"r": "{/gone}"}}), Value::Null),
        (
            json!({"p": "{/a}", "q": {"r": "{/gone}"}, "s": [], "c": 3, "d": false, "n": null}),
            json!({"p": "x", "s": [], "c": 3, "d": false}),
        ),
        (json!(["{/a}", "{/gone}", 1]), json!(["x", 1])),
        (
            json!({"$each": "/list", "u": "{/u}", "a": "{$/a}"}),
            json!([{"u": 1, "a": "x"}, {"a": "x"}, {"a": "x"}]),
        ),
        (json!({"$each": "/list", "u": "{/u}"}), json!([{"u": 1}])),
        (json!({"$each": "/names", "$value": "{.}"}), json!(["p", 3])),
        (json!({"$each": "/gone", "u": "{/u}"}), Value::Null),
        (json!({"$each": "/a", "u": "{/u}"}), Value::Null),
        (
            json!({"$slice": "/names", "to": 1, "of": "{.}"}),
            json!(["p"]),
        ),
        (
            json!({"$entries": "/rates", "code": "{/key}", "rate": "{/value}"}),
            json!([{"code": "EUR", "rate": 0.9}, {"code": "GBP", "rate": 0.8}]),
        ),
        (
            json!({"$zip": {"day": "/t", "max": "/m"}}),
            json!([{"day": "d1", "max": 1}, {"day": "d2"}]),
        ),
        (json!({"$if": "/a", "v": "{/a}"}), json!({"v": "x"})),
        (
            json!([{"$if": "/z", "v": 1}, {"$if": "/a", "v": 2}]),
            json!([{"v": 2}]),
        ),
        (json!({"$first": ["{/z}", "{/e}", "{/a}"]}), json!("x")),
        (json!({"$number": "{/price}"}), json!(1234.5)),
        (json!({"$number": "{/pct}"}), json!(3.1)),
        (json!({"$number": "{/n}"}), json!(1.5)),
        (json!({"$number": "{/a}"}), Value::Null),
        (json!({"$number": "NaN"}), Value::Null),
        (json!({"$text": "{/n}"}), json!("1.5")),
        (json!({"$join": "/names", "with": ", "}), json!("p, 3")),
        (
            json!({"$map": "{/status}", "to": {"ok": "fine"}}),
            json!("fine"),
        ),
        (
            json!({"$map": "{/a}", "to": {"ok": "fine"}, "else": "bad"}),
            json!("bad"),
        ),
        (json!({"$map": "{/a}", "to": {}}), json!("x")),
        (
            json!({"$map": "{/z}", "to": {}, "else": "bad"}),
            Value::Null,
        ),
        (
            json!({"$time": "{/sec}"}),
            json!("2023-11-14T22:13:20.000Z"),
        ),
        (json!({"$time": "{/ms}"}), json!("2023-11-14T22:13:20.123Z")),
        (json!({"$time": "{/ts}"}), json!("2024-06-10T06:13:20.123Z")),
        (json!({"$time": "{/date}"}), json!("2026-01-02")),
        (json!({"$time": "99999999999999999"}), Value::Null),
        (json!({"$decode": "{/b64}"}), json!("hi1")),
        (json!({"$encode": "{/a}"}), json!("eA")),
        (json!({"$plain": "{/html}"}), json!("A& b")),
        (json!({"$count": "/list"}), json!(3)),
    ] {
        assert_eq!(
            fill(&template, Scope::of(&seen)).unwrap_or_default(),
            wanted,
            "{template}"
        );
    }
    assert_eq!(
        fill(&json!({"$decode": "aGn_\n"}), Scope::of(&seen)),
        None,
        "no UTF-8"
    );
    assert_eq!(
        fill(&json!({"$decode": "aGk="}), Scope::of(&seen)),
        Some(json!("hi"))
    );
}

#[test]
fn the_work_of_a_template_is_bounded() {
    let many = json!({"a": vec![json!({"b": vec![0; 1_000]}); 1_000]});
    let template = json!({"$each": "/a", "x": {"$each": "/b", "$value": "{.}"}});
    let made = fill(&template, Scope::of(&many)).unwrap().to_string();
    assert!(made.len() < 1_000_000, "{}", made.len());
    let deep = (0..200).fold(json!("{/a}"), |inner, _| json!([inner]));
    assert!(fill(&deep, Scope::of(&many)).is_some());
}

#[test]
fn a_value_is_put_where_a_pointer_says() {
    let mut value = json!({"a": 1});
    put(&mut value, "/b/c~1d", json!(2));
    put(&mut value, "/a/e", json!(3));
    assert_eq!(value, json!({"a": {"e": 3}, "b": {"c/d": 2}}));
}

#[test]
fn what_a_template_looks_at_is_known_without_a_value() {
    let template = json!({
        "a": "{/a/x} {/b}", "l": {"$each": "/list", "id": "{/id}", "of": "{$/root}", "deep": {"$each": "/inner", "n": "{.}"}},
        "z": {"$zip": {"p": "/zip/1"}}, "i": [{"$if": "/cond", "v": "{/v~1w}"}], "r": {"$rest": true}, "k": "{key.x}",
    });
    let mut found = BTreeSet::new();
    mentions(&template, &mut found);
    assert_eq!(
        Vec::from_iter(found),
        ["a", "b", "cond", "list", "root", "v/w", "zip"]
    );
}
