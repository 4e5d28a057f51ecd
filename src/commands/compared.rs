//! The documents that `pairs`, `dedup` and `cluster` compare: those of a corpus, which are encoded here, or those of an
//! index, whose vectors are stored.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akin_encoder::{Device, Embeddings, EncoderOptions, Precision, SentenceEncoder, Similarity};
use akin_index::{Document, Error, Reader, Snapshot};
use akin_indexer::corpus::CorpusReader;
use akin_indexer::distinct::{TextHash, parts, text_hash};
use akin_mining::{SampledRecall, Sentences};
use anyhow::bail;

use crate::commands::cli::{ComparedArguments, DEFAULT_MODEL_NAME, FormatName};
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted};

/// Documents that are encoded together.
const CHUNK: usize = 1024;

/// Documents and their embeddings of length one, in one order. Documents of equal texts share an embedding.
pub struct Compared {
    pub documents: Vec<Document>,
    pub sentences: Sentences,
}

/// Where the documents are, opened and looked through.
pub enum Source {
    /// A corpus of so many documents, and the model to encode them with.
    Corpus { reader: Box<CorpusReader>, documents: usize, model: String, options: EncoderOptions },
    /// An index.
    Index(Arc<Snapshot>),
}

impl Source {
    /// Opens the one folder that is an index, or the files of a corpus. Refuses options that an index leaves nothing to do
    /// for.
    pub fn open(arguments: &ComparedArguments) -> anyhow::Result<Self> {
        if let Some((path, index)) = find_index(&arguments.paths)? {
            require_alone(arguments, path)?;
            let snapshot = index.snapshot();
            if snapshot.is_empty() {
                bail!("the index {} is empty: there is nothing to compare", path.display());
            }
            if let Some(model) = &arguments.model {
                let encoder = model::load(model, &EncoderOptions::default())?;
                snapshot.require_model(encoder.fingerprint())?;
            }
            return Ok(Self::Index(snapshot));
        }
        let mut reader = CorpusReader::open(&arguments.paths, &arguments.corpus_options())?;
        let documents = reader.survey()?.documents;
        let model = arguments.model.clone().unwrap_or_else(default_model);
        Ok(Self::Corpus { reader: Box::new(reader), documents, model, options: arguments.compute.options() })
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Corpus { documents, .. } => *documents,
            Self::Index(snapshot) => snapshot.len(),
        }
    }

    /// Reads all documents with their embeddings.
    pub fn read(self, terminal: &Terminal) -> anyhow::Result<Compared> {
        match self {
            Self::Corpus { reader, documents, model, options } => {
                encode(*reader, documents, &model::load(&model, &options)?, terminal)
            }
            Self::Index(snapshot) => stored(&snapshot, terminal),
        }
    }
}

/// The model of a corpus for which none is named.
pub fn default_model() -> String {
    let named = env::var("AKIN_MODEL").ok().filter(|model| !model.is_empty());
    named.unwrap_or_else(|| DEFAULT_MODEL_NAME.to_owned())
}

/// The first of the paths that is an index.
pub fn find_index(paths: &[PathBuf]) -> anyhow::Result<Option<(&Path, Reader)>> {
    for path in paths.iter().filter(|path| path.is_dir()) {
        match Reader::open(path) {
            // The corpus reader says what is wrong with a folder of other things.
            Err(Error::NotAnIndex { .. }) => {}
            opened => return Ok(Some((path, opened?))),
        }
    }
    Ok(None)
}

/// Refuses what makes no sense beside an index.
fn require_alone(arguments: &ComparedArguments, index: &Path) -> anyhow::Result<()> {
    let index = index.display();
    if arguments.paths.len() > 1 {
        bail!("{index} is an index, and is compared by itself: name it alone, or name only files");
    }
    if arguments.format.format != FormatName::Auto {
        bail!("--format is of a corpus, and {index} is an index: leave it out");
    }
    if arguments.compute.options().precision != Precision::F32 {
        bail!("--precision is for encoding, and the vectors of the index {index} are stored: leave it out");
    }
    if arguments.compute.options().device != Device::Cpu {
        bail!("--device is for encoding, and the vectors of the index {index} are stored: leave it out");
    }
    Ok(())
}

/// Encodes every document of a corpus that was surveyed and has `total` of them; equal texts once.
fn encode(
    mut corpus: CorpusReader,
    total: usize,
    encoder: &SentenceEncoder,
    terminal: &Terminal,
) -> anyhow::Result<Compared> {
    let bar = terminal.count_bar(Some(total as u64), "documents");
    let _clean = Clean::begin();
    let mut documents: Vec<Document> = Vec::with_capacity(total);
    let mut sentences = Sentences::new(encoder.dimension());
    let mut first_of_text: HashMap<TextHash, usize> = HashMap::new();
    let mut truncated = 0;
    loop {
        let chunk = corpus.by_ref().take(CHUNK).collect::<akin_indexer::Result<Vec<_>>>()?;
        if chunk.is_empty() {
            break;
        }
        let places = documents.len()..;
        let firsts: Vec<(usize, usize)> = places
            .zip(&chunk)
            .map(|(place, document)| {
                (place, *first_of_text.entry(text_hash(&document.text)).or_insert(place))
            })
            .collect();
        let new = firsts.iter().zip(&chunk).filter(|((place, first), _)| place == first);
        let texts: Vec<&str> = new.map(|(_, document)| document.text.as_str()).collect();
        let mut rows = Embeddings::empty(encoder.dimension());
        for part in parts(&texts) {
            interrupt::check()?;
            let encoding = encoder.encode(part)?;
            truncated += encoding.truncated;
            encoding.embeddings.iter().for_each(|row| rows.push(row));
        }
        let mut rows = rows.iter();
        for (place, first) in firsts {
            match place == first {
                true => rows.by_ref().take(1).for_each(|row| sentences.push(&unit(row))),
                false => sentences.push_copy(first),
            }
        }
        documents.extend(chunk);
        bar.set_position(documents.len() as u64);
    }
    bar.finish_and_clear();
    if truncated > 0 {
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end was left out",
            counted(truncated, "text"),
            encoder.max_tokens()
        ));
    }
    Ok(Compared { documents, sentences })
}

/// The live documents of an index with their stored vectors.
pub fn stored(index: &Snapshot, terminal: &Terminal) -> anyhow::Result<Compared> {
    let docs = index.docs()?;
    let bar = terminal.count_bar(Some(docs.len() as u64), "documents");
    let _clean = Clean::begin();
    let mut documents: Vec<Document> = Vec::with_capacity(docs.len());
    let mut sentences = Sentences::new(index.model().dimension);
    let mut first_of_text: HashMap<TextHash, usize> = HashMap::new();
    for (place, doc) in docs.into_iter().enumerate() {
        let document = index.document(doc)?;
        // Vectors that came without documents have no text: then their vectors tell what is equal.
        let first = match document.text.trim().is_empty() {
            true => place,
            false => *first_of_text.entry(text_hash(&document.text)).or_insert(place),
        };
        match first == place {
            true => sentences.push(&direction(index.model().similarity, &index.vectors(doc)?)),
            false => sentences.push_copy(first),
        }
        documents.push(document);
        if place % CHUNK == 0 {
            interrupt::check()?;
            bar.set_position(place as u64);
        }
    }
    bar.finish_and_clear();
    Ok(Compared { documents, sentences })
}

/// The vector of a document, of length one: that of its one passage, to the bit if it is stored for the cosine, or the mean of
/// several.
fn direction(similarity: Similarity, passages: &[Vec<f32>]) -> Vec<f32> {
    let [first, others @ ..] = passages else { return Vec::new() };
    let mut sum = first.clone();
    for passage in others {
        sum.iter_mut().zip(passage).for_each(|(sum, value)| *sum += value);
    }
    if others.is_empty() && similarity == Similarity::Cosine { sum } else { unit(&sum) }
}

/// In the direction of `row`, of length one: not every model makes such.
pub fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect()
}

/// Tells what a graph may have missed. `what` it looked for: "near duplicates", "pairs".
pub fn tell_recall(recall: Option<SampledRecall>, what: &str, terminal: &Terminal) {
    let Some(recall) = recall else { return };
    let sampled = counted(recall.sampled, "document");
    match recall.share() {
        Some(share) => terminal.note(format_args!(
            "{what} among different texts were found by a graph: recall {share:.4}, of {} of {sampled} that \
             were compared with all",
            counted(recall.pairs, "true pair"),
        )),
        None => terminal.note(format_args!(
            "{what} among different texts were found by a graph; {sampled} that were compared with all have none \
             to miss"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_several_passages_has_their_mean_direction() {
        let mean = |passages: &[Vec<f32>]| direction(Similarity::Cosine, passages);
        assert_eq!(mean(&[vec![0.6, 0.8]]), [0.6, 0.8]);
        assert_eq!(direction(Similarity::Dot, &[vec![3.0, 4.0]]), [0.6, 0.8]);
        let both = mean(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
        assert!((both[0] - both[1]).abs() < 1e-6 && (both[0] - 0.5f32.sqrt()).abs() < 1e-6, "{both:?}");
        assert_eq!(mean(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), [0.0, 0.0], "no direction, and no NaN");
    }
}
