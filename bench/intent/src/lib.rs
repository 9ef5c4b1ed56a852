//! How long choosing a tool by intent takes in wasm: the product's own index, over tools and requests made of the thesaurus's words.
//!
//! `npm run bench:intent` builds it and lets Node run it. The work per request is that of real texts (the same number of words and of tools
//! that share them); how good the choice is says `npm run simulate:tools`.

#![expect(
    unsafe_code,
    reason = "functions that JavaScript calls keep their names"
)]

#[path = "../../../src/tools/intent/confidence.rs"]
pub mod confidence;
#[path = "../../../src/tools/intent/index.rs"]
pub mod index;
#[path = "../../../src/tools/intent/text.rs"]
pub mod text;
#[path = "../../../src/tools/intent/thesaurus.rs"]
pub mod thesaurus;

use std::cell::RefCell;

use confidence::{confidence, relevance, signals};
use index::{Card, Field, Index, remembered};
use text::Features;
use thesaurus::{KINDS, Kinds};

struct Bench {
    kinds: Kinds,
    index: Index,
    requests: Vec<String>,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Words by chance (splitmix64).
struct Words {
    all: Vec<&'static str>,
    state: u64,
}

impl Words {
    fn text(&mut self, words: usize) -> String {
        let all: Vec<&str> = (0..words).map(|_| self.one()).collect();
        all.join(" ")
    }

    fn one(&mut self) -> &'static str {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place =
            usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or_default() % self.all.len().max(1);
        self.all.get(place).copied().unwrap_or_default()
    }
}

/// Makes an index over so many tools and remembered intents.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(tools: usize, intents: usize) {
    let kinds = Kinds::read();
    let mut words = Words {
        all: KINDS.split_ascii_whitespace().collect(),
        state: 1,
    };
    let cards: Vec<Card> = (0..tools)
        .map(|_| {
            let (name, about, examples) = (words.text(2), words.text(15), words.text(30));
            let field = |text, weight| Field { text, weight };
            Card::read(
                [field(&name, 2.0), field(&about, 1.0), field(&examples, 1.0)],
                &kinds,
            )
        })
        .collect();
    let known: Vec<Vec<u32>> = (0..intents)
        .map(|_| remembered(&Features::of(&words.text(12))))
        .collect();
    let memory = known
        .iter()
        .enumerate()
        .map(|(n, features)| (n % tools.max(1), features.as_slice()));
    let index = Index::new(&cards.iter().collect::<Vec<_>>(), memory, 0);
    let requests = (0..500)
        .map(|_| format!("Please help me with the {}", words.text(16)))
        .collect();
    BENCH.set(Some(Bench {
        kinds,
        index,
        requests,
    }));
}

/// Routes so many requests; the sum keeps the work from being left out.
#[unsafe(no_mangle)]
pub extern "C" fn run(times: usize) -> f64 {
    BENCH.with_borrow(|bench| {
        let Some(bench) = bench else { return 0.0 };
        let requests = bench.requests.iter().cycle().take(times);
        let route = |request: &String| {
            let asked = Features::of(request);
            let fits = bench.index.fits(&asked, &bench.kinds, &|_| true);
            let seen = signals(&fits, &bench.index, &asked, &bench.kinds);
            seen.map_or(0.0, |seen| confidence(&seen) + relevance(&seen))
        };
        requests.map(route).sum()
    })
}
