//! What a key's owner may see: `/key`, `/credits`.

use serde::Serialize;

use super::{
    World, any_key,
    caller::payer,
    http::{Request, Response},
    keys::body::StateBody,
};
use crate::{
    credits::{
        money::{Nanos, dollars},
        ops,
    },
    error::{Error, ErrorType, Next, Result, Source},
};

/// `GET /key`.
pub async fn key<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    if key.management {
        return Ok(Response::json(
            200,
            &json_data(&StateBody::of_manager(&key)),
        ));
    }
    let get = ops::KeyStateGet {
        hash: key.hash.clone(),
        member: key.member.clone(),
    };
    let state = world.call(&key.account, &get).await?;
    if state.key.disabled || state.key.deleted {
        return Err(Error::new(
            Source::Client,
            Next::Final,
            ErrorType::Authentication,
            "This API key is disabled",
        ));
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let body = StateBody::of(state, &key, now);
    Ok(Response::json(200, &json_data(&body)))
}

/// `{"data": …}`.
pub fn json_data<T: Serialize>(data: &T) -> impl Serialize {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        data: &'a T,
    }
    Envelope { data }
}

/// `GET /credits`.
pub async fn credits<W: World>(world: &W, request: &Request) -> Result<Response> {
    let account = payer(world, request).await?;
    let totals = world.call(&account, &ops::GetSnapshot {}).await?;
    #[derive(Serialize)]
    struct Totals {
        #[serde(with = "dollars")]
        total_credits: Nanos,
        #[serde(with = "dollars")]
        total_usage: Nanos,
    }
    let data = Totals {
        total_credits: totals.granted,
        total_usage: totals.charged,
    };
    Ok(Response::json(200, &json_data(&data)))
}
