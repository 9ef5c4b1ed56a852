//! How providers say no: for every operation, and every rule of a row shown by an answer that it alone reads right.

use std::rc::Rc;

use patchbay::tools::catalog::{Operation, Tool, ToolProvider};
use patchbay::tools::connector::{self, Answer, Outcome};
use serde_json::{Value, json};

use crate::exchanges::{NOW_MS, Vendor, Wrong, tool, tools, vendor, with};

/// What statuses without a word come to, of which vendors have their own understanding in these limits.
const PLAIN: [(u16, &[&str]); 10] = [
    (400, &["invalid"]),
    (401, &["auth"]),
    (402, &["quota", "invalid"]),
    (403, &["permission", "auth", "rate_limited"]),
    (404, &["not_found", "auth"]),
    (409, &["conflict"]),
    (422, &["invalid"]),
    (429, &["rate_limited", "quota"]),
    (500, &["provider"]),
    (503, &["unavailable"]),
];
/// What may stand in such answers.
const BODIES: [&str; 4] = [
    "",
    "{}",
    "<html><body><h1>No</h1></body></html>",
    r#"{"message": "No."}"#,
];

/// An input of an operation.
fn input<'a>(vendor: &'a Vendor, operation: &str) -> &'a Value {
    let exchange = vendor
        .exchanges
        .iter()
        .find(|one| one.operation == operation);
    &exchange
        .unwrap_or_else(|| panic!("{operation} has no exchange"))
        .input
}

fn read(vendor: &Vendor, tool: &Tool, answer: &Answer) -> Outcome {
    let input = input(vendor, &tool.operation.name);
    with(vendor, tool, |_, secrets| {
        connector::read(tool, input, answer, secrets, NOW_MS)
    })
}

/// What was told of a failure, as one value.
fn told(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Failure(failure) => json!([
            failure.class,
            failure.code,
            failure.message,
            failure.param,
            failure.retry_after,
            format!("{:?}", failure.acted)
        ]),
        Outcome::Success(success) => json!(["success", success.result]),
        Outcome::Running(_) => json!(["running"]),
    }
}

#[test]
fn every_operation_fails_where_a_status_says_so() {
    let catalog = tools();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        for operation in &provider.operation {
            let tool = tool(&catalog, &provider.slug, &operation.name);
            for ((status, classes), body) in PLAIN
                .iter()
                .flat_map(|plain| BODIES.map(|body| (plain, body)))
            {
                let answer = Answer {
                    status: *status,
                    headers: Vec::new(),
                    body: body.into(),
                };
                let told = told(&read(&vendor, &tool, &answer));
                count += 1;
                if !classes.iter().any(|class| told[0] == *class) {
                    wrong.push(format!("{} {status} {body:?}: {told}", tool.id));
                }
                if told[2].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{} {status} {body:?}: no message", tool.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 5_000, "{count}");
}

#[test]
fn a_failure_means_the_same_for_every_operation_of_its_provider() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let named = |name: &str| provider.operation.iter().find(|one| one.name == name);
        let general = vendor
            .errors
            .iter()
            .filter(|error| named(&error.operation).is_some_and(|one| one.errors.is_empty()));
        for error in general {
            let own = told(&read(
                &vendor,
                &tool(&catalog, &provider.slug, &error.operation),
                &error.answer.answer(),
            ));
            for operation in provider
                .operation
                .iter()
                .filter(|one| one.errors.is_empty())
            {
                let tool = tool(&catalog, &provider.slug, &operation.name);
                let other = told(&read(&vendor, &tool, &error.answer.answer()));
                if own != other {
                    wrong.push(format!("{}: {other} instead of {own}", tool.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the failures of a vendor come to with these rules.
fn all_told(vendor: &Vendor, provider: &Rc<ToolProvider>, operations: &[Operation]) -> Vec<Value> {
    let of = |error: &Wrong| {
        let operation = operations.iter().find(|one| one.name == error.operation);
        let operation =
            operation.unwrap_or_else(|| panic!("{}/{} is no tool", provider.slug, error.operation));
        told(&read(
            vendor,
            &Tool::new(provider, &Rc::new(operation.clone())),
            &error.answer.answer(),
        ))
    };
    let empty = vendor.exchanges.iter().filter_map(|one| {
        let operation = operations.iter().find(|own| own.name == one.operation)?;
        Some(told(&read(
            vendor,
            &Tool::new(provider, &Rc::new(operation.clone())),
            &one.answer.answer(),
        )))
    });
    vendor.errors.iter().map(of).chain(empty).collect()
}

#[test]
fn every_rule_of_failures_is_shown_by_an_answer_that_needs_it() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let operations: Vec<Operation> = provider
            .operation
            .iter()
            .map(|one| Operation::clone(one))
            .collect();
        let whole = all_told(&vendor, provider, &operations);
        for i in 0..provider.errors.len() {
            let mut less = ToolProvider::clone(provider);
            less.errors.remove(i);
            if all_told(&vendor, &Rc::new(less), &operations) == whole {
                wrong.push(format!("{}: {:?}", provider.slug, provider.errors[i]));
            }
        }
        for (at, operation) in operations.iter().enumerate() {
            for i in 0..operation.errors.len() {
                let mut less = operations.clone();
                less[at].errors.remove(i);
                if all_told(&vendor, provider, &less) == whole {
                    wrong.push(format!(
                        "{}/{}: {:?}",
                        provider.slug, operation.name, operation.errors[i]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_provider_shows_a_wrong_key_too_many_calls_and_a_wrong_request() {
    let catalog = tools();
    let mut wrong = Vec::new();
    for provider in catalog.providers() {
        let vendor = vendor(&provider.slug);
        let has = |classes: &[&str]| {
            vendor
                .errors
                .iter()
                .any(|error| classes.contains(&error.class.as_str()))
        };
        let wants_key = provider.secret.is_some();
        let lacks = [
            (wants_key && !has(&["auth"]), "auth"),
            (!has(&["rate_limited"]), "rate_limited"),
            (!has(&["invalid", "not_found"]), "invalid or not_found"),
        ];
        wrong.extend(
            lacks
                .iter()
                .filter(|(is_missing, _)| *is_missing)
                .map(|(_, what)| format!("{}: {what}", provider.slug)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
