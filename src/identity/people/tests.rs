//! People in the real schema: who becomes whom, who is in what, and what works once.

use futures::executor::block_on;

use super::{
    apps::{Asked, Code, Exchange, Method},
    signer::Signer,
    users::{Identity, SignUp, User},
    *,
};
use crate::{
    database::{Database, sqlite::Sqlite},
    identity::{KeyRecord, Role},
};

fn store() -> Sqlite {
    let store = Sqlite::new();
    store.account("acc_1");
    store.account("acc_2");
    store
}

fn identity(issuer: &str, subject: &str, email: Option<&str>) -> Identity {
    Identity {
        issuer: issuer.into(),
        subject: subject.into(),
        email: email.map(str::to_owned),
        name: "Ada Lovelace".into(),
    }
}

fn user(store: &Sqlite, id: &str, email: Option<&str>) {
    let vouched = Identity {
        name: String::new(),
        ..identity("", "", email)
    };
    block_on(users::create(store, id, &vouched, None, 0)).unwrap();
}

fn known(store: &Sqlite, identity: &Identity) -> Option<User> {
    block_on(users::known(store, identity, 5)).unwrap()
}

#[test]
fn a_person_is_found_by_their_identity_and_joined_by_a_verified_address_only() {
    let store = store();
    let google = identity("https://a.example", "1", Some("Ada@Example.com"));
    assert_eq!(known(&store, &google), None);
    block_on(users::create(
        &store,
        "user_1",
        &google,
        Some(("acc_9", "Ada's")),
        1,
    ))
    .unwrap();
    let ada = known(&store, &google).unwrap();
    assert_eq!(
        (ada.id.as_str(), ada.email.as_deref()),
        ("user_1", Some("ada@example.com"))
    );
    let own = block_on(members::accounts(&store, "user_1")).unwrap();
    assert_eq!(
        (own[0].account.as_str(), own[0].role),
        ("acc_9", Role::Owner)
    );

    // The same subject elsewhere is somebody else, and an address that nobody verified says nothing.
    assert_eq!(
        known(&store, &identity("https://b.example", "1", None)),
        None
    );
    let elsewhere = identity("https://b.example", "1", Some("ADA@example.com"));
    assert_eq!(known(&store, &elsewhere).unwrap().id, "user_1");
    // From then on the identity is enough.
    assert_eq!(
        known(&store, &identity("https://b.example", "1", None))
            .unwrap()
            .id,
        "user_1"
    );
}

#[test]
fn an_address_follows_its_issuer_unless_somebody_has_it() {
    let store = store();
    user(&store, "user_2", Some("taken@example.com"));
    block_on(users::create(
        &store,
        "user_1",
        &identity("i", "1", Some("old@example.com")),
        None,
        0,
    ))
    .unwrap();
    let moved = known(&store, &identity("i", "1", Some("new@example.com"))).unwrap();
    assert_eq!(moved.email.as_deref(), Some("new@example.com"));
    let refused = known(&store, &identity("i", "1", Some("taken@example.com"))).unwrap();
    assert_eq!(
        (refused.id.as_str(), refused.email.as_deref()),
        ("user_1", Some("new@example.com"))
    );
}

#[test]
fn a_user_who_is_switched_off_does_not_come_in() {
    let store = store();
    block_on(users::create(
        &store,
        "user_1",
        &identity("i", "1", None),
        None,
        0,
    ))
    .unwrap();
    block_on(store.query("UPDATE users SET disabled = 1", &[])).unwrap();
    let refused = block_on(users::known(&store, &identity("i", "1", None), 0));
    assert_eq!(refused.unwrap_err().status, 403);
}

#[test]
fn who_is_first_is_the_one_of_two_with_an_address() {
    let store = store();
    let one = identity("i", "1", Some("ada@example.com"));
    block_on(users::create(&store, "user_1", &one, None, 0)).unwrap();
    assert!(block_on(users::create(&store, "user_2", &one, None, 0)).is_err());
    // Nothing of the second is left.
    assert_eq!(block_on(users::by_id(&store, "user_2")).unwrap(), None);
    assert_eq!(known(&store, &one).unwrap().id, "user_1");
}

#[test]
fn the_operator_is_told_by_row_or_address_and_the_policy_by_its_word() {
    let store = store();
    user(&store, "user_1", Some("ops@example.com"));
    let ops = block_on(users::by_id(&store, "user_1")).unwrap().unwrap();
    for (emails, expected) in [
        (Some("a@b.c, Ops@Example.com"), true),
        (Some("xops@example.com,"), false),
        (Some(""), false),
        (None, false),
    ] {
        assert_eq!(ops.is_operator(emails), expected, "{emails:?}");
    }
    let nobody = User { email: None, ..ops };
    assert!(
        !nobody.is_operator(Some(","))
            && User {
                operator: true,
                ..nobody
            }
            .is_operator(None)
    );
    for (word, policy) in [
        (Some("open"), SignUp::Open),
        (Some(" closed "), SignUp::Closed),
        (Some("invitation"), SignUp::Invitation),
        (Some("opne"), SignUp::Invitation),
        (None, SignUp::Invitation),
    ] {
        assert_eq!(SignUp::read(word), policy);
    }
}

#[test]
fn addresses_have_one_form() {
    assert_eq!(
        users::email(" Ada@Example.COM ").unwrap(),
        "ada@example.com"
    );
    let long = format!("{}@example.com", "x".repeat(250));
    for text in [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "a b@example.com",
        "<ada@example.com>",
        "a,b@example.com",
        "a@.com",
        "a@com.",
        &long,
    ] {
        assert_eq!(
            users::email(text).unwrap_err().param.as_deref(),
            Some("email"),
            "{text}"
        );
    }
    assert_eq!(
        users::names("Ada King Lovelace"),
        (Some("Ada"), Some("King Lovelace"))
    );
    assert_eq!(
        (users::names("Ada"), users::names(" ")),
        ((Some("Ada"), None), (None, None))
    );
    assert_eq!(users::clipped(" A\u{7}B"), "A");
    assert!(users::clipped(&"é".repeat(200)).len() <= 128);
}

#[test]
fn an_account_keeps_an_owner() {
    let store = store();
    for id in ["u1", "u2"] {
        user(&store, id, None);
    }
    let add = |id, role| block_on(members::add(&store, "acc_1", id, role, 0)).unwrap();
    assert!(add("u1", Role::Owner) && add("u2", Role::Member));
    assert!(!add("u2", Role::Owner), "who is in it keeps their role");
    let role = |id| block_on(members::role(&store, "acc_1", id)).unwrap();
    let change = |id, role| block_on(members::change_role(&store, "acc_1", id, role)).unwrap();
    let remove = |id| block_on(members::remove(&store, "acc_1", id)).unwrap();
    assert!(!change("u1", Role::Admin) && !remove("u1"));
    assert!(change("u1", Role::Owner), "an owner may stay one");
    assert_eq!(
        (role("u1"), role("u2")),
        (Some(Role::Owner), Some(Role::Member))
    );
    assert!(change("u2", Role::Owner) && change("u1", Role::Member) && remove("u1"));
    assert_eq!(
        (role("u1"), remove("u1"), remove("u2")),
        (None, false, false)
    );
    // An owner elsewhere is none here.
    block_on(members::add(&store, "acc_2", "u1", Role::Owner, 0)).unwrap();
    assert!(!remove("u2"));
}

#[test]
fn members_are_listed_by_page_and_account() {
    let store = store();
    for (at, id) in ["u1", "u2", "u3"].into_iter().enumerate() {
        user(&store, id, Some(&format!("{id}@example.com")));
        block_on(members::add(
            &store,
            "acc_1",
            id,
            Role::Member,
            i64::try_from(at).unwrap(),
        ))
        .unwrap();
    }
    block_on(members::add(&store, "acc_2", "u1", Role::Admin, 9)).unwrap();
    let page = |offset, limit| {
        let (members, total) = block_on(members::list(&store, "acc_1", offset, limit)).unwrap();
        (
            members
                .into_iter()
                .map(|member| member.user)
                .collect::<Vec<_>>(),
            total,
        )
    };
    assert_eq!(page(0, 2), (vec!["u1".into(), "u2".into()], 3));
    assert_eq!(page(2, 2), (vec!["u3".into()], 3));
    assert_eq!(page(3, 2), (vec![], 3));
    let accounts = block_on(members::accounts(&store, "u1")).unwrap();
    let accounts: Vec<_> = accounts
        .iter()
        .map(|each| (each.account.as_str(), each.role))
        .collect();
    assert_eq!(accounts, [("acc_1", Role::Member), ("acc_2", Role::Admin)]);
}

#[test]
fn keys_of_who_is_switched_off_are_refused_until_they_are_switched_on() {
    let store = store();
    user(&store, "u1", None);
    block_on(members::add(&store, "acc_1", "u1", Role::Member, 0)).unwrap();
    let keys = "INSERT INTO api_keys (hash, account, name, label, created_at, member) VALUES ('h1', 'acc_1', 'n', 'l', 0, 'u1'), ('h2', 'acc_1', 'n', 'l', 0, NULL)";
    block_on(store.query(keys, &[])).unwrap();
    let is_good = |hash: &str| {
        let rows = store.run(crate::identity::keys::SELECT, &[hash.into()]);
        let record = KeyRecord::from_row(&rows[0]).unwrap();
        assert!(!record.disabled, "as it was set");
        record.check(0).is_ok()
    };
    for disabled in [false, true, false] {
        let sql = "UPDATE users SET disabled = ?1";
        block_on(store.query(sql, &[disabled.into()])).unwrap();
        assert_eq!((is_good("h1"), is_good("h2")), (!disabled, true));
    }
}

#[test]
fn keys_of_who_left_are_not_found_any_more_and_wait_to_be_ended() {
    let store = store();
    user(&store, "u1", None);
    block_on(members::add(&store, "acc_1", "u1", Role::Member, 0)).unwrap();
    let keys = "INSERT INTO api_keys (hash, account, name, label, created_at, member) VALUES ('h1', 'acc_1', 'n', 'l', 0, 'u1'), ('h2', 'acc_1', 'n', 'l', 0, NULL)";
    block_on(store.query(keys, &[])).unwrap();
    let found = |hash: &str| {
        !block_on(store.query(crate::identity::keys::SELECT, &[hash.into()]))
            .unwrap()
            .is_empty()
    };
    let left = |of| block_on(members::left_keys(&store, of, 10)).unwrap();
    assert!(found("h1") && found("h2") && left(None).is_empty());
    block_on(members::remove(&store, "acc_1", "u1")).unwrap();
    assert!(!found("h1") && found("h2"));
    let expected = vec![("acc_1".to_owned(), "h1".to_owned(), false)];
    assert_eq!(
        (left(None), left(Some(("acc_1", "u1")))),
        (expected.clone(), expected)
    );
    assert!(left(Some(("acc_2", "u1"))).is_empty());
}

fn invited(store: &Sqlite, id: &str, email: Option<&str>, byte: u8) -> String {
    let (token, hash) = secret(&[byte; 32]);
    let invitation = invitations::Invitation {
        id: id.into(),
        account: "acc_1".into(),
        account_name: String::new(),
        email: email.map(str::to_owned),
        role: Role::Admin,
        invited_by: "operator".into(),
        created_at: 0,
        expires_at: 100,
    };
    assert!(block_on(invitations::insert(store, &invitation, &hash)).unwrap());
    token
}

#[test]
fn an_invitation_lets_one_person_in_once_and_in_time() {
    let store = store();
    for (id, email) in [("u1", Some("a@example.com")), ("u2", Some("b@example.com"))] {
        user(&store, id, email);
    }
    let accept =
        |token: &str, user, now| block_on(invitations::accept(&store, token, user, now)).unwrap();
    let open = |token: &str, now| block_on(invitations::open(&store, token, now)).unwrap();
    let anyone = invited(&store, "i1", None, 1);
    assert_eq!(open(&anyone, 99).unwrap().account_name, "acc_1");
    assert!(
        !accept(&anyone, "u1", 100) && open(&anyone, 100).is_none(),
        "too late"
    );
    assert!(
        !accept("forged", "u1", 0) && !accept("", "u1", 0) && !accept(&"x".repeat(500), "u1", 0)
    );
    assert!(accept(&anyone, "u1", 99));
    assert!(
        !accept(&anyone, "u2", 99) && open(&anyone, 99).is_none(),
        "used"
    );
    assert_eq!(
        block_on(members::role(&store, "acc_1", "u1")).unwrap(),
        Some(Role::Admin)
    );

    let bound = invited(&store, "i2", Some("b@example.com"), 2);
    assert!(block_on(invitations::is_invited(&store, "b@example.com", 0)).unwrap());
    assert!(!block_on(invitations::is_invited(&store, "b@example.com", 100)).unwrap());
    assert!(!accept(&bound, "u1", 0), "in it already, and not theirs");
    assert!(
        open(&bound, 0)
            .is_some_and(|found| found.is_for(Some("b@example.com")) && !found.is_for(None))
    );
    assert!(accept(&bound, "u2", 0));

    let taken = invited(&store, "i3", None, 3);
    assert_eq!(
        block_on(invitations::revoke(&store, "acc_2", "i3")).unwrap(),
        None,
        "another account's"
    );
    assert_eq!(
        block_on(invitations::revoke(&store, "acc_1", "i3")).unwrap(),
        Some(None)
    );
    assert!(open(&taken, 0).is_none());
    // No secret is kept.
    let rows = block_on(store.query("SELECT * FROM invitations", &[])).unwrap();
    assert!(rows.iter().all(|row| !format!("{row:?}").contains(&anyone)));
}

#[test]
fn a_link_works_once_and_in_time_and_looking_does_not_use_it_up() {
    let store = store();
    user(&store, "u1", Some("a@example.com"));
    let (token, hash) = secret(&[1; 32]);
    block_on(links::insert(&store, &hash, "u1", 0)).unwrap();
    let look = |now| block_on(links::look(&store, &token, now)).unwrap();
    let redeem = |token: &str, now| block_on(links::redeem(&store, token, now)).unwrap();
    assert_eq!(look(0), Some(("u1".into(), "a@example.com".into())));
    assert!(look(links::LIFETIME_MS).is_none() && redeem(&token, links::LIFETIME_MS).is_none());
    assert_eq!(redeem("forged", 0), None);
    // The digest that is kept opens nothing.
    assert_eq!(redeem(&hash, 0), None);
    assert_eq!(redeem(&token, 0).as_deref(), Some("u1"));
    assert_eq!((redeem(&token, 0), look(0)), (None, None));
}

#[test]
fn a_session_tells_the_role_of_the_moment_and_ends_when_it_is_told_to() {
    let store = store();
    for id in ["u1", "u2"] {
        user(&store, id, None);
    }
    for (account, role, at) in [("acc_1", Role::Member, 1), ("acc_2", Role::Owner, 2)] {
        block_on(members::add(&store, account, "u1", role, at)).unwrap();
    }
    let signer = Signer::new(&"s".repeat(32)).unwrap();
    let (cookie, hash) = sessions::mint(&[1; 32], &signer);
    block_on(sessions::insert(&store, &hash, "u1", Some("browser"), 0)).unwrap();
    assert_eq!(sessions::read(&cookie.replace('A', "B"), &signer), None);
    let find = |now| {
        let (hash, csrf) = sessions::read(&cookie, &signer).unwrap();
        block_on(sessions::find(&store, hash, csrf, now)).unwrap()
    };
    let account = || find(1).and_then(|session| session.account);
    assert_eq!(
        account(),
        Some(("acc_1".into(), Role::Member)),
        "the oldest first"
    );
    let session = find(1).unwrap();
    let switch = |account| block_on(sessions::switch(&store, &session, account)).unwrap();
    assert!(switch("acc_2") && !switch("acc_9"));
    assert_eq!(account(), Some(("acc_2".into(), Role::Owner)));
    block_on(store.query(
        "UPDATE members SET role = 'admin' WHERE account = 'acc_2'",
        &[],
    ))
    .unwrap();
    assert_eq!(account(), Some(("acc_2".into(), Role::Admin)));
    block_on(store.query("DELETE FROM members WHERE account = 'acc_2'", &[])).unwrap();
    assert_eq!(account(), Some(("acc_1".into(), Role::Member)));
    block_on(store.query("DELETE FROM members", &[])).unwrap();
    assert_eq!(find(1).unwrap().account, None);

    assert!(find(sessions::LIFETIME_MS).is_none(), "over");
    assert!(
        !block_on(sessions::end(&store, "u2", &hash)).unwrap(),
        "another's"
    );
    block_on(store.query("UPDATE users SET disabled = 1", &[])).unwrap();
    assert!(find(1).is_none());
    block_on(store.query("UPDATE users SET disabled = 0", &[])).unwrap();
    assert!(find(1).is_some() && block_on(sessions::end(&store, "u1", &hash)).unwrap());
    assert!(find(1).is_none());
}

#[test]
fn a_code_makes_one_key_and_sent_again_ends_it() {
    let store = store();
    let verifier = "v".repeat(43);
    let asked = Asked::read(
        Some("https://app.example/"),
        Some(&flow::challenge(&verifier)),
        Some("S256"),
    )
    .unwrap();
    let code = Code::new("acc_1", Some("u1"), &asked, "app".into(), 0);
    let (text, hash) = secret(&[1; 32]);
    assert!(block_on(apps::insert(&store, &code, &hash, true)).unwrap());
    assert!(
        !block_on(apps::insert(&store, &code, "other", true)).unwrap(),
        "the same challenge again"
    );
    let exchange = |text: &str, verifier: Option<&str>, key, now| {
        let method = Some(Method::S256);
        block_on(apps::exchange(&store, text, verifier, method, key, now))
            .map_err(|error| (error.status, error.message))
    };
    let refused = exchange("forged", Some(&verifier), "k0", 0).unwrap_err();
    assert_eq!(refused.0, 403);
    let other = "w".repeat(43);
    for (verifier, now) in [
        (None, 0),
        (Some(other.as_str()), 0),
        (Some(verifier.as_str()), apps::LIFETIME_MS),
    ] {
        assert_eq!(
            exchange(&text, verifier, "k0", now).unwrap_err(),
            refused,
            "all in the same words"
        );
    }
    assert_eq!(
        exchange(&text, Some(&verifier), "k1", 1),
        Ok(Exchange::Granted(Box::new(code)))
    );
    assert!(!block_on(apps::is_revoked(&store, &text)).unwrap());
    // Who cannot prove to be the app ends nobody's key.
    assert_eq!(exchange(&text, Some(&other), "k2", 2).unwrap_err(), refused);
    assert!(!block_on(apps::is_revoked(&store, &text)).unwrap());
    let replayed = Exchange::Replayed("acc_1".into(), "k1".into());
    assert_eq!(exchange(&text, Some(&verifier), "k2", 2), Ok(replayed));
    assert!(block_on(apps::is_revoked(&store, &text)).unwrap());
}

#[test]
fn what_has_ended_is_swept_and_a_used_code_is_remembered_for_a_day() {
    let store = store();
    user(&store, "u1", None);
    block_on(sessions::insert(&store, "s", "u1", None, 0)).unwrap();
    block_on(links::insert(&store, "l", "u1", 0)).unwrap();
    let asked = Asked::read(Some("https://app.example/"), None, None).unwrap();
    block_on(apps::insert(
        &store,
        &Code::new("acc_1", None, &asked, "app".into(), 0),
        "c",
        false,
    ))
    .unwrap();
    let left = |now| {
        block_on(sessions::sweep(&store, now, 10)).unwrap();
        ["sessions", "login_links", "app_codes"].map(|table| {
            let rows =
                block_on(store.query(&format!("SELECT count(*) AS n FROM {table}"), &[])).unwrap();
            rows[0]["n"].as_i64().unwrap()
        })
    };
    assert_eq!(left(1), [1, 1, 1]);
    assert_eq!(left(links::LIFETIME_MS + 1), [1, 0, 1]);
    assert_eq!(
        left(apps::LIFETIME_MS + 24 * 60 * 60 * 1_000 + 1),
        [1, 0, 0]
    );
    assert_eq!(left(sessions::LIFETIME_MS + 1), [0, 0, 0]);
}
