//! Prices, charges and hold sizes: the story of each rule.

use super::*;

fn price(dollars_per_million: &str) -> Price {
    Price::from_dollars_per_million(dollars_per_million).unwrap()
}

fn nanos(amount: i64) -> Nanos {
    Nanos::new(amount).unwrap()
}

/// Sonnet-like: 3 / 15, cache 0.30, writes 3.75 and 6, doubled above 200,000 tokens.
fn table() -> PriceTable {
    PriceTable {
        prompt: price("3"),
        completion: price("15"),
        cache_read: Some(price("0.30")),
        cache_write_5m: Some(price("3.75")),
        cache_write_1h: Some(price("6")),
        tiers: vec![Tier {
            min_prompt_tokens: 200_000,
            prompt: Some(price("6")),
            completion: Some(price("22.5")),
            cache_read: Some(price("0.60")),
            cache_write_5m: Some(price("7.5")),
            cache_write_1h: Some(price("12")),
            ..Tier::default()
        }],
        ..PriceTable::default()
    }
}

fn total(table: &PriceTable, usage: Usage) -> i64 {
    let charge = table.cost(&usage).unwrap();
    assert!(charge.explains_itself());
    charge.total.get()
}

// P23
#[test]
fn what_a_provider_says_it_charged_is_the_price_where_its_row_says_so() {
    let stated = PriceTable {
        stated: true,
        ..table()
    };
    let used = Usage {
        prompt: 1_000,
        completion: 100,
        ..Usage::default()
    };
    for (cost, charged) in [
        (Some(148_561), 148_561),
        (Some(0), 0),
        (Some(-5), 0),
        (None, 4_500_000),
    ] {
        let usage = Usage {
            upstream_cost: cost,
            ..used
        };
        assert_eq!(total(&stated, usage), charged, "{cost:?}");
        assert_eq!(
            total(&table(), usage),
            4_500_000,
            "{cost:?}: other rows price by their own table"
        );
    }
    let charge = stated.cost(&Usage {
        upstream_cost: Some(9),
        ..used
    });
    assert_eq!(charge.unwrap().lines[0].what, Part::Stated);
    // Nothing is stated yet where a request is held.
    assert_eq!(
        stated.estimate_hold(1_000, OutputBounds::default()),
        table().estimate_hold(1_000, OutputBounds::default())
    );
}

// P40
#[test]
fn prices_are_exact_in_both_spellings() {
    assert_eq!(price("2.5").get(), 2_500_000_000);
    assert_eq!(Price::from_dollars_per_unit("0.0000025"), Ok(price("2.5")));
    assert_eq!(price("2.5").dollars_per_unit(), "0.0000025");
    assert_eq!(price("0.0375").dollars_per_unit(), "0.0000000375");
    assert_eq!(price("0.0375").to_string(), "0.0375");
    assert_eq!(
        Price::from_dollars_per_million("0.0000000001"),
        Err(MoneyError::TooPrecise)
    );
    assert_eq!(
        Price::from_dollars_per_million("-1"),
        Err(MoneyError::OutOfRange)
    );
}

// P39 P40: three parts of 0.4 nano-dollars each are 1.2, rounded once to 2, not three times to 3.
#[test]
fn a_request_rounds_up_once() {
    let table = PriceTable {
        prompt: Price::new(400_000).unwrap(),
        completion: Price::new(400_000).unwrap(),
        cache_read: Some(Price::new(400_000).unwrap()),
        ..PriceTable::default()
    };
    assert_eq!(
        total(
            &table,
            Usage {
                prompt: 2,
                cache_read: 1,
                completion: 1,
                ..Usage::default()
            }
        ),
        2
    );
    assert_eq!(total(&table, Usage::default()), 0);
}

// P01 P03 P05: 12,307 prompt tokens of which 12,304 are written to the cache.
#[test]
fn each_prompt_token_is_charged_at_one_rate() {
    let usage = Usage {
        prompt: 12_307,
        cache_write_5m: 12_304,
        completion: 550,
        ..Usage::default()
    };
    assert_eq!(
        total(&table(), usage),
        3 * 3_000 + 12_304 * 3_750 + 550 * 15_000
    );
}

// P02
#[test]
fn cache_reads_cost_the_read_rate() {
    let usage = Usage {
        prompt: 2_459,
        cache_read: 2_455,
        ..Usage::default()
    };
    assert_eq!(total(&table(), usage), 4 * 3_000 + 2_455 * 300);
}

// P04
#[test]
fn a_charge_says_what_the_cache_saved() {
    let saved = |usage: Usage| table().cost(&usage).unwrap().cache_discount.map(Nanos::get);
    let read = Usage {
        prompt: 3_000,
        cache_read: 2_000,
        completion: 10,
        ..Usage::default()
    };
    assert_eq!(saved(read), Some(2_000 * 2_700));
    let written = Usage {
        cache_read: 0,
        cache_write_5m: 1_000,
        cache_write_1h: 1_000,
        ..read
    };
    assert_eq!(saved(written), Some(-(1_000 * 750 + 1_000 * 3_000)));
    let uncached = Usage {
        cache_read: 0,
        ..read
    };
    assert_eq!(saved(uncached), None);
    // With and without a cache, the same tokens are billed: to the nano-dollar, at the tier that they reach.
    let long = Usage {
        prompt: 300_001,
        cache_read: 299_999,
        ..Usage::default()
    };
    let cost = |usage: Usage| table().cost(&usage).unwrap().total.get();
    let fresh = Usage {
        cache_read: 0,
        ..long
    };
    assert_eq!(saved(long), Some(cost(fresh) - cost(long)));
}

#[test]
fn contradicting_counts_never_make_a_negative_line() {
    let usage = Usage {
        prompt: 10,
        cache_read: 900,
        reasoning: 50,
        completion: 20,
        ..Usage::default()
    };
    let table = PriceTable {
        reasoning: Some(price("1")),
        ..table()
    };
    assert_eq!(total(&table, usage), 900 * 300 + 20 * 1_000);
}

// P18
#[test]
fn one_hour_cache_writes_have_their_own_price() {
    let usage = Usage {
        prompt: 1_000,
        cache_write_5m: 400,
        cache_write_1h: 600,
        ..Usage::default()
    };
    assert_eq!(total(&table(), usage), 400 * 3_750 + 600 * 6_000);
    let only_5m = PriceTable {
        cache_write_1h: None,
        ..table()
    };
    assert_eq!(total(&only_5m, usage), 1_000 * 3_750);
}

#[test]
fn a_missing_cache_price_is_the_prompt_price() {
    let bare = PriceTable {
        prompt: price("3"),
        completion: price("15"),
        ..PriceTable::default()
    };
    let usage = Usage {
        prompt: 100,
        cache_read: 50,
        cache_write_5m: 20,
        cache_write_1h: 10,
        ..Usage::default()
    };
    assert_eq!(total(&bare, usage), 100 * 3_000);
}

// P19
#[test]
fn the_long_context_tier_covers_the_whole_request() {
    let usage = Usage {
        prompt: 200_000,
        cache_read: 150_000,
        completion: 10,
        ..Usage::default()
    };
    assert_eq!(
        total(&table(), usage),
        50_000 * 3_000 + 150_000 * 300 + 10 * 15_000
    );
    let longer = Usage {
        prompt: 200_001,
        ..usage
    };
    let charge = table().cost(&longer).unwrap();
    assert_eq!(
        charge.total.get(),
        50_001 * 6_000 + 150_000 * 600 + 10 * 22_500
    );
    assert_eq!(charge.tier, Some(200_000));
}

#[test]
fn a_later_tier_wins_and_absent_prices_are_inherited() {
    let mut table = table();
    table.tiers.push(Tier {
        min_prompt_tokens: 300_000,
        prompt: Some(price("9")),
        ..Tier::default()
    });
    let usage = Usage {
        prompt: 300_001,
        completion: 1,
        ..Usage::default()
    };
    assert_eq!(total(&table, usage), 300_001 * 9_000 + 22_500);
}

// P11 P17
#[test]
fn reasoning_and_modalities_are_parts_not_extras() {
    let table = PriceTable {
        reasoning: Some(price("20")),
        audio_in: Some(price("32")),
        audio_out: Some(price("64")),
        image_out: Some(price("40")),
        ..table()
    };
    let usage = Usage {
        prompt: 1_000,
        cache_read: 900,
        audio_in: 300,
        completion: 1_000,
        reasoning: 100,
        audio_out: 200,
        image_out: 300,
        ..Usage::default()
    };
    assert_eq!(
        total(&table, usage),
        100 * 32_000 + 900 * 300 + 100 * 20_000 + 200 * 64_000 + 300 * 40_000 + 400 * 15_000
    );
}

#[test]
fn the_request_price_is_charged_once() {
    let table = PriceTable {
        request: Some(nanos(5_000_000)),
        ..PriceTable::default()
    };
    assert_eq!(
        total(
            &table,
            Usage {
                completion: 7,
                ..Usage::default()
            }
        ),
        5_000_000
    );
}

#[test]
fn a_charge_that_lies_does_not_explain_itself() {
    let mut charge = table()
        .cost(&Usage {
            completion: 7,
            ..Usage::default()
        })
        .unwrap();
    let read: Charge = serde_json::from_str(&serde_json::to_string(&charge).unwrap()).unwrap();
    assert_eq!(read, charge);
    charge.total = nanos(1);
    assert!(!charge.explains_itself());
}

#[test]
fn absurd_counts_are_an_error_not_an_overflow() {
    let usage = Usage {
        prompt: u64::MAX,
        completion: u64::MAX,
        ..Usage::default()
    };
    assert_eq!(table().cost(&usage), Err(MoneyError::OutOfRange));
    assert_eq!(
        table().estimate_hold(u64::MAX, OutputBounds::default()),
        Err(MoneyError::OutOfRange)
    );
}

// P47
#[test]
fn a_hold_without_max_tokens_covers_a_usual_answer() {
    let held = |output| table().estimate_hold(1_000, output).unwrap().get();
    let prompt = 1_000 * 3_000;
    assert_eq!(held(OutputBounds::default()), prompt + 1_024 * 15_000);
    assert_eq!(
        held(OutputBounds {
            typical: Some(300),
            ..OutputBounds::default()
        }),
        prompt + 300 * 15_000
    );
    assert_eq!(
        held(OutputBounds {
            max_tokens: Some(50),
            typical: Some(300),
            ..OutputBounds::default()
        }),
        prompt + 50 * 15_000
    );
    assert_eq!(
        held(OutputBounds {
            max_tokens: Some(9_000),
            model_cap: Some(4_096),
            ..OutputBounds::default()
        }),
        prompt + 4_096 * 15_000
    );
    assert_eq!(
        held(OutputBounds {
            max_tokens: Some(128_000),
            ..OutputBounds::default()
        }),
        prompt + 16_384 * 15_000
    );
}

#[test]
fn a_hold_covers_the_dearer_output_rate() {
    let table = PriceTable {
        reasoning: Some(price("40")),
        ..table()
    };
    let bounds = OutputBounds {
        max_tokens: Some(10),
        ..OutputBounds::default()
    };
    assert_eq!(table.estimate_hold(0, bounds).unwrap().get(), 10 * 40_000);
}

#[test]
fn a_refusal_says_how_many_tokens_the_balance_buys() {
    assert_eq!(
        table().affordable_tokens(nanos(3_000_000 + 15_000 * 7 + 14_999), 1_000),
        Some(7)
    );
    assert_eq!(table().affordable_tokens(nanos(1), 1_000), Some(0));
    assert_eq!(table().affordable_tokens(nanos(-5), 0), Some(0));
    assert_eq!(
        PriceTable::default().affordable_tokens(nanos(1), 1_000),
        None
    );
    // What it names is what a hold would be granted for.
    let bounds = OutputBounds {
        max_tokens: Some(7),
        ..OutputBounds::default()
    };
    assert!(
        table().estimate_hold(1_000, bounds).unwrap() <= nanos(3_000_000 + 15_000 * 7 + 14_999)
    );
}

#[test]
fn a_free_table_is_free_in_every_price() {
    assert!(PriceTable::default().is_free());
    assert!(
        !PriceTable {
            request: Some(nanos(1)),
            ..PriceTable::default()
        }
        .is_free()
    );
    assert!(
        !PriceTable {
            cache_write_1h: Some(price("1")),
            ..PriceTable::default()
        }
        .is_free()
    );
    assert!(!table().is_free());
}
