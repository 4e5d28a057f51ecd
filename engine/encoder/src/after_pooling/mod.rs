//! The modules after the pooling, in any order: Dense, LayerNorm and Normalize. Dropout acts in training alone.
//!
//! `AfterPooling` is what the files of settings say; `Chain` has the weights, and computes. Both executors of the
//! network are followed by the same chain, in f32.

mod activation;
mod dense;

use std::path::{Path, PathBuf};

use akin_kernels::cpu::isa;
use akin_kernels::layer_norm::LayerNorm;
use rayon::prelude::*;
use serde_json::Value;

use self::dense::{Dense, DenseSettings};
use crate::Result;
use crate::executors::cpu::floats;
use crate::files::{read_json, read_optional, refuse};
use crate::fingerprint::Fingerprint;
use crate::model_dir::AfterKind;
use crate::pooling::normalize;
use crate::settings::{LAYER_NORM, NORMALIZE};
use crate::weights::{TensorFile, check_tensor};

/// The most numbers of an embedding.
const MOST_WIDTH: usize = 1 << 20;

/// What PyTorch adds to the variance in a layer normalisation.
const EPSILON: f32 = 1e-5;

/// The settings of the modules after the pooling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AfterPooling {
    /// The length of a pooled vector.
    pooled: usize,
    modules: Vec<Module>,
}

#[derive(Debug, Clone, PartialEq)]
enum Module {
    Dense(DenseSettings),
    LayerNorm { folder: PathBuf, width: usize },
    Normalize,
}

impl AfterPooling {
    /// Reads the settings of each module of the model in `root`. `pooled` is the length of a pooled vector.
    pub(crate) fn read(root: &Path, pooled: usize, modules: &[(AfterKind, String)]) -> Result<Self> {
        let mut width = pooled;
        let mut read = Vec::with_capacity(modules.len());
        for (kind, folder) in modules {
            let folder = root.join(folder);
            let path = folder.join("config.json");
            let module = match kind {
                AfterKind::Dense => Module::Dense(DenseSettings::read(&folder)?),
                AfterKind::LayerNorm => {
                    let settings: serde_json::Map<String, Value> = read_json(&path)?;
                    LAYER_NORM.check(&path, &settings)?;
                    Module::LayerNorm { folder, width: size(&path, "dimension", settings.get("dimension"))? }
                }
                AfterKind::Normalize => {
                    NORMALIZE.check(&path, &read_optional(&path)?)?;
                    Module::Normalize
                }
            };
            width = module.output_of(width).map_err(|expected| {
                refuse(
                    &path,
                    format!("it takes vectors of {expected} numbers, and the module before it gives {width}"),
                )
            })?;
            read.push(module);
        }
        Ok(Self { pooled, modules: read })
    }

    /// No module, after a pooling whose vectors have this length.
    pub(crate) fn none(pooled: usize) -> Self {
        Self { pooled, modules: Vec::new() }
    }

    /// The same modules after pooled vectors of another length: those without weights take any.
    pub(crate) fn with_pooled(self, pooled: usize) -> Self {
        Self { pooled, ..self }
    }

    /// The length of an embedding.
    pub(crate) fn width(&self) -> usize {
        let output = |width, module: &Module| module.output_of(width).unwrap_or(width);
        self.modules.iter().fold(self.pooled, output)
    }

    /// Whether embeddings are of length one.
    pub(crate) fn normalizes(&self) -> bool {
        self.modules.last() == Some(&Module::Normalize)
    }

    /// The kinds of the modules that have weights.
    pub(crate) fn weighted(&self) -> Vec<&'static str> {
        let name = |module: &Module| match module {
            Module::Dense(_) => Some("Dense"),
            Module::LayerNorm { .. } => Some("LayerNorm"),
            Module::Normalize => None,
        };
        self.modules.iter().filter_map(name).collect()
    }

    /// The modules in words, where there are others than a Normalize at the end: embeddings depend on them.
    pub(crate) fn described(&self) -> String {
        if matches!(self.modules.as_slice(), [] | [Module::Normalize]) {
            return String::new();
        }
        let described: Vec<String> = self.modules.iter().map(Module::described).collect();
        format!(" then {}", described.join(", "))
    }
}

impl Module {
    /// The length of its output, or else that of the input it expects.
    fn output_of(&self, input: usize) -> Result<usize, usize> {
        match self {
            Self::Dense(dense) if dense.inputs == input => Ok(dense.outputs),
            Self::Dense(dense) => Err(dense.inputs),
            Self::LayerNorm { width, .. } if *width != input => Err(*width),
            Self::LayerNorm { .. } | Self::Normalize => Ok(input),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Dense(dense) => dense.described(),
            Self::LayerNorm { width, .. } => format!("LayerNorm {width}"),
            Self::Normalize => "Normalize".into(),
        }
    }
}

/// A length that a file of settings must have.
fn size(path: &Path, name: &str, value: Option<&Value>) -> Result<usize> {
    let number = value.and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| (1..=MOST_WIDTH).contains(number)).ok_or_else(|| {
        let found: String =
            value.map_or("missing".into(), |value| value.to_string().chars().take(80).collect());
        refuse(path, format!("{name} is {found}, and must be a whole number from 1 to {MOST_WIDTH}"))
    })
}

/// The modules after the pooling with their weights.
pub(crate) struct Chain {
    pooled: usize,
    width: usize,
    steps: Vec<Step>,
}

enum Step {
    Dense(Dense),
    LayerNorm(LayerNorm),
    Normalize,
}

impl Chain {
    /// Loads the weights of the modules. Returns what has been hashed with them.
    pub(crate) fn load(after: &AfterPooling, mut hashed: Fingerprint) -> Result<(Self, Fingerprint)> {
        let mut steps = Vec::with_capacity(after.modules.len());
        for module in &after.modules {
            let mut open = |folder: &Path| {
                let file = TensorFile::open(folder)?;
                hashed = file.sources().fold(std::mem::take(&mut hashed), Fingerprint::with);
                Ok::<_, crate::Error>(file)
            };
            steps.push(match module {
                Module::Dense(settings) => Step::Dense(Dense::load(settings, &open(&settings.folder)?)?),
                Module::LayerNorm { folder, width } => {
                    let file = open(folder)?;
                    let read = |name| tensor(&file, name, &[*width]);
                    Step::LayerNorm(LayerNorm {
                        weight: read("norm.weight")?,
                        bias: read("norm.bias")?,
                        epsilon: EPSILON,
                        centred: true,
                    })
                }
                Module::Normalize => Step::Normalize,
            });
        }
        Ok((Self { pooled: after.pooled, width: after.width(), steps }, hashed))
    }

    /// Pooled vectors, one after the other, to embeddings of [`width`](Self::width) numbers.
    pub(crate) fn apply(&self, rows: Vec<f32>) -> Vec<f32> {
        let mut width = self.pooled;
        let mut rows = rows;
        for step in &self.steps {
            match step {
                Step::Dense(dense) => {
                    rows = dense.apply(&rows);
                    width = dense.outputs();
                }
                Step::LayerNorm(norm) => norm.apply_in_place(isa(), &mut rows),
                Step::Normalize => rows.par_chunks_exact_mut(width).for_each(normalize),
            }
        }
        rows
    }

    /// The length of an embedding.
    pub(crate) fn width(&self) -> usize {
        self.width
    }
}

/// A tensor of a module, which must have this shape.
fn tensor(file: &TensorFile, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let tensors = file.tensors()?;
    check_tensor(&tensors, file.path(), name, shape)?;
    let values = tensors.tensor(name).ok().and_then(|tensor| Some(floats(&tensor)?.into_owned()));
    values.ok_or_else(|| refuse(file.path(), format!("the tensor {name} cannot be read")))
}
