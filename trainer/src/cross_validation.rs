//! Cross-validation: the paper's two settings for the argument facets (section 4.3).

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::BaseModel;
use crate::random::Random;
use akin_encoder::SentenceEncoder;

use crate::correlation::{pearson, spearman};
use crate::dev::cross_encoder_scores;
use crate::examples::scored_examples;
use crate::network::Network;
use crate::objective::Objective;
use crate::sentence_pairs::ScoredPair;
use crate::sts::{self, Correlations};
use crate::table::read_table;
use crate::training::{Run, TrainingSettings, device};
use crate::{Error, Result};

/// A scored pair, and the topic it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPair {
    /// The pair.
    pub pair: ScoredPair,
    /// Its topic; empty where the file does not say.
    pub topic: String,
}

/// Which pairs a model is tested on that was trained on the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// One of this many parts of about equal size, drawn at random.
    Folds(usize),
    /// All pairs of one topic.
    Topics,
}

/// Reads pairs with the columns `score`, `sentence1`, `sentence2` and, where `topics` are wanted, `topic`; scores lie in
/// 0 to `most`.
///
/// # Errors
/// Those of [`read_table`].
pub fn read_topic_pairs(path: &Path, topics: bool, most: f64) -> Result<Vec<TopicPair>> {
    let pair = |score: &str, sentence1: &str, sentence2: &str| -> Result<ScoredPair, String> {
        let number: Option<f64> = score.trim().parse().ok().filter(|number| (0.0..=most).contains(number));
        let score =
            number.ok_or_else(|| format!("the score \"{score}\" is not a number within 0 to {most}"))?;
        Ok(ScoredPair { score, sentence1: sentence1.into(), sentence2: sentence2.into() })
    };
    match topics {
        true => read_table(path, ["score", "sentence1", "sentence2", "topic"], |[score, one, two, topic]| {
            Ok(TopicPair { pair: pair(score, one, two)?, topic: topic.trim().into() })
        }),
        false => read_table(path, ["score", "sentence1", "sentence2"], |[score, one, two]| {
            Ok(TopicPair { pair: pair(score, one, two)?, topic: String::new() })
        }),
    }
}

/// The rows of each part.
///
/// # Errors
/// [`Error::Invalid`] when there are not at least two parts of two pairs.
pub fn parts(pairs: &[TopicPair], split: Split, seed: u64) -> Result<Vec<(String, Vec<usize>)>> {
    let mut parts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    match split {
        Split::Topics => {
            for (row, pair) in pairs.iter().enumerate() {
                parts.entry(pair.topic.clone()).or_default().push(row);
            }
        }
        Split::Folds(folds) => {
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            Random::new(seed).shuffle(&mut order);
            for (place, row) in order.into_iter().enumerate() {
                parts.entry(format!("fold {:02}", place % folds + 1)).or_default().push(row);
            }
        }
    }
    if parts.len() < 2 || parts.values().any(|rows| rows.len() < 2) {
        return Err(Error::Invalid("it takes at least two parts of at least two pairs each".into()));
    }
    Ok(parts.into_iter().collect())
}

/// For each part, the correlations on it of a model that was trained on all other parts. `observer` is called with the
/// part that is trained for.
///
/// # Errors
/// What training and evaluation report.
pub fn evaluate(
    base: &BaseModel,
    settings: &TrainingSettings,
    pairs: &[TopicPair],
    split: Split,
    most: f64,
    observer: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<(String, Correlations)>> {
    let parts = parts(pairs, split, settings.seed)?;
    let mut results = Vec::new();
    for (name, tested) in &parts {
        let rest = pairs
            .iter()
            .enumerate()
            .filter(|(row, _)| !tested.contains(row))
            .map(|(_, pair)| pair.pair.clone());
        let set = scored_examples(base, rest.collect(), most)?;
        let test: Vec<ScoredPair> = tested.iter().map(|row| pairs[*row].pair.clone()).collect();
        let folder = tempfile::tempdir().map_err(crate::checkpoint::io("create", &std::env::temp_dir()))?;
        let output = folder.path().join("model");
        let device = device();
        let network =
            Network::new(base.network(&device)?, base, settings.objective, 0, settings.seed, &device)?;
        let run = Run {
            base,
            network,
            settings: settings.clone(),
            set: &set,
            dev: None,
            output: output.clone(),
            identity: serde_json::json!({ "part": name }),
        };
        let (_, trained) = run.go_and_return(false, &mut |event| {
            if let crate::training::Event::Step { step, of, .. } = event {
                observer(name, step, of);
            }
        })?;
        let correlations = if settings.objective == Objective::CrossEncoder {
            let scores = cross_encoder_scores(&trained, base, &test)?;
            let gold: Vec<f64> = test.iter().map(|pair| pair.score).collect();
            Correlations { spearman: spearman(&scores, &gold)?, pearson: pearson(&scores, &gold)? }
        } else {
            let result = sts::evaluate(&SentenceEncoder::load(&output)?, &test, &mut |_, _| {})?;
            result.correlations[0].1
        };
        results.push((name.clone(), correlations));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: usize) -> Vec<TopicPair> {
        let pair = |row: usize| TopicPair {
            pair: ScoredPair { score: row as f64, sentence1: "a".into(), sentence2: "b".into() },
            topic: ["guns", "marriage", "penalty"][row % 3].into(),
        };
        (0..count).map(pair).collect()
    }

    #[test]
    fn every_pair_is_in_one_part() {
        for split in [Split::Folds(10), Split::Topics] {
            let parts = parts(&pairs(33), split, 1).unwrap();
            assert_eq!(parts.len(), if split == Split::Topics { 3 } else { 10 });
            let mut rows: Vec<usize> = parts.iter().flat_map(|(_, rows)| rows).copied().collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..33).collect::<Vec<_>>());
        }
        assert!(parts(&pairs(15), Split::Folds(10), 1).is_err());
    }

    #[test]
    fn topics_are_read_only_where_they_are_wanted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "score\tsentence1\tsentence2\n3\ta\tb\n").unwrap();
        assert_eq!(read_topic_pairs(file.path(), false, 5.0).unwrap().len(), 1);
        let error = read_topic_pairs(file.path(), true, 5.0).unwrap_err().to_string();
        assert!(error.contains("topic"), "{error}");
        let error = read_topic_pairs(file.path(), false, 2.0).unwrap_err().to_string();
        assert!(error.contains(":2: "), "{error}");
    }
}
