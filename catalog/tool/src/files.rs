//! The files of the catalog folder: which there are, how they are read together, what an import writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use patchbay::catalog::Snapshot;
use patchbay::tools::catalog::ToolSnapshot;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::check::{Alias, Rows, check};
use crate::discounts;
use crate::import::{Imported, import};
use crate::naming::Naming;
use crate::overlay::Overlay;
use crate::rows::{self, Fault};
use crate::skills;
use crate::source::Document;
use crate::tiers;
use crate::tools::{self, Tools};

/// Hand-kept: providers.
pub const PROVIDERS: &str = "providers.toml";
/// Hand-kept: names.
pub const NAMING: &str = "naming.toml";
/// Imported: models.
pub const MODELS: &str = "models.jsonl";
/// Imported: endpoints.
pub const ENDPOINTS: &str = "endpoints.jsonl";
/// Imported: aliases.
pub const ALIASES: &str = "aliases.jsonl";
/// Hand-kept: tiers of service.
pub const TIERS: &str = "tiers.jsonl";
/// Hand-kept: public figures of models.
pub const QUALITY: &str = "quality.jsonl";
/// Imported: where the rows come from, and what was left out.
pub const RECORD: &str = "import.json";
/// The licence of the imported rows.
pub const LICENSE: &str = "LICENSE-models.dev";
/// Hand-kept rows of the same form as the imported ones.
pub const LOCAL: &str = "local";

/// Rows of one deployment, which no other has: models that it runs itself.
pub const OWN: &str = "own";

/// Among them: what is taken off prices.
pub const DISCOUNTS: &str = "discounts.jsonl";

/// File name → content.
pub type Contents = Vec<(&'static str, String)>;

/// Where imported rows come from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The project.
    pub source: String,
    /// Licence of the data.
    pub license: String,
    /// Day of the snapshot.
    pub snapshot: String,
    /// SHA-256 of the imported file.
    pub sha256: String,
    /// Rows that came in.
    pub imported: BTreeMap<String, usize>,
    /// Reason → rows that were left out for it.
    pub dropped: BTreeMap<String, usize>,
}

/// Reads all rows of the folder and checks them.
///
/// # Errors
/// Everything that is wrong, each with its file and line.
pub fn load(dir: &Path) -> Result<Rows, Vec<Fault>> {
    let mut faults = Vec::new();
    let rows = read(dir, &mut faults).map_err(|fault| vec![fault])?;
    // A row that could not be read makes others look wrong that point to it.
    if faults.is_empty() {
        check(&rows, &mut faults);
    }
    if faults.is_empty() {
        Ok(rows)
    } else {
        Err(faults)
    }
}

fn read(dir: &Path, faults: &mut Vec<Fault>) -> Result<Rows, Fault> {
    let local = dir.join(LOCAL);
    let mut rows = Rows {
        providers: Overlay::read(&dir.join(PROVIDERS), faults)?.providers,
        models: rows::read(&dir.join(MODELS), faults)?,
        endpoints: rows::read(&dir.join(ENDPOINTS), faults)?,
        aliases: rows::read(&dir.join(ALIASES), faults)?,
        quality: Vec::new(),
        tools: tools::load(dir, faults)?,
    };
    rows.models.extend(rows::read(&local.join(MODELS), faults)?);
    rows.endpoints
        .extend(rows::read(&local.join(ENDPOINTS), faults)?);
    let own = dir.join(OWN);
    rows.models
        .extend(rows::read_if_there(&own.join(MODELS), faults)?);
    rows.endpoints
        .extend(rows::read_if_there(&own.join(ENDPOINTS), faults)?);
    rows.aliases
        .extend(rows::read_if_there(&own.join(ALIASES), faults)?);
    let special = rows::read_if_there(&dir.join(TIERS), faults)?;
    tiers::expand(&special, &mut rows.endpoints, faults);
    let discounts = rows::read_if_there(&own.join(DISCOUNTS), faults)?;
    discounts::apply(&discounts, &mut rows.endpoints, faults);
    tiers::introduce(&special, &rows.providers, &mut rows.endpoints);
    rows.quality = rows::read_if_there(&dir.join(QUALITY), faults)?;
    Ok(rows)
}

/// The rows as what is published.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn snapshot(rows: Rows) -> Result<Snapshot, serde_json::Error> {
    let skills = skills::estimate(&rows.quality);
    Snapshot::new(
        rows.providers
            .into_iter()
            .map(|row| row.value.provider)
            .collect(),
        rows.models.into_iter().map(|row| row.value).collect(),
        rows.endpoints.into_iter().map(|row| row.value).collect(),
        rows.aliases
            .into_iter()
            .map(|row| (row.value.alias, row.value.model))
            .collect(),
        skills,
    )
}

/// The tools as what is published.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn tools(tools: &Tools) -> Result<ToolSnapshot, serde_json::Error> {
    let providers = tools
        .providers
        .iter()
        .map(|(row, _)| Rc::new(row.value.clone()));
    let capabilities = tools
        .capabilities
        .iter()
        .map(|row| Rc::new(row.value.clone()));
    ToolSnapshot::new(providers.collect(), capabilities.collect())
}

/// What an import would write: file name → content, and what it left out.
///
/// # Errors
/// When the source or the overlay cannot be read.
pub fn imported(dir: &Path, source: &Path, date: &str) -> Result<(Contents, Imported), Vec<Fault>> {
    let one = |fault: Fault| vec![fault];
    let mut faults = Vec::new();
    let overlay = Overlay::read(&dir.join(PROVIDERS), &mut faults).map_err(one)?;
    if !faults.is_empty() {
        return Err(faults);
    }
    let naming = Naming::read(&dir.join(NAMING)).map_err(one)?;
    let text = rows::text(source).map_err(one)?;
    let document: Document =
        serde_json::from_str(&text).map_err(|error| one(Fault::of_file(source, error)))?;
    let license = rows::text(&source.with_file_name("models-dev.LICENSE")).map_err(one)?;
    let imported = import(&document, &overlay, &naming);
    let files =
        contents(&imported, &text, date).map_err(|error| one(Fault::of_file(dir, error)))?;
    Ok((
        files.into_iter().chain([(LICENSE, license)]).collect(),
        imported,
    ))
}

fn contents(imported: &Imported, source: &str, date: &str) -> Result<Contents, serde_json::Error> {
    let aliases: Vec<Alias> = imported
        .aliases
        .iter()
        .map(|(alias, model)| Alias {
            alias: alias.clone(),
            model: model.clone(),
        })
        .collect();
    let hash = Sha256::digest(source.as_bytes());
    let record = Record {
        source: "https://models.dev (github: anomalyco/models.dev)".to_owned(),
        license: format!("MIT, see {LICENSE}"),
        snapshot: date.to_owned(),
        sha256: hash
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
        imported: BTreeMap::from([
            ("models".to_owned(), imported.models.len()),
            ("endpoints".to_owned(), imported.endpoints.len()),
        ]),
        dropped: imported
            .dropped
            .iter()
            .map(|(reason, ids)| (reason.clone(), ids.len()))
            .collect(),
    };
    Ok(vec![
        (MODELS, rows::to_text(&imported.models)?),
        (ENDPOINTS, rows::to_text(&imported.endpoints)?),
        (ALIASES, rows::to_text(&aliases)?),
        (RECORD, serde_json::to_string_pretty(&record)? + "\n"),
    ])
}

/// Writes files into the folder.
///
/// # Errors
/// The first file that cannot be written.
pub fn write(dir: &Path, files: &[(&str, String)]) -> Result<(), Fault> {
    for (name, content) in files {
        let path = dir.join(name);
        fs::write(&path, content).map_err(|error| Fault::of_file(&path, error))?;
    }
    Ok(())
}
