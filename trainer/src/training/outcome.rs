//! What becomes of a run: the best model so far, the finished one, and what is said of one that went wrong.

use std::ops::ControlFlow;
use std::path::Path;

use super::{Event, Trainer, device};
use crate::base::BaseModel;
use crate::checkpoint::{Checkpoints, Progress, io};
use crate::curve::{csv, svg};
use crate::dev::DevSet;
use crate::{Error, Result};

/// Writes the model as it is, scores it, and keeps it if it is the best; without a development set the last one is.
pub(super) fn evaluate(
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
pub(super) fn finish(
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
pub(super) fn as_divergence(
    error: Error,
    loss: f64,
    checkpoints: &Checkpoints,
    progress: &Progress,
) -> Error {
    match error {
        Error::Encoder(akin_encoder::Error::Model { .. }) => {
            let error = Error::Diverged { step: progress.steps, loss, kept: String::new() };
            with_what_is_left(error, checkpoints, progress)
        }
        error => error,
    }
}

/// Says what is kept of a run that diverged.
pub(super) fn with_what_is_left(error: Error, checkpoints: &Checkpoints, progress: &Progress) -> Error {
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
pub(super) fn difference(before: &str, now: &str) -> String {
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
