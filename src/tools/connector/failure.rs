//! Is an answer a failure, of what kind, and may the thing have been done all the same?
//!
//! The vendor's own word decides, as its row says where to look: some tell failures in a 200, some throttle with a 400, some have
//! statuses of their own. Statuses speak for those who say nothing else.

use serde_json::Value;

use super::{
    Acted, Answer, Failure, condition,
    template::{at, plain},
};
use crate::{
    server_tools::html,
    time::{MAX_RETRY_AFTER_S, retry_after},
    tools::catalog::{Class, ErrorRule, Tool},
};

/// The most characters of a message.
const MAX_MESSAGE: usize = 500;
/// Where messages usually are.
const MESSAGES: [&str; 18] = [
    "/error/message",
    "/message",
    "/error_description",
    "/error/detail",
    "/error",
    "/detail",
    "/detail/message",
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0/details",
    "/errors/0",
    "/reason",
    "/details",
    "/detail/0/msg",
    "/title",
    "/err_msg",
    "/msg",
    "/status_message",
];

/// What an answer is.
pub(super) enum Verdict {
    /// A success.
    Fine,
    /// A success that found nothing.
    Empty,
    /// A failure.
    Failed(Failure),
}

/// Judges an answer by the rules of its operation and its provider.
pub(super) fn judge(tool: &Tool, answer: &Answer, body: &Value, now_ms: u64) -> Verdict {
    let rules = tool.operation.errors.iter().chain(&tool.provider.errors);
    let rule = rules
        .filter(|rule| condition::of_answer(&rule.when, answer, body))
        .find(|rule| is_about(rule, body));
    let is_success = (200..300).contains(&answer.status);
    let rule = match rule {
        Some(rule) => rule,
        None if is_success => return Verdict::Fine,
        None => &ErrorRule::default(),
    };
    let code = first(&rule.code, body);
    let by_code = code.as_ref().and_then(|code| rule.classes.get(code));
    let class = by_code
        .copied()
        .or(rule.class)
        .unwrap_or_else(|| by_status(answer.status));
    if class == Class::Empty {
        return Verdict::Empty;
    }
    let acted = match rule.acted {
        Some(true) => Acted::Maybe,
        Some(false) => Acted::No,
        None => acted(class, answer.status),
    };
    Verdict::Failed(Failure {
        class,
        message: message(rule, answer, body),
        code,
        param: first(&rule.param, body),
        status: answer.status,
        retry_after: wait(rule, answer, body, now_ms),
        acted,
    })
}

/// The failure that an answer of 4xx or 5xx is by its status, where no row says more.
pub fn refusal(answer: &Answer) -> Failure {
    let body: Value = crate::json::from_slice(&answer.body).unwrap_or_default();
    let rule = ErrorRule::default();
    let class = by_status(answer.status);
    Failure {
        class,
        message: message(&rule, answer, &body),
        code: None,
        param: None,
        status: answer.status,
        retry_after: answer.header("retry-after").and_then(rounded_up),
        acted: acted(class, answer.status),
    }
}

/// A rule that knows classes by their codes alone is about the codes that it knows, or about any failure of the status.
fn is_about(rule: &ErrorRule, body: &Value) -> bool {
    let is_by_code = rule.class.is_none() && !rule.classes.is_empty() && rule.when.looks_inside();
    !is_by_code || first(&rule.code, body).is_some_and(|code| rule.classes.contains_key(&code))
}

/// The failure that an answer is which is nothing that its row knows. The thing was done, for all that is known.
pub(super) fn malformed(answer: &Answer, what: &str) -> Failure {
    Failure {
        class: Class::Provider,
        message: what.to_owned(),
        code: None,
        param: None,
        status: answer.status,
        retry_after: None,
        acted: Acted::Maybe,
    }
}

fn by_status(status: u16) -> Class {
    match status {
        401 => Class::Auth,
        402 => Class::Quota,
        403 => Class::Permission,
        404 | 410 => Class::NotFound,
        408 | 504 => Class::Timeout,
        409 => Class::Conflict,
        429 => Class::RateLimited,
        503 | 529 => Class::Unavailable,
        400..500 => Class::Invalid,
        _ => Class::Provider,
    }
}

/// Whoever refuses has done nothing; of who broke down nobody knows.
fn acted(class: Class, status: u16) -> Acted {
    let is_refusal = !matches!(class, Class::Provider | Class::Timeout | Class::Unavailable);
    if is_refusal || (status < 500 && status != 408) {
        Acted::No
    } else {
        Acted::Maybe
    }
}

/// The first text or number at these pointers.
pub(super) fn first(pointers: &[String], body: &Value) -> Option<String> {
    let values = pointers.iter().filter_map(|pointer| at(body, pointer));
    let mut texts = values.filter(|value| value.is_string() || value.is_number());
    texts.next().map(plain).filter(|text| !text.is_empty())
}

fn message(rule: &ErrorRule, answer: &Answer, body: &Value) -> String {
    let usual = || {
        let values = MESSAGES
            .iter()
            .filter_map(|pointer| at(body, pointer)?.as_str());
        values.map(str::to_owned).find(|text| !text.is_empty())
    };
    let told = first(&rule.message, body).or_else(usual);
    let told = told.or_else(|| body.as_str().map(str::to_owned));
    let raw = || match body {
        Value::Null => std::str::from_utf8(&answer.body).ok().map(str::to_owned),
        _ => None,
    };
    let told = told.or_else(raw).unwrap_or_default();
    let told = if told.trim_start().starts_with('<') {
        html::read(&told, MAX_MESSAGE).text
    } else {
        told
    };
    let mut line: String = told
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    line.truncate(line.floor_char_boundary(MAX_MESSAGE));
    // A heading of a page, read as text, begins with its mark.
    let line = line.trim_start_matches('#').trim();
    if line.is_empty() {
        format!("the provider answered with status {}", answer.status)
    } else {
        line.to_owned()
    }
}

/// Seconds to wait, rounded up.
fn wait(rule: &ErrorRule, answer: &Answer, body: &Value, now_ms: u64) -> Option<u32> {
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let header = |name: &str| {
        let value = answer.header(name)?;
        retry_after(value, now_ms).or_else(|| rounded_up(value))
    };
    let told = match &rule.retry_after {
        Some(Value::String(place)) => match place.strip_prefix("header:") {
            Some(name) => header(name),
            None => at(body, place).and_then(|value| rounded_up(&plain(value))),
        },
        Some(number) => rounded_up(&number.to_string()),
        None => None,
    };
    told.max(header("retry-after"))
}

/// Whole seconds out of a number.
fn rounded_up(text: &str) -> Option<u32> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole: u32 = whole.parse().unwrap_or(MAX_RETRY_AFTER_S);
    let more = u32::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(whole.saturating_add(more).min(MAX_RETRY_AFTER_S))
}
