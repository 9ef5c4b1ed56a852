//! What an account's tools were asked for with success: remembered for that account alone, bounded, and without the words.
//!
//! An intent is kept as the set of its features, each mixed with a key that is derived from the account and a secret of the deployment.
//! Of nobody else's intents anything is known: an account's words decide about its own requests only.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    index::{keyed, remembered},
    text::Features,
};
use crate::{
    credits::sql::SqlValue,
    database::{Row, Transactions},
    error::Result,
};

/// Intents of one account that are remembered: the oldest give way.
pub const MOST_INTENTS: usize = 1_000;
/// The same of one tool.
pub const MOST_OF_TOOL: usize = 64;
/// Features of one intent that are kept.
const MOST_FEATURES: usize = 64;

const SELECT: &str = "
    SELECT tool, features FROM tool_intents WHERE account = ?1 ORDER BY remembered_at DESC, digest LIMIT ?2";
const INSERT: &str = "
    INSERT INTO tool_intents (account, digest, tool, features, execution, remembered_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (account, digest) DO UPDATE SET tool = excluded.tool, execution = excluded.execution, remembered_at = excluded.remembered_at";
const PRUNE_TOOL: &str = "
    DELETE FROM tool_intents WHERE account = ?1 AND digest IN (
        SELECT digest FROM tool_intents WHERE account = ?1 AND tool = ?2 ORDER BY remembered_at DESC, digest LIMIT -1 OFFSET ?3)";
const PRUNE: &str = "
    DELETE FROM tool_intents WHERE account = ?1 AND digest IN (
        SELECT digest FROM tool_intents WHERE account = ?1 ORDER BY remembered_at DESC, digest LIMIT -1 OFFSET ?2)";
const FORGET: &str = "DELETE FROM tool_intents WHERE account = ?1 AND execution = ?2";

/// How long the copy of an account's intents lives, in seconds.
pub const COPY_SECONDS: u64 = 600;

/// Where copies of accounts' intents are kept for the isolates.
pub trait IntentCopies: Transactions {
    /// A copy.
    fn intents_copy(&self, key: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Keeps a copy for [`COPY_SECONDS`].
    fn copy_intents(&self, key: &str, text: &str) -> impl Future<Output = Result<()>>;
}

/// The name of an account's copy.
pub fn copy_key(account: &str) -> String {
    format!("tool-intents:{account}")
}

/// An account's intents: its copy, else what the database has, of which a copy is made.
///
/// # Errors
/// Those of the database; copies may fail.
pub async fn known<S: IntentCopies>(store: &S, account: &str) -> Result<Intents> {
    let key = copy_key(account);
    let copy = store.intents_copy(&key).await.ok().flatten();
    if let Some(intents) = copy.as_deref().and_then(from_text) {
        return Ok(intents);
    }
    let intents = recall(store, account).await?;
    // Lost is the way saved for the next isolate.
    store.copy_intents(&key, &to_text(&intents)).await.ok();
    Ok(intents)
}

/// The intents of an account: tool (or capability) and keyed features.
pub type Intents = Vec<(String, Vec<u32>)>;

/// The key that an account's features are mixed with.
pub fn account_key(account: &str, secret: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update("tool intents\0")
        .chain_update(secret)
        .chain_update("\0")
        .chain_update(account)
        .finalize();
    let bytes = digest.iter().take(8);
    // Never 0, which stands for no key.
    bytes.fold(0_u64, |key, byte| (key << 8) | u64::from(*byte)) | 1
}

/// An intent as it is remembered.
pub fn features(intent: &Features, key: u64) -> Vec<u32> {
    let mut features: Vec<u32> = remembered(intent)
        .into_iter()
        .map(|feature| keyed(feature, key))
        .collect();
    features.sort_unstable();
    features.truncate(MOST_FEATURES);
    features
}

/// Remembers that a tool served an intent. `execution` is the one that did.
///
/// # Errors
/// Those of the database.
pub async fn remember<S: Transactions>(
    store: &S,
    account: &str,
    tool: &str,
    features: &[u32],
    execution: &str,
    now_ms: i64,
) -> Result<()> {
    let packed = pack(features);
    let digest = Sha256::digest(packed.as_bytes());
    let digest: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let most = |most: usize| SqlValue::Int(i64::try_from(most).unwrap_or(i64::MAX));
    let insert = vec![
        account.into(),
        digest.as_str().into(),
        tool.into(),
        packed.as_str().into(),
        execution.into(),
        now_ms.into(),
    ];
    store
        .transaction(&[
            (INSERT, insert),
            (
                PRUNE_TOOL,
                vec![account.into(), tool.into(), most(MOST_OF_TOOL)],
            ),
            (PRUNE, vec![account.into(), most(MOST_INTENTS)]),
        ])
        .await?;
    Ok(())
}

/// Forgets what was remembered because of an execution.
///
/// # Errors
/// Those of the database.
pub async fn forget<S: Transactions>(store: &S, account: &str, execution: &str) -> Result<()> {
    store
        .query(FORGET, &[account.into(), execution.into()])
        .await?;
    Ok(())
}

/// All intents of an account, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn recall<S: Transactions>(store: &S, account: &str) -> Result<Intents> {
    let most = i64::try_from(MOST_INTENTS).unwrap_or(i64::MAX);
    let rows = store.query(SELECT, &[account.into(), most.into()]).await?;
    Ok(rows.iter().filter_map(read).collect())
}

fn read(row: &Row) -> Option<(String, Vec<u32>)> {
    let text = |column: &str| row.get(column).and_then(Value::as_str);
    Some((text("tool")?.to_owned(), unpack(text("features")?)?))
}

fn pack(features: &[u32]) -> String {
    let bytes: Vec<u8> = features
        .iter()
        .flat_map(|feature| feature.to_le_bytes())
        .collect();
    STANDARD_NO_PAD.encode(bytes)
}

fn unpack(text: &str) -> Option<Vec<u32>> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (features, _) = bytes.as_chunks::<4>();
    Some(
        features
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect(),
    )
}

/// Intents as the copy in KV has them.
pub fn to_text(intents: &Intents) -> String {
    let mut by_tool: HashMap<&str, Vec<String>> = HashMap::new();
    for (tool, features) in intents {
        by_tool.entry(tool).or_default().push(pack(features));
    }
    serde_json::to_string(&by_tool).unwrap_or_default()
}

/// Reads a copy; nothing where it is unreadable.
pub fn from_text(text: &str) -> Option<Intents> {
    let by_tool: HashMap<String, Vec<String>> = crate::json::from_str(text).ok()?;
    let all = by_tool.into_iter().flat_map(|(tool, intents)| {
        intents
            .into_iter()
            .map(move |packed| (tool.clone(), packed))
    });
    let mut intents: Intents = all
        .filter_map(|(tool, packed)| Some((tool, unpack(&packed)?)))
        .collect();
    intents.sort();
    Some(intents)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
