//! OpenDocument: texts, and what presentations and tables of it say.

use akin_index::Metadata;

use super::archive::Archive;
use super::blocks::Blocks;
use super::office::fields;
use super::xml::{Element, Part, walk};
use super::{Extracted, Unread};

/// Reads a document.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let mut archive = Archive::open(bytes).map_err(Unread::Because)?;
    extract(&mut archive).map_err(Unread::Because)
}

fn extract(archive: &mut Archive) -> Result<Extracted, String> {
    if archive.text("META-INF/manifest.xml")?.is_some_and(|manifest| manifest.contains("encryption-data")) {
        return Err("encrypted: it needs a password".into());
    }
    let mut blocks = Blocks::default();
    let mut at = Walk::default();
    walk(&archive.required("content.xml")?, |part| {
        match part {
            Part::Start(element) => at.start(&element, &mut blocks),
            Part::End(name) => at.end(&name, &mut blocks),
            Part::Text(text) if at.paragraphs > 0 && at.left_out == 0 => blocks.push(&text),
            Part::Text(_) => {}
        }
        Ok(())
    })?;
    let metadata = match archive.text("meta.xml")? {
        Some(meta) => fields(&meta),
        None => Metadata::new(),
    };
    Ok(Extracted { text: blocks.finish()?, metadata })
}

/// How far a document was read.
#[derive(Default)]
struct Walk {
    /// Paragraphs and headings that are open.
    paragraphs: usize,
    /// Elements that are open and have nothing to read: what was deleted, remarks, the numbers of notes.
    left_out: usize,
    cells: usize,
    in_new_cell: bool,
}

impl Walk {
    fn start(&mut self, element: &Element<'_>, blocks: &mut Blocks) {
        let name = element.name();
        if self.left_out > 0 || is_left_out(&name) {
            self.left_out += usize::from(is_left_out(&name));
            return;
        }
        match name.as_str() {
            "p" | "h" => {
                self.paragraphs += 1;
                match (self.cells > 0, self.in_new_cell) {
                    (true, true) => {}
                    (true, false) => blocks.push(" "),
                    (false, _) => blocks.block(),
                }
                self.in_new_cell = false;
                if name == "h" {
                    let level = element.attribute("outline-level").and_then(|level| level.parse().ok());
                    blocks.heading(level.unwrap_or(1));
                }
            }
            "table-row" => blocks.line(),
            "table-cell" => {
                blocks.cell();
                self.cells += 1;
                self.in_new_cell = true;
            }
            "page" => blocks.page(),
            "s" | "tab" | "line-break" => blocks.push(" "),
            _ => {}
        }
    }

    fn end(&mut self, name: &str, blocks: &mut Blocks) {
        if is_left_out(name) {
            self.left_out = self.left_out.saturating_sub(1);
        } else if self.left_out == 0 {
            match name {
                "p" | "h" => {
                    self.paragraphs = self.paragraphs.saturating_sub(1);
                    if self.cells == 0 {
                        blocks.block();
                    }
                }
                "table-cell" => self.cells = self.cells.saturating_sub(1),
                "table" => blocks.block(),
                _ => {}
            }
        }
    }
}

fn is_left_out(name: &str) -> bool {
    matches!(name, "tracked-changes" | "annotation" | "note-citation" | "forms" | "index-title-template")
}
