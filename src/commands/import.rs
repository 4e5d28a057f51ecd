//! `akin import`: adds vectors that were made elsewhere to an index.

use std::path::Path;

use akin_index::{Document, Index, ModelIdentity, Similarity, Upserted};
use akin_indexer::corpus::CorpusReader;
use akin_indexer::npy::NpyReader;
use anyhow::bail;
use indicatif::ProgressBar;

use crate::commands::cli::ImportArguments;
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, counted, grouped};

/// Vectors that are committed together.
const BATCH: usize = 4096;

/// Checks both files to their ends, and only then opens the index.
pub fn run(arguments: &ImportArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let mut vectors = NpyReader::open(&arguments.vectors)?;
    let documents = match &arguments.documents {
        Some(path) => Some(read_documents(arguments, path, vectors.rows())?),
        None => None,
    };
    require_finite(arguments, &mut vectors)?;
    let mut index = open(arguments, vectors.dimension())?;
    let bar = terminal.documents_bar(vectors.rows());
    let _clean = Clean::begin();
    let added = add_all(&mut index, vectors, documents, &bar);
    bar.finish_and_clear();
    let kept = || {
        format!("{} are kept; the same command replaces them and goes on", counted(index.len(), "document"))
    };
    let Upserted { added, replaced } = interrupt::with_kept(added, kept)?;
    terminal.note(format_args!(
        "{}: {} added, {} replaced",
        counted(added + replaced, "vector"),
        grouped(added),
        grouped(replaced)
    ));
    Ok(())
}

/// Adds all vectors with their documents, and builds the graph.
fn add_all(
    index: &mut Index,
    mut vectors: NpyReader,
    mut documents: Option<CorpusReader>,
    bar: &ProgressBar,
) -> anyhow::Result<Upserted> {
    let mut all = Upserted::default();
    let mut row = 0;
    let graph = |done: usize, total: usize| {
        bar.set_message(format!("graph: {} %", done * 100 / total.max(1)));
        interrupt::flow()
    };
    loop {
        interrupt::check()?;
        let batch = vectors.read(BATCH)?;
        if batch.rows() == 0 {
            break;
        }
        let ids = row..row + batch.rows();
        let documents = match &mut documents {
            Some(documents) => documents.take(batch.rows()).collect::<akin_indexer::Result<Vec<_>>>()?,
            None => ids.map(|row| Document { id: row.to_string(), ..Document::default() }).collect(),
        };
        let upserted = index.upsert_passages_with(&documents, None, &batch, &graph)?;
        row += batch.rows();
        all.added += upserted.added;
        all.replaced += upserted.replaced;
        bar.set_position(row as u64);
    }
    index.seal(&graph)?;
    index.merge(&graph)?;
    Ok(all)
}

/// The index, which compares vectors as was asked for.
fn open(arguments: &ImportArguments, dimension: usize) -> anyhow::Result<Index> {
    let asked = arguments.similarity.map(Similarity::from);
    let model = ModelIdentity { similarity: asked.unwrap_or_default(), ..ModelIdentity::unknown(dimension) };
    let index = Index::open_or_create(&arguments.index, &model)?;
    let similarity = index.model().similarity;
    if let Some(asked) = asked.filter(|asked| *asked != similarity) {
        bail!(
            "the index {} compares vectors by similarity {}, and not {}: leave --similarity out, or import into another \
             folder",
            arguments.index.display(),
            similarity.name(),
            asked.name()
        );
    }
    Ok(index)
}

/// The documents, when there is one for each vector and no id comes twice.
fn read_documents(arguments: &ImportArguments, path: &Path, rows: usize) -> anyhow::Result<CorpusReader> {
    let mut documents =
        CorpusReader::open(&[path.to_owned()], &arguments.format.options(&arguments.id_field))?;
    let survey = documents.survey()?;
    if survey.documents != rows {
        bail!(
            "{} has {} and {} has {}: each vector needs its document",
            arguments.vectors.display(),
            counted(rows, "vector"),
            path.display(),
            counted(survey.documents, "document")
        );
    }
    if survey.duplicates > 0 {
        bail!(
            "{} has {}: give each document an id of its own",
            path.display(),
            counted(survey.duplicates, "duplicate id")
        );
    }
    Ok(documents)
}

/// Reads all vectors once, and refuses infinities and NaN by their row: no distance can be taken of them.
fn require_finite(arguments: &ImportArguments, vectors: &mut NpyReader) -> anyhow::Result<()> {
    let mut first = 0;
    while first < vectors.rows() {
        let batch = vectors.read(BATCH)?;
        if let Some(row) = batch.iter().position(|vector| !vector.iter().all(|value| value.is_finite())) {
            bail!(
                "row {} of {} is not finite: mend or remove it, and import again",
                first + row,
                arguments.vectors.display()
            );
        }
        first += batch.rows();
    }
    vectors.rewind();
    Ok(())
}
