//! `akin eval`: measures how good a model is. Each evaluation has a file.

mod ablation;
mod cross_encoder;
mod cross_validation;
mod efficiency;
mod retrieval;
mod senteval;
mod sts;
mod triplets;

use std::path::PathBuf;

use akin_encoder::hub;
use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_trainer::embedder::Embedder;
use akin_trainer::words::WordVectors;

use crate::commands::cli::{EvalArguments, EvaluatedModel, Evaluation};
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted};

/// Runs an evaluation.
pub fn run(arguments: &EvalArguments, terminal: &Terminal) -> anyhow::Result<()> {
    match &arguments.evaluation {
        Evaluation::Sts(arguments) => sts::run(arguments, terminal),
        Evaluation::StsCv(arguments) => cross_validation::run(arguments, terminal),
        Evaluation::CrossEncoder(arguments) => cross_encoder::run(arguments, terminal),
        Evaluation::Triplets(arguments) => triplets::run(arguments, terminal),
        Evaluation::Senteval(arguments) => senteval::run(arguments, terminal),
        Evaluation::Retrieval(arguments) => retrieval::run(arguments, terminal),
        Evaluation::Ablation(arguments) => ablation::run(arguments, terminal),
        Evaluation::Efficiency(arguments) => efficiency::run(arguments, terminal),
    }
}

/// What makes vectors of sentences here, and how many tokens it reads of each.
struct Evaluated {
    embedder: Box<dyn Embedder>,
    max_tokens: usize,
}

impl Evaluated {
    /// Loads the model, or the word vectors, that were asked for.
    fn load(arguments: &EvaluatedModel, options: &EncoderOptions) -> anyhow::Result<Self> {
        if let Some(path) = &arguments.word_vectors {
            let embedder = Box::new(WordVectors::read(path)?);
            return Ok(Self { embedder, max_tokens: usize::MAX });
        }
        let name = &arguments.model.model;
        let encoder = match arguments.pooling {
            None => model::load(name, options)?,
            Some(pooling) => {
                SentenceEncoder::load_pooled(&base_directory(name)?, options, pooling.pooling())?
            }
        };
        Ok(Self { max_tokens: encoder.max_tokens(), embedder: Box::new(encoder) })
    }

    /// Evaluates under a progress bar.
    fn watch<T>(
        &self,
        terminal: &Terminal,
        evaluate: impl FnOnce(&dyn Embedder, &mut dyn FnMut(usize, usize)) -> T,
    ) -> T {
        let bar = terminal.count_bar(Some(0), "sentences");
        let result = evaluate(self.embedder.as_ref(), &mut |done, of| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        result
    }

    /// Says what was truncated.
    fn note_truncated(&self, terminal: &Terminal, name: &str, truncated: usize) {
        if truncated > 0 {
            terminal.note(format_args!(
                "{name}: {} longer than the {} tokens the model reads, and lost the end",
                counted(truncated, "sentence"),
                self.max_tokens
            ));
        }
    }
}

/// The directory that `name` is, or the model of that hub id.
pub fn base_directory(name: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(name);
    if path.is_dir() { Ok(path) } else { Ok(hub::locate(name)?) }
}
