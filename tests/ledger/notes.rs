//! Notes between requests of one account.

use patchbay::credits::ledger::MAX_NOTE_BYTES;
use patchbay::credits::ops::{LedgerError, NotePut, NoteTake};

use crate::store::{Account, MINUTE};

fn put(name: &str, text: &str, ttl_ms: i64) -> NotePut {
    NotePut {
        name: name.to_owned(),
        text: text.to_owned(),
        ttl_ms,
    }
}

fn take(name: &str) -> NoteTake {
    NoteTake {
        name: name.to_owned(),
    }
}

#[test]
fn a_note_is_taken_once_and_not_when_it_is_old() {
    let account = Account::with(1_000);
    assert_eq!(account.ok(&take("a")), None);
    account.ok(&put("a", "first", MINUTE));
    account.ok(&put("a", "second", MINUTE));
    account.restart();
    assert_eq!(account.ok(&take("a")).as_deref(), Some("second"));
    assert_eq!(account.ok(&take("a")), None);
    account.ok(&put("old", "x", MINUTE));
    account.later(MINUTE);
    assert_eq!(account.ok(&take("old")), None);
    // The next note sweeps it out.
    account.ok(&put("new", "y", MINUTE));
    assert_eq!(account.store.int("SELECT COUNT(*) FROM notes"), 1);
}

#[test]
fn notes_are_short_and_few() {
    let account = Account::with(1_000);
    let too_long = account.call(&put("a", &"x".repeat(MAX_NOTE_BYTES + 1), MINUTE));
    assert!(matches!(too_long, Err(LedgerError::Invalid(_))));
    for n in 0..1_000 {
        account.ok(&put(&format!("n{n}"), "", MINUTE));
    }
    let too_many = account.call(&put("one more", "", MINUTE));
    assert!(matches!(too_many, Err(LedgerError::Invalid(_))));
}
