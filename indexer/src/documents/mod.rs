//! Reads files that are one document each.
//!
//! A reader is given the bytes of a file and gives its text, or a reason. It runs on a thread of its own, for a minute at most
//! (`guard.rs`), or in a process of its own (`worker.rs`), and gives no more than 64 MiB of text: a file that is broken, encrypted or hostile costs no more than its own
//! document. `docs/FORMATS.md` has what each reader was measured to do.

mod archive;
mod blocks;
mod docx;
mod epub;
mod guard;
mod html;
mod mail;
mod markdown;
mod notebook;
mod odt;
mod office;
mod pdf;
mod rtf;
mod sheets;
mod slides;
mod text;
mod worker;
mod xml;

use std::path::Path;

use akin_index::Metadata;
use encoding_rs::Encoding;

use self::archive::Archive;
pub use self::guard::catches_panics;
pub(crate) use self::guard::catching_panics;
pub(crate) use self::mail::{Message, is_mailbox, is_separator as is_mail_separator};
pub use self::worker::{Worker, answer};

/// The number of these readers: files are read again when it is another than that of the release that read them.
pub(crate) const READER: u64 = 3;

/// The reason begins so where a text is in another encoding than UTF-8.
pub const NOT_UTF_8: &str = "not UTF-8";

/// The format of a file that is one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentFormat {
    /// Plain text, or source code.
    Text,
    /// Markdown, with the fields of its front matter.
    Markdown,
    /// HTML: the article, without menus.
    Html,
    /// PDF, a page of text for each page.
    Pdf,
    /// A text of Word.
    Docx,
    /// OpenDocument.
    Odt,
    /// A book.
    Epub,
    /// Rich Text Format.
    Rtf,
    /// A presentation of PowerPoint.
    Pptx,
    /// A spreadsheet of Excel.
    Xlsx,
    /// A Jupyter notebook.
    Notebook,
    /// A mail: its text, with sender, subject and date as fields.
    Mail,
}

/// All formats, with their names.
const NAMES: [(DocumentFormat, &str); 12] = [
    (DocumentFormat::Text, "text"),
    (DocumentFormat::Markdown, "markdown"),
    (DocumentFormat::Html, "html"),
    (DocumentFormat::Pdf, "pdf"),
    (DocumentFormat::Docx, "docx"),
    (DocumentFormat::Odt, "odt"),
    (DocumentFormat::Epub, "epub"),
    (DocumentFormat::Rtf, "rtf"),
    (DocumentFormat::Pptx, "pptx"),
    (DocumentFormat::Xlsx, "xlsx"),
    (DocumentFormat::Notebook, "notebook"),
    (DocumentFormat::Mail, "eml"),
];

impl DocumentFormat {
    fn name(self) -> &'static str {
        NAMES.iter().find(|(format, _)| *format == self).map_or("text", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(format, _)| *format)
    }

    /// Whether a library of others reads it that may hang, or end its process: its loops and its memory are not ours to bound.
    fn is_risky(self) -> bool {
        self == Self::Pdf
    }
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

/// Makes a document of the bytes of a file: of a format, or of the one that its name or else its content tells. Text, Markdown
/// and HTML are in `encoding` where no mark says another; in UTF-8, or what a page declares, if none is given.
///
/// # Errors
/// [`Unread`] where there is none in it.
pub fn read(
    path: &Path,
    bytes: Vec<u8>,
    format: Option<DocumentFormat>,
    encoding: Option<&'static Encoding>,
) -> Result<Extracted, Unread> {
    read_with(path, bytes, format, encoding, None)
}

/// The same. What may hang or end its process is read by `worker`, if there is one: PDF, and all else while a reader has hung.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    path: &Path,
    bytes: Vec<u8>,
    format: Option<DocumentFormat>,
    encoding: Option<&'static Encoding>,
    worker: Option<&Worker>,
) -> Result<Extracted, Unread> {
    let format = match format {
        Some(format) => format,
        None => format_of(path, &bytes).ok_or(Unread::NoDocument)?,
    };
    let extracted = match format {
        DocumentFormat::Text => text::read(bytes, encoding)?,
        DocumentFormat::Markdown => markdown::read(bytes, encoding)?,
        format => {
            let worker = worker.filter(|_| format.is_risky() || guard::has_abandoned());
            match worker.and_then(|worker| worker.read(format, &bytes, encoding)) {
                Some(read) => read?,
                None => guard::guarded(move || read_format(format, bytes, encoding))?,
            }
        }
    };
    if extracted.text.trim().is_empty() {
        return Err(Unread::Because("there is no text in it".into()));
    }
    Ok(extracted)
}

/// Reads a message of a mailbox.
pub(crate) fn read_message(bytes: Vec<u8>) -> Result<Message, Unread> {
    guard::guarded(move || mail::message(&bytes))
}

fn read_format(
    format: DocumentFormat,
    bytes: Vec<u8>,
    encoding: Option<&'static Encoding>,
) -> Result<Extracted, Unread> {
    match format {
        DocumentFormat::Text => text::read(bytes, encoding),
        DocumentFormat::Markdown => markdown::read(bytes, encoding),
        DocumentFormat::Html => html::read(&bytes, encoding),
        DocumentFormat::Pdf => pdf::read(&bytes),
        DocumentFormat::Docx => docx::read(bytes),
        DocumentFormat::Odt => odt::read(bytes),
        DocumentFormat::Epub => epub::read(bytes),
        DocumentFormat::Rtf => rtf::read(&bytes),
        DocumentFormat::Pptx => slides::read(bytes),
        DocumentFormat::Xlsx => sheets::read(bytes),
        DocumentFormat::Notebook => notebook::read(&bytes),
        DocumentFormat::Mail => mail::read(&bytes),
    }
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
        "html" | "htm" | "xhtml" => DocumentFormat::Html,
        "pdf" => DocumentFormat::Pdf,
        "docx" | "docm" => DocumentFormat::Docx,
        "odt" | "odp" | "ods" => DocumentFormat::Odt,
        "epub" => DocumentFormat::Epub,
        "rtf" => DocumentFormat::Rtf,
        "pptx" | "pptm" => DocumentFormat::Pptx,
        "xlsx" | "xlsm" => DocumentFormat::Xlsx,
        "ipynb" => DocumentFormat::Notebook,
        "eml" | "mbox" => DocumentFormat::Mail,
        _ => return None,
    })
}

/// The format that the content of a file tells.
fn of_content(bytes: &[u8]) -> Option<DocumentFormat> {
    if bytes.starts_with(b"PK\x03\x04") {
        return of_archive(bytes);
    }
    if let Some(format) = of_beginning(bytes) {
        return Some(format);
    }
    // A mailbox is told as such, and not read as a text.
    if is_mailbox(bytes) {
        return Some(DocumentFormat::Mail);
    }
    text::looks_like_text(bytes).then_some(DocumentFormat::Text)
}

/// The format that the first bytes of a file tell, if they tell one.
pub(crate) fn of_beginning(bytes: &[u8]) -> Option<DocumentFormat> {
    if bytes.starts_with(b"%PDF-") {
        return Some(DocumentFormat::Pdf);
    }
    if bytes.starts_with(br"{\rtf") {
        return Some(DocumentFormat::Rtf);
    }
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).trim_start().to_ascii_lowercase();
    if beginning.starts_with("<!doctype html") || beginning.starts_with("<html") {
        return Some(DocumentFormat::Html);
    }
    mail::is_message(bytes).then_some(DocumentFormat::Mail)
}

/// The office format that an archive is by its parts.
fn of_archive(bytes: &[u8]) -> Option<DocumentFormat> {
    let names = Archive::open(bytes.to_vec()).ok()?.names();
    let parts = [
        ("word/document.xml", DocumentFormat::Docx),
        ("ppt/presentation.xml", DocumentFormat::Pptx),
        ("xl/workbook.xml", DocumentFormat::Xlsx),
        ("META-INF/container.xml", DocumentFormat::Epub),
        ("content.xml", DocumentFormat::Odt),
    ];
    parts.into_iter().find(|(part, _)| names.iter().any(|name| name == part)).map(|(_, format)| format)
}

#[cfg(test)]
mod tests;
