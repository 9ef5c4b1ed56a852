//! `POST /admin/byok/rotate`: everything that another master key sealed is sealed anew under the one in force.
//!
//! Five vaults, one after the other, a bounded number of rows in each call: provider keys, log destinations, headers of imported
//! sources, secrets of notices, kept contents of requests. A text is replaced only where nobody changed it meanwhile. What does not open stays as it is and
//! is named. Out of scope: the cipher (`identity::own_keys::seal`).

use serde_json::{Value, json};

use super::{forget_copies, required_keyring};
use crate::{
    api::{World, admin::audit, billing, http::Response},
    database::{Database, Row},
    error::{Error, Result},
    identity::{
        Actor,
        own_keys::seal::{Binding, Bound, Keyring, OpenError},
    },
    observability::SEALED_AS,
    tools::imports::store::SEALED_AS as TOOL_SOURCE,
    usage::content,
};

/// How a table keeps what is sealed.
struct Vault {
    /// Its word in a place.
    name: &'static str,
    /// Rows under another master key (?1) after a place (?2), at most ?3: place, account, and what else the text is bound to.
    stale: &'static str,
    /// How many they are.
    count: &'static str,
    /// Replaces the text of the row at a place (?1), if it still is ?2, by ?3 under the master key ?4.
    renew: &'static str,
    /// How many rows one call renews.
    batch: i64,
}

const VAULTS: [Vault; 5] = [
    Vault {
        name: "keys",
        stale: "SELECT id AS place, account, provider, sealed FROM byok_keys WHERE master <> ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        count: "SELECT count(*) AS stale FROM byok_keys WHERE master <> ?1",
        renew: "UPDATE byok_keys SET sealed = ?3, master = ?4 WHERE id = ?1 AND sealed = ?2 RETURNING 1 AS renewed",
        batch: 50,
    },
    Vault {
        name: "destinations",
        stale: "SELECT id AS place, account, sealed FROM destinations WHERE master <> ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        count: "SELECT count(*) AS stale FROM destinations WHERE master <> ?1",
        renew: "UPDATE destinations SET sealed = ?3, master = ?4 WHERE id = ?1 AND sealed = ?2 RETURNING 1 AS renewed",
        batch: 50,
    },
    Vault {
        name: "sources",
        stale: "SELECT id AS place, account, sealed FROM tool_sources WHERE master <> ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        count: "SELECT count(*) AS stale FROM tool_sources WHERE master <> ?1",
        renew: "UPDATE tool_sources SET sealed = ?3, master = ?4 WHERE id = ?1 AND sealed = ?2 RETURNING 1 AS renewed",
        batch: 50,
    },
    Vault {
        name: "notices",
        stale: "SELECT account AS place, account, notice_secret AS sealed FROM billing_settings
            WHERE notice_secret IS NOT NULL AND substr(notice_secret, 1, length(?1) + 1) <> ?1 || '.' AND account > ?2 ORDER BY account LIMIT ?3",
        count: "SELECT count(*) AS stale FROM billing_settings
            WHERE notice_secret IS NOT NULL AND substr(notice_secret, 1, length(?1) + 1) <> ?1 || '.'",
        renew: "UPDATE billing_settings SET notice_secret = ?3 WHERE account = ?1 AND notice_secret = ?2 AND ?4 IS NOT NULL RETURNING 1 AS renewed",
        batch: 50,
    },
    // A record may be close to a megabyte, so only a few are in memory at a time.
    Vault {
        name: "contents",
        stale: "SELECT CAST(rowid AS TEXT) AS place, account, generation, sealed FROM contents
            WHERE substr(sealed, 1, length(?1) + 1) <> ?1 || '.' AND rowid > CAST(?2 AS INTEGER) ORDER BY rowid LIMIT ?3",
        count: "SELECT count(*) AS stale FROM contents WHERE substr(sealed, 1, length(?1) + 1) <> ?1 || '.'",
        renew: "UPDATE contents SET sealed = ?3 WHERE rowid = CAST(?1 AS INTEGER) AND sealed = ?2 AND ?4 IS NOT NULL RETURNING 1 AS renewed",
        batch: 8,
    },
];

/// What one call did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    renewed: usize,
    /// What does not open, by vault and place.
    unreadable: Vec<String>,
    /// Accounts whose provider keys were renewed.
    accounts: Vec<String>,
    /// Where the next call goes on; nothing where this was the last.
    after: Option<String>,
}

/// The row's text under the master key in force.
fn renewed(
    vault: &Vault,
    row: &Row,
    ring: &Keyring,
    random: &[u8; 32],
) -> Result<String, OpenError> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let (account, sealed) = (text("account"), text("sealed"));
    if vault.name == "contents" {
        let bound: Bound<'_> = content::d1::bound(account, text("generation"));
        let opened = ring.open_bound(&bound, sealed)?;
        return ring.seal_bound(random, &bound, &opened);
    }
    let binding = match vault.name {
        "keys" => Binding {
            account,
            provider: text("provider"),
            id: text("place"),
        },
        "destinations" => Binding {
            account,
            provider: SEALED_AS,
            id: text("place"),
        },
        "sources" => Binding {
            account,
            provider: TOOL_SOURCE,
            id: text("place"),
        },
        _ => billing::notice_binding(account),
    };
    let opened = ring.open(&binding, sealed)?;
    ring.seal(random, &binding, &opened)
}

/// Renews some rows, those after a place.
async fn step(
    database: &impl Database,
    ring: &Keyring,
    random: impl Fn() -> Result<[u8; 32]>,
    after: &str,
) -> Result<Step> {
    let (name, place) = after.split_once(':').unwrap_or(("keys", after));
    let at = VAULTS.iter().position(|vault| vault.name == name);
    let (vault, next) = at
        .and_then(|at| Some((VAULTS.get(at)?, VAULTS.get(at + 1))))
        .ok_or_else(|| Error::invalid("after", "Send what the call before this one answered"))?;
    let params = [ring.current().into(), place.into(), vault.batch.into()];
    let rows = database.query(vault.stale, &params).await?;
    let mut done = Step::default();
    for row in &rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(sealed) = renewed(vault, row, ring, &random()?) else {
            done.unreadable
                .push(format!("{}:{}", vault.name, text("place")));
            continue;
        };
        let params = [
            text("place").into(),
            text("sealed").into(),
            sealed.as_str().into(),
            ring.current().into(),
        ];
        done.renewed += database.query(vault.renew, &params).await?.len();
        if vault.name == "keys" {
            done.accounts.push(text("account").to_owned());
        }
    }
    done.accounts.dedup();
    let last = rows.last().and_then(|row| row.get("place")?.as_str());
    done.after = match last {
        Some(place) => Some(format!("{}:{place}", vault.name)),
        None => next.map(|next| format!("{}:", next.name)),
    };
    Ok(done)
}

/// How many rows another master key still seals.
async fn left(database: &impl Database, ring: &Keyring) -> Result<i64> {
    let mut sum = 0;
    for vault in &VAULTS {
        let rows = database
            .query(vault.count, &[ring.current().into()])
            .await?;
        sum += rows
            .first()
            .and_then(|row| row.get("stale")?.as_i64())
            .unwrap_or_default();
    }
    Ok(sum)
}

/// Answers the route.
pub(in crate::api) async fn rotate<W: World>(
    world: &W,
    actor: &Actor,
    after: &str,
) -> Result<Response> {
    let ring = required_keyring(world)?;
    let done = step(world, &ring, || world.random(), after).await?;
    for place in &done.unreadable {
        world.report(&format!("{place} does not open under any master key"));
    }
    // Copies in KV still need the former master key.
    forget_copies(world, &done.accounts).await?;
    // The last call counts: looking through all contents takes long.
    let left = match done.after {
        None => Some(left(world, &ring).await?),
        Some(_) => None,
    };
    let (name, place) = after.split_once(':').unwrap_or(("keys", after));
    if done.renewed > 0 || place.is_empty() {
        let counts = format!("{name}: {} sealed anew", done.renewed);
        audit(world, actor, "byok.rotate", None, ring.current(), &counts).await?;
    }
    Ok(Response::json(
        200,
        &json!({"data": {
            "master": ring.current(),
            "sealed_anew": done.renewed,
            "unreadable": done.unreadable,
            "left": left,
            "after": done.after,
        }}),
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::executor::block_on;

    use super::*;
    use crate::{
        database::sqlite::Sqlite,
        usage::content::{Captured, Settings},
    };

    const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "//////////////////////////////////////////8=";

    /// Every kind of sealed text of two accounts, under the old master key, and a text that nothing opens.
    fn store() -> Sqlite {
        let store = Sqlite::new();
        let ring = Keyring::read(OLD, None).unwrap();
        for account in ["acc_1", "acc_2"] {
            store.account(account);
            let seal = |provider, id: &str| {
                let binding = Binding {
                    account,
                    provider,
                    id,
                };
                ring.seal(&[1; 32], &binding, &format!("{provider} of {account}"))
                    .unwrap()
            };
            let key = format!("key-{account}");
            let sql = "INSERT INTO byok_keys (account, id, provider, label, sealed, created_at, master, disabled, is_fallback, is_required, sort_order)
                VALUES (?1, ?2, 'openai', 'l', ?3, 0, ?4, 0, 0, 0, 0)";
            let sealed = seal("openai", &key);
            store.run(
                sql,
                &[
                    account.into(),
                    key.as_str().into(),
                    sealed.as_str().into(),
                    ring.current().into(),
                ],
            );
            let sealed = ring
                .seal(&[2; 32], &billing::notice_binding(account), "whsec")
                .unwrap();
            let sql = "INSERT INTO billing_settings (account, notice_url, notice_secret, updated_at) VALUES (?1, 'https://x.example', ?2, 0)";
            store.run(sql, &[account.into(), sealed.as_str().into()]);
            let wish = Settings {
                is_on: true,
                ..Settings::default()
            };
            block_on(content::d1::save_settings(&store, account, &wish, 0)).unwrap();
            for n in 0..10 {
                let captured = Captured {
                    id: format!("gen-{account}-{n}"),
                    ..Captured::default()
                };
                block_on(content::d1::keep(
                    &store,
                    &ring,
                    &[3; 32],
                    (account, "k"),
                    &captured,
                    0,
                ))
                .unwrap();
            }
        }
        store.run(
            "UPDATE byok_keys SET sealed = 'x.y' WHERE account = 'acc_2'",
            &[],
        );
        store
    }

    fn rotate_all(store: &Sqlite, ring: &Keyring) -> (usize, Vec<String>) {
        let seed = Cell::new(0u8);
        let random = || {
            seed.set(seed.get().wrapping_add(1));
            Ok([seed.get(); 32])
        };
        let (mut renewed, mut unreadable) = (0, Vec::new());
        let mut after = Some(String::new());
        for _ in 0..50 {
            let Some(place) = after else {
                return (renewed, unreadable);
            };
            let done = block_on(step(store, ring, random, &place)).unwrap();
            renewed += done.renewed;
            unreadable.extend(done.unreadable);
            after = done.after;
        }
        panic!("no end");
    }

    #[test]
    fn all_that_is_sealed_opens_without_the_former_master_key_afterwards() {
        let store = store();
        let both = Keyring::read(NEW, Some(OLD)).unwrap();
        assert_eq!(block_on(left(&store, &both)).unwrap(), 24);
        let (renewed, unreadable) = rotate_all(&store, &both);
        assert_eq!(
            (renewed, unreadable),
            (23, vec!["keys:key-acc_2".to_owned()])
        );
        assert_eq!(block_on(left(&store, &both)).unwrap(), 1);
        // Nothing is renewed twice.
        assert_eq!(rotate_all(&store, &both).0, 0);
        let new = Keyring::read(NEW, None).unwrap();
        for account in ["acc_1", "acc_2"] {
            for n in 0..10 {
                let id = format!("gen-{account}-{n}");
                let kept = block_on(content::d1::read(&store, &new, account, &id, 1));
                assert!(kept.unwrap().is_some(), "{id}");
            }
            let sql = "SELECT notice_secret FROM billing_settings WHERE account = ?1";
            let row = store.run(sql, &[account.into()]).remove(0);
            let opened = new.open(
                &billing::notice_binding(account),
                row["notice_secret"].as_str().unwrap(),
            );
            assert_eq!(opened.as_deref(), Ok("whsec"));
        }
        let rows = store.run("SELECT sealed FROM byok_keys WHERE account = 'acc_1'", &[]);
        let binding = Binding {
            account: "acc_1",
            provider: "openai",
            id: "key-acc_1",
        };
        let opened = new.open(&binding, rows[0]["sealed"].as_str().unwrap());
        assert_eq!(opened.as_deref(), Ok("openai of acc_1"));
    }

    #[test]
    fn what_its_owner_changed_meanwhile_stays() {
        let store = store();
        let both = Keyring::read(NEW, Some(OLD)).unwrap();
        // Between the reading of a row and its renewal.
        let random = || {
            store.run(
                "UPDATE byok_keys SET sealed = 'newer' WHERE account = 'acc_1'",
                &[],
            );
            Ok([9; 32])
        };
        let done = block_on(step(&store, &both, random, "")).unwrap();
        assert_eq!(done.renewed, 0);
        let rows = store.run("SELECT sealed FROM byok_keys WHERE account = 'acc_1'", &[]);
        assert_eq!(rows[0]["sealed"], "newer");
    }

    #[test]
    fn a_place_that_no_call_answered_is_refused() {
        let ring = Keyring::read(NEW, None).unwrap();
        let error = block_on(step(&Sqlite::new(), &ring, || Ok([0; 32]), "nothing:7"));
        assert_eq!(error.unwrap_err().param.as_deref(), Some("after"));
    }
}
