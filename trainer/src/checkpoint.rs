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

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_store::{ApplyError, ApplyResult, ModuleSnapshot, SafetensorsStore};
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

    /// The progress of the last state; nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] when it cannot be read.
    pub fn progress(&self) -> Result<Option<Progress>> {
        let Some((_, folder)) = self.states()?.into_iter().max() else {
            return Ok(None);
        };
        let path = folder.join("progress.json");
        let bytes = fs::read(&path).map_err(io("read", &path))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unread(&path, &error))
    }

    /// Reads the last state into `network`, and returns the state of the optimizer for each parameter; nothing where there
    /// is no state. A state holds tensors by the names of their fields, and no other field: what a release adds beside
    /// tensors does not matter to it.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] when a state cannot be read, or is not one of this network: it lacks a tensor,
    /// or has one of another shape or one more.
    pub fn load<M: ModuleSnapshot>(&self, network: &mut M) -> Result<Option<Vec<Memory>>> {
        let Some((_, folder)) = self.states()?.into_iter().max() else {
            return Ok(None);
        };
        let path = folder.join("network.safetensors");
        let mut store = SafetensorsStore::from_file(&path)
            .validate(false)
            .allow_partial(true)
            // What the fields of a network were called before there were others than BERT's.
            .with_key_remapping("^bert\\.", "encoder.Bert.");
        let applied = network.load_from(&mut store).map_err(|error| unread(&path, &error))?;
        if let Some(reason) = misfit(&applied) {
            return Err(unfit(&path, &reason));
        }
        let path = folder.join("optimizer.safetensors");
        let memories = load_memories(&path)?;
        let expected = parameter_lengths(network);
        let fits = |(memory, length): (&Memory, &usize)| {
            [&memory.means, &memory.squares].iter().all(|values| [0, *length].contains(&values.len()))
        };
        if memories.len() != expected.len() || !memories.iter().zip(&expected).all(fits) {
            return Err(unfit(&path, "its numbers are not those of the parameters"));
        }
        Ok(Some(memories))
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

fn unread(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Invalid(format!("the checkpoint {} cannot be read: {error}", path.display()))
}

fn unfit(path: &Path, reason: &str) -> Error {
    Error::Invalid(format!(
        "the checkpoint {} is of another network than the one to be trained: {reason}; a run with another output begins anew",
        path.display()
    ))
}

/// The first tensor by which a checkpoint is not one of the network; none where it is.
fn misfit(applied: &ApplyResult) -> Option<String> {
    let differing = applied.errors.first().map(|error| match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            format!(
                "the tensor {path} has shape {:?}, and the network {:?}",
                found.as_slice(),
                expected.as_slice()
            )
        }
        ApplyError::DTypeMismatch { path, expected, found } => {
            format!("the tensor {path} is {found:?}, and the network has {expected:?}")
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            format!("the tensor {path} cannot be read: {message}")
        }
    });
    let missing = || applied.missing.first().map(|(name, _)| format!("it has no tensor {name}"));
    let unused = || applied.unused.first().map(|name| format!("the network has no tensor {name}"));
    differing.or_else(missing).or_else(unused)
}

/// How many values each parameter has, in the order of the module.
fn parameter_lengths(network: &impl Module) -> Vec<usize> {
    struct Lengths(Vec<usize>);
    impl ModuleVisitor for Lengths {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().dims().iter().product());
        }
    }
    let mut lengths = Lengths(Vec::new());
    network.visit(&mut lengths);
    lengths.0
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
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| unread(path, &error))?;
    let floats = |name: String| -> Result<Vec<f32>> {
        let tensor = tensors.tensor(&name).map_err(|error| unread(path, &error))?;
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
    use std::collections::BTreeMap;

    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, TensorData};

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

    /// Shape and bytes of each tensor by name.
    type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

    /// A state of a tiny network as it was saved, in a folder of checkpoints.
    fn saved(network: &Linear) -> (tempfile::TempDir, Checkpoints) {
        let output = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(output.path());
        checkpoints.create().unwrap();
        let memories = [Memory::new(vec![1.0; 6], vec![2.0; 6]), Memory::new(vec![3.0; 2], vec![4.0; 2])];
        let progress = Progress { steps: 7, asked: "{}".into(), ..Progress::default() };
        checkpoints.save(network, &memories, &progress).unwrap();
        (output, checkpoints)
    }

    /// Writes the tensors of the network of a state again, changed.
    fn change(checkpoints: &Checkpoints, change: impl FnOnce(&mut Tensors)) {
        let path = checkpoints.folder.join("step-7/network.safetensors");
        let bytes = fs::read(&path).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter();
        let mut tensors =
            read.map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec()))).collect();
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (shape, data))| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    #[test]
    fn a_state_is_tensors_alone_and_a_release_that_adds_another_field_reads_it() {
        let device = Device::flex();
        let network = LinearConfig::new(3, 2).init(&device);
        let (_output, checkpoints) = saved(&network);
        change(&checkpoints, |tensors| {
            let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
            assert_eq!(names, ["bias", "weight"]);
        });

        /// The network with fields that are no tensors, as a later release may have it.
        #[derive(Module, Debug)]
        struct Later {
            weight: Param<Tensor<2>>,
            bias: Param<Tensor<1>>,
            has_types: bool,
            further: Option<Linear>,
        }
        let zeros = |shape: &[usize]| TensorData::new(vec![0.0f32; shape.iter().product()], shape.to_vec());
        let mut later = Later {
            weight: Param::from_data(zeros(&[3, 2]), &device),
            bias: Param::from_data(zeros(&[2]), &device),
            has_types: true,
            further: None,
        };
        let memories = checkpoints.load(&mut later).unwrap().unwrap();
        assert_eq!((memories.len(), checkpoints.progress().unwrap().unwrap().steps), (2, 7));
        assert_eq!(later.weight.val().into_data(), network.weight.val().into_data());
        assert!(later.has_types && later.further.is_none());
    }

    #[test]
    fn a_state_of_another_network_is_refused_in_one_sentence_with_its_tensor() {
        let device = Device::flex();
        let refused = |changed: &dyn Fn(&mut Tensors)| {
            let mut network = LinearConfig::new(3, 2).init(&device);
            let (_output, checkpoints) = saved(&network);
            change(&checkpoints, changed);
            let error = checkpoints.load(&mut network).unwrap_err().to_string();
            assert!(error.contains("network.safetensors") && !error.contains('\n'), "{error}");
            error
        };
        let missing = refused(&|tensors| drop(tensors.remove("bias")));
        assert!(missing.contains("no tensor bias"), "{missing}");
        let shape = refused(&|tensors| tensors.get_mut("weight").unwrap().0 = vec![2, 3]);
        assert!(shape.contains("weight") && shape.contains("[2, 3]"), "{shape}");
        let more = refused(&|tensors| drop(tensors.insert("further.weight".into(), (vec![1], vec![0; 4]))));
        assert!(more.contains("further.weight"), "{more}");

        let mut other = LinearConfig::new(3, 2).with_bias(false).init(&device);
        let (_output, checkpoints) = saved(&LinearConfig::new(3, 2).init(&device));
        change(&checkpoints, |tensors| drop(tensors.remove("bias")));
        let error = checkpoints.load(&mut other).unwrap_err().to_string();
        assert!(error.contains("optimizer.safetensors") && error.contains("parameters"), "{error}");
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
