//! `akin encode`: writes the embeddings of a corpus to a NumPy file.

use akin_encoder::Role;
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_indexer::distinct::DistinctEncoder;
use anyhow::bail;

use crate::commands::cli::{EncodeArguments, RoleName};
use crate::commands::interrupt;
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted};
use crate::commands::vectors::VectorsOutput;

/// How many documents are encoded together: enough to batch those of like length.
const CHUNK: usize = 1024;

/// Encodes each document and writes its row.
pub fn run(arguments: &EncodeArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let role = arguments.role.map(RoleName::role);
    if let Some(prompted) = arguments.prompts.role().filter(|prompted| role != Some(*prompted)) {
        match prompted {
            Role::Query => bail!("--query-prompt is put before queries: add --role query"),
            Role::Document => bail!("--document-prompt is put before documents: add --role document"),
        }
    }
    let mut corpus = CorpusReader::open(
        &arguments.corpus.paths,
        &CorpusOptions { require_ids: false, ..arguments.corpus.options() },
    )?;
    let survey = corpus.survey()?;
    let options = arguments.prompts.with(arguments.precision.options(arguments.executor));
    let encoder = model::load(&arguments.model.model, &options)?;
    let mut output = VectorsOutput::create(&arguments.output, encoder.dimension())?;

    let mut distinct = DistinctEncoder::new(&encoder, role);
    let bar = terminal.count_bar(Some(survey.documents as u64), "documents");
    let (mut rows, mut truncated) = (0, 0);
    loop {
        let texts = corpus
            .by_ref()
            .take(CHUNK)
            .map(|document| Ok(document?.text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if texts.is_empty() {
            break;
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encoding = distinct.encode_with(&texts, &mut interrupt::flow)?;
        output.write(&encoding.embeddings)?;
        rows += texts.len();
        truncated += encoding.truncated;
        bar.set_position(rows as u64);
    }
    output.finish()?;
    bar.finish_and_clear();
    terminal.note(format_args!("{} of {} dimensions", counted(rows, "embedding"), encoder.dimension()));
    if truncated > 0 {
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end was left out",
            counted(truncated, "text"),
            encoder.max_tokens()
        ));
    }
    Ok(())
}
