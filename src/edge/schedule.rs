//! The cron's event: the statistics of endpoints are gathered each minute.
//!
//! Where faults may be injected, the event's cron expression names them, as a request's header does.

use std::rc::Rc;

use worker::{Env, ScheduleContext, ScheduledEvent, console_error};

use super::{
    fault::Faults,
    js,
    world::{Edge, Tasks},
};
use crate::{api::World, usage::statistics::gather};

/// Runs what is due.
pub async fn scheduled(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    let faults = Faults::of(&env, Some(&event.cron()));
    let edge = Edge::new(env, Tasks::Schedule(context), faults, Rc::default());
    let now = js::now_ms();
    match gather(&edge, i64::try_from(now).unwrap_or(i64::MAX)).await {
        Ok(gathered) => {
            if let Some(statistics) = gathered.statistics {
                edge.memory().statistics.adopt(statistics, now);
            }
        }
        Err(error) => console_error!("the statistics wait for the next run: {error}"),
    }
}
