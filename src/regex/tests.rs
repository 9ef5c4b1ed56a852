//! What the engine finds and refuses, that it takes steps in proportion to the text, and that it finds what a backtracking search does.

use super::*;

fn all(pattern: &str, text: &str) -> Vec<String> {
    let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let found = regex.find_all(text, &mut Budget::new(1_000_000)).unwrap();
    found
        .into_iter()
        .map(|range| text.get(range).unwrap().to_owned())
        .collect()
}

#[test]
fn patterns_match_as_in_javascript() {
    let table: &[(&str, &str, &[&str])] = &[
        ("abc", "xabcabc", &["abc", "abc"]),
        ("a|ab", "ab", &["a"]),
        ("ab|a", "ab", &["ab"]),
        ("a*?b", "aab b", &["aab", "b"]),
        ("<.*>", "<a><b>", &["<a><b>"]),
        ("<.*?>", "<a><b>", &["<a>", "<b>"]),
        ("<.+?>x?", "<a>x<b>", &["<a>x", "<b>"]),
        (r"\d{3}-\d{4}", "555-1234 55-1234", &["555-1234"]),
        (r"\d{2,3}", "12345", &["123", "45"]),
        (r"\d{2,3}?", "12345", &["12", "34"]),
        (r"\d{2,}", "1 12 1234", &["12", "1234"]),
        (r"x{0}y", "xy", &["y"]),
        (r"\bcat\b", "cat scat cats cat.", &["cat", "cat"]),
        (r"\Bcat", "cat scat", &["cat"]),
        (r"^ab", "ab\nab", &["ab"]),
        (r"(?m)^ab$", "ab\nab\r\nabc", &["ab", "ab"]),
        (r"ab$", "ab\nab", &["ab"]),
        (r"a.c", "abc a\nc", &["abc"]),
        (r"(?s)a.c", "abc a\nc", &["abc", "a\nc"]),
        (r"(?i)straße", "STRAßE", &["STRAßE"]),
        (r"(?i)ÄB", "äb Äb", &["äb", "Äb"]),
        (r"(?i:a)b", "Ab AB", &["Ab"]),
        (r"(?i)[^a]", "aAb", &["b"]),
        (r"[a-c\d_-]+", "ab-1_z", &["ab-1_"]),
        (r"[\w-.]+", "a-b.c d", &["a-b.c", "d"]),
        (r"[^\s]+", "a\u{a0}b", &["a", "b"]),
        (r"[^]", "\n", &["\n"]),
        (r"[]", "a", &[]),
        (r"[\]\\]", "]\\", &["]", "\\"]),
        (r"\x41\u0042\u{43}\.", "ABC.", &["ABC."]),
        (r"(?<year>\d{4})-(?:\d\d)", "2026-11", &["2026-11"]),
        (r"a{,2}", "a{,2}", &["a{,2}"]),
        (r"a{x}", "a{x}", &["a{x}"]),
        ("", "abc", &[]),
        ("x*", "axxb", &["xx"]),
        ("日本|日", "日本日", &["日本", "日"]),
        ("(|a)b", "ab", &["ab"]),
        (r"(?:-\d{4}){2}", "-1234-5678", &["-1234-5678"]),
        (r"$|b", "ab", &["b"]),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(all(pattern, text), *expected, "{pattern} in {text:?}");
    }
}

#[test]
fn a_text_matches_where_some_part_of_it_does_be_it_nothing() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("b+", &["abbc"], &["ac", ""]),
        ("^(ab|cd){2}$", &["abcd", "cdcd"], &["ab", "ababab"]),
        (r"^[A-Z][^0-9\s]*$", &["Abc", "A"], &["A1", "a", "A b"]),
        (
            r"^#?([a-f0-9]{6}|[a-f0-9]{3})$",
            &["#a1b2c3", "abc"],
            &["#abcd"],
        ),
        (
            r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$",
            &["a.b+c@d-e.org"],
            &["a@b", "a b@c.de"],
        ),
        ("^(?:a|b)?c*?d$", &["d", "acccd"], &["abd"]),
        (r"^(?<year>\d+)\/x$", &["12/x"], &["12x"]),
        (r"^[^\W\d]+$", &["ab_"], &["a1", "a-"]),
        ("^.$", &["ü", "😀"], &["\n", "ab"]),
        ("^(a*)*$", &["aaa", ""], &["ab"]),
        ("^(a|)+$", &["aa", ""], &["b"]),
        ("^$|^x$", &["", "x"], &["y"]),
        ("(?:^|[^a])+b", &["b", "xb"], &["ab"]),
        ("", &["", "a"], &[]),
    ];
    for (pattern, yes, no) in table {
        let regex = Regex::trusted(pattern).unwrap();
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in *texts {
                let found = regex.is_match(text, &mut Budget::new(10_000));
                assert_eq!(found, Ok(expected), "{pattern} in {text:?}");
            }
        }
    }
    let exhausted = Regex::trusted("^(a|aa)+$").unwrap();
    let found = exhausted.is_match(&"a".repeat(1_000), &mut Budget::new(20));
    assert_eq!(found, Err(Exhausted));
}

#[test]
fn what_no_linear_engine_has_is_refused() {
    use PatternError::*;
    let deep = format!("{}{}", "(".repeat(65), ")".repeat(65));
    let table = [
        ("(?=a)", Lookaround),
        ("(?!a)", Lookaround),
        ("(?<=a)b", Lookaround),
        ("(?<!a)b", Lookaround),
        (r"(a)\1", BackReference),
        (r"(?<n>a)\k<n>", BackReference),
        ("(a+)+", NestedQuantifiers),
        ("(a|b*)*", NestedQuantifiers),
        ("(?:a?){2,}", NestedQuantifiers),
        ("(a{1,2}){3}", NestedQuantifiers),
        ("a**", NestedQuantifiers),
        ("a+*", NestedQuantifiers),
        (deep.as_str(), TooDeep),
        ("(?:(?:a{1000}){1000}){1000}", TooLarge),
    ];
    for (pattern, expected) in table {
        assert_eq!(Regex::new(pattern).unwrap_err(), expected, "{pattern}");
    }
    let long = "a".repeat(MAX_PATTERN + 1);
    assert_eq!(Regex::new(&long).unwrap_err(), TooLong);
    assert!(Regex::new(long.get(1..).unwrap()).is_ok());
    for pattern in [
        "(",
        ")",
        "a)",
        "[",
        "[a",
        "*",
        "a|*",
        "\\",
        "a{2,1}",
        "a{1001}",
        "(?<1",
        "(?x)",
        r"\p{L}",
        r"\q",
        r"\xZZ",
        r"\u{110000}",
        "[b-a]",
        "(?<n a)",
        r"\u12",
        "(?:^|[^a])+",
        "(?:|a)*",
        "(?:\\b){2,}",
    ] {
        let error = Regex::new(pattern).unwrap_err();
        assert!(matches!(error, Syntax(..)), "{pattern}: {error:?}");
    }
    // One quantifier may be in a group that is there or not, and counts that are fixed do not vary.
    for pattern in ["(?:a+)?", "(a{3}){4}", r"(?:\d{4}[- ]){3}\d{4}"] {
        assert!(Regex::new(pattern).is_ok(), "{pattern}");
    }
}

#[test]
fn adversarial_patterns_take_steps_in_proportion_to_the_text() {
    let patterns = [
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*)*=(.*)*",
        "(x+x+)+y",
        r"^(([a-z])+.)+[A-Z]([a-z])+$",
        "a?a?a?a?a?a?a?a?a?a?aaaaaaaaaa",
        "(?:a|b|ab)*c",
        ".*.*.*=.*",
        "[ab]*a[ab]{12}",
    ];
    let most = 1_000_000;
    let steps = |regex: &Regex, text: &str| {
        let mut budget = Budget::new(most * 1_000);
        regex.find_all(text, &mut budget).unwrap();
        most * 1_000 - budget.left()
    };
    for pattern in patterns {
        let regex = Regex::trusted(pattern).unwrap();
        for unit in ["a", "ab", "aax", "x", "a="] {
            let text = |times: usize| unit.repeat(times) + "!";
            // As if nothing had been learnt yet.
            let short = steps(&Regex::trusted(pattern).unwrap(), &text(2_000));
            let long = steps(&regex, &text(8_000));
            let states = u64::try_from(regex.states()).unwrap();
            let length = u64::try_from(text(8_000).len()).unwrap();
            assert!(
                long <= states * 4 * (length + 1),
                "{pattern} on {unit}: {long}"
            );
            assert!(
                long <= short * 8 + 10_000,
                "{pattern} on {unit}: {short} {long}"
            );
        }
    }
}

#[test]
fn a_search_ends_where_its_budget_does() {
    let regex = Regex::new(r"(?:\w\w\w|\w\w )*!").unwrap();
    let text = "ab ".repeat(10_000);
    let mut budget = Budget::new(100);
    assert_eq!(regex.find(&text, 0, &mut budget), Err(Exhausted));
    // Many matches, each of which could go on to the end of the text: searching again from each is not free.
    let regex = Regex::trusted("a.*b|a").unwrap();
    let text = "a".repeat(20_000);
    let mut budget = Budget::new(1_000_000);
    assert_eq!(regex.find_all(&text, &mut budget), Err(Exhausted));
}

#[test]
fn memory_is_bounded_where_a_pattern_has_exponentially_many_states() {
    let regex = Regex::new("[ab]*a[ab]{18}c").unwrap();
    let mut text = String::new();
    let mut seed = 7u32;
    for _ in 0..40_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(if seed >> 31 == 0 { 'a' } else { 'b' });
    }
    let mut budget = Budget::new(u64::MAX);
    assert_eq!(regex.find(&text, 0, &mut budget), Ok(None));
    text.push('c');
    let found = regex.find(&text, 0, &mut budget).unwrap();
    let ends_well = text.as_bytes()[text.len() - 20] == b'a';
    assert_eq!(found.is_some(), ends_well);
}

/// A backtracking search, slow and plain, over the same trees.
mod slow {
    use super::super::parse::{Node, Place};
    use super::super::program::Beside;

    fn run(node: &Node, text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
        match node {
            Node::One(set) => {
                text.get(at).is_some_and(|c| set.contains(u32::from(*c))) && then(at + 1)
            }
            Node::At(place) => {
                let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
                let here = (Beside::of(before), Beside::of(text.get(at).copied()));
                Place::is_between(*place, here.0, here.1) && then(at)
            }
            Node::Sequence(nodes) => match nodes.split_first() {
                None => then(at),
                Some((first, rest)) => {
                    let rest = Node::Sequence(rest.to_vec());
                    run(first, text, at, &mut |at| run(&rest, text, at, then))
                }
            },
            Node::Either(nodes) => nodes.iter().any(|node| run(node, text, at, then)),
            Node::Repeat {
                what,
                least,
                most,
                is_greedy,
            } => {
                let fewer = Node::Repeat {
                    what: what.clone(),
                    least: least.saturating_sub(1),
                    most: most.map(|most| most.saturating_sub(1)),
                    is_greedy: *is_greedy,
                };
                let again = |then: &mut dyn FnMut(usize) -> bool| {
                    *most != Some(0)
                        && run(what, text, at, &mut |next| {
                            // Nothing again and again leads nowhere, where it is not counted.
                            (next > at || *least > 0 || most.is_some())
                                && run(&fewer, text, next, then)
                        })
                };
                if *least > 0 {
                    return again(then);
                }
                match is_greedy {
                    true => again(then) || then(at),
                    false => then(at) || again(then),
                }
            }
        }
    }

    /// The first match that is not empty, by characters.
    pub(super) fn find(node: &Node, text: &[char], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        while at <= text.len() {
            let mut end = None;
            run(node, text, at, &mut |to| {
                end = Some(to);
                true
            });
            match end {
                Some(end) if end > at => return Some((at, end)),
                _ => at += 1,
            }
        }
        None
    }
}

mod compared {
    use proptest::prelude::*;

    use super::*;

    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just(".".to_owned()),
            Just("[^a]".to_owned()),
            Just("[a-b1]".to_owned()),
            Just(r"\b".to_owned()),
            Just(r"\d".to_owned()),
            Just("^".to_owned()),
            Just("$".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
                (
                    inner,
                    prop::sample::select(vec![
                        "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?"
                    ])
                )
                    .prop_map(|(a, count)| format!("(?:{a}){count}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_linear_search_finds_what_a_backtracking_one_does(pattern in pattern(), text in "[ab1 \n]{0,12}") {
            // With nested quantifiers a backtracking search takes other turns around matches of nothing.
            let Ok(regex) = Regex::new(&pattern) else {
                return Ok(());
            };
            let node = super::super::parse::parse(&pattern, false).unwrap();
            let chars: Vec<char> = text.chars().collect();
            let found = regex.find(&text, 0, &mut Budget::new(10_000_000)).unwrap();
            let expected = slow::find(&node, &chars, 0);
            let at = |chars: usize| text.chars().take(chars).map(char::len_utf8).sum::<usize>();
            prop_assert_eq!(found, expected.map(|(start, end)| at(start)..at(end)));
        }

        #[test]
        fn no_pattern_makes_it_fall(pattern in "[ab(){}|*+?\\\\\\[\\]^$.,0-9:<>=!ipxu-]{0,30}", text in ".{0,30}") {
            if let Ok(regex) = Regex::new(&pattern) {
                let mut budget = Budget::new(1_000_000);
                for range in regex.find_all(&text, &mut budget).unwrap_or_default() {
                    prop_assert!(text.get(range).is_some());
                }
            }
        }
    }
}
