//! The tools by the operator: published with the models, read from D1 where KV is out.

use serde_json::{Value, json};

use crate::{
    api::{World, http::Response},
    credits::sql::SqlValue,
    error::{Error, Result},
    tools::catalog::{
        Means,
        publish::{POINTER, ToolSnapshot, key},
    },
};

/// The most bytes of a text that one row of D1 takes.
const PART_BYTES: usize = 60_000;

/// The statement that reads a text of the tools from D1.
pub fn select(key: &str) -> (&'static str, Vec<SqlValue>) {
    match key.strip_prefix("tools:").filter(|_| key != POINTER) {
        Some(version) => (
            "SELECT group_concat(json, '') AS json FROM (SELECT json FROM tool_texts WHERE version = ?1 ORDER BY part)",
            vec![version.into()],
        ),
        None => (
            "SELECT version AS json FROM tool_versions ORDER BY published_at DESC LIMIT 1",
            Vec::new(),
        ),
    }
}

/// Reads the tools of a publication before anything of it is written.
pub(super) fn read(tools: Option<Value>) -> Result<Option<ToolSnapshot>> {
    let read = |value| {
        ToolSnapshot::read(value).map_err(|error| Error::invalid("body.tools", error.to_string()))
    };
    tools.map(read).transpose()
}

/// Publishes the tools: the text first, then the pointer to it, so that readers see one version whole. D1 keeps the text in parts.
pub(super) async fn publish<W: World>(world: &W, snapshot: &ToolSnapshot) -> Result<()> {
    let version = snapshot.version.as_str();
    let text = snapshot
        .text()
        .map_err(|error| Error::internal(error.to_string()))?;
    world.put_kv(&[(key(version), text.clone())]).await?;
    let part =
        "INSERT INTO tool_texts (version, part, json) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    for (at, piece) in pieces(&text).into_iter().enumerate() {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        world
            .query(part, &[version.into(), at.into(), piece.into()])
            .await?;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let switch = "INSERT INTO tool_versions (version, published_at) VALUES (?1, ?2) ON CONFLICT (version) DO UPDATE SET published_at = excluded.published_at";
    world.query(switch, &[version.into(), now.into()]).await?;
    world
        .put_kv(&[(POINTER.to_owned(), version.to_owned())])
        .await?;
    prune(world).await?;
    world.memory().tools.forget();
    Ok(())
}

/// `GET /admin/tools`: the providers of the tools in force, and what of them can be called with the deployment's own secrets. The
/// secrets themselves are never shown.
pub(super) async fn show<W: World>(world: &W) -> Result<Response> {
    let memory = world.memory();
    let catalog = memory.tools.catalog(world, world.now_ms()).await?;
    let has = |name: &str| world.var(name).is_some();
    let means = Means {
        has: &has,
        owns: &|_| false,
        accounts_bring_keys: world.var("BYOK_MASTER_KEY").is_some(),
        single_tenant: world
            .var("TOOLS_SINGLE_TENANT")
            .is_some_and(|it| it == "on"),
    };
    let rows = catalog.providers().iter().map(|provider| {
        let tools = catalog.tools().iter();
        let own = tools.filter(|tool| tool.provider.slug == provider.slug);
        let callable = own.filter(|tool| means.offer(tool).is_callable()).count();
        json!({
            "slug": provider.slug,
            "name": provider.name,
            "category": provider.category,
            "secret": provider.secret,
            "key": provider.secret.as_deref().is_some_and(has),
            "pooling": provider.pooling,
            "operations": provider.operation.len(),
            "callable": callable,
        })
    });
    let data: Vec<Value> = rows.collect();
    Ok(Response::json(
        200,
        &json!({"data": data, "version": catalog.version()}),
    ))
}

/// What is told of a publication.
pub(super) fn told(snapshot: &ToolSnapshot) -> Value {
    json!({
        "version": snapshot.version,
        "providers": snapshot.providers.len(),
        "operations": snapshot.operations(),
        "capabilities": snapshot.capabilities.len(),
    })
}

/// Keeps the version in force and the one before it, which readers may hold for another minute.
async fn prune<W: World>(world: &W) -> Result<()> {
    let old = "SELECT version FROM tool_versions ORDER BY published_at DESC LIMIT -1 OFFSET 2";
    for row in world.query(old, &[]).await? {
        let Some(version) = row.get("version").and_then(Value::as_str) else {
            continue;
        };
        world.delete_kv(&[key(version)]).await?;
        for sql in [
            "DELETE FROM tool_texts WHERE version = ?1",
            "DELETE FROM tool_versions WHERE version = ?1",
        ] {
            world.query(sql, &[version.into()]).await?;
        }
    }
    Ok(())
}

/// A text in pieces that D1 takes.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(PART_BYTES);
        let Some((piece, after)) = rest.split_at_checked(end) else {
            break;
        };
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_and_make_the_text_again() {
        let text = "añb€".repeat(40_000);
        let pieces = pieces(&text);
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() <= PART_BYTES));
        assert_eq!(pieces.concat(), text);
    }
}
