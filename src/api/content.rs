//! What was asked and answered: keeping it behind the response, and `GET /generation/content`.
//!
//! A key reads what it sent itself; who administers the account reads all of it. What somebody else sent is refused in the words of
//! what is not there.

use serde::Serialize;
use serde_json::Value;

use super::{
    World,
    account::json_data,
    any_key, byok,
    caller::manager,
    http::{Request, Response},
    not_on_record,
};
use crate::{
    error::{Error, Result},
    identity::{KeyRecord, Role},
    usage::content::{
        Captured, Keeper,
        d1::{self, Kept},
    },
};

/// Who keeps what this key's requests ask and are answered, where its account may want that.
pub(super) fn keeper<W: World>(world: &W, key: &KeyRecord) -> Option<Keeper> {
    if !key.captures {
        return None;
    }
    let (world, account, hash) = (world.clone(), key.account.clone(), key.hash.clone());
    Some(Keeper(std::rc::Rc::new(move |captured: Captured| {
        let (world, account, hash) = (world.clone(), account.clone(), hash.clone());
        Box::pin(async move {
            if let Err(error) = keep(&world, &account, &hash, &captured).await {
                world.report(&format!(
                    "{}: its content is not kept: {error}",
                    captured.id
                ));
            }
        })
    })))
}

async fn keep<W: World>(world: &W, account: &str, hash: &str, captured: &Captured) -> Result<()> {
    let ring = byok::required_keyring(world)?;
    let (random, now) = (world.random()?, now(world));
    d1::keep(world, &ring, &random, (account, hash), captured, now).await
}

/// Whose records may be read: all of the account, or those of one key.
struct Reader {
    account: String,
    key_hash: Option<String>,
}

async fn reader<W: World>(world: &W, request: &Request) -> Result<Reader> {
    let bears_key =
        request.header("authorization").is_some() || request.header("x-api-key").is_some();
    if bears_key {
        let key = any_key(world, request).await?;
        if !key.management {
            return Ok(Reader {
                account: key.account,
                key_hash: Some(key.hash),
            });
        }
    }
    let manager = manager(world, request, Role::Admin).await?;
    Ok(Reader {
        account: manager.account,
        key_hash: None,
    })
}

/// `GET /generation/content?id=`.
pub(super) async fn show<W: World>(world: &W, request: &Request) -> Result<Response> {
    let reader = reader(world, request).await?;
    let id = request
        .query("id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Error::invalid("id", "The query parameter id is missing"))?;
    let ring = byok::required_keyring(world)?;
    let kept = d1::read(world, &ring, &reader.account, id, now(world)).await?;
    let is_theirs = |kept: &Kept| {
        reader
            .key_hash
            .as_ref()
            .is_none_or(|own| *own == kept.key_hash)
    };
    let kept = kept
        .filter(is_theirs)
        .ok_or_else(|| not_on_record("content of a generation", id))?;
    #[derive(Serialize)]
    struct Shown {
        input: Value,
        output: Value,
        error: Option<Value>,
        input_truncated: bool,
        output_truncated: bool,
    }
    let content = kept.content;
    let shown = Shown {
        input: content.input,
        output: content.output,
        error: content.error,
        input_truncated: content.input_truncated,
        output_truncated: content.output_truncated,
    };
    Ok(Response::json(200, &json_data(&shown)))
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}
