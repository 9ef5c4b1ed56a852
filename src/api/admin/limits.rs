//! An account's limits of pace, as the operator sets them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        World,
        account::json_data,
        http::Response,
        keys::{body::PaceBody, pace},
    },
    credits::ops::{self, Limits},
    error::Result,
    identity::Actor,
};

use super::audit;

/// Limits as they are asked for: a number, `"unlimited"`, or `null` for what the deployment says. They replace what was set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLimits {
    #[serde(default)]
    requests_per_minute: Option<Value>,
    #[serde(default)]
    tokens_per_minute: Option<Value>,
    #[serde(default)]
    concurrent_requests: Option<Value>,
}

#[derive(Serialize)]
struct Body {
    requests_per_minute: Option<PaceBody>,
    tokens_per_minute: Option<PaceBody>,
    concurrent_requests: Option<PaceBody>,
    in_force: InForce,
}

/// `null` is no limit.
#[derive(Serialize)]
struct InForce {
    requests_per_minute: Option<i64>,
    tokens_per_minute: Option<i64>,
    concurrent_requests: Option<i64>,
}

fn told(view: &ops::LimitsView) -> Response {
    let (set, in_force) = (view.limits, view.in_force);
    let body = Body {
        requests_per_minute: PaceBody::of(set.requests),
        tokens_per_minute: PaceBody::of(set.tokens),
        concurrent_requests: PaceBody::of(set.concurrent),
        in_force: InForce {
            requests_per_minute: in_force.requests,
            tokens_per_minute: in_force.tokens,
            concurrent_requests: in_force.concurrent,
        },
    };
    Response::json(200, &json_data(&body))
}

/// `GET /admin/accounts/{id}/limits`.
pub(super) async fn show<W: World>(world: &W, account: &str) -> Result<Response> {
    Ok(told(&world.call(account, &ops::LimitsGet {}).await?))
}

/// `PUT /admin/accounts/{id}/limits`.
pub(super) async fn put<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    new: NewLimits,
) -> Result<Response> {
    let limits = Limits {
        requests: pace("requests_per_minute", new.requests_per_minute.as_ref())?,
        tokens: pace("tokens_per_minute", new.tokens_per_minute.as_ref())?,
        concurrent: pace("concurrent_requests", new.concurrent_requests.as_ref())?,
    };
    let view = world.call(account, &ops::LimitsPut { limits }).await?;
    let detail = serde_json::to_string(&limits).unwrap_or_default();
    audit(world, actor, "limits.put", Some(account), account, &detail).await?;
    Ok(told(&view))
}
