//! What stands in an account's ledger, and the correction of what a generation was charged.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{World, amount, audit, json_data};
use crate::{
    api::http::{Request, Response},
    credits::{
        ledger::MAX_ENTRIES,
        money::{Nanos, dollars},
        ops,
    },
    error::{Error, Result},
    identity::Actor,
    time::rfc3339,
    usage::d1::SAVE_CORRECTION,
};

/// A line of the ledger in dollars.
#[derive(Serialize)]
struct Entry {
    seq: i64,
    id: String,
    kind: String,
    #[serde(with = "dollars")]
    amount: Nanos,
    #[serde(with = "dollars")]
    balance: Nanos,
    #[serde(with = "dollars::option")]
    held: Option<Nanos>,
    key_hash: Option<String>,
    created_at: String,
    note: Option<String>,
}

/// `GET /admin/accounts/{id}/entries?limit=&before=`: the newest first.
pub async fn list<W: World>(world: &W, account: &str, request: &Request) -> Result<Response> {
    let entries = ops::Entries {
        before: number(request, "before")?,
        max: number(request, "limit")?.unwrap_or(MAX_ENTRIES),
    };
    let data: Vec<Entry> = world
        .call(account, &entries)
        .await?
        .into_iter()
        .map(|entry| Entry {
            seq: entry.seq,
            id: entry.id,
            kind: entry.kind,
            amount: entry.amount,
            balance: entry.balance,
            held: entry.held,
            key_hash: entry.key_hash,
            created_at: rfc3339(entry.at),
            note: entry.note,
        })
        .collect();
    Ok(Response::json(200, &json_data(&data)))
}

fn number(request: &Request, name: &str) -> Result<Option<i64>> {
    request
        .query(name)
        .map(|text| {
            text.parse()
                .ok()
                .filter(|n| (1..=crate::credits::money::MAX_NANOS).contains(n))
                .ok_or_else(|| Error::invalid(name, "Send a whole number above zero"))
        })
        .transpose()
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCorrection {
    generation_id: String,
    /// What the generation should have cost.
    cost_usd: Value,
    /// With the generation it names the correction: a repeat changes nothing.
    reason: String,
}

/// `POST /admin/accounts/{id}/corrections`. The ledger first; a repeat catches up with whatever a failure left undone in D1.
pub async fn correct<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    new: NewCorrection,
) -> Result<Response> {
    let call = ops::Correct {
        id: new.generation_id,
        cost: amount("cost_usd", &new.cost_usd)?,
        reason: new.reason,
    };
    let corrected = world.call(account, &call).await?;
    let change = corrected
        .cost
        .checked_sub(corrected.before)
        .map_err(|error| Error::internal(format!("correction of {}: {error}", call.id)))?;
    let params = [
        account.into(),
        call.id.as_str().into(),
        call.reason.as_str().into(),
        change.get().into(),
        corrected.at.into(),
    ];
    world.query(SAVE_CORRECTION, &params).await?;
    let detail = json!({"from": corrected.before.to_string(), "to": corrected.cost.to_string(), "reason": call.reason});
    audit(
        world,
        actor,
        "correction",
        Some(account),
        &call.id,
        &detail.to_string(),
    )
    .await?;
    #[derive(Serialize)]
    struct Correction<'a> {
        generation_id: &'a str,
        reason: &'a str,
        #[serde(with = "dollars")]
        cost_before: Nanos,
        #[serde(with = "dollars")]
        cost: Nanos,
        #[serde(with = "dollars")]
        amount: Nanos,
        #[serde(with = "dollars")]
        balance: Nanos,
        created_at: String,
    }
    let correction = Correction {
        generation_id: &call.id,
        reason: &call.reason,
        cost_before: corrected.before,
        cost: corrected.cost,
        amount: change.negated(),
        balance: corrected.balance,
        created_at: rfc3339(corrected.at),
    };
    Ok(Response::json(201, &json_data(&correction)))
}
