//! What an isolate knows of the tools, with a store that can fail.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use futures::executor::block_on;
use serde_json::json;

use super::*;
use crate::tools::catalog::ToolProvider;

#[derive(Default)]
struct Store {
    texts: RefCell<HashMap<String, String>>,
    is_out: Cell<bool>,
    reads: Cell<u32>,
    warnings: Cell<u32>,
}

impl CatalogStore for Store {
    async fn catalog_text(&self, key: &str) -> Result<Option<String>> {
        self.reads.set(self.reads.get() + 1);
        if self.is_out.get() {
            return Err(Error::internal("out"));
        }
        Ok(self.texts.borrow().get(key).cloned())
    }

    fn warn(&self, _: &str) {
        self.warnings.set(self.warnings.get() + 1);
    }
}

impl Store {
    fn publish(&self, slug: &str) -> String {
        let row = json!({
            "slug": slug,
            "operation": [{"name": "search", "input": {"type": "object", "properties": {"q": {"maximum": 1.5}}}}],
        });
        let provider: ToolProvider = serde_json::from_value(row).unwrap();
        let snapshot = ToolSnapshot::new(vec![Rc::new(provider)], Vec::new()).unwrap();
        let text = snapshot.text().unwrap();
        assert_eq!(
            ToolSnapshot::read(serde_json::from_str(&text).unwrap()).unwrap(),
            snapshot
        );
        let version = snapshot.version.clone();
        let mut texts = self.texts.borrow_mut();
        texts.insert(key(&version), text);
        texts.insert(POINTER.to_owned(), version.clone());
        version
    }
}

#[test]
fn a_version_is_read_once_and_another_within_a_minute() {
    let (store, cache) = (Store::default(), ToolCache::default());
    let at = |now_ms: u64| block_on(cache.catalog(&store, now_ms)).unwrap();
    assert!(at(0).tools().is_empty(), "nothing is published yet");
    let first = store.publish("one");
    assert!(at(1).tools().is_empty());
    let seen = at(MAX_AGE_MS);
    assert_eq!(seen.version(), first);
    assert_eq!(seen.get("one__search").unwrap().id, "one/search");
    let reads = store.reads.get();
    assert!(Rc::ptr_eq(&at(MAX_AGE_MS + 1), &seen));
    assert_eq!(store.reads.get(), reads);
    assert!(
        Rc::ptr_eq(&at(2 * MAX_AGE_MS), &seen),
        "only the pointer is read"
    );
    assert_eq!(store.reads.get(), reads + 1);
    store.publish("two");
    assert!(at(3 * MAX_AGE_MS).get("two/search").is_some());
    assert!(at(3 * MAX_AGE_MS).get("one/search").is_none());
}

#[test]
fn an_outage_leaves_the_last_version_in_force() {
    let (store, cache) = (Store::default(), ToolCache::default());
    store.is_out.set(true);
    assert!(block_on(cache.catalog(&store, 0)).is_err());
    store.is_out.set(false);
    store.publish("one");
    block_on(cache.catalog(&store, 0)).unwrap();
    store.is_out.set(true);
    let seen = block_on(cache.catalog(&store, MAX_AGE_MS)).unwrap();
    assert!(seen.get("one/search").is_some());
    assert_eq!(store.warnings.get(), 1);
}

#[test]
fn a_changed_text_is_no_snapshot() {
    let store = Store::default();
    let version = store.publish("one");
    let text = store.texts.borrow()[&key(&version)].replace("one", "two");
    let read = ToolSnapshot::read(serde_json::from_str(&text).unwrap());
    assert!(matches!(
        read,
        Err(super::super::publish::ToolSnapshotError::Version)
    ));
    let read =
        ToolSnapshot::read(json!({"version": "x", "providers": [{"slog": 1}], "capabilities": []}));
    assert!(read.unwrap_err().to_string().contains("slog"));
}
