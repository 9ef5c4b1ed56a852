//! The catalog by the operator: publishing a snapshot so that readers see the old one or the new one, whole.

use serde_json::{Value, json};

use super::{audit, tool_catalog};
use crate::{
    api::{World, http::Response},
    catalog::{
        Snapshot,
        publish::{POINTER, index_key, list_key, model_key, names_key, providers_key},
    },
    credits::sql::SqlValue,
    error::{Error, Result},
    identity::Actor,
};

/// The statement that reads a published text from D1 where KV is out.
pub fn select_catalog(key: &str) -> (&'static str, Vec<SqlValue>) {
    if key.starts_with("tools:") {
        tool_catalog::select(key)
    } else if key == POINTER {
        let newest = "SELECT version AS json FROM catalog_versions WHERE published_at IS NOT NULL ORDER BY published_at DESC LIMIT 1";
        (newest, Vec::new())
    } else {
        (
            "SELECT json FROM catalog_models WHERE slug = ?1",
            vec![key.into()],
        )
    }
}
/// The most rows of D1 that one statement of a publication writes.
const CATALOG_BATCH_BYTES: usize = 60_000;
/// KV writes are made in parallel by so many at a time.
const KV_BATCH: usize = 100;
pub(super) async fn show_catalog<W: World>(world: &W) -> Result<Response> {
    let version = world.catalog_text(POINTER).await?;
    Ok(Response::json(200, &json!({"data": {"version": version}})))
}

/// Publishes a snapshot, less the providers that this deployment cannot call: with the operator's keys, or where accounts may
/// bring keys with any. What only own keys can call is served but not listed. Readers see the old version or the new one,
/// whole: the pointer is written last. D1 keeps what requests need, for the case that KV is out.
pub(super) async fn publish<W: World>(world: &W, actor: &Actor, body: Vec<u8>) -> Result<Response> {
    let accounts_bring_keys = world.var("BYOK_MASTER_KEY").is_some();
    let text =
        String::from_utf8(body).map_err(|error| Error::invalid("body", error.to_string()))?;
    let mut snapshot =
        Snapshot::parse(&text).map_err(|error| Error::invalid("body", error.to_string()))?;
    let tools = tool_catalog::read(snapshot.tools.take())?;
    let snapshot = snapshot
        .restricted(|provider| {
            world.can_call(provider) || (accounts_bring_keys && world.can_reach(provider))
        })
        .map_err(|error| Error::internal(error.to_string()))?;
    let version = snapshot.version.clone();
    let writes = if accounts_bring_keys {
        let offered = snapshot.clone();
        offered
            .restricted(|provider| world.can_call(provider))
            .and_then(|offered| snapshot.writes_listing(&offered))
    } else {
        snapshot.writes()
    };
    let writes = writes.map_err(|error| Error::internal(error.to_string()))?;
    let (pointer, entries) = writes
        .split_last()
        .ok_or_else(|| Error::internal("a publication without a pointer"))?;
    let kept: Vec<(String, String)> = [names_key(&version), providers_key(&version)]
        .into_iter()
        .chain(
            snapshot
                .models
                .iter()
                .map(|model| model_key(&version, &model.slug)),
        )
        .filter_map(|key| entries.iter().find(|(own, _)| *own == key).cloned())
        .collect();
    for batch in entries.chunks(KV_BATCH) {
        world.put_kv(batch).await?;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    write_d1(world, &version, &kept).await?;
    let switch = "INSERT INTO catalog_versions (version, published_at) VALUES (?1, ?2) ON CONFLICT (version) DO UPDATE SET published_at = excluded.published_at";
    world
        .query(switch, &[version.as_str().into(), now.into()])
        .await?;
    world.put_kv(std::slice::from_ref(pointer)).await?;
    prune(world).await?;
    world.memory().catalog.forget();
    if let Some(tools) = &tools {
        tool_catalog::publish(world, tools).await?;
    }
    let counts = format!(
        "{} models, {} endpoints",
        snapshot.models.len(),
        snapshot.endpoints.len()
    );
    audit(world, actor, "catalog.publish", None, &version, &counts).await?;
    Ok(Response::json(
        200,
        &json!({"data": {
            "version": version,
            "models": snapshot.models.len(),
            "endpoints": snapshot.endpoints.len(),
            "providers": snapshot.providers.len(),
            "tools": tools.as_ref().map(tool_catalog::told),
        }}),
    ))
}

/// Rows of one parameter each statement: D1 carries about 100 kB in one.
async fn write_d1<W: World>(world: &W, version: &str, entries: &[(String, String)]) -> Result<()> {
    let sql = "INSERT INTO catalog_models (version, slug, json) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING";
    let mut batch: Vec<&(String, String)> = Vec::new();
    let mut size = 0;
    for entry in entries {
        if size + entry.1.len() > CATALOG_BATCH_BYTES && !batch.is_empty() {
            let text = json!(batch).to_string();
            world
                .query(sql, &[version.into(), text.as_str().into()])
                .await?;
            batch.clear();
            size = 0;
        }
        size += entry.1.len();
        batch.push(entry);
    }
    let text = json!(batch).to_string();
    world
        .query(sql, &[version.into(), text.as_str().into()])
        .await?;
    Ok(())
}

/// Keeps the version in force and the one before it, which readers may hold for another minute.
async fn prune<W: World>(world: &W) -> Result<()> {
    let old = "SELECT version FROM catalog_versions ORDER BY published_at DESC LIMIT -1 OFFSET 2";
    for row in world.query(old, &[]).await? {
        let Some(version) = row.get("version").and_then(Value::as_str) else {
            continue;
        };
        let param = [version.into()];
        let keys = "SELECT slug FROM catalog_models WHERE version = ?1";
        let rows = world.query(keys, &param).await?;
        let kept = rows
            .iter()
            .filter_map(|row| row.get("slug")?.as_str().map(str::to_owned));
        let rest = [list_key(version), index_key(version)];
        let keys: Vec<String> = kept.chain(rest).collect();
        world.delete_kv(&keys).await?;
        for sql in [
            "DELETE FROM catalog_models WHERE version = ?1",
            "DELETE FROM catalog_versions WHERE version = ?1",
        ] {
            world.query(sql, &param).await?;
        }
    }
    Ok(())
}
