//! Imports, checks and compiles the catalog.
//!
//! `import` regenerates the imported rows from a models.dev snapshot, `check` refuses wrong rows, `compile` writes what is
//! published. Out of scope: publishing.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to its user"
)]

mod chains;
mod check;
mod describe;
mod discounts;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod exchanges;
mod facts;
#[cfg(test)]
mod failure_tests;
mod files;
mod identity;
mod import;
mod naming;
mod overlay;
mod own;
#[cfg(test)]
mod provider_tests;
#[cfg(test)]
mod request_tests;
mod rows;
mod skills;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tier_tests;
mod tiers;
#[cfg(test)]
mod tool_row_tests;
mod tools;
mod tools_check;
#[cfg(test)]
mod tools_tests;
#[cfg(test)]
mod trap_tests;
#[cfg(test)]
mod vendor_facts;
#[cfg(test)]
mod vendor_tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use patchbay::catalog::Snapshot;
use patchbay::catalog::publish::POINTER;
use serde_json::json;

use rows::Fault;

/// Where the compiled catalog goes unless told otherwise.
const OUT: &str = ".patchbay/catalog.json";

const USAGE: &str = "\
usage: catalog-tool import --from models-dev.json --date YYYY-MM-DD [--dir catalog] [--explain]
       catalog-tool own --provider ollama --model ID --context TOKENS [--features tools,vision,reasoning] [--dir catalog]
       catalog-tool check [--dir catalog]
       catalog-tool compile [--dir catalog] [--out FILE] [--kv FOLDER] [--have NAME,NAME]

import   writes models.jsonl, endpoints.jsonl, aliases.jsonl, import.json and the licence; --explain lists every upstream id
         with the model that it became, or why it was left out
own      adds a model that a provider of this deployment runs (Ollama, llama.cpp) to own/*.jsonl, which is no part of the repository
check    holds every row against the rules; a wrong one is printed as file:line: why
compile  checks, then writes the snapshot to --out (.patchbay/catalog.json), and to --kv the writes of a key-value store: kv-entries.json first,
         kv-pointer.json after all of it. --have: the variables that the deployment has set; providers that need others,
         and the models that only they serve, are left out";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<String, Vec<String>> {
    let command = arguments.next().unwrap_or_default();
    let options = options(arguments)?;
    let dir = PathBuf::from(options.get("dir").map_or("catalog", String::as_str));
    let told = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    match command.as_str() {
        "import" => {
            let from = options.get("from").ok_or_else(|| vec![USAGE.to_owned()])?;
            let date = options.get("date").ok_or_else(|| vec![USAGE.to_owned()])?;
            let (files, imported) = files::imported(&dir, Path::new(from), date).map_err(told)?;
            files::write(&dir, &files).map_err(|fault| told(vec![fault]))?;
            Ok(summary(&imported, options.contains_key("explain")))
        }
        "own" => own::add(&dir, &options),
        "check" => {
            let rows = files::load(&dir).map_err(told)?;
            Ok(format!(
                "{} providers, {} models, {} endpoints, {} aliases; {} operations of {} providers of tools: all good",
                rows.providers.len(),
                rows.models.len(),
                rows.endpoints.len(),
                rows.aliases.len(),
                rows.tools
                    .providers
                    .iter()
                    .map(|(row, _)| row.value.operation.len())
                    .sum::<usize>(),
                rows.tools.providers.len(),
            ))
        }
        "compile" => {
            let rows = files::load(&dir).map_err(told)?;
            let tools = files::tools(&rows.tools).map_err(one_line)?;
            let snapshot = files::snapshot(rows).and_then(|s| restrict(s, options.get("have")));
            let mut snapshot = snapshot.map_err(one_line)?;
            // Who may call which tool is decided when it is called: all are published.
            snapshot.tools = Some(serde_json::to_value(&tools).map_err(one_line)?);
            compile(&snapshot, &options)
        }
        _ => Err(vec![USAGE.to_owned()]),
    }
}

fn options(
    mut arguments: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut options = BTreeMap::new();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.as_str() {
            "--explain" => ("explain", String::new()),
            "--from" | "--date" | "--dir" | "--out" | "--kv" | "--have" | "--provider"
            | "--model" | "--context" | "--features" => {
                let value = arguments
                    .next()
                    .ok_or_else(|| vec![format!("{argument} needs a value"), USAGE.to_owned()])?;
                (argument.trim_start_matches('-'), value)
            }
            _ => return Err(vec![format!("unknown option {argument}"), USAGE.to_owned()]),
        };
        options.insert(name.to_owned(), value);
    }
    Ok(options)
}

fn restrict(snapshot: Snapshot, have: Option<&String>) -> Result<Snapshot, serde_json::Error> {
    let Some(have) = have else {
        return Ok(snapshot);
    };
    let has = |name: &str| have.split(',').any(|variable| variable.trim() == name);
    snapshot.restricted(|provider| provider.is_callable(has))
}

fn compile(snapshot: &Snapshot, options: &BTreeMap<String, String>) -> Result<String, Vec<String>> {
    let out = Path::new(options.get("out").map_or(OUT, String::as_str));
    let json = serde_json::to_string(snapshot).map_err(one_line)?;
    let folder = out.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(out, json))
        .map_err(|error| vec![format!("{}: {error}", out.display())])?;
    if let Some(folder) = options.get("kv") {
        let writes = snapshot.writes().map_err(one_line)?;
        let (pointer, entries): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|(key, _)| key == POINTER);
        for (name, writes) in [("kv-entries.json", entries), ("kv-pointer.json", pointer)] {
            let rows: Vec<_> = writes
                .into_iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
            let path = Path::new(folder).join(name);
            let text = serde_json::to_string(&rows).map_err(one_line)?;
            fs::write(&path, text).map_err(|error| vec![format!("{}: {error}", path.display())])?;
        }
    }
    Ok(format!(
        "catalog {}: {} providers, {} models, {} endpoints",
        snapshot.version,
        snapshot.providers.len(),
        snapshot.models.len(),
        snapshot.endpoints.len()
    ))
}

fn one_line(error: serde_json::Error) -> Vec<String> {
    vec![error.to_string()]
}

fn summary(imported: &import::Imported, explain: bool) -> String {
    let mut lines = Vec::new();
    if explain {
        for e in &imported.endpoints {
            lines.push(format!(
                "{} <- {} {} [{}]",
                e.model, e.provider, e.upstream_model_id, e.tag
            ));
        }
    }
    for (reason, ids) in &imported.dropped {
        lines.push(format!("left out {}: {reason}", ids.len()));
        if explain {
            lines.extend(ids.iter().map(|id| format!("    {id}")));
        }
    }
    lines.push(format!(
        "{} models, {} endpoints",
        imported.models.len(),
        imported.endpoints.len()
    ));
    lines.join("\n")
}
