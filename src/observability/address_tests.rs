//! Which addresses are sent to.

use futures::executor::block_on;

use super::*;
use crate::observability::test_world::World;

#[test]
fn only_public_https_addresses_are_sent_to() {
    let world = World::new();
    for (url, expected) in [
        ("https://public.example.com/v1/traces", None),
        ("https://8.8.8.8/", None),
        ("https://public.example.com:4318/", None),
        ("http://public.example.com/", Some("only https")),
        ("https://localhost/", Some("only public hosts")),
        ("https://127.0.0.1/", Some("only public hosts")),
        ("https://2130706433/", Some("only public hosts")),
        ("https://[::1]/", Some("only public hosts")),
        (
            "https://169.254.169.254/latest/meta-data/",
            Some("only public hosts"),
        ),
        ("https://db.internal/", Some("only public hosts")),
        ("https://public.example.com:25/", Some("another protocol")),
        (
            "https://u:p@public.example.com/",
            Some("user name or password"),
        ),
        ("https://private.example.com/", Some("not public")),
        ("https://mixed.example.com/", Some("not public")),
        ("https://private6.example.com/", Some("not public")),
    ] {
        match (block_on(check(&world, url, TRUSTED)), expected) {
            (Ok(()), None) => {}
            (Err(Refusal::Forbidden(reason)), Some(words)) => {
                assert!(reason.contains(words), "{url}: {reason}");
            }
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
}

#[test]
fn a_name_that_cannot_be_resolved_may_be_tried_again() {
    let world = World::new();
    for url in ["https://absent.example.com/", "https://broken.example.com/"] {
        let checked = block_on(check(&world, url, TRUSTED));
        assert!(
            matches!(checked, Err(Refusal::Unknown(_))),
            "{url}: {checked:?}"
        );
    }
}

#[test]
fn the_operator_may_exempt_hosts() {
    let world = World::new();
    world.set(TRUSTED, "127.0.0.1:4318, collector.internal");
    for (url, is_fine) in [
        ("http://127.0.0.1:4318/v1/traces", true),
        ("http://collector.internal/", true),
        ("http://127.0.0.1:4319/", false),
        ("http://other.internal/", false),
    ] {
        assert_eq!(
            block_on(check(&world, url, TRUSTED)).is_ok(),
            is_fine,
            "{url}"
        );
    }
}
