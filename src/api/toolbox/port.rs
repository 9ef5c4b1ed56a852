//! The world as executions of tools see it.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use serde_json::value::RawValue;

use super::{Origin, guard};
use crate::{
    access::token::{TokenPort, Tokens},
    api::{World, beliefs},
    credits::{
        money::Nanos,
        ops,
        pricing::{Charge, Line, Part},
    },
    error::{Error, Result},
    identity::KeyRecord,
    relay::limits,
    tools::{
        catalog::Tool,
        connector::{Answer, Outgoing},
        envelope::Status,
        execute::{Attempt, Choosing, Chosen, Record, SendError, ToolPort},
    },
    usage::{self, UsageRow, observed::Observed},
};

/// The kind of usage rows that executions of tools leave.
pub(in crate::api) const API_TYPE: &str = "tool";

/// A world, and where the request came from.
pub(in crate::api) struct Port<W>(Rc<Inner<W>>);

struct Inner<W> {
    world: W,
    origin: Origin,
    account: String,
    member: Option<String>,
}

impl<W> Clone for Port<W> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<W: World> Port<W> {
    /// The world for requests of this origin.
    pub(in crate::api) fn new(world: &W, origin: Origin, key: &KeyRecord) -> Self {
        Self(Rc::new(Inner {
            world: world.clone(),
            origin,
            account: key.account.clone(),
            member: key.member.clone(),
        }))
    }

    /// The world behind it.
    pub(in crate::api) fn world(&self) -> &W {
        &self.0.world
    }

    fn row(&self, record: &Record<'_>) -> UsageRow {
        let Inner { origin, member, .. } = &*self.0;
        let attempts = record.attempts.iter().map(|attempt| usage::Attempt {
            provider: record.provider.to_owned(),
            endpoint: attempt.tool.clone(),
            model: attempt.tool.clone(),
            status: attempt.status,
            latency_ms: signed(attempt.latency_ms),
            error: attempt.error.clone(),
            own_key: record.own_key.map(str::to_owned),
            observed: (!attempt.is_private).then(|| Observed {
                // Only what succeeded is charged, and nothing for looking before.
                cost: if attempt.class.is_none() && attempt.tool == record.tool {
                    record.charge.get()
                } else {
                    0
                },
                ..attempt.observed.clone()
            }),
            ..usage::Attempt::default()
        });
        let finish = match record.status {
            Status::Succeeded => Some("stop"),
            Status::Running | Status::Unknown => None,
            _ => Some("error"),
        };
        UsageRow {
            request_id: origin.request_id.clone(),
            created_at: signed(record.began_ms),
            api_type: API_TYPE.to_owned(),
            model: record.tool.to_owned(),
            provider: Some(record.provider.to_owned()),
            endpoint: Some(record.tool.to_owned()),
            upstream_id: record.upstream_id.map(str::to_owned),
            finish_reason: finish.map(str::to_owned),
            latency_ms: Some(signed(record.latency_ms)),
            generation_ms: Some(signed(record.latency_ms)),
            error: record.error.map(str::to_owned),
            origin: origin.told.clone(),
            attempts: attempts.collect(),
            own_key: record.own_key.map(str::to_owned),
            list_cost: record.list_cost,
            charge: charge(record.charge),
            member: member.clone(),
            app: origin.app.clone(),
            surface: Some(record.surface.to_owned()),
            ..UsageRow::default()
        }
    }

    /// How long the deployment lets credits be held.
    fn hold_lifetime_ms(&self) -> i64 {
        let named = self.0.world.var("HOLD_LIFETIME_MS");
        let lifetime = limits::hold_lifetime_ms(named.as_deref());
        i64::try_from(lifetime.unwrap_or(limits::HOLD_LIFETIME_MS)).unwrap_or(i64::MAX)
    }
}

/// The one line of a charge: what the row's price and the margin came to.
fn charge(total: Nanos) -> Option<Charge> {
    (total > Nanos::ZERO).then(|| Charge {
        total,
        lines: vec![Line::each(Part::Request, 1, total.get())],
        ..Charge::default()
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl<W: World> ToolPort for Port<W> {
    fn now_ms(&self) -> u64 {
        self.0.world.now_ms()
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()> {
        self.0.world.sleep(ms)
    }

    fn random(&self) -> Result<[u8; 32]> {
        self.0.world.random()
    }

    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>> {
        guard::send(&self.0.world, request)
    }

    async fn admits(&self, url: &str) -> Result<(), String> {
        guard::admits(&self.0.world, url).await
    }

    async fn ledger<C: ops::Call>(&self, account: &str, call: &C) -> Result<C::Reply> {
        self.0.world.call(account, call).await
    }

    fn longest_hold_ms(&self) -> u64 {
        u64::try_from(self.hold_lifetime_ms()).unwrap_or(u64::MAX)
    }

    fn tokens(&self) -> Rc<Tokens> {
        Rc::clone(&self.0.world.memory().tokens)
    }

    fn issuer(&self) -> impl TokenPort + 'static {
        self.0.world.issuer()
    }

    fn choose(&self, choosing: &Choosing<'_>) -> Chosen {
        beliefs::choose(&self.0.world, &self.0.account, choosing)
    }

    fn attempted(&self, tool: &Tool, _is_own: bool, attempt: &Attempt) {
        // Another account may have tools of the same name.
        if !attempt.is_private {
            beliefs::attempted(&self.0.world, &self.0.account, tool, attempt);
        }
    }

    fn usage_row(&self, record: &Record<'_>) -> Result<Box<RawValue>> {
        let row = self.row(record).into_raw();
        row.map_err(|error| Error::internal(error.to_string()))
    }

    fn var(&self, name: &str) -> Option<String> {
        self.0.world.var(name)
    }

    fn report(&self, message: &str) {
        self.0.world.report(message);
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        self.0.world.spawn(task);
    }

    fn detach(&self) {
        self.0.world.detach();
    }
}
