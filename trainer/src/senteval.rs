//! SentEval (Conneau & Kiela 2018; section 5 of the paper): the accuracy of a simple classifier on frozen embeddings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::random::Random;

use crate::embedder::{Embedded, Embedder};
use crate::logistic::Logistic;
use crate::table::{read_header, read_table};
use crate::{Error, Result};

/// The strengths of the penalty that are tried; a held-out part of the training rows chooses.
const PENALTIES: [f32; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/// How many parts a set without a split is cut into.
const FOLDS: usize = 10;

/// One example: its sentence or two, and its label.
#[derive(Debug, Clone, PartialEq)]
struct Example {
    label: String,
    sentences: Vec<String>,
}

/// A set of labelled sentences or pairs.
#[derive(Debug, Clone)]
pub struct Task {
    /// The name of its folder.
    pub name: String,
    train: Vec<Example>,
    /// Chooses the penalty; where there is none, a tenth of the training rows does.
    dev: Vec<Example>,
    /// Where there is none, ten folds of the training rows take turns.
    test: Vec<Example>,
}

/// The accuracy of a classifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskResult {
    /// Examples it was tested on.
    pub examples: usize,
    /// The share with the right label.
    pub accuracy: f64,
    /// Whether that is over ten folds.
    pub folds: bool,
}

impl Task {
    /// Reads `train.tsv`, `dev.tsv` and `test.tsv` of a folder, or `all.tsv`: columns `label` and `sentence`, or `label`,
    /// `sentence1` and `sentence2`.
    ///
    /// # Errors
    /// Those of [`read_table`].
    pub fn read(folder: &Path) -> Result<Self> {
        let name =
            folder.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
        let optional = |file: &str| -> Result<Vec<Example>> {
            let path: PathBuf = folder.join(file);
            if path.is_file() { read_examples(&path) } else { Ok(Vec::new()) }
        };
        let all = folder.join("all.tsv");
        if all.is_file() {
            return Ok(Self { name, train: read_examples(&all)?, dev: Vec::new(), test: Vec::new() });
        }
        let train = read_examples(&folder.join("train.tsv"))?;
        let (dev, test) = (optional("dev.tsv")?, read_examples(&folder.join("test.tsv"))?);
        let unknown =
            dev.iter().chain(&test).find(|example| train.iter().all(|known| known.label != example.label));
        match unknown {
            Some(example) => Err(unknown_label(&name, &example.label)),
            None => Ok(Self { name, train, dev, test }),
        }
    }

    /// Encodes every sentence, and trains and tests the classifier. `observer` is called with (sentences encoded,
    /// sentences in all).
    ///
    /// # Errors
    /// What the encoder reports; [`Error::Invalid`] for a test label that no training example has.
    pub fn evaluate(
        &self,
        embedder: &dyn Embedder,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<TaskResult> {
        let every = || self.train.iter().chain(&self.dev).chain(&self.test);
        let sentences = every().flat_map(|example| example.sentences.iter().map(String::as_str));
        let embedded = Embedded::of(embedder, sentences, observer)?;
        let labels: BTreeSet<&str> = self.train.iter().map(|example| example.label.as_str()).collect();
        let labels: Vec<&str> = labels.into_iter().collect();
        let rows = |examples: &[Example]| LabelledRows::of(examples, &embedded, &labels, &self.name);
        let train = rows(&self.train)?;
        if self.test.is_empty() {
            let mut order: Vec<usize> = (0..self.train.len()).collect();
            Random::new(1).shuffle(&mut order);
            let mut right = 0;
            for fold in 0..FOLDS {
                let (test, rest): (Vec<_>, Vec<_>) =
                    order.iter().enumerate().partition(|(place, _)| place % FOLDS == fold);
                let picked =
                    |part: Vec<(usize, &usize)>| part.into_iter().map(|(_, row)| *row).collect::<Vec<_>>();
                let (test, rest) = (train.pick(&picked(test)), train.pick(&picked(rest)));
                right += test.right(&rest.fit(None, labels.len()));
            }
            let accuracy = right as f64 / self.train.len().max(1) as f64;
            return Ok(TaskResult { examples: self.train.len(), accuracy, folds: true });
        }
        let dev = rows(&self.dev)?;
        let test = rows(&self.test)?;
        let classifier = train.fit((!self.dev.is_empty()).then_some(&dev), labels.len());
        let accuracy = test.right(&classifier) as f64 / self.test.len() as f64;
        Ok(TaskResult { examples: self.test.len(), accuracy, folds: false })
    }
}

fn unknown_label(task: &str, label: &str) -> Error {
    Error::Invalid(format!("{task}: the label {label:?} is not in the training examples"))
}

fn read_examples(path: &Path) -> Result<Vec<Example>> {
    if read_header(path)?.iter().any(|column| column == "sentence") {
        read_table(path, ["label", "sentence"], |[label, sentence]| {
            Ok(Example { label: label.trim().into(), sentences: vec![sentence.into()] })
        })
    } else {
        read_table(path, ["label", "sentence1", "sentence2"], |[label, first, second]| {
            Ok(Example { label: label.trim().into(), sentences: vec![first.into(), second.into()] })
        })
    }
}

/// Features and labels.
struct LabelledRows {
    width: usize,
    values: Vec<f32>,
    targets: Vec<usize>,
}

impl LabelledRows {
    /// The embedding of a sentence; of a pair the difference of its embeddings and their product, as SentEval does.
    fn of(examples: &[Example], embedded: &Embedded<'_>, labels: &[&str], task: &str) -> Result<Self> {
        let (mut values, mut targets) = (Vec::new(), Vec::new());
        for example in examples {
            match example.sentences.as_slice() {
                [first, second] => {
                    let (u, v) = (embedded.vector(first), embedded.vector(second));
                    values.extend(u.iter().zip(v).map(|(x, y)| (x - y).abs()));
                    values.extend(u.iter().zip(v).map(|(x, y)| x * y));
                }
                sentences => sentences.iter().for_each(|sentence| values.extend(embedded.vector(sentence))),
            }
            let label = labels
                .iter()
                .position(|label| *label == example.label)
                .ok_or_else(|| unknown_label(task, &example.label))?;
            targets.push(label);
        }
        Ok(Self { width: values.len() / targets.len().max(1), values, targets })
    }

    fn pick(&self, rows: &[usize]) -> Self {
        Self {
            width: self.width,
            values: rows
                .iter()
                .flat_map(|row| &self.values[row * self.width..][..self.width])
                .copied()
                .collect(),
            targets: rows.iter().map(|row| self.targets[*row]).collect(),
        }
    }

    /// A classifier with the penalty that does best on `dev`, or on a tenth of these rows.
    fn fit(&self, dev: Option<&Self>, labels: usize) -> Logistic {
        let (held_out, rest): (Vec<usize>, Vec<usize>) =
            (0..self.targets.len()).partition(|row| row % 10 == 0);
        let (others, tenth) = (self.pick(&rest), self.pick(&held_out));
        let (train, dev) = dev.map_or((&others, &tenth), |dev| (self, dev));
        let fit =
            |rows: &Self, penalty| Logistic::fit(&rows.values, rows.width, &rows.targets, labels, penalty);
        let best = PENALTIES
            .map(|penalty| (dev.right(&fit(train, penalty)), penalty))
            .into_iter()
            .fold((0, PENALTIES[0]), |best, tried| if tried.0 > best.0 { tried } else { best });
        fit(self, best.1)
    }

    fn right(&self, classifier: &Logistic) -> usize {
        classifier.predict(&self.values).iter().zip(&self.targets).filter(|(a, b)| a == b).count()
    }
}
