//! Presentations in Office Open XML: a slide is a page.

use akin_index::Metadata;

use super::archive::Archive;
use super::blocks::Blocks;
use super::office::{fields, numbered};
use super::xml::{Part, walk};
use super::{Extracted, Unread};

/// Reads a presentation.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let mut archive = Archive::open(bytes).map_err(Unread::Because)?;
    extract(&mut archive).map_err(Unread::Because)
}

fn extract(archive: &mut Archive) -> Result<Extracted, String> {
    let mut blocks = Blocks::default();
    for slide in numbered(&archive.names(), "ppt/slides/") {
        blocks.page();
        read_slide(&archive.required(&slide)?, &mut blocks)?;
    }
    let metadata = match archive.text("docProps/core.xml")? {
        Some(core) => fields(&core),
        None => Metadata::new(),
    };
    Ok(Extracted { text: blocks.finish()?, metadata })
}

fn read_slide(xml: &str, blocks: &mut Blocks) -> Result<(), String> {
    let mut in_text = false;
    walk(xml, |part| {
        match part {
            Part::Start(element) => match element.name().as_str() {
                "p" => blocks.line(),
                "ph" if element
                    .attribute("type")
                    .is_some_and(|kind| matches!(kind.as_str(), "title" | "ctrTitle")) =>
                {
                    blocks.heading(1);
                }
                "tc" => blocks.cell(),
                "br" => blocks.push(" "),
                "t" => in_text = true,
                _ => {}
            },
            Part::End(name) => match name.as_str() {
                "t" => in_text = false,
                "sp" | "tr" => blocks.block(),
                _ => {}
            },
            Part::Text(text) if in_text => blocks.push(&text),
            Part::Text(_) => {}
        }
        Ok(())
    })
}
