//! What a failed attempt leads to: one table, and what the client is told when the whole plan failed.
//!
//! | failure | before the commit | after it |
//! |---|---|---|
//! | 429, 5xx, time-out, stall, no connection, empty or invalid answer | the next endpoint | in-band, or a continuation |
//! | a refused request (400, 413, 422, an image, a limit): hosts of one model differ in what they take | the next endpoint | in-band |
//! | the prompt is too long | an endpoint with a longer context, else the next model | in-band |
//! | the content is refused: other hosts are not asked until one lets it pass | the next model | in-band |
//! | the client's fault, the gateway's | the end | in-band |
//!
//! The operator's own trouble at a provider (401, 402, 403, 404 there) arrives here as an unavailable provider.
//! Out of scope: which status and words of a provider mean what (`dialects::*::error`), who is in the plan (`routing`).

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{
    catalog::Endpoint,
    error::{Error, ErrorType, Next, Source},
    routing::Step,
};

/// What may be tried after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Whoever is next in the plan.
    NextEndpoint,
    /// The endpoints of this model that take a longer prompt, then the next model.
    LongerContext,
    /// The next model.
    NextModel,
    /// Nobody.
    Final,
}

/// One class of failures.
#[derive(Debug)]
pub struct Class {
    types: &'static [ErrorType],
    /// What may be tried while nothing of the answer has left.
    pub before_commit: Fallback,
    /// It may pass by itself: the same request may succeed later, and a stream that it broke may go on elsewhere.
    pub is_passing: bool,
}

const fn upstream(types: &'static [ErrorType], before_commit: Fallback, is_passing: bool) -> Class {
    Class {
        types,
        before_commit,
        is_passing,
    }
}

/// Every failure of a provider; a type that is not listed is the last row's.
pub const PROVIDER_FAILURES: &[Class] = &[
    upstream(
        &[ErrorType::RateLimitExceeded],
        Fallback::NextEndpoint,
        true,
    ),
    upstream(
        &[ErrorType::ContextLengthExceeded],
        Fallback::LongerContext,
        false,
    ),
    upstream(
        &[ErrorType::ContentPolicyViolation, ErrorType::Refusal],
        Fallback::NextModel,
        false,
    ),
    upstream(
        &[
            ErrorType::InvalidRequest,
            ErrorType::InvalidPrompt,
            ErrorType::InvalidImage,
            ErrorType::MaxTokensExceeded,
            ErrorType::PayloadTooLarge,
            ErrorType::Unprocessable,
        ],
        Fallback::NextEndpoint,
        false,
    ),
    OTHER,
];

/// 5xx, time-outs, stalls, broken connections, empty and invalid answers.
const OTHER: Class = upstream(&[], Fallback::NextEndpoint, true);

/// The request itself, or the gateway.
const OWN: Class = Class {
    types: &[],
    before_commit: Fallback::Final,
    is_passing: false,
};

/// The request cannot be said to this endpoint.
const UNSAYABLE: Class = Class {
    types: &[],
    before_commit: Fallback::NextEndpoint,
    is_passing: false,
};

/// The class of a failure.
pub fn class(error: &Error) -> &'static Class {
    match (error.source, error.next) {
        (Source::Upstream, _) => PROVIDER_FAILURES
            .iter()
            .find(|class| class.types.contains(&error.error_type))
            .unwrap_or(&OTHER),
        (Source::Client, Next::NextAttempt) => &UNSAYABLE,
        _ => &OWN,
    }
}

/// The steps of a plan that may still be tried, by their place in it.
pub struct Queue(VecDeque<usize>);

impl Queue {
    /// All of a plan.
    pub fn of(plan: &[Step]) -> Self {
        Self((0..plan.len()).collect())
    }

    /// All of a plan, with one step before the others.
    pub fn preferring(plan: &[Step], first: Option<usize>) -> Self {
        let mut queue = Self::of(plan);
        if let Some(first) = first.filter(|first| *first < plan.len()) {
            queue.0.retain(|at| *at != first);
            queue.0.push_front(first);
        }
        queue
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<usize> {
        self.0.pop_front()
    }

    /// The next one.
    pub fn peek(&self) -> Option<usize> {
        self.0.front().copied()
    }

    /// Leaves only what may be tried after a failure at this endpoint.
    pub fn narrow(&mut self, plan: &[Step], failed: &Endpoint, fallback: Fallback) {
        let admits = |next: &Endpoint| match fallback {
            Fallback::NextEndpoint => true,
            Fallback::LongerContext => {
                next.model != failed.model || next.context_length > failed.context_length
            }
            Fallback::NextModel => next.model != failed.model,
            Fallback::Final => false,
        };
        self.retain(|at| {
            plan.get(at)
                .is_some_and(|step| admits(&step.route.endpoint))
        });
    }

    /// Leaves only the steps that `keep` names.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        self.0.retain(|at| keep(*at));
    }
}

/// An attempt that failed before anything of its answer left.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Display name of the provider.
    pub provider: String,
    /// Its slug.
    pub slug: String,
    /// The model.
    pub model: String,
    /// Why.
    pub error: Error,
}

/// The error that a client reads when every attempt failed, in the order in which they did.
///
/// The model tried last speaks for all. When it failed for different reasons and one of them may pass, that one is told: the
/// request may be right, and worth another try. When everything may pass, the answer says so: 429 where all were out of
/// capacity, 503 where all of several failed.
pub fn verdict(failures: &[Failure], requested: &[&str]) -> Option<Error> {
    let last = failures.last()?;
    let of_last_model = || failures.iter().filter(|one| one.model == last.model);
    let is_passing = |one: &&Failure| class(&one.error).is_passing;
    let told = if is_passing(&last) {
        last
    } else {
        of_last_model().rfind(is_passing).unwrap_or(last)
    };
    let mut error = told.error.clone();
    let mut others: Vec<&Failure> = failures
        .iter()
        .filter(|one| !std::ptr::eq(*one, told))
        .collect();
    if of_last_model().all(|one| is_passing(&one)) {
        let limited = of_last_model().all(|one| one.error.status == 429);
        let broken = of_last_model().all(|one| one.error.status >= 500);
        if broken && of_last_model().count() > 1 {
            error.error_type = ErrorType::ProviderOverloaded;
            error.status = error.error_type.status();
            // The gateway speaks for all of them: none is left out of the list.
            others = failures.iter().collect();
        }
        if limited || broken {
            let told = availability(limited, &error, failures, requested);
            error.availability = Some(Box::new(told));
        }
    }
    error.retry_after = retry_after(failures.iter().map(|one| &one.error));
    let availability = error.availability.as_deref_mut();
    if let (Some(Value::Object(told)), Some(seconds)) = (availability, error.retry_after) {
        told.insert("retry_after".into(), seconds.into());
    }
    if error.source == Source::Upstream {
        error = error.with("provider_name", told.provider.as_str());
    }
    Some(with_previous(error, others))
}

/// Adds the failures that came before the one that is told.
pub fn with_previous<'a>(error: Error, others: impl IntoIterator<Item = &'a Failure>) -> Error {
    let others: Vec<Value> = others
        .into_iter()
        .map(|one| {
            let error = &one.error;
            let mut told = json!({"provider": one.provider, "code": error.error_type.as_str(), "status": error.status});
            if let (Some(told), Some(is_byok)) = (told.as_object_mut(), error.metadata.get("is_byok")) {
                told.insert("is_byok".into(), is_byok.clone());
            }
            told
        })
        .collect();
    if others.is_empty() {
        return error;
    }
    error.with("previous_errors", others)
}

fn availability(limited: bool, error: &Error, failures: &[Failure], requested: &[&str]) -> Value {
    let mut affected: Vec<&str> = Vec::new();
    for one in failures {
        if !affected.contains(&one.slug.as_str()) {
            affected.push(&one.slug);
        }
    }
    let code = if limited {
        "capacity_exhausted"
    } else {
        "temporarily_unavailable"
    };
    debug_assert!(
        class(error).is_passing,
        "only what may pass is worth a retry"
    );
    json!({"code": code, "retryable": true, "requested_models": requested, "affected_providers": affected})
}

/// When it makes sense to come back: as soon as the first provider may serve again. Providers that refused for good do not
/// count, and one that may serve again without saying when leaves the pause to the client.
pub fn retry_after<'a>(errors: impl Iterator<Item = &'a Error>) -> Option<u32> {
    let passing = errors.filter(|error| class(error).is_passing);
    let waits: Option<Vec<u32>> = passing.map(|error| error.retry_after).collect();
    waits.and_then(|waits| waits.into_iter().min())
}
