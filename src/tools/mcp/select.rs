//! Which tools a client sees, and in what pages.
//!
//! A model that is shown a hundred tools chooses worse and pays for all of them with each request. So a catalog of more than
//! [`MANY`] is shown by three tools that find, explain and call the others, unless the address or a header of the client says otherwise.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::message::Fault;
use crate::tools::export::MANY;

/// Tools on a page.
pub const PAGE: usize = 100;
/// What a cursor begins with.
const AFTER: &str = "after:";

/// What a client wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// It says nothing.
    Default,
    /// Every tool.
    All,
    /// The meta tools alone.
    Meta,
    /// Tools of these providers, categories, capabilities or names.
    Named(Vec<String>),
}

impl Selection {
    /// What `?tools=` or the header `x-patchbay-tools` says.
    pub fn read(words: Option<&str>) -> Self {
        match words.map(str::trim) {
            None | Some("") => Self::Default,
            Some("all") => Self::All,
            Some("meta") => Self::Meta,
            Some(words) => Self::Named(
                words
                    .split(',')
                    .map(|word| word.trim().to_owned())
                    .collect(),
            ),
        }
    }

    /// Whether the meta tools stand for so many tools.
    pub fn is_meta(&self, tools: usize) -> bool {
        match self {
            Self::Default => tools > MANY,
            Self::Meta => true,
            Self::All | Self::Named(_) => false,
        }
    }

    /// Whether a tool that answers to these words is shown.
    pub fn shows(&self, words: &[&str]) -> bool {
        match self {
            Self::Named(wanted) => wanted.iter().any(|one| words.contains(&one.as_str())),
            Self::Default | Self::All | Self::Meta => true,
        }
    }
}

/// The place of a page among names in their order, and the cursor of the next.
///
/// # Errors
/// -32602 for a cursor that is not ours, or whose tool is not there any more.
pub fn page(
    names: &[&str],
    cursor: Option<&str>,
    size: usize,
) -> Result<(usize, usize, Option<String>), Fault> {
    let start = match cursor {
        None => 0,
        Some(cursor) => {
            let after = read_cursor(cursor);
            let at = after.and_then(|after| names.iter().position(|name| **name == after));
            at.ok_or_else(|| Fault::params("Invalid cursor"))? + 1
        }
    };
    let end = start.saturating_add(size.max(1)).min(names.len());
    let last = (end < names.len()).then(|| names.get(end.saturating_sub(1)));
    let next = last
        .flatten()
        .map(|last| BASE64_URL_SAFE_NO_PAD.encode(format!("{AFTER}{last}")));
    Ok((start, end, next))
}

fn read_cursor(cursor: &str) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_prefix(AFTER).map(str::to_owned)
}
