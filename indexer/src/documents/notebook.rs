//! Jupyter notebooks: what was written and the code, without what the code printed.

use akin_index::Metadata;
use serde_json::Value;

use super::{Extracted, Unread};

/// Reads a notebook.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Unread> {
    let notebook: Value = serde_json::from_slice(bytes)
        .map_err(|error| Unread::Because(format!("no notebook: it is not JSON ({error})")))?;
    // Notebooks before format 4 have their cells in worksheets.
    let sheets = notebook["worksheets"].as_array().map_or(&[][..], Vec::as_slice);
    let lists = std::iter::once(&notebook).chain(sheets).filter_map(|sheet| sheet["cells"].as_array());
    let blocks: Vec<String> = lists.flatten().filter_map(block_of).collect();
    Ok(Extracted { text: blocks.join("\n\n"), metadata: Metadata::new() })
}

/// The text of a cell; code between fences.
fn block_of(cell: &Value) -> Option<String> {
    let source = text_of(&cell["source"]).or_else(|| text_of(&cell["input"]))?;
    let source = source.trim_end();
    if source.trim().is_empty() {
        return None;
    }
    Some(match cell["cell_type"].as_str() {
        Some("code") => format!("```\n{source}\n```"),
        Some("heading") => {
            let level = cell["level"].as_u64().unwrap_or(1).clamp(1, 6) as usize;
            format!("{} {source}", "#".repeat(level))
        }
        _ => source.to_owned(),
    })
}

/// A text, or the lines of one.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => Some(lines.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_code_are_read_and_what_was_printed_is_not() {
        let notebook = br##"{"cells": [
            {"cell_type": "markdown", "source": ["# Cats\n", "They purr."]},
            {"cell_type": "code", "source": "purr()\n", "outputs": [{"text": ["prrr"]}]},
            {"cell_type": "markdown", "source": []}], "nbformat": 4}"##;
        assert_eq!(read(notebook).unwrap().text, "# Cats\nThey purr.\n\n```\npurr()\n```");
        assert!(matches!(read(b"[1, 2"), Err(Unread::Because(_))));
        assert_eq!(read(b"[1, 2]").unwrap().text, "");
    }
}
