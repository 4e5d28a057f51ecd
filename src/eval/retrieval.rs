//! `akin eval retrieval`: measures how well relevant documents are ranked.

use std::io::{self, Write};

use akin_trainer::retrieval::RetrievalSet;
use anyhow::Context;
use serde_json::json;

use super::Evaluated;
use crate::cli::RetrievalArguments;
use crate::terminal::{Terminal, counted};

/// Prints nDCG, recall and mean reciprocal rank.
pub fn run(arguments: &RetrievalArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let set = RetrievalSet::read(&arguments.folder, &arguments.split)?;
    if set.missing > 0 {
        terminal.note(format_args!(
            "{} judged that the corpus does not have: nothing finds them",
            counted(set.missing, "document")
        ));
    }
    let model = Evaluated::load(&arguments.model, &arguments.compute)?;
    let ks: Vec<usize> = arguments.k.iter().map(|k| k.get()).collect();
    let result = model.watch(terminal, |embedder, observer| set.evaluate(embedder, &ks, observer))?;
    model.note_truncated(terminal, &arguments.folder.display().to_string(), result.truncated);
    let mut output = io::stdout().lock();
    if arguments.json {
        let recalls: serde_json::Map<_, _> =
            result.recall_at.iter().map(|(k, recall)| (format!("recall@{k}"), json!(recall))).collect();
        let mut line = json!({
            "queries": result.queries,
            "documents": result.documents,
            "ndcg@10": result.ndcg_at_10,
            "mrr@10": result.mrr_at_10,
        });
        line.as_object_mut().expect("it was made an object").extend(recalls);
        return writeln!(output, "{line}").context("cannot write to stdout");
    }
    terminal.note(format_args!(
        "{} among {}",
        counted(result.queries, "query"),
        counted(result.documents, "document")
    ));
    let recalls = result.recall_at.iter().map(|(k, recall)| (format!("recall@{k}"), *recall));
    let figures = [("nDCG@10".to_owned(), result.ndcg_at_10), ("MRR@10".to_owned(), result.mrr_at_10)];
    for (name, figure) in figures.into_iter().chain(recalls) {
        writeln!(output, "{name:11}  {figure:.4}").context("cannot write to stdout")?;
    }
    Ok(())
}
