//! Rows in files: one JSON object a line, each remembered with its file and line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// A row and where it stands.
#[derive(Debug, Clone)]
pub struct Row<T> {
    /// The row.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// What is wrong with a file, or with one line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, when it is one line's fault.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    /// A file that is wrong as a whole.
    pub fn of_file(file: &Path, why: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            why: why.to_string(),
        }
    }

    /// A row that is wrong.
    pub fn of_row(place: &Place, why: impl fmt::Display) -> Self {
        Self {
            file: place.file.clone(),
            line: Some(place.line),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.why)
    }
}

/// Reads a file as text.
///
/// # Errors
/// When it cannot be read.
pub fn text(file: &Path) -> Result<String, Fault> {
    fs::read_to_string(file).map_err(|error| Fault::of_file(file, error))
}

/// Reads a file of rows; every line that is no row is a fault.
///
/// # Errors
/// When the file cannot be read.
pub fn read<T: DeserializeOwned>(
    file: &Path,
    faults: &mut Vec<Fault>,
) -> Result<Vec<Row<T>>, Fault> {
    let text = text(file)?;
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = Place {
            file: file.to_owned(),
            line: at + 1,
        };
        match serde_json::from_str(line) {
            Ok(value) => rows.push(Row { value, place }),
            Err(error) => faults.push(Fault::of_row(&place, plain(&error))),
        }
    }
    Ok(rows)
}

/// The same of a file that need not be there.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_if_there<T: DeserializeOwned>(
    file: &Path,
    faults: &mut Vec<Fault>,
) -> Result<Vec<Row<T>>, Fault> {
    match file.exists() {
        true => read(file, faults),
        false => Ok(Vec::new()),
    }
}

/// The rows as a file's content.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn to_text<T: Serialize>(rows: &[T]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    Ok(text)
}

/// The error without its position: a row is one line, and the file's line is said already.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((why, column)) => format!("{why} (column {column})"),
        None => text,
    }
}
