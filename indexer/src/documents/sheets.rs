//! Spreadsheets in Office Open XML: a sheet is a section, a row a line, with tabs between its cells.

use akin_index::Metadata;

use super::archive::Archive;
use super::blocks::Blocks;
use super::office::{fields, numbered};
use super::xml::{Part, walk};
use super::{Extracted, Unread};

/// Reads a spreadsheet.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let mut archive = Archive::open(bytes).map_err(Unread::Because)?;
    extract(&mut archive).map_err(Unread::Because)
}

fn extract(archive: &mut Archive) -> Result<Extracted, String> {
    let strings = match archive.text("xl/sharedStrings.xml")? {
        Some(xml) => shared_strings(&xml)?,
        None => Vec::new(),
    };
    let names = sheet_names(&archive.required("xl/workbook.xml")?)?;
    let mut blocks = Blocks::default();
    let sheets = numbered(&archive.names(), "xl/worksheets/");
    for (at, sheet) in sheets.iter().enumerate() {
        let xml = archive.required(sheet)?;
        blocks.heading(1);
        blocks.push(names.get(at).map_or("Sheet", String::as_str));
        blocks.block();
        read_sheet(&xml, &strings, &mut blocks)?;
    }
    let metadata = match archive.text("docProps/core.xml")? {
        Some(core) => fields(&core),
        None => Metadata::new(),
    };
    Ok(Extracted { text: blocks.finish()?, metadata })
}

/// The strings that cells name by their numbers.
fn shared_strings(xml: &str) -> Result<Vec<String>, String> {
    let mut strings: Vec<String> = Vec::new();
    let (mut in_text, mut phonetic) = (false, false);
    walk(xml, |part| {
        match part {
            Part::Start(element) => match element.name().as_str() {
                "si" => strings.push(String::new()),
                "t" => in_text = true,
                "rPh" => phonetic = true,
                _ => {}
            },
            Part::End(name) => match name.as_str() {
                "t" => in_text = false,
                "rPh" => phonetic = false,
                _ => {}
            },
            Part::Text(text) if in_text && !phonetic => {
                if let Some(last) = strings.last_mut() {
                    last.push_str(&text);
                }
            }
            Part::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(strings)
}

fn sheet_names(xml: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    walk(xml, |part| {
        if let Part::Start(element) = part
            && element.name() == "sheet"
        {
            names.push(element.attribute("name").unwrap_or_default());
        }
        Ok(())
    })?;
    Ok(names)
}

fn read_sheet(xml: &str, strings: &[String], blocks: &mut Blocks) -> Result<(), String> {
    let (mut is_shared, mut in_value) = (false, false);
    let mut value = String::new();
    walk(xml, |part| {
        match part {
            Part::Start(element) => match element.name().as_str() {
                "row" => blocks.line(),
                "c" => is_shared = element.attribute("t").as_deref() == Some("s"),
                "v" | "t" => {
                    in_value = true;
                    value.clear();
                }
                _ => {}
            },
            Part::End(name) if matches!(name.as_str(), "v" | "t") => {
                in_value = false;
                let shared = value.trim().parse().ok().and_then(|at: usize| strings.get(at));
                let text = if is_shared { shared.map_or("", String::as_str) } else { &value };
                blocks.push(text);
                blocks.cell();
            }
            Part::End(_) => {}
            Part::Text(text) if in_value => value.push_str(&text),
            Part::Text(_) => {}
        }
        Ok(())
    })
}
