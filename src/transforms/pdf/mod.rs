//! The text of a PDF document, page by page.
//!
//! In scope: plain and compressed objects and cross references, Flate and the ASCII filters, fonts with one and two bytes to a
//! character, forms inside pages. Objects are found by looking through the file, so that a broken table of them does not matter.
//! Out of scope: pictures of text, encrypted documents, layout beyond lines and words. Spec: ISO 32000.

use std::fmt;

mod content;
mod encodings;
mod file;
mod filters;
mod font;
mod object;
#[cfg(test)]
mod tests;

/// The largest document.
pub const MAX_BYTES: usize = 20 * 1024 * 1024;
/// The most pages.
pub const MAX_PAGES: usize = 1_000;
/// The most bytes that all streams of a document may unfold to.
pub const MAX_INFLATED: usize = 48 * 1024 * 1024;
/// The most bytes of text.
pub const MAX_TEXT: usize = 8 * 1024 * 1024;
/// The most operators of all pages.
const MAX_OPERATORS: usize = 4_000_000;

/// Why a document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is something else.
    NotPdf,
    /// It needs a password or a key.
    Encrypted,
    /// [`MAX_BYTES`].
    TooLarge,
    /// [`MAX_PAGES`].
    TooManyPages,
    /// [`MAX_INFLATED`] and the other bounds on work.
    TooMuch,
    /// It has no pages.
    NoPages,
    /// Its pages have no text: pictures, most likely.
    NoText,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes / (1024 * 1024);
        match self {
            Self::NotPdf => f.write_str("the data is not a PDF document"),
            Self::Encrypted => f.write_str("the PDF document is encrypted: send it without a password"),
            Self::TooLarge => write!(f, "the file is larger than {} MiB", mib(MAX_BYTES)),
            Self::TooManyPages => write!(f, "the PDF document has more than {MAX_PAGES} pages"),
            Self::TooMuch => write!(
                f,
                "the PDF document unfolds to more than the {} MiB that are read",
                mib(MAX_INFLATED)
            ),
            Self::NoPages => f.write_str("the PDF document has no pages that can be found"),
            Self::NoText => f.write_str(
                "the PDF document has no text, only pictures perhaps: use a model that reads files, or the engine \"native\"",
            ),
        }
    }
}

/// The text of each page.
///
/// # Errors
/// When the document cannot be read, or is beyond a limit.
pub fn text(bytes: &[u8]) -> Result<Vec<String>, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let file = file::File::read(bytes)?;
    let pages = file.pages()?;
    let mut budget = MAX_OPERATORS;
    let mut texts = Vec::with_capacity(pages.len());
    let mut length = 0;
    for page in &pages {
        let text = content::page(&file, page, &mut budget)?;
        length += text.len();
        if length > MAX_TEXT {
            return Err(Unreadable::TooMuch);
        }
        texts.push(text);
    }
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Err(Unreadable::NoText);
    }
    Ok(texts)
}
