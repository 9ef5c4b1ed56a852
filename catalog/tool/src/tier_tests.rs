//! The committed tiers of service, and wrong ones.

use std::fs;

use patchbay::catalog::Endpoint;

use crate::files;
use crate::tests::{catalog, committed, price, with_change};

#[test]
fn tiers_are_endpoints_beside_the_usual_one_at_prices_with_a_source() {
    let rows = committed();
    let of = |model: &str, tag: &str| {
        let mut all = rows.endpoints.iter().map(|row| &row.value);
        let found = all.find(|e| e.model == model && e.tag == tag);
        found.unwrap_or_else(|| panic!("{model} at {tag}"))
    };
    // Published prices, dollars per million tokens.
    for (model, tag, prompt, completion, read) in [
        ("openai/gpt-5", "openai/flex", "0.625", "5", "0.0625"),
        ("openai/gpt-5", "openai/priority", "2.5", "20", "0.25"),
        (
            "openai/gpt-5-mini",
            "openai/priority",
            "0.45",
            "3.6",
            "0.045",
        ),
        ("openai/gpt-5.5", "openai/priority", "12.5", "75", "1.25"),
        (
            "anthropic/claude-opus-4.8",
            "anthropic/priority",
            "10",
            "50",
            "1",
        ),
        (
            "google/gemini-2.5-flash",
            "google-ai-studio/flex",
            "0.15",
            "1.25",
            "0.015",
        ),
    ] {
        let prices = &of(model, tag).prices;
        let told = (prices.prompt, prices.completion, prices.cache_read);
        let expected = (price(prompt), price(completion), Some(price(read)));
        assert_eq!(told, expected, "{model} at {tag}");
    }
    let tiers = || {
        rows.endpoints
            .iter()
            .map(|row| &row.value)
            .filter(|e| e.service_tier().is_some())
    };
    assert!(tiers().count() >= 30);
    for tier in tiers() {
        let usual = of(&tier.model, &tier.provider);
        let name = format!("{} at {}", tier.model, tier.tag);
        let source = tier.source.as_deref().unwrap_or_default();
        assert!(
            source.contains("https://") && source.contains(", 2026-"),
            "{name}: {source}"
        );
        assert_eq!(tier.upstream_model_id, usual.upstream_model_id, "{name}");
        let is_cheaper = tier.tag.ends_with("/flex");
        assert_eq!(
            tier.prices.prompt < usual.prices.prompt,
            is_cheaper,
            "{name}"
        );
        assert_eq!(
            tier.prices.completion < usual.prices.completion,
            is_cheaper,
            "{name}"
        );
        // Siblings know each other's prices, where the provider says which of them served.
        let says = tier.provider != "anthropic";
        assert_eq!(
            tier.tier_prices.get("default"),
            says.then_some(&usual.prices),
            "{name}"
        );
        let word = tier.service_tier().unwrap().as_str();
        assert_eq!(
            usual.tier_prices.get(word),
            says.then_some(&tier.prices),
            "{name}"
        );
    }
    // The model's own price is the usual one.
    let entries = files::snapshot(committed()).unwrap().entries();
    let entry = entries
        .iter()
        .find(|entry| entry.model.slug == "openai/gpt-5")
        .unwrap();
    assert_eq!(entry.endpoints.first().unwrap().service_tier(), None);
}

#[test]
fn a_deployments_discounts_reach_endpoints_and_what_their_siblings_know() {
    let dir = with_change("discounts", files::ALIASES, |text| format!("{text}\n"));
    fs::copy(catalog().join(files::ALIASES), dir.join(files::ALIASES)).unwrap();
    fs::copy(catalog().join(files::TIERS), dir.join(files::TIERS)).unwrap();
    let own = dir.join(files::OWN);
    fs::create_dir_all(&own).unwrap();
    let write = |text: &str| fs::write(own.join(files::DISCOUNTS), text).unwrap();
    write(
        r#"{"provider":"openai","discount_ppm":100000}
{"provider":"openai","model":"openai/gpt-5.5","discount_ppm":250000}
{"provider":"openai/flex","model":"openai/gpt-5.5","discount_ppm":1}
"#,
    );
    let rows = files::load(&dir).unwrap();
    let of = |model: &str, tag: &str| {
        let mut all = rows.endpoints.iter().map(|row| &row.value);
        all.find(|one| one.model == model && one.tag == tag)
            .unwrap()
            .clone()
    };
    let off = |endpoint: &Endpoint| endpoint.prices.discount_ppm.map(u32::from);
    let flex = of("openai/gpt-5.5", "openai/flex");
    assert_eq!(off(&of("openai/gpt-5.5", "openai")), Some(250_000));
    assert_eq!(off(&of("openai/gpt-5.4", "openai")), Some(100_000));
    assert_eq!(off(&of("openai/gpt-5.4", "openai/flex")), None);
    assert_eq!(off(&flex), Some(1));
    let usual = &of("openai/gpt-5.5", "openai").prices;
    assert_eq!(flex.tier_prices.get("default"), Some(usual));
    for (line, why) in [
        (
            r#"{"provider":"openai","discount_ppm":1000000}"#,
            "1 to 999999 millionths",
        ),
        (
            r#"{"provider":"openai","discount_ppm":0}"#,
            "1 to 999999 millionths",
        ),
        (r#"{"provider":"openai","discount_ppm":0.1}"#, "0.1"),
        (
            r#"{"provider":"nobody","discount_ppm":5}"#,
            "nobody does not serve anything",
        ),
        (
            r#"{"provider":"openai","model":"demo/chat","discount_ppm":5}"#,
            "openai does not serve demo/chat",
        ),
        (
            r#"{"provider":"openrouter","model":"openrouter/*","discount_ppm":5}"#,
            "a discount on what the provider says it charged",
        ),
    ] {
        write(&format!("{line}\n"));
        let faults = files::load(&dir).unwrap_err();
        let told = faults.first().unwrap().to_string();
        assert!(told.contains(why), "{line}: {told}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_wrong_tier_is_refused_with_its_line() {
    let row = |model: &str, tier: &str, source: &str| {
        format!(
            r#"{{"model":"{model}","provider":"demo-openai","tier":"{tier}","prices":{{"prompt":1,"completion":1}},"source":"{source}"}}"#
        )
    };
    let dir = with_change("tiers", files::ALIASES, |text| format!("{text}\n"));
    fs::copy(catalog().join(files::ALIASES), dir.join(files::ALIASES)).unwrap();
    for (line, why) in [
        (row("demo/chat", "fast", "x"), "fast is no tier"),
        (row("demo/chat", "flex", ""), "a price without a source"),
        (
            row("demo/nothing", "flex", "x"),
            "does not serve demo/nothing",
        ),
    ] {
        fs::write(dir.join(files::TIERS), format!("{line}\n")).unwrap();
        let faults = files::load(&dir).unwrap_err();
        let told = faults.first().unwrap().to_string();
        assert!(
            told.contains("tiers.jsonl:1:") && told.contains(why),
            "{told}"
        );
    }
    fs::remove_dir_all(dir).unwrap();
}
