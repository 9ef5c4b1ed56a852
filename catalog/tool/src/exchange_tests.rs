//! Every tool of the catalog against its exchanges: what leaves for the provider, and what its answers and failures mean.
//!
//! `tests/vendors/exchanges` holds them, one file per provider; its README says what stands there. An operation without an exchange
//! fails. The vendors' stand-in plays the same files, and its tests hold their requests against the vendors' own descriptions.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use patchbay::tools::catalog::{Means, Tool, ToolPolicy, ToolView};
use patchbay::tools::connector::{self, Outcome};
use patchbay::tools::price;
use patchbay::tools::schema::validate;
use serde_json::{Value, json};

use crate::exchanges::{Exchange, NOW_MS, Vendor, differs, tool, tools, vendor, with};

#[test]
fn every_operation_sends_what_its_exchanges_say() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        for operation in &provider.operation {
            let of_it = vendor
                .exchanges
                .iter()
                .filter(|one| one.operation == operation.name);
            let tool = tool(&catalog, &provider.slug, &operation.name);
            if of_it.clone().next().is_none() {
                wrong.push(format!("{} has no exchange", tool.id));
            }
            for exchange in of_it {
                if let Err(invalid) = validate(operation.input.value(), &exchange.input) {
                    wrong.push(format!("{}: the input is refused: {invalid:?}", tool.id));
                }
                let sent = with(&vendor, &tool, |cx, _| {
                    connector::prepare(&tool, &exchange.input, cx)
                });
                let told = match &sent {
                    Ok(sent) => differs(&exchange.request, sent),
                    Err(problem) => Some(problem.to_string()),
                };
                wrong.extend(told.map(|told| format!("{} {}: {told}", tool.id, exchange.input)));
            }
        }
        let known = |name: &str| {
            provider
                .operation
                .iter()
                .any(|operation| operation.name == name)
        };
        let names = vendor.exchanges.iter().map(|one| &one.operation);
        let names = names.chain(vendor.errors.iter().map(|one| &one.operation));
        let unknown = names.filter(|name| !known(name));
        wrong.extend(unknown.map(|name| format!("{}/{name} is no tool", provider.slug)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an answer comes to, jobs asked until they end.
fn outcome(vendor: &Vendor, tool: &Tool, exchange: &Exchange, wrong: &mut Vec<String>) -> Outcome {
    with(vendor, tool, |cx, secrets| {
        let input = &exchange.input;
        let mut outcome = connector::read(tool, input, &exchange.answer.answer(), secrets, NOW_MS);
        let mut steps = exchange.then.iter();
        while let Outcome::Running(running) = &outcome {
            let Some(step) = steps.next() else {
                wrong.push(format!("{}: the job does not end", tool.id));
                break;
            };
            let asked = connector::poll(tool, &running.job, cx).unwrap();
            wrong.extend(differs(&step.request, &asked).map(|told| format!("{}: {told}", tool.id)));
            if let Some(cancelled) = &exchange.cancelled {
                let asked = connector::cancel(tool, &running.job, cx).unwrap().unwrap();
                let told = differs(&cancelled.request, &asked);
                wrong.extend(told.map(|told| format!("{}: {told}", tool.id)));
                let ended =
                    connector::read_cancel(tool, &cancelled.answer.answer(), secrets, NOW_MS);
                wrong.extend(
                    ended
                        .err()
                        .map(|failure| format!("{}: {}", tool.id, failure.message)),
                );
            }
            let state = running.job.clone();
            outcome =
                connector::read_poll(tool, &state, input, &step.answer.answer(), secrets, NOW_MS);
        }
        wrong.extend(
            steps
                .next()
                .map(|_| format!("{}: the job ended before its time", tool.id)),
        );
        outcome
    })
}

#[test]
fn every_answer_is_read_as_its_exchange_says() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        for exchange in &vendor.exchanges {
            let tool = tool(&catalog, &provider.slug, &exchange.operation);
            match outcome(&vendor, &tool, exchange, &mut wrong) {
                Outcome::Success(success) => {
                    if success.result.as_ref() != Some(&exchange.result) {
                        let told = success.result.clone().unwrap_or_default();
                        wrong.push(format!(
                            "{}: {told}\n  instead of {}",
                            tool.id, exchange.result
                        ));
                    }
                    if let Some(next) = &success.next {
                        let told = validate(tool.operation.input.value(), next);
                        wrong.extend(
                            told.err()
                                .map(|told| format!("{}: next {next}: {told:?}", tool.id)),
                        );
                    }
                    if success.id != exchange.id {
                        wrong.push(format!("{}: id {:?}", tool.id, success.id));
                    }
                    let missed = success.missed.iter().map(|missed| &missed.message);
                    if !missed.eq(&exchange.missed) {
                        wrong.push(format!("{}: missed {:?}", tool.id, success.missed));
                    }
                    let charged = price::charge(&tool.operation, &exchange.input, &success);
                    if charged.get() != exchange.charge {
                        wrong.push(format!("{}: charged {}", tool.id, charged.get()));
                    }
                    if charged > price::ceiling(&tool.operation, &exchange.input) {
                        wrong.push(format!("{}: charged more than is held", tool.id));
                    }
                    let last = exchange
                        .then
                        .last()
                        .map_or(&exchange.answer, |step| &step.answer);
                    // What the provider said stands in the data; lists that it left out are added.
                    let is_kept = match (&last.json, &success.data) {
                        (Some(Value::Object(said)), Value::Object(data)) => said
                            .iter()
                            .filter(|(_, value)| !value.is_null() && !value.is_object())
                            .all(|(name, value)| data.get(name) == Some(value)),
                        (Some(said), data) => said == data,
                        (None, _) => true,
                    };
                    if !is_kept {
                        wrong.push(format!("{}: data {}", tool.id, success.data));
                    }
                }
                Outcome::Failure(failure) => wrong.push(format!("{}: {failure:?}", tool.id)),
                Outcome::Running(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failure_is_what_the_vendor_says_it_is() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        if vendor.errors.is_empty() {
            wrong.push(format!("{} has no failures", provider.slug));
        }
        for error in &vendor.errors {
            let tool = tool(&catalog, &provider.slug, &error.operation);
            let exchange = vendor
                .exchanges
                .iter()
                .find(|one| one.operation == error.operation)
                .unwrap();
            let answer = error.answer.answer();
            let outcome = with(&vendor, &tool, |_, secrets| {
                connector::read(&tool, &exchange.input, &answer, secrets, NOW_MS)
            });
            let Outcome::Failure(failure) = outcome else {
                wrong.push(format!(
                    "{}: {:?} counts as a success",
                    tool.id, error.answer.json
                ));
                continue;
            };
            let class = json!(failure.class);
            let is_same = class == error.class.as_str()
                && failure.code == error.code
                && error
                    .message
                    .as_ref()
                    .is_none_or(|message| *message == failure.message)
                && failure.retry_after == error.retry_after;
            if !is_same {
                wrong.push(format!("{} {}: {failure:?}", tool.id, error.answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_price_says_where_it_was_read_or_that_it_was_not() {
    let mut wrong = Vec::new();
    for provider in tools().providers() {
        for operation in &provider.operation {
            let source = operation.price_source.as_deref().unwrap_or_default();
            let is_honest = source.contains("as of memory, not verified");
            let is_dated = source.contains("(2026-") && source.contains('.');
            if !is_honest && !is_dated {
                wrong.push(format!("{}/{}: {source}", provider.slug, operation.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_pages_say_of_the_catalogs_size_is_true() {
    let catalog = Rc::new(tools());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let nothing = Means {
        has: &|_| false,
        owns: &|_| false,
        accounts_bring_keys: false,
        single_tenant: false,
    };
    let view = ToolView::of(&catalog, &nothing, &ToolPolicy::default());
    let open: Vec<_> = view
        .tools()
        .iter()
        .filter(|(_, offer)| offer.is_callable())
        .map(|(tool, _)| tool)
        .collect();
    let count = |name: &dyn Fn(&Tool) -> String| {
        open.iter()
            .map(|tool| name(tool))
            .collect::<BTreeSet<_>>()
            .len()
    };
    let providers = count(&|tool| tool.provider.slug.clone());
    let words = [
        "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    ];
    let categories = words[count(&|tool| tool.category().to_owned()) - 10];
    let operations: usize = catalog
        .providers()
        .iter()
        .map(|one| one.operation.len())
        .sum();
    let all = catalog.providers().len();
    let guide = page("docs/tools.md");
    let says = |text: &str| assert!(guide.contains(text), "docs/tools.md does not say {text:?}");
    says(&format!("{operations} tools of {all} providers"));
    says(&format!("Without a single secret {} of them", open.len()));
    let format = page("catalog/tools/README.md");
    let first = format!(
        "A first boot offers {} tools of {providers} providers in {categories} categories",
        open.len()
    );
    assert!(format.contains(&first), "{first}");
}
