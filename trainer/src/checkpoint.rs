//! The files of a training run, from which a killed run goes on.
//!
//! ```text
//! OUTPUT/checkpoints/step-N       the last state: network, optimizer, progress
//! OUTPUT/checkpoints/best         the model with the best score so far
//! OUTPUT/checkpoints/best.old     the one before, while it is replaced
//! OUTPUT/checkpoints/*.part       what is being written
//! ```
//!
//! A folder gets its name when it is complete, so a run can be killed at any moment and resumed. A finished run replaces
//! `checkpoints` by the model itself.

use std::fs;
use std::path::{Path, PathBuf};

use burn_store::{ModuleSnapshot, SafetensorsStore};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::curve::Point;
use crate::optimizer::Memory;
use crate::{Error, Result};

/// The progress of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub steps: usize,
    /// The best score on the development set, and the step it was reached after.
    pub best: Option<(f64, usize)>,
    /// Evaluations since then.
    pub without_improvement: usize,
    /// Every step so far.
    pub curve: Vec<Point>,
    /// The settings of the run, as JSON in a string, so that no number is rounded. A run with other settings does not
    /// resume from it.
    pub asked: String,
}

/// The folder of checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints of the run that writes to `output`.
    pub fn of(output: &Path) -> Self {
        Self { folder: output.join("checkpoints") }
    }

    /// Whether there is a run to resume.
    pub fn exist(&self) -> bool {
        self.folder.is_dir()
    }

    /// Makes the folder, and restores the best model where a run was killed while it replaced it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(io("create", &self.folder))?;
        self.restore_best()
    }

    /// The model with the best score so far.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best")
    }

    /// Writes the whole state of a run, and removes the one before.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn save(
        &self,
        network: &impl ModuleSnapshot,
        memories: &[Memory],
        progress: &Progress,
    ) -> Result<()> {
        let name = format!("step-{}", progress.steps);
        let part = self.folder.join(format!("{name}.part"));
        remove(&part)?;
        fs::create_dir_all(&part).map_err(io("create", &part))?;
        let weights = part.join("network.safetensors");
        network.save_into(&mut SafetensorsStore::from_file(&weights)).map_err(|error| Error::Io {
            action: "write",
            path: weights,
            source: std::io::Error::other(error),
        })?;
        save_memories(&part.join("optimizer.safetensors"), memories)?;
        let path = part.join("progress.json");
        let json = serde_json::to_vec(progress).expect("progress is plain data");
        fs::write(&path, json).map_err(io("write", &path))?;
        let whole = self.folder.join(&name);
        remove(&whole)?;
        fs::rename(&part, &whole).map_err(io("write", &whole))?;
        for (steps, path) in self.states()? {
            if steps != progress.steps {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Calls `write` with a new folder and makes it the best model. Killed at any moment, it leaves a complete model
    /// as `best` or, between its two renames, as `best.old`, which [`create`](Self::create) restores.
    ///
    /// # Errors
    /// [`Error::Io`], and those of `write`.
    pub fn replace_best(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let part = self.folder.join("best.part");
        remove(&part)?;
        write(&part)?;
        self.restore_best()?;
        let (best, old) = (self.best(), self.old_best());
        if best.exists() {
            fs::rename(&best, &old).map_err(io("rename", &best))?;
        }
        fs::rename(&part, &best).map_err(io("write", &best))?;
        remove(&old)
    }

    fn old_best(&self) -> PathBuf {
        self.folder.join("best.old")
    }

    /// Renames `best.old` to `best` if there is no `best`, and removes it otherwise.
    fn restore_best(&self) -> Result<()> {
        let (best, old) = (self.best(), self.old_best());
        match old.exists() {
            true if !best.exists() => fs::rename(&old, &best).map_err(io("rename", &old)),
            true => remove(&old),
            false => Ok(()),
        }
    }

    /// Reads the last state into `network`; nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] when a state cannot be read.
    pub fn load<M: ModuleSnapshot>(&self, network: &mut M) -> Result<Option<(Vec<Memory>, Progress)>> {
        let Some((_, folder)) = self.states()?.into_iter().max() else {
            return Ok(None);
        };
        let invalid = |path: &Path, error: String| {
            Error::Invalid(format!("the checkpoint {} cannot be read: {error}", path.display()))
        };
        let path = folder.join("progress.json");
        let bytes = fs::read(&path).map_err(io("read", &path))?;
        let progress = serde_json::from_slice(&bytes).map_err(|error| invalid(&path, error.to_string()))?;
        let path = folder.join("network.safetensors");
        network
            .load_from(&mut SafetensorsStore::from_file(&path))
            .map_err(|error| invalid(&path, error.to_string()))?;
        let memories = load_memories(&folder.join("optimizer.safetensors"))?;
        Ok(Some((memories, progress)))
    }

    /// Removes all checkpoints.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self) -> Result<()> {
        remove(&self.folder)
    }

    /// The complete states, with their steps.
    fn states(&self) -> Result<Vec<(usize, PathBuf)>> {
        let entries = fs::read_dir(&self.folder).map_err(io("read", &self.folder))?;
        Ok(entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let steps = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
                Some((steps, path))
            })
            .collect())
    }
}

/// An error of a file.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", folder)(error)),
        _ => Ok(()),
    }
}

fn save_memories(path: &Path, memories: &[Memory]) -> Result<()> {
    let tensors = memories.iter().enumerate().flat_map(|(number, memory)| {
        [("means", &memory.means), ("squares", &memory.squares)].map(|(name, values)| {
            let view = TensorView::new(Dtype::F32, vec![values.len()], bytemuck::cast_slice(values));
            (format!("{number}.{name}"), view.expect("a vector has as many values as it is long"))
        })
    });
    safetensors::serialize_to_file(tensors, None, path)
        .map_err(|error| io("write", path)(std::io::Error::other(error)))
}

fn load_memories(path: &Path) -> Result<Vec<Memory>> {
    let bytes = fs::read(path).map_err(io("read", path))?;
    let invalid =
        |error: String| Error::Invalid(format!("the checkpoint {} cannot be read: {error}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| invalid(error.to_string()))?;
    let floats = |name: String| -> Result<Vec<f32>> {
        let tensor = tensors.tensor(&name).map_err(|error| invalid(error.to_string()))?;
        let (values, _) = tensor.data().as_chunks::<4>();
        Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    (0..tensors.len() / 2)
        .map(|number| {
            Ok(Memory::new(floats(format!("{number}.means"))?, floats(format!("{number}.squares"))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &'static str) -> impl FnOnce(&Path) -> Result<()> {
        move |folder| {
            fs::create_dir_all(folder).map_err(io("create", folder))?;
            fs::write(folder.join("model"), text).map_err(io("write", folder))
        }
    }

    fn best(checkpoints: &Checkpoints) -> String {
        fs::read_to_string(checkpoints.best().join("model")).unwrap()
    }

    #[test]
    fn the_best_model_survives_a_kill_at_every_step_of_its_replacement() {
        // What lies there after: nothing yet, the new model written, the old one renamed, the new one renamed.
        let states: [(&[(&str, &str)], &str); 4] = [
            (&[("best", "first")], "first"),
            (&[("best", "first"), ("best.part", "second")], "first"),
            (&[("best.old", "first"), ("best.part", "second")], "first"),
            (&[("best.old", "first"), ("best", "second")], "second"),
        ];
        for (folders, expected) in states {
            let output = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::of(output.path());
            for (name, text) in folders.iter().copied() {
                let folder = output.path().join("checkpoints").join(name);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("model"), text).unwrap();
            }
            // The run is resumed,
            checkpoints.create().unwrap();
            assert_eq!(best(&checkpoints), expected, "{folders:?}");
            // and goes on.
            checkpoints.replace_best(write("third")).unwrap();
            assert_eq!(best(&checkpoints), "third", "{folders:?}");
            let left: Vec<_> = fs::read_dir(output.path().join("checkpoints"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(left, ["best"], "{folders:?}");
        }
    }

    #[test]
    fn a_model_that_cannot_be_written_leaves_the_best_one() {
        let output = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(output.path());
        checkpoints.create().unwrap();
        checkpoints.replace_best(write("first")).unwrap();
        let refused = checkpoints.replace_best(|_| Err(Error::Invalid("no".into())));
        assert!(refused.is_err());
        assert_eq!(best(&checkpoints), "first");
    }
}
