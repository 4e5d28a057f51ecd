//! Word documents: Office Open XML.

use akin_index::Metadata;

use super::archive::Archive;
use super::blocks::Blocks;
use super::office::{fields, heading_of_style};
use super::xml::{Element, Part, walk};
use super::{Extracted, Unread};

/// Reads a document with its foot- and endnotes.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let mut archive = Archive::open(bytes).map_err(Unread::Because)?;
    extract(&mut archive).map_err(Unread::Because)
}

fn extract(archive: &mut Archive) -> Result<Extracted, String> {
    let main = main_part(archive)?;
    let mut blocks = Blocks::default();
    read_part(&archive.required(&main)?, &mut blocks)?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    for notes in ["footnotes.xml", "endnotes.xml"] {
        if let Some(notes) = archive.text(&format!("{folder}/{notes}"))? {
            read_part(&notes, &mut blocks)?;
        }
    }
    let metadata = match archive.text("docProps/core.xml")? {
        Some(core) => fields(&core),
        None => Metadata::new(),
    };
    Ok(Extracted { text: blocks.finish()?, metadata })
}

/// The name of the document within its archive: by its relations, and most often this one.
fn main_part(archive: &mut Archive) -> Result<String, String> {
    let mut main = None;
    if let Some(relations) = archive.text("_rels/.rels")? {
        walk(&relations, |part| {
            if let Part::Start(element) = part
                && element.attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
            {
                main = element.attribute("Target");
            }
            Ok(())
        })?;
    }
    Ok(main.map_or_else(|| "word/document.xml".to_owned(), |main| main.trim_start_matches('/').to_owned()))
}

/// How far a part was read.
#[derive(Default)]
struct Walk {
    /// Within the words of a run.
    in_text: bool,
    /// How many elements are open that have nothing to read: the older half of an alternative, what was deleted.
    left_out: usize,
    /// Cells that are open: their paragraphs are lines.
    cells: usize,
    /// Whether a cell begins.
    in_new_cell: bool,
}

fn read_part(xml: &str, blocks: &mut Blocks) -> Result<(), String> {
    let mut at = Walk::default();
    walk(xml, |part| {
        match part {
            Part::Start(element) => at.start(&element, blocks),
            Part::End(name) => at.end(&name, blocks),
            Part::Text(text) if at.in_text && at.left_out == 0 => blocks.push(&text),
            Part::Text(_) => {}
        }
        Ok(())
    })
}

impl Walk {
    fn start(&mut self, element: &Element<'_>, blocks: &mut Blocks) {
        let name = element.name();
        if self.left_out > 0 || matches!(name.as_str(), "Fallback" | "del" | "moveFrom") {
            self.left_out += usize::from(matches!(name.as_str(), "Fallback" | "del" | "moveFrom"));
            return;
        }
        match name.as_str() {
            "p" if self.in_new_cell => self.in_new_cell = false,
            "p" if self.cells > 0 => blocks.push(" "),
            "p" => blocks.block(),
            "tr" => blocks.line(),
            "tc" => {
                blocks.cell();
                self.cells += 1;
                self.in_new_cell = true;
            }
            "pStyle" => {
                if let Some(level) = element.attribute("val").and_then(|style| heading_of_style(&style)) {
                    blocks.heading(level);
                }
            }
            "t" => self.in_text = true,
            "tab" | "br" | "cr" => blocks.push(" "),
            "noBreakHyphen" => blocks.push("-"),
            _ => {}
        }
    }

    fn end(&mut self, name: &str, blocks: &mut Blocks) {
        match name {
            "Fallback" | "del" | "moveFrom" => self.left_out = self.left_out.saturating_sub(1),
            "t" => self.in_text = false,
            "tc" => self.cells = self.cells.saturating_sub(1),
            "tbl" | "p" if self.cells == 0 => blocks.block(),
            _ => {}
        }
    }
}
