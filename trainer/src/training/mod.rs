//! A run of training (section 3.1 of the paper): epochs of batches, evaluations in between, the best model kept.

mod cached;
mod outcome;
mod settings;
mod trainer;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;

use self::outcome::{as_divergence, difference, evaluate, finish, with_what_is_left};
pub use self::settings::TrainingSettings;
pub use self::trainer::Trainer;
use crate::base::BaseModel;
use crate::checkpoint::{Checkpoints, Progress};
use crate::curve::Point;
use crate::dev::DevSet;
use crate::example::Example;
use crate::examples::TrainingSet;
use crate::network::Network;
use crate::random::Random;
use crate::{Error, Result};

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
        settings.check(base.dimension())?;
        let checkpoints = Checkpoints::of(&output);
        let asked = serde_json::json!({ "settings": settings, "run": identity }).to_string();
        let mut progress = Progress { asked: asked.clone(), ..Progress::default() };
        let mut memories = Vec::new();
        if resume && checkpoints.exist() {
            if let Some(state) = checkpoints.progress()? {
                if state.asked != asked {
                    return Err(Error::Invalid(format!(
                        "the run in {} was begun with other settings, and cannot go on with these: {}",
                        output.display(),
                        difference(&state.asked, &asked)
                    )));
                }
                memories = checkpoints.load(&mut network)?.unwrap_or_default();
                progress = state;
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
        let mut trainer = Trainer::resumed(base, network, settings.clone(), steps, progress.steps, memories);
        let (begun, first) = (Instant::now(), progress.steps);
        let mut seconds = 0.0;
        let mut stopped_early = false;
        while progress.steps < steps && !stopped_early {
            let (epoch, within) = (progress.steps / per_epoch, progress.steps % per_epoch);
            let order = epoch_order(set.examples.len(), settings.seed, epoch);
            for batch in order.chunks(settings.batch_size).skip(within) {
                let examples: Vec<&Example> = batch.iter().map(|number| &set.examples[*number]).collect();
                let learning_rate = trainer.learning_rate();
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
                    checkpoints.save(trainer.network(), trainer.memories(), &progress)?;
                    if settings.patience.is_some_and(|patience| progress.without_improvement >= patience) {
                        stopped_early = true;
                        break;
                    }
                } else if flow.is_break() {
                    checkpoints.save(trainer.network(), trainer.memories(), &progress)?;
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
        Ok((report, trainer.into_network()))
    }
}

/// The order of the examples in an epoch.
fn epoch_order(examples: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    Random::new(seed.wrapping_add((epoch as u64) << 32)).shuffle(&mut order);
    order
}

/// The device that training runs on.
pub fn device() -> Device {
    Device::flex().autodiff()
}
