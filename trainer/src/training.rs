//! A run of training (section 3.1 of the paper): epochs of batches, evaluations in between, the best model kept.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::autodiff::{Randomness, SparseGradient, word_embeddings};
use crate::base::BaseModel;
use crate::random::Random;
use burn::tensor::Device;
use serde::Serialize;

use crate::checkpoint::{Checkpoints, Progress, io};
use crate::curve::{Point, csv, svg};
use crate::dev::DevSet;
use crate::examples::TrainingSet;
use crate::network::{Conditions, Example, Network};
use crate::objective::Objective;
use crate::optimizer::{AdamW, AdamWSettings};
use crate::schedule::Schedule;
use crate::{Error, Result};

/// How a model is trained. The defaults are the paper's, or sentence-transformers' where the paper gives none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingSettings {
    /// What the model is trained towards.
    pub objective: Objective,
    /// How often every example is seen.
    pub epochs: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// The learning rate at the end of the warm-up.
    pub learning_rate: f64,
    /// The share of the steps that the learning rate rises over.
    pub warmup: f64,
    /// Weight decay: the share of a weight, times the learning rate, that each step subtracts.
    pub weight_decay: f64,
    /// The norm that gradients are clipped to.
    pub clip_norm: f64,
    /// Whether there is dropout.
    pub dropout: bool,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Steps between evaluations; none for one after each epoch.
    pub evaluate_every: Option<usize>,
    /// Evaluations without a better score after which training ends; none to go on to the end.
    pub patience: Option<usize>,
}

impl TrainingSettings {
    /// The defaults, for an objective.
    pub fn new(objective: Objective) -> Self {
        let adamw = AdamWSettings::default();
        Self {
            objective,
            epochs: 1,
            batch_size: 16,
            learning_rate: 2e-5,
            warmup: 0.1,
            weight_decay: adamw.weight_decay,
            clip_norm: adamw.clip_norm,
            dropout: true,
            seed: 42,
            evaluate_every: None,
            patience: None,
        }
    }
}

/// What an observer of a run is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// A step was taken.
    Step {
        /// Its number, from 1.
        step: usize,
        /// How many there are.
        of: usize,
        /// Its loss.
        loss: f64,
    },
    /// The model was evaluated.
    Evaluated {
        /// After which step.
        step: usize,
        /// Its score.
        score: f64,
        /// The best score so far.
        best: f64,
    },
    /// A run is resumed after this many steps.
    Resumed {
        /// Steps that were taken before.
        steps: usize,
    },
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingReport {
    /// Steps taken.
    pub steps: usize,
    /// Whether it ended early because the score stopped rising.
    pub stopped_early: bool,
    /// The score of the model that was kept, and the step it was reached after.
    pub best: Option<(f64, usize)>,
    /// Seconds spent in steps, of this process.
    pub seconds: f64,
    /// Steps that this process took.
    pub steps_here: usize,
}

/// A model in training.
pub struct Trainer<'a> {
    base: &'a BaseModel,
    settings: TrainingSettings,
    network: Option<Network>,
    optimizer: AdamW,
    schedule: Schedule,
    steps: usize,
}

impl<'a> Trainer<'a> {
    /// A trainer of `network` for `steps` steps.
    pub fn new(base: &'a BaseModel, network: Network, settings: TrainingSettings, steps: usize) -> Self {
        let schedule = Schedule::new(settings.learning_rate, settings.warmup, steps);
        let optimizer = AdamW::new(adamw(&settings));
        Self { base, settings, network: Some(network), optimizer, schedule, steps: 0 }
    }

    /// Takes a step on some examples and returns their loss before it.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss or its gradient is not a number; the network is then as it was.
    pub fn step(&mut self, examples: &[&Example]) -> Result<f64> {
        let network = self.network.take().expect("a network is there between two steps");
        let randomness = match self.settings.dropout {
            true => self.base.randomness(Random::new(self.settings.seed ^ (self.steps as u64) << 20).bits()),
            false => Randomness::none(),
        };
        let words = SparseGradient::default();
        let conditions = Conditions { randomness, words: Some(&words) };
        let loss = network.loss(self.base, self.settings.objective, examples, &conditions);
        let loss = match loss {
            Ok(loss) => loss,
            Err(error) => {
                self.network = Some(network);
                return Err(error);
            }
        };
        let value: f32 = loss.clone().inner().into_scalar();
        let moved = if value.is_finite() {
            let rate = self.schedule.at(self.steps);
            let gradients = loss.backward();
            let sparse = (word_embeddings(network.bert()), words.take());
            let (network, norm) = self.optimizer.step(network, gradients, Some(sparse), rate);
            self.network = Some(network);
            norm.is_some()
        } else {
            self.network = Some(network);
            false
        };
        if !moved {
            let kept = "nothing was kept".to_owned();
            return Err(Error::Diverged { step: self.steps + 1, loss: f64::from(value), kept });
        }
        self.steps += 1;
        Ok(f64::from(value))
    }

    /// The network as it is.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a network is there between two steps")
    }
}

fn adamw(settings: &TrainingSettings) -> AdamWSettings {
    AdamWSettings {
        weight_decay: settings.weight_decay,
        clip_norm: settings.clip_norm,
        ..AdamWSettings::default()
    }
}

/// One run, from files to a model directory.
pub struct Run<'a> {
    /// The model that it begins with.
    pub base: &'a BaseModel,
    /// The network of the base, with its head.
    pub network: Network,
    /// How it is trained.
    pub settings: TrainingSettings,
    /// The training examples.
    pub set: &'a TrainingSet,
    /// The development set, if there is one.
    pub dev: Option<&'a DevSet>,
    /// The directory that the model is written to.
    pub output: PathBuf,
    /// What distinguishes this run from others with the same settings: the files and the base.
    pub identity: serde_json::Value,
}

impl Run<'_> {
    /// Trains, from the last checkpoint where `resume` is wanted and there is one, and writes the model.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when the output exists and no run is to be resumed; [`Error::Invalid`] when the run there has
    /// other settings; [`Error::Diverged`]; [`Error::Io`].
    pub fn go(self, resume: bool, observer: &mut dyn FnMut(Event)) -> Result<TrainingReport> {
        Ok(self.go_and_return(resume, observer)?.0)
    }

    /// The same. `observer` may stop the run after a step: it is resumed from there.
    ///
    /// # Errors
    /// As [`go`](Self::go), and [`Error::Cancelled`] if `observer` stopped it.
    pub fn go_with(
        self,
        resume: bool,
        observer: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<TrainingReport> {
        Ok(self.go_on(resume, observer)?.0)
    }

    /// The same, and returns the network as it is after the last step.
    ///
    /// # Errors
    /// As [`go`](Self::go).
    pub fn go_and_return(
        self,
        resume: bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<(TrainingReport, Network)> {
        self.go_on(resume, &mut |event| {
            observer(event);
            ControlFlow::Continue(())
        })
    }

    fn go_on(
        self,
        resume: bool,
        observer: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(TrainingReport, Network)> {
        let Self { base, mut network, settings, set, dev, output, identity } = self;
        let checkpoints = Checkpoints::of(&output);
        let asked = serde_json::json!({ "settings": settings, "run": identity }).to_string();
        let mut progress = Progress { asked: asked.clone(), ..Progress::default() };
        let mut memories = Vec::new();
        if resume && checkpoints.exist() {
            if let Some((kept, state)) = checkpoints.load(&mut network)? {
                if state.asked != asked {
                    return Err(Error::Invalid(format!(
                        "the run in {} was begun with other settings, and cannot go on with these: {}",
                        output.display(),
                        difference(&state.asked, &asked)
                    )));
                }
                (memories, progress) = (kept, state);
                // It is stopped after its next step at the latest.
                let _ = observer(Event::Resumed { steps: progress.steps });
            }
        } else if output.exists() {
            return Err(Error::OutputExists { unfinished: checkpoints.exist(), path: output });
        }
        checkpoints.create()?;

        let per_epoch = set.examples.len().div_ceil(settings.batch_size);
        let steps = per_epoch * settings.epochs;
        let every = settings.evaluate_every.unwrap_or(per_epoch).max(1);
        let mut trainer = Trainer::new(base, network, settings.clone(), steps);
        trainer.steps = progress.steps;
        trainer.optimizer = AdamW::resumed(adamw(&settings), progress.steps as u32, memories);
        let (begun, first) = (Instant::now(), progress.steps);
        let mut seconds = 0.0;
        let mut stopped_early = false;
        while progress.steps < steps && !stopped_early {
            let (epoch, within) = (progress.steps / per_epoch, progress.steps % per_epoch);
            let order = epoch_order(set.examples.len(), settings.seed, epoch);
            for batch in order.chunks(settings.batch_size).skip(within) {
                let examples: Vec<&Example> = batch.iter().map(|number| &set.examples[*number]).collect();
                let learning_rate = trainer.schedule.at(trainer.steps);
                let clock = Instant::now();
                let loss = trainer
                    .step(&examples)
                    .map_err(|error| with_what_is_left(error, &checkpoints, &progress))?;
                seconds += clock.elapsed().as_secs_f64();
                progress.steps += 1;
                let (learning_rate, loss_before) = (learning_rate as f32, loss as f32);
                progress.curve.push(Point {
                    step: progress.steps,
                    learning_rate,
                    loss: loss_before,
                    dev_score: None,
                });
                let flow = observer(Event::Step { step: progress.steps, of: steps, loss });
                if progress.steps.is_multiple_of(every) || progress.steps == steps {
                    evaluate(&trainer, dev, &checkpoints, &mut progress, observer)
                        .map_err(|error| as_divergence(error, loss, &checkpoints, &progress))?;
                    checkpoints.save(trainer.network(), trainer.optimizer.memories(), &progress)?;
                    if settings.patience.is_some_and(|patience| progress.without_improvement >= patience) {
                        stopped_early = true;
                        break;
                    }
                } else if flow.is_break() {
                    checkpoints.save(trainer.network(), trainer.optimizer.memories(), &progress)?;
                }
                if flow.is_break() && progress.steps < steps {
                    return Err(Error::Cancelled { step: progress.steps });
                }
            }
        }
        finish(&trainer, &checkpoints, &progress, &output)?;
        tracing::debug!("the run took {:.1} s", begun.elapsed().as_secs_f64());
        let report = TrainingReport {
            steps: progress.steps,
            stopped_early,
            best: progress.best,
            seconds,
            steps_here: progress.steps - first,
        };
        Ok((report, trainer.network.expect("a network is there after the last step")))
    }
}

/// The order of the examples in an epoch.
fn epoch_order(examples: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    Random::new(seed.wrapping_add((epoch as u64) << 32)).shuffle(&mut order);
    order
}

/// Writes the model as it is, scores it, and keeps it if it is the best; without a development set the last one is.
fn evaluate(
    trainer: &Trainer<'_>,
    dev: Option<&DevSet>,
    checkpoints: &Checkpoints,
    progress: &mut Progress,
    observer: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<()> {
    let network = trainer.network();
    let objective = trainer.settings.objective;
    let write = |folder: &Path| {
        network.write(trainer.base, folder)?;
        // Reading it again refuses weights that are not numbers.
        BaseModel::open(folder, None, None)?.network(&device())?;
        Ok(())
    };
    let Some(dev) = dev else {
        return checkpoints.replace_best(write);
    };
    let candidate = tempfile::tempdir().map_err(io("create", &std::env::temp_dir()))?;
    let written = candidate.path().join("model");
    network.write(trainer.base, &written)?;
    // Rounded, so that a checkpoint keeps all its digits.
    let score = (dev.score(network, trainer.base, objective, &written)? * 1e9).round() / 1e9;
    if let Some(point) = progress.curve.last_mut() {
        point.dev_score = Some(score);
    }
    if progress.best.is_none_or(|(best, _)| score > best) {
        progress.best = Some((score, progress.steps));
        progress.without_improvement = 0;
        checkpoints.replace_best(write)?;
    } else {
        progress.without_improvement += 1;
    }
    let best = progress.best.map_or(score, |(best, _)| best);
    // Whether it is to go on is asked after each step.
    let _ = observer(Event::Evaluated { step: progress.steps, score, best });
    Ok(())
}

/// Moves the best model to the output, with the curve of the run, and removes the checkpoints.
fn finish(
    trainer: &Trainer<'_>,
    checkpoints: &Checkpoints,
    progress: &Progress,
    output: &Path,
) -> Result<()> {
    let write = |name: &str, content: String| {
        let path = output.join(name);
        std::fs::write(&path, content).map_err(io("write", &path))
    };
    let best = checkpoints.best();
    if best.is_dir() {
        let entries = std::fs::read_dir(&best).map_err(io("read", &best))?;
        for entry in entries {
            let entry = entry.map_err(io("read", &best))?;
            let to = output.join(entry.file_name());
            std::fs::rename(entry.path(), &to).map_err(io("write", &to))?;
        }
    } else if !output.join("model.safetensors").is_file() {
        // Killed while it finished, or no step at all.
        trainer.network().write(trainer.base, output)?;
    }
    write("loss.csv", csv(&progress.curve))?;
    write("loss.svg", svg(&progress.curve))?;
    let best = progress.best.map(|(score, step)| serde_json::json!({ "score": score, "step": step }));
    let asked: serde_json::Value = serde_json::from_str(&progress.asked).unwrap_or_default();
    let summary = serde_json::json!({ "steps": progress.steps, "best": best, "asked": asked });
    write("training.json", format!("{summary:#}\n"))?;
    checkpoints.remove()
}

/// A model whose weights or embeddings are not numbers cannot be evaluated: it has diverged in its last step.
fn as_divergence(error: Error, loss: f64, checkpoints: &Checkpoints, progress: &Progress) -> Error {
    match error {
        Error::Encoder(akin_encoder::Error::Model { .. }) => {
            let error = Error::Diverged { step: progress.steps, loss, kept: String::new() };
            with_what_is_left(error, checkpoints, progress)
        }
        error => error,
    }
}

/// Says what is kept of a run that diverged.
fn with_what_is_left(error: Error, checkpoints: &Checkpoints, progress: &Progress) -> Error {
    match error {
        Error::Diverged { step, loss, .. } => {
            let kept = match progress.best {
                Some((_, at)) => {
                    format!("the best model so far, of step {at}, is in {}", checkpoints.best().display())
                }
                None if checkpoints.best().is_dir() => {
                    format!("the last good model is in {}", checkpoints.best().display())
                }
                None => "there was no evaluation yet, and nothing was kept".to_owned(),
            };
            Error::Diverged { step, loss, kept }
        }
        error => error,
    }
}

/// The first setting that differs between two runs.
fn difference(before: &str, now: &str) -> String {
    let read = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap_or_default() };
    let (before, now) = (read(before), read(now));
    for part in ["settings", "run"] {
        let Some(before) = before[part].as_object() else { continue };
        for (name, old) in before {
            let new = &now[part][name];
            if new != old {
                return format!("{name} was {old} and is {new}");
            }
        }
    }
    "they differ".to_owned()
}

/// The device that training runs on.
pub fn device() -> Device {
    Device::flex().autodiff()
}
