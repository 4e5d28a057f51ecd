//! Reads files that are one document each.

mod markdown;
mod text;

use std::path::Path;

use akin_index::Metadata;

/// The number of these readers: files are read again when it is another than that of the release that read them.
pub(crate) const READER: u64 = 1;

/// The format of a file that is one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentFormat {
    /// Plain text, or source code.
    Text,
    /// Markdown, with the fields of its front matter.
    Markdown,
}

/// The text of a document and its fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extracted {
    /// The text: headings begin with `#`, and a form feed is between pages.
    pub text: String,
    /// What the file says about the document: its title, its author.
    pub metadata: Metadata,
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The file is not of a kind that has text.
    NoDocument,
    /// What is wrong with it, in a few words.
    Because(String),
}

/// Makes a document of the bytes of a file: of a format, or of the one that its name or else its content tells.
///
/// # Errors
/// [`Unread`] where there is none in it.
pub fn read(path: &Path, bytes: Vec<u8>, format: Option<DocumentFormat>) -> Result<Extracted, Unread> {
    let format = match format {
        Some(format) => format,
        None => format_of(path, &bytes).ok_or(Unread::NoDocument)?,
    };
    let extracted = match format {
        DocumentFormat::Text => text::read(bytes)?,
        DocumentFormat::Markdown => markdown::read(bytes)?,
    };
    if extracted.text.trim().is_empty() {
        return Err(Unread::Because("there is no text in it".into()));
    }
    Ok(extracted)
}

/// The format that the name of a file tells, or else its content.
fn format_of(path: &Path, bytes: &[u8]) -> Option<DocumentFormat> {
    of_name(path).or_else(|| of_content(bytes))
}

/// The format that the name of a file tells.
pub(crate) fn of_name(path: &Path) -> Option<DocumentFormat> {
    let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
    Some(match extension.as_str() {
        "md" | "markdown" => DocumentFormat::Markdown,
        _ => return None,
    })
}

/// The format that the first bytes of a file tell.
fn of_content(bytes: &[u8]) -> Option<DocumentFormat> {
    text::is_text(bytes).then_some(DocumentFormat::Text)
}
