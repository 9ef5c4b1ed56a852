//! Where the bytes of a release are: code per module of the gateway, and per crate beside it, as the compiler left them.
//!
//! What is written for a type (its reading from JSON, its drop) counts for the module of the type. Sizes are of the code before
//! wasm-opt and compression, which leave about a third of it; the shares are what tells. Data is told apart from code.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use crate::{Outcome, say};

/// The crate whose modules are told apart.
const OWN: &str = "patchbay";
/// Folders whose own folders or files are told apart.
const SPLIT: [&str; 2] = ["api", "dialects"];
/// What stands in the name of whatever reads JSON.
const READER: &str = "json::reader::";
/// Smaller modules are added up.
const LEAST: usize = 4_000;

/// Prints the table of the module at this path.
pub fn print(module: &Path) -> Outcome<()> {
    let bytes = fs::read(module).map_err(|error| {
        format!(
            "{}: {error}; build a release first: `npm run build -- --release`",
            module.display()
        )
    })?;
    let (sizes, data) = functions(&bytes).map_err(|error| format!("not a module: {error}"))?;
    let mut modules = BTreeMap::<String, usize>::new();
    for (name, size) in sizes {
        *modules.entry(module_of(&name)).or_default() += size;
    }
    let total: usize = modules.values().sum();
    let (mut rows, small): (Vec<_>, Vec<_>) =
        modules.into_iter().partition(|(_, size)| *size >= LEAST);
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    rows.push((
        "the rest".to_owned(),
        small.into_iter().map(|(_, size)| size).sum(),
    ));
    say(&format!("code {total} bytes, data {data} bytes"));
    for (name, size) in rows {
        let permille = size * 1_000 / total.max(1);
        say(&format!(
            "{size:>9}  {:>3}.{} %  {name}",
            permille / 10,
            permille % 10
        ));
    }
    Ok(())
}

/// The demangled name and the size of each function, and the size of the data.
fn functions(module: &[u8]) -> wasmparser::Result<(Vec<(String, usize)>, usize)> {
    let (mut imported, mut data) = (0, 0);
    let mut sizes = Vec::new();
    let mut names = HashMap::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => sizes.push(body.range().len()),
            Payload::DataSection(section) => data = section.range().len(),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else {
                    continue;
                };
                for subsection in subsections {
                    let Name::Function(map) = subsection? else {
                        continue;
                    };
                    for naming in map {
                        let naming = naming?;
                        names.insert(naming.index, naming.name);
                    }
                }
            }
            _ => {}
        }
    }
    let named = (imported..).zip(sizes).map(|(index, size)| {
        let name = names.get(&index).copied().unwrap_or_default();
        (format!("{:#}", rustc_demangle::demangle(name)), size)
    });
    Ok((named.collect(), data))
}

/// The module of the gateway that a function is for: the first that its name mentions, but for the wrapper that all types are read
/// through; else its crate.
fn module_of(name: &str) -> String {
    let own = format!("{OWN}::");
    let mentioned = || name.split(&own).skip(1);
    let is_of_type = |path: &&str| !path.starts_with(READER);
    let first = mentioned().find(is_of_type);
    let Some(path) = first.or_else(|| mentioned().next()) else {
        let is_word = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        let start = name.trim_start_matches(|letter| !is_word(&letter));
        let start = start.strip_prefix("mut ").unwrap_or(start);
        return start.chars().take_while(is_word).collect();
    };
    let is_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    let end = path.find(|letter| !is_path(letter)).unwrap_or(path.len());
    let (path, _) = path.split_at(end);
    let mut words = path.split("::");
    let folder = words.next().unwrap_or_default();
    let inner = words.next().filter(|inner| {
        SPLIT.contains(&folder) && inner.starts_with(|letter: char| letter.is_lowercase())
    });
    match inner {
        Some(inner) => format!("{folder}/{inner}"),
        None => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::module_of;

    #[test]
    fn a_function_counts_for_the_first_module_that_its_name_mentions() {
        for (name, module) in [
            ("patchbay::api::chat::answer::{closure#0}", "api/chat"),
            ("<patchbay::error::Error>::internal", "error"),
            (
                "<patchbay::json::reader::Reader<_> as serde::de::Visitor>::visit_map::<patchbay::usage::Row>",
                "usage",
            ),
            ("patchbay::json::reader::new", "json"),
            (
                "core::ptr::drop_in_place::<patchbay::dialects::gemini::wire::Part>",
                "dialects/gemini",
            ),
            (
                "<&mut serde_json::de::Deserializer<_>>::parse",
                "serde_json",
            ),
            ("<patchbay::dialects::Decoder>::feed", "dialects"),
            ("sha2::sha256::compress256", "sha2"),
        ] {
            assert_eq!(module_of(name), module, "{name}");
        }
    }
}
