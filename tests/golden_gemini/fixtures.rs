//! The recorded exchanges.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Who speaks it.
const APIS: [&str; 2] = ["google.generateContent", "vertex.generateContent"];

/// The folder of the recordings; says so where there is none.
pub fn fixtures() -> Option<PathBuf> {
    let shared = std::env::var_os("PATCHBAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        Into::into,
    );
    let fixtures = shared.join("fixtures");
    if !fixtures.is_dir() {
        eprintln!("skipped: no recordings at {}", fixtures.display());
        return None;
    }
    Some(fixtures)
}

/// The rows of the index for this API.
pub fn rows(fixtures: &Path) -> Vec<Value> {
    let index = fs::read_to_string(fixtures.join("index.jsonl")).unwrap();
    let rows = index
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    rows.filter(|row: &Value| APIS.iter().any(|api| row["api"] == *api))
        .collect()
}

/// The names and the bytes of the recorded answers in files of this name.
pub fn answers(file: &str) -> Vec<(String, Vec<u8>)> {
    let Some(fixtures) = fixtures() else {
        return Vec::new();
    };
    let read = |row: &Value| {
        let name = row["case"].as_str().unwrap().to_owned();
        let path = case(&fixtures, row).join(file);
        Some((name, fs::read(path).ok()?))
    };
    rows(&fixtures).iter().filter_map(read).collect()
}

/// The folder of an exchange.
pub fn case(fixtures: &Path, row: &Value) -> PathBuf {
    let part = |key: &str| row[key].as_str().unwrap();
    fixtures.join(part("provider")).join(part("case"))
}
