//! `GET /beliefs`: what is believed of the providers of tools, and by which rule. `POST /tools/executions/{id}/report`: what the one who ran
//! an execution says of its outcome.

use std::rc::Rc;

use futures::FutureExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    World,
    caller::any_key,
    http::{Request, Response},
    principal, sources,
};
use crate::{
    credits::{
        money::Nanos,
        ops::{ExecutionState, ToolGet},
        sql::SqlValue,
    },
    error::{Error, ErrorType, Next, Result, Source},
    routing::{breaker::Outcome, health::Standing},
    time::rfc3339,
    tools::{
        beliefs::{
            book::{self, View},
            cache::Freshness,
            choice::{self, rounded},
            record::{self, Record},
        },
        catalog::Tool,
        execute::{Attempt, Choosing, Chosen},
        intent::memory,
        listing,
    },
    usage::measured::Verdict,
};

/// The rule in words. What it says, `tools::beliefs` does.
const RULE: &str = "Each operation of a provider has a Beta distribution over its success rate. It starts at the mean of its category, worth \
    prior_weight calls. Each success or fault of the provider adds one, and leaves decay of what was before; the clock changes nothing. Only the provider's own \
    faults count: time-outs, 5xx, broken answers, 429 and used-up plans with the operator's key; never the caller's mistakes, own keys that are \
    refused, declined confirmations, cancelled calls or moderation. Faults in a row that chance does not explain are an outage: the operation rests, and \
    they are forgotten once it has answered well often enough in a row. A change of the rate itself is found by a cumulative sum; then only what came after it \
    counts. An account goes by its own counts on top of everybody's, which fade the more it has seen itself, and by the outages that it saw itself; it adds at most share_per_hour observations an hour and \
    operation to everybody's. Among operations of one capability, reads draw from the belief (Thompson sampling, seeded by the execution's id), writes take its lower \
    bound; both are weighed against latency and price as quality per service cycle.";

/// Brings the beliefs for an account up to date: who knows nothing waits, else it is done behind the answer.
pub(super) async fn know<W: World>(world: &W, account: &str) {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    match memory.beliefs.freshness(account, now_ms) {
        Freshness::Fresh => {}
        Freshness::Cold => {
            if let Err(error) = memory.beliefs.refresh(world, account, now_ms).await {
                world.report(&format!("the beliefs could not be read: {error}"));
            }
        }
        Freshness::Stale => {
            // Asked for by this request: the next need not.
            memory.beliefs.asks(account, now_ms);
            let (task, account) = (world.clone(), account.to_owned());
            let refresh = async move {
                if let Err(error) = memory.beliefs.refresh(&task, &account, now_ms).await {
                    task.report(&format!("the beliefs could not be read: {error}"));
                }
            };
            world.spawn(refresh.boxed_local());
        }
    }
}

/// The order in which the tools of a capability are tried.
pub(super) fn choose<W: World>(world: &W, account: &str, choosing: &Choosing<'_>) -> Chosen {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    let candidate = |tool: &Rc<Tool>| Candidate {
        tool: Rc::clone(tool),
        standing: memory.tool_health.standing_at(&tool.id, now_ms),
    };
    let candidates: Vec<Candidate> = choosing.tools.iter().map(candidate).collect();
    let candidates: Vec<choice::Candidate<'_>> = candidates.iter().map(Candidate::told).collect();
    let occasion = choice::Occasion {
        seed: choosing.seed,
        effect: choosing.effect,
        now_ms,
    };
    let wish = choice::Wish {
        prefer: &choosing.wish.prefer,
        max_price: choosing.wish.max_price,
        max_latency_ms: choosing.wish.max_latency_ms,
    };
    let chosen = choice::order(&candidates, &memory.beliefs.view(account), occasion, &wish);
    let place = |one: &choice::Ranked| choosing.tools.iter().position(|tool| tool.id == one.tool);
    let order: Vec<usize> = chosen.order.iter().filter_map(place).collect();
    Chosen {
        order,
        routing: Some(chosen.explain()),
    }
}

struct Candidate {
    tool: Rc<Tool>,
    standing: Standing,
}

impl Candidate {
    fn told(&self) -> choice::Candidate<'_> {
        let price = &self.tool.operation.price;
        choice::Candidate {
            tool: &self.tool.id,
            provider: &self.tool.provider.slug,
            category: self.tool.category(),
            price: if price.call > Nanos::ZERO {
                price.call
            } else {
                price.hold.unwrap_or(price.unit)
            },
            standing: self.standing,
        }
    }
}

/// Notes what a provider did just now.
pub(super) fn attempted<W: World>(world: &W, account: &str, tool: &Tool, attempt: &Attempt) {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    let outcome = match attempt.observed.verdict {
        Verdict::Ok => Outcome::Ok,
        Verdict::Fault => Outcome::Fault,
        Verdict::RateLimited => Outcome::RateLimited {
            retry_after_s: None,
        },
        Verdict::Unknown => Outcome::Unknown,
    };
    let began_ms = now_ms.saturating_sub(attempt.latency_ms);
    memory
        .tool_health
        .note_at(&tool.id, outcome, began_ms, now_ms);
    memory.beliefs.note(account, &attempt.observed);
}

/// Observations below which nothing is said of how a tool does.
const LEAST_SEEN: u64 = 20;
/// What is surely below this rate does badly.
const HEALTHY: f64 = 0.95;
/// What is surely below this one does not do it at all.
const DOWN: f64 = 0.5;

/// How a tool does, in a word and a number: `degraded` and `down` are said only where the counts leave no doubt.
pub(super) fn standing(view: &View, tool: &Tool, now_ms: u64) -> listing::Standing {
    let Some(record) = view.told_by(&tool.id) else {
        return listing::Standing::default();
    };
    let believed = view.success(&tool.id, tool.category());
    let is_known = record.seen() >= LEAST_SEEN;
    let upper = believed.quantile(choice::UPPER);
    let rests = |until| u64::try_from(until).is_ok_and(|until| now_ms < until);
    let health = match record.rests_until() {
        Some(until) if rests(until) => "down",
        _ if !is_known => "unknown",
        _ if upper < DOWN => "down",
        _ if upper < HEALTHY => "degraded",
        _ => "healthy",
    };
    let rating = 1.0 + 9.0 * believed.quantile(choice::LOWER);
    listing::Standing {
        health,
        rating: is_known.then(|| (rating * 10.0).round() / 10.0),
        more: Some(told(view, tool.category(), &tool.id, record)),
    }
}

/// Answers `GET /beliefs`.
pub(super) async fn show<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    know(world, &key.account).await;
    let view = world.memory().beliefs.view(&key.account);
    let (category, tool) = (request.query("category"), request.query("tool"));
    let mut data = Vec::new();
    let mut champions = Vec::new();
    for (name, members) in view.shared.categories() {
        if category.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let members: Vec<_> = members
            .into_iter()
            .filter(|(id, _)| tool.is_none_or(|wanted| wanted == *id))
            .collect();
        champions.extend(champion(&view, name, &members));
        data.extend(
            members
                .iter()
                .map(|(id, record)| told(&view, name, id, record)),
        );
    }
    let gathered_at = i64::try_from(view.shared.gathered_at).unwrap_or_default();
    Ok(Response::json(
        200,
        &json!({
            "data": data,
            "champions": champions,
            "rule": RULE,
            "constants": constants(),
            "gathered_at": (gathered_at > 0).then(|| rfc3339(gathered_at)),
        }),
    ))
}

fn constants() -> Value {
    json!({
        "prior_weight": book::PRIOR_WEIGHT,
        "first_mean": book::FIRST_MEAN,
        "decay": record::DECAY,
        "outage_run": record::OUTAGE_RUN,
        "outage_chance": record::OUTAGE_CHANCE,
        "first_rest_ms": record::FIRST_REST_MS,
        "longest_rest_ms": record::LONGEST_REST_MS,
        "proof_of_recovery": record::PROOF_OF_RECOVERY,
        "change": record::CHANGE,
        "change_ratio": record::CHANGE_RATIO,
        "kept_after_change": record::KEPT_AFTER_CHANGE,
        "own_half": book::OWN_HALF,
        "share_per_hour": book::SHARE_PER_HOUR,
        "sharpness": choice::SHARPNESS,
        "worth_of_reads": choice::WORTH_OF_READS,
        "worth_of_writes": choice::WORTH_OF_WRITES,
        "second_cycle_ms": choice::SECOND_CYCLE,
        "price_cycle": 0.01,
        "lower_bound": choice::LOWER,
    })
}

/// The operation of a category that writes would go to: the best lower bound.
fn champion(view: &View, category: &str, members: &[(&str, &Record)]) -> Option<Value> {
    let bound = |(tool, _): &&(&str, &Record)| view.success(tool, category).quantile(choice::LOWER);
    let (tool, record) = members
        .iter()
        .max_by(|a, b| bound(a).total_cmp(&bound(b)))?;
    Some(json!({
        "champion": tool,
        "confidence": rounded(view.success(tool, category).quantile(choice::LOWER)),
        "super_category": category,
        "sub_category": null,
        "observation_count": record.seen(),
    }))
}

fn told(view: &View, category: &str, tool: &str, record: &Record) -> Value {
    let believed = view.success(tool, category);
    let totals = &record.totals;
    let mean_cost = record.mean_cost().and_then(|nanos| Nanos::new(nanos).ok());
    json!({
        "tool": tool,
        "category": category,
        "success": {
            "mean": rounded(believed.mean()),
            "interval": [rounded(believed.quantile(choice::LOWER)), rounded(believed.quantile(choice::UPPER))],
            "effective_n": rounded(believed.weight()),
        },
        "observations": totals,
        "errors": record.classes,
        "latency": {"p50": record.latency(50), "p90": record.latency(90), "p99": record.latency(99)},
        "mean_cost": mean_cost.map(Nanos::to_json_number),
        "last_seen": rfc3339(record.last_seen),
        "resting_until": record.rests_until().map(rfc3339),
        "own": view.own.get(tool).map(|own| json!({"observations": own.totals, "errors": own.classes, "last_seen": rfc3339(own.last_seen)})),
    })
}

/// What somebody says of an execution.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    outcome: Said,
    reason: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Said {
    Success,
    Failure,
}

/// The longest reason, in characters.
const MOST_REASON: usize = 500;

const KEEP: &str = "
    INSERT INTO tool_reports (execution, account, key_hash, tool, category, outcome, before, reason, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (execution) DO NOTHING RETURNING seq";

/// Answers `POST /tools/executions/{id}/report`.
pub(super) async fn report<W: World>(world: &W, request: Request, id: &str) -> Result<Response> {
    let key = principal(world, &request).await?;
    let report: Report = request.json().await?;
    if report
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > MOST_REASON)
    {
        return Err(Error::invalid(
            "reason",
            "reason has at most 500 characters",
        ));
    }
    let found = world
        .call(&key.account, &ToolGet { id: id.to_owned() })
        .await?;
    // Whose key it was is told to nobody else.
    let execution = found
        .filter(|found| found.key_hash == key.hash)
        .ok_or_else(|| super::not_on_record("execution", id))?;
    let before = match execution.state {
        ExecutionState::Succeeded => "ok",
        ExecutionState::Unknown => "unknown",
        _ => {
            return Err(conflict(
                "Only an execution that succeeded, or whose outcome is unknown, can be reported on",
            ));
        }
    };
    let outcome = if report.outcome == Said::Success {
        "success"
    } else {
        "failure"
    };
    let body = json!({"data": {"id": id, "tool": execution.tool, "outcome": outcome}});
    // What an account thinks of its own tools is for nobody else.
    if key.own_tools
        && let Some(tool) = sources::catalog(world, Some(&key.account))
            .await?
            .get(&execution.tool)
        && tool.provider.owner.is_some()
    {
        return Ok(Response::json(200, &body));
    }
    let beliefs = world.memory().beliefs.view(&key.account);
    let category = beliefs
        .told_by(&execution.tool)
        .map(|record| record.category.clone());
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let reason = report
        .reason
        .as_deref()
        .map_or(SqlValue::Null, SqlValue::from);
    let params = [
        id.into(),
        key.account.as_str().into(),
        key.hash.as_str().into(),
        execution.tool.as_str().into(),
        category.as_deref().unwrap_or_default().into(),
        outcome.into(),
        before.into(),
        reason,
        now.into(),
    ];
    if world.query(KEEP, &params).await?.is_empty() {
        return Err(conflict(
            "This execution has been reported on: there is one vote for each",
        ));
    }
    if report.outcome == Said::Failure {
        // What led there is no example of what the tool is for.
        memory::forget(world, &key.account, id).await?;
        world.memory().intents.forget(&key.account);
    }
    Ok(Response::json(200, &body))
}

fn conflict(message: &str) -> Error {
    Error::new(Source::Client, Next::Final, ErrorType::Conflict, message)
}
