//! `akin dedup`: finds the near duplicates of a corpus or an index, and writes its documents without them.

use std::io::Write;

use akin_index::Document;
use akin_mining::duplicates::{Group, NearDuplicates, near_duplicates_with};
use anyhow::bail;
use serde_json::json;

use crate::commands::cli::DedupArguments;
use crate::commands::compared::{Compared, Source, tell_recall};
use crate::commands::corpus;
use crate::commands::output::write_whole;
use crate::commands::terminal::{Style, Terminal, counted, grouped, on_one_line};

/// Encodes every text once, unless its vector is stored, compares the embeddings, and says which say the same.
pub fn run(arguments: &DedupArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if !(-1.0..=1.0).contains(&arguments.threshold) {
        bail!("--threshold {} is no cosine similarity: from -1 to 1", arguments.threshold);
    }
    let Compared { documents, sentences } = Source::open(&arguments.compared)?.read(terminal)?;
    let threshold = arguments.threshold;
    let found =
        terminal.with_bar("comparing", |progress| near_duplicates_with(&sentences, threshold, progress))?;
    let NearDuplicates { groups, recall } = found;
    drop(sentences);
    let duplicates: usize = groups.iter().map(|group| group.duplicates.len()).sum();
    let total = documents.len();

    let unique_to_stdout = arguments.unique.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if arguments.output.is_some() || !unique_to_stdout {
        let json = arguments.json || arguments.output.is_some();
        write_whole(arguments.output.as_deref(), &mut |output| match json {
            true => write_json(output, &documents, &groups),
            false => write_table(output, &documents, &groups, terminal),
        })?;
    }
    if let Some(path) = &arguments.unique {
        let mut is_kept = vec![true; total];
        groups.iter().flat_map(|group| &group.duplicates).for_each(|one| is_kept[one.row] = false);
        let (id_field, text_field) = (&arguments.compared.id_field, &arguments.compared.format.text_field);
        let mut kept = documents.into_iter().zip(is_kept).filter(|(_, is_kept)| *is_kept);
        write_whole(Some(path), &mut |output| {
            kept.by_ref()
                .try_for_each(|(document, _)| corpus::write_line(output, document, id_field, text_field))
        })?;
    }
    terminal.note(format_args!(
        "{} of {} {} what an earlier one says, in {}",
        grouped(duplicates),
        counted(total, "document"),
        if duplicates == 1 { "says" } else { "say" },
        counted(groups.len(), "group")
    ));
    tell_recall(recall, "near duplicates", terminal);
    Ok(())
}

fn write_json(output: &mut dyn Write, documents: &[Document], groups: &[Group]) -> anyhow::Result<()> {
    for group in groups {
        let kept = &documents[group.kept];
        let duplicates = group.duplicates.iter().map(|one| {
            let document = &documents[one.row];
            json!({ "id": document.id, "text": document.text, "score": one.score, "link": one.link })
        });
        let line = json!({
            "kept": { "id": kept.id, "text": kept.text },
            "duplicates": duplicates.collect::<Vec<_>>(),
        });
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// A block a group, the kept one first.
fn write_table(
    output: &mut dyn Write,
    documents: &[Document],
    groups: &[Group],
    terminal: &Terminal,
) -> anyhow::Result<()> {
    for (place, group) in groups.iter().enumerate() {
        if place > 0 {
            writeln!(output)?;
        }
        let duplicates = group.duplicates.iter().map(|one| (format!("{:6.3}", one.score), one.row));
        let rows = std::iter::once(("  kept".to_owned(), group.kept)).chain(duplicates);
        let rows: Vec<(String, usize, String)> =
            rows.map(|(score, row)| (score, row, on_one_line(&documents[row].id))).collect();
        let width = rows.iter().map(|(.., id)| id.chars().count()).max().unwrap_or(0).min(40);
        for (score, row, id) in rows {
            let (score, id) =
                (terminal.paint(Style::Score, &score), terminal.paint(Style::Id, &format!("{id:width$}")));
            writeln!(output, "{score}  {id}  {}", on_one_line(&documents[row].text))?;
        }
    }
    Ok(())
}
