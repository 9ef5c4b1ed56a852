//! The cron's event, each minute: what is due, one thing after the other. What fails is reported, and keeps nothing else from running.
//!
//! Where faults may be injected, the event's cron expression names them, as a request's header does.

use std::rc::Rc;

use worker::{Env, ScheduleContext, ScheduledEvent, console_error};

use super::{
    fault::Faults,
    js,
    world::{Edge, Tasks},
};
use crate::{
    api::{self, World, deliver, run_billing},
    books::{reconcile_some, rows_since},
    database::Database,
    tools::beliefs,
    usage::{content, rankings, rollup, statistics::gather},
};

/// How often people's sessions, links and codes are looked through, in minutes.
const TIDY_MINUTES: u64 = 10;

/// Runs what is due.
pub async fn scheduled(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    let faults = Faults::of(&env, Some(&event.cron()));
    let edge = Edge::new(env, Tasks::Schedule(context), faults, Rc::default());
    let now = js::now_ms();
    let at = i64::try_from(now).unwrap_or(i64::MAX);
    match gather(&edge, at).await {
        Ok(gathered) => {
            if let Some(statistics) = gathered.statistics {
                edge.memory().statistics.adopt(statistics, now);
            }
        }
        Err(error) => console_error!("the statistics wait for the next run: {error}"),
    }
    match beliefs::gather::gather(&edge, at).await {
        Ok(gathered) => {
            if let Some(book) = gathered.book {
                edge.memory().beliefs.adopt(book, None, now);
            }
        }
        Err(error) => console_error!("the beliefs wait for the next run: {error}"),
    }
    if let Err(error) = content::d1::purge(&edge, at).await {
        console_error!("content whose time is over waits for the next run: {error}");
    }
    if let Err(error) = run_billing(&edge, None).await {
        console_error!("the jobs of billing wait for the next run: {error}");
    }
    if (now / 60_000).is_multiple_of(TIDY_MINUTES)
        && let Err(error) = api::tidy(&edge).await
    {
        console_error!("what has ended for people waits for the next run: {error}");
    }
    match rollup::Retention::read(edge.var("USAGE_RAW_DAYS").as_deref()) {
        Ok(retention) => {
            if let Err(error) = rollup::roll_up(&edge, retention, at).await {
                console_error!("usage is added up in the next run: {error}");
            }
        }
        Err(problem) => console_error!("usage is neither added up nor forgotten: {problem}"),
    }
    if let Err(error) = rankings::publish(&edge, at).await {
        console_error!("the rankings wait for the next run: {error}");
    }
    if let Err(error) = deliver(&edge).await {
        console_error!("the log destinations wait for the next run: {error}");
    }
    let since = rows_since(edge.var("USAGE_RAW_DAYS").as_deref(), at);
    match reconcile_some(&edge, since, at).await {
        Ok(lines) => lines.iter().for_each(|line| console_error!("{line}")),
        Err(error) => console_error!("the reconciliation waits for the next run: {error}"),
    }
    let ended = "UPDATE cron_runs SET ended_at = ?1";
    if let Err(error) = edge.query(ended, &[at.into()]).await {
        console_error!("the end of the cron is not on record: {error}");
    }
}
