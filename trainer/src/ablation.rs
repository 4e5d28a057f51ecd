//! The paper's ablation (section 6): which pooling is best, and which concatenation of u and v for the classifier.

use std::path::Path;

use crate::base::BaseModel;
use akin_encoder::Pooling;

use crate::examples::read_training_set;
use crate::network::Network;
use crate::objective::{Concatenation, Objective};
use crate::sentence_pairs::ScoredPair;
use crate::training::{Event, Run, TrainingSettings, device};
use crate::{Result, sts};

/// The files of an ablation and how long each of its runs is.
#[derive(Debug, Clone)]
pub struct Ablation<'a> {
    /// The directory of the model that every run begins with.
    pub base: &'a Path,
    /// Labelled pairs, for classification.
    pub labelled: &'a Path,
    /// Scored pairs, for regression.
    pub scored: &'a Path,
    /// The greatest score of these.
    pub most: f64,
    /// What every model is evaluated with.
    pub dev: &'a [ScoredPair],
    /// Examples a run sees at most; none for all.
    pub examples: Option<usize>,
    /// The settings of every run; the objective among them is not used.
    pub settings: TrainingSettings,
}

/// A row of the table: Spearman's correlation on the development set.
#[derive(Debug, Clone, PartialEq)]
pub struct AblationRow {
    /// What is varied, as the paper writes it.
    pub name: &'static str,
    /// After classification of labels.
    pub labelled: Option<f64>,
    /// After regression on scores.
    pub scored: Option<f64>,
}

const POOLINGS: [(&str, Pooling); 3] =
    [("MEAN", Pooling::Mean), ("MAX", Pooling::Max), ("CLS", Pooling::Cls)];

impl Ablation<'_> {
    /// Runs the poolings with the paper's concatenation, then the concatenations with mean pooling. `observer` is called
    /// with (run, number of runs, step, number of steps).
    ///
    /// # Errors
    /// What reading, training and evaluation report.
    pub fn run(&self, observer: &mut dyn FnMut([usize; 4])) -> Result<[Vec<AblationRow>; 2]> {
        let runs = 2 * POOLINGS.len() + Concatenation::ALL.len() - 1;
        let mut number = 0;
        let mut one = |objective, pooling| {
            number += 1;
            let this = number;
            self.one(objective, pooling, &mut |step, of| observer([this, runs, step, of]))
        };
        let paper = Concatenation::UVDifference;
        let mut poolings = Vec::new();
        for (name, pooling) in POOLINGS {
            let labelled = Some(one(Objective::Classification(paper), pooling)?);
            let scored = Some(one(Objective::Regression, pooling)?);
            poolings.push(AblationRow { name, labelled, scored });
        }
        let mut concatenations = Vec::new();
        for concatenation in Concatenation::ALL {
            let labelled = match concatenation == paper {
                true => poolings[0].labelled,
                false => Some(one(Objective::Classification(concatenation), Pooling::Mean)?),
            };
            concatenations.push(AblationRow { name: concatenation.name(), labelled, scored: None });
        }
        Ok([poolings, concatenations])
    }

    fn one(
        &self,
        objective: Objective,
        pooling: Pooling,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<f64> {
        let base = BaseModel::open(self.base, Some(pooling), None)?;
        let file = if objective == Objective::Regression { self.scored } else { self.labelled };
        let mut set = read_training_set(file, &base, objective, self.most)?;
        set.examples.truncate(self.examples.unwrap_or(usize::MAX));
        let settings = TrainingSettings { objective, ..self.settings.clone() };
        let device = device();
        let labels = set.labels.len();
        let network = Network::new(base.network(&device)?, &base, objective, labels, settings.seed, &device)?;
        let folder = tempfile::tempdir().map_err(crate::checkpoint::io("create", &std::env::temp_dir()))?;
        let output = folder.path().join("model");
        let identity = serde_json::json!({});
        let run =
            Run { base: &base, network, settings, set: &set, dev: None, output: output.clone(), identity };
        run.go(false, &mut |event| {
            if let Event::Step { step, of, .. } = event {
                observer(step, of);
            }
        })?;
        let encoder = akin_encoder::SentenceEncoder::load(&output)?;
        Ok(sts::evaluate(&encoder, self.dev, &mut |_, _| {})?.spearman())
    }
}
