//! Running calls of server tools: their requests are sent and read here, within limits. A failure is told to the model.

use std::{pin::pin, rc::Rc};

use futures::{
    StreamExt,
    future::{Either, join_all, select},
};

use super::ports::Platform;
use crate::{
    credits::{
        money::{MoneyError, Nanos},
        pricing::{Charge, Part},
    },
    dialects::report::ServerToolUse,
    guardrails::{Filters, Screening, Voice},
    server_tools::{Begun, Called, Next, REQUEST_MS, Run, Spent, WebAnswer, WebRequest},
};

/// Runs calls side by side, but one that changes something alone, after those before it; their results in the same order.
pub async fn run_all<P: Platform>(platform: &P, begun: Vec<Begun>) -> Vec<Called> {
    let mut results = Vec::with_capacity(begun.len());
    let mut beside = Vec::new();
    for one in begun {
        if matches!(one, Begun::Hosted { is_read: false, .. }) {
            results.extend(join_all(beside.drain(..).map(|one| run(platform, one))).await);
            results.push(run(platform, one).await);
        } else {
            beside.push(one);
        }
    }
    results.extend(join_all(beside.into_iter().map(|one| run(platform, one))).await);
    results
}

async fn run<P: Platform>(platform: &P, begun: Begun) -> Called {
    match begun {
        Begun::Done(called) => called,
        Begun::Waits(run, request) => finish(platform, run, request).await,
        Begun::Hosted { run, .. } => run().await,
    }
}

/// Runs a call to its end.
pub async fn finish<P: Platform>(platform: &P, mut run: Run, mut request: WebRequest) -> Called {
    loop {
        let answer = ask(platform, request).await;
        match run.answered(answer) {
            Next::Send(next) => request = next,
            Next::Done(called) => return called,
        }
    }
}

/// Sends one request and reads as much of its answer as is wanted.
///
/// # Errors
/// What went wrong, in words that hold nothing of the address.
pub async fn ask<P: Platform>(platform: &P, request: WebRequest) -> Result<WebAnswer, String> {
    let most = request.max_bytes;
    let work = async {
        // The words of the platform may name the address, and with it what stands in it.
        let failed = |_| "the connection failed".to_owned();
        let mut response = platform.fetch(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while body.len() < most
            && let Some(piece) = response.body.next().await
        {
            body.extend_from_slice(&piece.map_err(failed)?);
        }
        body.truncate(most);
        Ok(WebAnswer {
            status: response.status,
            content_type: response.content_type,
            location: response.location,
            body,
        })
    };
    match select(pin!(work), platform.sleep(REQUEST_MS)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err("it took too long".to_owned()),
    }
}

/// What content filters leave of a result for the model. A result that they do not let through is a failure.
pub fn screen(filters: Option<&Rc<Filters>>, called: &mut Called) {
    let Some(filters) = filters else {
        return;
    };
    let mut screening = Screening::new(Rc::clone(filters));
    let changed = screening.text(Voice::Other, &called.told);
    match (screening.finish(), changed) {
        (Err(refused), _) => {
            let spent = called.spent.take();
            *called = Called {
                spent,
                fee: called.fee,
                ..Called::failed(refused.message)
            };
        }
        (Ok(_), Some(changed)) => called.told = changed,
        (Ok(_), None) => {}
    }
}

/// What the tools of a request have used up so far.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Calls that the model asked for.
    pub requested: u64,
    executed: u64,
    /// What executions of the catalog's tools cost, each with a bill of its own.
    pub executions: Nanos,
    units: Vec<(Part, u64, Nanos)>,
}

impl Used {
    /// A call was run.
    pub fn add(&mut self, called: &Called) {
        self.executed += 1;
        let executions = self.executions.checked_add(called.fee);
        self.executions = executions.unwrap_or(self.executions);
        match called.spent {
            Some(Spent::Search(fee)) => {
                self.units.push((Part::WebSearch, 1, fee.search));
                if fee.included > 0 {
                    self.units
                        .push((Part::WebSearchResult, fee.included, Nanos::ZERO));
                }
                let further = fee
                    .further
                    .map(|(count, price)| (Part::WebSearchResult, count, price));
                self.units.extend(further);
            }
            Some(Spent::Fetch) => self.units.push((Part::WebFetch, 1, Nanos::ZERO)),
            None => {}
        }
    }

    /// What it costs.
    ///
    /// # Errors
    /// Beyond any price.
    pub fn charge(&self) -> Result<Charge, MoneyError> {
        Charge::of_units(&self.units)
    }

    /// What the client is told of it.
    pub fn report(&self, charge: &Charge) -> ServerToolUse {
        ServerToolUse {
            web_search_requests: charge.count(Part::WebSearch),
            web_fetch_requests: charge.count(Part::WebFetch),
            calls_requested: self.requested,
            calls_executed: self.executed,
            cost: charge.total,
            executions: self.executions,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guardrails::{Applied, Fields, PatternCache, Policy, Scope, Settings, read};

    #[test]
    fn what_a_page_says_goes_through_the_filters_too() {
        for (action, scope, told, is_error) in [
            ("redact", "all_messages", Some("write to [EMAIL]"), false),
            ("flag", "all_messages", Some("write to a@b.de"), false),
            ("redact", "user_only", Some("write to a@b.de"), false),
            ("block", "all_messages", None, true),
        ] {
            let body = json!({"content_filter_builtins": [{"slug": "email", "action": action, "scan_scope": scope}]});
            let mut settings = Settings::default();
            read(&mut settings, body.as_object().unwrap(), Fields::Guardrail).unwrap();
            let policy = Policy::of(vec![Applied {
                id: "g".into(),
                name: "g".into(),
                scope: Scope::ApiKey,
                settings,
            }]);
            let mut called = Called {
                told: "write to a@b.de".into(),
                is_error: false,
                sources: Vec::new(),
                result: json!({}),
                spent: Some(Spent::Fetch),
                ..Called::default()
            };
            screen(
                policy.filters(&PatternCache::default()).as_ref(),
                &mut called,
            );
            assert_eq!(called.is_error, is_error, "{action} {scope}");
            match told {
                Some(told) => assert_eq!(called.told, told, "{action} {scope}"),
                None => assert!(!called.told.contains("a@b.de"), "{}", called.told),
            }
            assert!(called.spent.is_some());
        }
    }
}
