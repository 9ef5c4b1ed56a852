//! From public benchmark figures to an estimate per skill.
//!
//! Models report different benchmarks, the newer ones mostly the harder. So a figure is read as odds, and ability and
//! difficulty are fitted together: `logit(figure) = ability(model) - difficulty(benchmark)`. A skill is the ability plus what
//! its own benchmarks leave over, shrunk where there are few: towards the predecessor's where one is named, else towards the average. So a
//! model without figures counts as its predecessor, no better, and each figure of its own moves it.

use std::collections::BTreeMap;

use patchbay::catalog::skills::{Skill, Skills};
use serde::Deserialize;

use crate::rows::{Fault, Row};

/// The benchmarks that are known, and what each shows.
const BENCHMARKS: [(&str, &[Skill]); 23] = [
    ("aider_polyglot", &[Skill::Code]),
    ("aime_2024", &[Skill::Math]),
    ("aime_2025", &[Skill::Math]),
    ("gpqa", &[Skill::Reasoning]),
    ("hle", &[Skill::Reasoning]),
    ("humaneval", &[Skill::Code]),
    ("ifeval", &[Skill::Instruction]),
    ("livecodebench", &[Skill::Code]),
    ("math", &[Skill::Math]),
    ("math_500", &[Skill::Math]),
    ("mathvista", &[Skill::Vision]),
    ("mgsm", &[Skill::Languages]),
    ("mmlu", &[Skill::Knowledge]),
    ("mmlu_pro", &[Skill::Knowledge, Skill::Reasoning]),
    ("mmmlu", &[Skill::Languages, Skill::Knowledge]),
    ("mmmu", &[Skill::Vision]),
    ("multi_if", &[Skill::Instruction, Skill::Languages]),
    ("simpleqa", &[Skill::Knowledge]),
    ("swe_bench_verified", &[Skill::Code, Skill::Agent]),
    ("tau2_retail", &[Skill::Agent]),
    ("tau_airline", &[Skill::Agent]),
    ("tau_retail", &[Skill::Agent]),
    ("terminal_bench", &[Skill::Agent, Skill::Code]),
];

/// How many figures' weight pulls an ability towards the average, and a skill towards the ability.
const PRIOR: f64 = 1.0;
/// The most predecessors, one before the other.
const MOST_GENERATIONS: usize = 8;
/// Rounds of the fit; it moves by less than a hundredth after about twenty.
const ROUNDS: usize = 200;

/// What is publicly known of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The slug.
    pub model: String,
    /// Benchmark → percent solved.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// Its predecessor: what is expected of it before its own figures say otherwise.
    #[serde(default, rename = "as")]
    pub like: Option<String>,
    /// Where its figures were read, and on which day; absent for those gathered by LLM Stats.
    #[serde(default)]
    pub source: Option<String>,
}

/// Checks the rows against the models that exist.
pub fn check(rows: &[Row<Quality>], is_model: impl Fn(&str) -> bool, faults: &mut Vec<Fault>) {
    let mut seen = BTreeMap::new();
    for row in rows {
        let quality = &row.value;
        let mut fault = |why: String| faults.push(Fault::of_row(&row.place, why));
        if !is_model(&quality.model) && !is_model(&format!("{}:free", quality.model)) {
            fault(format!("unknown model {}", quality.model));
        }
        if seen.insert(&quality.model, ()).is_some() {
            fault(format!("{} stands here twice", quality.model));
        }
        for (benchmark, percent) in &quality.figures {
            if !BENCHMARKS.iter().any(|(known, _)| known == benchmark) {
                fault(format!("unknown benchmark {benchmark}"));
            }
            if !(*percent > 0.0 && *percent <= 100.0) {
                fault(format!("{benchmark} is {percent}, and no percentage"));
            }
        }
        let known = |model: &String| rows.iter().find(|row| row.value.model == *model);
        let mut oldest = quality;
        for _ in 0..=MOST_GENERATIONS {
            let Some(like) = &oldest.like else { break };
            match known(like) {
                Some(row) => oldest = &row.value,
                None => {
                    fault(format!("{like} has no figures"));
                    break;
                }
            }
        }
        if oldest.like.is_some() && oldest.like.as_ref().and_then(known).is_some() {
            fault("its predecessors are too many, or go in a circle".to_owned());
        }
        if quality.like.is_none() && quality.figures.is_empty() {
            fault("there are no figures".to_owned());
        }
    }
}

/// Model → estimates, for every row.
pub fn estimate(rows: &[Row<Quality>]) -> BTreeMap<String, Skills> {
    let rows: Vec<&Quality> = rows.iter().map(|row| &row.value).collect();
    let mut abilities: BTreeMap<&str, f64> = BTreeMap::new();
    let mut difficulties: BTreeMap<&str, f64> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut by_benchmark: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (row, benchmark, odds) in figures(&rows) {
            let ability = abilities.get(row.model.as_str()).unwrap_or(&0.0);
            by_benchmark
                .entry(benchmark)
                .or_default()
                .push(ability - odds);
        }
        difficulties = by_benchmark
            .into_iter()
            .map(|(benchmark, values)| (benchmark, average(&values)))
            .collect();
        let mut by_model: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (row, benchmark, odds) in figures(&rows) {
            let difficulty = difficulties.get(benchmark).unwrap_or(&0.0);
            by_model
                .entry(&row.model)
                .or_default()
                .push(odds + difficulty);
        }
        let before = std::mem::take(&mut abilities);
        let expected = |row: &Quality| row.like.as_deref().and_then(|like| before.get(like));
        for row in &rows {
            let values = by_model.remove(row.model.as_str()).unwrap_or_default();
            let ability = mean(&values, expected(row).copied().unwrap_or_default());
            abilities.insert(&row.model, ability);
        }
    }
    let ability = |row: &Quality| {
        abilities
            .get(row.model.as_str())
            .copied()
            .unwrap_or_default()
    };
    let strength = |row: &Quality, skill: Skill, expected: f64| {
        let left_over: Vec<f64> = figures(&[row])
            .filter(|(_, benchmark, _)| shows(benchmark, skill))
            .map(|(_, benchmark, odds)| {
                odds + difficulties.get(benchmark).unwrap_or(&0.0) - ability(row)
            })
            .collect();
        mean(&left_over, expected)
    };
    // The oldest first.
    let ancestry = |row: &Quality| {
        let mut line: Vec<&Quality> = Vec::new();
        let mut next = rows.iter().find(|one| one.model == row.model);
        while let Some(one) = next
            && line.len() <= MOST_GENERATIONS
        {
            line.push(one);
            next = (one.like.as_ref()).and_then(|like| rows.iter().find(|row| row.model == *like));
        }
        line.reverse();
        line
    };
    let skills = |row: &&Quality| {
        let line = ancestry(row);
        let inherited = |skill| {
            let line = line.iter();
            line.fold(0.0, |expected, one| strength(one, skill, expected))
        };
        let skills = Skills::of(|skill| hundredths(ability(row) + inherited(skill)));
        let figures = u32::try_from(row.figures.len()).unwrap_or(u32::MAX);
        (row.model.clone(), Skills { figures, ..skills })
    };
    rows.iter().map(skills).collect()
}

fn figures<'a>(rows: &[&'a Quality]) -> impl Iterator<Item = (&'a Quality, &'a str, f64)> {
    let rows = rows.to_vec();
    rows.into_iter().flat_map(|row| {
        let figures = row.figures.iter();
        figures.map(move |(benchmark, percent)| {
            let share = (percent / 100.0).clamp(0.01, 0.99);
            (row, benchmark.as_str(), (share / (1.0 - share)).ln())
        })
    })
}

fn shows(benchmark: &str, skill: Skill) -> bool {
    BENCHMARKS
        .iter()
        .any(|(known, skills)| *known == benchmark && skills.contains(&skill))
}

/// The plain mean.
#[expect(
    clippy::cast_precision_loss,
    reason = "a benchmark has some hundred figures"
)]
fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

/// The mean, pulled towards what was `expected` by the weight of [`PRIOR`] figures.
#[expect(
    clippy::cast_precision_loss,
    reason = "a model has some twenty figures"
)]
fn mean(values: &[f64], expected: f64) -> f64 {
    (values.iter().sum::<f64>() + PRIOR * expected) / (values.len() as f64 + PRIOR)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an estimate is a few logits"
)]
fn hundredths(logits: f64) -> i32 {
    (logits * 100.0).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Place;

    fn rows(lines: &[&str]) -> Vec<Row<Quality>> {
        let row = |(at, line): (usize, &&str)| Row {
            value: serde_json::from_str(line).unwrap(),
            place: Place {
                file: "quality.jsonl".into(),
                line: at + 1,
            },
        };
        lines.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_model_that_reports_only_hard_benchmarks_is_no_worse_for_it() {
        let skills = estimate(&rows(&[
            r#"{"model":"a/old","figures":{"humaneval":60,"mmlu":70,"gpqa":30}}"#,
            r#"{"model":"a/mid","figures":{"humaneval":85,"mmlu":82,"gpqa":50,"hle":6}}"#,
            r#"{"model":"a/new","figures":{"gpqa":85,"hle":25}}"#,
        ]));
        let code = |model: &str| skills[model].code;
        assert!(code("a/old") < code("a/mid") && code("a/mid") < code("a/new"));
    }

    #[test]
    fn a_model_counts_as_its_predecessor_until_its_own_figures_say_otherwise() {
        let old = r#"{"model":"a/old","figures":{"gpqa":60,"hle":10,"humaneval":80,"mmlu":82}}"#;
        let peer = r#"{"model":"b/peer","figures":{"gpqa":50,"hle":8,"humaneval":75,"mmlu":80}}"#;
        let of = |figures: &str| {
            let new = format!(r#"{{"model":"a/new","as":"a/old"{figures}}}"#);
            estimate(&rows(&[
                old,
                peer,
                &new,
                r#"{"model":"a/newest","as":"a/new"}"#,
            ]))
        };
        let nothing = of("");
        let told = |skills: &Skills| Skills {
            figures: 0,
            ..*skills
        };
        assert_eq!(told(&nothing["a/new"]), told(&nothing["a/old"]));
        assert_eq!((nothing["a/old"].figures, nothing["a/new"].figures), (4, 0));
        let better = of(r#","figures":{"gpqa":80}"#);
        let best = of(r#","figures":{"gpqa":80,"hle":25}"#);
        let worse = of(r#","figures":{"gpqa":40}"#);
        let reasoning = |skills: &BTreeMap<String, Skills>, model| skills[model].reasoning;
        let order = [&worse, &nothing, &better, &best].map(|it| reasoning(it, "a/new"));
        assert!(
            order.is_sorted() && order[0] < order[1] && order[1] < order[2],
            "{order:?}"
        );
        // And on to the next one.
        assert_eq!(reasoning(&best, "a/newest"), order[3]);
    }

    #[test]
    fn a_strength_shows_in_its_own_skill() {
        let skills = estimate(&rows(&[
            r#"{"model":"a/coder","figures":{"livecodebench":70,"swe_bench_verified":70,"mmlu_pro":60}}"#,
            r#"{"model":"a/sage","figures":{"livecodebench":40,"swe_bench_verified":35,"mmlu_pro":85}}"#,
        ]));
        assert!(skills["a/coder"].code > skills["a/sage"].code);
        assert!(skills["a/coder"].knowledge < skills["a/sage"].knowledge);
    }

    #[test]
    fn a_wrong_row_is_named() {
        let rows = rows(&[
            r#"{"model":"a/b","figures":{"gpqa":150,"vibes":3}}"#,
            r#"{"model":"a/c","as":"a/d"}"#,
            r#"{"model":"x/y","figures":{"gpqa":50}}"#,
            r#"{"model":"a/e"}"#,
            r#"{"model":"a/f","as":"a/g"}"#,
            r#"{"model":"a/g","as":"a/f"}"#,
        ]);
        let mut faults = Vec::new();
        check(&rows, |model| model.starts_with("a/"), &mut faults);
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "quality.jsonl:1: gpqa is 150, and no percentage",
                "quality.jsonl:1: unknown benchmark vibes",
                "quality.jsonl:2: a/d has no figures",
                "quality.jsonl:3: unknown model x/y",
                "quality.jsonl:4: there are no figures",
                "quality.jsonl:5: its predecessors are too many, or go in a circle",
                "quality.jsonl:6: its predecessors are too many, or go in a circle",
            ]
        );
    }
}
