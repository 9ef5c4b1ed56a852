//! Clients that leave at every possible point, under every kind of weather: one settlement, nothing beyond what was delivered,
//! nothing left open.

use proptest::prelude::*;

use patchbay::relay::limits::HOLD_LIFETIME_MS;

use crate::client::{COMPLETION, Client, Leaves, PROMPT, in_one_piece, streamed};
use crate::store::NOON;
use crate::upstream::{
    Fate, Piece, Script, answer, chunk, comment, done, finish, json, mute, refuses, role, sse,
    stream, text,
};
use crate::world::{Fault, RICH, World};

/// One request and everything that happens to it.
#[derive(Debug, Clone)]
struct Story {
    streamed: bool,
    scripts: Vec<Script>,
    hold: Option<Fault>,
    settles: Vec<Fault>,
    pause: u64,
    leaves: Leaves,
    poor: bool,
    /// A second attempt starts beside the first after so many milliseconds.
    hedge: Option<u64>,
}

/// Plays a story and checks what must hold in each. Whether the client left before the end.
fn check(story: &Story) -> bool {
    let balance = if story.poor { 5 } else { RICH };
    let world = World::new(balance, story.scripts.clone());
    world.hold_faults.borrow_mut().extend(story.hold);
    world
        .settle_faults
        .borrow_mut()
        .extend(story.settles.clone());
    let endpoints = story.scripts.len();
    let mut job = if story.streamed {
        streamed(endpoints)
    } else {
        in_one_piece(endpoints)
    };
    job.wishes.hedge_after_ms = story.hedge;
    let prompt = job.prompt_tokens;
    let client = Client::reading(&world, job, story.pause, story.leaves);
    world.run_out();

    // Nothing waits any more, and no call to a provider is open.
    let left = !client.ended.get();
    assert!(!client.panicked.get());
    assert!(left || story.leaves == Leaves::Never || !client.got.borrow().is_empty());
    assert!(
        story.leaves != Leaves::Never || !left,
        "the request is stuck"
    );
    for call in world.calls.borrow().iter() {
        assert_ne!(call.fate.get(), Fate::Open);
    }

    // What the account could not be told is released by its alarm. One end, one row, no hold.
    world
        .account
        .now
        .set(NOON + (world.elapsed() + HOLD_LIFETIME_MS) as i64);
    world.account.ok(&patchbay::credits::ops::Expire {});
    let ends = world.ends();
    assert!(ends.len() <= 1, "{ends:?}");
    assert_eq!(world.rows().len(), ends.len());
    assert_eq!(world.account.snapshot().open_holds, 0);
    if world.reached.get() && !story.poor {
        assert_eq!(ends.len(), 1);
    }

    // A refused request gets no byte but its refusal.
    if story.poor {
        assert_eq!(world.charged(), 0);
        assert!(client.text().is_empty());
    }
    // No script counts tokens beyond what it says: the price of what was delivered is the most.
    if story.streamed {
        let delivered = client.words().len();
        let most = if delivered == 0 {
            0
        } else {
            prompt as i64 * PROMPT + delivered.div_ceil(4) as i64 * COMPLETION
        };
        assert!(world.charged() <= most, "{} > {most}", world.charged());
        if left
            && delivered > 0
            && !story.settles.contains(&Fault::Silent)
            && story.settles.len() < 4
        {
            assert_eq!(world.charged(), most);
        }
    }
    left
}

/// A provider that counts exactly what the gateway would.
fn well_behaved() -> Script {
    sse([
        Piece::Wait(3),
        role(),
        text("1234"),
        Piece::Wait(3),
        text("5678"),
        Piece::Wait(30_000),
        text("9"),
        finish("stop"),
        Piece::Wait(3),
        done(),
    ])
}

fn base(scripts: Vec<Script>) -> Story {
    Story {
        streamed: true,
        scripts,
        hold: Some(Fault::Slow(5)),
        settles: vec![Fault::Slow(5)],
        pause: 0,
        leaves: Leaves::Never,
        poor: false,
        hedge: None,
    }
}

#[test]
fn leaving_at_each_wait_and_after_each_output() {
    let stories = [
        base(vec![well_behaved()]),
        base(vec![
            sse([role(), Piece::Wait(5), Piece::Break]),
            well_behaved(),
        ]),
        base(vec![json(500, "{}").after(9), mute()]),
        base(vec![sse([text("1234"), Piece::Wait(9), Piece::Break])]),
        Story {
            hold: Some(Fault::Slow(9_000)),
            pause: 7,
            ..base(vec![well_behaved()])
        },
        Story {
            settles: vec![Fault::Lost, Fault::Fails],
            ..base(vec![well_behaved()])
        },
        Story {
            hedge: Some(3),
            ..base(vec![mute(), well_behaved()])
        },
        Story {
            hedge: Some(3),
            ..base(vec![json(500, "{}").after(9), mute(), well_behaved()])
        },
        Story {
            poor: true,
            ..base(vec![well_behaved()])
        },
        Story {
            streamed: false,
            ..base(vec![json(500, "{}"), answer("1234", 1, 1).after(20)])
        },
    ];
    for story in stories {
        for leaves in [Leaves::AtWait, Leaves::AfterOutputs] {
            let mut points = 0;
            for at in 0.. {
                let leaves = leaves(at);
                if !check(&Story {
                    leaves,
                    ..story.clone()
                }) {
                    break;
                }
                points += 1;
            }
            assert!(points >= 1, "{story:?}");
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => "[a-z]{1,12}".prop_map(|word| text(&word)),
        2 => Just(role()),
        2 => Just(comment()),
        1 => Just(chunk("{\"content\":\"\"}", None)),
        3 => (1u64..50_000).prop_map(Piece::Wait),
        1 => Just(Piece::Break),
        1 => Just(Piece::Hang),
        2 => Just(finish("stop")),
        1 => Just(done()),
        1 => Just(Piece::Bytes(b"data: {garbage\n\n".to_vec())),
    ]
}

fn script(streamed: bool) -> impl Strategy<Value = Script> {
    let stream = (prop::collection::vec(piece(), 0..10), 0u64..70_000)
        .prop_map(|(pieces, after)| sse(pieces).after(after));
    let failing = prop_oneof![
        Just(refuses()),
        Just(mute()),
        Just(json(429, "{}").retry_after(3)),
        Just(json(500, "oops").after(40)),
    ];
    if streamed {
        prop_oneof![4 => stream, 1 => failing].boxed()
    } else {
        let whole = (0u64..50_000).prop_map(|after| answer("abcdefgh", 1, 2).after(after));
        prop_oneof![3 => whole, 2 => failing].boxed()
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => (0u64..9_000).prop_map(Fault::Slow),
        1 => Just(Fault::Silent),
        1 => Just(Fault::Fails),
        1 => Just(Fault::Lost),
    ]
}

fn leaves() -> impl Strategy<Value = Leaves> {
    prop_oneof![
        1 => Just(Leaves::Never),
        3 => (0usize..14).prop_map(Leaves::AfterOutputs),
        3 => (0usize..20).prop_map(Leaves::AtWait),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    any::<bool>().prop_flat_map(|streamed| {
        (
            prop::collection::vec(script(streamed), 1..4),
            prop::option::of(fault()),
            prop::collection::vec(fault(), 0..7),
            prop_oneof![2 => Just(0u64), 1 => 1u64..20_000],
            leaves(),
            prop::bool::weighted(0.15),
            prop::option::of(1u64..50_000),
        )
            .prop_map(
                move |(scripts, hold, settles, pause, leaves, poor, hedge)| Story {
                    streamed,
                    scripts,
                    hold,
                    settles,
                    pause,
                    leaves,
                    poor,
                    hedge,
                },
            )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_request_ends_once_and_charges_no_more_than_it_delivered(story in story()) {
        check(&story);
    }
}

#[test]
fn a_client_that_reads_slowly_slows_the_provider_down() {
    // Nothing piles up: the next piece is read when the last one was taken.
    let world = World::new(RICH, [stream(&["a", "b", "c"], 1, 3)]);
    let client = Client::reading(&world, streamed(1), 1_000, Leaves::Never);
    world.run_until(2_500);
    assert!(client.got.borrow().len() <= 3);
    assert_eq!(world.call(0).fate.get(), Fate::Open);
    world.run_out();
    assert_eq!(client.words(), "abc");
}
