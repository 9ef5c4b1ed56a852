//! Where recorded exchanges are, and how they are read.
//!
//! The recordings belong to a folder beside the repository (`../shared`, or `PATCHBAY_SHARED`), which a clone may lack; a small
//! set of our own under `tests/golden/synthetic` has the same layout and is always there.

pub mod readers;

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

/// One exchange.
#[derive(Clone)]
pub struct Case {
    /// Its name, unique within its API.
    pub name: String,
    /// The model that was asked for.
    pub model: String,
    /// What the exchange shows.
    pub features: Vec<String>,
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer is a stream.
    pub stream: bool,
    /// The native request, where it is known.
    pub request: Option<Vec<u8>>,
    /// The answer.
    pub response: Vec<u8>,
    /// The lengths of the pieces in which the answer arrived, where they were kept.
    pub chunk_lengths: Vec<usize>,
}

/// The folder with the recordings; says so where there is none.
pub fn shared() -> Option<PathBuf> {
    let dir = std::env::var_os("PATCHBAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let found = dir.join("fixtures/index.jsonl").is_file();
    if !found {
        eprintln!(
            "skipped: no recordings at {} (set PATCHBAY_SHARED)",
            dir.display()
        );
    }
    found.then_some(dir)
}

/// The recorded exchanges of one API.
pub fn recorded(api: &str) -> Option<Vec<Case>> {
    let fixtures = shared()?.join("fixtures");
    Some(cases(&fixtures, api))
}

/// Our own exchanges of one API.
pub fn synthetic(api: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/synthetic");
    cases(&root, api)
}

fn cases(root: &Path, api: &str) -> Vec<Case> {
    let index = std::fs::read_to_string(root.join("index.jsonl")).unwrap();
    let rows = index.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["api"] == api && row["response_file"].is_string())
        .map(|row| read(root, &row))
        .collect()
}

/// The bytes of an answer; binary streams are kept as base64.
fn response(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "b64") {
        BASE64_STANDARD.decode(bytes.trim_ascii()).unwrap()
    } else {
        bytes
    }
}

fn read(root: &Path, row: &Value) -> Case {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let dir = root.join(text("provider")).join(text("case"));
    let meta: Value = std::fs::read(dir.join("meta.json"))
        .map(|meta| serde_json::from_slice(&meta).unwrap())
        .unwrap_or_default();
    let lengths = meta["chunk_lengths"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Case {
        name: text("case"),
        model: text("model"),
        features: row["features"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|feature| feature.as_str().map(str::to_owned))
            .collect(),
        status: row["http_status"]
            .as_u64()
            .unwrap_or(200)
            .try_into()
            .unwrap(),
        stream: row["stream"] == true,
        request: std::fs::read(dir.join("request.json")).ok(),
        response: response(&dir.join(text("response_file"))),
        chunk_lengths: lengths
            .iter()
            .map(|length| length.as_u64().unwrap().try_into().unwrap())
            .collect(),
    }
}
