//! Tools by intent on public data beside the repository (`../shared/data/intent`, or `PATCHBAY_SHARED`); skipped where that is absent.
//!
//! - **MetaTool** (199 tools, 18,574 requests). Of each tool's requests, shuffled with [`SEED`], the first quarter, ten at the most, is the
//!   test part and the next as many the tuning part. What ranks cold was chosen on all that is not the test part, what ranks warm and what is told of
//!   both on the tuning part: of the test part nothing, but it asks for the same tools. Cold nothing is remembered; warm it is 20 of the
//!   other requests for each tool, or all of them but the test part. One request in two thousand is 0.05 points; two standard errors are
//!   2.2 points cold and 1.7 warm.
//! - **Seal-Tools** (4,076 tools): how it scales. Requests that need one tool.
//! - **BFCL** (live): requests that suit one of a few given functions against requests that suit none. Constants were fitted on the half of
//!   the candidate sets that [`is_tuning`] picks; told is the other half.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    time::Instant,
};

use patchbay::tools::intent::{
    confidence::{Signals, confidence, relevance, signals},
    index::{Card, Field, Index, remembered},
    text::Features,
    thesaurus::Kinds,
};
use serde_json::Value;

const SEED: u64 = 20_261_121;

fn shared() -> Option<PathBuf> {
    let dir = std::env::var_os("PATCHBAY_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let dir = dir.join("data/intent");
    if !dir.is_dir() {
        eprintln!(
            "skipped: no data at {} (set PATCHBAY_SHARED)",
            dir.display()
        );
    }
    dir.is_dir().then_some(dir)
}

fn lines(dir: &std::path::Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn params(tool: &Value) -> String {
    let names = tool["params"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    names.collect::<Vec<_>>().join(" ")
}

fn card(name: &str, description: &str, params: &str, kinds: &Kinds) -> Card {
    let field = |text, weight| Field { text, weight };
    Card::read(
        [
            field(name, 2.0),
            field(description, 1.0),
            field(params, 0.5),
        ],
        kinds,
    )
}

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// A request: its tool and what was read of it.
type Asked = (usize, Features);

/// Test, tuning and the rest, by tool.
fn split(all: Vec<Asked>, tools: usize) -> (Vec<Asked>, Vec<Asked>, Vec<Vec<Features>>) {
    let mut by_tool: Vec<Vec<Features>> = vec![Vec::new(); tools];
    for (tool, asked) in all {
        by_tool[tool].push(asked);
    }
    let mut chance = Chance(SEED);
    let (mut test, mut tuning, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (tool, mut requests) in by_tool.into_iter().enumerate() {
        for last in (1..requests.len()).rev() {
            requests.swap(last, chance.below(last + 1));
        }
        let held = (requests.len() / 4).min(10);
        let left = requests.split_off(2 * held);
        tuning.extend(
            requests
                .split_off(held)
                .into_iter()
                .map(|asked| (tool, asked)),
        );
        test.extend(requests.into_iter().map(|asked| (tool, asked)));
        rest.push(left);
    }
    (test, tuning, rest)
}

/// One answer: how sure it was, whether it was right, and whether anything was.
#[derive(Clone, Copy)]
struct Answer {
    sure: f64,
    suits: f64,
    right: bool,
    answerable: bool,
}

fn answer(
    index: &Index,
    kinds: &Kinds,
    asked: &Features,
    admits: &dyn Fn(usize) -> bool,
    right: &dyn Fn(usize) -> bool,
    answerable: bool,
) -> Answer {
    let fits = index.fits(asked, kinds, admits);
    let seen: Option<Signals> = signals(&fits, index, asked, kinds);
    Answer {
        sure: seen.as_ref().map_or(0.0, confidence),
        suits: seen.as_ref().map_or(0.0, relevance),
        right: fits.fits.first().is_some_and(|best| right(best.tool)),
        answerable,
    }
}

fn share(answers: &[Answer], of: impl Fn(&Answer) -> bool) -> f64 {
    answers.iter().filter(|answer| of(answer)).count() as f64 / answers.len() as f64
}

/// How likely a positive one ranks before a negative one.
fn auroc(ranked: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut all: Vec<(f64, bool)> = ranked.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut at) = (0.0, 0);
    while at < all.len() {
        let ties = all[at..]
            .iter()
            .take_while(|one| one.0 == all[at].0)
            .count();
        let rank = at as f64 + (ties as f64 + 1.0) / 2.0;
        ranks += rank * all[at..at + ties].iter().filter(|one| one.1).count() as f64;
        at += ties;
    }
    let positive = all.iter().filter(|one| one.1).count() as f64;
    let negative = all.len() as f64 - positive;
    (ranks - positive * (positive + 1.0) / 2.0) / (positive * negative)
}

/// The share of right answers among the surest ones.
fn at_coverage(answers: &[Answer], coverage: f64) -> f64 {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|a, b| b.sure.total_cmp(&a.sure));
    let kept = (answers.len() as f64 * coverage) as usize;
    share(&sorted[..kept], |answer| answer.right)
}

/// How far told probabilities are from what became of them, on average (ten bins).
fn calibration_error(answers: &[Answer]) -> f64 {
    let bin = |answer: &Answer| ((answer.sure * 10.0) as usize).min(9);
    let gap = |n: usize| {
        let inside = answers.iter().filter(|answer| bin(answer) == n);
        inside
            .map(|answer| answer.sure - f64::from(u8::from(answer.right)))
            .sum::<f64>()
            .abs()
    };
    (0..10).map(gap).sum::<f64>() / answers.len() as f64
}

#[test]
fn requests_find_their_tool_cold_and_better_the_more_is_remembered() {
    let Some(dir) = shared() else { return };
    let kinds = Kinds::read();
    let tools = lines(&dir, "metatool/tools.jsonl");
    let places: HashMap<&str, usize> = tools
        .iter()
        .enumerate()
        .map(|(n, tool)| (text(tool, "id"), n))
        .collect();
    let cards: Vec<Card> = tools
        .iter()
        .map(|tool| card(text(tool, "id"), text(tool, "description"), "", &kinds))
        .collect();
    let cards: Vec<&Card> = cards.iter().collect();
    let read = |row: &Value| {
        (
            places[row["tools"][0].as_str().unwrap()],
            Features::of(text(row, "query")),
        )
    };
    let all = lines(&dir, "metatool/train.jsonl")
        .iter()
        .map(read)
        .collect();
    let (test, tuning, mut rest) = split(all, tools.len());
    // The tuning part is remembered like the rest: tested is what neither was tuned on nor is remembered.
    for (tool, asked) in tuning {
        rest[tool].push(asked);
    }
    println!("MetaTool, {} requests held out:", test.len());
    for (remember, goal, sure_goal) in [(0, 0.56, 0.83), (20, 0.75, 0.86), (usize::MAX, 0.82, 0.86)]
    {
        let memory: Vec<(usize, Vec<u32>)> = rest
            .iter()
            .enumerate()
            .flat_map(|(tool, asked)| {
                asked
                    .iter()
                    .take(remember)
                    .map(move |asked| (tool, remembered(asked)))
            })
            .collect();
        let index = Index::new(
            &cards,
            memory
                .iter()
                .map(|(tool, features)| (*tool, features.as_slice())),
            0,
        );
        let began = Instant::now();
        let answers: Vec<Answer> = test
            .iter()
            .map(|(tool, asked)| {
                answer(
                    &index,
                    &kinds,
                    asked,
                    &|_| true,
                    &|best| best == *tool,
                    true,
                )
            })
            .collect();
        let each = began.elapsed() / u32::try_from(test.len()).unwrap();
        // The same with the right tool taken away.
        let lost = test.iter().map(|(tool, asked)| {
            answer(
                &index,
                &kinds,
                asked,
                &|other| other != *tool,
                &|_| false,
                false,
            )
        });
        let both: Vec<Answer> = answers.iter().copied().chain(lost).collect();
        let top = share(&answers, |answer| answer.right);
        let sure = auroc(answers.iter().map(|answer| (answer.sure, answer.right)));
        println!(
            "  {:>5} remembered: top-1 {top:.4}, surest 80 % {:.4}, surest 50 % {:.4}, AUROC right {sure:.4}, answerable {:.4}, calibration error {:.4}, {each:?} each",
            memory.len(),
            at_coverage(&answers, 0.8),
            at_coverage(&answers, 0.5),
            auroc(both.iter().map(|answer| (answer.suits, answer.answerable))),
            calibration_error(&answers),
        );
        assert!(top > goal, "{} remembered: {top}", memory.len());
        assert!(sure > sure_goal, "{} remembered: {sure}", memory.len());
    }
}

#[test]
fn four_thousand_tools_are_as_well_told_apart() {
    let Some(dir) = shared() else { return };
    let kinds = Kinds::read();
    let tools = lines(&dir, "sealtools/tools.jsonl");
    let cards: Vec<Card> = tools
        .iter()
        .map(|tool| {
            card(
                text(tool, "id"),
                text(tool, "description"),
                &params(tool),
                &kinds,
            )
        })
        .collect();
    let index = Index::new(&cards.iter().collect::<Vec<_>>(), [], 0);
    for (name, goal) in [("in", 0.87), ("out", 0.88)] {
        let all = lines(&dir, &format!("sealtools/test_{name}_domain.jsonl"));
        let single: Vec<&Value> = all
            .iter()
            .filter(|row| row["tools"].as_array().unwrap().len() == 1)
            .collect();
        let right = |row: &&&Value| {
            let fits = index.fits(&Features::of(text(row, "query")), &kinds, &|_| true);
            fits.fits
                .first()
                .is_some_and(|best| tools[best.tool]["id"] == row["tools"][0])
        };
        let top = single.iter().filter(right).count() as f64 / single.len() as f64;
        println!(
            "Seal-Tools, {name} of domain, {} requests for one tool: top-1 {top:.4}",
            single.len()
        );
        assert!(top > goal, "{name}: {top}");
    }
}

/// Which candidate sets constants were fitted on.
fn is_tuning(set: u64) -> bool {
    set.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
}

#[test]
fn what_suits_nothing_is_told_from_what_suits_something() {
    let Some(dir) = shared() else { return };
    let kinds = Kinds::read();
    let (mut places, mut cards, mut sets) = (HashMap::new(), Vec::new(), HashMap::new());
    for row in lines(&dir, "bfcl/candidate_sets.jsonl") {
        let mut members = HashMap::new();
        for function in row["functions"].as_array().unwrap() {
            let (name, about) = (
                text(function, "name").to_owned(),
                text(function, "description").to_owned(),
            );
            let place = *places
                .entry((name.clone(), about.clone()))
                .or_insert_with(|| {
                    cards.push(card(&name, &about, &params(function), &kinds));
                    cards.len() - 1
                });
            members.insert(place, name);
        }
        sets.insert(row["candidate_set"].as_u64().unwrap(), members);
    }
    let index = Index::new(&cards.iter().collect::<Vec<_>>(), [], 0);
    let mut answers = Vec::new();
    for (name, answerable) in [("multiple", true), ("irrelevance", false)] {
        for row in lines(&dir, &format!("bfcl/live_{name}.jsonl")) {
            let set = row["candidate_set"].as_u64().unwrap();
            if is_tuning(set) {
                continue;
            }
            let members = &sets[&set];
            let known: HashSet<usize> = members.keys().copied().collect();
            let right = |best: usize| {
                answerable && row["tools"][0].as_str() == members.get(&best).map(String::as_str)
            };
            answers.push(answer(
                &index,
                &kinds,
                &Features::of(text(&row, "query")),
                &|tool| known.contains(&tool),
                &right,
                answerable,
            ));
        }
    }
    let told = auroc(
        answers
            .iter()
            .map(|answer| (answer.suits, answer.answerable)),
    );
    let suited: Vec<Answer> = answers
        .iter()
        .copied()
        .filter(|answer| answer.answerable)
        .collect();
    println!(
        "BFCL, {} requests, {} of them with something that suits, among {} functions: AUROC {told:.4}; top-1 among the given {:.4}",
        answers.len(),
        suited.len(),
        cards.len(),
        share(&suited, |answer| answer.right),
    );
    assert!(told > 0.85, "{told}");
}
