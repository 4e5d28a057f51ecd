//! `akin show`: prints documents of an index by their ids.

use std::io::{self, Write};

use akin_index::{Document, Passage};
use akin_query::json;
use anyhow::{Context, bail};

use crate::commands::cli::ShowArguments;
use crate::commands::model;
use crate::commands::terminal::{Style, Terminal, counted, on_one_line};

/// Prints each document: fields, then text, or a JSON line.
pub fn run(arguments: &ShowArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let snapshot = model::open_reader(&arguments.index)?.snapshot();
    let mut output = io::BufWriter::new(io::stdout().lock());
    for (place, id) in arguments.ids.iter().enumerate() {
        let Some(doc) = snapshot.find(id)? else {
            bail!("{} has no document with the id {id:?}", arguments.index.display());
        };
        let (document, passages) = json::read_document(&snapshot, doc)?;
        let written = match arguments.json {
            true => write_json(&mut output, &document, passages.as_deref()),
            false => {
                if place > 0 {
                    writeln!(output).context("cannot write to stdout")?;
                }
                write_text(&mut output, &document, passages.as_deref(), terminal)
            }
        };
        written.context("cannot write to stdout")?;
    }
    output.flush().context("cannot write to stdout")
}

fn write_json(output: &mut dyn Write, document: &Document, passages: Option<&[Passage]>) -> io::Result<()> {
    serde_json::to_writer(&mut *output, &json::document(document, passages))?;
    output.write_all(b"\n")
}

fn write_text(
    output: &mut dyn Write,
    document: &Document,
    passages: Option<&[Passage]>,
    terminal: &Terminal,
) -> io::Result<()> {
    writeln!(output, "{}", terminal.paint(Style::Id, &on_one_line(&document.id)))?;
    let width = document.metadata.keys().map(|field| field.chars().count()).max().unwrap_or(0);
    for (field, value) in &document.metadata {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = terminal.paint(Style::Dim, &format!("{:width$}", on_one_line(field)));
        writeln!(output, "{name}  {}", on_one_line(&value))?;
    }
    if let Some(passages) = passages {
        let passages = counted(passages.len(), "passage");
        writeln!(output, "{}", terminal.paint(Style::Dim, &passages))?;
    }
    writeln!(output, "\n{}", harmless(&document.text))
}

/// A text without control characters but for line breaks and tabs: it must not be able to move the cursor.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_its_id_its_fields_and_its_text() {
        let mut document =
            Document { id: "a\nb".into(), text: "One.\n\x1b[2JTwo.".into(), ..Document::default() };
        document.metadata.insert("year".into(), 1999.into());
        document.metadata.insert("title".into(), "On \"this\"".into());
        let passages = [Passage { start: 0, end: 4 }, Passage { start: 5, end: 13 }];
        let mut output = Vec::new();
        write_text(&mut output, &document, Some(&passages), &Terminal::silent(false)).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text, "a b\nyear   1999\ntitle  On \"this\"\n2 passages\n\nOne.\n[2JTwo.\n");
        let mut output = Vec::new();
        write_json(&mut output, &document, None).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(
            line,
            serde_json::json!({"id": "a\nb", "text": document.text, "metadata": {"year": 1999, "title": "On \"this\""}})
        );
    }
}
