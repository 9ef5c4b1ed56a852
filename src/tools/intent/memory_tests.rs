//! What is remembered, over a real SQLite with the product's migrations.

use std::cell::RefCell;

use futures::executor::block_on;

use super::*;
use crate::{
    database::{Database, Statement, sqlite::Sqlite},
    tools::intent::{cache::IntentCache, router::Router},
};

const SECRET: &str = "s";

#[derive(Default)]
struct Store {
    sqlite: Sqlite,
    kv: RefCell<HashMap<String, String>>,
}

impl Database for Store {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.sqlite.query(sql, params).await
    }
}

impl Transactions for Store {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.sqlite.transaction(statements).await
    }
}

impl IntentCopies for Store {
    async fn intents_copy(&self, key: &str) -> Result<Option<String>> {
        Ok(self.kv.borrow().get(key).cloned())
    }

    async fn copy_intents(&self, key: &str, text: &str) -> Result<()> {
        self.kv.borrow_mut().insert(key.to_owned(), text.to_owned());
        Ok(())
    }
}

impl Store {
    fn of(accounts: &[&str]) -> Self {
        let store = Self::default();
        accounts
            .iter()
            .for_each(|account| store.sqlite.account(account));
        store
    }

    fn remember(&self, account: &str, tool: &str, words: &str, execution: &str, now_ms: i64) {
        let features = features(&Features::of(words), account_key(account, SECRET));
        block_on(remember(self, account, tool, &features, execution, now_ms)).unwrap();
    }

    fn recall(&self, account: &str) -> Intents {
        block_on(recall(self, account)).unwrap()
    }
}

#[test]
fn what_is_kept_of_an_intent_differs_from_account_to_account() {
    let asked = Features::of("Is it going to rain in Lisbon tomorrow?");
    let (one, two) = (account_key("acc_1", "s"), account_key("acc_2", "s"));
    let all: std::collections::HashSet<u32> = features(&asked, one).into_iter().collect();
    // Not one feature is the same: rows of two accounts cannot be compared.
    assert!(!all.is_empty() && features(&asked, two).iter().all(|it| !all.contains(it)));
    assert_eq!(
        features(&asked, one),
        features(&asked, account_key("acc_1", "s"))
    );
    assert_ne!(account_key("acc_1", "s"), account_key("acc_1", "t"));
}

#[test]
fn no_account_reads_copies_or_forgets_what_another_one_remembers() {
    let store = Store::of(&["one", "two"]);
    let words = "the quarterly numbers of Acme for the board";
    store.remember("one", "weather_forecast", words, "exec-1", 1);
    assert_eq!(store.recall("one").len(), 1);
    assert_eq!(store.recall("two"), Intents::new());
    // Nor by way of the copies, nor by the isolate's memory.
    let cache = IntentCache::default();
    for account in ["one", "two", "one"] {
        let known = block_on(known(&store, account)).unwrap();
        assert_eq!(known.len(), usize::from(account == "one"), "{account}");
        cache.adopt(account, known, 0);
    }
    let router = Router::of(&crate::tools::catalog::ToolCatalog::default());
    let remembered = |account| {
        let key = account_key(account, SECRET);
        cache.index(account, &router, key).1
    };
    assert_eq!((remembered("one"), remembered("two")), (1, 0));
    assert_eq!(remembered("somebody else"), 0);
    // An execution's id says nothing without the account.
    block_on(forget(&store, "two", "exec-1")).unwrap();
    assert_eq!(store.recall("one").len(), 1);
    block_on(forget(&store, "one", "exec-1")).unwrap();
    assert_eq!(store.recall("one"), Intents::new());
}

#[test]
fn one_account_that_remembers_much_takes_no_room_from_another() {
    let store = Store::of(&["one", "two"]);
    store.remember("two", "a/b", "an old wish of somebody else", "exec-0", 0);
    // Numbers say nothing of an intent, so each has a word of its own.
    let words =
        ('a'..='c').flat_map(|one| ('a'..='z').map(move |two| format!("{one}{two}{one}{two}")));
    for (n, word) in words.enumerate() {
        let at = i64::try_from(n).unwrap() + 1;
        store.remember("one", "a/b", &word, &format!("exec-{at}"), at);
    }
    assert_eq!(store.recall("one").len(), MOST_OF_TOOL);
    assert_eq!(store.recall("two").len(), 1);
}

#[test]
fn no_word_of_an_intent_is_in_the_database_or_in_a_copy() {
    let store = Store::of(&["one"]);
    store.remember("one", "a/b", "Acme acquires Globex secretly", "exec-1", 1);
    block_on(known(&store, "one")).unwrap();
    let rows = store.sqlite.run("SELECT * FROM tool_intents", &[]);
    let kept = format!("{rows:?} {:?}", store.kv.borrow()).to_lowercase();
    for word in ["acme", "acqui", "globex", "secret"] {
        assert!(!kept.contains(word), "{word} in {kept}");
    }
    // What is kept is what the words come to under the account's key, and nothing without it.
    let plain = remembered(&Features::of("Acme acquires Globex secretly"));
    let (_, features) = store.recall("one").remove(0);
    assert!(plain.iter().all(|feature| !features.contains(feature)));
}

#[test]
fn a_copy_reads_back_as_it_was_written() {
    let intents: Intents = vec![
        ("a/b".into(), vec![1, u32::MAX]),
        ("weather".into(), vec![7]),
    ];
    assert_eq!(from_text(&to_text(&intents)), Some(intents));
    assert_eq!(from_text("{"), None);
}
