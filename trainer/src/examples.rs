//! Reads and tokenises the examples that the network is trained with.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::anchors::{ANCHORS, Anchored, POSITIVES, read_anchored, read_margins, read_translations};
use crate::base::BaseModel;
use crate::dev::DevSet;
use crate::example::{Example, Target};
use crate::objective::Objective;
use crate::sentence_pairs::{
    ScoredPair, read_labelled_pairs, read_relevant_pairs, read_scored_pairs_within, read_triplets,
};
use crate::table::read_header;
use crate::teacher::Teacher;
use crate::{Error, Result};

/// Sentences tokenised at a time.
const CHUNK: usize = 4096;

/// The examples that a model is trained with.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// The examples, in the order of the file.
    pub examples: Vec<Example>,
    /// The labels of a classification, in alphabetical order.
    pub labels: Vec<String>,
}

/// Reads the file at `path` for an objective. Scores lie in 0 to `most`.
///
/// # Errors
/// Those of the readers in [`sentence_pairs`](crate::sentence_pairs), and of the tokenizer.
pub fn read_training_set(
    path: &Path,
    base: &BaseModel,
    objective: Objective,
    most: f64,
) -> Result<TrainingSet> {
    let mut labels = Vec::new();
    let (texts, targets): (Vec<Vec<String>>, Vec<Target>) = match objective {
        Objective::Regression | Objective::Cosent => scored(read_scored_pairs_within(path, 0.0, most)?, most),
        Objective::CrossEncoder => scored(read_relevant_pairs(path, most)?, 1.0),
        Objective::Classification(_) => {
            let pairs = read_labelled_pairs(path, None)?;
            let distinct: BTreeSet<&str> = pairs.iter().map(|pair| pair.label.as_str()).collect();
            labels = distinct.into_iter().map(str::to_owned).collect();
            if labels.len() < 2 {
                return Err(Error::Invalid(format!(
                    "{}: every label is {:?}, and there is nothing to tell apart",
                    path.display(),
                    labels[0]
                )));
            }
            let number = |label: &str| labels.iter().position(|known| known == label).unwrap_or_default();
            pairs
                .into_iter()
                .map(|pair| {
                    let target = Target::Label(number(&pair.label));
                    (vec![pair.sentence1, pair.sentence2], target)
                })
                .unzip()
        }
        Objective::Triplet => read_triplets(path)?
            .into_iter()
            .map(|triplet| (vec![triplet.anchor, triplet.positive, triplet.negative], Target::Order))
            .unzip(),
        Objective::Ranking => read_anchored(path)?.into_iter().map(ranked).unzip(),
        Objective::Distillation | Objective::Margin => {
            return read_taught_set(path, base, objective, None, &mut |_, _| {});
        }
    };
    Ok(TrainingSet { examples: tokenized(base, &texts, &targets)?, labels })
}

/// Reads the file at `path` for an objective that has a teacher: distillation, or margins, of which the file may have its
/// own. `observer` hears how many texts or triplets the teacher has read, and of how many.
///
/// # Errors
/// Those of the readers in [`anchors`](crate::anchors), of the tokenizer and of the teacher; [`Error::Invalid`] where a
/// teacher is needed and there is none.
pub fn read_taught_set(
    path: &Path,
    base: &BaseModel,
    objective: Objective,
    teacher: Option<&Teacher>,
    observer: &mut dyn FnMut(usize, usize),
) -> Result<TrainingSet> {
    let no_teacher =
        |what: &str| Error::Invalid(format!("{}: {what}, and there is no teacher", path.display()));
    let (texts, targets) = if objective == Objective::Margin {
        let rows = read_margins(path)?;
        let texts: Vec<[&str; 3]> = rows.iter().map(|row| row.texts.each_ref().map(String::as_str)).collect();
        let margins: Vec<f32> = match teacher {
            // A teacher that is asked for is asked, whatever the file says.
            Some(teacher) => teacher.margins(&texts, observer)?,
            None => (rows.iter())
                .map(|row| row.margin.map(|margin| margin as f32))
                .collect::<Option<_>>()
                .ok_or_else(|| no_teacher("there is no column of margins"))?,
        };
        let targets = margins.into_iter().map(Target::Margin).collect();
        (rows.into_iter().map(|row| row.texts.to_vec()).collect(), targets)
    } else {
        let rows = read_translations(path)?;
        let teacher = teacher.ok_or_else(|| no_teacher("embeddings are learned from a teacher"))?;
        let sources = rows.iter().map(|(text, _)| text.as_str());
        let embedded = teacher.embeddings(sources, base.dimension(), observer)?;
        let target = |text: &str| Target::Embedding(Arc::from(embedded.vector(text)));
        let targets = rows.iter().map(|(text, _)| target(text)).collect();
        let texts = rows.iter().map(|(text, translation)| [Some(text), translation.as_ref()]);
        (texts.map(|texts| texts.into_iter().flatten().cloned().collect()).collect(), targets)
    };
    let (texts, targets): (Vec<Vec<String>>, Vec<Target>) = (texts, targets);
    Ok(TrainingSet { examples: tokenized(base, &texts, &targets)?, labels: Vec::new() })
}

/// The texts of a pair that belongs together, with its negatives.
fn ranked(pair: Anchored) -> (Vec<String>, Target) {
    let mut texts = vec![pair.anchor, pair.positive];
    texts.extend(pair.negatives);
    (texts, Target::Order)
}

/// Scored pairs, as examples; scores lie in 0 to `most`.
///
/// # Errors
/// Those of the tokenizer.
pub fn scored_examples(base: &BaseModel, pairs: Vec<ScoredPair>, most: f64) -> Result<TrainingSet> {
    let (texts, targets) = scored(pairs, most);
    Ok(TrainingSet { examples: tokenized(base, &texts, &targets)?, labels: Vec::new() })
}

/// The texts of scored pairs, and their scores within 0 to 1.
fn scored(pairs: Vec<ScoredPair>, most: f64) -> (Vec<Vec<String>>, Vec<Target>) {
    let example =
        |pair: ScoredPair| (vec![pair.sentence1, pair.sentence2], Target::Score((pair.score / most) as f32));
    pairs.into_iter().map(example).unzip()
}

/// Reads a development set: triplets where the file has them, else pairs that belong together, else scored pairs, else pairs with some of `labels`, or
/// with labels from 0 to 1 where there are none.
///
/// # Errors
/// As [`read_training_set`].
pub fn read_dev_set(path: &Path, base: &BaseModel, labels: &[String]) -> Result<DevSet> {
    let header = read_header(path)?;
    let has = |name: &str| header.iter().any(|column| column == name);
    if has("anchor") && has("negative") {
        return Ok(DevSet::Triplets(read_triplets(path)?));
    }
    let has_one = |names: &[&str]| names.iter().any(|name| has(name));
    if !has("label") && !has("score") && has_one(&ANCHORS) && has_one(&POSITIVES) {
        return Ok(DevSet::Pairs(read_anchored(path)?));
    }
    if labels.is_empty() && has("label") && !has("score") {
        return Ok(DevSet::Scored(read_relevant_pairs(path, 1.0)?));
    }
    if has("score") || labels.is_empty() {
        return Ok(DevSet::Scored(read_scored_pairs_within(path, f64::NEG_INFINITY, f64::INFINITY)?));
    }
    let pairs = read_labelled_pairs(path, Some(labels))?;
    let number = |label: &str| labels.iter().position(|known| known == label).unwrap_or_default();
    let (texts, targets): (Vec<Vec<String>>, Vec<Target>) = pairs
        .into_iter()
        .map(|pair| {
            let target = Target::Label(number(&pair.label));
            (vec![pair.sentence1, pair.sentence2], target)
        })
        .unzip();
    Ok(DevSet::Labelled(tokenized(base, &texts, &targets)?))
}

fn tokenized(base: &BaseModel, texts: &[Vec<String>], targets: &[Target]) -> Result<Vec<Example>> {
    let flat: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
    let mut ids = Vec::with_capacity(flat.len());
    for chunk in flat.chunks(CHUNK) {
        ids.extend(base.tokenize(chunk)?);
    }
    let mut ids = ids.into_iter();
    Ok(texts
        .iter()
        .zip(targets)
        .map(|(texts, target)| Example {
            sentences: ids.by_ref().take(texts.len()).collect(),
            target: target.clone(),
        })
        .collect())
}
