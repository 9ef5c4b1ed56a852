//! Jobs: what a call starts and others ask about, fetch and cancel.
//!
//! Whoever has a [`JobState`] asks with [`poll`] and reads with [`read_poll`] until that no longer says that it runs. A question that is
//! not answered is asked again: the job goes on without us.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Acted, Answer, Context, Failure, Outcome, Outgoing, Problem, Running,
    address::Places,
    failure::{self, Verdict, judge, malformed},
    request::{bare, finish},
    response::{Body, clear, success},
    template::{at, plain},
};
use crate::tools::catalog::{Class, Job, JobCall, Tool};

/// How often in a row a question may go unanswered.
const MAX_FAILURES: u32 = 5;
/// How long to wait between questions, where the row does not say.
const EVERY_MS: u64 = 2_000;

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// The provider's id of it.
    pub id: String,
    /// It is done: what is left is to fetch its result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_done: bool,
    /// Fields of the input that stand in the addresses to ask at.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// How many questions in a row were not answered.
    #[serde(default)]
    pub failures: u32,
}

/// What a start's answer says of its job; `None` where the operation has none, or the answer is the result.
pub(super) fn begun(tool: &Tool, input: &Value, body: &Value, answer: &Answer) -> Option<Outcome> {
    let row = tool.operation.response.job.as_ref()?;
    let Some(id) = at(body, &row.id).map(plain).filter(|id| !id.is_empty()) else {
        // Some answer short work at once, without a job.
        let is_done = stage(row, body) == Some(Stage::Done);
        let told = "the provider's answer names no job";
        return (!is_done).then(|| Outcome::Failure(malformed(answer, told).into()));
    };
    let state = JobState {
        id,
        is_done: false,
        fields: named(row, input),
        failures: 0,
    };
    match stage(row, body) {
        Some(Stage::Done) if row.fetch.is_none() => None,
        Some(Stage::Done) => Some(running(
            JobState {
                is_done: true,
                ..state
            },
            0,
            None,
        )),
        Some(Stage::Failed) => Some(Outcome::Failure(broken(row, body, answer).into())),
        _ => Some(running(state, every(row), progress(row, body))),
    }
}

/// The question about a job.
///
/// # Errors
/// As of [`prepare`](super::prepare).
pub fn poll(tool: &Tool, state: &JobState, cx: &Context<'_>) -> Result<Outgoing, Problem> {
    let row = row(tool)?;
    let call = row
        .fetch
        .as_ref()
        .filter(|_| state.is_done)
        .unwrap_or(&row.poll);
    about(tool, row, call, state, cx)
}

/// What the answer to a question says. `input` is what the job was started with.
pub fn read_poll(
    tool: &Tool,
    state: &JobState,
    input: &Value,
    answer: &Answer,
    secrets: &[String],
    now_ms: u64,
) -> Outcome {
    let Ok(row) = row(tool) else {
        return Outcome::Failure(malformed(answer, "the tool has no jobs any more").into());
    };
    let body = Body::of(answer);
    let mut outcome = match judge(tool, answer, body.value(), now_ms) {
        _ if row.pending.contains(&answer.status) => {
            running(heard(state), every(row), progress(row, body.value()))
        }
        Verdict::Failed(failure) => unanswered(row, state, failure),
        Verdict::Empty | Verdict::Fine if state.is_done => success(tool, input, answer, body),
        Verdict::Empty | Verdict::Fine => match stage(row, body.value()) {
            Some(Stage::Failed) => Outcome::Failure(broken(row, body.value(), answer).into()),
            Some(Stage::Running) => running(heard(state), every(row), progress(row, body.value())),
            Some(Stage::Done) | None if row.fetch.is_some() => {
                let done = JobState {
                    is_done: true,
                    ..heard(state)
                };
                running(done, 0, None)
            }
            Some(Stage::Done) | None => success(tool, input, answer, body),
        },
    };
    clear(&mut outcome, secrets);
    outcome
}

/// What ends a job, where it can be ended.
///
/// # Errors
/// As of [`prepare`](super::prepare).
pub fn cancel(
    tool: &Tool,
    state: &JobState,
    cx: &Context<'_>,
) -> Result<Option<Outgoing>, Problem> {
    let row = row(tool)?;
    let call = row.cancel.as_ref();
    call.map(|call| about(tool, row, call, state, cx))
        .transpose()
}

/// Whether the job was ended.
///
/// # Errors
/// Why it was not.
pub fn read_cancel(
    tool: &Tool,
    answer: &Answer,
    secrets: &[String],
    now_ms: u64,
) -> Result<(), Failure> {
    let body = Body::of(answer);
    let Verdict::Failed(failure) = judge(tool, answer, body.value(), now_ms) else {
        return Ok(());
    };
    let mut outcome = Outcome::Failure(failure.into());
    clear(&mut outcome, secrets);
    match outcome {
        Outcome::Failure(failure) => Err(*failure),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Done,
    Failed,
}

/// What a body says of the job; `None` where the row does not look.
fn stage(row: &Job, body: &Value) -> Option<Stage> {
    let status = at(body, row.status.as_deref()?).map(plain);
    let among = |words: &[String]| status.as_ref().is_some_and(|status| words.contains(status));
    Some(if among(&row.done) {
        Stage::Done
    } else if among(&row.failed) {
        Stage::Failed
    } else {
        Stage::Running
    })
}

fn row(tool: &Tool) -> Result<&Job, Problem> {
    let row = tool.operation.response.job.as_ref();
    row.ok_or_else(|| Problem::Misconfigured(format!("{} has no jobs", tool.id)))
}

fn every(row: &Job) -> u64 {
    if row.every_ms == 0 {
        EVERY_MS
    } else {
        row.every_ms
    }
}

fn progress(row: &Job, body: &Value) -> Option<Value> {
    at(body, row.progress.as_deref()?).cloned()
}

fn running(job: JobState, after_ms: u64, progress: Option<Value>) -> Outcome {
    Outcome::Running(Box::new(Running {
        job,
        after_ms,
        progress,
    }))
}

fn heard(state: &JobState) -> JobState {
    JobState {
        failures: 0,
        ..state.clone()
    }
}

/// A question that failed: asked again, where the provider may answer later.
fn unanswered(row: &Job, state: &JobState, failure: Failure) -> Outcome {
    let may_pass = matches!(
        failure.class,
        Class::RateLimited | Class::Unavailable | Class::Timeout | Class::Provider
    );
    if !may_pass || state.failures >= MAX_FAILURES {
        return Outcome::Failure(Box::new(Failure {
            acted: Acted::Maybe,
            ..failure
        }));
    }
    let told = failure
        .retry_after
        .map(|seconds| u64::from(seconds) * 1_000);
    let state = JobState {
        failures: state.failures + 1,
        ..state.clone()
    };
    running(state, told.unwrap_or(0).max(every(row)), None)
}

/// A job that its provider calls failed.
fn broken(row: &Job, body: &Value, answer: &Answer) -> Failure {
    let told = failure::first(&row.error, body);
    let message = told.unwrap_or_else(|| "the provider says that the job failed".to_owned());
    Failure {
        acted: Acted::No,
        ..malformed(answer, &message)
    }
}

/// The fields of the input that addresses of the job name.
fn named(row: &Job, input: &Value) -> Map<String, Value> {
    let calls = [Some(&row.poll), row.fetch.as_ref(), row.cancel.as_ref()];
    let paths = calls.into_iter().flatten().map(|call| call.path.as_str());
    let addresses: Vec<&str> = paths.chain(row.base_url.as_deref()).collect();
    let is_named = |name: &str| {
        let start = |c: &str| {
            addresses
                .iter()
                .any(|path| path.contains(&format!("{{{c}{name}")))
        };
        start("") || start("+")
    };
    let fields = input.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| is_named(name));
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn about(
    tool: &Tool,
    row: &Job,
    call: &JobCall,
    state: &JobState,
    cx: &Context<'_>,
) -> Result<Outgoing, Problem> {
    let mut fields = state.fields.clone();
    fields.insert("id".to_owned(), state.id.as_str().into());
    let fields = Value::Object(fields);
    let mut places = Places {
        tool,
        cx,
        fields: &fields,
        used: BTreeSet::new(),
    };
    let mut url = places.base(row.base_url.as_deref())?;
    url.push_str(&places.path(&call.path)?);
    finish(tool, cx, bare(tool, call.method, url, cx))
}
