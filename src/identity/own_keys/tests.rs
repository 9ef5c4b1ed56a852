//! Provider keys in memory, in KV's copies and in the real schema.

use std::cell::{Cell, RefCell};

use futures::executor::block_on;

use super::*;
use crate::{
    credits::sql::SqlValue,
    database::{Row, sqlite::Sqlite},
};

const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_MASTER: &str = "//////////////////////////////////////////8=";

/// D1, and KV of one text.
struct Stores {
    d1: Sqlite,
    kv: RefCell<Option<String>>,
    kv_out: Cell<bool>,
    d1_out: Cell<bool>,
    warnings: RefCell<Vec<String>>,
}

impl Database for Stores {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        if self.d1_out.get() {
            return Err(Error::internal("out"));
        }
        self.d1.query(sql, params).await
    }
}

impl OwnKeyCopies for Stores {
    async fn own_keys_copy(&self, _account: &str) -> Result<Option<String>> {
        if self.kv_out.get() {
            return Err(Error::internal("out"));
        }
        Ok(self.kv.borrow().clone())
    }
    async fn copy_own_keys_to_kv(&self, _account: &str, text: &str) -> Result<()> {
        *self.kv.borrow_mut() = Some(text.to_owned());
        Ok(())
    }
    fn warn(&self, message: &str) {
        self.warnings.borrow_mut().push(message.to_owned());
    }
}

fn stores() -> Stores {
    let d1 = Sqlite::new();
    d1.account("acc_1");
    d1.account("acc_2");
    Stores {
        d1,
        kv: RefCell::default(),
        kv_out: Cell::default(),
        d1_out: Cell::default(),
        warnings: RefCell::default(),
    }
}

fn ring() -> Keyring {
    Keyring::read(MASTER, None).unwrap()
}

/// A key of `acc_1` for `openai`, sealed.
fn record(id: &str, change: impl FnOnce(&mut OwnKeyRecord)) -> OwnKeyRecord {
    let mut record = OwnKeyRecord {
        id: id.to_owned(),
        provider: "openai".into(),
        name: Some("mine".into()),
        label: "...cret".into(),
        sealed: String::new(),
        disabled: false,
        is_fallback: false,
        is_required: false,
        allowed_models: None,
        allowed_api_key_hashes: None,
        sort_order: 0,
        created_at: 1,
        updated_at: None,
    };
    change(&mut record);
    let secret = format!("secret of {id}");
    record.sealed = ring()
        .seal(&[1; 32], &record.binding("acc_1"), &secret)
        .unwrap();
    record
}

fn insert(stores: &Stores, account: &str, record: &OwnKeyRecord) {
    block_on(d1::insert(stores, account, record, ring().current())).unwrap();
}

#[test]
fn an_account_has_its_own_rows_in_its_own_order_and_reaches_no_others() {
    let stores = stores();
    let first = record("b", |key| key.allowed_models = Some(vec!["a/b".into()]));
    let second = record("a", |key| {
        key.sort_order = 1;
        key.allowed_api_key_hashes = Some(vec!["h".into()]);
        key.is_required = true;
    });
    for record in [&second, &first] {
        insert(&stores, "acc_1", record);
    }
    let list = |account: &str| block_on(d1::list(&stores, account)).unwrap();
    assert_eq!(list("acc_1"), [first.clone(), second.clone()]);
    assert!(list("acc_2").is_empty());
    assert_eq!(block_on(d1::get(&stores, "acc_2", "a")).unwrap(), None);
    let mut changed = second.clone();
    changed.name = None;
    changed.disabled = true;
    changed.updated_at = Some(2);
    block_on(d1::update(&stores, "acc_2", &changed)).unwrap();
    block_on(d1::delete(&stores, "acc_2", "a")).unwrap();
    assert_eq!(list("acc_1"), [first.clone(), second]);
    block_on(d1::update(&stores, "acc_1", &changed)).unwrap();
    assert_eq!(list("acc_1"), [first.clone(), changed]);
    block_on(d1::delete(&stores, "acc_1", "a")).unwrap();
    assert_eq!(list("acc_1"), [first]);
}

#[test]
fn an_api_keys_record_says_whether_its_account_brought_keys() {
    let stores = stores();
    let key = "INSERT INTO api_keys (hash, account, name, label, created_at) VALUES ('h', 'acc_1', 'n', 'l', 0)";
    stores.d1.connection.execute_batch(key).unwrap();
    let flag = || {
        let rows = block_on(stores.query(crate::identity::keys::SELECT, &["h".into()])).unwrap();
        rows[0]["own_keys"].as_i64()
    };
    assert_eq!(flag(), Some(0));
    insert(&stores, "acc_2", &record("x", |_| ()));
    assert_eq!(flag(), Some(0));
    insert(&stores, "acc_1", &record("y", |_| ()));
    assert_eq!(flag(), Some(1));
}

#[test]
fn lists_are_read_from_kv_then_d1_and_an_outage_of_both_is_told() {
    let stores = stores();
    insert(&stores, "acc_1", &record("a", |_| ()));
    let find = || block_on(find(&stores, "acc_1"));
    let found = find().unwrap();
    assert_eq!(found.records.len(), 1);
    let copy = found.copy.unwrap();
    assert!(!copy.contains("secret of"), "only sealed: {copy}");
    block_on(stores.copy_own_keys_to_kv("acc_1", &copy)).unwrap();
    stores.d1_out.set(true);
    let again = find().unwrap();
    assert_eq!((again.records, again.copy), (found.records, None));
    stores.kv_out.set(true);
    assert_eq!(find().unwrap_err().status, 503);
    stores.d1_out.set(false);
    assert_eq!(find().unwrap().records.len(), 1);
    stores.kv_out.set(false);
    *stores.kv.borrow_mut() = Some("{}".into());
    assert_eq!(find().unwrap().records.len(), 1, "an unreadable copy");
}

#[test]
fn a_request_may_use_the_keys_that_are_enabled_and_for_its_api_key() {
    let records = vec![
        record("all", |_| ()),
        record("off", |key| key.disabled = true),
        record("some", |key| {
            key.allowed_api_key_hashes = Some(vec!["h".into()])
        }),
    ];
    let ring = ring();
    let keys = OwnKeys::open("acc_1", records, Some(&ring), |problem| panic!("{problem}"));
    let secrets = |hash: &str| -> Vec<String> {
        keys.of(hash)
            .iter()
            .map(|one| one.key.secret.clone())
            .collect()
    };
    assert_eq!(secrets("h"), ["secret of all", "secret of some"]);
    assert_eq!(secrets("g"), ["secret of all"]);
}

#[test]
fn a_key_that_does_not_open_serves_nothing_and_stays_required() {
    let records = || vec![record("a", |key| key.is_required = true)];
    let other = Keyring::read(NEW_MASTER, None).unwrap();
    for (account, ring) in [
        ("acc_2", Some(&ring())),
        ("acc_1", Some(&other)),
        ("acc_1", None),
    ] {
        let mut warnings = Vec::new();
        let keys = OwnKeys::open(account, records(), ring, |text| {
            warnings.push(text.to_owned())
        });
        let keys = keys.of("h");
        assert!(keys[0].is_required);
        assert_eq!(
            (keys[0].models.as_deref(), keys[0].key.secret.as_str()),
            (Some(&[][..]), "")
        );
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].contains("own key a does not open"),
            "{warnings:?}"
        );
    }
}

#[test]
fn memory_forgets_in_time_and_on_request() {
    let cache = OwnKeyCache::default();
    cache.put("acc_1", Rc::default(), 0);
    cache.put("acc_2", Rc::default(), MAX_AGE_MS - 1);
    assert!(cache.get("acc_1", MAX_AGE_MS - 1).is_some());
    assert!(cache.get("acc_1", MAX_AGE_MS).is_none());
    assert!(cache.get("acc_2", MAX_AGE_MS).is_some());
    cache.forget("acc_2");
    assert!(cache.get("acc_2", MAX_AGE_MS).is_none());
}

#[test]
fn a_label_is_a_small_part_of_the_secret() {
    for (secret, shown) in [
        ("sk-0123456789abcd", "...abcd"),
        ("elevenchars", "..."),
        ("twelve_chars", "...hars"),
        ("", "..."),
    ] {
        assert_eq!(label(secret), shown);
    }
}
