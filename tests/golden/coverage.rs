//! Nothing recorded stays unread: each case of the index is read by a golden table, or left out with its reason.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{completions, counts, operations, table};
use crate::common::{
    self,
    readers::{READERS, check_reader},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    left_out: Vec<LeftOut>,
}

/// An API, or one case of an API that is read otherwise, that no table reads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    api: String,
    case: Option<String>,
    reason: String,
}

#[derive(Debug, Default)]
struct Counts {
    cases: usize,
    streams: usize,
    requests: usize,
    errors: usize,
}

impl Counts {
    fn add(&mut self, row: &Value) {
        self.cases += 1;
        self.streams += usize::from(row["stream"] == true);
        self.requests += usize::from(row["request"] == true);
        self.errors += usize::from(row["http_status"].as_u64() >= Some(400));
    }
}

fn left_out() -> Vec<LeftOut> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/left_out.toml");
    let list: List = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    list.left_out
}

#[test]
fn the_table_reads_the_apis_that_are_listed_as_its_own() {
    let own = operations::TABLE.iter().map(|row| row.api);
    let counts = counts::TABLE.iter().map(|(api, ..)| *api);
    let own = own.chain(counts).chain(completions::TABLE);
    let names: Vec<&str> = table::all().map(|api| api.name).chain(own).collect();
    check_reader("golden", &names);
}

#[test]
fn every_recorded_case_is_read_or_left_out_with_a_reason() {
    let Some(shared) = common::shared() else {
        return;
    };
    let index = std::fs::read_to_string(shared.join("fixtures/index.jsonl")).unwrap();
    let rows: Vec<Value> = index
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let list = left_out();
    let mut used = vec![0; list.len()];
    let mut read: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut skipped: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut unread = Vec::new();
    for row in &rows {
        let (api, case) = (row["api"].as_str().unwrap(), row["case"].as_str().unwrap());
        let entry = list.iter().position(|entry| {
            entry.api == api && entry.case.as_deref().is_none_or(|name| name == case)
        });
        if let Some(at) = entry {
            used[at] += 1;
        }
        let reader = READERS.iter().find(|(name, _)| *name == api);
        match (reader, entry) {
            // No body, nothing to read.
            _ if row["response_file"].is_null() => {}
            (Some(_), None) => read.entry(api).or_default().add(row),
            (Some((_, reader)), Some(at)) if list[at].case.is_none() => {
                unread.push(format!("{api}/{case}: left out, but {reader} reads it"));
            }
            (_, Some(at)) => skipped
                .entry(list[at].reason.as_str())
                .or_default()
                .add(row),
            (None, None) => unread.push(format!("{api}/{case}: neither read nor left out")),
        }
    }
    for (entry, used) in list.iter().zip(used) {
        assert!(!entry.reason.is_empty(), "{}: no reason", entry.api);
        if used == 0 {
            unread.push(format!("{}: left out, but not in the index", entry.api));
        }
    }
    println!("{}", told(&read, &skipped));
    assert!(unread.is_empty(), "{}", unread.join("\n"));
}

fn told(read: &BTreeMap<&str, Counts>, skipped: &BTreeMap<&str, Counts>) -> String {
    let mut text = String::new();
    for (title, counts) in [("read", read), ("left out", skipped)] {
        let all: usize = counts.values().map(|counts| counts.cases).sum();
        writeln!(text, "{title}: {all} cases").unwrap();
        writeln!(text, "  cases streams requests errors").unwrap();
        for (name, counts) in counts {
            let Counts {
                cases,
                streams,
                requests,
                errors,
            } = counts;
            writeln!(
                text,
                "  {cases:5} {streams:7} {requests:8} {errors:6}  {name}"
            )
            .unwrap();
        }
    }
    text
}
